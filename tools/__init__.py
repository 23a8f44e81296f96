"""Programs for the development of skdeep, which are not installed."""
