"""ModelCheckpoint within epochs: files between batches, and runs that continue from them."""

import itertools
import os

import numpy as np
import pytest
import scipy.sparse as sp

from skdeep import (
    InvalidFileError,
    MLPAutoencoder,
    MLPClassifier,
    MLPRegressor,
    MultiTaskMLP,
    load,
    save,
)
from skdeep.augmentation import Mixup
from skdeep.averages import EMA, SWA
from skdeep.callbacks import (
    Callback,
    CSVLogger,
    EarlyStopping,
    GradualUnfreezing,
    LayerStatistics,
    LearningRateLogger,
    ModelCheckpoint,
)
from skdeep.data import Memmap
from skdeep.optimizers import OPTIMIZERS
from skdeep.schedules import SCHEDULES, InverseScaling, Scheduled, Warmup
from skdeep.tasks import Classification, Regression

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

rng = np.random.default_rng(0)
X = rng.standard_normal((115, 5))
y = (X[:, 0] * X[:, 1] > 0).astype(int)
numbers = X[:, 0] * X[:, 1] + 0.1 * rng.standard_normal(115)
weight = rng.gamma(2.0, 0.5, 115)
TASKS = {"kind": y, "size": numbers}
BATCH_SIZE = 20
N_BATCHES = 6
N_EPOCHS = 4


class Interrupted(Exception):
    pass


class Interrupt(Callback):
    """Raises an error after a batch, and keeps the number of the first batch of each epoch."""

    def __init__(self, epoch, batch, error=Interrupted):
        self.epoch = epoch
        self.batch = batch
        self.error = error

    def on_train_begin(self, trainer):
        self.begins_ = []

    def on_epoch_begin(self, trainer):
        self.begins_.append((trainer.epoch, trainer.batches_done))

    def on_batch_end(self, trainer):
        if (trainer.epoch, trainer.batches_done) == (self.epoch, self.batch):
            raise self.error


def never():
    return Interrupt(-1, -1)


def model(path, *callbacks, Estimator=MLPClassifier, every_n_batches=2, every=1, **options):
    common = {
        "hidden_layer_sizes": (8, 4),
        "dropout": 0.1,
        "batch_norm": "after",
        "batch_size": BATCH_SIZE,
        "max_iter": N_EPOCHS,
        "tol": 0.0,
        "n_iter_no_change": 20,
        "random_state": 0,
    }
    checkpoint = ModelCheckpoint(path, every=every, every_n_batches=every_n_batches, resume=True)
    return Estimator(**{**common, **options}, callbacks=[checkpoint, *callbacks])


def arrays_of(run):
    """Yield every array of a run."""
    yield from run.vectors()
    for part, names in (("optimizer", ["slots_"]), ("monitor", ["best_vectors"])):
        for name in names:
            yield from getattr(getattr(run, part), name, None) or []
    if run.average is not None and run.average.values_ is not None:
        yield run.average.values_


def assert_same_end(actual, expected):
    one, other = actual._run, expected._run
    for array, expected_array in zip(arrays_of(one), arrays_of(other), strict=True):
        np.testing.assert_array_equal(array, expected_array)
    assert one.history.keys() == other.history.keys()
    for name in one.history.keys() - {"seconds"}:
        np.testing.assert_array_equal(one.history[name], other.history[name], err_msg=name)
    for name in ("init", "shuffle", "noise"):
        states = [getattr(run.streams, name).bit_generator.state for run in (one, other)]
        assert states[0] == states[1], name
    names = ("n_iter_", "t_", "loss_", "best_iter_", "best_loss_", "best_validation_score_")
    for name in names:
        assert getattr(actual, name) == getattr(expected, name), name
    assert one.within is None


def interrupted_run(path, make, data, at):
    """Interrupt runs after these batches; return the model that is trained to the end."""
    for epoch, batch in at:
        with pytest.raises(Interrupted):
            make(path, Interrupt(epoch, batch)).fit(*data)
    return make(path, last := never()).fit(*data), last


# Continuing -----------------------------------------------------------------------------------

RUNS = {
    "plain": {},
    "float32, noise": {"dtype": "float32", "input_noise": 0.1, "gradient_noise": 0.01},
    "noise everywhere": {"activation_noise": 0.1, "weight_noise": 0.1, "activation": "rrelu"},
    "no shuffling": {"shuffle": False},
    "one row a batch": {"batch_size": 19, "batch_norm": None},
    "early stopping": {"early_stopping": True, "n_iter_no_change": 1, "max_iter": 9},
    "validation loss": {"early_stopping": True, "scoring": "loss"},
    "adaptive": {"learning_rate": "adaptive", "solver": "sgd", "tol": 0.1, "n_iter_no_change": 1},
    "metrics": {"metrics": ["roc_auc", "accuracy"]},
    "metrics and early stopping": {"metrics": "f1", "early_stopping": True},
    "clipping": {"clip_norm": 0.5, "clip_value": 0.1},
    "scheduled numbers": {
        "dropout": Scheduled(0.3, "linear"),
        "weight_decay": Scheduled(0.01, "cosine"),
        "input_noise": Scheduled(0.2, "step"),
    },
    "augmentation": {"augment": [Mixup()], "input_noise": 0.1},
    "ema": {"weight_averaging": "ema", "early_stopping": True},
    "ema from the second epoch on": {"weight_averaging": EMA(0.9, start=1)},
    "swa": {"weight_averaging": SWA(start=1), "early_stopping": True},
    "swa by shares": {"weight_averaging": SWA(start=0.5, every=2), "metrics": "accuracy"},
    "warm-up of a rate by rows": {"learning_rate": Warmup(InverseScaling(), 2)},
    "frozen layers": {"frozen_layers": 1, "learning_rate_multipliers": [1.0, 0.5]},
    "class weights": {"class_weight": "balanced", "label_smoothing": 0.1},
    "regressor": {"Estimator": MLPRegressor, "target_noise": 0.1, "metrics": "r2"},
    "scheduled target noise": {
        "Estimator": MLPRegressor,
        "target_noise": Scheduled(0.1, "linear"),
        "standardize_y": True,
    },
    "autoencoder": {"Estimator": MLPAutoencoder, "tied_weights": True, "input_noise": 0.1},
    **{f"solver {name}": {"solver": name} for name in OPTIMIZERS},
    **{f"schedule {name}": {"learning_rate": SCHEDULES[name]()} for name in SCHEDULES},
}
# In the first epoch, twice in one epoch, before the first file of an epoch, before its last batch.
INTERRUPTS = [(0, 3), (0, 5), (1, 1), (3, 5)]


@pytest.mark.parametrize("kind", RUNS)
def test_a_run_that_continues_ends_where_it_would_have_ended(kind, tmp_path):
    def make(path, *callbacks):
        return model(path, *callbacks, **RUNS[kind])

    data = X, numbers if RUNS[kind].get("Estimator") is MLPRegressor else y
    whole = make(tmp_path / "whole").fit(*data)
    at = [place for place in INTERRUPTS if place[0] < whole.n_iter_]
    assert len(at) >= 3
    part, last = interrupted_run(tmp_path / "part", make, data, at)
    assert last.begins_[0] == (at[-1][0], (at[-1][1] - 1) // 2 * 2)
    assert_same_end(part, whole)


SPARSE = np.where(X > 0.5, X, 0.0)
DATA = {
    "sample weights": (X, y, weight),
    "sparse": (sp.csr_matrix(SPARSE), y),
    "sparse, weighted": (sp.csr_array(SPARSE), y, weight),
    "many classes": (X, np.digitize(numbers, [-0.5, 0.0, 0.5])),
    "several labels": (X, np.stack([y, numbers > 0.2], axis=1).astype(int)),
}


@pytest.mark.parametrize("kind", DATA)
@pytest.mark.parametrize("metrics", [None, "accuracy"])
def test_with_other_data(kind, metrics, tmp_path):
    def make(path, *callbacks):
        return model(path, *callbacks, metrics=metrics)

    whole = make(tmp_path / "whole").fit(*DATA[kind])
    part, _ = interrupted_run(tmp_path / "part", make, DATA[kind], INTERRUPTS)
    assert_same_end(part, whole)


def test_several_tasks(tmp_path):
    def make(path, *callbacks):
        return model(
            path,
            *callbacks,
            Estimator=MultiTaskMLP,
            tasks={"kind": Classification(), "size": Regression(loss_weight=0.5)},
            metrics=["kind__roc_auc", "size__r2"],
        )

    whole = make(tmp_path / "whole").fit(X, TASKS)
    part, _ = interrupted_run(tmp_path / "part", make, (X, TASKS), INTERRUPTS)
    assert_same_end(part, whole)
    assert len(part.history_["size__r2"]) == N_EPOCHS


SOURCES = {
    "a matrix": (X, {}),
    "a sparse matrix": (sp.csr_matrix(SPARSE), {}),
    "in order": (X, {"shuffle": False}),
    "early stopping": (X, {"early_stopping": True, "metrics": "accuracy"}),
    "metrics, noise and averages": (
        X,
        {"metrics": "roc_auc", "input_noise": 0.1, "weight_averaging": "ema"},
    ),
    "one window": (X, {"metrics": "accuracy"}),
}


@pytest.mark.parametrize("kind", SOURCES)
def test_rows_that_are_not_in_memory(kind, tmp_path):
    rows, options = SOURCES[kind]
    # Windows of a quarter of the rows, which batches do not begin with.
    n_bytes = rows.data.nbytes * 1.5 if sp.issparse(rows) else rows.nbytes
    limit = int(n_bytes * (100 if kind == "one window" else 6 / 4))

    def make(path, *callbacks):
        return model(path, *callbacks, **options)

    def data():
        return Memmap(rows, memory_limit=limit), y, weight

    whole = make(tmp_path / "whole").fit(*data())
    for epoch, batch in INTERRUPTS:
        with pytest.raises(Interrupted):
            make(tmp_path / "part", Interrupt(epoch, batch)).fit(*data())
    part = make(tmp_path / "part", last := never()).fit(*data())
    assert last.begins_[0] == (3, 4)
    assert_same_end(part, whole)


@pytest.mark.parametrize("averaging", [None, "ema", SWA(start=1)])
@pytest.mark.parametrize("learning_rate", ["constant", "one_cycle"])
def test_in_a_second_call_that_continues_the_first(averaging, learning_rate, tmp_path):
    def fit_twice(path, *callbacks):
        options = {
            "warm_start": "continue",
            "weight_averaging": averaging,
            "learning_rate": learning_rate,
            "early_stopping": True,
        }
        twice = model(path, **options).fit(X, y)
        return twice.set_params(callbacks=[twice.callbacks[0], *callbacks]).fit(X, y)

    whole = fit_twice(tmp_path / "whole")
    for epoch, batch in INTERRUPTS:
        with pytest.raises(Interrupted):
            fit_twice(tmp_path / "part", Interrupt(epoch, batch))
    part = fit_twice(tmp_path / "part", last := never())
    assert last.begins_[0] == (3, 4)
    assert_same_end(part, whole)
    assert part.optimizer_.started  # which the comparison includes
    assert_same_end(part.set_params(callbacks=None).fit(X, y), whole.fit(X, y))


def test_parts_of_a_fit(tmp_path):
    def fit_parts(path, *callbacks):
        parts = model(path, warm_start="continue", metrics="accuracy", weight_averaging="ema")
        parts.fit_part(2, X, y)
        parts.set_params(callbacks=[*parts.callbacks, *callbacks]).fit_part(N_EPOCHS, X, y)
        return parts

    whole = fit_parts(tmp_path / "whole")
    for epoch, batch in [(0, 3), (1, 5)]:
        with pytest.raises(Interrupted):
            fit_parts(tmp_path / "part", Interrupt(epoch, batch))
    part = fit_parts(tmp_path / "part", last := never())
    assert last.begins_[0] == (1, 4)
    assert_same_end(part, whole)
    options = {"warm_start": "continue", "metrics": "accuracy", "weight_averaging": "ema"}
    assert_same_end(part, model(tmp_path / "a", **options).fit(X, y))


def test_a_part_of_a_fit_does_not_continue_from_an_epoch_after_its_last(tmp_path):
    def begin(*callbacks):
        return model(tmp_path / "a", *callbacks, warm_start="continue")

    with pytest.raises(Interrupted):
        begin(Interrupt(2, 5)).fit_part(N_EPOCHS, X, y)
    begin(last := never()).fit_part(2, X, y)
    assert last.begins_ == [(0, 0), (1, 0)]


def test_layers_that_were_thawed_are_not_thawed_again(tmp_path):
    def make(path, *callbacks):
        thaw = GradualUnfreezing([1, 3], multiplier=0.5)
        return model(path, thaw, *callbacks, frozen_layers=2)

    whole = make(tmp_path / "whole").fit(X, y)
    part, _ = interrupted_run(tmp_path / "part", make, (X, y), [*INTERRUPTS[:-1], (1, 5), (3, 5)])
    assert_same_end(part, whole)


def test_callbacks_remember(tmp_path):
    def fit(path, *callbacks):
        watchers = [
            LearningRateLogger(),
            LayerStatistics(),
            EarlyStopping("loss", patience=3),
            CSVLogger(f"{path}.csv"),
            ModelCheckpoint(f"{path}.best", best_only=True),
        ]
        fitted = model(path, *watchers, *callbacks, learning_rate="one_cycle").fit(X, y)
        return fitted, fitted.callbacks[1:6]

    whole, expected = fit(tmp_path / "whole")
    for epoch, batch in INTERRUPTS:
        with pytest.raises(Interrupted):
            fit(tmp_path / "part", Interrupt(epoch, batch))
    part, found = fit(tmp_path / "part")
    assert_same_end(part, whole)
    assert len(found[0].rates_) == N_EPOCHS * N_BATCHES
    assert found[0].rates_ == expected[0].rates_
    assert found[1].statistics_ == expected[1].statistics_
    assert found[2].values_ == expected[2].values_
    lines = [(tmp_path / f"{name}.csv").read_text().splitlines() for name in ("part", "whole")]
    assert [line.split(",")[:3] for line in lines[0]] == [line.split(",")[:3] for line in lines[1]]
    assert found[4].best_ == expected[4].best_


def test_a_callback_that_stops_after_this_epoch(tmp_path):
    class Stop(Callback):
        def on_batch_end(self, trainer):
            trainer.stop_training = trainer.stop_training or trainer.epoch == 1

    whole = model(tmp_path / "whole", Stop()).fit(X, y)
    with pytest.raises(Interrupted):
        model(tmp_path / "part", Stop(), Interrupt(1, 3)).fit(X, y)
    part = model(tmp_path / "part", Stop()).fit(X, y)
    assert part.n_iter_ == 2
    assert_same_end(part, whole)


def test_own_callbacks_may_save_after_any_batch(tmp_path):
    class Save(Callback):
        needs_run_id = True

        def on_batch_end(self, trainer):
            trainer.save(str(tmp_path / f"{trainer.epoch}-{trainer.batches_done}"))

    whole = model(tmp_path / "whole", Save(), metrics="accuracy").fit(X, y)
    checkpoint = whole.callbacks[0].path_
    for name in ("0-1", "2-6", "3-6"):  # also after the last batch of an epoch
        os.replace(tmp_path / name, checkpoint)
        assert_same_end(model(tmp_path / "whole", metrics="accuracy").fit(X, y), whole)


# When there are files --------------------------------------------------------------------------


class Written(Callback):
    """Keeps when a file was written: after an epoch, or after a batch of the next one."""

    runs_last = True

    def on_train_begin(self, trainer):
        self.times_, save = [], trainer.save

        def noted(path):
            self.times_.append((trainer.epoch, trainer.batches_done))
            save(path)

        trainer.save = noted


@pytest.mark.parametrize(
    ("every_n_batches", "every", "expected"),
    [
        (None, 1, [(1, 0), (2, 0), (3, 0)]),
        (4, 1, [(0, 4), (1, 0), (1, 4), (2, 0), (2, 4), (3, 0)]),
        (4, 2, [(0, 4), (1, 4), (2, 0), (2, 4)]),
        (5, 9, [(0, 5), (1, 5), (2, 5)]),
        (3, 9, [(0, 3), (1, 0), (1, 3), (2, 0), (2, 3), (3, 0)]),
        (N_BATCHES, 1, [(1, 0), (2, 0), (3, 0)]),
        (N_BATCHES, 9, [(1, 0), (2, 0), (3, 0)]),
        (N_BATCHES + 1, 1, [(1, 0), (2, 0), (3, 0)]),
        (10**9, 9, []),
    ],
)
def test_when_files_are_written(every_n_batches, every, expected, tmp_path):
    given = {"every_n_batches": every_n_batches, "every": every, "max_iter": 3}
    fitted = model(tmp_path / "a", Written(), **given).fit(X, y)
    assert fitted.callbacks[1].times_ == expected


def test_a_run_that_continues_writes_the_same_files(tmp_path):
    with pytest.raises(Interrupted):
        model(tmp_path / "a", Interrupt(1, 5), every_n_batches=2).fit(X, y)
    fitted = model(tmp_path / "a", Written(), every_n_batches=2).fit(X, y)
    assert fitted.callbacks[1].times_[:4] == [(2, 0), (2, 2), (2, 4), (3, 0)]


def test_the_time_of_an_epoch_has_that_before_the_interruption(tmp_path):
    with pytest.raises(Interrupted):
        model(tmp_path / "a", Interrupt(0, 3)).fit(X, y)
    (path,) = tmp_path.iterdir()
    saved = load(path)
    assert 0 < saved._run.within.seconds < 60
    saved._run.within.seconds += 100.0
    save(saved, path)
    fitted = model(tmp_path / "a").fit(X, y)
    assert 100 < fitted.history_["seconds"][0] < 160
    assert max(fitted.history_["seconds"][1:]) < 60


def test_without_it_a_step_calls_nothing():
    assert ModelCheckpoint().on_batch_end is None
    assert ModelCheckpoint(every_n_batches=3).on_batch_end is not None


def test_watching_changes_nothing(tmp_path):
    for averaging in (None, "ema", SWA(start=1)):
        watched = model(tmp_path / "a", every_n_batches=1, weight_averaging=averaging).fit(X, y)
        plain = model(tmp_path / "b", weight_averaging=averaging).set_params(callbacks=None)
        assert_same_end(watched, plain.fit(X, y))


# The files ------------------------------------------------------------------------------------

ESTIMATORS = {
    "classifier": {},
    "early stopping": {"early_stopping": True},
    "regressor": {"Estimator": MLPRegressor},
    "autoencoder": {"Estimator": MLPAutoencoder},
    "ema": {"weight_averaging": "ema"},
}


@pytest.mark.parametrize("at", [(0, 3), (2, 3)])
@pytest.mark.parametrize("kind", ESTIMATORS)
def test_a_file_is_a_model(kind, at, tmp_path):
    with pytest.raises(Interrupted):
        model(tmp_path / "a", Interrupt(*at), **ESTIMATORS[kind]).fit(X, y)
    (path,) = tmp_path.iterdir()
    saved = load(path)
    assert saved.n_iter_ == at[0] == len(saved.loss_curve_)
    assert saved._run.within.n_batches == 2
    method = saved.transform if kind == "autoencoder" else saved.predict
    assert np.isfinite(method(X)).all()
    save(saved, tmp_path / "again")
    np.testing.assert_array_equal(
        load(tmp_path / "again").network_.parameters.values, saved.network_.parameters.values
    )
    saved.early_stopping = False
    n_epochs = len(saved.partial_fit(X, y).loss_curve_)
    assert n_epochs == at[0] + 1
    assert saved._run.within is None
    saved.set_params(warm_start=True, max_iter=2).fit(X, y)
    assert len(saved.loss_curve_) == n_epochs + 2


def test_a_file_has_the_averaged_weights(tmp_path):
    class Averages(Callback):
        def on_batch_end(self, trainer):
            if (trainer.epoch, trainer.batches_done) == (1, 4):
                self.average_ = trainer.run.average.values_.copy()
                self.raw_ = trainer.network.parameters.values.copy()

    kept = Averages()
    with pytest.raises(Interrupted):
        model(tmp_path / "a", kept, Interrupt(1, 5), weight_averaging="ema").fit(X, y)
    (path,) = tmp_path.iterdir()
    np.testing.assert_array_equal(load(path).network_.parameters.values, kept.average_)
    assert (kept.raw_ != kept.average_).any()


CHANGES = {
    "n_batches": -1,
    "n_rows": 0,
    "total": None,
    "gradient_norm": 3,
    "seconds": "long",
    "shuffle": np.random.Generator(np.random.Philox(0)),
    "outputs": np.zeros((40, 2)),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_file_that_says_nonsense_of_its_epoch(name, tmp_path, save_anything):
    with pytest.raises(Interrupted):
        model(tmp_path / "a", Interrupt(0, 3)).fit(X, y)
    (path,) = tmp_path.iterdir()
    saved = load(path)
    setattr(saved._run.within, name, CHANGES[name])
    save_anything(saved, path)
    with pytest.raises(InvalidFileError, match="does not hold a model"):
        model(tmp_path / "a").fit(X, y)


@pytest.mark.parametrize("change", ["cut off", "flipped"])
def test_a_corrupted_file(change, tmp_path):
    with pytest.raises(Interrupted):
        model(tmp_path / "a", Interrupt(0, 3)).fit(X, y)
    (path,) = tmp_path.iterdir()
    data = bytearray(path.read_bytes())
    if change == "cut off":
        del data[-100:]
    else:
        data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(InvalidFileError, match=r"cut off|is damaged"):
        model(tmp_path / "a").fit(X, y)


def test_ctrl_c_leaves_a_model_and_a_file_to_continue_from(tmp_path):
    whole = model(tmp_path / "whole", early_stopping=True).fit(X, y)
    stop = Interrupt(2, 3, KeyboardInterrupt)
    with pytest.warns(UserWarning, match="interrupted by user"):
        stopped = model(tmp_path / "part", stop, early_stopping=True).fit(X, y)
    assert stopped.n_iter_ == 2
    assert stopped._run.within is None
    assert stopped.score(X, y) >= 0
    part = model(tmp_path / "part", last := never(), early_stopping=True).fit(X, y)
    assert last.begins_[0] == (2, 2)
    assert_same_end(part, whole)


def test_ctrl_c_while_a_file_is_written(tmp_path, monkeypatch):
    """The average takes the place of the weights only while the file is written."""
    from skdeep.estimators import checkpoints

    written = itertools.count(1)

    def write_file(*args):
        if next(written) == 4:
            raise KeyboardInterrupt
        original(*args)

    options = {"weight_averaging": "ema", "warm_start": "continue"}
    original = checkpoints.write_file
    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "write_file", write_file)
        with pytest.warns(UserWarning, match="interrupted by user"):
            one = model(tmp_path / "a", **options).fit(X, y)
    with pytest.warns(UserWarning, match="interrupted by user"):
        other = model(tmp_path / "b", Interrupt(1, 2, KeyboardInterrupt), **options).fit(X, y)
    for array, expected in zip(arrays_of(one._run), arrays_of(other._run), strict=True):
        np.testing.assert_array_equal(array, expected)


@pytest.mark.parametrize(
    ("of", "words"),
    [
        ({"every_n_batches": 0}, "every_n_batches=0 is not allowed; give an integer >= 1 or None"),
        ({"every_n_batches": 2.0}, r"every_n_batches=2\.0 is not allowed"),
        ({"every_n_batches": True}, "every_n_batches=True is not allowed"),
        ({"every_n_batches": 2, "best_only": True}, "best_only=True.*Use two callbacks"),
        ({"every_n_batches": 2, "path": "{run}-{epoch}"}, r"names many. Leave \['epoch'\] out"),
    ],
    ids=str,
)
def test_what_is_not_allowed(of, words):
    with pytest.raises(ValueError, match=words):
        MLPClassifier((2,), max_iter=1, callbacks=[ModelCheckpoint(**of)]).fit(X, y)


def test_lbfgs_has_no_batches(tmp_path):
    checkpoint = ModelCheckpoint(tmp_path / "a", every_n_batches=2)
    lbfgs = MLPClassifier((2,), solver="lbfgs", callbacks=[checkpoint])
    with pytest.raises(ValueError, match=r"every_n_batches=2\) is for solvers that train step by"):
        lbfgs.fit(X, y)
