"""Models to share: the list of them, bringing one, and making one from a public compendium."""

__all__ = ["RECIPES"]

RECIPES = ("gse92743",)  #: public compendia that one command makes a model of
