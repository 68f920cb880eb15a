"""For scikit-learn: turns a formula into a regressor that pipelines and searches can use.

It needs the extra `sklearn`, and nothing else in the package imports it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from . import parse
from .certificate import FitResult
from .errors import nearest
from .expr import Expr, as_expr, names
from .fitter import fit

try:
    from sklearn.base import BaseEstimator, RegressorMixin
    from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data
except ImportError as why:
    raise ImportError('nablisp.sklearn needs scikit-learn: pip install "nablisp[sklearn]"') from why


class NablispRegressor(RegressorMixin, BaseEstimator):  # type: ignore[misc]  # sklearn has no types
    """Least squares of any formula, by `nablisp.fit`.

    `formula` is text, or an Expr, of features and parameters; without one it is a weight for each
    feature and a constant, `(+ (* w0 x0) (* w1 x1) b)`. Features are the columns of a data frame by
    their names, and those of anything by `x0`, `x1`, …; all other names are parameters. `start`
    maps parameters to where to begin (1, or the nearest bound, where it says nothing), `bounds`
    maps them to `(low, high)` with None for no bound; `loss` and `starts` are those of `fit`.

    Once fitted there are `params_` and `se_` (estimates by name, and standard errors, or None where
    there are none), `result_` (the certificate of `fit`), `formula_`, `n_features_in_` and, after
    a data frame, `feature_names_in_`.

    >>> NablispRegressor("(* a (exp (* k x0)))", start={"k": -1}).fit(X, y).params_
    """

    def __init__(
        self,
        formula: str | Expr | None = None,
        *,
        start: Mapping[str, float] | None = None,
        bounds: Mapping[str, tuple[float | None, float | None]] | None = None,
        loss: Any = None,
        starts: int | None = None,
    ) -> None:
        self.formula = formula
        self.start = start
        self.bounds = bounds
        self.loss = loss
        self.starts = starts

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.regressor_tags.poor_score = self.formula is not None  # it need not suit the data
        return tags

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> NablispRegressor:  # noqa: N803
        """Fit to samples [n, features] and targets [n]; a row of weight 2 counts like two."""
        rows, target = validate_data(self, X, y, dtype=np.float64, y_numeric=True)
        weights = None
        if sample_weight is not None:
            weights = _check_sample_weight(sample_weight, rows, ensure_non_negative=True)
            kept = weights > 0
            rows, target, weights = rows[kept], target[kept], weights[kept]
        self._model = self._expression()
        self._places = self._features()
        start = self._start()
        observed = "y"
        while observed in names(self._model):
            observed += "_"
        self.formula_ = str(self._model)
        self.result_: FitResult = fit(
            observed,
            self._model,
            start,
            data={**self._columns(rows), observed: target},
            weights=weights,
            loss=self.loss,
            bounds=self.bounds,
            starts=self.starts,
        )
        self.params_ = self.result_.params
        self.se_ = self.result_.se
        return self

    def predict(self, X: Any) -> np.ndarray[Any, Any]:  # noqa: N803
        """The formula at each sample [n]."""
        check_is_fitted(self)
        rows = validate_data(self, X, dtype=np.float64, reset=False)
        found = self.result_.predict(self._columns(rows)).value
        return np.broadcast_to(np.asarray(found, dtype=np.float64), len(rows)).copy()

    def _expression(self) -> Expr:
        if self.formula is None:
            terms = " ".join(f"(* w{i} x{i})" for i in range(self.n_features_in_))
            return as_expr(parse(f"(+ {terms} b)"))
        return as_expr(parse(self.formula) if isinstance(self.formula, str) else self.formula)

    def _features(self) -> dict[str, int]:
        """The features that the formula names, and their places in a row."""
        count = self.n_features_in_
        known = {f"x{i}": i for i in range(count)}
        if self.formula is not None:
            known |= {name: i for i, name in enumerate(getattr(self, "feature_names_in_", ()))}
        for name in names(self._model):
            if name not in known and re.fullmatch(r"x\d+", name):
                raise ValueError(
                    f"{name} stands for a feature, and X has {count}: x0 to x{count - 1}"
                )
        return {name: known[name] for name in names(self._model) if name in known}

    def _start(self) -> dict[str, float]:
        """Where each parameter begins."""
        parameters = [name for name in names(self._model) if name not in self._places]
        for name in (*(self.start or {}), *(self.bounds or {})):
            if name not in parameters:
                close = nearest(name, parameters)
                cure = f": did you mean {close}?" if close else ""
                raise ValueError(f"{name} is no parameter of {self._model}{cure}")
        start = {}
        for name in parameters:
            low, high = (self.bounds or {}).get(name, (None, None))
            one = min(max(1.0, -np.inf if low is None else low), np.inf if high is None else high)
            start[name] = (self.start or {}).get(name, one)
        return start

    def _columns(self, rows: np.ndarray[Any, Any]) -> dict[str, np.ndarray[Any, Any]]:
        return {name: rows[:, place] for name, place in self._places.items()}
