"""ModelCheckpoint: files while a model is trained, and runs that go on from them."""

import os
import subprocess
import sys
import textwrap
import warnings

import numpy as np
import pytest
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV

from skdeep import InvalidFileError, MLPAutoencoder, MLPClassifier, MLPRegressor, load
from skdeep.callbacks import Callback, GradualUnfreezing, ModelCheckpoint
from skdeep.layers import Columns, Dense, Pretrained
from skdeep.optimizers import OPTIMIZERS, Adam
from skdeep.schedules import SCHEDULES

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

rng = np.random.default_rng(0)
X = rng.standard_normal((120, 5))
y = (X[:, 0] * X[:, 1] > 0).astype(int)


class Interrupted(Exception):
    pass


class Interrupt(Callback):
    """Ends training as nothing else does: without an end."""

    def __init__(self, after):
        self.after = after

    def on_epoch_begin(self, trainer):
        if trainer.epoch == self.after:
            raise Interrupted


class OwnAdam(Adam):
    pass


def model(path, *callbacks, Estimator=MLPClassifier, **options):
    common = {
        "hidden_layer_sizes": (8, 4),
        "dropout": 0.1,
        "batch_norm": "after",
        "batch_size": 20,
        "max_iter": 8,
        "tol": 0.0,
        "n_iter_no_change": 20,
        "random_state": 0,
    }
    checkpoint = ModelCheckpoint(path, resume=True)
    return Estimator(**{**common, **options}, callbacks=[checkpoint, *callbacks])


def assert_same_end(actual, expected):
    for one, other in zip(actual.coefs_, expected.coefs_, strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(
        actual.network_.parameters.values, expected.network_.parameters.values
    )
    assert actual.history_["loss"] == expected.history_["loss"]
    names = ("n_iter_", "t_", "loss_", "best_iter_", "best_loss_", "best_validation_score_")
    for name in names:
        assert getattr(actual, name) == getattr(expected, name), name


# Going on -------------------------------------------------------------------------------------

RUNS = {
    "plain": {},
    "float32, noise": {"dtype": "float32", "input_noise": 0.1, "gradient_noise": 0.01},
    "early stopping": {"early_stopping": True, "n_iter_no_change": 3, "max_iter": 30},
    "adaptive": {"learning_rate": "adaptive", "solver": "sgd", "tol": 0.1, "n_iter_no_change": 2},
    "a plateau ends it": {"tol": 10.0, "n_iter_no_change": 3},
    "regressor": {"Estimator": MLPRegressor},
    "autoencoder": {"Estimator": MLPAutoencoder, "tied_weights": True},
    "a fitted layer": {
        "layers": [Pretrained(FrozenEstimator(MLPAutoencoder((3,)).partial_fit(X))), Dense(4)],
        "hidden_layer_sizes": (100,),
        "batch_norm": None,
        "dropout": 0.0,
    },
    "multipliers": {"learning_rate_multipliers": [0.1, 1.0, 2.0]},
    **{f"solver {name}": {"solver": name} for name in OPTIMIZERS},
    **{f"schedule {name}": {"learning_rate": SCHEDULES[name]()} for name in SCHEDULES},
}


@pytest.mark.parametrize("kind", RUNS)
def test_a_run_that_goes_on_ends_where_it_would_have_ended(kind, tmp_path):
    whole = model(tmp_path / "whole", **RUNS[kind]).fit(X, y)
    for after in (1, 2, 5):
        try:
            model(tmp_path / "part", Interrupt(after), **RUNS[kind]).fit(X, y)
        except Interrupted:
            pass
        else:
            assert whole.n_iter_ <= after
    assert_same_end(model(tmp_path / "part", **RUNS[kind]).fit(X, y), whole)


def test_layers_that_were_thawed_stay_so(tmp_path):
    def run(path, *callbacks):
        thaw = GradualUnfreezing([2, 4], multiplier=0.5)
        return model(path, thaw, *callbacks, frozen_layers=2)

    whole = run(tmp_path / "whole").fit(X, y)
    for after in (1, 3, 4, 6):
        with pytest.raises(Interrupted):
            run(tmp_path / "part", Interrupt(after)).fit(X, y)
    assert_same_end(run(tmp_path / "part").fit(X, y), whole)


def test_a_run_that_ended_is_not_repeated(tmp_path):
    first = model(tmp_path / "a").fit(X, y)
    again = model(tmp_path / "a", Interrupt(after=8)).fit(X, y)
    assert_same_end(again, first)


def test_without_a_seed_there_is_no_way_back(tmp_path):
    with pytest.raises(ValueError, match="needs a random_state: without one, a run can't be told"):
        model(tmp_path / "a", random_state=None).fit(X, y)


@pytest.mark.parametrize("make", [np.random.default_rng, np.random.RandomState])
def test_generators_are_told_apart_by_their_state(make, tmp_path):
    whole = model(tmp_path / "whole", random_state=make(3)).fit(X, y)
    with pytest.raises(Interrupted):
        model(tmp_path / "part", Interrupt(3), random_state=make(3)).fit(X, y)
    assert_same_end(model(tmp_path / "part", random_state=make(3)).fit(X, y), whole)
    model(tmp_path / "part", random_state=make(4)).fit(X, y)
    assert len(list(tmp_path.glob("part*"))) == 2


@pytest.mark.parametrize("warm_start", [True, False])
def test_in_a_second_call_of_fit(warm_start, tmp_path):
    def fit_twice(path, *callbacks):
        twice = model(path, warm_start=warm_start).fit(X, y)
        first = twice.callbacks[0]
        return twice.set_params(callbacks=[first, *callbacks], alpha=0.01).fit(X, y)

    whole = fit_twice(tmp_path / "whole")
    with pytest.raises(Interrupted):
        fit_twice(tmp_path / "part", Interrupt(3))
    assert_same_end(fit_twice(tmp_path / "part"), whole)


SCRIPT = """
    import os, signal, sys, warnings
    import numpy as np
    from skdeep import MLPClassifier
    from skdeep.averages import SWA
    from skdeep.callbacks import Callback, ModelCheckpoint
    from skdeep.data import Memmap

    class Kill(Callback):
        def __init__(self, epoch, batch):
            self.epoch, self.batch, self.n = epoch, batch, 0
        def on_epoch_begin(self, trainer):
            self.n = 0
        def on_batch_end(self, trainer):
            self.n += 1
            if (trainer.epoch, self.n) == (self.epoch, self.batch):
                os.kill(os.getpid(), signal.SIGKILL)

    warnings.simplefilter("ignore")
    rng = np.random.default_rng(0)
    X = rng.standard_normal((200, 6)).astype(np.float32)
    y = (X[:, 0] * X[:, 1] > 0).astype(int)
    averages = None, "ema", SWA(start=0.3)

    def train(path, average, epoch=-1, batch=-1):
        model = MLPClassifier(
            (16, 8), dropout=0.2, batch_norm="after", early_stopping=True, max_iter=12,
            batch_size=20, n_iter_no_change=50, learning_rate="cosine", random_state=7,
            weight_averaging=average, metrics="roc_auc",
            callbacks=[
                ModelCheckpoint(path, every_n_batches=every_n_batches, resume=True),
                Kill(epoch, batch),
            ],
        )
        rows = Memmap(X, memory_limit=X.nbytes) if from_source else X
        model.fit(rows, y)
        return model.network_.parameters.values, model.history_["roc_auc"]

    folder, n_kills, every_n_batches, from_source = sys.argv[1], *map(eval, sys.argv[2:])
    expected = [train(f"{folder}/whole {i}", a) for i, a in enumerate(averages)]
    chance = np.random.default_rng(1)
    for i in range(n_kills):
        path, k = f"{folder}/killed {i}", i % 3
        at = chance.integers(0, 12), chance.integers(1, 10)
        child = os.fork()  # which takes less time than a new interpreter
        if not child:
            train(path, averages[k], *map(int, at))
            os._exit(0)
        assert os.waitpid(child, 0)[1] == signal.SIGKILL
        for found, wanted in zip(train(path, averages[k]), expected[k], strict=True):
            np.testing.assert_array_equal(found, wanted)
    print("all equal")
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
@pytest.mark.parametrize(("every_n_batches", "from_source"), [(None, False), (3, False), (4, True)])
def test_runs_that_were_killed_end_bit_for_bit_as_one_that_was_not(
    every_n_batches, from_source, tmp_path
):
    given = map(str, [tmp_path, 20 if every_n_batches is None else 6, every_n_batches, from_source])
    command = [sys.executable, "-c", textwrap.dedent(SCRIPT), *given]
    one_thread = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "SKDEEP_KERNELS": "numpy"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=one_thread)
    assert done.stdout == "all equal\n", done.stderr


# What decides whether a file is that of this run ----------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        {"alpha": 0.01},
        {"max_iter": 9},
        {"random_state": 1},
        {"solver": Adam(beta_1=0.5)},
        {"learning_rate_init": 0.002},
    ],
    ids=str,
)
def test_other_parameters_are_another_run(change, tmp_path):
    model(tmp_path / "a").fit(X, y)
    other = model(tmp_path / "a", **change).fit(X, y)
    assert len(list(tmp_path.iterdir())) == 2
    assert_same_end(other, model(tmp_path / "b", **change).fit(X, y))


def test_other_data_are_another_run(tmp_path):
    model(tmp_path / "a").fit(X, y)
    other = X.copy()
    other[7, 3] += 1e-9
    for data in ((other, y), (X, 1 - y), (X[1:], y[1:]), (X, y, np.arange(120.0) + 1)):
        model(tmp_path / "a").fit(*data)
    model(tmp_path / "a").fit(X, y, X_val=X[:20], y_val=y[:20])
    assert len(list(tmp_path.iterdir())) == 6


def test_what_was_learned_before_is_part_of_the_run(tmp_path):
    starts = [MLPRegressor((8, 4), batch_norm="after", max_iter=n).fit(X, y) for n in (1, 2)]
    for start in starts:
        expected = start.coefs_[0].copy()
        given = {"pretrained": FrozenEstimator(start), "frozen_layers": 1}
        np.testing.assert_array_equal(model(tmp_path / "a", **given).fit(X, y).coefs_[0], expected)
    assert len(list(tmp_path.iterdir())) == 2


def test_a_fitted_layer_counts_by_its_weights(tmp_path):
    for seed in (0, 0, 1):  # a model that is fitted again differs in its times only
        below = MLPRegressor((3,), max_iter=2, random_state=seed).fit(X, y)
        layers = [Pretrained(FrozenEstimator(below)), Dense(4)]
        MLPRegressor(
            layers=layers,
            max_iter=2,
            random_state=0,
            callbacks=[ModelCheckpoint(f"{tmp_path}/{{run}}", resume=True)],
        ).fit(X, y)
    assert len(list(tmp_path.iterdir())) == 2


def test_weights_set_by_hand_are_part_of_the_run(tmp_path):
    ends = []
    for scale in (1.0, 0.5):
        start = model(tmp_path / f"start {scale}", warm_start=True).fit(X, y)
        start.coefs_[0][...] *= scale
        start.set_params(callbacks=[ModelCheckpoint(tmp_path / "a", resume=True)])
        ends.append(start.fit(X, y).predict_proba(X))
    assert (ends[0] != ends[1]).any()


def test_parameters_count_to_their_last_digit(tmp_path):
    """Also where they are too long to be printed whole."""
    columns = [list(range(5)) * 20, [*list(range(5)) * 19, 0, 1, 2, 3, 3]]
    for chosen in columns:
        layers = [Columns(chosen), Dense(4)]
        stack = {"layers": layers, "hidden_layer_sizes": (100,), "dropout": 0.0, "batch_norm": None}
        fitted = model(tmp_path / "a", **stack).fit(X, y)
        assert fitted.network_.layers[0].columns_.tolist() == chosen


def test_callbacks_of_skdeeps_that_change_the_run_count(tmp_path):
    frozen = model(tmp_path / "a", frozen_layers=2).fit(X, y)
    thawed = model(tmp_path / "a", GradualUnfreezing(1), frozen_layers=2).fit(X, y)
    assert (frozen.coefs_[1] != thawed.coefs_[1]).any()


def test_callbacks_may_come_in_another_order(tmp_path):
    def run(order, *others):
        both = {
            "resume": ModelCheckpoint(tmp_path / "a", resume=True),
            "best": ModelCheckpoint(tmp_path / "b", best_only=True, monitor="loss"),
        }
        callbacks = [*(both[name] for name in order), *others]
        return model(tmp_path / "a").set_params(callbacks=callbacks).fit(X, y).callbacks

    with pytest.raises(Interrupted):
        run(["resume", "best"], Interrupt(3))
    best, resume = run(["best", "resume"])[:2]
    assert best.best_ < 1
    assert resume.best_ is None


def test_verbose_and_callbacks_do_not_matter(tmp_path, capsys):
    with pytest.raises(Interrupted):
        model(tmp_path / "a", Interrupt(3)).fit(X, y)
    model(tmp_path / "a", Interrupt(99), verbose=True).fit(X, y)
    assert "Iteration 4," in capsys.readouterr().out
    assert len(list(tmp_path.iterdir())) == 1


def test_a_file_of_something_else_in_its_place_is_an_error(tmp_path):
    first = model(tmp_path / "a").fit(X, y)
    path = first.callbacks[0].path_
    other = model(tmp_path / "b", alpha=1.0).fit(X, y)
    os.replace(other.callbacks[0].path_, path)
    with pytest.raises(InvalidFileError, match="is not the checkpoint of this run; move it away"):
        model(tmp_path / "a").fit(X, y)
    with open(path, "wb") as file:
        file.write(b"nonsense")
    with pytest.raises(InvalidFileError, match=r"not a file that skdeep\.save wrote"):
        model(tmp_path / "a").fit(X, y)


def test_a_search_with_two_workers_writes_a_file_a_fit(tmp_path):
    search = GridSearchCV(
        model(tmp_path / "search.skdeep"), {"alpha": [0.0, 0.1, 1.0]}, cv=2, n_jobs=2
    ).fit(X, y)
    files = sorted(tmp_path.iterdir())
    assert len(files) == 3 * 2 + 1
    again = GridSearchCV(
        model(tmp_path / "search.skdeep"), {"alpha": [0.0, 0.1, 1.0]}, cv=2, n_jobs=2
    ).fit(X, y)
    assert sorted(tmp_path.iterdir()) == files
    np.testing.assert_array_equal(
        again.cv_results_["mean_test_score"], search.cv_results_["mean_test_score"]
    )


# The files ------------------------------------------------------------------------------------


def with_checkpoint(tmp_path, name="{run}-{epoch:02d}.skdeep", *, of=None, **options):
    options = {"hidden_layer_sizes": (4,), "max_iter": 6, "random_state": 0, "tol": 0.0, **options}
    checkpoint = ModelCheckpoint(tmp_path / name, **(of or {}))
    return MLPClassifier(**options, callbacks=[checkpoint]).fit(X, y, X_val=X[:30], y_val=y[:30])


def names(tmp_path):
    return sorted(path.name.partition("-")[2] for path in tmp_path.iterdir())


def test_a_file_is_a_model_that_predicts(tmp_path):
    fitted = with_checkpoint(tmp_path)
    epochs = [load(path) for path in sorted(tmp_path.iterdir())]
    assert [m.n_iter_ for m in epochs] == [1, 2, 3, 4, 5, 6]
    np.testing.assert_array_equal(epochs[-1].predict_proba(X), fitted.predict_proba(X))
    for m in epochs:
        assert m.score(X[:30], y[:30]) == m.history_["val_score"][-1]
        assert m.callbacks is None
    assert epochs[2].history_["loss"] == fitted.history_["loss"][:3]


def test_every_so_many_epochs(tmp_path):
    with_checkpoint(tmp_path, of={"every": 2})
    assert names(tmp_path) == ["02.skdeep", "04.skdeep", "06.skdeep"]


@pytest.mark.parametrize("key", [None, "val_score", "val_loss", "loss"])
def test_the_best_only(key, tmp_path):
    fitted = with_checkpoint(tmp_path, of={"best_only": True, "monitor": key}, max_iter=20)
    values = np.array(fitted.history_[key or "val_score"])
    values = values if key in (None, "val_score") else -values
    best = [i + 1 for i in range(20) if i == 0 or values[i] > values[:i].max()]
    assert names(tmp_path) == [f"{i:02d}.skdeep" for i in best]
    assert load(fitted.callbacks[0].path_).n_iter_ == best[-1]


def test_figures_in_names(tmp_path):
    fitted = with_checkpoint(tmp_path, "{run}-{val_loss:.3f}-{epoch}", of={"every": 6})
    assert names(tmp_path) == [f"{fitted.history_['val_loss'][-1]:.3f}-6"]


def test_directories_are_made(tmp_path):
    with_checkpoint(tmp_path, "a/{run}/b.skdeep", of={"every": 3})
    assert len(list(tmp_path.glob("a/*/b.skdeep"))) == 1


def test_lbfgs_has_files_but_no_way_back(tmp_path):
    with_checkpoint(tmp_path, solver="lbfgs", of={"every": 2})
    assert load(next(tmp_path.iterdir())).predict(X).shape == (120,)
    with pytest.raises(ValueError, match="the state of solver='lbfgs' can't be saved"):
        with_checkpoint(tmp_path, "a", solver="lbfgs", of={"resume": True})


def test_a_disk_that_is_full_does_not_end_training(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.warns(RuntimeWarning, match="could not write .*Training continues"):
        fitted = with_checkpoint(tmp_path, "file/{run}.skdeep")
    assert fitted.n_iter_ == 6


def test_a_file_that_was_changed_can_not_redirect_what_is_written(tmp_path, save_anything):
    first = model(tmp_path / "a").fit(X, y)
    saved = load(first.callbacks[0].path_)
    saved._run.memories[0][1]["path"] = str(tmp_path / "victim")
    save_anything(saved, first.callbacks[0].path_)
    with pytest.raises(InvalidFileError, match="have unknown attributes"):
        model(tmp_path / "a").fit(X, y)


@pytest.mark.parametrize(
    "change",
    [{"epoch": "x"}, {"epoch": None}, {"name": 3}, {"memories": 3}, {"learning_rate": None}],
)
def test_a_file_that_says_nonsense_of_its_run(change, tmp_path, save_anything):
    first = model(tmp_path / "a").fit(X, y)
    saved = load(first.callbacks[0].path_)
    vars(saved._run).update(change)
    save_anything(saved, first.callbacks[0].path_)
    with pytest.raises(InvalidFileError, match="does not hold a model"):
        model(tmp_path / "a").fit(X, y)


@pytest.mark.parametrize(
    ("name", "of", "words"),
    [
        ("{run}", {"every": 0}, "every=0 is not allowed"),
        ("{run", {}, "ModelCheckpoint path=.*{run'"),
        ("{run}-{epoch}", {"resume": True}, r"names many. Leave \['epoch'\] out"),
        ("{run}", {"best_only": True, "monitor": "auc"}, "monitor='auc' is not in history_"),
        ("{run}-{auc}", {}, "'auc'.*choose from"),
        ("{run}-{loss:d}", {}, "ModelCheckpoint path="),
        ("{run}-{}", {}, "ModelCheckpoint path="),
        ("{run}", {"best_only": "yes"}, "best_only='yes' is not allowed"),
        ("{run}", {"resume": 1}, "resume=1 is not allowed"),
        ("{run}", {"monitor": ["loss"]}, r"monitor=\['loss'\] is not allowed"),
    ],
    ids=str,
)
def test_what_is_not_allowed(name, of, words, tmp_path):
    with pytest.raises(ValueError, match=words):
        with_checkpoint(tmp_path, name, of=of)


def test_models_with_parts_of_the_users_own_say_so(tmp_path):
    with pytest.raises(TypeError, match=r"ModelCheckpoint: .*solver is an object of .*OwnAdam"):
        with_checkpoint(tmp_path, solver=OwnAdam())


@pytest.mark.parametrize("path", ["", b"x", 5, None], ids=str)
def test_paths_that_are_none(path):
    with pytest.raises(ValueError, match=r"ModelCheckpoint path=.* is not allowed; give a str"):
        MLPClassifier(callbacks=[ModelCheckpoint(path)]).fit(X, y)


def test_braces_that_are_no_field_do_not_stand_for_the_run(tmp_path):
    with_checkpoint(tmp_path, "{{run}}.skdeep", of={"every": 6})
    assert next(tmp_path.iterdir()).name.startswith("{run}-")


def test_ctrl_c_leaves_the_last_whole_epoch(tmp_path):
    class Stop(Callback):
        def on_batch_end(self, trainer):
            if trainer.epoch == 3:
                raise KeyboardInterrupt

    checkpoint = ModelCheckpoint(tmp_path / "a")
    stopped = MLPClassifier((4,), max_iter=9, callbacks=[checkpoint, Stop()], random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        stopped.fit(X, y)
    assert load(checkpoint.path_).n_iter_ == 3
