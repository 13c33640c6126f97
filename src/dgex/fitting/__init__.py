"""From a dataset to model folders: one model, or a grid of networks."""
