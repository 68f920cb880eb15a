"""What the curvature of a loss says about learning rates: from its exact Hessian at a point."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, inf, isfinite, log
from typing import Any

import numpy as np

from . import data as table
from .columns import Columns
from .curvature import Matrix, Vector, lanczos, nature, rounding
from .errors import NablispError
from .evaluate import ROWS
from .expr import Call, Const, Expr, Num, Sym, asked, names, plain, postorder
from .limits import Budget
from .options import Options, check_loss, moving, several, starts_of
from .printer import columns_of
from .surface import DENSE, Surface, check_size, shapes_of
from .trouble import trouble

GOAL = 1e-10
"""Expected steps are those that reduce the excess of the loss over its lowest value to this."""
FLAT = 1e-12
"""The share of the highest curvature below which one is none."""
CAUTION = 0.5
"""The share of the advised rates that `:lr auto` takes where the loss is not quadratic."""


@dataclass(frozen=True, slots=True)
class Advice:
    """What the Hessian of a loss allows gradient descent, at one point.

    `lowest` and `highest` are its eigenvalues' ends, `scaled` those in units of one rate for each
    parameter, `rates` these rates: s / Hᵢᵢ, with s from the scaled ends so that they converge
    together (an array has one rate). `diagonal` is absent where the Hessian was too large to hold.
    """

    names: tuple[str, ...]
    labels: tuple[str, ...]
    lowest: float
    highest: float
    scaled: tuple[float, float]
    rates: dict[str, float]
    diagonal: Vector | None
    exact: bool
    """is the loss quadratic and are the ends its own, so that this holds everywhere?"""
    words: str
    """what the point is, where there is something to say"""
    settled: bool = True
    """are the ends known, or do they lie inside the true ones?"""

    @property
    def curves(self) -> bool:
        """Does the loss curve up in some direction, so that there is a largest rate?"""
        return self.highest > 0

    @property
    def limit(self) -> float:
        """The largest stable single rate, 2 / λmax."""
        return 2 / self.highest if self.highest > 0 else inf

    @property
    def single(self) -> float:
        """The single rate that converges fastest, 2 / (λmax + λmin)."""
        return _fastest(self.lowest, self.highest)

    @property
    def condition(self) -> float:
        """λmax / λmin; infinite where a direction is flat or falls."""
        if self.lowest <= FLAT * self.highest or self.highest <= 0:
            return inf
        return self.highest / self.lowest

    @property
    def steps(self) -> dict[str, float]:
        """Expected steps for each choice of rates."""
        low, high = self.scaled
        return {
            "one rate": _steps(self.single, self.lowest, self.highest),
            "one for each parameter": _steps(_fastest(low, high), low, high),
        }

    def parts(self) -> dict[str, Any]:
        """What `(get r :key)` finds, by key; a parameter's is its rate."""
        found: dict[str, Any] = {
            "limit": self.limit,
            "rate": self.single,
            "condition": self.condition,
            "rates": np.array(list(self.rates.values())),
            "steps": np.array(list(self.steps.values())),
            "exact": self.exact,
            "eigenvalues": np.array([self.lowest, self.highest]),
        }
        if self.diagonal is not None:
            found["diagonal"] = self.diagonal
        return found | {n: rate for n, rate in self.rates.items() if n not in found}

    @property
    def remarks(self) -> list[str]:
        """What a run that one rate does not suit should hear."""
        if not self.curves or self.condition <= 100 or len(self.names) < 2:
            return []
        what = self._condition
        return [
            f"one rate cannot suit all parameters (condition number {what}); try\n:lr {self.lr}"
        ]

    @property
    def _condition(self) -> str:
        if not isfinite(self.condition):
            return "infinite"
        return f"{'' if self.settled else 'at least '}{self.condition:.4g}"

    @property
    def lr(self) -> str:
        """The rates as `:lr` takes them."""
        return "(" + " ".join(f"({n} {r:.4g})" for n, r in self.rates.items()) + ")"

    @property
    def text(self) -> str:
        """The advice as a short table."""
        if self.exact:
            holds = "quadratic, so this is exact"
        elif self.settled:
            holds = "not quadratic: this holds nearby"
        else:
            holds = "too large for its curvature to be known to the end"
        lines = [f"advise: the loss is {holds}"]
        if not self.curves:
            how = "does not curve" if self.lowest == 0 else "curves down"
            return f"advise: the loss {how} here: no rate is too large, and none is best"
        lines += [f"  {line}" for line in columns_of(self._rows())]
        most = "" if self.settled else "at most "
        lines.append(f"  largest stable single rate {most}{self.limit:.9g}")
        lines.append(
            f"  condition number {self._condition}: "
            f"curvature {self.lowest:.4g} to {self.highest:.4g}{'' if self.settled else ' or more'}"
        )
        if self.words:
            lines.append(f"  {self.words}")
        rates = {"one rate": f" ({self.single:.4g})", "one for each parameter": ""}
        least = "" if self.settled else "at least "
        counts = [
            f"{least}{_count(steps)} with {how}{rates[how]}" for how, steps in self.steps.items()
        ]
        lines.append(f"  steps to {GOAL:g} of the excess: {', '.join(counts)}")
        return "\n".join(lines)

    def _rows(self) -> list[tuple[str, ...]]:
        """A line for each parameter; an array by its largest curvature."""
        rows: list[tuple[str, ...]] = [("", "curvature", "rate")]
        at = 0
        for name in self.names:
            own = [i for i in range(at, len(self.labels)) if _owner(self.labels[i]) == name]
            at += len(own)
            bend = "" if self.diagonal is None else f"{self.diagonal[own].max():.6g}"
            rows.append((name, bend, f"{self.rates[name]:.6g}"))
        return rows

    def __str__(self) -> str:
        return self.text


def _fastest(low: float, high: float) -> float:
    """The rate that shrinks the error most, for curvatures between two.

    Where the lowest is none, 2 / high would only turn the steepest error round: half of it ends it.
    """
    if high <= 0:
        return inf
    return 1 / high if abs(low) <= FLAT * high else 2 / (high + max(low, 0.0))


def _owner(label: str) -> str:
    return label.split("[", 1)[0]


def _count(steps: float) -> str:
    return f"{steps:,.0f}" if isfinite(steps) else "no end of them"


def _steps(rate: float, low: float, high: float) -> float:
    """Steps until the error has shrunk to the root of GOAL, at its slowest."""
    if low <= 0 or high <= 0 or not isfinite(rate):
        return inf
    shrinks = max(abs(1 - rate * low), abs(1 - rate * high))
    if shrinks >= 1:
        return inf
    return float(max(1, ceil(log(GOAL) / (2 * log(shrinks))))) if shrinks > 0 else 1.0


def advise(
    loss: Any,
    params: Mapping[str, Any],
    *,
    data: Any = None,
    wrt: Sequence[str] | None = None,
) -> Advice:
    """Learning rates for a loss at a point; the engine of `(advise loss)` without a session.

    >>> advise(loss, {"a": 0, "b": 0, "c": 0}, data={"x": xs}).rates

    `params` maps names to values (numbers or arrays), `data` names to columns. NablispError as
    `train` raises them, and "value" where the Hessian is not finite.
    """
    columns = Columns() if data is None else table.as_columns(data)
    return advised(asked(loss), starts_of(params), columns, Options(wrt=several(wrt, "wrt")))


def advised(
    loss: Expr,
    values: Mapping[str, Any],
    columns: Columns,
    options: Options,
    budget: Budget | None = None,
) -> Advice:
    """The advice at the values given; see `advise`."""
    found = moving(names(loss), values, options)
    check_loss(loss, shapes_of(values, columns), values, options)
    surface = Surface(
        loss,
        found,
        values,
        columns,
        rows=columns.rows,
        calls=1,
        backend=options.backend,
        threads=options.threads,
        budget=budget,
    )
    check_size([surface.loss, *surface.slopes], surface.shapes, surface.rows, surface.budget)
    surface.budget.begin()
    return advice_for(surface, surface.vector(values))


def advice_for(surface: Surface, x: Vector) -> Advice:
    """The advice at a point; NablispError "value" where loss or Hessian are not finite there."""
    advice = advice_at(surface, x) if np.isfinite(surface.at(x)[0]) else None
    if advice is not None:
        return advice
    env = {**surface.values(x), **surface.columns, ROWS: float(surface.rows)}
    found = trouble("here", [surface.loss, *surface.slopes], env)
    raise NablispError(
        "value",
        "the second derivatives of the loss are not finite here"
        if found is None
        else f"the loss or its derivatives are not finite {found[0]}",
        hint="give columns and parameters other units"
        if found is None
        else "leave such rows out, or give the parameters other starts: (params (a 1) (b 0.1))",
    )


def advice_at(surface: Surface, x: Vector, seconds: float = inf) -> Advice | None:
    """The advice at a point, or None where the Hessian is not finite.

    Above some hundred entries the ends of the Hessian are Lanczos', and the time may be limited.
    """
    facts = _of_whole(surface, x) if surface.dense else _of_products(surface, x, seconds)
    if facts is None:
        return None
    low, high, scaled, rates, diagonal, words, settled = facts
    return Advice(
        tuple(surface.moving),
        tuple(surface.labels) if surface.entries <= DENSE else (),
        low,
        high,
        scaled,
        rates,
        diagonal,
        settled and is_quadratic(surface.loss, surface.moving),
        words,
        settled,
    )


Facts = tuple[float, float, tuple[float, float], dict[str, float], Vector | None, str, bool]


def _of_whole(surface: Surface, x: Vector) -> Facts | None:
    matrix = surface.hessian(x)
    if not np.isfinite(matrix).all():
        return None
    values = np.linalg.eigvalsh(matrix)
    heights = {n: _height(matrix[span, span]) for n, span in surface.spans.items()}
    scale = _scale(surface, heights, lambda: np.abs(matrix).sum(axis=1))
    unit = 2.0 ** np.floor(np.log2(scale.max()))  # exact, and no product overflows
    products = np.maximum(np.outer(scale / unit, scale / unit), np.finfo(float).tiny)
    scaled = np.linalg.eigvalsh(matrix / unit / np.sqrt(products))
    ends = float(scaled[0]), float(scaled[-1])
    what = nature(matrix, surface.labels)
    words = {"saddle": f"the loss curves down along {what.along}", "minimum": ""}
    low = 0.0 if abs(values[0]) <= rounding(np.asarray(values)) else float(values[0])
    return (
        low,
        float(values[-1]),
        ends,
        _rates(surface, scale, ends),
        np.diag(matrix).copy(),
        words.get(what.kind, what.words),
        True,
    )


def _height(block: Matrix) -> float:
    """The largest curvature of one parameter."""
    return float(block[0, 0] if len(block) == 1 else np.linalg.eigvalsh(block)[-1])


def _of_products(surface: Surface, x: Vector, seconds: float) -> Facts | None:
    def along(v: Vector) -> Vector:
        return surface.product(x, v)

    if not np.isfinite(along(np.ones(surface.entries))).all():
        return None
    share = seconds / (len(surface.moving) + 2)
    whole = lanczos(along, surface.entries, seconds=share)
    heights = {}
    for name, span in surface.spans.items():

        def part(v: Vector, span: slice = span) -> Vector:
            full = np.zeros(surface.entries)
            full[span] = v
            return along(full)[span]

        heights[name] = lanczos(part, span.stop - span.start, seconds=share).high
    largest = max(abs(whole.low), abs(whole.high))
    scale = _scale(surface, heights, lambda: np.full(surface.entries, largest))
    root = np.sqrt(scale)
    ends = lanczos(lambda v: along(v / root) / root, surface.entries, seconds=share)
    inside = ends.low, ends.high
    words = f"by Lanczos' method on {surface.entries:,} entries"
    if whole.low < -1e-9 * largest:
        words += "; the loss curves down in some direction"
    if not (settled := whole.settled and ends.settled):
        words += f", the ends as far as {whole.products} products see"
    return whole.low, whole.high, inside, _rates(surface, scale, inside), None, words, settled


def _scale(surface: Surface, heights: Mapping[str, float], instead: Callable[[], Vector]) -> Vector:
    """The curvature of each entry's parameter, or `instead` where one does not curve up."""
    if min(heights.values()) > 0:
        return np.concatenate(
            [np.full(span.stop - span.start, heights[n]) for n, span in surface.spans.items()]
        )
    found = instead()
    for span in surface.spans.values():
        found[span] = found[span].max()
    return np.where(found > 0, found, found.max() or 1.0)


def _rates(surface: Surface, scale: Vector, ends: tuple[float, float]) -> dict[str, float]:
    """The fastest rates that converge, in proportion to 1 / `scale`."""
    low, high = ends
    share = _fastest(low, max(abs(low), abs(high)))
    return {n: float(share / scale[span.start]) for n, span in surface.spans.items()}


# ---- is it quadratic? ----------------------------------------------------------------------------

_LINEAR = {"+", "-", "neg", "sum", "mean", "stack", "concat", "ref", "transpose", "expand", "pick"}
_PRODUCTS = {"*", "@", "dot"}


def degree(root: Expr, moving: Sequence[str]) -> float:
    """The degree of a formula as a polynomial of some names; `inf` where it is none."""
    found: dict[Expr, float] = {}
    wanted = set(moving)
    for node in postorder(root):
        if not isinstance(node, Call):
            found[node] = float(isinstance(node, Sym) and node.name in wanted)
            continue
        of = [found[arg] for arg in node.args]
        name = node.op.name
        if not any(of):
            found[node] = 0.0
        elif name in _LINEAR:
            found[node] = max(of)
        elif name in _PRODUCTS:
            found[node] = sum(of)
        elif name == "/" and not of[1]:
            found[node] = of[0]
        elif name == "**" and isinstance(node.args[1], (Num, Const)):
            found[node] = _power(of[0], plain(node.args[1]))
        elif name == "where" and not of[0]:
            found[node] = max(of[1:])
        else:
            found[node] = inf
    return found[root]


def _power(degree: float, exponent: Any) -> float:
    whole = np.ndim(exponent) == 0 and exponent >= 0 and exponent == int(exponent)
    return degree * float(exponent) if whole else inf


def is_quadratic(loss: Expr, moving: Sequence[str]) -> bool:
    """Do the third derivatives vanish, by the form of the loss?"""
    return degree(loss, moving) <= 2
