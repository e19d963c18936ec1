"""lrmctl's version, for every room: none of them needs to import the package's public face for it."""

__version__ = "0.1.0"
