"""A few whole profiles of another platform -> the model adapted to it."""
