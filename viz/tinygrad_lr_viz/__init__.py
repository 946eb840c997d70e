"""Pictures of what tinygrad_lr computes."""
