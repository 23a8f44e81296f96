"""Tables for networks: numbers, categories and missing values become one matrix of numbers."""

from skdeep.tabular.encoder import TabularEncoder

__all__ = ["TabularEncoder"]
