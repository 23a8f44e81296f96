"""A fitted estimator in a notebook: a diagram, its network, and its training curve."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import Any

from sklearn.utils import estimator_html_repr

from skdeep.reports.summary import Summary

WIDTH, HEIGHT = 360, 180
LEFT, RIGHT, TOP, BOTTOM = 56, 12, 12, 34
COLOURS = {"loss": "#1f77b4", "val_loss": "#ff7f0e"}
NAMES = {"loss": "training loss", "val_loss": "validation loss"}
# More points than these can't be told apart.
MOST_POINTS = 300


def html_repr(estimator: Any) -> str:
    """Return scikit-learn's diagram; if fitted, with the network and the training curve."""
    diagram = estimator_html_repr(estimator)
    if not hasattr(estimator, "network_"):
        return diagram
    return diagram + details(estimator, "Network")


def details(fitted: Any, title: str) -> str:
    """Return the network and the training curve of a fitted estimator, under a title."""
    summary = Summary(fitted.network_)._repr_html_()
    return (
        f"<details open><summary>{title}, and {fitted.n_iter_} epochs of training"
        f'</summary><div style="display: flex; flex-wrap: wrap; gap: 1.5em; align-items: '
        f'flex-start">{summary}{training_curve(fitted.history_)}</div></details>'
    )


def training_curve(history: dict[str, Sequence[float]]) -> str:
    """Return the losses over the epochs as a self-contained SVG."""
    curves = {key: _points(history[key]) for key in COLOURS if key in history}
    values = [value for points in curves.values() for _, value in points]
    if not values:
        return ""
    n_epochs = len(history["loss"])
    low, high = min(values), max(values)
    if low == high:
        low, high = low - 0.5, high + 0.5

    def x(epoch: float) -> float:
        share = (epoch - 1) / max(1, n_epochs - 1)
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    def y(value: float) -> float:
        return TOP + (high - value) / (high - low) * (HEIGHT - TOP - BOTTOM)

    parts = [
        f'<rect x="{LEFT}" y="{TOP}" width="{WIDTH - LEFT - RIGHT}" '
        f'height="{HEIGHT - TOP - BOTTOM}" fill="none" stroke="#999"/>',
        _text(LEFT - 5, y(high) + 4, f"{high:.3g}", "end"),
        _text(LEFT - 5, y(low) + 4, f"{low:.3g}", "end"),
        _text(x(1), HEIGHT - BOTTOM + 15, "1", "middle"),
        _text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 6, "epoch", "middle"),
    ]
    if n_epochs > 1:
        parts.append(_text(x(n_epochs), HEIGHT - BOTTOM + 15, str(n_epochs), "middle"))
    for i, (key, points) in enumerate(curves.items()):
        colour, line = COLOURS[key], " ".join(f"{x(e):.1f},{y(v):.1f}" for e, v in points)
        shape = (
            f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.5"/>'
            if len(points) > 1
            else "".join(
                f'<circle cx="{x(e):.1f}" cy="{y(v):.1f}" r="3" fill="{colour}"/>'
                for e, v in points
            )
        )
        parts += [shape, _text(WIDTH - RIGHT - 6, TOP + 16 + 14 * i, NAMES[key], "end", colour)]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" '
        f'viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="training curve" '
        f'font-family="sans-serif" font-size="11">{"".join(parts)}</svg>'
    )


def _points(column: Sequence[float]) -> list[tuple[int, float]]:
    """Return (epoch, value) of finite values; if there are too many, only some of them."""
    points = [(i, float(v)) for i, v in enumerate(column, 1) if math.isfinite(v)]
    step = math.ceil(len(points) / MOST_POINTS) or 1
    thinned = points[::step]
    if points and thinned[-1] != points[-1]:
        thinned.append(points[-1])
    return thinned


def _text(x: float, y: float, text: str, anchor: str, colour: str = "currentColor") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}">'
        f"{escape(text)}</text>"
    )
