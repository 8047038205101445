"""Which release this is."""

__version__ = "0.1.0"
"""The release, as in the package's metadata, which takes it from here."""
