"""
Early stopping, simple and patient
==================================

A network that can learn 30 rows by heart is best somewhere in the middle of its training. Early
stopping ends training there. The simple rule stops as soon as the test loss does not fall. The
patient rule waits for 200 epochs without a better loss. The lecture also keeps the model with the
best accuracy, because the last model comes 200 epochs after the one with the best loss.

The user guide explains :doc:`early stopping </families/stopping>`.
"""

import math
import tempfile

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import make_moons

import skdeep
from skdeep import MLPClassifier
from skdeep.callbacks import EarlyStopping, ModelCheckpoint
from skdeep.plotting import TrainingCurveDisplay

KERAS = {  # Keras's defaults; its batches of 32 hold all 30 rows, as skdeep's do
    "initializer": ("glorot_uniform", "glorot_uniform"),
    "bias_initializer": "zeros",
    "alpha": 0,
    "epsilon": 1e-7,
    "n_iter_no_change": math.inf,  # only the callbacks end training
}

# %%
# The data
# --------
# The lecture trains on the first 30 of 100 rows, and passes the other 70 as validation data. These
# rows choose when to stop, so that their figures are too good in the end. For an honest figure, we
# draw 10,000 new rows, which choose nothing.

X, y = make_moons(100, noise=0.2, random_state=1)
X_train, y_train, X_val, y_val = X[:30], y[:30], X[30:], y[30:]
X_new, y_new = make_moons(10_000, noise=0.2, random_state=2)


def fit(*callbacks, **options):
    mlp = MLPClassifier(
        (500,), max_iter=4000, callbacks=list(callbacks), random_state=0, **KERAS, **options
    )
    return mlp.fit(X_train, y_train, X_val=X_val, y_val=y_val)


def accuracy(y_true, y_pred):
    return np.mean(y_true == y_pred)


# %%
# The lecture's rules
# -------------------
# Keras's ``patience=0``, its default, is ``patience=1`` here: both stop after the first epoch
# without an improvement. ``restore_best=False`` keeps the last weights, as Keras does by default.
# The checkpoint writes a file whenever the accuracy on the validation rows reaches a new best
# value. The last row of the table shows skdeep's default, which is to restore the weights of the
# best epoch.

simple = EarlyStopping("val_loss", mode="min", patience=1, restore_best=False)
patient = EarlyStopping("val_loss", mode="min", patience=200, restore_best=False)
restoring = EarlyStopping("val_loss", mode="min", patience=200)

with tempfile.TemporaryDirectory() as folder:
    best = ModelCheckpoint(f"{folder}/best", monitor="val_score", mode="max", best_only=True)
    models = {
        "no rule": fit(metrics={"accuracy": accuracy}, scoring="loss"),
        "simple": fit(simple),
        "patient": fit(patient, best),
        "patient, best accuracy": skdeep.load(best.path_),
        "patient, best loss": fit(restoring, scoring="loss"),
    }

stopped = {"no rule": 4000, "simple": simple.stopped_epoch_, "patient": patient.stopped_epoch_}
kept = {
    **stopped,
    "patient, best accuracy": models["patient, best accuracy"].n_iter_,
    "patient, best loss": restoring.best_epoch_,
}
print("                        weights of    accuracy in %          loss of")
print("rule                    epoch         validation  new rows   new rows")
table = {}
for name, mlp in models.items():
    loss = -mlp.predict_log_proba(X_new)[np.arange(len(y_new)), y_new].mean()
    table[name] = [100 * mlp.score(X_val, y_val), 100 * mlp.score(X_new, y_new), loss]
    print("{:23s} {:10d} {:13.1f} {:9.1f} {:10.3f}".format(name, kept[name], *table[name]))

# %%
# The training rows and the validation rows by epoch, and where the rules stopped:

histories = {"30 rows": models["no rule"].history_}
figure, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
TrainingCurveDisplay(histories, best={"30 rows": None}, metric="accuracy").plot(ax=axes)
axes[0].set(yscale="log", ylim=(1e-3, 2))
axes[1].set(ylim=(0.6, 1.02))
marks = {"simple": "C1", "patient": "C2", "patient, best loss": "C3"}
for name, colour in marks.items():
    for axis in axes:
        axis.axvline(kept[name], color=colour, linestyle=":", label=f"{name} ({kept[name]})")
axes[0].get_legend().remove()
axes[1].legend(fontsize="small", loc="lower right")
figure.suptitle("Loss and accuracy by epoch, and the epochs of the rules")

# %%
# The lecture has this case as pictures, without figures. Its claims hold. The simple rule stops far
# too early, after 233 epochs: the loss rises for one epoch on a plateau, and 87.5% of the new rows
# are right. The patient rule crosses the plateau and stops after 1,002 epochs, with 93.3%. All
# 4,000 epochs end with 92.6%, and with almost twice the loss of the patient rule: the network
# becomes too sure of its errors. Keeping the best model takes the loss down a little more, from
# 0.195 to 0.186. It does not change the accuracy on new rows by more than chance.

# %%
# Four triggers
# -------------
# The lecture names four signs that end training: no change over some epochs, a small absolute
# change, a decrease in performance, and a small average change. ``EarlyStopping`` has a trigger for
# each. All restore the weights of the best epoch here.

triggers = {
    "no_improvement": {"patience": 200},
    "absolute_change": {"threshold": 1e-5},
    "decrease": {"patience": 200, "threshold": 0.01},
    "average_change": {"patience": 200, "threshold": 1e-4},
}
print("trigger           stopped after   best epoch   new rows in %")
ends = {}
for trigger, options in triggers.items():
    rule = EarlyStopping("val_loss", trigger=trigger, **options)
    mlp = fit(rule, scoring="loss")
    ends[trigger] = rule.stopped_epoch_
    score = 100 * mlp.score(X_new, y_new)
    print(f"{trigger:17s} {rule.stopped_epoch_:13d} {rule.best_epoch_:12d} {score:15.1f}")

# %%
# Two of the triggers end on the plateau near epoch 250, where the validation loss hardly changes.
# They say that progress is slow, not that the network overfits. The other two cross the plateau.
# They find the same best epoch, 802, because both look 200 epochs back.

assert simple.stopped_epoch_ < 500 < patient.stopped_epoch_ < 2000
assert table["patient"][1] > table["simple"][1] + 3
for name in ("patient", "patient, best accuracy", "patient, best loss"):
    assert table[name][2] < 0.75 * table["no rule"][2]
assert max(ends["absolute_change"], ends["average_change"]) < 500
assert min(ends["no_improvement"], ends["decrease"]) > 600
