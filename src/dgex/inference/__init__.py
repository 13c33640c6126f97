"""Profiles of landmark genes -> whole profiles, in blocks."""
