"""Write the golden files: models in today's format, which every later version has to read.

`python -m tools.golden` writes the missing files, and the raw outputs of their models. An existing
file is never written again: add a model for a new part. After a change of the format, the models go
into a new folder.
"""

from __future__ import annotations

import contextlib
import inspect
import json
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.frozen import FrozenEstimator

from skdeep import (
    MLPAutoencoder,
    MLPClassifier,
    MLPRegressor,
    MultiTaskMLP,
    TabularClassifier,
    TabularRegressor,
    callbacks,
    layers,
    load,
    save,
)
from skdeep.activations import ACTIVATIONS, Parametric, PReLU
from skdeep.augmentation import AUGMENTATIONS
from skdeep.averages import EMA, SWA
from skdeep.constraints import CONSTRAINTS
from skdeep.files.migrations import FORMAT
from skdeep.initializers import INITIALIZERS
from skdeep.losses import CLASSIFICATION_LOSSES, REGRESSION_LOSSES, QuantileLoss
from skdeep.optimizers import OPTIMIZERS
from skdeep.regularizers import REGULARIZERS
from skdeep.schedules import SCHEDULES, Adaptive, Piecewise, Scheduled, Warmup
from skdeep.tasks import Classification, Regression

ROOT = Path(__file__).parents[1] / "tests" / "files" / "golden"
RNG = np.random.default_rng(0)
X = RNG.standard_normal((24, 3))
CLASSES = np.array(["low", "middle", "high"])[np.digitize(X[:, 0], [-0.5, 0.5])]
TABLE = np.column_stack(
    [X.astype(object), np.where(X[:, 0] > 1, None, CLASSES), np.where(X[:, 1] > 0, "a", "b")]
)
NUMBERS = np.exp(X[:, :2] / 3)
TASKS = {
    "kind": np.where(X[:, 2] > 1, None, CLASSES),
    "size": np.where(X > 1, np.nan, X)[:, :2],
    "hint": X[:, 1] > 0,
}
OPTIONS: dict[str, Any] = {"max_iter": 3, "batch_size": 12, "random_state": 0}


def one_of_each() -> Iterator[dict[str, Any]]:
    """Yield the options of models, which together have every part of the families."""
    families = {
        "activation": ACTIVATIONS,
        "initializer": INITIALIZERS,
        "kernel_regularizer": REGULARIZERS,
        "kernel_constraint": CONSTRAINTS,
        "solver": OPTIMIZERS,
        "learning_rate": {
            **SCHEDULES,
            "piecewise": lambda: Piecewise([1, 2], [1.0, 0.5, 0.1]),
            "warmup": lambda: Warmup("linear", 2),
        },
    }
    longest = max(map(len, families.values()))
    supplies = {name: cycle(family.values()) for name, family in families.items()}
    for _ in range(longest):
        yield {name: next(supply)() for name, supply in supplies.items()}


def models() -> Iterator[tuple[str, Callable[[], Any]]]:
    """Yield a name and a function that fits a model, for every file."""
    losses = cycle(REGRESSION_LOSSES.values())
    for i, options in enumerate(one_of_each()):
        loss = next(losses)
        yield (
            f"parts-{i:02d}",
            lambda o=options, f=loss: MLPRegressor((2,), loss=f(), **o, **OPTIONS).partial_fit(
                X, NUMBERS
            ),
        )
    for name, loss in CLASSIFICATION_LOSSES.items():
        yield (
            f"classifier-{name}",
            lambda f=loss: MLPClassifier((2,), loss=f(), **OPTIONS).partial_fit(
                X, CLASSES, classes=np.unique(CLASSES)
            ),
        )
    yield (
        "multilabel",
        lambda: MLPClassifier((2,), early_stopping=True, **OPTIONS).fit(
            X, (NUMBERS > 1).astype(int)
        ),
    )
    yield "lbfgs", lambda: MLPRegressor((2,), solver="lbfgs", max_iter=3).fit(X, NUMBERS)
    yield "layers", lambda: MLPRegressor(layers=_layers(), **OPTIONS).partial_fit(X, NUMBERS)
    yield "piecewise-linear", lambda: _with_layers([layers.PiecewiseLinear(2, 4, rate=2.0)])
    yield "periodic", lambda: _with_layers([layers.Periodic(3, 4)])
    yield "embedding", lambda: _with_layers([layers.Embedding([2, 3, 2], 2)])
    yield "shared-layers", _shared_layers
    yield "pretrained-layer", _pretrained_layer
    yield "options", _many_options
    yield "pruning", _pruned_by_optuna
    for average in (EMA(0.9), SWA(start=0)):
        yield (
            type(average).__name__.lower(),
            lambda a=average: MLPClassifier(
                (2,), weight_averaging=a, batch_norm="before", **OPTIONS
            ).partial_fit(X, CLASSES, classes=np.unique(CLASSES)),
        )
    yield (
        "parametric",
        lambda: MLPRegressor(
            (2, 2), activation=[Parametric("tanh", 0.5, 0.7), PReLU(rate=0.1)], **OPTIONS
        ).fit(X, NUMBERS),
    )
    data_driven = {"initializer": "data", "bias_initializer": "data"}
    yield (
        "scale",
        lambda: MLPRegressor(
            layers=[
                layers.Scale("normal", 2.0),
                layers.Dense(2, "relu", kernel_rate="fan_in", bias_rate=0.5, **data_driven),
            ],
            **OPTIONS,
        ).fit(X, NUMBERS),
    )
    yield "tabular-classifier", lambda: _tabular(TabularClassifier, CLASSES)
    yield "tabular-regressor", lambda: _tabular(TabularRegressor, NUMBERS)
    yield "joint-loss", _joint_loss
    yield (
        "quantiles",
        lambda: MLPRegressor((2,), loss=QuantileLoss([0.1, 0.9], non_crossing=True), **OPTIONS).fit(
            X, NUMBERS[:, 0]
        ),
    )
    yield "autoencoder", lambda: MLPAutoencoder((2,), tied_weights=True, **OPTIONS).fit(X)
    yield "multi-task", lambda: _multi_task().fit(X, TASKS)
    yield "augment", _augmented
    yield "pretrained", _pretrained
    yield "checkpoint", _checkpoint
    yield "continue", _to_be_continued
    yield "checkpoint-within", _checkpoint_within_an_epoch


def _layers() -> list[layers.Layer]:
    return [
        layers.Concatenate([layers.Columns([0, 2]), [layers.Dense(2, "relu")], []]),
        layers.Residual([layers.Dense(7), layers.BatchNorm()]),
        layers.Activation("tanh"),
        layers.ActivityRegularization("l1_l2"),
        layers.GaussianNoise(0.1),
        layers.Dropout(Scheduled(0.1, "cosine_log")),
    ]


def _shared_layers() -> Any:
    shared, block = layers.Dense(2, "prelu"), layers.Residual([layers.BatchNorm(), layers.Dense(4)])
    left, right = [layers.Columns([0, 1]), ("twin", shared)], [layers.Columns([1, 2]), shared]
    stack = [
        layers.Concatenate([("left", left), ("right", right)]),
        ("block", block),
        block,
        layers.Dense(2, activity_regularizer="l1"),
        layers.Output(kernel_regularizer="l2", bias_initializer="ones"),
    ]
    return MLPRegressor(layers=stack, **OPTIONS).partial_fit(X, NUMBERS)


def _pretrained_layer() -> Any:
    below = MLPClassifier((3, 2), batch_norm="after", **OPTIONS).fit(X, CLASSES)
    stack = [layers.Pretrained(FrozenEstimator(below), n_layers=1), layers.Dense(2, "tanh")]
    return MLPRegressor(layers=stack, **OPTIONS).partial_fit(X, NUMBERS)


def _with_layers(below: list[layers.Layer]) -> Any:
    return MLPRegressor(layers=[*below, layers.Dense(3, "tanh")], **OPTIONS).partial_fit(X, NUMBERS)


def _tabular(cls: type, y: np.ndarray) -> Any:
    options = {"hidden_layer_sizes": (2,), "n_members": 2, "max_iter": 4, "random_state": 0}
    return cls(max_one_hot=2, bagging=True, **options).fit(TABLE, y)


def _joint_loss() -> Any:
    """Return a model with a loss for each output, and a gap in its targets."""
    options = {"loss": ["huber", "poisson"], "loss_weights": [0.9, 0.1], **OPTIONS}
    Y = NUMBERS.copy()
    Y[3, 1] = np.nan
    return MLPRegressor((2,), missing_targets="ignore", **options).fit(X, Y)


def _many_options() -> Any:
    model = MLPRegressor(
        (2, 2),
        dropout=[Scheduled(0.1, "flat_cosine"), 0.2],
        weight_decay=Scheduled(0.01, "linear"),
        frozen_layers=1,
        learning_rate_multipliers=[0.5, 1.0],
        standardize_y=True,
        early_stopping=True,
        callbacks=[
            callbacks.EarlyStopping(),
            callbacks.GradualUnfreezing(2),
            callbacks.LayerStatistics(),
            callbacks.LearningRateLogger(),
            callbacks.TerminateOnNaN(),
        ],
        **OPTIONS,
    ).fit(X, NUMBERS)
    writers = [
        callbacks.CSVLogger("a.csv"),
        callbacks.MLflow(),
        callbacks.ModelCheckpoint("a.skdeep"),
        callbacks.TensorBoard("a"),
    ]
    return model.set_params(callbacks=[*model.callbacks, *writers])


def _pruned_by_optuna() -> Any:
    model = MLPClassifier((2,), **OPTIONS).fit(X, CLASSES)
    return model.set_params(callbacks=callbacks.OptunaPruning(None))


def _multi_task() -> Any:
    tasks = {
        "kind": Classification(class_weight={"low": 2.0}, label_smoothing=0.1, at=0),
        "size": Regression(standardize_y=True, layers=[layers.Dense(2, "tanh")]),
        "hint": Classification(training_only=True, at=0),
    }
    return MultiTaskMLP((2, 2), tasks=tasks, warm_start=True, **OPTIONS)


def _augmented() -> Any:
    """Return a model with all augmentations; its data are images of 1 x 3 pixels."""
    steps = [
        cls(shape=(1, 3)) if "shape" in inspect.signature(cls).parameters else cls()
        for cls in AUGMENTATIONS.values()
    ]
    return MLPRegressor((2,), augment=steps, **OPTIONS).fit(X, NUMBERS)


def _pretrained() -> Any:
    below = MLPClassifier((2,), **OPTIONS).fit(X, CLASSES)
    return MLPRegressor(pretrained=FrozenEstimator(below), **OPTIONS).fit(X, NUMBERS)


def _to_be_continued() -> Any:
    """Return a model with the weights of its best epoch, and the state after its last one."""
    return MLPClassifier(
        (2,),
        warm_start="continue",
        metrics=["accuracy", "roc_auc_ovr"],
        early_stopping=True,
        validation_fraction=0.25,
        learning_rate=Adaptive(2.0),
        weight_averaging="ema",
        **OPTIONS,
    ).fit(X, CLASSES)


def _checkpoint() -> Any:
    """Return a model in the middle of its training."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        watchers = [
            callbacks.EarlyStopping(),
            callbacks.ModelCheckpoint("{run}-{epoch}.skdeep"),
        ]
        MLPClassifier((2,), callbacks=watchers, **OPTIONS).fit(X, CLASSES)
        (found,) = Path().glob("*-2.skdeep")
        return load(found)


def _checkpoint_within_an_epoch() -> Any:
    """Return a model in the middle of an epoch, with the raw outputs of its first batches."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        checkpoint = callbacks.ModelCheckpoint("{run}.skdeep", every=3, every_n_batches=2)
        options = {**OPTIONS, "max_iter": 2, "batch_size": 10, "metrics": "accuracy"}
        MLPClassifier((2,), callbacks=[checkpoint], **options).fit(X, CLASSES)
        return load(checkpoint.path_)


def said_by(model: Any) -> list[list[float]]:
    """Return the raw outputs of a model for the data, or its predictions for the table."""
    if hasattr(model, "members_"):
        is_classifier = hasattr(model, "classes_")
        P = model.predict_proba(TABLE) if is_classifier else model.predict(TABLE)
        return np.round(P, 9).tolist()
    Z = model.network_.infer(X.astype(model.network_.dtype))
    return np.round(Z.astype(float), 9).tolist()


def main(root: Path = ROOT) -> None:
    """Write the missing files."""
    folder = root / f"format-{FORMAT}"
    folder.mkdir(parents=True, exist_ok=True)
    expected_path = folder / "expected.json"
    expected = json.loads(expected_path.read_text()) if expected_path.exists() else {}
    os.environ["SKDEEP_KERNELS"] = "numpy"
    for name, fit in models():
        path = folder / f"{name}.skdeep"
        if path.exists():
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = fit()
        save(model, path)
        expected[name] = said_by(model)
        print(f"{path.name}: written, {path.stat().st_size:,} bytes")
    # One line for each model, so that models of several changes can be merged.
    lines = [f"{json.dumps(name)}: {json.dumps(expected[name])}" for name in sorted(expected)]
    expected_path.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
