"""Training: batches, the trainer, the monitor, the history."""
