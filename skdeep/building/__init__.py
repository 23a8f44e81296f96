"""From hyperparameters to networks and runs: options, checks, layers, first values, transfer."""
