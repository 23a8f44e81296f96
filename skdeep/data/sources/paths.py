"""Files on the disk: which ones a user means, and whether one was changed; amounts of memory."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from numbers import Integral
from typing import Any, BinaryIO

from skdeep._component import InvalidParameterError

_UNITS = {"B": 1}
for _power, _letter in enumerate("KMGT", 1):
    _UNITS |= {f"{_letter}{end}": 1000**_power for end in ("", "B")}
    _UNITS |= {f"{_letter}IB": 1024**_power, f"{_letter}I": 1024**_power}
_AMOUNT = re.compile(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*([A-Za-z]+)\s*")


def parse_memory(value: Any, what: str = "memory_limit") -> int:
    """Return an amount of memory in bytes, given as a number of bytes or as text ("600MB")."""
    n_bytes = None
    if isinstance(value, Integral) and not isinstance(value, bool):
        n_bytes = int(value)
    elif isinstance(value, str) and (match := _AMOUNT.fullmatch(value)):
        unit = _UNITS.get(match[2].upper())
        n_bytes = None if unit is None else int(float(match[1]) * unit)
    if n_bytes is None or n_bytes < 1:
        raise InvalidParameterError(
            f"{what}={value!r} is not allowed; give a number of bytes (an integer >= 1), or text "
            'with a unit, such as "600MB", "1.5GB" or "2GiB".'
        )
    return n_bytes


def amount(n_bytes: float) -> str:
    """Return an amount of memory as text that `parse_memory` reads, rounded up."""
    for unit in ("kB", "MB", "GB"):
        size = _UNITS[unit.upper()]
        if n_bytes < 1000 * size or unit == "GB":
            return f"{-(-n_bytes * 10 // size) / 10:g}{unit}"
    raise AssertionError


def natural_key(name: str) -> list:
    """Return the key of a sort in which "X-9" comes before "X-10"."""
    parts = re.split(r"(\d+)", name)
    return [(int(part), part) if i % 2 else (0, part) for i, part in enumerate(parts)]


def is_path(value: Any) -> bool:
    """Whether a value is the path of a file or of a folder."""
    return isinstance(value, (str, os.PathLike))


def list_files(given: Any, endings: Sequence[str], what: str, *, deep: bool = False) -> list[str]:
    """Return the files that a path, a pattern, a folder or a list of paths stands for.

    Those of a pattern or of a folder are in natural order, those of a list in its order. With
    deep=True, the folders of a folder are searched too.
    """
    if not is_path(given):
        return _listed(given, endings, what)
    path = os.fspath(given)
    if os.path.isdir(path):
        files = [name for name in _walk(path, deep) if name.endswith(tuple(endings))]
        fault = f"the folder {path!r} has no file {_either(endings)}"
    elif glob.has_magic(path) and not os.path.exists(path):
        files = [name for name in glob.glob(path, recursive=True) if os.path.isfile(name)]
        fault = f"no file matches the pattern {path!r} in {os.getcwd()!r}"
    else:
        return [existing_file(path, what)]
    if not files:
        raise FileNotFoundError(f"{what}: {fault}.")
    return sorted(files, key=natural_key)


def _listed(given: Any, endings: Sequence[str], what: str) -> list[str]:
    if not isinstance(given, (list, tuple)) or not all(map(is_path, given)):
        raise InvalidParameterError(
            f"{what}={given!r} is not allowed; give a path, a pattern such as "
            f"'folder/X-*{endings[0]}', a folder, or a list of paths."
        )
    if not given:
        raise InvalidParameterError(f"{what}={given!r} has no path; give at least one.")
    return [existing_file(path, what) for path in given]


def existing_file(path: Any, what: str) -> str:
    """Return the path of a file; raise OSError if there is no such file."""
    path = os.fspath(path)
    if os.path.isdir(path):
        raise IsADirectoryError(f"{what}: {path!r} is a folder; give a file.")
    if not os.path.exists(path):
        raise FileNotFoundError(f"{what}: there is no file {path!r} in {os.getcwd()!r}.")
    return path


def _walk(folder: str, deep: bool) -> list[str]:
    """Return the visible files of a folder."""
    found = []
    for entry in os.scandir(folder):
        if entry.name.startswith((".", "_")):
            continue
        if entry.is_file():
            found.append(entry.path)
        elif deep and entry.is_dir():
            found += _walk(entry.path, deep)
    return found


def _either(endings: Sequence[str]) -> str:
    return " or ".join(f"*{ending}" for ending in endings)


class File:
    """A file that has to stay as it is: its path, its size and the time of its last change."""

    def __init__(self, path: str):
        self.name = path
        self.path = os.path.abspath(path)
        self.size, self.mtime_ns = _state(os.stat(self.path))

    @contextmanager
    def open(self) -> Iterator[BinaryIO]:
        """Open the file without a buffer; raise ValueError if it was changed."""
        with open(self.path, "rb", buffering=0) as file:
            self.check(os.fstat(file.fileno()))
            yield file

    def check(self, stat: os.stat_result | None = None) -> None:
        """Raise ValueError if the file was changed since this object was made."""
        if _state(os.stat(self.path) if stat is None else stat) != (self.size, self.mtime_ns):
            raise ValueError(
                f"The file {self.name!r} was changed after the source was made; make the source "
                "again."
            )

    def fingerprint(self) -> list:
        """Return plain data that tells this file, as it is now, from others."""
        return [self.path, self.size, self.mtime_ns]


def _state(stat: os.stat_result) -> tuple[int, int]:
    return stat.st_size, stat.st_mtime_ns
