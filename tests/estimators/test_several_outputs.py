"""Regressors with a loss for each output, with several quantiles, and with targets that are NaN."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.metrics import d2_pinball_score, r2_score
from sklearn.model_selection import GridSearchCV

import skdeep
from skdeep import MLPAutoencoder, MLPRegressor
from skdeep.losses import Huber, QuantileLoss

RNG = np.random.default_rng(0)
X = RNG.standard_normal((80, 4))
y = X[:, 0] + np.abs(X[:, 1]) + 0.3 * RNG.standard_normal(80)
Y = np.column_stack([y, np.exp(X[:, 2])])
OPTIONS = {
    "hidden_layer_sizes": (8,),
    "max_iter": 15,
    "batch_size": 20,
    "learning_rate_init": 0.02,
    "n_iter_no_change": 100,
    "random_state": 0,
}
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def fitted(X=X, y=Y, **options):
    return MLPRegressor(**OPTIONS | options).fit(X, y)


def with_gaps(Y, seed=0):
    Y = Y.copy()
    Y[np.random.default_rng(seed).random(Y.shape) < 0.3] = np.nan
    return Y


class TestLossesByOutput:
    @pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "log_cosh"])
    def test_one_loss_for_each_output_is_the_one_for_all(self, loss):
        together, apart = fitted(loss=loss), fitted(loss=[loss, loss])
        np.testing.assert_allclose(apart.predict(X), together.predict(X), rtol=1e-9)
        np.testing.assert_allclose(apart.loss_curve_, together.loss_curve_)

    def test_weights_are_those_of_the_sum(self):
        twice = fitted(loss_weights=[2.0, 2.0], alpha=0, solver="sgd", learning_rate_init=0.005)
        mean = fitted(alpha=0, solver="sgd", learning_rate_init=0.02)
        np.testing.assert_allclose(twice.predict(X), mean.predict(X), rtol=1e-9)

    def test_an_output_of_weight_0_is_not_learned(self):
        model = fitted(loss_weights=[1.0, 0.0], max_iter=100)
        of_first, of_second = r2_score(Y, model.predict(X), multioutput="raw_values")
        assert of_first > 0.7
        assert of_second < 0.1

    def test_a_weight_trades_one_output_for_the_other(self):
        options = {"hidden_layer_sizes": (2,), "max_iter": 60}
        scores = [
            r2_score(Y, fitted(loss_weights=w, **options).predict(X), multioutput="raw_values")
            for w in ([0.9, 0.1], [0.1, 0.9])
        ]
        assert scores[0][0] > scores[1][0]
        assert scores[0][1] < scores[1][1]

    def test_losses_links_and_weights_together(self):
        model = fitted(
            loss=["squared_error", "poisson"],
            loss_weights=(0.9, 0.1),
            output_activation=["auto", "softplus"],
            max_iter=80,
        )
        assert (model.predict(X)[:, 1] > 0).all()
        assert model.score(X, Y) > 0.6
        assert model.out_activation_ == "several"

    def test_weights_can_be_searched(self):
        grid = {"loss_weights": [[1.0, 0.0], [0.5, 0.5]], "loss": [["huber", Huber(0.1)]]}
        search = GridSearchCV(MLPRegressor(**OPTIONS), grid, cv=2, n_jobs=2).fit(X, Y)
        assert search.best_params_["loss_weights"] == [0.5, 0.5]

    @pytest.mark.parametrize("solver", ["adam", "lbfgs"])
    def test_other_data_and_calls(self, solver):
        options = {"loss": ["squared_error", "huber"], "solver": solver}
        model = fitted(X.astype(np.float32), **options)
        assert model.predict(X.astype(np.float32)).dtype == np.float32
        model.set_params(warm_start=True).fit(X.astype(np.float32), Y)
        if solver == "adam":
            model.partial_fit(X.astype(np.float32), Y)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"loss": ["squared_error"]}, "has 1 entries, but y has 2 outputs"),
            ({"loss": ["squared_error", "log_loss"]}, "'log_loss' is"),
            ({"loss": ["squared_error", None]}, "loss=None"),
            ({"loss": []}, "has 0 entries"),
            ({"loss_weights": [1, 2, 3]}, "has 3 entries"),
            ({"loss_weights": [0, 0]}, "at least one > 0"),
            ({"loss_weights": [-1, 1]}, "numbers >= 0"),
            ({"loss_weights": ["a", 1]}, "numbers >= 0"),
            ({"loss_weights": [np.nan, 1]}, "numbers >= 0"),
            ({"loss_weights": 0.5}, "loss_weights=0.5"),
            ({"loss_weights": {"a": 1}}, "loss_weights="),
            ({"output_activation": ["relu"]}, "output_activation=\\['relu'\\] has 1"),
            ({"output_activation": ["relu", "rleu"]}, "did you mean 'relu'"),
            ({"loss": ["poisson", "huber"], "output_activation": "identity"}, "above 0"),
            ({"loss": ["huber", "poisson"], "standardize_y": True}, "standardize_y=True"),
            ({"loss": QuantileLoss([0.1, 0.9])}, "y has 2 outputs"),
            ({"loss": [QuantileLoss([0.1, 0.9]), "huber"]}, "QuantileLoss"),
            ({"missing_targets": "drop"}, "missing_targets='drop'"),
            ({"missing_targets": None}, "missing_targets=None"),
        ],
    )
    def test_clear_errors(self, options, message):
        with pytest.raises(ValueError, match=message):
            fitted(**options)


class TestQuantiles:
    @pytest.mark.parametrize("non_crossing", [False, True])
    @pytest.mark.parametrize("standardize_y", [False, True])
    def test_columns_are_quantiles(self, non_crossing, standardize_y):
        loss = QuantileLoss([0.1, 0.5, 0.9], non_crossing=non_crossing)
        X = RNG.standard_normal((400, 2))
        y = 100 * X[:, 0] + 30 * RNG.standard_normal(400)
        options = {"loss": loss, "learning_rate": "linear", "max_iter": 60}
        model = fitted(X, y, standardize_y=standardize_y, **options)
        P = model.predict(X)
        assert P.shape == (400, 3)
        assert model.n_outputs_ == 3
        np.testing.assert_allclose((y[:, None] <= P).mean(axis=0), [0.1, 0.5, 0.9], atol=0.08)
        assert not non_crossing or (np.diff(P, axis=1) >= 0).all()
        scores = [d2_pinball_score(y, P[:, k], alpha=q) for k, q in enumerate((0.1, 0.5, 0.9))]
        assert model.score(X, y) == pytest.approx(np.mean(scores))

    def test_early_stopping_files_and_clones(self, tmp_path):
        loss = QuantileLoss((0.2, 0.8), non_crossing=True)
        model = fitted(y=y, loss=loss, early_stopping=True)
        assert len(model.history_["val_score"]) == model.n_iter_
        skdeep.save(model, tmp_path / "model.skdeep")
        for twin in (
            skdeep.load(tmp_path / "model.skdeep"),
            pickle.loads(pickle.dumps(model)),
            clone(model).fit(X, y),
        ):
            np.testing.assert_array_equal(twin.predict(X), model.predict(X))

    def test_a_column_is_a_column(self):
        with pytest.warns(Warning, match="A column-vector y was passed"):
            model = fitted(y=y[:, None], loss=QuantileLoss([0.3, 0.7]))
        assert model.predict(X).shape == (80, 2)

    @pytest.mark.parametrize(
        ("loss", "message"),
        [
            (QuantileLoss([0.9, 0.1]), "ascending"),
            (QuantileLoss([0.5, 0.5]), "ascending"),
            (QuantileLoss([]), "quantile="),
            (QuantileLoss([0.0, 0.5]), "quantile="),
            (QuantileLoss(["a", 0.5]), "quantile="),
            (QuantileLoss("a"), "quantile="),
            (QuantileLoss(0.5, non_crossing=True), "non_crossing"),
        ],
    )
    def test_clear_errors(self, loss, message):
        with pytest.raises(ValueError, match=message):
            fitted(y=y, loss=loss)

    def test_rising_sums_have_no_output_activation(self):
        loss = QuantileLoss([0.1, 0.9], non_crossing=True)
        with pytest.raises(ValueError, match="output_activation='softplus'"):
            fitted(y=y, loss=loss, output_activation="softplus")
        with pytest.raises(ValueError, match="one target"):
            fitted(y=y, loss=loss, loss_weights=[1, 2])

    def test_an_autoencoder_has_one_loss(self):
        with pytest.raises(ValueError, match="one loss"):
            MLPAutoencoder((2,), loss=QuantileLoss([0.1, 0.9]), max_iter=2).fit(X)
        with pytest.raises(ValueError, match="one loss"):
            MLPAutoencoder((2,), output_activation=["relu"] * 4, max_iter=2).fit(X)


class TestMissingTargets:
    def test_gaps_are_an_error_unless_they_are_ignored(self):
        with pytest.raises(ValueError, match="NaN"):
            fitted(y=with_gaps(Y))

    @pytest.mark.parametrize("options", [{}, {"standardize_y": True}, {"solver": "lbfgs"}])
    def test_gaps_are_left_out(self, options):
        model = fitted(y=with_gaps(Y), missing_targets="ignore", max_iter=100, **options)
        assert model.score(X, Y) > 0.75
        assert np.isfinite(model.loss_curve_).all()

    def test_the_numbers_in_the_gaps_do_not_matter(self):
        # Rows without any target change nothing if each batch is the whole training set.
        options = {"missing_targets": "ignore", "solver": "lbfgs", "initializer": ["he_normal"] * 2}
        options |= {"bias_initializer": "zeros", "alpha": 0}
        without = fitted(**options)
        more = np.vstack([X, 5 * X]), np.vstack([Y, np.full_like(Y, np.nan)])
        with_more = fitted(*more, **options)
        np.testing.assert_allclose(with_more.predict(X), without.predict(X), rtol=1e-6)

    def test_without_gaps_nothing_changes(self):
        np.testing.assert_array_equal(
            fitted(missing_targets="ignore").predict(X), fitted().predict(X)
        )

    def test_scores_leave_gaps_out(self):
        gaps = with_gaps(Y)
        model = fitted(missing_targets="ignore")
        P, weight = model.predict(X), np.linspace(0.1, 2, 80)
        known = ~np.isnan(gaps)
        expected = [
            r2_score(gaps[known[:, k], k], P[known[:, k], k], sample_weight=weight[known[:, k]])
            for k in (0, 1)
        ]
        assert model.score(X, gaps, weight) == pytest.approx(np.mean(expected))

    def test_validation_early_stopping_and_other_losses(self):
        gaps = with_gaps(Y)
        model = fitted(
            y=gaps,
            missing_targets="ignore",
            loss=["huber", "gamma"],
            early_stopping=True,
        )
        assert np.isfinite(model.history_["val_loss"]).all()
        assert np.isfinite(model.history_["val_score"]).all()
        model = MLPRegressor(**OPTIONS, missing_targets="ignore", target_noise=0.1)
        model.fit(X, gaps, X_val=X[:20], y_val=gaps[:20])
        model.partial_fit(X, gaps)
        one = fitted(y=gaps[:, 0], missing_targets="ignore")
        assert one.predict(X).shape == (80,)

    def test_quantiles_with_gaps(self):
        loss = QuantileLoss([0.2, 0.8], non_crossing=True)
        model = fitted(y=with_gaps(Y)[:, 0], loss=loss, missing_targets="ignore")
        assert np.isfinite(model.predict(X)).all()

    @pytest.mark.parametrize(
        ("column", "message"),
        [(np.full(80, np.nan), "Column 1 of y has no number"), (np.full(80, np.inf), "infinity")],
    )
    def test_clear_errors(self, column, message):
        with pytest.raises(ValueError, match=message):
            fitted(y=np.column_stack([y, column]), missing_targets="ignore")

    def test_text_and_lengths_are_errors(self):
        with pytest.raises(ValueError, match="could not convert"):
            fitted(y=np.array(["a"] * 80), missing_targets="ignore")
        with pytest.raises(ValueError, match="inconsistent"):
            fitted(y=Y[:70], missing_targets="ignore")
        with pytest.raises(ValueError, match="requires y to be passed"):
            MLPRegressor(missing_targets="ignore").fit(X, None)

    def test_gaps_in_a_frame(self):
        pd = pytest.importorskip("pandas")
        frame = pd.DataFrame(with_gaps(Y), columns=["a", "b"]).convert_dtypes()
        model = fitted(y=frame, missing_targets="ignore")
        np.testing.assert_array_equal(
            model.predict(X), fitted(y=with_gaps(Y), missing_targets="ignore").predict(X)
        )
