"""
Watching training
=================

Callbacks are called after every epoch. Those of skdeep stop training, save the best model, and
write a table; others show progress or log to TensorBoard and MLflow. A callback of your own is a
class with one method or several: see :doc:`/callbacks`.
"""

import tempfile
from itertools import pairwise
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import skdeep
from skdeep import MLPClassifier
from skdeep.callbacks import Callback, CSVLogger, EarlyStopping, ModelCheckpoint

# %%
# A callback of your own
# ----------------------
# It finds the epoch in which the loss fell most.


class LargestFall(Callback):
    def on_epoch_end(self, trainer):
        losses = trainer.history["loss"]
        falls = [before - after for before, after in pairwise(losses)]
        if falls:
            self.epoch_ = 2 + falls.index(max(falls))


# %%
# Training with four callbacks
# ----------------------------
# ``verbose=True`` prints a line for every epoch.

X, y = load_digits(return_X_y=True)
X_train, X_val, y_train, y_val = train_test_split(X / 16, y, stratify=y, random_state=0)
directory = Path(tempfile.mkdtemp())
stopping = EarlyStopping("val_loss", patience=5)
checkpoint = ModelCheckpoint(directory / "best.skdeep", best_only=True, monitor="val_loss")
largest = LargestFall()

mlp = MLPClassifier(
    (64, 32),
    dropout=0.2,
    learning_rate_init=0.01,
    max_iter=60,
    callbacks=[stopping, checkpoint, CSVLogger(directory / "log.csv"), largest],
    verbose=True,
    random_state=0,
).fit(X_train, y_train, X_val=X_val, y_val=y_val)

# %%
# What the callbacks found
# ------------------------
# The network has the weights of the best epoch, and so does the model in the file.

saved = skdeep.load(checkpoint.path_)
print(f"Stopped after epoch {stopping.stopped_epoch_}; the best was {stopping.best_epoch_}.")
print(f"Accuracy with its weights: {mlp.score(X_val, y_val):.3f}")
print(f"Accuracy of the saved model: {saved.score(X_val, y_val):.3f}")
print(f"The loss fell most in epoch {largest.epoch_}.")

# %%
# The table on disk has a row for each epoch.

table = pd.read_csv(directory / "log.csv")
print(table[["epoch", "loss", "val_loss", "val_score", "gradient_norm"]].tail(3))

figure, ax = plt.subplots(figsize=(7, 4), layout="constrained")
table.plot(x="epoch", y=["loss", "val_loss"], ax=ax)
ax.axvline(stopping.best_epoch_, color="black", linestyle=":", label="the best epoch")
ax.set(title="The losses in the table, and the epoch that is kept", xlabel="Epoch", ylabel="Loss")
ax.legend()

assert stopping.best_epoch_ < stopping.stopped_epoch_ == len(table) < 60
assert saved.score(X_val, y_val) == mlp.score(X_val, y_val) > 0.9
