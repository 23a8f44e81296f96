"""exp, tanh and similar functions without branches, so that loops over them become vector code.

The functions of the C library take one number at a time. The functions here are exact to a few
units in the last place, keep NaN, and have the right limits at infinity.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from llvmlite import ir
from numba import types
from numba.extending import intrinsic, overload

from skdeep.kernels.numba_kernels.compiling import inlined, like

LOG2_E = 1 / math.log(2)
# log(2) in two parts, the first short enough for n * LN2_HIGH to be exact in float32 and float64.
LN2_HIGH = 0.693359375
LN2_LOW = -2.121944400546905827679e-4
SQRT_HALF = math.sqrt(0.5)


def _bits(scalar: types.Float) -> tuple[ir.IntType, int, int]:
    """Return the integer type of a float's size, the bits of its mantissa, its exponent's bias."""
    return (ir.IntType(32), 23, 127) if scalar == types.float32 else (ir.IntType(64), 52, 1023)


@intrinsic
def _nearest_integer(typing_context, x):
    def generate(context, builder, signature, arguments):
        kind = arguments[0].type
        function = builder.module.declare_intrinsic("llvm.rint", [kind])
        return builder.call(function, arguments)

    return x(x), generate


@intrinsic
def _power_of_two(typing_context, n):
    """Return 2^n, for a float n that is an integer in the range of exponents."""
    integer, mantissa, bias = _bits(n)

    def generate(context, builder, signature, arguments):
        # through 32 bits: more machines can convert vectors to these than to 64 bits
        exponent = builder.fptosi(arguments[0], ir.IntType(32))
        if integer.width == 64:
            exponent = builder.sext(exponent, integer)
        exponent = builder.add(exponent, ir.Constant(integer, bias))
        exponent = builder.shl(exponent, ir.Constant(integer, mantissa))
        return builder.bitcast(exponent, arguments[0].type)

    return n(n), generate


@intrinsic
def _split(typing_context, x):
    """Return (m, e) with x = m * 2^e and 1 <= m < 2, for a positive normal x."""
    integer, mantissa, bias = _bits(x)
    result = types.UniTuple(x, 2)

    def generate(context, builder, signature, arguments):
        kind = arguments[0].type
        bits = builder.bitcast(arguments[0], integer)
        exponent = builder.lshr(bits, ir.Constant(integer, mantissa))
        exponent = builder.sub(exponent, ir.Constant(integer, bias))
        if integer.width == 64:
            exponent = builder.trunc(exponent, ir.IntType(32))
        fraction = builder.and_(bits, ir.Constant(integer, (1 << mantissa) - 1))
        one = builder.or_(fraction, ir.Constant(integer, bias << mantissa))
        parts = [builder.bitcast(one, kind), builder.sitofp(exponent, kind)]
        return context.make_tuple(builder, signature.return_type, parts)

    return result(x), generate


def polynomial(single: list[float], double: list[float]):
    """Return a function of x: Horner's scheme, the highest power first, a list for each dtype."""

    @intrinsic
    def evaluate(typing_context, x):
        first, *others = single if x == types.float32 else double

        def generate(context, builder, signature, arguments):
            (argument,) = arguments
            value = ir.Constant(argument.type, first)
            for coefficient in others:
                value = builder.fmul(value, argument, flags=("contract",))
                coefficient = ir.Constant(argument.type, coefficient)
                value = builder.fadd(value, coefficient, flags=("contract",))
            return value

        return x(x), generate

    return evaluate


def _series(coefficient: Callable[[int], float], single: int, double: int):
    """Return a polynomial with coefficient(k) for x^k, up to x^single and x^double."""
    orders = (range(n, -1, -1) for n in (single, double))
    return polynomial(*([coefficient(k) for k in ks] for ks in orders))


# The x for which exp(x) is about the smallest normal number, and the x from which it is infinite.
_lowest = polynomial([-87.0], [-708.0])
_highest = polynomial([88.72284], [709.782712893384])
# (exp(x) - 1 - x) / x^2 for |x| <= log(2) / 2
_exp_tail = _series(lambda k: 1 / math.factorial(k + 2), 5, 11)
# atanh(s) / s, of x = s^2 <= 1 / 9
_atanh_ratio = _series(lambda k: 1 / (2 * k + 1), 7, 16)
# cos(s), and sin(s) / s, of x = s^2 <= (pi / 4)^2
_cos_of_root = _series(lambda k: (-1) ** k / math.factorial(2 * k), 5, 9)
_sin_ratio = _series(lambda k: (-1) ** k / math.factorial(2 * k + 1), 5, 9)
# erfc(z) = t exp(P(t) - z^2) with t = 1 / (1 + z / 2): Press et al., "Numerical recipes", section
# 6.2; the relative error is below 1.2e-7, so float64 does not use it.
_erfc_exponent = polynomial(
    [
        *(0.17087277, -0.82215223, 1.48851587, -1.13520398, 0.27886807),
        *(-0.18628806, 0.09678418, 0.37409196, 1.00002368, -1.26551223),
    ],
    [math.nan],
)


@inlined
def _reduced(x):
    """Return (exp(r) - 1, n) with x = n log(2) + r; x is cut off at the ends of exp's range."""
    low, high = _lowest(x), _highest(x)
    x = x if x > low else low  # NaN gets lost here: the caller restores it
    x = x if x < high else high
    n = _nearest_integer(x * like(x, LOG2_E))
    r = (x - n * like(x, LN2_HIGH)) - n * like(x, LN2_LOW)
    return r + r * r * _exp_tail(r), n


@inlined
def exp(x):
    """Return e^x; 0 if it would be subnormal."""
    p, n = _reduced(x)
    # 2^(n - 1), as 2^n does not exist for the largest n
    y = (p + like(x, 1.0)) * _power_of_two(n - like(x, 1.0)) * like(x, 2.0)
    y = like(x, 0.0) if x < _lowest(x) else y
    y = like(x, math.inf) if x > _highest(x) else y
    return y if x == x else x


@inlined
def expm1_nonpositive(x):
    """Return e^x - 1, for x <= 0."""
    p, n = _reduced(x)
    scale = _power_of_two(n)
    y = p * scale + (scale - like(x, 1.0))
    return y if x == x else x


@inlined
def log1p_unit(t):
    """Return log(1 + t) for 0 <= t <= 1."""
    s = t / (like(t, 2.0) + t)
    return like(t, 2.0) * s * _atanh_ratio(s * s)


@inlined
def log(x):
    """Return log(x) for a positive normal x."""
    m, e = _split(x)
    large = m > like(x, math.sqrt(2))
    m = m * like(x, 0.5) if large else m
    e = e + like(x, 1.0) if large else e
    s = (m - like(x, 1.0)) / (m + like(x, 1.0))
    return e * like(x, LN2_HIGH) + (like(x, 2.0) * s * _atanh_ratio(s * s) + e * like(x, LN2_LOW))


@inlined
def absolute(x):
    """Return |x|."""
    return -x if x < like(x, 0.0) else x


@inlined
def tanh(x):
    """Return tanh(x)."""
    e = expm1_nonpositive(like(x, -2.0) * absolute(x))
    t = -e / (like(x, 2.0) + e)
    return -t if x < like(x, 0.0) else t


@inlined
def sigmoid(x):
    """Return 1 / (1 + e^-x)."""
    e = exp(-absolute(x))
    s = like(x, 1.0) / (like(x, 1.0) + e)
    return e * s if x < like(x, 0.0) else s


@inlined
def softplus(x):
    """Return log(1 + e^x)."""
    positive = like(x, 0.0) if x < like(x, 0.0) else x
    return positive + log1p_unit(exp(-absolute(x)))


def normal_cdf(x):
    """Return the normal distribution function."""


@overload(normal_cdf, jit_options={"forceinline": True})
def _normal_cdf(x):
    if x == types.float64:
        return lambda x: 0.5 * math.erfc(-x * SQRT_HALF)

    def fast(x):
        z = absolute(x) * like(x, SQRT_HALF)
        t = like(x, 1.0) / (like(x, 1.0) + like(x, 0.5) * z)
        lower = like(x, 0.5) * t * exp(_erfc_exponent(t) - z * z)
        upper = like(x, 1.0) - lower
        return lower if x < like(x, 0.0) else upper

    return fast


@inlined
def cos_and_sin_of_turn(u):
    """Return cos(2 pi u) and sin(2 pi u)."""
    quarter = _nearest_integer(u * like(u, 4.0))
    r = (u - quarter * like(u, 0.25)) * like(u, 2 * math.pi)  # |r| <= pi / 4
    c, s = _cos_of_root(r * r), r * _sin_ratio(r * r)
    # by quarters: (c, s), (-s, c), (-c, -s), (s, -c)
    turns = quarter * like(u, 0.25)
    rest = turns - _nearest_integer(turns)  # in quarters: 0, 1, 2 or -2, -1
    size = absolute(rest)
    odd = size == like(u, 0.25)
    x = s if odd else c
    y = c if odd else s
    x = -x if (size == like(u, 0.5)) | (rest == like(u, 0.25)) else x
    y = -y if (size == like(u, 0.5)) | (rest == like(u, -0.25)) else y
    return x, y
