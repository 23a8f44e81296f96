"""Watching training: printed lines, early stopping, a table, and a custom callback."""

import tempfile
import warnings
from itertools import pairwise
from pathlib import Path

import pandas as pd
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split

from skdeep import MLPClassifier
from skdeep.callbacks import Callback, CSVLogger, EarlyStopping, ModelCheckpoint


class LargestStep(Callback):
    """Record the epoch in which the loss fell most."""

    def on_epoch_end(self, trainer):
        losses = trainer.history["loss"]
        falls = [before - after for before, after in pairwise(losses)]
        if falls:
            self.epoch_ = 2 + falls.index(max(falls))


def main() -> None:
    """Train with all these callbacks."""
    warnings.simplefilter("ignore", ConvergenceWarning)
    X, y = load_digits(return_X_y=True)
    X_train, X_val, y_train, y_val = train_test_split(X / 16, y, stratify=y, random_state=0)
    directory = Path(tempfile.mkdtemp())
    stopping = EarlyStopping("val_loss", patience=5)
    checkpoint = ModelCheckpoint(directory / "best.skdeep", best_only=True, monitor="val_loss")
    largest = LargestStep()

    mlp = MLPClassifier(
        (64, 32),
        dropout=0.2,
        learning_rate_init=0.01,
        max_iter=60,
        callbacks=[stopping, checkpoint, CSVLogger(directory / "log.csv"), largest],
        verbose=True,
        random_state=0,
    ).fit(X_train, y_train, X_val=X_val, y_val=y_val)

    print(f"\nStopped after epoch {stopping.stopped_epoch_}; the best was {stopping.best_epoch_}.")
    print(f"Accuracy with its weights: {mlp.score(X_val, y_val):.3f}")
    print(f"The loss fell most in epoch {largest.epoch_}. The end of the table on disk:")
    table = pd.read_csv(directory / "log.csv")
    print(table[["epoch", "loss", "val_loss", "val_score", "gradient_norm"]].tail(3))
    print(f"Files in {directory}: {sorted(path.name for path in directory.iterdir())}")


if __name__ == "__main__":
    main()
