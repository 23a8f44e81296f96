"""The contenders of the case "tabular": how each model is made, and what it is given.

A library is imported only if its model runs. All models have their default parameters, but for the
number of threads.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sklearn import ensemble, neural_network
from sklearn.compose import (
    TransformedTargetRegressor,
    make_column_selector,
    make_column_transformer,
)
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import skdeep
from benchmarks.contenders import not_installed


@dataclass(frozen=True)
class Setting:
    """What a model is made for.

    `quick` asks for a tiny model, to check that it runs.
    """

    is_classifier: bool
    seed: int
    n_threads: int
    quick: bool = False


@dataclass(frozen=True)
class Model:
    """How to make a model, and how to prepare its rows.

    Parameters
    ----------
    make : callable(setting)
        Returns an estimator that is not fitted.
    needs : tuple of str
        The modules that have to be installed.
    prepare : callable(frames)
        Returns the training, validation and test rows in the form that the model takes. This is not
        timed.
    validates : bool
        Whether fit is given the validation rows as X_val and y_val.
    fit_arguments : callable(frame)
        Returns further arguments of fit for these training rows.
    """

    make: Callable[[Setting], Any]
    needs: tuple[str, ...] = ()
    prepare: Callable[[list], list] = list
    validates: bool = False
    fit_arguments: Callable[[Any], dict] | None = None

    def missing(self) -> list[str]:
        """Return the names of the modules that are not installed."""
        return not_installed((*self.needs, "pandas"))


def _skdeep(setting: Setting, **parameters) -> Any:
    kind = skdeep.TabularClassifier if setting.is_classifier else skdeep.TabularRegressor
    if setting.quick:
        parameters = {"n_members": 2, "hidden_layer_sizes": (8,), "max_iter": 3, **parameters}
    return kind(n_jobs=setting.n_threads, random_state=setting.seed, **parameters)


def _one_member(setting: Setting) -> Any:
    return _skdeep(setting, n_members=1)


# RealMLP ------------------------------------------------------------------------------------------


def _real_mlp(name: str, setting: Setting) -> Any:
    import pytabkit
    import torch

    for logger in ("pytorch_lightning", "lightning.pytorch"):
        logging.getLogger(logger).setLevel(logging.ERROR)
    torch.set_num_threads(setting.n_threads)
    kind = getattr(pytabkit, f"{name}_{'Classifier' if setting.is_classifier else 'Regressor'}")
    return kind(
        device="cpu",
        random_state=setting.seed,
        n_threads=setting.n_threads,
        verbosity=0,
        **({"n_epochs": 2} if setting.quick else {}),
    )


def _td(setting: Setting) -> Any:
    return _real_mlp("RealMLP_TD", setting)


def _td_s(setting: Setting) -> Any:
    return _real_mlp("RealMLP_TD_S", setting)


def _filled(frames: list) -> list:
    """Return frames without missing numbers, which RealMLP does not take."""
    medians = frames[0].select_dtypes(exclude="category").median().fillna(0.0)
    return [frame.fillna(medians) for frame in frames]


# Boosted trees ------------------------------------------------------------------------------------


def _catboost(setting: Setting) -> Any:
    import catboost

    kind = catboost.CatBoostClassifier if setting.is_classifier else catboost.CatBoostRegressor
    return kind(
        random_seed=setting.seed,
        thread_count=setting.n_threads,
        verbose=False,
        allow_writing_files=False,
        **({"iterations": 5} if setting.quick else {}),
    )


def _as_text(frames: list) -> list:
    """Return frames with strings for categories: CatBoost takes no missing ones."""
    texts = []
    for frame in frames:
        text = frame.copy()
        for name in _categories(frame):
            column = frame[name].astype(object)
            text[name] = column.where(column.notna(), "<missing>").astype(str)
        texts.append(text)
    return texts


def _cat_features(frame) -> dict:
    return {"cat_features": list(frame.select_dtypes(exclude="number").columns)}


def _lightgbm(setting: Setting) -> Any:
    import lightgbm

    kind = lightgbm.LGBMClassifier if setting.is_classifier else lightgbm.LGBMRegressor
    return kind(
        random_state=setting.seed,
        n_jobs=setting.n_threads,
        verbose=-1,
        **({"n_estimators": 5} if setting.quick else {}),
    )


def _renamed(frames: list) -> list:
    """Return frames with short names, as LightGBM does not take all characters."""
    return [frame.set_axis([f"f{j}" for j in range(frame.shape[1])], axis=1) for frame in frames]


def _hist_gradient_boosting(setting: Setting) -> Any:
    is_classifier = setting.is_classifier
    kind = "HistGradientBoosting" + ("Classifier" if is_classifier else "Regressor")
    parameters = {"max_iter": 5} if setting.quick else {}
    return getattr(ensemble, kind)(random_state=setting.seed, **parameters)


# scikit-learn's MLP -------------------------------------------------------------------------------


def _scikit_learn(setting: Setting) -> Any:
    kind = neural_network.MLPClassifier if setting.is_classifier else neural_network.MLPRegressor
    mlp = kind(random_state=setting.seed, **({"max_iter": 3} if setting.quick else {}))
    if not setting.is_classifier:
        mlp = TransformedTargetRegressor(mlp, transformer=StandardScaler())
    one_hot = OneHotEncoder(handle_unknown="ignore", drop="if_binary", sparse_output=False)
    columns = make_column_transformer(
        (one_hot, make_column_selector(dtype_include="category")),
        (
            SimpleImputer(strategy="median", keep_empty_features=True),
            make_column_selector(dtype_exclude="category"),
        ),
    )
    return make_pipeline(columns, StandardScaler(), mlp)


def _categories(frame) -> list:
    return list(frame.select_dtypes("category").columns)


MODELS: dict[str, Model] = {
    "skdeep": Model(_skdeep, validates=True),
    "skdeep, one member": Model(_one_member, validates=True),
    "RealMLP-TD": Model(_td, ("pytabkit", "torch"), _filled, validates=True),
    "RealMLP-TD-S": Model(_td_s, ("pytabkit", "torch"), _filled, validates=True),
    "CatBoost": Model(_catboost, ("catboost",), _as_text, fit_arguments=_cat_features),
    "LightGBM": Model(_lightgbm, ("lightgbm",), _renamed),
    "HistGradientBoosting": Model(_hist_gradient_boosting),
    "scikit-learn MLP": Model(_scikit_learn),
}
