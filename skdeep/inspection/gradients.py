"""Comparison of gradients with finite differences, for authors of layers, losses and the like."""

from __future__ import annotations

from typing import Any

import numpy as np

from skdeep.inspection.probing import Probe
from skdeep.inspection.statistics import model_targets
from skdeep.network import Network
from skdeep.reports.table import Table, number


class GradientCheck(Table):
    """The differences between gradients and finite differences, for each parameter.

    Attributes
    ----------
    errors : dict of float
        The largest difference, relative to the size of the gradient, by name of the parameter.
    tolerance : float
    passed : bool
        Whether all errors are within the tolerance.
    """

    header = ("Parameter", "Relative error", "")

    def __init__(self, errors: dict[str, float], tolerance: float):
        self.errors = errors
        self.tolerance = tolerance

    @property
    def passed(self) -> bool:
        """Whether all errors are within the tolerance."""
        return all(error <= self.tolerance for error in self.errors.values())

    def _cells(self) -> list[list[str]]:
        return [
            [name, number(error), "ok" if error <= self.tolerance else "WRONG"]
            for name, error in self.errors.items()
        ]


def check_gradients(
    model: Any, X: Any, y: Any = None, *, n_checked: int = 20, tolerance: float = 1e-4
) -> GradientCheck:
    """Compare the gradient of a fitted model's objective with finite differences.

    This is for authors of layers, losses, activations or regularizers. The comparison is made in
    float64, on a copy of the model, without dropout and noise.

    Parameters
    ----------
    model : fitted estimator of skdeep
    X, y : data as fit takes them
        If there are more than 50 rows, 50 of them are drawn.
    n_checked : int, default=20
        The number of elements of each parameter that are checked.
    tolerance : float, default=1e-4

    Returns
    -------
    GradientCheck
    """
    probe = Probe(model, X, model_targets(model, X, y), most_rows=50)
    for layer in probe.network.walk():
        f = layer.activation_function
        if f is not None and not f.has_derivative:
            raise ValueError(
                f"check_gradients can't judge {f!r}: its gradient is a stand-in for a derivative "
                "that is 0. Check the other layers of the network with another activation."
            )
    network = probe.network = _in_float64(probe.network)
    probe.X, probe.Y = probe.X.astype(np.float64), probe.Y.astype(np.float64)
    probe.objective()
    gradients = {
        name: p.grad.copy() for name, p in network.named_parameters() if p.grad is not None
    }
    # Batch norm updates its statistics in the training pass, which does not depend on them.
    rng = np.random.default_rng(0)
    errors = {}
    for name, p in network.named_parameters():
        if name not in gradients:
            continue
        gradient, flat = gradients[name].ravel(), p.value.reshape(-1)
        chosen = rng.permutation(flat.size)[:n_checked]
        found = np.array([_differences(probe, flat, i) for i in chosen])
        central, bend, noise = found.T
        scale = max(np.abs(gradient).max(), np.abs(central).max(), noise.max())
        # At a kink, such as that of ReLU at 0, there is no derivative to compare with.
        is_smooth = bend <= tolerance * scale + 4 * noise
        off = np.maximum(np.abs(central - gradient[chosen]) - 4 * noise, 0)
        errors[name] = float(off[is_smooth].max(initial=0.0) / scale)
    network.release()
    return GradientCheck(errors, tolerance)


def _differences(probe: Probe, flat: np.ndarray, i: int) -> tuple[float, float, float]:
    """Return the central difference, the gap between the one-sided differences, and the noise."""
    h = 1e-6 * max(1.0, abs(flat[i]))
    before, values = flat[i], []
    for step in (h, 0.0, -h):
        flat[i] = before + step
        values.append(probe.objective())
    flat[i] = before
    above, here, below = values
    noise = 10 * np.finfo(float).eps * max(1.0, abs(here)) / h
    return (above - below) / (2 * h), abs(above - 2 * here + below) / h, noise


def _in_float64(network: Network) -> Network:
    vector = network.parameters
    vector.values = vector.values.astype(np.float64)
    network.dtype = np.dtype(np.float64)
    vector.release()  # binds the parameters to the new values
    return network
