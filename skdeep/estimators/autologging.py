"""MLflow's autologging, `mlflow.sklearn.autolog()`, for networks.

MLflow replaces methods of all classes that it finds in scikit-learn by functions of its own. If an
estimator of skdeep is fitted while autologging is on, MLflow replaces the methods of skdeep's
estimators too.
"""

from __future__ import annotations

import functools
import inspect
import sys
import threading
from collections.abc import Callable
from typing import Any

_LOCK = threading.Lock()


def autologged(fit: Callable) -> Callable:
    """Decorate a fit: MLflow logs it if MLflow logs the fits of scikit-learn's estimators."""

    @functools.wraps(fit)
    def wrapper(self, *args, **kwargs):
        if "mlflow.sklearn" in sys.modules and _begin(self):
            return self.fit(*args, **kwargs)  # now MLflow's function
        return fit(self, *args, **kwargs)

    return wrapper


def _begin(estimator: Any) -> bool:
    """Let MLflow replace the estimators' methods; return whether it has just done so."""
    from mlflow.utils.autologging_utils import AUTOLOGGING_INTEGRATIONS, autologging_is_disabled

    flavor = sys.modules["mlflow.sklearn"]
    settings = AUTOLOGGING_INTEGRATIONS.get("sklearn")
    if not settings or autologging_is_disabled("sklearn"):
        return False
    if not (hasattr(flavor, "_autolog") and hasattr(flavor, "_gen_estimators_to_patch")):
        return False  # another version of MLflow, which works in another way
    with _LOCK:
        classes = [cls for cls in type(estimator).models().values() if not _is_taken_up(cls)]
        if not classes:
            return False
        known = inspect.signature(flavor._autolog).parameters
        find_estimators = flavor._gen_estimators_to_patch
        flavor._gen_estimators_to_patch = lambda: classes
        try:
            flavor._autolog(**{k: v for k, v in settings.items() if k in known})
        finally:
            flavor._gen_estimators_to_patch = find_estimators
        return all(map(_is_taken_up, classes))


def _is_taken_up(cls: type) -> bool:
    return "_gorilla_active_patch_fit" in vars(cls)
