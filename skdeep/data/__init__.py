"""The data of a fit: training rows and their weights, class labels, validation data."""
