"""A look inside networks: a doctor's report, statistics of layers, and pictures.

Two networks learn to classify digits. One is sound. The other has ten layers of sigmoid units, and
pixels that are not scaled as inputs. The pictures are written to a directory, which may be given on
the command line.
"""

import sys
import warnings
from pathlib import Path

from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
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


def main(directory: str = "pictures") -> None:
    """Train both networks, and look inside them."""
    warnings.simplefilter("ignore", ConvergenceWarning)
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

    for name, model, train, val in (
        ("sound", sound, Z_train, Z_val),
        ("ill", ill, X_train, X_val),
    ):
        print(f"The {name} network, accuracy {model.score(val, y_val):.3f}:")
        print(diagnose(model, train, y_train, val, y_val))
        errors = 1 - model.score(train, y_train), 1 - model.score(val, y_val)
        print(f"\n{bias_variance_report(*errors)}\n")
    print("A good rate to begin with:", learning_rate_range_test(sound, Z_train, y_train))

    pictures = {
        "training_curves": TrainingCurveDisplay.from_estimator(sound, ill, names=["sound", "ill"]),
        "learning_rates": LearningRateRangeDisplay.from_estimator(sound, Z_train, y_train),
        "gradients_sound": GradientFlowDisplay.from_estimator(sound),
        "gradients_ill": GradientFlowDisplay.from_estimator(ill),
        "activations_sound": ActivationDisplay.from_estimator(sound, Z_train),
        "activations_ill": ActivationDisplay.from_estimator(ill, X_train),
        "weights": WeightDisplay.from_estimator(sound),
        "first_layer": FirstLayerDisplay.from_estimator(sound),
        "network": NetworkDisplay.from_estimator(sound),
        "schedules": ScheduleDisplay.from_schedules("cosine", "one_cycle", "step", "exponential"),
    }
    Path(directory).mkdir(exist_ok=True)
    for name, display in pictures.items():
        display.figure_.savefig(Path(directory) / f"{name}.png")
    print(f"{len(pictures)} pictures are in {directory}/.")


if __name__ == "__main__":
    main(*sys.argv[1:])
