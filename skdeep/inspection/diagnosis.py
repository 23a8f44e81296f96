"""A doctor for networks: findings, each with the figure that shows it and advice."""

from __future__ import annotations

import html
from typing import Any

from skdeep.inspection.findings import data, layers, training
from skdeep.inspection.findings.case import Case, Finding
from skdeep.inspection.statistics import LayerReport, model_targets

# If a cause is found, the findings that follow from it are left out.
FOLLOWS_FROM = {
    "too much regularization": {
        *("symmetric units", "dead units", "vanishing gradients", "exploding gradients"),
        *("learning rate too high", "learning rate too low"),
    },
    "symmetric units": {
        *("dead units", "vanishing gradients"),
        *("learning rate too high", "learning rate too low"),
    },
    "targets out of reach": {"dead units", "learning rate too high", "learning rate too low"},
    "vanishing gradients": {"learning rate too high", "learning rate too low"},
    "saturated units": {"learning rate too low"},
}
# Findings that do not keep a network from learning.
NO_CAUSES = {"class imbalance", "selu without self-normalization"}


class Report:
    """The findings of `diagnose`; prints as text, renders as HTML in a notebook.

    Attributes
    ----------
    findings : list of Finding
    layers : LayerReport
    """

    def __init__(self, findings: list[Finding], layers: LayerReport):
        self.findings = findings
        self.layers = layers

    def __str__(self) -> str:
        if not self.findings:
            return "Nothing was found to be wrong.\n\n" + str(self.layers)
        entries = [
            f"{f.kind}: {f.evidence}\n    try: {f.advice}" + (f.url and f"\n    see: {f.url}")
            for f in self.findings
        ]
        return "\n".join([*entries, "", str(self.layers)])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        entries = "".join(
            f"<li><b>{html.escape(f.kind)}</b>: {html.escape(f.evidence)}<br>"
            f"<i>try:</i> {html.escape(f.advice)}"
            + (f.url and f' <a href="{html.escape(f.url)}">More</a>')
            + "</li>"
            for f in self.findings
        )
        found = f"<ul>{entries}</ul>" if entries else "<p>Nothing was found to be wrong.</p>"
        return found + self.layers._repr_html_()


def diagnose(model: Any, X: Any, y: Any = None, X_val: Any = None, y_val: Any = None) -> Report:
    """Examine a fitted model, and the data that it was trained on.

    Parameters
    ----------
    model : fitted estimator of skdeep
        If the model is a Pipeline, give its last step.
    X, y : training data
        The data that the model was fitted to. In a Pipeline, the output of the steps before it.
    X_val, y_val : validation data or None, default=None
        Needed to find out whether the model overfits.

    Returns
    -------
    Report
    """
    if hasattr(model, "tasks_"):
        raise TypeError(
            f"diagnose is for models of one task, and {type(model).__name__} has several; "
            "layer_statistics and check_gradients take it."
        )
    y, y_val = _labels_or_numbers(model, X, y), _labels_or_numbers(model, X_val, y_val)
    if (X_val is None) != (y_val is None):
        raise ValueError("X_val and y_val belong together; give both, or neither.")
    if y is None:
        raise ValueError("diagnose needs y: without targets there are no gradients to examine.")
    case = Case(model, X, y, X_val, y_val)
    found = [
        *data.inputs(case),
        *data.targets(case),
        *layers.symmetry(case),
        *training.regularization(case),
        *layers.gradients(case),
        *layers.units(case),
        *layers.self_normalization(case),
        *training.learning_rate(case),
        *data.batches(case),
        *data.classes(case),
    ]
    found = _without_what_follows(found)
    causes = dict.fromkeys(f.kind for f in found if f.kind not in NO_CAUSES)
    return Report([*found, *training.fit(case, list(causes))], case.layers)


def _labels_or_numbers(model: Any, X: Any, y: Any) -> Any:
    """Return the targets, with labels in place of rows of probabilities."""
    y = model_targets(model, X, y)
    is_soft = y is not None and getattr(model, "soft_targets", False)
    return model._scored_targets(y) if is_soft else y


def _without_what_follows(found: list[Finding]) -> list[Finding]:
    kinds = {finding.kind for finding in found}
    explained: set[str] = set()
    for cause, consequences in FOLLOWS_FROM.items():  # first causes first
        if cause in kinds - explained:
            explained |= consequences
    return [finding for finding in found if finding.kind not in explained]
