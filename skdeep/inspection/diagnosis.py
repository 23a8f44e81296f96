"""A doctor for networks: what is wrong, by which figure, and what to try."""

from __future__ import annotations

import html
from typing import Any

from skdeep.inspection.findings import data, layers, training
from skdeep.inspection.findings.case import Case, Finding
from skdeep.inspection.statistics import LayerReport, model_targets

# What follows from something that was found is not said beside it.
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
# What does not keep a network from learning.
NO_CAUSES = {"class imbalance"}


class Report:
    """What `diagnose` found; prints as text, renders as HTML in a notebook.

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
        entries = [f"{f.kind}: {f.evidence}\n    try: {f.advice}" for f in self.findings]
        return "\n".join([*entries, "", str(self.layers)])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        entries = "".join(
            f"<li><b>{html.escape(f.kind)}</b>: {html.escape(f.evidence)}<br>"
            f"<i>try:</i> {html.escape(f.advice)}</li>"
            for f in self.findings
        )
        found = f"<ul>{entries}</ul>" if entries else "<p>Nothing was found to be wrong.</p>"
        return found + self.layers._repr_html_()


def diagnose(model: Any, X: Any, y: Any = None, X_val: Any = None, y_val: Any = None) -> Report:
    """Look at a fitted model, and at the data that it was trained on.

    Parameters
    ----------
    model : fitted estimator of skdeep
        Of a Pipeline, the last step.
    X, y : training data
        As the model was given them, so after the steps before it in a Pipeline.
    X_val, y_val : validation data or None, default=None
        With them it is told whether the model overfits.

    Returns
    -------
    Report
    """
    y, y_val = model_targets(model, X, y), model_targets(model, X_val, y_val)
    if (X_val is None) != (y_val is None):
        raise ValueError("X_val and y_val belong together; give both, or neither.")
    if y is None:
        raise ValueError("diagnose needs y: without targets there are no gradients to look at.")
    case = Case(model, X, y, X_val, y_val)
    found = [
        *data.inputs(case),
        *data.targets(case),
        *layers.symmetry(case),
        *training.regularization(case),
        *layers.gradients(case),
        *layers.units(case),
        *training.learning_rate(case),
        *data.batches(case),
        *data.classes(case),
    ]
    found = _without_what_follows(found)
    causes = dict.fromkeys(f.kind for f in found if f.kind not in NO_CAUSES)
    return Report([*found, *training.fit(case, list(causes))], case.layers)


def _without_what_follows(found: list[Finding]) -> list[Finding]:
    kinds = {finding.kind for finding in found}
    explained: set[str] = set()
    for cause, consequences in FOLLOWS_FROM.items():  # the furthest back first
        if cause in kinds - explained:
            explained |= consequences
    return [finding for finding in found if finding.kind not in explained]
