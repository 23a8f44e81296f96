"""
A look inside networks
======================

Two networks learn to classify digits. One is sound. The other one has ten layers of sigmoid units,
and its inputs are pixels that are not scaled. :func:`~skdeep.inspection.diagnose` names what is
wrong with it, and the displays of ``skdeep.plotting`` show it. :doc:`/inspection` lists all
findings and displays.
"""

from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from skdeep import MLPClassifier
from skdeep.callbacks import LayerStatistics
from skdeep.inspection import bias_variance_report, diagnose, learning_rate_range_test
from skdeep.plotting import (
    ActivationDisplay,
    FirstLayerDisplay,
    GradientFlowDisplay,
    LearningRateRangeDisplay,
    NetworkDisplay,
    ScheduleDisplay,
    TrainingCurveDisplay,
    WeightDisplay,
)

# %%
# The networks
# ------------
# The callback ``LayerStatistics`` records the gradients of each layer, for the pictures below.

X, y = load_digits(return_X_y=True)
X_train, X_val, y_train, y_val = train_test_split(X, y, stratify=y, random_state=0)
scaler = StandardScaler().fit(X_train)
Z_train, Z_val = scaler.transform(X_train), scaler.transform(X_val)

sound = MLPClassifier(
    (64, 32), dropout=0.2, max_iter=40, callbacks=[LayerStatistics()], random_state=0
).fit(Z_train, y_train, X_val=Z_val, y_val=y_val)
ill = MLPClassifier(
    (16,) * 10, "logistic", max_iter=40, callbacks=[LayerStatistics()], random_state=0
).fit(X_train, y_train, X_val=X_val, y_val=y_val)

# %%
# The reports
# -----------

reports = {}
for name, model, train, val in (
    ("sound", sound, Z_train, Z_val),
    ("ill", ill, X_train, X_val),
):
    print(f"The {name} network, accuracy {model.score(val, y_val):.3f}:")
    reports[name] = str(diagnose(model, train, y_train, val, y_val))
    print(reports[name])
    errors = 1 - model.score(train, y_train), 1 - model.score(val, y_val)
    print(f"\n{bias_variance_report(*errors)}\n")

# %%
# Curves of training
# ------------------

display = TrainingCurveDisplay.from_estimator(sound, ill, names=["sound", "ill"])
_ = display.figure_.suptitle("Training curves of both networks")

# %%
# Gradients
# ---------
# The pictures show the gradients of each layer over the epochs. In the ill network, those of the
# lower layers are smaller by several orders of magnitude.

display = GradientFlowDisplay.from_estimator(sound)
_ = display.figure_.suptitle("Gradients of the sound network")

# %%

display = GradientFlowDisplay.from_estimator(ill)
_ = display.figure_.suptitle("Gradients of the ill network")

# %%
# Outputs of the layers
# ---------------------
# The raw outputs of the ill network, at the bottom of its picture, are nearly the same for all
# rows.

display = ActivationDisplay.from_estimator(sound, Z_train)
_ = display.figure_.suptitle("Outputs of the layers of the sound network")

# %%

display = ActivationDisplay.from_estimator(ill, X_train)
_ = display.figure_.suptitle("Outputs of the layers of the ill network")

# %%
# Weights
# -------
# The first picture shows the weights of each layer. The second one shows the weights of the first
# units as images.

display = WeightDisplay.from_estimator(sound)
_ = display.figure_.suptitle("Weights of the sound network")

# %%

display = FirstLayerDisplay.from_estimator(sound)
_ = display.figure_.suptitle("Incoming weights of the first hidden layer")

# %%
# The architecture
# ----------------

display = NetworkDisplay.from_estimator(sound)
_ = display.figure_.suptitle("The sound network")

# %%
# Learning rates
# --------------
# A sweep over learning rates, on a copy of the model, shows a good rate to begin with. A schedule
# can be drawn without training.

print("A good rate to begin with:", learning_rate_range_test(sound, Z_train, y_train))
display = LearningRateRangeDisplay.from_estimator(sound, Z_train, y_train)
_ = display.figure_.suptitle("The loss over a sweep of learning rates")

# %%

display = ScheduleDisplay.from_schedules("cosine", "one_cycle", "step", "exponential")
_ = display.figure_.suptitle("Four schedules of the learning rate")

# %%

assert "Nothing was found to be wrong." in reports["sound"]
assert "vanishing gradients" in reports["ill"]
