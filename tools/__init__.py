"""Programs for those who work on skdeep; no part of what is installed."""
