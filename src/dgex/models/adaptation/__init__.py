"""A correction of an older model, learned from a few whole profiles: how strong, how it grows, the model it holds."""
