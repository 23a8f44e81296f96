"""Matrix products for small layers, in registers: they need no packing, which BLAS does.

A product is composed of tiles of four rows by up to two vectors of columns. The sums of a tile
stay in registers during the loop over the inner dimension. BLAS is faster if an operand does not
fit into the cache, so large layers use BLAS (see `is_small`).
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from skdeep.kernels.numba_kernels.compiling import VECTOR_BYTES, compiled, inlined

# The rows of a tile. With two vectors of columns there are enough sums to keep two units for
# multiplication and addition busy.
ROWS = 4
# The size in bytes of the largest operand for which these products are faster than BLAS.
LARGEST_OPERAND = 1 << 17


def is_small(n_rows: int, n_inputs: int, n_units: int, itemsize: int) -> bool:
    """Whether the products of a dense layer are faster here than with BLAS."""
    if min(n_rows, n_inputs) < ROWS:
        return False
    largest = max(n_rows * n_inputs, n_rows * n_units, n_inputs * n_units)
    return largest * itemsize <= LARGEST_OPERAND


def _tile(halvings: int):
    """Return a function that computes one tile: ROWS by two vectors, halved this many times.

    It sets out[r, c] to the sum over k of X[r, k] * W[k, c]. Each array is given with the position
    of its first element and with its strides, both in elements.
    """

    @intrinsic
    def tile(context, X, x, x_row, x_column, W, w, w_row, out, o, o_row, n_inner):
        signature = types.void(X, *[types.intp] * 3, W, *[types.intp] * 2, out, *[types.intp] * 3)
        return signature, generate

    def generate(context, builder, signature, arguments):
        _, x, x_row, x_column, _, w, w_row, _, o, o_row, n_inner = arguments
        kinds = signature.args
        X, W, out = (_data(context, builder, kinds[i], arguments[i]) for i in (0, 4, 7))
        scalar, index = context.get_value_type(kinds[0].dtype), n_inner.type
        size = 4 if kinds[0].dtype == types.float32 else 8
        n_columns = max(1, 2 * VECTOR_BYTES // size >> halvings)
        lanes = min(n_columns, VECTOR_BYTES // size)
        n_vectors = n_columns // lanes
        vector = ir.VectorType(scalar, lanes)
        zero = ir.Constant(vector, [ir.Constant(scalar, 0.0)] * lanes)

        def number(value):
            return ir.Constant(index, value)

        def place(base, row, stride, column):
            """Return the address of a vector of the array that starts at base."""
            position = builder.add(builder.mul(number(row), stride), number(column * lanes))
            return builder.bitcast(builder.gep(base, [position]), vector.as_pointer())

        first_x, first_w = builder.gep(X, [x]), builder.gep(W, [w])
        before = builder.block
        loop, after = (builder.append_basic_block(name) for name in ("inner", "sums"))
        builder.branch(loop)
        builder.position_at_end(loop)
        k = builder.phi(index)
        sums = [builder.phi(vector) for _ in range(ROWS * n_vectors)]
        row_of_w = builder.gep(first_w, [builder.mul(k, w_row)])
        column_of_x = builder.gep(first_x, [builder.mul(k, x_column)])
        w_vectors = [
            builder.load(place(row_of_w, 0, w_row, c), align=size) for c in range(n_vectors)
        ]
        updated = []
        for r in range(ROWS):
            value = builder.load(builder.gep(column_of_x, [builder.mul(number(r), x_row)]))
            spread = _spread(builder, value, vector)
            for c in range(n_vectors):
                product = builder.fmul(spread, w_vectors[c], flags=("contract",))
                old = sums[r * n_vectors + c]
                updated.append(builder.fadd(old, product, flags=("contract",)))
        next_k = builder.add(k, number(1))
        k.add_incoming(number(0), before)
        k.add_incoming(next_k, loop)
        for old, new in zip(sums, updated, strict=True):
            old.add_incoming(zero, before)
            old.add_incoming(new, loop)
        builder.cbranch(builder.icmp_signed("<", next_k, n_inner), loop, after)
        builder.position_at_end(after)
        first_o = builder.gep(out, [o])
        for r in range(ROWS):
            for c in range(n_vectors):
                address = place(first_o, r, o_row, c)
                builder.store(updated[r * n_vectors + c], address, align=size)
        return context.get_dummy_value()

    return tile


def _data(context, builder, kind, array):
    return context.make_array(kind)(context, builder, array).data


def _spread(builder, value, vector):
    """Return a vector that has the value in every lane."""
    nothing, lane = ir.Constant(vector, ir.Undefined), ir.IntType(32)
    first = builder.insert_element(nothing, value, ir.Constant(lane, 0))
    zeros = ir.Constant(ir.VectorType(lane, vector.count), [0] * vector.count)
    return builder.shuffle_vector(first, nothing, zeros)


def _in_tiles(halvings: int):
    """Return a function that computes a product from tiles, at least one in each direction.

    The last tiles may overlap the tiles before them; the elements in both get the same values.
    """
    tile = _tile(halvings)

    @inlined
    def in_tiles(X, x_row, x_column, W, out):
        n_rows, n_columns = out.shape
        n_inner = W.shape[0]
        width = max(1, 2 * VECTOR_BYTES // out.itemsize >> halvings)
        for block in range((n_columns + width - 1) // width):
            j = min(block * width, n_columns - width)
            for group in range((n_rows + ROWS - 1) // ROWS):
                i = min(group * ROWS, n_rows - ROWS)
                at = i * n_columns + j
                tile(X, i * x_row, x_row, x_column, W, j, n_columns, out, at, n_columns, n_inner)

    return in_tiles


_two_vectors, _one_vector, _half, _quarter, _eighth, _sixteenth = (_in_tiles(h) for h in range(6))


@compiled
def multiply(X, x_row, x_column, W, out):
    """Write the sum over k of X[i * x_row + k * x_column] * W[k, j], for at least ROWS rows i.

    W and out are in C order; X may be in any.
    """
    lanes = VECTOR_BYTES // out.itemsize
    n_columns = out.shape[1]
    if n_columns >= 2 * lanes:
        _two_vectors(X, x_row, x_column, W, out)
    elif n_columns >= lanes:
        _one_vector(X, x_row, x_column, W, out)
    elif 2 * n_columns >= lanes:
        _half(X, x_row, x_column, W, out)
    elif 4 * n_columns >= lanes:
        _quarter(X, x_row, x_column, W, out)
    elif 8 * n_columns >= lanes:
        _eighth(X, x_row, x_column, W, out)
    else:
        _sixteenth(X, x_row, x_column, W, out)


@inlined
def multiply_rows(X, W, out):
    """Write X @ W; X may have any strides."""
    multiply(X, X.strides[0] // X.itemsize, X.strides[1] // X.itemsize, W, out)


@inlined
def multiply_columns(X, dZ, out):
    """Write X.T @ dZ; X may have any strides."""
    multiply(X, X.strides[1] // X.itemsize, X.strides[0] // X.itemsize, dZ, out)


@compiled
def transpose(W, out):
    """Write W.T."""
    n_rows, n_columns = W.shape
    for start in range(0, n_columns, 8):
        block, target = W[:, start : start + 8], out[start : start + 8]
        for i in range(n_rows):
            for j in range(block.shape[1]):
                target[j, i] = block[i, j]
