"""Rows on a cluster: what the user gives, chunks on workers, and the source that stands for X."""
