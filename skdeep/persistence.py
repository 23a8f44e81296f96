"""save and load: models in files that run no code when they are read."""

from __future__ import annotations

import os

from skdeep.estimators.base import BaseMLP
from skdeep.files.container import InvalidFileError, read_file, write_file
from skdeep.files.plain import InvalidStateError, NotPlainError
from skdeep.tabular.base import BaseTabular
from skdeep.tabular.names import PARTS, models

__all__ = ["InvalidFileError", "load", "save"]


def save(model: BaseMLP | BaseTabular, path: str | os.PathLike) -> None:
    """Write a fitted model to a file.

    The file holds the whole model: its parameters, weights and history, and the state that a warm
    start or `partial_fit` continues from. It is first written under another name, so that there is
    never an incomplete file at `path`.

    Parameters
    ----------
    model : fitted estimator of skdeep
    path : str or path-like

    Raises
    ------
    TypeError
        If the model has parts of classes that are not skdeep's own. Files hold no code: `pickle`
        and `joblib` save such models.
    ValueError
        If `load` would refuse the file, because attributes were changed and no longer fit together.
    """
    own = models()
    if type(model) not in own.values():
        names = sorted(cls.__name__ for cls in own.values())
        raise TypeError(
            f"skdeep.save: {type(model).__name__} is none of {names}; of a Pipeline or a search, "
            "save the step or the best_estimator_, or use joblib.dump."
        )
    model._check_is_fitted()
    try:
        write_file(model, {**own, **PARTS}, path)
    except NotPlainError as error:
        raise TypeError(
            f"skdeep.save: {error}. A file of skdeep holds no code; leave that part out with "
            "set_params, or save the model with pickle or joblib."
        ) from error
    except InvalidStateError as error:
        raise ValueError(
            f"skdeep.save: load would not read this model: {error}. Its attributes do not fit "
            "together; fit it again, or save it with pickle or joblib."
        ) from error


def load(path: str | os.PathLike, *, with_writers: bool = False) -> BaseMLP | BaseTabular:
    """Read a model from a file that `save` wrote.

    A file holds no code, so to load a file runs no code from it. A file from an untrusted source
    may hold a model that predicts nonsense, but nothing worse.

    Parameters
    ----------
    path : str or path-like
    with_writers : bool, default=False
        Whether the model keeps its callbacks that write files, such as `CSVLogger`. The file names
        the paths that they write to at the next fit, so keep them only if you trust the file.

    Returns
    -------
    estimator of skdeep

    Raises
    ------
    InvalidFileError
        If the file is not a file of skdeep, was cut off or changed, or was written by a newer
        version. It is a ValueError.
    """
    return read_file(path, {**models(), **PARTS}, with_writers)
