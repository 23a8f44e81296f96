"""How everything in this package is compiled."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import FunctionType

import llvmlite.binding
import numba
from numba.extending import intrinsic, register_jitable

# The width of the vectors that the matrix products are written for. LLVM splits them on a machine
# whose vectors are narrower.
VECTOR_BYTES = 64 if llvmlite.binding.get_host_cpu_features().get("avx512f") else 32

# NaN and infinity keep their meaning. Multiplication and addition may become one instruction;
# where the order of a sum does not matter, `reorders=True` lets it be summed in a vector's lanes.
_EXACT_ORDER = {"contract"}
_ANY_ORDER = {"contract", "reassoc", "nsz"}

#: For small functions that are compiled into those that call them.
inlined = register_jitable(forceinline=True)


def compiled(function: Callable | None = None, *, reorders: bool = False) -> Callable:
    """Compile at the first call, for the types of its arguments; keep the code on disk."""
    if function is None:
        return partial(compiled, reorders=reorders)
    options = {
        "nogil": True,
        "error_model": "numpy",
        "fastmath": _ANY_ORDER if reorders else _EXACT_ORDER,
    }
    try:
        return numba.njit(function, cache=True, **options)
    except RuntimeError:  # no directory for the cache can be written: compile in every process
        return numba.njit(function, **options)


def specialized(template: Callable, name: str, *, reorders: bool = False, **values) -> Callable:
    """Compile a copy of a function in whose place of some global names stand other values.

    Closures would do the same, but numba finds them in its cache only where all that they refer to
    has a lasting hash, which functions don't have. A copy is found by its name.
    """
    names = {**template.__globals__, **values}
    copy = FunctionType(template.__code__, names, name, template.__defaults__)
    copy.__qualname__ = f"{template.__qualname__}_{name}"
    copy.__module__ = template.__module__
    return compiled(copy, reorders=reorders)


@intrinsic
def like(typing_context, x, value):
    """Return a number as x's type: a bare 1.0 would turn float32 arithmetic into float64."""

    def generate(context, builder, signature, arguments):
        return context.cast(builder, arguments[1], signature.args[1], signature.args[0])

    return x(x, value), generate
