"""The importance of hyperparameters, beside that of Optuna."""

import warnings

import numpy as np
import pytest

from skdeep.inspection import hyperparameter_importance, read_cv_results
from skdeep.inspection.hyperparameters import FEWEST_CANDIDATES, _fanova

N = 80


def results(score, n=N, seed=0):
    """Return the results of a random search whose scores are a function of the hyperparameters."""
    rng = np.random.default_rng(seed)
    params = [
        {
            "mlp__learning_rate_init": 10 ** rng.uniform(-5, -1),
            "mlp__solver": str(rng.choice(["adam", "sgd", "lion"])),
            "mlp__dropout": rng.uniform(0, 0.5),
            "mlp__clip_norm": None if rng.random() < 0.5 else rng.uniform(1, 5),
            "constant": 3,
        }
        for _ in range(n)
    ]
    for p in params:
        if p["mlp__solver"] == "sgd":
            p["mlp__momentum"] = rng.uniform(0.5, 0.99)
    return {"params": params, "mean_test_score": np.array([score(p) for p in params])}


def importance(given, **options):
    found = hyperparameter_importance(read_cv_results(given), random_state=0, **options)
    assert (found.importances >= 0).all()
    assert found.importances.sum() <= 1 + 1e-9
    return found, dict(zip(found.names, found.importances, strict=True))


def rate(p):
    return -((np.log10(p["mlp__learning_rate_init"]) + 3) ** 2)


@pytest.mark.parametrize(
    ("score", "first"),
    [
        (rate, "mlp__learning_rate_init"),
        (lambda p: float(p["mlp__solver"] == "lion"), "mlp__solver"),
        (lambda p: float(p["mlp__clip_norm"] is None), "mlp__clip_norm"),
        (lambda p: p.get("mlp__momentum", 0.75), "mlp__momentum"),
    ],
)
def test_what_matters_is_found(score, first):
    found, shares = importance(results(score))
    assert found.names[found.order[0]] == first
    assert shares[first] > 0.8
    assert shares["constant"] == 0
    assert found.forest_score > 0.5
    assert found.n_candidates == N


def test_interactions():
    found, _ = importance(
        results(lambda p: (p["mlp__dropout"] - 0.25) * (p["mlp__solver"] == "sgd") * 9, 300)
    )
    assert 0.2 < found.interactions < 1


def test_the_same_as_optuna():
    optuna = pytest.importorskip("optuna")
    rng = np.random.default_rng(0)
    X = rng.random((40, 4))
    y = np.sin(6 * X[:, 0]) + X[:, 1] * X[:, 2]
    space = {f"p{j}": optuna.distributions.FloatDistribution(0, 1) for j in range(4)}
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        study = optuna.create_study()
        for x, value in zip(X, y, strict=True):
            given = dict(zip(space, map(float, x), strict=True))
            trial = optuna.trial.create_trial(params=given, distributions=space, value=float(value))
            study.add_trial(trial)
        evaluator = optuna.importance.FanovaImportanceEvaluator(seed=5)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs = optuna.importance.get_param_importances(
                study, evaluator=evaluator, normalize=False
            )
    finally:
        optuna.logging.set_verbosity(before)
    np.testing.assert_allclose(_fanova(X, y, 5)[0], [theirs[name] for name in space], rtol=1e-9)


def test_failures_and_far_scores_do_not_count():
    given = results(rate)
    given["mean_test_score"][:5] = np.nan
    given["mean_test_score"][5:8] = [-np.inf, -1e12, -1e280]
    found, shares = importance(given)
    assert found.n_candidates == N - 6
    assert shares["mlp__learning_rate_init"] > 0.8


def test_candidates_are_compared_on_one_rung():
    given = results(rate)
    survivors = np.argsort(-given["mean_test_score"])[:20]
    by_dropout = [-given["params"][i]["mlp__dropout"] for i in survivors]
    given = {
        "params": [*given["params"], *(given["params"][i] for i in survivors)],
        "candidate": [*range(N), *survivors],
        "iter": [0] * N + [1] * 20,
        "n_resources": [3] * N + [9] * 20,
        "mean_test_score": [*given["mean_test_score"], *by_dropout],
    }
    found, shares = importance(given)
    assert found.n_candidates == N
    assert shares["mlp__learning_rate_init"] > 0.8
    for rung in (1, -1):
        found, shares = importance(given, rung=rung)
        assert found.n_candidates == 20
        assert shares["mlp__dropout"] > 0.5
    for rung in (2, -3, 0.5, "last"):
        with pytest.raises(ValueError, match=r"rung=.* is not allowed; the search has 2"):
            importance(given, rung=rung)


def test_it_prints():
    text = str(importance(results(rate))[0])
    lines = text.splitlines()
    assert lines[0].split() == ["Hyperparameter", "Importance"]
    assert lines[2].split()[0] == "mlp__learning_rate_init"
    assert f"Candidates: {N}" in text
    assert "Interactions: " in text


@pytest.mark.parametrize("value", [0.0, 0.5, -1e200])
def test_scores_that_are_equal(value):
    found, shares = importance(results(lambda p: value))
    assert set(shares.values()) == {0.0}
    assert np.isnan(found.forest_score)
    assert found.interactions == 0


def test_too_few_candidates():
    few = results(rate, FEWEST_CANDIDATES)
    few["mean_test_score"][0] = np.nan
    with pytest.raises(ValueError, match="at least 5 candidates with a finite score; there are 4"):
        importance(few)
    few["mean_test_score"][0] = 0
    importance(few)
    with pytest.raises(ValueError, match="have no hyperparameters"):
        importance({"params": [{}] * 9, "mean_test_score": range(9)})


def test_the_same_seed_gives_the_same():
    given = read_cv_results(results(rate))
    one, two, other = (hyperparameter_importance(given, random_state=s) for s in (0, 0, 1))
    np.testing.assert_array_equal(one.importances, two.importances)
    assert (one.importances != other.importances).any()
