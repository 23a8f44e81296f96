"""The hot inner loops, in two sets with one interface: `numpy_kernels` and `numba_kernels`.

A run of training chooses a set when it begins (`choose`), and hands it down to its layers, its
optimizer and its batches; nothing else knows which one runs. The NumPy set is the reference, and
what predictions are made with, so that they do not depend on what is installed.
"""

from __future__ import annotations

import os
import signal
import threading
import warnings
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType

from skdeep.kernels import numpy_kernels

__all__ = ["choose", "draw_seed", "numpy_kernels", "set_kernels"]

ENVIRONMENT_VARIABLE = "SKDEEP_KERNELS"
CHOICES = ("auto", "numba", "numpy")
# A run that takes NumPy less than this is over before numba would be imported. What decides is the
# size of the run alone, never what ran before it: the same fit gives the same model everywhere.
SHORTEST_RUN_SECONDS = 0.05
# Where compiled code can't be kept on disk, it has to be worth compiling in every process.
SECONDS_OF_COMPILING = 30.0


def set_kernels(name: str) -> None:
    """Choose the kernels that train networks, in this process and in those it starts.

    Parameters
    ----------
    name : {"auto", "numba", "numpy"}
        "auto", the default, takes numba where it is installed and the run is long enough for it to
        pay. The environment variable SKDEEP_KERNELS says the same.
    """
    _check(name, "set_kernels")
    if name == "numba":
        _import_numba_kernels()
    # The environment is what processes that are started later, joblib's workers too, inherit.
    os.environ[ENVIRONMENT_VARIABLE] = name


def choose(seconds_in_numpy: float) -> ModuleType:
    """Return the set of kernels for a run that would take the NumPy set so long."""
    name = os.environ.get(ENVIRONMENT_VARIABLE) or "auto"
    _check(name, f"the environment variable {ENVIRONMENT_VARIABLE}")
    if name == "numba":
        return _import_numba_kernels()
    is_switched_off = os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0")
    if name == "numpy" or seconds_in_numpy < SHORTEST_RUN_SECONDS or is_switched_off:
        return numpy_kernels
    try:
        kernels = _import_numba_kernels()
    except Exception as error:  # a broken installation may raise anything
        cause = error.__cause__ or error
        is_missing = isinstance(cause, ModuleNotFoundError) and cause.name == "numba"
        if not is_missing:
            warnings.warn(
                f"numba is installed, but does not work: {type(cause).__name__}: {cause}. The "
                f"NumPy kernels train instead; {ENVIRONMENT_VARIABLE}=numpy makes this warning go "
                "away.",
                RuntimeWarning,
                stacklevel=2,
            )
        return numpy_kernels
    pays = kernels.KEEPS_CODE or seconds_in_numpy > SECONDS_OF_COMPILING
    return kernels if pays else numpy_kernels


def _check(name: str, what: str) -> None:
    if name not in CHOICES:
        raise ValueError(f"{what}: {name!r} is unknown; choose from {list(CHOICES)}.")


def _import_numba_kernels() -> ModuleType:
    try:
        with _interrupted_afterwards():
            import_module("numba")  # ahead of what it needs itself: is it there at all?
            from skdeep.kernels import numba_kernels
    except ImportError as error:
        raise ImportError(
            'The compiled kernels need numba: pip install numba. The extra "fast" of '
            f"scikit-deep has it. With the kernels 'numpy' all works without it. ({error})"
        ) from error
    return numba_kernels


@contextmanager
def _interrupted_afterwards():
    """Let Ctrl-C wait: in the middle of an import it would leave half a package behind."""
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    interrupts = []
    signal.signal(signal.SIGINT, lambda *about: interrupts.append(about))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if interrupts:
            signal.default_int_handler(*interrupts[0])


def draw_seed(rng) -> int:
    """Return 63 random bits: what kernels that draw random numbers take for a seed."""
    return rng.bit_generator.random_raw() >> 1
