"""Models to share: the list of them, bringing one, and making one from a public compendium."""
