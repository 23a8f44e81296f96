"""The hot inner loops, in two sets with one interface: `numpy_kernels` and `numba_kernels`.

A training run chooses a set when it begins (`choose`), and passes it to its layers, its optimizer
and its batches. No other code knows which set runs. The NumPy set is the reference. Predictions are
always made with it, so that they do not depend on the packages that are installed.
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
# A run that takes NumPy less than this would end before numba is imported. Only the size of a run
# decides, never the runs before it, so that a fit gives the same model everywhere.
SHORTEST_RUN_SECONDS = 0.05
# If compiled code can't be kept on disk, the run has to be worth compiling it in every process.
SECONDS_OF_COMPILING = 30.0


def set_kernels(name: str) -> None:
    """Choose the kernels that train networks, in this process and in the processes it starts.

    Parameters
    ----------
    name : {"auto", "numba", "numpy"}
        The kernels. "auto", the default, uses numba if it is installed and the run is long enough
        to benefit. The environment variable SKDEEP_KERNELS takes the same values.
    """
    _check(name, "set_kernels")
    if name == "numba":
        _import_numba_kernels()
    # Processes that are started later, such as joblib's workers, inherit the environment.
    os.environ[ENVIRONMENT_VARIABLE] = name


def choose(seconds_in_numpy: float) -> ModuleType:
    """Return the set of kernels for a run that takes the NumPy set this many seconds."""
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
            import_module("numba")  # before the package that uses it: is numba installed at all?
            from skdeep.kernels import numba_kernels
    except ImportError as error:
        raise ImportError(
            'The compiled kernels need numba: pip install numba. The extra "fast" of '
            f"scikit-deep has it. The kernels 'numpy' do without it. ({error})"
        ) from error
    return numba_kernels


@contextmanager
def _interrupted_afterwards():
    """Delay Ctrl-C: during an import it would leave a half-imported package."""
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
    """Return 63 random bits: the seed of a kernel that draws random numbers."""
    return rng.bit_generator.random_raw() >> 1
