"""Models as plain data, and back. Pickles and files of models hold plain data.

Plain data are None, booleans, numbers, strings, lists, dicts with strings for keys, and arrays of
numbers or text. Any other value becomes a dict whose first key begins with "$": a tuple, a
generator, an object of skdeep with its state. To read plain data creates objects of the models and
of the classes in `files.names.CLASSES` by setting their attributes, and runs no other code.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from sklearn.frozen import FrozenEstimator

from skdeep.files.migrations import completed
from skdeep.files.names import CLASSES

_BIT_GENERATORS = {
    cls.__name__: cls
    for cls in (
        np.random.MT19937,
        np.random.PCG64,
        np.random.PCG64DXSM,
        np.random.Philox,
        np.random.SFC64,
    )
}
KINDS_OF_ARRAYS = "biufUSmM"
LONGEST_RANGE = 1 << 20
_OF_RANDOM_STATE = {"has_gauss", "gauss"}


def _subclasses(cls: type) -> list[type]:
    return [cls, *(c for child in cls.__subclasses__() for c in _subclasses(child))]


# The types of columns that a make_column_selector may name.
_TYPES = {cls.__name__: cls for cls in (bool, int, float, complex, str, object)} | {
    cls.__name__: cls for cls in _subclasses(np.generic) if cls.__module__ == "numpy"
}


def is_selector(cls: type) -> bool:
    """Whether a class is sklearn.compose.make_column_selector."""
    return (cls.__name__, cls.__module__.partition(".")[0]) == ("make_column_selector", "sklearn")


class NotPlainError(TypeError):
    """A value can't be turned into plain data."""


class InvalidStateError(ValueError):
    """Plain data are not what `to_plain` returns."""


# To plain data --------------------------------------------------------------------------------


def to_plain(value: Any, models: Mapping[str, type], where: str) -> Any:
    """Return a value as plain data; its arrays are not copied.

    Parameters
    ----------
    value : object
    models : dict of classes
        The classes of the estimators, by name.
    where : str
        The name of the value, for messages.
    """
    return _Writer(models).write(value, where)


class _Writer:
    def __init__(self, models: Mapping[str, type]):
        self.names = {cls: name for name, cls in (CLASSES | dict(models)).items()}
        self.numbers: dict[int, int] = {}
        self.written: list[Any] = []  # kept alive, so that no id is given twice

    def write(self, value: Any, where: str) -> Any:
        kind = type(value)
        if value is None or kind in (bool, int, str):
            return value
        if kind is float:
            return value if math.isfinite(value) else {"$float": repr(value)}
        if kind is list:
            return self._all(value, where)
        if kind in (tuple, set, frozenset):
            entries = value if kind is tuple else sorted(value, key=repr)
            return {f"${kind.__name__}": self._all(entries, where)}
        if kind is dict:
            if all(type(k) is str and not k.startswith("$") for k in value):
                return {k: self.write(v, f"{where}.{k}") for k, v in value.items()}
            pairs = [[self.write(k, where), self.write(v, where)] for k, v in value.items()]
            return {"$dict": pairs}
        if kind is OrderedDict:
            return {"$ordered": self._all(list(value.items()), where)}
        if kind is range:
            return {"$range": [value.start, value.stop, value.step]}
        if isinstance(value, PurePath):
            return {"$path": str(value)}
        if kind is slice:
            return {"$slice": self._all([value.start, value.stop, value.step], where)}
        if isinstance(value, (np.ndarray, np.generic, np.dtype)):
            return self._numpy(value, where)
        if kind is np.random.Generator:
            return {"$generator": self.write(value.bit_generator.state, where)}
        if kind is np.random.RandomState:
            return {"$random_state": self.write(value.get_state(legacy=False), where)}
        if is_selector(kind):
            return {"$selector": self._selector(value, where)}
        if kind is FrozenEstimator:
            return {"$frozen": self.write(value.estimator, f"{where}.estimator")}
        if kind in self.names:
            return self._object(value, where)
        raise NotPlainError(
            f"{where} is an object of {kind.__module__}.{kind.__qualname__}, which is not a class "
            "of skdeep"
        )

    def _all(self, values, where: str) -> list:
        return [self.write(v, f"{where}[{i}]") for i, v in enumerate(values)]

    def _numpy(self, value, where: str) -> Any:
        if isinstance(value, np.dtype):
            if value.kind in KINDS_OF_ARRAYS:
                return {"$dtype": value.str}
        elif isinstance(value, np.generic) and value.dtype.kind in KINDS_OF_ARRAYS:
            return {"$scalar": np.asarray(value)}
        elif type(value) in (np.ndarray, np.memmap):
            if value.dtype.kind in KINDS_OF_ARRAYS:
                return np.asarray(value)
            if value.dtype == object:
                return {
                    "$objects": self._all(value.ravel().tolist(), where),
                    "shape": list(value.shape),
                }
        raise NotPlainError(f"{where} is {value!r}, whose type has no place in a file")

    def _selector(self, value: Any, where: str) -> list:
        """Return a make_column_selector: its pattern, and the types of its columns."""
        return [
            self.write(value.pattern, f"{where}.pattern"),
            self._types(value.dtype_include, f"{where}.dtype_include"),
            self._types(value.dtype_exclude, f"{where}.dtype_exclude"),
        ]

    def _types(self, value: Any, where: str) -> list | None:
        if value is None:
            return None
        if isinstance(value, list) and value:
            return [self._types(entry, where) for entry in value]
        if isinstance(value, str):
            return ["name", value]
        if isinstance(value, type) and _TYPES.get(value.__name__) is value:
            return ["type", value.__name__]
        raise NotPlainError(f"{where} is {value!r}, which has no place in a file")

    def _object(self, value: Any, where: str) -> dict:
        if id(value) in self.numbers:
            return {"$same": self.numbers[id(value)]}
        number = self.numbers[id(value)] = len(self.numbers)
        self.written.append(value)
        state = getattr(value, "whole_state", value.__getstate__)() or {}
        fields = {name: self.write(v, f"{where}.{name}") for name, v in state.items()}
        return {"$object": self.names[type(value)], "number": number, "state": fields}


# From plain data ------------------------------------------------------------------------------


def from_plain(
    data: Any,
    models: Mapping[str, type],
    most_parts: float = math.inf,
    takes_writers: bool = True,
) -> Any:
    """Return the value that `to_plain` was given; raise InvalidStateError if the data are wrong.

    All objects together may have `most_parts` parts. A shared part counts every time that it is
    used. With takes_writers=False, callbacks that write files are left out.
    """
    return _Reader(models, most_parts, takes_writers).read(data)


_LEFT_OUT = object()  # in place of a callback that writes files


class _Reader:
    def __init__(self, models: Mapping[str, type], most_parts: float, takes_writers: bool):
        self.classes = CLASSES | dict(models)
        self.objects: dict[int, Any] = {}
        self.most_parts = most_parts
        self.takes_writers = takes_writers
        self.n_parts = 0  # of all objects; shared parts count every time
        self.sizes: dict[int, int] = {}

    def read(self, data: Any) -> Any:
        if data is None or type(data) in (bool, int, float, str, np.ndarray):
            return data
        if isinstance(data, np.ndarray):  # a memory map
            return data
        if type(data) is list:
            return [entry for entry in map(self.read, data) if entry is not _LEFT_OUT]
        if type(data) is not dict:
            raise InvalidStateError(f"{type(data).__name__} is no plain data")
        tag = next((key for key in data if key.startswith("$")), None)
        if tag is None:
            return self._fields(data)
        reader = _READERS.get(tag)
        if reader is None:
            raise InvalidStateError(f"{tag!r} is unknown")
        return reader(self, data[tag], data)

    def _fields(self, data: dict) -> dict:
        fields = {key: self.read(entry) for key, entry in data.items()}
        return {key: None if value is _LEFT_OUT else value for key, value in fields.items()}

    def _list(self, entries: Any) -> list:
        if type(entries) is not list:
            raise InvalidStateError(f"{entries!r} is no list")
        return self.read(entries)

    def _float(self, text, data):
        return float(text)

    def _tuple(self, entries, data):
        return tuple(self._list(entries))

    def _set(self, entries, data):
        return set(self._list(entries))

    def _frozenset(self, entries, data):
        return frozenset(self._list(entries))

    def _dict(self, pairs, data):
        return dict(self._list(pairs))

    def _ordered(self, pairs, data):
        return OrderedDict(self._list(pairs))

    def _path(self, text, data):
        return Path(str(text))

    def _slice(self, entries, data):
        return slice(*self._list(entries))

    def _range(self, entries, data):
        numbers = range(*self._list(entries))
        if len(numbers) > LONGEST_RANGE:
            raise InvalidStateError(f"{numbers!r} is longer than {LONGEST_RANGE}")
        return numbers

    def _dtype(self, text, data):
        dtype = np.dtype(str(text))
        if dtype.kind not in KINDS_OF_ARRAYS:
            raise InvalidStateError(f"dtype {text!r} is not allowed")
        return dtype

    def _scalar(self, array, data):
        return np.asarray(array)[()]

    def _objects(self, entries, data):
        values = self._list(entries)
        array = np.empty(len(values), dtype=object)
        for i, entry in enumerate(values):  # a slice would take tuples apart
            array[i] = entry
        return array.reshape(self._list(data["shape"]))

    def _bit_generator(self, state):
        state = self.read(state)
        bit_generator = _BIT_GENERATORS[str(state["bit_generator"])](0)
        # NumPy takes any position in these buffers, and reads there.
        if bit_generator.state.keys() != state.keys() - _OF_RANDOM_STATE:
            raise InvalidStateError("the state of a generator is not of its kind")
        if not 0 <= state.get("buffer_pos", 0) <= 4:
            raise InvalidStateError("the state of a Philox is out of bounds")
        if isinstance(bit_generator, np.random.MT19937) and not 0 <= state["state"]["pos"] <= 624:
            raise InvalidStateError("the state of an MT19937 is out of bounds")
        return bit_generator, state

    def _generator(self, state, data):
        bit_generator, state = self._bit_generator(state)
        bit_generator.state = state
        return np.random.Generator(bit_generator)

    def _random_state(self, state, data):
        bit_generator, state = self._bit_generator(state)
        random_state = np.random.RandomState(bit_generator)
        random_state.set_state(state)
        return random_state

    def _selector(self, entries, data):
        from sklearn.compose import make_column_selector  # which takes long to import

        def types_of(kinds):
            if kinds is None:
                return None
            if type(kinds[0]) is list:
                return [types_of(kind) for kind in kinds]
            kind, name = kinds
            return _TYPES[name] if kind == "type" else str(name)

        pattern, *kinds = self._list(entries)
        include, exclude = map(types_of, kinds)
        return make_column_selector(pattern, dtype_include=include, dtype_exclude=exclude)

    def _frozen(self, estimator, data):
        return FrozenEstimator(self.read(estimator))

    def _same(self, number, data):
        # Code that visits all parts of an object visits a shared part every time.
        self.n_parts += self.sizes.get(number, 0)
        if self.n_parts > self.most_parts:
            raise InvalidStateError("objects share more parts than a model can have")
        return self.objects[number]

    def _object(self, name, data):
        if name not in self.classes:
            raise InvalidStateError(f"there is no class {name!r} in this version of skdeep")
        cls = self.classes[name]
        if getattr(cls, "writes_files", False) and not self.takes_writers:
            self.objects[data["number"]] = _LEFT_OUT
            return _LEFT_OUT
        value = cls.__new__(cls)
        self.objects[data["number"]] = value
        before = self.n_parts
        state = data["state"]
        if type(state) is not dict:
            raise InvalidStateError(f"the state of {name} is no dict")
        fields = completed(cls, name, self._fields(state))
        hidden = [key for key in fields if callable(getattr(cls, key, None))]
        if hidden:
            raise InvalidStateError(f"the state of {name} would hide its method {hidden[0]}")
        self.n_parts += 1 + len(fields)
        self.sizes[data["number"]] = self.n_parts - before
        if hasattr(value, "__setstate__"):
            value.__setstate__(fields)
        else:
            vars(value).update(fields)
        return value


_READERS = {
    "$float": _Reader._float,
    "$tuple": _Reader._tuple,
    "$set": _Reader._set,
    "$frozenset": _Reader._frozenset,
    "$dict": _Reader._dict,
    "$ordered": _Reader._ordered,
    "$path": _Reader._path,
    "$range": _Reader._range,
    "$slice": _Reader._slice,
    "$dtype": _Reader._dtype,
    "$scalar": _Reader._scalar,
    "$objects": _Reader._objects,
    "$generator": _Reader._generator,
    "$random_state": _Reader._random_state,
    "$frozen": _Reader._frozen,
    "$selector": _Reader._selector,
    "$same": _Reader._same,
    "$object": _Reader._object,
}
