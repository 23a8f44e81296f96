"""How the functions of this package are compiled."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import FunctionType

import llvmlite.binding
import numba
from numba.core.caching import FunctionCache
from numba.extending import intrinsic, register_jitable

if numba.config.DISABLE_JIT:
    raise ImportError("numba is switched off, by NUMBA_DISABLE_JIT")

# The matrix products are written for vectors of this width. If a machine has narrower vectors, LLVM
# splits them.
VECTOR_BYTES = 64 if llvmlite.binding.get_host_cpu_features().get("avx512f") else 32

# NaN and infinity keep their meaning. Multiplication and addition may become one instruction;
# if the order of a sum does not matter, `reorders=True` lets the lanes of a vector sum it up.
_EXACT_ORDER = {"contract"}
_ANY_ORDER = {"contract", "reassoc", "nsz"}

#: For small functions, which are compiled into their callers.
inlined = register_jitable(forceinline=True)


def _hash_sources() -> str:
    """Return a hash of all modules of this package."""
    sources = sorted(Path(__file__).parent.glob("*.py"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()


class _Cache(FunctionCache):
    """numba's cache on disk, with two differences.

    numba compiles a function again if its file has changed. Here it does so if any file of the
    package has changed, as functions of other modules are compiled into it. And if the cache can't
    be read or written (broken files, a full disk), training continues without it.
    """

    sources = _hash_sources()

    def __init__(self, function: Callable):
        super().__init__(function)
        self._cache_file._source_stamp = self._cache_file._source_stamp, self.sources

    def load_overload(self, sig, target_context):
        try:
            return super().load_overload(sig, target_context)
        except Exception as error:  # reading a broken file may raise anything
            self._warn("read", error)
        try:
            self.flush()
        except OSError as error:
            self._warn("written", error)
        return None

    def save_overload(self, sig, data):
        try:
            super().save_overload(sig, data)
        except Exception as error:
            self._warn("written", error)

    def _warn(self, what: str, error: Exception) -> None:
        warnings.warn(
            f"The cache of compiled kernels in {self.cache_path} can't be {what}: "
            f"{type(error).__name__}: {error}. Its functions are compiled again, which takes some "
            "seconds; NUMBA_CACHE_DIR names another directory for it.",
            RuntimeWarning,
            stacklevel=2,
        )


def _can_keep_code() -> bool:
    try:
        _Cache(_can_keep_code)
    except RuntimeError:
        return False
    return True


#: Whether there is a directory for the cache; if not, every process compiles for itself.
KEEPS_CODE = _can_keep_code()


def compiled(function: Callable | None = None, *, reorders: bool = False) -> Callable:
    """Compile at the first call, for the types of its arguments; keep the code on disk."""
    if function is None:
        return partial(compiled, reorders=reorders)
    options = {
        "nogil": True,
        "error_model": "numpy",
        "fastmath": _ANY_ORDER if reorders else _EXACT_ORDER,
    }
    dispatcher = numba.njit(function, **options)
    if KEEPS_CODE:
        dispatcher._cache = _Cache(function)
    return dispatcher


def specialized(template: Callable, name: str, *, reorders: bool = False, **values) -> Callable:
    """Compile a copy of a function, with other values for some of its global names.

    Closures would do too. But numba finds a closure in its cache only if all objects that it refers
    to have a lasting hash, which functions don't have. A copy is found by its name.
    """
    names = {**template.__globals__, **values}
    copy = FunctionType(template.__code__, names, name, template.__defaults__)
    copy.__qualname__ = f"{template.__qualname__}_{name}"
    copy.__module__ = template.__module__
    return compiled(copy, reorders=reorders)


@intrinsic
def like(typing_context, x, value):
    """Return a number as x's type: a plain 1.0 would turn float32 arithmetic into float64."""

    def generate(context, builder, signature, arguments):
        return context.cast(builder, arguments[1], signature.args[1], signature.args[0])

    return x(x, value), generate
