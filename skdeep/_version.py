"""The version of this package, which is written into files of models."""

__version__ = "0.1.0"
