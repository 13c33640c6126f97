"""A web server for the tests of models to share."""

from serving import patience, site, waits

__all__ = ["patience", "site", "waits"]
