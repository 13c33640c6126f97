"""What held-out profiles tell of values to come: accuracy of each gene, intervals, unlike profiles."""
