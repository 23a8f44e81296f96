"""Sources: rows outside of memory, which are read piece by piece."""
