"""What a network has learned: major weights, hub units, adjusted R2, attributions."""
