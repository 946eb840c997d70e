"""Pictures of what tinygrad_lr computes."""

from .explanation import Explanation, explain

__all__ = ["Explanation", "explain"]
