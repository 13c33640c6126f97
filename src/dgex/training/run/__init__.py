"""A run: schedule, loop, history, checkpoints."""
