"""The base class of the estimators for tables: encode, train members, put them together."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state, estimator_html_repr
from sklearn.utils.validation import check_is_fitted, validate_data

from skdeep._component import (
    InvalidParameterError,
    Limit,
    check_limits,
    check_number,
    is_named,
)
from skdeep._documentation import Documented
from skdeep.building.checks import check_callbacks, check_verbose
from skdeep.callbacks import Callback
from skdeep.data.sources.base import Source
from skdeep.data.sources.checks import refuse_source, with_own_targets
from skdeep.data.training_data import checked_weight
from skdeep.data.validation import Smoothed, check_belong_together
from skdeep.files.plain import InvalidStateError
from skdeep.reports.picture import details
from skdeep.reports.summary import Summary
from skdeep.schedules import CosineLog
from skdeep.tabular import members, recipe, weights
from skdeep.tabular.encoding.encoder import TabularEncoder
from skdeep.tabular.importance import column_importance
from skdeep.tabular.members import Job, Rows, Split

_LIMITS = {
    "batch_size": Limit(1, integer=True),
    "embedding_size": Limit(1, integer=True),
    "n_members": Limit(1, integer=True),
    "max_iter": Limit(1, integer=True, special=("auto",)),
    "learning_rate_init": Limit(0, closed="(]", special=("auto",)),
    "validation_fraction": Limit(0, 1, "()"),
}
_CHOICES: dict[str, tuple] = {
    "bagging": ("auto", True, False),
    "refit": (None, "full"),
    "dtype": ("float32", "float64"),
}


class BaseTabular(Documented, BaseEstimator):
    """Base class: a subclass names its network, encodes the targets and combines the outputs."""

    _member_class: type
    _is_classifier: bool
    _default_scoring: str

    # Fitting --------------------------------------------------------------------------------------

    def _fit(self, X, y, sample_weight, X_val, y_val, sample_weight_val):
        self._check_parameters()
        X, y, sample_weight = with_own_targets(X, y, sample_weight)
        X_val, y_val, sample_weight_val = with_own_targets(X_val, y_val, sample_weight_val)
        check_belong_together(X_val, y_val, sample_weight_val)
        self._check_sources(X, X_val)
        before = dict(vars(self))
        try:
            self._fit_checked(X, y, sample_weight, X_val, y_val, sample_weight_val)
        except BaseException:  # what was learned before is not lost
            vars(self).clear()
            vars(self).update(before)
            raise
        return self

    def _fit_checked(self, X, y, sample_weight, X_val, y_val, sample_weight_val) -> None:
        self._forget()
        rng = check_random_state(self.random_state)
        rows = self._first_rows(X, y, sample_weight)
        given = None
        if X_val is not None:
            given = self._validation_rows(X_val, y_val, sample_weight_val)
        self.oof_ = None
        bags = self._bags(given is not None)
        split = self._splits(rows, bags, given is not None, rng)
        classes = self._codes()
        jobs = []
        for i, own in enumerate(split):
            n_rows = len(rows.y) if own.training is None else len(own.training)
            seed = int(rng.randint(2**31 - 1))
            validates = given is not None or own.validation is not None
            member = self._new_member(i, n_rows, rows.is_sparse, validates, seed)
            jobs.append(Job(member, rows, own, given, classes))
        n_jobs = 1 if self.callbacks else self.n_jobs
        tells = bool(self.verbose) and self.n_members > 1
        self.members_ = members.train(jobs, n_jobs, tells)
        self.weights_ = np.full(len(jobs), 1 / len(jobs))
        if bags and split[0].validation is not None:
            self._learn_from_folds(rows, split)
        elif (seen := self._validated(rows, given, split)) is not None:
            self._learn_from_rows(seen, [self._output_of(m, seen.X) for m in self.members_])
        if is_named(self.refit, "full"):
            everything = rows if given is None else _joined(rows, given)
            self.members_ = members.refitted(self.members_, everything, classes, n_jobs, tells)

    def _forget(self) -> None:
        """Remove what an earlier fit has learned."""
        for name in [n for n in vars(self) if n.endswith("_") and not n.startswith("_")]:
            delattr(self, name)

    def _first_rows(self, X, y, sample_weight) -> Rows:
        """Fit the encoder of the columns and that of the targets; return the training rows."""
        encoder = TabularEncoder(
            categorical_features=self.categorical_features,
            max_one_hot=self.max_one_hot,
            dtype=self.dtype,
        )
        if y is None:
            raise ValueError(
                f"This {type(self).__name__} estimator requires y to be passed, but the target y "
                "is None."
            )
        if isinstance(X, Source):
            encoder = X.fitted(encoder, checked_weight(sample_weight, X))
            encoder.forget_rows()
        else:
            encoder.fit(X, sample_weight=sample_weight)
        self.encoder_ = encoder
        self.n_features_in_ = encoder.n_features_in_
        if hasattr(encoder, "feature_names_in_"):
            self.feature_names_in_ = encoder.feature_names_in_
        A = self._encoded_rows(X)
        weight = checked_weight(sample_weight, A)
        return Rows(A, *self._encode_first(y, A.shape[0], weight))

    def _encoded_rows(self, X: Any) -> Any:
        """Return encoded rows. Those of a source are encoded when they are read, but read once."""
        if not isinstance(X, Source):
            return self.encoder_.transform(X)
        A = X.transform(self.encoder_)
        A.check()  # an error in the middle of training would cost more than a pass over all rows
        return A

    def _checked_targets(self, y: Any, **options: Any) -> Any:
        """Return y as an array or a sparse matrix, by scikit-learn's checks."""
        try:
            # without X, it would drop the names of the columns
            return validate_data(copy.copy(self), y=y, multi_output=True, **options)
        except TypeError as error:
            if "NA is ambiguous" not in str(error):
                raise
            raise ValueError(
                "Input y contains NA. Remove the rows without a target. A missing class may be a "
                "class of its own: y.fillna('missing')."
            ) from error

    def _validation_rows(self, X_val, y_val, weight) -> Rows:
        try:
            B = self._encoded_rows(X_val)
            return Rows(B, *self._encode(y_val, B.shape[0], checked_weight(weight, B)))
        except ValueError as error:
            raise ValueError(f"In X_val, y_val or sample_weight_val: {error}") from error

    def _bags(self, has_validation: bool) -> bool:
        """Whether each member validates on a fold of its own."""
        if self.bagging is True and (self.n_members < 2 or has_validation):
            raise InvalidParameterError(
                "bagging=True needs n_members >= 2 and no X_val: each member validates on a fold "
                f"of the training rows. n_members={self.n_members}; give bagging='auto' to use "
                "X_val if it is given."
            )
        return self.bagging is not False and self.n_members > 1 and not has_validation

    def _splits(self, rows: Rows, bags: bool, has_validation: bool, rng) -> list[Split]:
        seed = int(rng.randint(2**31 - 1))
        if has_validation:
            return [Split()] * self.n_members
        return members.splits(
            len(rows.y),
            self.n_members,
            bags=bags,
            fraction=self.validation_fraction,
            seed=seed,
            stratify=self._stratify(rows.y),
            weight=rows.weight,
        )

    def _new_member(self, i: int, n_rows: int, is_sparse: bool, validates: bool, seed: int):
        """Return member i, a network for a number of rows that is not trained yet."""
        layers = recipe.layers_for(self, self.encoder_, i, self._is_classifier, is_sparse)
        n_epochs = recipe.n_epochs(self, n_rows)
        scoring = self._default_scoring if self.scoring is None else self.scoring
        n_smoothed = recipe.SMOOTHED_EPOCHS if n_epochs > recipe.SMOOTHED_EPOCHS else 1
        return self._member_class(
            layers=layers,
            alpha=0.0,
            solver="adamw",
            beta_2=recipe.BETA_2,
            learning_rate=CosineLog(recipe.CYCLES),
            learning_rate_init=recipe.learning_rate(self, self._is_classifier),
            learning_rate_multipliers=[1.0] * len(layers) + [recipe.output_rate(self)],
            weight_decay=recipe.weight_decay(self),
            batch_size=min(self.batch_size, n_rows),
            max_iter=n_epochs,
            n_iter_no_change=10**9,
            tol=0.0,
            early_stopping=validates,
            dtype=self.dtype,
            callbacks=self._callbacks_of_member(n_epochs) if validates else self.callbacks,
            verbose=self.verbose if self.n_members == 1 else False,
            random_state=seed,
            scoring=Smoothed(scoring, n_smoothed),
            **self._of_member(),
        )

    def _callbacks_of_member(self, n_epochs: int) -> list[Callback]:
        """Return the user's callbacks, and the one that ends training early."""
        callbacks = check_callbacks(self.callbacks)
        if n_epochs >= recipe.FEWEST_EPOCHS_TO_STOP:
            callbacks.append(members.StopInValley(recipe.CYCLES, n_epochs))
        return callbacks

    def _check_sources(self, X: Any, X_val: Any) -> None:
        """Raise for what can't be done with rows that are not in memory."""
        given = next((rows for rows in (X, X_val) if isinstance(rows, Source)), None)
        if given is not None and X_val is not None and is_named(self.refit, "full"):
            raise InvalidParameterError(
                "refit='full' trains on X and X_val as one table, which is not possible if one of "
                f"them is a {type(given).__name__}: leave X_val out, or set refit=None."
            )

    def _check_parameters(self) -> None:
        check_limits(self, _LIMITS)
        for name, choices in _CHOICES.items():
            value = getattr(self, name)
            if not any(value is c or (isinstance(c, str) and is_named(value, c)) for c in choices):
                raise InvalidParameterError(
                    f"{name}={value!r} is not allowed; choose from {list(choices)}."
                )
        for name in ("calibrate", "limit_predictions"):
            if not isinstance(getattr(self, name, True), (bool, np.bool_)):
                raise InvalidParameterError(
                    f"{name}={getattr(self, name)!r} is not allowed; give True or False."
                )
        check_verbose(self.verbose)
        check_number(self.dropout, Limit(0, 1, "[)"), "dropout")
        check_number(self.weight_decay, Limit(0), "weight_decay")
        recipe.numeric_embedding(self.numeric_embedding)
        check_callbacks(self.callbacks)

    # Use of a fitted model ------------------------------------------------------------------------

    def _outputs(self, X) -> list[np.ndarray]:
        """Return the outputs of every member."""
        self._check_is_fitted()
        A = X.transform(self.encoder_) if isinstance(X, Source) else self.encoder_.transform(X)
        return members.outputs(self.members_, A, self._output_of, self.n_jobs)

    def _validated(self, rows: Rows, given: Rows | None, split: list[Split]) -> Rows | None:
        """Return the rows on which all members were validated; None if there are none."""
        if given is not None:
            return given
        return None if split[0].validation is None else rows.take(split[0].validation)

    def _weigh_by_folds(self, rows: Rows, split: list[Split], errors: np.ndarray) -> np.ndarray:
        """Return the weight of each row times that of its member, given the squared errors.

        Sets: weights_.
        """
        weight = np.ones(len(errors)) if rows.weight is None else rows.weight
        of_folds, of_weights = ([a[s.validation] for s in split] for a in (errors, weight))
        kinds = recipe.kinds(self, len(split), rows.is_sparse)
        self.weights_ = weights.for_folds(of_folds, kinds, of_weights)
        of_rows = np.empty(len(errors))
        for share, own in zip(self.weights_, split, strict=True):
            of_rows[own.validation] = share * len(split)
        return of_rows * weight

    def _out_of_fold(self, rows: Rows, split: list[Split]) -> np.ndarray:
        """Return the output for each row of the member that validated on it."""
        first = self._output_of(self.members_[0], rows.X[:1])
        out = np.empty((len(rows.y), *first.shape[1:]))
        for member, own in zip(self.members_, split, strict=True):
            out[own.validation] = self._output_of(member, rows.X[own.validation])
        return out

    @property
    def n_iter_(self) -> int:
        """The largest number of epochs of a member."""
        return max(member.n_iter_ for member in self._fitted_members())

    @property
    def best_iters_(self) -> list[int | None]:
        """The best epoch of each member, by its validation rows."""
        return [member.best_iter_ for member in self._fitted_members()]

    @property
    def histories_(self) -> list[dict[str, list[float]]]:
        """The history of each member."""
        return [member.history_ for member in self._fitted_members()]

    def _fitted_members(self) -> list[Any]:
        self._check_is_fitted()
        return self.members_

    def explain(
        self,
        X: Any,
        y: Any,
        *,
        scoring: Any = None,
        n_repeats: int = 5,
        sample_weight: Any = None,
        max_samples: int | float = 1.0,
        n_jobs: int | None = None,
        random_state: Any = None,
    ) -> Any:
        """Return the importance of the columns: how far the score falls if one is permuted.

        It is `skdeep.inspection.column_importance` of this estimator, which describes the
        parameters in detail.

        Parameters
        ----------
        X : DataFrame, array-like or sparse matrix of shape (n_samples, n_features)
            Training rows, or rows that the estimator has not seen.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            The targets.
        scoring : str, callable, list, tuple, dict or None, default=None
            The score or the scores. None is `score`.
        n_repeats : int, default=5
            The number of permutations of each column.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            The weights of the rows in the score.
        max_samples : int or float, default=1.0
            The number of rows to draw, or their share.
        n_jobs : int or None, default=None
            The number of columns that are permuted at a time.
        random_state : int, RandomState instance or None, default=None
            Determines the permutations, and the rows that are drawn.

        Returns
        -------
        ColumnImportances, or dict of ColumnImportances
            Prints as a table that begins with the most important column. A dict by the names of
            the scores if there are several scores.
        """
        self._check_is_fitted()
        refuse_source(X, "explain", "take some rows: source.take(rows)")
        return column_importance(
            self,
            X,
            y,
            scoring=scoring,
            n_repeats=n_repeats,
            sample_weight=sample_weight,
            max_samples=max_samples,
            n_jobs=n_jobs,
            random_state=random_state,
        )

    def summary(self) -> Summary:
        """Return the layers of a member, their output shapes and numbers of parameters.

        Returns
        -------
        Summary
            Prints as a table, and renders as HTML in a notebook.
        """
        self._check_is_fitted()
        return Summary(self.members_[0].network_)

    def check_parts(self, check: Callable[[Any], None]) -> None:
        """Raise if parts that were read from a file do not belong together.

        `check` does this for a member.
        """
        if not isinstance(self.encoder_, TabularEncoder) or not self.members_:
            raise InvalidStateError("there is no encoder, or there are no members")
        for member in self.members_:
            if type(member) is not self._member_class:
                raise InvalidStateError(f"a member is a {type(member).__name__}")
            check(member)
        unknown = np.full((1, self.encoder_.n_features_in_), None, object)
        twin = copy.copy(self.encoder_)
        vars(twin).pop("feature_names_in_", None)
        vars(twin).pop("_sklearn_output_config", None)
        A = twin.transform(unknown)
        self._combined([self._output_of(member, A) for member in self.members_])

    def _html_repr(self) -> str:
        diagram = estimator_html_repr(self)
        if not self.__sklearn_is_fitted__():
            return diagram
        n = len(self.members_)
        return diagram + details(
            self.members_[0], f"The first of {n} members" if n > 1 else "Network"
        )

    def _check_is_fitted(self) -> None:
        check_is_fitted(self)

    def __sklearn_is_fitted__(self) -> bool:
        return "members_" in vars(self)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.sparse = True
        tags.input_tags.categorical = True
        tags.input_tags.string = True
        return tags


def _joined(rows: Rows, more: Rows) -> Rows:
    """Return all rows of two sets."""
    stack = sp.vstack if sp.issparse(rows.X) else np.concatenate
    weight = None
    if rows.weight is not None or more.weight is not None:
        ones = [np.ones(len(r.y)) if r.weight is None else r.weight for r in (rows, more)]
        weight = np.concatenate(ones)
    X = stack([rows.X, more.X])
    return Rows(X.tocsr() if sp.issparse(X) else X, np.concatenate([rows.y, more.y]), weight)
