"""Sources by the format of their rows: matrices, tables, sparse matrices, chunks of a function."""
