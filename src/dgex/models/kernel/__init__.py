"""Kernel ridge regression: every target gene as a smooth function of all landmark genes."""
