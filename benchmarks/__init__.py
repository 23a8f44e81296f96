"""Ratios of skdeep to its peers, measured side by side: `python -m benchmarks`."""
