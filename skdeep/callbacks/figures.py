"""The figures of an epoch by name: which one is watched, and whether higher is better."""

from __future__ import annotations

from collections.abc import Mapping

from skdeep._component import InvalidParameterError

VALIDATION = "val_"
MODES = {"max": 1, "min": -1}
_WORDS = {
    **dict.fromkeys(("score", "accuracy"), 1),
    **dict.fromkeys(("loss", "error", "deviance"), -1),
    **dict.fromkeys(("learning_rate", "gradient_norm", "seconds"), -1),
}


def direction_of(name: str) -> int | None:
    """Return 1 if a name says that higher is better, -1 if lower is; None if it says neither.

    As in scikit-learn, scores are to be high, and losses, errors and deviances low.
    """
    return next((direction for word, direction in _WORDS.items() if word in name), None)


def watched(figures: Mapping[str, float], key: str | None, who: str) -> tuple[str, float]:
    """Return key and value of a figure; None is the validation score, or the loss without one."""
    if key is None:
        key = "val_score" if "val_score" in figures else "loss"
    if key not in figures:
        raise InvalidParameterError(
            f"{who} monitor={key!r} is not in history_; choose from {sorted(figures)}. Keys that "
            "begin with 'val_' need validation data."
        )
    return key, figures[key]


def check_mode(mode: str | None, who: str) -> None:
    """Raise if a mode is not allowed."""
    if mode is not None and mode not in list(MODES):
        raise InvalidParameterError(
            f"{who} mode={mode!r} is not allowed; give 'max' if a higher figure is better, 'min' "
            "if a lower one is, or None for a figure whose name says it."
        )


def sign_of(key: str, mode: str | None, directions: Mapping[str, int | None], who: str) -> int:
    """Return 1 if a higher figure is better, -1 if a lower one is."""
    if mode is not None:
        return MODES[mode]
    direction = directions[key] if key in directions else direction_of(key)
    if direction is None:
        raise InvalidParameterError(
            f"{who} monitor={key!r}: nothing says whether a higher figure is better; give "
            "mode='max' or mode='min'."
        )
    return direction
