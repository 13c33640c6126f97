"""A web page for people who do not program: upload a panel, get whole profiles, and know how far to trust them."""
