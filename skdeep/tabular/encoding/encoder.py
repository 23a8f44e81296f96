"""TabularEncoder: a table of numbers and categories becomes a matrix of numbers."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from skdeep._component import (
    InvalidParameterError,
    Limit,
    check_feature_names_in,
    check_limits,
    is_named,
    named_parameters,
    store_parameters,
    warn_user,
)
from skdeep._documentation import Documented
from skdeep.data.training_data import checked_weight
from skdeep.tabular.encoding.categories import CategoryColumn, Selection, as_array, fit_category
from skdeep.tabular.encoding.few_rows import FEW, RowEncoder
from skdeep.tabular.encoding.passes import Passes
from skdeep.tabular.encoding.scaling import (
    ColumnScale,
    Scaling,
    Weights,
    scale_of_column,
    scales_of_sparse,
)
from skdeep.tabular.encoding.tables import Table, read_table

_LIMITS = {
    "max_one_hot": Limit(0, integer=True, special=(None,)),
    "clip": Limit(0, closed="()", special=(None,)),
}
_CHOICES: dict[str, tuple] = {
    "scale": ("robust", "standard", None),
    "missing_indicator": (True, False),
    "sparse_output": ("auto", True, False),
    "dtype": ("float32", "float64"),
}
# The attributes that fit learns. After partial_fit they are computed when they are needed.
_LEARNED = frozenset(
    (
        *("numeric_columns_", "code_columns_", "n_codes_", "categories_", "blocks_"),
        *("n_features_out_", "_scaling", "_categories", "_indicators", "_has_many_zeros"),
        *("_library", "_names", "_dtype", "_sparse_output", "_is_fitted_to_sparse"),
        "_row_encoder",
    )
)
# "auto" gives a sparse output for more one-hot columns than this, of which few are not 0.
_MANY_COLUMNS, _FEW_NONZERO = 1000, 0.1


class TabularEncoder(TransformerMixin, Documented, BaseEstimator):
    """Turn a table into a matrix of numbers that a network can learn from.

    Numbers are scaled by their quartiles, and far values are pulled in smoothly. A missing number
    becomes the median. A column with few categories becomes 0/1 columns. A column with many
    becomes one column of integer codes, for an embedding.

    Parameters
    ----------
    categorical_features : "from_dtype", None, or sequence of str, int or bool, \
            default="from_dtype"
        The columns that hold categories: their names, their positions, or one boolean for each
        column. "from_dtype" takes the columns of strings, and those of the dtypes category
        (pandas), Categorical and Enum (polars). A column of Python objects counts by its content:
        it is one of categories if it holds strings. None takes no column. Numbers are the same
        category if they are equal: 1 and 1.0.
    max_one_hot : int or None, default=8
        The number of categories up to which a column becomes 0/1 columns. A column with exactly
        two categories becomes one column of -1 and 1. With more categories than max_one_hot, a
        column becomes one column of codes. None stands for no bound. 0 gives codes always.
    scale : {"robust", "standard", None}, default="robust"
        "robust" is (x - median) / (q75 - q25). If the quartiles are equal, half the range takes
        the place of their difference. "standard" is (x - mean) / (standard deviation). A constant
        column becomes 0. 0/1 columns are scaled in the same way. None leaves numbers and 0/1
        columns as they are, without a clip.
    clip : float or None, default=3.0
        The bound c of the smooth clip z / sqrt(1 + (z / c)^2) after the scale. None stands for no
        clip.
    missing_indicator : bool, default=True
        Whether each column of numbers that has missing values in fit gets a 0/1 column that marks
        them.
    sparse_output : {"auto", True, False}, default="auto"
        Whether the output is a CSR matrix. "auto" gives one if X is sparse. It also does so if
        there are more than 1,000 one-hot columns, of which less than a tenth are not 0. In a
        sparse output, one-hot columns are divided by their spread, and not centered, so that
        zeros stay zeros. False turns a sparse X into a dense output.
    dtype : {"float32", "float64"}, default="float32"
        The dtype of the output. All computations are in float64.

    Attributes
    ----------
    n_features_in_ : int
        The number of columns of X.
    feature_names_in_ : ndarray of str
        The names of the columns of X, if all are strings.
    n_features_out_ : int
        The number of columns of the output.
    numeric_columns_ : list of int
        The positions in X of the columns of numbers.
    code_columns_ : list of int
        The positions in X of the columns that become codes.
    n_codes_ : list of int
        For each column of codes, the number of categories plus 1.
    categories_ : dict of int to ndarray
        For each column of categories, by its position in X, the categories of the training rows.
        They are sorted if they can be sorted, and otherwise in the order of their appearance.
    blocks_ : dict of str to slice
        The columns of the output that hold numbers ("numeric"), indicators of missing values
        ("missing"), pairs and 0/1 columns ("one_hot"), and codes ("codes"), in this order.

    Notes
    -----
    Missing values are NaN, None, pandas' NA and polars' null. A missing or unknown category is 0 in
    a pair, 0 in all 0/1 columns before they are scaled, and the code 0. The codes of the categories
    are 1 to K. A category that no training row has is unknown, even if the dtype lists it.

    A column in which everything is missing becomes 0, with a warning.

    A sparse X holds numbers only. Its columns are divided by their spread, and not centered, so
    that zeros stay zeros. A missing value becomes 0, without an indicator.

    A row that has the sample weight 0 is left out of fit. Any other integer weight acts as a
    repetition of the row.

    Examples
    --------
    >>> import numpy as np
    >>> from skdeep import TabularEncoder
    >>> X = np.array([[1.0, "a"], [2.0, "b"], [3.0, "b"]], dtype=object)
    >>> encoder = TabularEncoder(clip=None).fit(X)
    >>> encoder.transform(X)
    array([[-1., -1.],
           [ 0.,  1.],
           [ 1.,  1.]], dtype=float32)
    >>> encoder.get_feature_names_out()
    array(['x0', 'x1_b'], dtype=object)
    """

    @named_parameters
    def __init__(
        self,
        *,
        categorical_features="from_dtype",
        max_one_hot=8,
        scale="robust",
        clip=3.0,
        missing_indicator=True,
        sparse_output="auto",
        dtype="float32",
    ):
        store_parameters(self, locals())

    def fit(self, X, y=None, sample_weight=None):
        """Learn the scales and the categories.

        Parameters
        ----------
        X : DataFrame, array-like or sparse matrix of shape (n_samples, n_features)
            The training rows.
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.

        Returns
        -------
        TabularEncoder
            The encoder itself. After an error it is as it was before.
        """
        before = dict(vars(self))
        try:
            self._fit(X, sample_weight)
        except BaseException:
            vars(self).clear()
            vars(self).update(before)
            raise
        return self

    def partial_fit(self, X, y=None, sample_weight=None):
        """Learn from a chunk of the rows, and keep what the chunks before have told.

        Call it for one chunk after the other, of any sizes. After the last one, the encoder is that
        of `fit` with all rows, if they fit into a sample of up to 100,000 rows and 64 MiB. With
        more rows, the quartiles and medians of "robust" are those of this sample, which is drawn
        uniformly and does not depend on the sizes of the chunks. All else is exact. After `fit`, it
        starts again, with a warning.

        A column may have other dtypes of numbers in other chunks, or other lists of categories.
        Numbers in one chunk and strings in another one are an error. Where everything is missing in
        a chunk, the others decide.

        Parameters
        ----------
        X : DataFrame, array-like or sparse matrix of shape (n_samples, n_features)
            The next rows. A chunk without rows changes nothing.
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.

        Returns
        -------
        TabularEncoder
            The encoder itself. After an error it is as it was before.
        """
        before = dict(vars(self))
        try:
            self._partial_fit(X, sample_weight)
        except BaseException:
            vars(self).clear()
            vars(self).update(before)
            raise
        return self

    def transform(self, X):
        """Encode rows.

        Parameters
        ----------
        X : DataFrame, array-like or sparse matrix of shape (n_samples, n_features)
            The rows, with the columns of fit.

        Returns
        -------
        ndarray or CSR matrix of shape (n_samples, `n_features_out_`)
            The encoded rows.
        """
        check_is_fitted(self)
        table = read_table(X, self)
        fitted_names = getattr(self, "feature_names_in_", None)
        if table.names is None or fitted_names is None or table.names != fitted_names.tolist():
            # scikit-learn's checks take longer than to encode a row: only for its messages
            validate_data(self, table.X, reset=False, skip_check_array=True)
        if self.gives_sparse(table.is_sparse):
            return self._encode_sparse(table)
        is_fast = self._categories or table.names is not None
        if table.shape[0] <= FEW and is_fast and (rows := table.rows()) is not None:
            out = self._row_encoder.encode(rows)
            if out is not None:
                return out
        out = np.empty((table.shape[0], self.n_features_out_), self._dtype)
        self._encode_numbers(table, out)
        for category in self._categories:
            category.write(self._find(category, table), out)
        return out

    def inverse_transform(self, X):
        """Return the table that was encoded.

        A missing number is NaN if its column has an indicator. Otherwise it is the median. A
        missing or unknown category is None. Numbers far outside the training rows' range, which
        the clip brings close together, are approximate.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, `n_features_out_`)
            Encoded rows.

        Returns
        -------
        DataFrame, ndarray or CSR matrix of shape (n_samples, `n_features_in_`)
            A DataFrame if X was one in fit. Otherwise an array: of float64 without categories, of
            objects with them. A sparse X gives a CSR matrix if X was sparse in fit.
        """
        check_is_fitted(self)
        X = check_array(X, accept_sparse="csr", dtype=["float64", "float32"], estimator=self)
        if X.shape[1] != self.n_features_out_:
            raise ValueError(
                f"X has {X.shape[1]} columns, but {type(self).__name__} gives "
                f"{self.n_features_out_}; give an output of transform."
            )
        epsilon = float(np.finfo(self._dtype).eps)
        if sp.issparse(X):
            if self._is_fitted_to_sparse:
                return self._invert_sparse(X, epsilon)
            X = X.toarray()
        numbers = self._scaling.invert(X[:, self.blocks_["numeric"]], epsilon)
        marks = X[:, self.blocks_["missing"]] > 0.5
        numbers[:, self._indicators] = np.where(marks, np.nan, numbers[:, self._indicators])
        columns = dict(zip(self.numeric_columns_, numbers.T, strict=True))
        columns |= {c.position: c.invert(X) for c in self._categories}
        return self._as_table(columns, X.shape[0])

    def get_feature_names_out(self, input_features=None):
        """Return the names of the columns of the output.

        A column of numbers and a column of codes keep the name of the column in X. An indicator is
        "age_missing". A 0/1 column has the name of its category: "city_Paris". So does a pair, by
        the category that is 1: "sex_male". If a name is there already, a number is added to it.

        Parameters
        ----------
        input_features : array-like of str, default=None
            The names of the columns of X. By default those of fit, or "x0", "x1", ...

        Returns
        -------
        ndarray of str
            The names.
        """
        check_is_fitted(self)
        given = check_feature_names_in(self, input_features)
        numeric = [given[j] for j in self.numeric_columns_]
        names = [*numeric, *(f"{numeric[i]}_missing" for i in self._indicators)]
        for category in self._categories:
            names += category.names(given[category.position])
        return np.array(_made_unique(names), dtype=object)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.sparse = True
        tags.input_tags.categorical = True
        tags.transformer_tags.preserves_dtype = [str(self.dtype)]
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        passes = vars(self).get("_passes")
        return "_scaling" in vars(self) or (passes is not None and passes.n_rows > 0)

    def _fit(self, X: Any, sample_weight: Any) -> None:
        """Do the work of fit."""
        _check_parameters(self)
        table = read_table(X, self)
        validate_data(self, table.X, reset=True, skip_check_array=True)
        weights = Weights(table.shape[0], checked_weight(sample_weight, table.X))
        vars(self).pop("_passes", None)
        if table.is_sparse:
            scales, categories = self._fit_sparse(table, weights), []
            numeric = list(range(table.shape[1]))
        else:
            numeric, scales, categories = self._fit_columns(table, weights)
        self._set_learned(table, numeric, scales, categories, weights)

    def _set_learned(
        self,
        table: Table | Passes,
        numeric: list[int],
        scales: list[ColumnScale],
        categories: list[CategoryColumn],
        weights: Weights,
    ) -> None:
        """Set the attributes of `_LEARNED`."""
        self._library, self._names = table.library, table.names
        self._dtype, self._sparse_output = self.dtype, self.sparse_output
        self._is_fitted_to_sparse = table.is_sparse
        self.numeric_columns_ = numeric
        clip = None if self.scale is None or self.clip is None else float(self.clip)
        self._scaling = Scaling(scales, clip)
        self._lay_out(categories, weights)
        self._warn_of_empty_columns(table)

    def of_chunk(self, X: Any, sample_weight: Any, first: int) -> TabularEncoder:
        """Return a new encoder that has learned from one chunk, for `merge`.

        `first` is the number of the rows before it that count.
        """
        encoder = clone(self)
        encoder._partial_fit(X, sample_weight, first)
        return encoder

    def merge(self, other: TabularEncoder) -> None:
        """Learn what another encoder, which is used up, has learned from the chunks after these."""
        if "_passes" not in vars(other):
            return
        if "_passes" not in vars(self):
            vars(self).update(vars(other))
            return
        self._passes.merge(other._passes)
        self._drop_learned()

    def _partial_fit(self, X: Any, sample_weight: Any, first: int = 0) -> None:
        """Do the work of partial_fit."""
        _check_parameters(self)
        passes = vars(self).get("_passes")
        was_fitted = passes is None and "_scaling" in vars(self)
        is_first = was_fitted or "n_features_in_" not in vars(self)
        if 0 in getattr(X, "shape", ())[:1]:
            validate_data(self, X, reset=is_first, skip_check_array=True)
            return
        table = read_table(X, self)
        validate_data(self, table.X, reset=is_first, skip_check_array=True)
        weights = Weights(table.shape[0], _weight_of_chunk(sample_weight, table.X))
        selection = self._selection(table)
        passes = Passes(table, selection, first) if passes is None else passes
        passes.check(Passes(table, selection))
        try:
            passes.add(table, weights, selection)
        except FloatingPointError as error:
            self._refuse_infinity(table, error.args[0])
        if was_fitted:
            warn_user(
                "partial_fit starts again: fit, and files, keep no rows that it could continue "
                "with. Give all rows to partial_fit, chunk by chunk."
            )
        self._drop_learned()
        passes.parameters = self.get_params(deep=False)
        self._passes = passes

    def _drop_learned(self) -> None:
        """Remove attributes that have to be computed again."""
        for name in _LEARNED & vars(self).keys():
            delattr(self, name)

    def __getattr__(self, name: str) -> Any:
        if name in _LEARNED and "_passes" in vars(self):
            self._finish()
            return vars(self)[name]
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def _finish(self) -> None:
        """Compute the attributes of `_LEARNED` from the chunks, with the parameters given then."""
        passes = self._passes
        if not passes.n_rows:
            raise ValueError("Sample weights must contain at least one non-zero number.")
        twin = clone(self).set_params(**passes.parameters)
        is_from_dtype = is_named(twin.categorical_features, "from_dtype")
        twin._set_learned(passes, *passes.fitted(twin.scale, twin.max_one_hot, is_from_dtype))
        # at once, as threads may share an encoder
        vars(self).update({name: vars(twin)[name] for name in _LEARNED})

    def forget_rows(self) -> None:
        """Drop the sample of rows that `partial_fit` would continue with."""
        if "_passes" in vars(self):
            self._finish()
            del self._passes

    def whole_state(self) -> dict[str, Any]:
        """Return the state for a file: all that is learned, without the chunks' state."""
        if "_passes" in vars(self):
            self._finish()
        return {k: v for k, v in self.__getstate__().items() if k != "_passes"}

    def _fit_sparse(self, table: Table, weights: Weights) -> list[ColumnScale]:
        """Return the scales of a sparse matrix's columns."""
        self._selection(table)
        X = weights.take(table.X).tocsc()
        data = X.data.astype(np.float64)
        is_infinite = np.isinf(data)
        if is_infinite.any():
            columns = np.repeat(np.arange(X.shape[1]), np.diff(X.indptr))
            self._refuse_infinity(table, int(columns[is_infinite.argmax()]))
        X = type(X)((data, X.indices, X.indptr), shape=X.shape)
        return scales_of_sparse(X, weights, self.scale)

    def _selection(self, table: Table) -> Selection:
        """Return the columns of categories that the parameter names."""
        selection = Selection(self.categorical_features, table)
        if table.is_sparse and selection.positions:
            raise InvalidParameterError(
                f"categorical_features={self.categorical_features!r} is not allowed for a sparse "
                'X, which holds numbers only; give "from_dtype", None, or a dense X.'
            )
        return selection

    def _fit_columns(
        self, table: Table, weights: Weights
    ) -> tuple[list[int], list[ColumnScale], list[CategoryColumn]]:
        """Return the columns of numbers, their scales, and the columns of categories."""
        selection = self._selection(table)
        numeric, scales, categories = [], [], []
        for j in range(table.shape[1]):
            column = table.column(j)
            if selection.has(j, column, table.label(j)):
                categories.append(fit_category(j, column, weights, self.max_one_hot))
                continue
            numeric.append(j)
            try:
                scales.append(scale_of_column(column.numbers(), weights, self.scale))
            except FloatingPointError:
                self._refuse_infinity(table, j)
        return numeric, scales, categories

    def _lay_out(self, categories: list[CategoryColumn], weights: Weights) -> None:
        """Give every column its place in the output: codes come last."""
        has_indicator = self._scaling.has_missing & bool(self.missing_indicator)
        self._indicators = np.flatnonzero(has_indicator)
        categories.sort(key=lambda c: (c.layout == "codes", c.position))
        n_numeric = len(self.numeric_columns_)
        start = first = n_numeric + len(self._indicators)
        for c in categories:
            c.start, start = start, start + c.width
        coded = [c for c in categories if c.layout == "codes"]
        first_code = start - len(coded)
        self._categories = categories
        self.n_features_out_ = start
        self.code_columns_ = [c.position for c in coded]
        self.n_codes_ = [len(c.categories) + 1 for c in coded]
        self.categories_ = {c.position: as_array(c) for c in categories}
        self.blocks_ = {
            "numeric": slice(0, n_numeric),
            "missing": slice(n_numeric, first),
            "one_hot": slice(first, first_code),
            "codes": slice(first_code, start),
        }
        self._has_many_zeros = _has_many_zeros(categories, weights.total)
        is_sparse = self._has_many_zeros if self.sparse_output == "auto" else self.sparse_output
        for c in categories:
            c.scale(weights, self.scale, self._scaling.clip, centered=not is_sparse)
        self._prepare_few_rows()

    def _prepare_few_rows(self) -> None:
        """Set: _row_encoder, which repeats numbers of other attributes, and is not kept."""
        self._row_encoder = RowEncoder(
            self._scaling, self.numeric_columns_, self._indicators, self._categories, self._dtype
        )

    def __getstate__(self):
        return {k: v for k, v in super().__getstate__().items() if k != "_row_encoder"}

    def __setstate__(self, state):
        super().__setstate__(state)
        if "_scaling" in vars(self):
            self._prepare_few_rows()

    def _warn_of_empty_columns(self, table: Table | Passes) -> None:
        """Warn of columns in which everything is missing."""
        empty = np.isnan(self._scaling.median)
        positions = [j for j, e in zip(self.numeric_columns_, empty, strict=True) if e]
        positions += [c.position for c in self._categories if not c.categories]
        if positions:
            noun = "values are" if len(positions) == 1 else "values of each are"
            labels = ", ".join(table.label(j) for j in sorted(positions)[:10])
            warn_user(
                f"All {noun} missing in {labels} of X. What is missing everywhere becomes 0; "
                "remove it if this is not what you want."
            )

    def gives_sparse(self, is_sparse: bool) -> bool:
        """Whether the output is a CSR matrix, given whether X is one."""
        if is_named(self._sparse_output, "auto"):
            return self._has_many_zeros or (is_sparse and self._is_fitted_to_sparse)
        return bool(self._sparse_output)

    def _find(self, category: CategoryColumn, table: Table) -> np.ndarray:
        j = category.position
        return category.find(table.column(j), table.label(j))

    def _encode_numbers(self, table: Table, out: np.ndarray) -> None:
        """Write the columns of numbers, and the indicators of what is missing among them."""
        n_numeric, indicators = len(self.numeric_columns_), self._indicators
        for rows, columns, block in table.number_blocks(self.numeric_columns_):
            self._check_finite(np.isinf(block), table, columns.start)
            missing = self._scaling.apply(block, columns)
            if self._scaling.clip is None:
                too_large = np.abs(block) > np.finfo(self._dtype).max
                self._check_finite(too_large, table, columns.start)
            out[rows, columns] = block
            first, last = np.searchsorted(indicators, [columns.start, columns.stop])
            chosen = indicators[first:last] - columns.start
            out[rows, n_numeric + first : n_numeric + last] = missing[:, chosen]

    def _encode_sparse(self, table: Table) -> sp.csr_matrix:
        """Return the output as a CSR matrix."""
        if table.is_sparse and self._is_fitted_to_sparse:
            X = table.X
            data = X.data.astype(np.float64)
            is_infinite = np.isinf(data)
            if is_infinite.any():
                self._refuse_infinity(table, int(X.indices[is_infinite.argmax()]))
            self._scaling.apply_sparse(data, X.indices)
            new = (data.astype(self._dtype), X.indices.copy(), X.indptr.copy())
            return type(X)(new, shape=X.shape)
        head = np.empty((table.shape[0], self.blocks_["missing"].stop), self._dtype)
        self._encode_numbers(table, head)
        parts = [c.sparse_columns(self._find(c, table), self._dtype) for c in self._categories]
        return sp.hstack([sp.csr_matrix(head), *parts], format="csr", dtype=self._dtype)

    def _invert_sparse(self, X: Any, epsilon: float) -> Any:
        """Return the CSR matrix that was encoded: each entry is one of its column alone."""
        data = self._scaling.invert_sparse(X.data, X.indices, epsilon)
        return type(X)((data, X.indices.copy(), X.indptr.copy()), shape=X.shape)

    def _as_table(self, columns: dict, n_rows: int) -> Any:
        """Return columns in the kind of table that fit was given."""
        positions = range(self.n_features_in_)
        if self._library is not None:
            frame = importlib.import_module(self._library).DataFrame
            values = [columns[j] for j in positions]
            plain = [v.tolist() if v.dtype == object else v for v in values]
            return frame(dict(zip(self._names, plain, strict=True)))
        table = np.empty((n_rows, len(positions)), object if self._categories else np.float64)
        for j in positions:
            table[:, j] = columns[j]
        return table

    def _check_finite(self, is_infinite: np.ndarray, table: Table, first: int) -> None:
        if is_infinite.any():
            column = first + int(is_infinite.any(axis=0).argmax())
            self._refuse_infinity(table, self.numeric_columns_[column])

    def _refuse_infinity(self, table: Table, j: int) -> None:
        raise ValueError(
            f"Input X contains infinity or a value too large for dtype({self.dtype!r}). It is "
            f"in {table.label(j)}."
        )


def _check_parameters(encoder: TabularEncoder) -> None:
    """Raise for a parameter that is not allowed."""
    name = type(encoder).__name__
    check_limits(encoder, _LIMITS, f"{name} ")
    for parameter, choices in _CHOICES.items():
        value = getattr(encoder, parameter)
        value = value.item() if isinstance(value, np.generic) else value
        if not any(value is c or (isinstance(c, str) and is_named(value, c)) for c in choices):
            raise InvalidParameterError(
                f"{name} {parameter}={value!r} is not allowed; choose from {list(choices)}."
            )


def _weight_of_chunk(sample_weight: Any, X: Any) -> np.ndarray | None:
    """Return the weights of a chunk's rows in float64, validated. All of them may be 0."""
    if sample_weight is None or np.any(sample_weight):
        return checked_weight(sample_weight, X)
    return 0 * checked_weight(np.ones_like(sample_weight), X)


def _has_many_zeros(categories: Sequence[CategoryColumn], total_weight: float) -> bool:
    """Whether there are so many 0/1 columns, and so few ones, that a sparse matrix is better."""
    hot = [c for c in categories if c.layout == "one_hot"]
    n_hot = sum(c.width for c in hot)
    n_ones = sum(float(c.counts.sum()) for c in hot)
    return n_hot > _MANY_COLUMNS and n_ones < _FEW_NONZERO * n_hot * total_weight


def _made_unique(names: Sequence[str]) -> list[str]:
    """Return names, of which all but the first of equal ones get a number."""
    taken: set[str] = set()
    unique = []
    for name in names:
        new, count = name, 1
        while new in taken:
            count += 1
            new = f"{name}_{count}"
        taken.add(new)
        unique.append(new)
    return unique
