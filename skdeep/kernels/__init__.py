"""The hot inner loops: small functions on contiguous arrays that write where they are told.

Everything above calls them through this package, so that a second implementation with the same
signatures can take the place of the NumPy one.
"""

from skdeep.kernels.numpy_kernels import (
    add_l1_penalty,
    add_l2_penalty,
    batch_norm_backward,
    batch_norm_forward,
    column_sums,
    dense_forward,
    dense_gradient,
    fill_dropout_mask,
    fill_normal,
    gather_one_hot,
    log_softmax,
    softmax,
    softmax_cross_entropy,
    sum_of_squares,
)

__all__ = [
    "add_l1_penalty",
    "add_l2_penalty",
    "batch_norm_backward",
    "batch_norm_forward",
    "column_sums",
    "dense_forward",
    "dense_gradient",
    "fill_dropout_mask",
    "fill_normal",
    "gather_one_hot",
    "log_softmax",
    "softmax",
    "softmax_cross_entropy",
    "sum_of_squares",
]
