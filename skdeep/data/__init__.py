"""What goes in: the rows that are trained on, their weights, targets and validation data."""
