"""Calls as they travel to the workers of a cluster."""

from __future__ import annotations

import pickle
from traceback import format_exc
from typing import Any, NamedTuple, NoReturn

import cloudpickle
import numpy as np
from dask.sizeof import sizeof
from joblib import parallel_config

# The alignment of arrays that NumPy allocates, in bytes.
_ALIGNMENT = 16


class Place(NamedTuple):
    """Stands for a large value in a call: its position among the values that were sent."""

    position: int


class Failure(NamedTuple):
    """An error in place of a result, with the text of its traceback on the worker."""

    error: BaseException
    text: str | None = None

    def reraise(self) -> NoReturn:
        if self.text is not None:
            self.error.__cause__ = _OnWorker(f'\n"""\n{self.text}"""')
        raise self.error


class _OnWorker(Exception):
    """The cause of an error, which displays the traceback on the worker."""


class Sent:
    """A large value on its way to the workers, or a result on its way back.

    Dask hands over arrays at odd addresses, from which NumPy computes several times slower. A value
    that is received has its arrays in aligned memory.

    The value is pickled at once, and never again: Dask would wait forever for a value that a worker
    can't pickle.
    """

    def __init__(self, value: Any):
        self.value = value
        self._buffers: list[Any] = []
        self._text = cloudpickle.dumps(value, protocol=5, buffer_callback=self._buffers.append)

    def __sizeof__(self) -> int:
        return sizeof(self.value)

    def __reduce_ex__(self, protocol):
        buffers = self._buffers if protocol >= 5 else list(map(bytes, self._buffers))
        return _received, (self._text, buffers)


def _received(text: bytes, buffers: list[Any]) -> Sent:
    sent = Sent.__new__(Sent)
    sent._text = text
    sent._buffers = [_aligned(buffer) for buffer in buffers]
    try:
        sent.value = pickle.loads(text, buffers=sent._buffers)
    except Exception as error:  # Dask would shut down the worker
        sent.value = _explained(error)
    return sent


def _aligned(buffer: Any) -> pickle.PickleBuffer:
    view = np.frombuffer(buffer, np.uint8)
    return pickle.PickleBuffer(view if view.ctypes.data % _ALIGNMENT == 0 else view.copy())


def packed(tasks: list[tuple]) -> bytes:
    """Return calls as bytes, which the scheduler and the communication of workers do not read."""
    return cloudpickle.dumps(tasks)


def computed(text: bytes, values: list[Sent]) -> Sent:
    """Return the results of calls, or the first failure."""
    for sent in values:
        if isinstance(sent.value, Failure):
            return Sent(sent.value)
    try:
        tasks = pickle.loads(text)
    except Exception as error:
        return Sent(_explained(error))
    try:
        return Sent(_results(tasks, [sent.value for sent in values]))
    except Exception as error:
        return Sent(_that_travels(Failure(error, format_exc())))


def _results(tasks: list[tuple], values: list[Any]) -> list[Any]:
    """Return the results of calls; calls of joblib within them use the threads of this worker."""

    def value(given: Any) -> Any:
        return values[given.position] if isinstance(given, Place) else given

    results = []
    with parallel_config(backend="threading", n_jobs=1):
        for function, args, options in tasks:
            named = {name: value(option) for name, option in options.items()}
            results.append(function(*map(value, args), **named))
    return results


def _that_travels(failure: Failure) -> Failure:
    """Return a failure with another error if its own can't be pickled, or not be read again."""
    try:
        pickle.loads(cloudpickle.dumps(failure))
    except Exception:
        name, error = type(failure.error).__name__, failure.error
        return failure._replace(error=RuntimeError(f"{name} on a worker: {error}"))
    return failure


def _explained(error: Exception) -> Failure:
    """Return the error of a worker that can't read a call."""
    text = format_exc()
    if isinstance(error, ModuleNotFoundError):
        error = ModuleNotFoundError(
            f"A worker can't import {error.name!r}. Install it on every worker, or send the file "
            "to the workers with client.upload_file.",
            name=error.name,
        )
    return Failure(error, text)
