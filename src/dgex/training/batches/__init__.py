"""Profiles on their way to a learner: from the device, from memory, from disk."""
