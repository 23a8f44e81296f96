"""Parquet: rows equal those of pandas, and faults name the file and the column."""

import datetime
import os
import pickle
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from skdeep import MLPClassifier, TabularEncoder
from skdeep._component import InvalidParameterError
from skdeep.data import Parquet, fit_transformer

pa = pytest.importorskip("pyarrow")
ds = pytest.importorskip("pyarrow.dataset")
fs = pytest.importorskip("pyarrow.fs")
pq = pytest.importorskip("pyarrow.parquet")

rng = np.random.default_rng(0)
N_ROWS = 500
NUMBERS = pd.DataFrame(rng.standard_normal((N_ROWS, 4)).astype(np.float32), columns=list("abcd"))
NUMBERS["i"] = rng.integers(0, 9, N_ROWS).astype(np.int16)
NUMBERS["flag"] = rng.random(N_ROWS) < 0.5
MIXED = NUMBERS.assign(
    city=rng.choice(list("uvwxyz"), N_ROWS),
    kind=pd.Categorical(rng.choice(["p", "q"], N_ROWS)),
    gaps=pd.array(np.where(rng.random(N_ROWS) < 0.1, None, 1), dtype="Int64"),
)
MIXED.loc[7, "city"] = None
y = np.where(NUMBERS["a"] > 0, "yes", "no")


def write(folder, table, sizes=(200, 0, 250, 50), row_group_size=60):
    start = 0
    for i, n in enumerate(sizes, 8):
        part = table[start : start + n]
        part.to_parquet(folder / f"p-{i}.parquet", row_group_size=row_group_size, index=False)
        start += n
    return folder


def test_rows_of_numbers_are_arrays(tmp_path):
    write(tmp_path, NUMBERS.assign(y=y, w=np.arange(N_ROWS)))
    source = Parquet(tmp_path, target="y", weight="w")
    expected = NUMBERS.to_numpy(np.float32)
    assert (source.shape, source.dtype) == ((N_ROWS, 6), np.float32)
    assert source.feature_names == list(NUMBERS)
    assert source.bounds.tolist() == [0, 60, 120, 180, 200, 260, 320, 380, 440, 450, 500]
    np.testing.assert_array_equal(source.y, y)
    np.testing.assert_array_equal(source.sample_weight, np.arange(N_ROWS))
    assert source.place(452) == f"{tmp_path}/p-11.parquet, row 2"
    source.check()
    source = pickle.loads(pickle.dumps(source))
    for rows in ([], [3], rng.integers(0, N_ROWS, 60), np.arange(N_ROWS)[::-1]):
        np.testing.assert_array_equal(source.take(rows), expected[np.array(rows, int)])
    blocks = [block for _, block in source[::3].blocks()]
    np.testing.assert_array_equal(np.concatenate(blocks), expected[::3])
    out = np.full((60, 6), np.nan)
    source.astype(np.float64).read_into(200, 260, out)
    np.testing.assert_array_equal(out, expected[200:260])


def test_what_a_path_may_be(tmp_path):
    write(tmp_path, NUMBERS)
    files = sorted(map(str, tmp_path.iterdir()), key=lambda name: (len(name), name))
    dataset = ds.dataset(files, format="parquet")
    for path in (tmp_path, str(tmp_path / "p-*.parquet"), files, dataset):
        np.testing.assert_array_equal(Parquet(path).take([450]), NUMBERS[450:451])
    assert len(Parquet(files[0])) == 200
    (tmp_path / "x").mkdir()
    NUMBERS.to_parquet(tmp_path / "x" / "part.pq")
    assert len(Parquet(tmp_path / "x")) == N_ROWS


def test_arrow_files(tmp_path):
    table = MIXED.assign(y=y)
    for i, part in enumerate((table[:200], table[200:]), 9):
        part.reset_index(drop=True).to_feather(tmp_path / f"p-{i}.feather", chunksize=60)
    dataset = ds.dataset(sorted(map(str, tmp_path.iterdir()), key=len), format="ipc")
    for path in (tmp_path, dataset):
        source = Parquet(path, target="y", columns=list(NUMBERS))
        assert source.bounds.tolist() == [0, 60, 120, 180, 200, 260, 320, 380, 440, 500]
        np.testing.assert_array_equal(source.take([3, 499]), NUMBERS.iloc[[3, 499]])
        np.testing.assert_array_equal(pickle.loads(pickle.dumps(source)).y, y)
    encoder = TabularEncoder().fit(MIXED)
    encoded = Parquet(tmp_path, columns=list(MIXED)).transform(encoder)
    np.testing.assert_array_equal(encoded.take(np.arange(N_ROWS)), encoder.transform(MIXED))
    (tmp_path / "p-9.feather").write_bytes(b"no table")
    with pytest.raises(ValueError, match=r"p-9\.feather' can't be read as a file of Arrow"):
        Parquet(tmp_path)
    (tmp_path / "t.csv").write_text("a,b\n1,2\n")
    with pytest.raises(InvalidParameterError, match="no files of Parquet or Arrow"):
        Parquet(ds.dataset(tmp_path / "t.csv", format="csv"))


def test_other_file_systems(tmp_path):
    (tmp_path / "inner").mkdir()
    write(tmp_path / "inner", NUMBERS)
    system = fs.SubTreeFileSystem(str(tmp_path), fs.LocalFileSystem())
    source = Parquet(ds.dataset("inner", filesystem=system, format="parquet"), target="a")
    source.check()
    assert pickle.loads(pickle.dumps(source)).take([7]).shape == (1, 5)


def test_names_of_folders_become_columns(tmp_path):
    table = NUMBERS.assign(year=np.repeat([2024, 2025], N_ROWS // 2))
    table.to_parquet(tmp_path / "t", partition_cols=["year"], row_group_size=100)
    expected = pd.read_parquet(tmp_path / "t").astype({"year": int}).to_numpy(float)
    partitioned = ds.dataset(tmp_path / "t", format="parquet", partitioning="hive")
    for path in (tmp_path / "t", partitioned):
        source = Parquet(path)
        assert source.feature_names == [*NUMBERS, "year"]
        np.testing.assert_array_equal(source.take([0, 300]), expected[[0, 300]])
    (inner,) = (tmp_path / "t" / "year=2025").iterdir()
    for path in (inner, [inner], tmp_path / "t" / "year=2025"):
        assert Parquet(path).feature_names == list(NUMBERS)
    chosen = Parquet(tmp_path / "t", columns=["year", "a"], target="flag")
    np.testing.assert_array_equal(chosen.take([300]), expected[[300]][:, [6, 0]])


def test_the_index_of_a_frame_is_no_column(tmp_path):
    NUMBERS.set_index(rng.permutation(N_ROWS)).to_parquet(tmp_path / "p.parquet")
    assert Parquet(tmp_path / "p.parquet").feature_names == list(NUMBERS)
    index = Parquet(tmp_path / "p.parquet", columns=["__index_level_0__"])
    assert set(index.take(np.arange(N_ROWS)).ravel()) == set(range(N_ROWS))


def test_a_row_group_that_is_too_large_is_read_in_parts(tmp_path):
    NUMBERS.to_parquet(tmp_path / "p.parquet", row_group_size=300)
    words = r"Row group 0 of .*p\.parquet' has 300 rows.* read in 5 parts.*row_group_size=69"
    with pytest.warns(UserWarning, match=words):
        source = Parquet(tmp_path / "p.parquet", memory_limit="10kB")
    assert np.diff(source.bounds).max() <= 69
    blocks = [block for _, block in source.blocks()]
    np.testing.assert_array_equal(np.concatenate(blocks), NUMBERS)
    np.testing.assert_array_equal(source.take([450, 2]), NUMBERS.iloc[[450, 2]])


TYPES = {
    "float64": (pa.array([1.5, None, 3]), np.float64),
    "float32": (pa.array([1.5, None, 3], pa.float32()), np.float32),
    "float16": (pa.array(np.array([1.5, 2, 3], np.float16)), np.float16),
    "int64": (pa.array([1, None, 3]), np.float64),
    "uint8": (pa.array([1, 255, 3], pa.uint8()), np.float64),
    "bool": (pa.array([True, None, False]), np.float64),
}


@pytest.mark.parametrize("name", TYPES)
def test_types_of_numbers(name, tmp_path):
    values, dtype = TYPES[name]
    pq.write_table(pa.table({"x": values}), tmp_path / "p.parquet")
    source = Parquet(tmp_path / "p.parquet")
    assert source.dtype == dtype
    expected = np.array([np.nan if v is None else v for v in values.to_pylist()], dtype)
    np.testing.assert_array_equal(source.take([0, 1, 2]).ravel(), expected)
    if values.null_count:
        with pytest.raises(ValueError, match=r"NaN: .*p\.parquet, row 1, column 'x'"):
            source.check()


def test_targets(tmp_path):
    table = MIXED.assign(
        y=y,
        kind_y=pd.Categorical(y),
        missing=pd.array([None, 1] * (N_ROWS // 2), dtype="Int64"),
        text=[None, "a"] * (N_ROWS // 2),
        flags=pd.array([None, True] * (N_ROWS // 2), dtype="boolean"),
    )
    write(tmp_path, table)

    def target(name):
        return Parquet(tmp_path, target=name, columns=["a"]).y

    np.testing.assert_array_equal(target("y"), y)
    np.testing.assert_array_equal(target("kind_y"), y)
    np.testing.assert_array_equal(target("i"), NUMBERS["i"])
    np.testing.assert_array_equal(target("missing")[:2], [np.nan, 1])
    np.testing.assert_array_equal(target("flags")[:2], [np.nan, 1])
    assert target("text")[:2].tolist() == [None, "a"]
    np.testing.assert_array_equal(target(["b", "i"]), NUMBERS[["b", "i"]].to_numpy(float))
    pd.testing.assert_frame_equal(
        target(["y", "b"]), pd.DataFrame({"y": y.astype(object), "b": NUMBERS["b"]})
    )
    assert target(["b"]).shape == (N_ROWS, 1)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_columns_of_text_go_through_an_encoder(tmp_path):
    write(tmp_path, MIXED.assign(y=y))
    source = Parquet(tmp_path, target="y")
    assert source.dtype == object
    pd.testing.assert_frame_equal(
        source.take([3, 210, 7]).reset_index(drop=True).astype({"kind": str, "city": object}),
        MIXED.iloc[[3, 210, 7]]
        .reset_index(drop=True)
        .astype({"kind": str, "city": object, "gaps": source.take([3])["gaps"].dtype}),
        check_dtype=False,
    )
    encoder = TabularEncoder(max_one_hot=3).fit(MIXED)
    encoded = source.transform(encoder)
    expected = encoder.transform(MIXED)
    np.testing.assert_array_equal(encoded.take(np.arange(N_ROWS)), expected)
    for part, rows in zip(encoded.split(0.3), source.split(0.3), strict=True):
        np.testing.assert_array_equal(part.take(np.arange(len(part))), expected[rows._rows])
    encoded.check()
    model = MLPClassifier((4,), max_iter=3, shuffle=False, random_state=0)
    losses = model.fit(expected, y).loss_curve_
    np.testing.assert_allclose(model.fit(encoded).loss_curve_, losses, rtol=1e-5)
    words = r"Not all columns are numbers: 'city' \(.*string\), 'kind' \(dictionary"
    for refused in (source.check, lambda: model.fit(source), lambda: source[:5].astype(float)):
        with pytest.raises(ValueError, match=words):
            refused()


def test_an_encoder_is_fitted_block_by_block(tmp_path):
    write(tmp_path, MIXED)
    encoder = fit_transformer(TabularEncoder(max_one_hot=3), Parquet(tmp_path))
    expected = TabularEncoder(max_one_hot=3).fit(MIXED)
    np.testing.assert_array_equal(encoder.transform(MIXED), expected.transform(MIXED))


def test_missing_booleans_are_encoded_like_those_of_pandas(tmp_path):
    """A block without a missing value has another dtype than a block with one."""
    table = pd.DataFrame({"flag": [True, False] * 100, "city": ["a", "b"] * 100})
    table["flag"] = table["flag"].astype(object)
    table.loc[150, "flag"] = None
    table.to_parquet(tmp_path / "p.parquet", row_group_size=50)
    whole = pd.read_parquet(tmp_path / "p.parquet")
    encoder = TabularEncoder().fit(whole)
    encoded = Parquet(tmp_path / "p.parquet").transform(encoder)
    np.testing.assert_array_equal(encoded.take(np.arange(200)), encoder.transform(whole))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_the_names_of_columns_of_numbers_are_known(tmp_path):
    from sklearn.preprocessing import StandardScaler

    write(tmp_path, NUMBERS.assign(y=y))
    source = Parquet(tmp_path, target="y")
    scaler = fit_transformer(StandardScaler(), source)
    assert scaler.feature_names_in_.tolist() == list(NUMBERS)
    np.testing.assert_allclose(
        source.transform(scaler).take([5, 400]),
        StandardScaler().fit(NUMBERS.to_numpy(float)).transform(NUMBERS.to_numpy(float))[[5, 400]],
        rtol=1e-5,
        atol=1e-6,
    )
    model = MLPClassifier((4,), max_iter=2, random_state=0).fit(source)
    assert model.feature_names_in_.tolist() == list(NUMBERS)
    np.testing.assert_allclose(
        model.predict_proba(source), model.predict_proba(NUMBERS.astype(np.float32)), rtol=1e-5
    )


def test_fingerprints(tmp_path):
    write(tmp_path, NUMBERS)
    make = {
        "all": lambda: Parquet(tmp_path),
        "columns": lambda: Parquet(tmp_path, columns=["a", "b"]),
        "order": lambda: Parquet(tmp_path, columns=["b", "a"]),
        "one": lambda: Parquet(tmp_path / "p-8.parquet"),
    }
    prints = {name: repr(source().fingerprint()) for name, source in make.items()}
    assert len(set(prints.values())) == len(make)
    assert repr(make["all"]().fingerprint()) == prints["all"]
    os.utime(tmp_path / "p-8.parquet", ns=(1, 1))
    assert repr(make["all"]().fingerprint()) != prints["all"]


# Faults -------------------------------------------------------------------------------------------


def broken(change):
    """Return a table of which one file is changed."""

    def write_all(folder):
        write(folder, NUMBERS)
        part = NUMBERS[200:450].reset_index(drop=True)
        change(part).to_parquet(folder / "p-10.parquet", index=False)

    return write_all


TABLES = {
    "missing": (
        broken(lambda t: t.drop(columns="c")),
        r"'c' is missing in '.*p-10\.parquet'; '.*p-8\.parquet' has it",
    ),
    "more": (
        broken(lambda t: t.assign(more=1)),
        r"'more' is missing in '.*p-8\.parquet'; '.*p-10\.parquet' has it.*columns=\[",
    ),
    "type": (
        broken(lambda t: t.astype({"c": float})),
        r"'c' has the type double in '.*p-10\.parquet', but float in '.*p-8\.parquet'",
    ),
    "text": (
        broken(lambda t: t.assign(c="x")),
        r"'c' has the type (large_)?string in '.*p-10\.parquet', but float",
    ),
}


@pytest.mark.parametrize("name", TABLES)
def test_files_that_do_not_belong_together(name, tmp_path, monkeypatch):
    write_all, words = TABLES[name]
    write_all(tmp_path)
    # from metadata alone
    monkeypatch.setattr("skdeep.data.formats.tables.TableFile.read", None)
    with pytest.raises(ValueError, match=words):
        Parquet(tmp_path)


def test_the_order_of_columns_and_the_codes_of_categories_may_differ(tmp_path):
    kinds = pd.Categorical(np.arange(N_ROWS).astype(str))
    table = NUMBERS.assign(kind=kinds)
    table[:200].to_parquet(tmp_path / "p-1.parquet")
    rest = table[200:].assign(kind=kinds[200:].remove_unused_categories())
    rest[rest.columns[::-1]].to_parquet(tmp_path / "p-2.parquet")
    few = table[:5].assign(kind=kinds[:5].remove_unused_categories())
    few.to_parquet(tmp_path / "p-3.parquet")
    source = Parquet(tmp_path)
    assert source.take([0, 450])["kind"].tolist() == ["0", "450"]
    assert source.take([N_ROWS])["kind"].tolist() == ["0"]
    np.testing.assert_array_equal(
        Parquet(tmp_path, columns=["a", "i"]).take([300]), NUMBERS[["a", "i"]][300:301]
    )


def test_a_nan_names_its_file(tmp_path):
    bad = NUMBERS.copy()
    bad.loc[242, "c"] = np.nan
    write(tmp_path, bad)
    words = r"NaN: .*p-10\.parquet, row 42, column 'c'\. It is row 242 of all rows"
    with pytest.raises(ValueError, match=words):
        Parquet(tmp_path).check()
    with pytest.raises(ValueError, match=words):
        MLPClassifier().fit(Parquet(tmp_path), y)


def test_parameters_that_are_not_allowed(tmp_path):
    write(tmp_path, NUMBERS.assign(y=y))

    def refused(words, path=tmp_path, error=InvalidParameterError, **given):
        with pytest.raises(error, match=words):
            Parquet(path, **given)

    refused(
        r"no column 'aa' in .*p-8\.parquet'; did you mean 'a'\? Its columns are 'a', 'b'",
        columns=["aa"],
    )
    refused("no column 'z'", target="z")
    refused("no column 'z'", weight="z")
    refused("no column 3", columns=[3])
    refused("give a list of names", columns="a")
    refused("give a list of names", columns=[])
    refused("'a' is named twice", columns=["a", "b"], target="a")
    refused("'a' is named twice", columns=["a", "a"])
    refused("a list of paths", path=3)
    refused("no file matches", path=str(tmp_path / "z*"), error=FileNotFoundError)
    table = pa.table({"a": [1]})
    refused("no files of Parquet or Arrow", path=ds.dataset(table))
    filtered = ds.dataset(tmp_path, format="parquet").filter(ds.field("a") > 0)
    refused(r"Remove the filtering. Rows are chosen by source\[mask\]", path=filtered)
    (tmp_path / "empty").mkdir()
    refused(r"has no file \*\.parquet or \*\.pq or", tmp_path / "empty", FileNotFoundError)
    refused("could not convert|weights", weight="y", error=ValueError)


def test_files_that_can_not_be_read(tmp_path):
    path = tmp_path / "p.parquet"
    for content in (b"", b"PAR1", b"no table of any kind"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"p\.parquet' can't be read as a file of Parquet"):
            Parquet(path)
    NUMBERS.to_parquet(path)
    content = path.read_bytes()
    path.write_bytes(content[:-10])
    with pytest.raises(ValueError, match=r"p\.parquet' can't be read as a file of Parquet"):
        Parquet(path)
    pq.write_table(pa.table([[1], [2]], ["a", "a"]), path)
    with pytest.raises(ValueError, match=r"p\.parquet' can't be read .* duplicate field names"):
        Parquet(path)
    NUMBERS.to_parquet(tmp_path / "a.parquet")
    with pytest.raises(ValueError, match=r"p\.parquet' has several columns with the name 'a'"):
        Parquet(tmp_path)
    (tmp_path / "a.parquet").unlink()
    NUMBERS[:0].to_parquet(path)
    with pytest.raises(ValueError, match="has 0 rows and 6 columns"):
        Parquet(path)
    with pytest.raises(ValueError, match="has 0 rows and 5 columns"):
        Parquet(path, target="a")


def test_damage_within_a_file_is_found_when_it_is_read(tmp_path):
    path = tmp_path / "p.parquet"
    NUMBERS.to_parquet(path, compression="gzip")
    content = bytearray(path.read_bytes())
    content[4:400] = bytes(396)
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"p\.parquet' can't be read as a file of Parquet"):
        Parquet(path).check()


def test_a_file_that_was_changed_later(tmp_path):
    write(tmp_path, NUMBERS)
    source = Parquet(tmp_path)
    NUMBERS[:50].to_parquet(tmp_path / "p-11.parquet")
    source.take([0])
    with pytest.raises(ValueError, match=r"p-11\.parquet' was changed"):
        source.take([460])
    (tmp_path / "p-11.parquet").unlink()
    with pytest.raises((ValueError, FileNotFoundError), match=r"p-11\.parquet"):
        source.take([460])


def test_types_that_are_no_numbers_are_named(tmp_path):
    table = pd.DataFrame({"day": [datetime.date(2020, 1, 1)], "x": [1.0], "l": [[1, 2]]})
    table.to_parquet(tmp_path / "p.parquet")
    with pytest.raises(ValueError, match=r"'day' \(date32.*, 'l' \(list.*columns=\["):
        Parquet(tmp_path / "p.parquet").check()
    Parquet(tmp_path / "p.parquet", columns=["x"]).check()


def test_a_row_group_of_text_that_is_too_large_is_named(tmp_path):
    write(tmp_path, MIXED)
    with pytest.raises(InvalidParameterError, match=r"Row group 0 of .*p-8\.parquet' takes"):
        Parquet(tmp_path, memory_limit="5kB")


@pytest.mark.parametrize("missing", ["pyarrow", "pandas"])
def test_without_a_package(missing, tmp_path):
    MIXED.to_parquet(tmp_path / "mixed.parquet")
    NUMBERS.to_parquet(tmp_path / "numbers.parquet")
    code = f"""
import sys
from importlib import util

class Missing:
    def find_spec(self, name, *_):
        if name.partition(".")[0] == {missing!r}:
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Missing())
find_spec = util.find_spec
util.find_spec = lambda name: None if name == {missing!r} else find_spec(name)
from skdeep.data import Parquet
if {missing!r} == "pandas":
    from sklearn.preprocessing import StandardScaler
    from skdeep.data import fit_transformer
    source = Parquet("numbers.parquet", target="a")
    source.check()
    scaler = fit_transformer(StandardScaler(), source)
    source.transform(scaler).check()
try:
    Parquet("mixed.parquet")
except ImportError as error:
    print(error)
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    run = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert f"needs {missing}: pip install {missing}" in run.stdout, run.stderr
