"""Rows of float32 in memory, in memory maps and in temporary files."""
