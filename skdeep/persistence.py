"""Models in files that run no code when they are read."""

from __future__ import annotations

import os

from skdeep.estimators.base import BaseMLP
from skdeep.files.container import InvalidFileError, read_file, write_file
from skdeep.files.plain import InvalidStateError, NotPlainError

__all__ = ["InvalidFileError", "load", "save"]


def save(model: BaseMLP, path: str | os.PathLike) -> None:
    """Write a fitted model to a file.

    The file holds all that the model is: its parameters, weights and history, and what a warm start
    or `partial_fit` goes on from. It is written beside its place first, so that there is never half
    a file at `path`.

    Parameters
    ----------
    model : MLPClassifier, MLPRegressor or MLPAutoencoder
    path : str or path-like

    Raises
    ------
    TypeError
        Where the model has parts of classes that are not skdeep's own. Files hold no code: `pickle`
        and `joblib` save such models.
    ValueError
        Where `load` would refuse the file: something was changed that does not go together.
    """
    models = BaseMLP.models()
    if type(model) not in models.values():
        names = sorted(cls.__name__ for cls in models.values())
        raise TypeError(
            f"skdeep.save: {type(model).__name__} is none of {names}; of a Pipeline or a search, "
            "save the step or the best_estimator_, or use joblib.dump."
        )
    model._check_is_fitted()
    try:
        write_file(model, models, path)
    except NotPlainError as error:
        raise TypeError(
            f"skdeep.save: {error}. A file of skdeep holds no code; leave that part out with "
            "set_params, or save the model with pickle or joblib."
        ) from error
    except InvalidStateError as error:
        raise ValueError(
            f"skdeep.save: load would not read this model: {error}. Its attributes do not go "
            "together; fit it again, or save it with pickle or joblib."
        ) from error


def load(path: str | os.PathLike, *, with_writers: bool = False) -> BaseMLP:
    """Read a model from a file that `save` wrote.

    No code is run that is in the file: there is none. A file from somebody else may hold a model
    that predicts nonsense, but nothing worse.

    Parameters
    ----------
    path : str or path-like
    with_writers : bool, default=False
        Whether callbacks that write files, such as `CSVLogger`, come back too. A file names the
        paths that they write to at the next fit; so let them come back only from files that you
        trust.

    Returns
    -------
    MLPClassifier, MLPRegressor or MLPAutoencoder

    Raises
    ------
    InvalidFileError
        A ValueError: the file is no file of skdeep, was cut off, changed, or written by a newer
        version.
    """
    return read_file(path, BaseMLP.models(), with_writers)
