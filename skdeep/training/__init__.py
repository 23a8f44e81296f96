"""Training: the run, the trainer, batches, stages for the gradient, the monitor, the history."""
