"""How to fit: turns options, as programs and Python give them, into what a fit takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .errors import NablispError
from .expr import Expr, Sym, as_expr
from .options import in_range
from .printer import brief


@dataclass(frozen=True, slots=True)
class FitOptions:
    """How to fit; see `fit`."""

    sigma: tuple[Expr, ...] | None = None
    weights: tuple[Expr, ...] | None = None
    loss: str | None = None
    scale: float | None = None
    starts: int | None = None
    bounds: Mapping[str, tuple[float | None, float | None]] = field(default_factory=dict)
    fixed: frozenset[str] = frozenset()
    seconds: float | None = None
    threads: int | None = None


FIT_RANGES: dict[str, tuple[Callable[[float], bool], str]] = {
    "scale": (lambda v: 0 < v < np.inf, "a positive number"),
    "starts": (lambda v: 0 <= v <= 1e6 and v == int(v), "a whole number from 0 to 1,000,000"),
}
"""What the options that are numbers may be, beside those of `options.RANGES`."""


def weighing(values: Sequence[Any], count: int, name: str, columns: Any) -> tuple[Expr, ...] | None:
    """Deviations or weights as one formula for each of `count` responses.

    `values` are expressions, numbers or arrays: one for all, or one for each. An array of as many
    numbers as there are responses is one for each; of as many as there are rows, a column.
    """
    if len(values) == 1 and np.ndim(values[0]) == 1 and count == len(values[0]) > 1:
        values = list(values[0].tolist())
    found = []
    for k, value in enumerate(values):
        if not isinstance(value, Expr) and np.ndim(value):
            if np.shape(value) != (columns.rows,):
                raise NablispError(
                    "shape",
                    f":{name} has {len(value)} numbers; there are {columns.rows} rows and {count} "
                    f"response{'' if count == 1 else 's'}",
                )
            columns[f" {name} {k}"] = np.asarray(value, dtype=np.float64)
            value = Sym(f" {name} {k}")  # noqa: PLW2901  # the column stands for it from here on
        found.append(as_expr(value))
    return tuple(found * count if len(found) == 1 else found)


def bounds_of(bounds: Any) -> dict[str, tuple[float | None, float | None]]:
    """Bounds by name, as Python gives them; NablispError "type" for anything else."""
    found = {}
    if not isinstance(bounds, Mapping):
        raise NablispError("type", "bounds map names to (low, high)", hint='{"a": (0, None)}')
    for name, ends in bounds.items():
        pair = tuple(ends) if isinstance(ends, (tuple, list)) else ()
        numbers = all(e is None or isinstance(e, (int, float)) for e in pair)
        if len(pair) != 2 or not numbers:
            raise NablispError(
                "type", f"the bounds of {name} are (low, high), with None for no bound"
            )
        found[str(name)] = pair
    return found


def check_bounds(bounds: Mapping[str, tuple[float | None, float | None]]) -> None:
    """Refuse bounds that leave nothing between them."""
    for name, ends in bounds.items():
        low, high = ends
        if any(end is not None and np.isnan(end) for end in ends):
            raise NablispError("value", f"a bound of {name} is nan")
        if low is not None and high is not None and low > high:
            raise NablispError("value", f"the bounds of {name} are the wrong way round")


def in_fit_range(name: str, value: Any) -> Any:
    """The value of an option, or NablispError "value" that says what it may be."""
    if name not in FIT_RANGES:
        return in_range(name, value)
    fits, words = FIT_RANGES[name]
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not fits(value):
        raise NablispError("value", f":{name} must be {words}, not {brief(value)}")
    return int(value) if words.startswith("a whole") else float(value)
