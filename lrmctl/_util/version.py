"""lrmctl's version, importable without the public package `lrmctl`."""

__version__ = "0.1.0"
