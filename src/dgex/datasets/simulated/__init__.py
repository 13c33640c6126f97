"""A compendium drawn from a model of regulation, batches and platforms."""
