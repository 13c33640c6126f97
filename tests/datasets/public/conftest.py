"""A web server for the tests of downloads."""

from serving import patience, site, waits

__all__ = ["patience", "site", "waits"]
