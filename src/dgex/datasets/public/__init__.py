"""Public data sets: downloaded, checked, and brought into the layout of a compendium."""
