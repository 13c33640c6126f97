"""pytest puts the folder of a conftest on the path: the helpers beside this one serve the folders below too."""
