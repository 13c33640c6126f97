"""What a dataset is: roles, splits, scale, quantile reference, standardising, platforms."""
