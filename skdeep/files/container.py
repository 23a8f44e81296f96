"""The format of the files of models. To read a file runs no code.

A file consists of these parts, in this order:

| bytes | content |
| --- | --- |
| 8 | the mark of a file of skdeep |
| 4 | version of the format, an unsigned integer; all integers are little-endian |
| 8, 8 | lengths of the header and of the arrays |
| 32 | SHA-256 of all other bytes |
| ... | the header: the result of `to_plain` as JSON, with {"$array": ...} for arrays |
| ... | the arrays, one after the other, in C order, little-endian |
"""

from __future__ import annotations

import contextlib
import copy
import hashlib
import json
import math
import os
import re
import secrets
import stat
import struct
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

from skdeep._version import __version__
from skdeep.files.checks import check_model
from skdeep.files.migrations import FORMAT, migrate
from skdeep.files.plain import (
    KINDS_OF_ARRAYS,
    InvalidStateError,
    from_plain,
    to_plain,
)

MARK = b"\x93skdeep\n"
LENGTHS = struct.Struct("<8sIQQ")
HASH_BYTES = 32
PART = ".skdeep-part"
SECONDS_OF_A_LEFTOVER = 60.0
CHUNK = 1 << 20
MOST_CONTAINERS = 1 << 20
FEW_PARTS = 20_000
# The attributes that scikit-learn sets for its callbacks and for metadata routing.
NO_PART_OF_A_MODEL = (
    "_skl_callbacks",
    "_callback_fit_ctx",
    "_parent_callback_ctx",
    "_metadata_request",
)


class InvalidFileError(ValueError):
    """A file is not what `skdeep.save` writes, or is damaged."""


# Writing --------------------------------------------------------------------------------------


def write_file(model: Any, models: Mapping[str, type], path: str | os.PathLike) -> None:
    """Write a model to a file, whole or not at all.

    Raises NotPlainError if the model has parts that are not skdeep's own, and InvalidStateError if
    `read_file` would refuse the file.
    """
    model = copy.copy(model)
    for name in [name for name in vars(model) if name.startswith(NO_PART_OF_A_MODEL)]:
        delattr(model, name)
    content = to_plain(model, models, type(model).__name__)
    arrays: list[np.ndarray] = []
    parts = {"skdeep": __version__, "model": _without_arrays(content, arrays)}
    header = json.dumps(parts, allow_nan=False).encode()
    try:
        with np.errstate(all="ignore"):
            _model_of(FORMAT, header, _Copies(arrays), models, takes_writers=True)
    except Exception as error:  # as in read_file
        raise InvalidStateError(_described(error)) from error
    lengths = LENGTHS.pack(MARK, FORMAT, len(header), sum(a.nbytes for a in arrays))
    digest = hashlib.sha256(lengths)
    digest.update(header)
    for array in arrays:
        digest.update(_bytes_of(array))
    with _replacing(Path(os.path.realpath(os.fsdecode(path)))) as file:
        file.write(lengths + digest.digest() + header)
        for array in arrays:
            file.write(_bytes_of(array))


def _without_arrays(data: Any, arrays: list[np.ndarray]) -> Any:
    """Return plain data with a description in place of every array, and collect the arrays."""
    if isinstance(data, np.ndarray):
        data = np.ascontiguousarray(data, data.dtype.newbyteorder("<")).reshape(data.shape)
        arrays.append(data)
        return {"$array": [data.dtype.str, *data.shape]}
    if isinstance(data, list):
        return [_without_arrays(entry, arrays) for entry in data]
    if isinstance(data, dict):
        return {key: _without_arrays(entry, arrays) for key, entry in data.items()}
    return data


def _bytes_of(array: np.ndarray) -> memoryview | bytes:
    return array.reshape(-1).view(np.uint8).data if array.size else b""


@contextlib.contextmanager
def _replacing(path: Path) -> Iterator[BinaryIO]:
    """Yield a file that replaces `path` as soon as it is whole and safe on the disk.

    The new file gets the permissions of the file that it replaces.
    """
    mode = _mode_of(path)
    _remove_leftovers(path)
    beside = path.with_name(f"{_start_of_parts(path)}{secrets.token_hex(8)}{PART}")
    try:
        with open(beside, "xb") as file:
            with contextlib.suppress(OSError):  # not every file system has locks
                _lock(file)
            yield file
            file.flush()
            if mode is not None:
                os.chmod(beside, mode)
            os.fsync(file.fileno())
        os.replace(beside, path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    if os.name == "posix":  # the new name is safe as soon as its directory is
        directory = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


def _mode_of(path: Path) -> int | None:
    """Return the permissions of a file; None if there is no file yet."""
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return None
    if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
        raise OSError(f"{str(path)!r} is no regular file, and is not replaced by one.")
    return stat.S_IMODE(status.st_mode)


def _start_of_parts(path: Path) -> str:
    return f".{hashlib.sha256(os.fsencode(path.name)).hexdigest()[:12]}-"


def _remove_leftovers(path: Path) -> None:
    """Remove the unfinished parts of this file that killed runs have left."""
    for part in path.parent.glob(f"{_start_of_parts(path)}*{PART}"):
        with contextlib.suppress(OSError):  # another process has removed it, or is writing it
            with open(part, "rb") as file:
                if time.time() - os.fstat(file.fileno()).st_mtime < SECONDS_OF_A_LEFTOVER:
                    continue
                _lock(file)
            part.unlink()


def _lock(file: BinaryIO) -> None:
    """Lock a file until it is closed; raise OSError if another process has locked it."""
    if fcntl is not None:  # Windows needs no lock, as it does not remove open files
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


# Reading --------------------------------------------------------------------------------------


def read_file(
    path: str | os.PathLike, models: Mapping[str, type], takes_writers: bool = False
) -> Any:
    """Read a model from a file; raise InvalidFileError if the file is not valid.

    Callbacks that write files are left out, unless takes_writers is True.
    """
    name = os.fsdecode(path)
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise InvalidFileError(f"{name!r} is no regular file.")
    with open(path, "rb") as file:
        version, header, body = _read_checked(file, name)
    try:
        with np.errstate(all="ignore"):
            model = _model_of(version, header, _Arrays(body), models, takes_writers)
    except Exception as error:  # a manipulated file may raise any error
        raise InvalidFileError(
            f"{name!r} is a file of skdeep{_writer_of(header)}, but does not hold a model that "
            f"skdeep {__version__} can read: {_described(error)}"
        ) from error
    return model


def _writer_of(header: bytes) -> str:
    """Return the version of skdeep that wrote a header, for a message; "" if unknown."""
    found = re.match(rb'\{"skdeep": "([\w.+-]{1,40})"', header)
    return f" {found[1].decode()}" if found else ""


def _model_of(
    version: int,
    header: bytes,
    arrays: _Arrays | _Copies,
    models: Mapping[str, type],
    takes_writers: bool,
) -> Any:
    """Return the model; time and memory are limited in proportion to the size of the header."""
    if header.count(b"{") + header.count(b"[") > MOST_CONTAINERS:
        raise InvalidStateError("the header has more parts than any model")
    content = migrate(_with_arrays(json.loads(header)["model"], arrays), version)
    model = from_plain(content, models, FEW_PARTS + 2 * len(header), takes_writers)
    check_model(model, models)
    return model


def _described(error: Exception) -> str:
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:  # the error shows an object that is not complete
        return type(error).__name__


def _read_checked(file: BinaryIO, path: str) -> tuple[int, bytes, bytes]:
    """Return the format, the header and the arrays' bytes; raise if the file is not whole."""
    size = os.fstat(file.fileno()).st_size
    start = file.read(LENGTHS.size + HASH_BYTES)
    if len(start) < LENGTHS.size + HASH_BYTES or not start.startswith(MARK):
        raise InvalidFileError(f"{path!r} is not a file that skdeep.save wrote.")
    _, version, n_header, n_body = LENGTHS.unpack_from(start)
    if version > FORMAT:
        raise InvalidFileError(
            f"{path!r} is of format {version}, and this version of skdeep reads formats up to "
            f"{FORMAT}; install a newer skdeep."
        )
    if size != len(start) + n_header + n_body:
        raise InvalidFileError(
            f"{path!r} has {size} bytes instead of {len(start) + n_header + n_body}: it was cut "
            "off, or something was added."
        )
    digest = hashlib.sha256(start[: LENGTHS.size])
    while chunk := file.read(CHUNK):
        digest.update(chunk)
    if digest.digest() != start[LENGTHS.size :]:
        raise InvalidFileError(f"{path!r} is damaged: its checksum is wrong.")
    file.seek(len(start))
    return version, file.read(n_header), file.read(n_body)


class _Arrays:
    """The arrays of a file, in the order of the header."""

    def __init__(self, body: bytes):
        self.body = body
        self.position = 0

    def next(self, description: Any) -> np.ndarray:
        name, *shape = description
        dtype = np.dtype(str(name))
        if dtype.kind not in KINDS_OF_ARRAYS or not all(type(n) is int and n >= 0 for n in shape):
            raise InvalidStateError(f"an array of {name!r} and shape {shape} is not allowed")
        n_bytes = math.prod(shape) * dtype.itemsize
        end = self.position + n_bytes
        if end > len(self.body):
            raise InvalidStateError("arrays are longer than the file")
        data = self.body[self.position : end]
        self.position = end
        return np.frombuffer(data, dtype).reshape(shape).astype(dtype.newbyteorder("="))


class _Copies:
    """The arrays of a model that is about to be written, in the order of the header."""

    def __init__(self, arrays: list[np.ndarray]):
        self.arrays = iter(arrays)

    def next(self, description: Any) -> np.ndarray:
        return next(self.arrays).astype(np.dtype(description[0]).newbyteorder("="))


def _with_arrays(data: Any, arrays: _Arrays | _Copies) -> Any:
    if type(data) is list:
        return [_with_arrays(entry, arrays) for entry in data]
    if type(data) is dict:
        if "$array" in data:
            return arrays.next(data["$array"])
        return {key: _with_arrays(entry, arrays) for key, entry in data.items()}
    return data
