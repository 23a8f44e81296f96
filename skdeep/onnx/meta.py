"""Networks in scikit-learn's meta-estimators, which skl2onnx's own converters convert.

A few of these converters compute something else from the inner estimators than scikit-learn does.
Before such a converter runs, the converters of the inner networks are given the options that it
needs. If the result would still differ, NotImplementedError is raised. Meta-estimators without a
network of skdeep are converted as before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import skl2onnx.operator_converters  # noqa: F401  # registers its converters
from skl2onnx import get_model_alias, update_registered_parser
from skl2onnx._parse import sklearn_parsers_map
from skl2onnx.common._registration import get_converter, register_converter
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import BaggingClassifier, StackingClassifier
from sklearn.model_selection import TunedThresholdClassifierCV
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier
from sklearn.pipeline import FeatureUnion, Pipeline

from skdeep.estimators import MLPClassifier
from skdeep.estimators.base import BaseMLP
from skdeep.onnx.converters import is_marked, mark_as_transformers


def register_meta_estimators() -> None:
    """Make skl2onnx prepare the inner networks before it converts a meta-estimator."""
    for cls, prepare in PREPARATIONS.items():
        _run_before_converter(cls, prepare)
    for cls, transformers_of in PARSED.items():
        _run_before_parser(cls, transformers_of)


def _run_before_converter(cls: type, prepare: Callable[[Any, Callable], None]) -> None:
    alias = get_model_alias(cls)
    converter = get_converter(alias)
    if hasattr(converter._fct, "prepares_networks"):  # registered already
        return

    def convert(scope, operator, container):
        def set_options(model: Any, **options: Any) -> None:
            for owner in (scope, container):
                owner.add_options(id(model), options)

        model = operator.raw_operator
        if isinstance(model, Pipeline):
            mark_as_transformers(scope, _middle_of(model))
        elif any(networks_in(model)):
            prepare(model, set_options)
        return converter._fct(scope, operator, container)

    convert.prepares_networks = True
    register_converter(alias, convert, overwrite=True, options=converter.get_allowed_options())


def _run_before_parser(cls: type, transformers_of: Callable[[Any], list]) -> None:
    parser = sklearn_parsers_map[cls]
    if hasattr(parser, "prepares_networks"):
        return

    def parse(scope, model, inputs, custom_parsers=None):
        mark_as_transformers(scope, transformers_of(model))
        if isinstance(model, Pipeline) and is_marked(scope, model):
            mark_as_transformers(scope, [model.steps[-1][1]])
        return parser(scope, model, inputs, custom_parsers=custom_parsers)

    parse.prepares_networks = True
    update_registered_parser(cls, parse)


# The inner estimators ---------------------------------------------------------------------------


def networks_in(model: Any) -> Iterator[BaseMLP]:
    """Yield the networks inside a model of scikit-learn."""
    seen: set[int] = set()
    waiting = [model]
    while waiting:
        item = waiting.pop()
        if id(item) in seen:
            continue
        seen.add(id(item))
        if isinstance(item, BaseMLP):
            yield item
        elif isinstance(item, (list, tuple)):
            waiting += item
        elif isinstance(item, dict):
            waiting += item.values()
        elif type(item).__module__.startswith("sklearn.") and hasattr(item, "__dict__"):
            waiting += vars(item).values()


def _network_at_the_end(model: Any) -> MLPClassifier | None:
    """Return the model, or the last step of a Pipeline, if it is a classifier of skdeep."""
    while isinstance(model, Pipeline):
        model = model.steps[-1][1]
    return model if isinstance(model, MLPClassifier) else None


def _scorers_in(models: list, what: str) -> Iterator[MLPClassifier]:
    """Yield the networks whose raw scores are needed; refuse networks further inside."""
    for model in models:
        network = _network_at_the_end(model)
        if network is not None:
            yield network
        elif any(networks_in(model)):
            raise _refused(f"{what} around {type(model).__name__}, which would give probabilities")


def _refused(what: str) -> NotImplementedError:
    return NotImplementedError(
        f"skdeep.onnx: skl2onnx does not convert {what}, so the ONNX model would "
        "make other predictions."
    )


# Preparations for the converters --------------------------------------------------------------


def _prepare_calibrated(model: CalibratedClassifierCV, set_options: Callable) -> None:
    calibrated = model.calibrated_classifiers_
    for network in _scorers_in([c.estimator for c in calibrated], "CalibratedClassifierCV"):
        set_options(network, raw_scores=True, zipmap=False)
    if model.method != "sigmoid":
        raise _refused(
            f"CalibratedClassifierCV(method={model.method!r}) as scikit-learn computes it"
        )


def _prepare_stacking(model: StackingClassifier, set_options: Callable) -> None:
    for estimator, method in zip(model.estimators_, model.stack_method_, strict=True):
        if method == "predict" and any(networks_in(estimator)):
            raise _refused("StackingClassifier with stack_method='predict'")
        if method == "decision_function":
            if len(model.classes_) == 2 and not any(networks_in(estimator)):
                raise _refused(
                    "StackingClassifier of two classes with the decision_function of "
                    f"{type(estimator).__name__} as scikit-learn stacks it"
                )
            for network in _scorers_in([estimator], "StackingClassifier's decision_function"):
                set_options(network, raw_scores=True, one_column=True, zipmap=False)


def _without_probabilities(models: list) -> bool:
    networks = [_network_at_the_end(model) for model in models]
    return any(n is not None and not n._loss.gives_probabilities for n in networks)


def _prepare_bagging(model: BaggingClassifier, set_options: Callable) -> None:
    if _without_probabilities(model.estimators_):
        raise _refused("BaggingClassifier around a classifier without probabilities")


def _prepare_one_vs_rest(model: OneVsRestClassifier, set_options: Callable) -> None:
    chooses_by_sign = model.multilabel_ or len(model.estimators_) == 1
    if chooses_by_sign and _without_probabilities(model.estimators_):
        raise _refused("OneVsRestClassifier around a classifier without probabilities")


def _prepare_one_vs_one(model: OneVsOneClassifier, set_options: Callable) -> None:
    if model.classes_.dtype.kind in "OUS":
        raise _refused("OneVsOneClassifier with labels that are text")


def _prepare_tuned_threshold(model: TunedThresholdClassifierCV, set_options: Callable) -> None:
    raise _refused("the threshold of TunedThresholdClassifierCV")


PREPARATIONS: dict[type, Callable] = {
    CalibratedClassifierCV: _prepare_calibrated,
    StackingClassifier: _prepare_stacking,
    BaggingClassifier: _prepare_bagging,
    OneVsRestClassifier: _prepare_one_vs_rest,
    OneVsOneClassifier: _prepare_one_vs_one,
    TunedThresholdClassifierCV: _prepare_tuned_threshold,
    Pipeline: lambda model, set_options: None,
}


# The steps that transform, in models that are parsed into their steps ---------------------------


def _middle_of(model: Pipeline) -> list:
    return [step for _, step in model.steps[:-1]]


PARSED: dict[type, Callable[[Any], list]] = {
    Pipeline: _middle_of,
    FeatureUnion: lambda model: [transformer for _, transformer in model.transformer_list],
    ColumnTransformer: lambda model: [entry[1] for entry in model.transformers_],
}
