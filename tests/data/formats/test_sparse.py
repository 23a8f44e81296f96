"""SparseShards: rows equal those in memory and stay sparse, and faults name their place."""

import pickle
import zipfile

import numpy as np
import pytest
import scipy.sparse as sp

from skdeep import MLPClassifier
from skdeep._component import InvalidParameterError
from skdeep.data import SparseShards

rng = np.random.default_rng(0)
S = sp.random(300, 20, 0.2, format="csr", random_state=0, dtype=np.float32)
y = (S[:, [0]].toarray().ravel() > 0).astype(int)


def write(folder, sizes=(0, 200, 1, 99), convert=lambda S: S, names=("8", "9", "10", "11")):
    start = 0
    for i, (name, n) in enumerate(zip(names, sizes, strict=True)):
        sp.save_npz(folder / f"S-{name}.npz", convert(S[start : start + n]), compressed=i % 2 == 0)
        start += n
    return str(folder / "S-*.npz")


@pytest.mark.parametrize("form", ["csr", "csc", "coo", "bsr", "array"])
def test_rows_are_those_of_the_matrices(form, tmp_path):
    convert = sp.csr_array if form == "array" else lambda S: S.asformat(form)
    source = SparseShards(write(tmp_path, convert=convert), y, np.ones(300))
    assert (source.shape, source.dtype, source.is_sparse) == ((300, 20), np.float32, True)
    assert source.bounds.tolist() == [0, 0, 200, 201, 300]
    source.check()
    source = pickle.loads(pickle.dumps(source))
    for rows in ([], [299], [5, 250, 5, -1, 200], np.arange(300), rng.integers(0, 300, 50)):
        taken = source.take(rows)
        assert sp.issparse(taken)
        expected = S[np.array(rows, int)].toarray()
        np.testing.assert_array_equal(taken.toarray(), expected)
        if len(rows):
            chosen = source[rows].astype(np.float64).take(np.arange(len(rows)))
            assert chosen.dtype == np.float64
            np.testing.assert_array_equal(chosen.toarray(), expected)
    blocks = [X.toarray() for _, X in source.blocks()]
    np.testing.assert_array_equal(np.concatenate(blocks), S.toarray())
    assert source.place(205).endswith("S-11.npz, row 4")


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_fit_equals_that_of_rows_in_memory(tmp_path):
    model = MLPClassifier((5,), max_iter=3, shuffle=False, random_state=0)
    source = SparseShards(write(tmp_path), y)
    losses = model.fit(S, y).loss_curve_
    np.testing.assert_allclose(model.fit(source).loss_curve_, losses, rtol=1e-6)
    np.testing.assert_allclose(model.predict_proba(source), model.predict_proba(S), rtol=1e-5)


def test_a_fault_names_its_file(tmp_path):
    bad = S[201:].copy()
    row = int(np.flatnonzero(np.diff(bad.indptr) > 1)[3])
    k = bad.indptr[row] + 1
    bad.data[k] = np.nan
    pattern = write(tmp_path)
    sp.save_npz(tmp_path / "S-11.npz", bad)
    place = rf"NaN: .*S-11\.npz, row {row}, column {bad.indices[k]}\. It is row {201 + row} of all"
    with pytest.raises(ValueError, match=place):
        SparseShards(pattern).check()


def test_files_that_are_no_sparse_matrix(tmp_path):
    path = tmp_path / "S.npz"

    def refused(words, error=ValueError):
        with pytest.raises(error, match=words):
            SparseShards(path).check()

    for content in (b"", b"PK\x03\x04 no archive", b"text"):
        path.write_bytes(content)
        refused(r"S\.npz' can't be read as a sparse matrix")
    np.save(path.with_suffix(".npy"), np.eye(3))
    path.write_bytes(path.with_suffix(".npy").read_bytes())
    refused(r"S\.npz' can't be read as a sparse matrix: File is not a zip")
    np.savez(path, X=np.eye(3))
    refused("Write it with scipy.sparse.save_npz")
    sp.save_npz(path, S)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    refused(r"S\.npz' can't be read")
    sp.save_npz(path, S[:0])
    refused("has 0 rows and 20 columns")
    sp.save_npz(path, S * 1j)
    refused("complex numbers")
    wrong = S.copy()
    wrong.indices[5] = 1000
    sp.save_npz(path, wrong)
    refused(r"S\.npz' can't be read as a sparse matrix: .*ind(ex|ices)")


def test_damage_within_a_file_is_found_when_it_is_read(tmp_path):
    pattern = write(tmp_path)
    path = tmp_path / "S-11.npz"
    with zipfile.ZipFile(path) as archive:
        start = archive.getinfo("data.npy").header_offset
    content = bytearray(path.read_bytes())
    content[start + 400 : start + 410] = b"0123456789"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"S-11\.npz' can't be read as a sparse matrix: Bad CRC"):
        SparseShards(pattern).check()


def test_files_that_do_not_belong_together(tmp_path):
    pattern = write(tmp_path)
    with pytest.raises(ValueError, match="y has 299 rows, but X has 300"):
        SparseShards(pattern, y[:299])
    sp.save_npz(tmp_path / "S-10.npz", S[:1].astype(float))
    with pytest.raises(ValueError, match=r"S-10\.npz' has the dtype float64, but .*S-8\.npz'"):
        SparseShards(pattern)
    sp.save_npz(tmp_path / "S-10.npz", S[:1, :9])
    with pytest.raises(ValueError, match=r"S-10\.npz' has 9 columns, but .*S-8\.npz' has 20"):
        SparseShards(pattern)


def test_a_file_that_is_too_large_for_the_limit_is_named(tmp_path):
    pattern = write(tmp_path)
    with pytest.raises(InvalidParameterError, match=r"S-9\.npz' takes .*kB.*more than a third"):
        SparseShards(pattern, memory_limit="10kB")


def test_a_file_that_was_changed_later(tmp_path):
    source = SparseShards(write(tmp_path))
    sp.save_npz(tmp_path / "S-11.npz", S[:50])
    source.take([0])
    with pytest.raises(ValueError, match=r"S-11\.npz' was changed"):
        source.take([250])
