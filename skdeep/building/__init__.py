"""From hyperparameters to parts: options, layers, first values, weights from other models."""
