"""Placeholder until the first engine step lands."""
