"""Networks within scikit-learn's meta-estimators: converted exactly, or refused."""

import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor, make_column_transformer
from sklearn.datasets import load_diabetes, load_iris, make_classification
from sklearn.ensemble import (
    AdaBoostClassifier,
    AdaBoostRegressor,
    BaggingClassifier,
    BaggingRegressor,
    StackingClassifier,
    StackingRegressor,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.feature_selection import SelectFromModel
from sklearn.linear_model import LogisticRegression, RANSACRegressor, Ridge
from sklearn.model_selection import GridSearchCV, TunedThresholdClassifierCV
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier
from sklearn.multioutput import MultiOutputClassifier, MultiOutputRegressor
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import StandardScaler, scale

from skdeep import MLPAutoencoder, MLPClassifier, MLPRegressor

pytest.importorskip("skl2onnx")
onnxruntime = pytest.importorskip("onnxruntime")

from skl2onnx import to_onnx  # noqa: E402
from skl2onnx._parse import sklearn_parsers_map  # noqa: E402
from skl2onnx._supported_operators import sklearn_operator_name_map  # noqa: E402

from skdeep.onnx.meta import networks_in, register_meta_estimators  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")

X, y = load_iris(return_X_y=True)
X = scale(X).astype(np.float32)
X_binary, y_binary = make_classification(150, 4, random_state=0)
X_binary = X_binary.astype(np.float32)
X_numbers, y_numbers = load_diabetes(return_X_y=True)
X_numbers, y_numbers = scale(X_numbers[:150]).astype(np.float32), y_numbers[:150] / 100
TARGETS = {
    "multiclass": (X, y),
    "text": (X, np.array(["a", "b", "c"])[y]),
    "binary": (X_binary, y_binary),
}
LR = LogisticRegression


def C(**options):
    # Few epochs and a large rate: probabilities are far from those of a constant model.
    options = {"max_iter": 12, "learning_rate_init": 0.05, "random_state": 0, **options}
    return MLPClassifier((6,), **options)


def R(**options):
    options = {"max_iter": 12, "learning_rate_init": 0.05, "random_state": 0, **options}
    return MLPRegressor((6,), **options)


def scaled(model):
    return make_pipeline(StandardScaler(), model)


def run(model, X):
    options = {id(model): {"zipmap": False}} if hasattr(model, "classes_") else None
    if isinstance(model, MultiOutputClassifier):
        options = None
    graph = to_onnx(model, X[:1], options=options)
    session = onnxruntime.InferenceSession(
        graph.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(None, {"X": X})


CLASSIFIERS = {
    "calibrated": lambda: CalibratedClassifierCV(C(), cv=2),
    "calibrated, no ensemble": lambda: CalibratedClassifierCV(C(), cv=2, ensemble=False),
    "calibrated pipeline": lambda: CalibratedClassifierCV(scaled(scaled(C())), cv=2),
    "calibrated hinge": lambda: CalibratedClassifierCV(C(loss="hinge"), cv=2),
    "stacking": lambda: StackingClassifier([("a", C()), ("b", LR())], LR(), cv=2),
    "stacking, final": lambda: StackingClassifier([("a", LR())], C(), cv=2, passthrough=True),
    "stacking, logits": lambda: StackingClassifier(
        [("a", C()), ("b", scaled(C(activation="tanh")))],
        LR(),
        cv=2,
        stack_method="decision_function",
        passthrough=True,
    ),
    "voting": lambda: VotingClassifier(
        [("a", C()), ("b", LR()), ("c", scaled(C()))], voting="soft", flatten_transform=False
    ),
    "bagging": lambda: BaggingClassifier(C(), 3, max_features=0.5, random_state=0),
    "boosting": lambda: AdaBoostClassifier(C(), n_estimators=3, random_state=0),
    "one against the rest": lambda: OneVsRestClassifier(scaled(C())),
    "a search": lambda: GridSearchCV(C(), {"alpha": [0.1, 1]}, cv=2),
    "selected columns": lambda: make_pipeline(SelectFromModel(LR()), C()),
    "a middle step": lambda: make_pipeline(StandardScaler(), C(), LR()),
    "two networks": lambda: make_pipeline(C(), C(activation="tanh"), C()),
    "a pipeline in the middle": lambda: make_pipeline(scaled(C()), LR()),
    "a regressor's layer": lambda: make_pipeline(MLPAutoencoder((3,), max_iter=3), C()),
    "a union": lambda: make_pipeline(make_union(StandardScaler(), C(), scaled(C())), LR()),
    "columns": lambda: make_pipeline(
        make_column_transformer((scaled(C()), [0, 1]), (StandardScaler(), [2, 3])), LR()
    ),
    "a middle step, calibrated": lambda: CalibratedClassifierCV(make_pipeline(C(), C()), cv=2),
    "a middle step, stacked": lambda: StackingClassifier(
        [("a", make_pipeline(C(), LR()))], LR(), cv=2, stack_method="predict_proba"
    ),
}


@pytest.mark.parametrize("kind", TARGETS)
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_classifiers_are_exact(name, kind):
    X, y = TARGETS[kind]
    model = CLASSIFIERS[name]().fit(X, y)
    labels, probabilities = run(model, X)
    expected = model.predict_proba(X)
    np.testing.assert_allclose(probabilities, expected, atol=1e-5)
    assert np.ptp(expected) > 0.2  # a constant would be no test
    margin = np.sort(expected, axis=1)
    is_clear = margin[:, -1] - margin[:, -2] > 1e-4
    np.testing.assert_array_equal(labels[is_clear], model.predict(X)[is_clear])


LABELS_ONLY = {
    "one against one": (lambda: OneVsOneClassifier(C()), ["multiclass", "binary"]),
    "hinge against the rest": (lambda: OneVsRestClassifier(C(loss="hinge")), ["multiclass"]),
    "hard voting": (
        lambda: VotingClassifier(
            [("a", C()), ("b", LR()), ("c", scaled(C()))], flatten_transform=False
        ),
        ["multiclass", "binary", "text"],
    ),
}


@pytest.mark.parametrize(
    ("name", "kind"), [(name, kind) for name in LABELS_ONLY for kind in LABELS_ONLY[name][1]]
)
def test_labels_are_exact(name, kind):
    X, y = TARGETS[kind]
    model = LABELS_ONLY[name][0]().fit(X, y)
    np.testing.assert_array_equal(np.ravel(run(model, X)[0]), model.predict(X))


REGRESSORS = {
    "voting": lambda: VotingRegressor([("a", R()), ("b", Ridge())]),
    "stacking": lambda: StackingRegressor([("a", R()), ("b", Ridge())], R(), cv=2),
    "bagging": lambda: BaggingRegressor(R(standardize_y=True), 3, random_state=0),
    "boosting": lambda: AdaBoostRegressor(R(), n_estimators=3, random_state=0),
    "ransac": lambda: RANSACRegressor(R(), min_samples=100, random_state=0),
    "a search": lambda: GridSearchCV(R(), {"alpha": [0.1, 1]}, cv=2),
    "standardized": lambda: scaled(R(standardize_y=True)),
    "a middle step": lambda: make_pipeline(StandardScaler(), R(), Ridge()),
    "a union": lambda: make_pipeline(make_union(StandardScaler(), R()), Ridge()),
    "an autoencoder's code": lambda: make_pipeline(MLPAutoencoder((3,), max_iter=3), R()),
}
MANY_OUTPUTS = {
    "many outputs": lambda: MultiOutputRegressor(R()),
    "a middle step": REGRESSORS["a middle step"],
    "standardized": REGRESSORS["standardized"],
}


@pytest.mark.parametrize(
    ("make", "Y"),
    [(make, y_numbers) for make in REGRESSORS.values()]
    + [(make, np.c_[y_numbers, -9 * y_numbers]) for make in MANY_OUTPUTS.values()],
    ids=[*REGRESSORS, *(f"{name}, two outputs" for name in MANY_OUTPUTS)],
)
def test_regressors_are_exact(make, Y):
    model = make().fit(X_numbers, Y)
    (prediction,) = run(model, X_numbers)
    expected = model.predict(X_numbers).reshape(prediction.shape)
    np.testing.assert_allclose(prediction, expected, rtol=1e-5, atol=1e-5)
    assert np.ptp(expected) > 0.1


def test_many_classifiers():
    Y = np.c_[y, y[::-1]]
    model = MultiOutputClassifier(C()).fit(X, Y)
    labels, probabilities = run(model, X)
    np.testing.assert_array_equal(labels, model.predict(X))
    np.testing.assert_allclose(probabilities, model.predict_proba(X), atol=1e-5)


# a model, the kinds of targets, words of the message
REFUSED = {
    "isotonic": (lambda: CalibratedClassifierCV(C(), method="isotonic", cv=2), TARGETS, "isotonic"),
    "calibrated search": (
        lambda: CalibratedClassifierCV(GridSearchCV(C(), {"alpha": [1]}, cv=2), cv=2),
        ["binary"],
        "CalibratedClassifierCV around GridSearchCV",
    ),
    "stacked labels": (
        lambda: StackingClassifier([("a", C())], LR(), cv=2, stack_method="predict"),
        TARGETS,
        "stack_method='predict'",
    ),
    "stacked with another's logits": (
        lambda: StackingClassifier(
            [("a", C()), ("b", LR())], LR(), cv=2, stack_method="decision_function"
        ),
        ["binary"],
        "decision_function of LogisticRegression",
    ),
    "bagging without probabilities": (
        lambda: BaggingClassifier(C(loss="hinge"), 2),
        TARGETS,
        "BaggingClassifier around a classifier without probabilities",
    ),
    "one hinge against the rest": (
        lambda: OneVsRestClassifier(C(loss="hinge")),
        ["binary"],
        "OneVsRestClassifier around a classifier without probabilities",
    ),
    "text, one against one": (lambda: OneVsOneClassifier(C()), ["text"], "labels that are text"),
    "a threshold": (lambda: TunedThresholdClassifierCV(C(), cv=2), ["binary"], "the threshold"),
}


@pytest.mark.parametrize(
    ("name", "kind"), [(name, kind) for name in REFUSED for kind in REFUSED[name][1]]
)
def test_what_would_predict_something_else_is_refused(name, kind):
    X, y = TARGETS[kind]
    make, _, words = REFUSED[name]
    model = make().fit(X, y)
    with pytest.raises(NotImplementedError, match=words):
        run(model, X)


def test_what_skl2onnx_does_not_know_is_its_own_error():
    model = TransformedTargetRegressor(R(), transformer=StandardScaler()).fit(X_numbers, y_numbers)
    with pytest.raises(Exception, match="Unable to find a shape calculator"):
        run(model, X_numbers)


# By name: what is exact or refused above, or takes no network.
NOT_HERE = {"CastRegressor", "RFE", "RFECV", "SelectFromModel"}


def test_no_meta_estimator_is_left_out():
    known = {cls.__name__ for cls in sklearn_operator_name_map if _is_meta(cls)}
    makers = [*CLASSIFIERS.values(), *REGRESSORS.values(), *MANY_OUTPUTS.values()]
    makers += [entry[0] for entry in (*LABELS_ONLY.values(), *REFUSED.values())]
    tested = {"MultiOutputClassifier"}
    for make in makers:
        tested |= {type(part).__name__ for part in _parts(make())}
    assert known - tested - NOT_HERE == set()


def _is_meta(cls):
    inner = {"estimator", "estimators", "steps", "transformers", "transformer_list"}
    return isinstance(cls, type) and inner & set(getattr(cls, "_get_param_names", list)())


def _parts(model):
    yield model
    for value in model.get_params(deep=True).values():
        if hasattr(value, "get_params"):
            yield value


# What is done to skl2onnx -----------------------------------------------------------------------


def test_models_without_a_network_are_converted_as_before():
    model = CalibratedClassifierCV(LR(), method="isotonic", cv=2).fit(X, y)
    assert len(run(model, X)) == 2
    search = TunedThresholdClassifierCV(LR(), cv=2).fit(X_binary, y_binary)
    assert len(run(search, X_binary)) == 2


def test_registering_twice_changes_nothing():
    before = dict(sklearn_parsers_map)
    register_meta_estimators()
    assert sklearn_parsers_map == before


def test_networks_are_found_wherever_they_are():
    network = C()
    inside = StackingClassifier([("a", scaled(network))], LR())
    assert list(networks_in(CalibratedClassifierCV(inside))) == [network]
    assert not list(networks_in(make_pipeline(StandardScaler(), LR())))


def test_raw_scores_may_be_asked_for():
    model = C().fit(X, y)
    graph = to_onnx(model, X[:1], options={id(model): {"zipmap": False, "raw_scores": True}})
    session = onnxruntime.InferenceSession(graph.SerializeToString())
    scores = session.run(None, {"X": X})[1]
    np.testing.assert_allclose(scores, model.decision_function(X), atol=1e-5)


def test_one_network_as_a_step_and_alone():
    """That a step transforms says nothing about the next conversion."""
    pipeline = make_pipeline(StandardScaler(), C(), LR()).fit(X, y)
    run(pipeline, X)
    labels, _ = run(pipeline[1], pipeline[0].transform(X))
    np.testing.assert_array_equal(labels, pipeline[1].predict(pipeline[0].transform(X)))
