"""From the columns of a table to columns of numbers."""
