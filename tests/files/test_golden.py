"""Files that earlier versions wrote: they are never written again, and every version reads them."""

import json
import struct
from pathlib import Path

import numpy as np
import pytest

from file_tools import parts_of, sealed
from skdeep import InvalidFileError, load, save
from skdeep.files import migrations
from skdeep.files.container import LENGTHS
from skdeep.files.names import CLASSES
from skdeep.tabular.names import ESTIMATORS, PARTS
from tools.golden import CLASSES as LABELS
from tools.golden import NUMBERS, TASKS, X, said_by

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
ROOT = Path(__file__).parent / "golden"
FILES = sorted(ROOT.glob("format-*/*.skdeep"))
# The number of files when the format was fixed.
N_FILES = 34


def header_of(path):
    data = path.read_bytes()
    return LENGTHS.unpack_from(data)[1], json.loads(parts_of(data)[0])


def objects(data):
    """Yield (name, state) of every object in a header."""
    if isinstance(data, dict):
        if "$object" in data:
            yield data["$object"], data["state"]
        data = list(data.values())
    if isinstance(data, list):
        for entry in data:
            yield from objects(entry)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_golden_file_predicts_what_it_did(path):
    expected = json.loads((path.parent / "expected.json").read_text())[path.stem]
    model = load(path, with_writers=True)
    np.testing.assert_allclose(said_by(model), expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_golden_file_can_be_trained_further_and_saved_again(path, tmp_path):
    model = load(path)
    if hasattr(model, "members_"):
        save(model, tmp_path / "again")
        assert said_by(load(tmp_path / "again")) == said_by(model)
        return
    if model.optimizer_ is not None and not model.early_stopping:
        y = LABELS if hasattr(model, "classes_") else NUMBERS
        model.partial_fit(X, TASKS if hasattr(model, "tasks_") else y)
        assert len(model.loss_curve_) > 1
    save(model, tmp_path / "again")
    np.testing.assert_array_equal(load(tmp_path / "again").coefs_[0], model.coefs_[0])


def test_golden_files_hold_every_class_that_has_a_name():
    assert len(FILES) >= N_FILES
    found = {name for path in FILES for name, _ in objects(header_of(path)[1]["model"])}
    assert CLASSES.keys() | PARTS.keys() | ESTIMATORS.keys() <= found
    assert all(path.stat().st_size < 100_000 for path in FILES)


def test_golden_files_say_who_wrote_them():
    for path in FILES:
        version, header = header_of(path)
        assert path.parent.name == f"format-{version}"
        assert all(part.isdigit() for part in header["skdeep"].split("."))


# What a file lacks, and formats to come ----------------------------------------------------------


def with_header(path, change, version=1):
    """Return the bytes of a file with another header."""
    header, body = parts_of(path.read_bytes())
    content = json.loads(header)
    change(content)
    return sealed(json.dumps(content).encode(), body, version)


def test_a_parameter_that_a_file_is_too_old_for_has_its_default(tmp_path):
    def forget(header):
        for name, state in objects(header["model"]):
            if name == "estimators.MLPClassifier":
                del state["weight_averaging"], state["label_smoothing"]
            if name == "optimizers.Adam":
                del state["beta_2"]

    path = ROOT / "format-1" / "classifier-log_loss.skdeep"
    (tmp_path / "old").write_bytes(with_header(path, forget))
    model, expected = load(tmp_path / "old"), load(path)
    assert repr(model) == repr(expected)
    assert model.get_params()["weight_averaging"] is None
    assert model.optimizer_.beta_2 == 0.999
    model.partial_fit(X, LABELS)
    expected.partial_fit(X, LABELS)
    np.testing.assert_array_equal(model.coefs_[0], expected.coefs_[0])


def test_a_network_may_be_older_than_an_option_that_it_depends_on(tmp_path):
    def forget(header):
        for name, state in objects(header["model"]):
            if name == "training.Run":
                del state["built_from"]["batch_norm"], state["built_from"]["dropout"]

    path = ROOT / "format-1" / "classifier-log_loss.skdeep"
    (tmp_path / "old").write_bytes(with_header(path, forget))
    model = load(tmp_path / "old").partial_fit(X, LABELS)
    assert len(model.loss_curve_) == 2
    with pytest.raises(ValueError, match="batch_norm='before' would change the architecture"):
        load(tmp_path / "old").set_params(batch_norm="before").partial_fit(X, LABELS)


def test_an_attribute_that_a_file_is_too_old_for_is_in_the_table(tmp_path, monkeypatch):
    def forget(header):
        for name, state in objects(header["model"]):
            if name == "training.Run":
                del state["average"]

    path = ROOT / "format-1" / "classifier-log_loss.skdeep"
    (tmp_path / "old").write_bytes(with_header(path, forget))
    with pytest.raises(ValueError, match="KeyError: 'average'"):
        load(tmp_path / "old")
    added = {**migrations.ADDED["training.Run"], "average": None}
    monkeypatch.setitem(migrations.ADDED, "training.Run", added)
    assert load(tmp_path / "old")._run.average is None


def test_a_file_of_an_older_format_is_migrated(tmp_path, monkeypatch):
    def rename(header):  # as if the format before had another name for it
        for _, state in objects(header["model"]):
            if "_run" in state:
                state["the_run"] = state.pop("_run")

    def migration(content):
        content["state"]["_run"] = content["state"].pop("the_run")
        return content

    path = ROOT / "format-1" / "classifier-log_loss.skdeep"
    (tmp_path / "old").write_bytes(with_header(path, rename, version=0))
    with pytest.raises(ValueError, match="does not hold a model"):
        load(tmp_path / "old")
    monkeypatch.setitem(migrations.MIGRATIONS, 0, migration)
    np.testing.assert_array_equal(load(tmp_path / "old").coefs_[0], load(path).coefs_[0])


def test_a_message_names_the_version_that_wrote_a_file(tmp_path):
    def newer(header):
        header["skdeep"] = "7.5.0"
        header["model"]["$object"] = "estimators.Oracle"

    path = ROOT / "format-1" / "lbfgs.skdeep"
    data = with_header(path, newer)
    (tmp_path / "newer").write_bytes(data)
    with pytest.raises(ValueError, match=r"a file of skdeep 7\.5\.0, but"):
        load(tmp_path / "newer")
    later = with_header(path, lambda header: None, version=2)
    (tmp_path / "later").write_bytes(later)
    with pytest.raises(ValueError, match="of format 2"):
        load(tmp_path / "later")
    assert struct.calcsize("<8sIQQ") == LENGTHS.size


def test_a_class_may_move_without_a_change_of_its_name(tmp_path, monkeypatch):
    from skdeep.activations import ReLU

    model = load(ROOT / "format-1" / "classifier-log_loss.skdeep")
    monkeypatch.setattr(ReLU, "__module__", "skdeep.elsewhere")
    save(model, tmp_path / "model")
    names = [name for name, _ in objects(header_of(tmp_path / "model")[1]["model"])]
    assert "activations.ReLU" in names
    twin = load(tmp_path / "model")
    assert twin.predict(X).tolist() == model.predict(X).tolist()
    assert "skdeep." not in json.dumps(header_of(tmp_path / "model")[1]["model"])
    twin.partial_fit(X, LABELS)


# States that do not go together ------------------------------------------------------------------

WRONG = {
    "n_averaged_ is text": ("averages.SWA", {"n_averaged_": "a"}),
    "n_averaged_ is None": ("averages.SWA", {"n_averaged_": None}),
    "n_averaged_ is negative": ("averages.SWA", {"n_averaged_": -2}),
    "n_averaged_ is no integer": ("averages.SWA", {"n_averaged_": 1.5}),
    "nothing in the average": ("averages.SWA", {"n_averaged_": 0}),
    "no n_averaged_": ("averages.SWA", {"n_averaged_": ...}),
    "another time": ("averages.SWA", {"every_step": True}),
    "a method that is a number": ("averages.SWA", {"share": 3}),
    "a schedule whose method is a number": ("schedules.Constant", {"rate": 3}),
    "no history": ("training.Run", {"history": {}}),
    "a history of text": ("training.Run", {"history": {"loss": ["a"]}}),
    "best vectors that are none": ("training.Monitor", {"best_vectors": []}),
    "steps that nobody did": ("optimizers.Adam", {"n_steps_": -1}),
}


@pytest.mark.parametrize(("name", "change"), WRONG.values(), ids=WRONG)
def test_states_that_do_not_go_together_are_refused(name, change, tmp_path):
    def damage(header):
        states = [state for found, state in objects(header["model"]) if found == name]
        assert states
        for state in states:
            state.update(change)
            if ... in change.values():
                state.pop(*change)

    data = with_header(ROOT / "format-1" / "swa.skdeep", damage)
    (tmp_path / "damaged").write_bytes(data)
    with pytest.raises(InvalidFileError, match="does not hold a model"):
        load(tmp_path / "damaged")


def test_a_run_that_does_not_say_what_its_network_was_built_from(tmp_path):
    def forget(header):
        for name, state in objects(header["model"]):
            if name == "training.Run":
                state["built_from"] = {}

    for stem, y in [("autoencoder", None), ("swa", LABELS)]:
        path = ROOT / "format-1" / f"{stem}.skdeep"
        (tmp_path / stem).write_bytes(with_header(path, forget))
        with pytest.raises(ValueError, match="hidden_layer_sizes"):
            load(tmp_path / stem).partial_fit(X, y)


@pytest.mark.parametrize("version", [99, 0, None, "x", True])
def test_a_pickle_of_another_format(version):
    model = load(ROOT / "format-1" / "swa.skdeep")
    state = {**model.__getstate__(), "format": version}
    with pytest.raises(ValueError, match="format"):
        type(model).__new__(type(model)).__setstate__(state)
