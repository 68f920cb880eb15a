"""From a loss and a start to its minimum: runs a method, and says what the point is that it found.

The method is lbfgs, which goes down the valley it starts in. Newton finishes: where the whole
Hessian is cheap all the way, for it is exact and leaves saddles; else by a few steps. A run is
called converged only where the gradient is zero to rounding and the curvature positive. Nothing
here prints.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import inf
from typing import Any

import numpy as np

from . import data as table
from .columns import Columns
from .curvature import Nature
from .ending import Ending
from .errors import NablispError
from .evaluate import ROWS
from .expr import Expr, Sym, as_expr, asked, names, substitute
from .fit_options import bounds_of, check_bounds
from .limits import Budget
from .methods import STEEP, Bounds, Point, lbfgs, look, newton
from .options import Options, check_loss, in_range, method_of, moving, several, starts_of
from .printer import brief
from .recording import History
from .results import Progress, Result, outcome
from .surface import Surface, check_size, shapes_of
from .trouble import trouble
from .views import View

STEPS = 10_000
"""How many steps are taken when nothing says."""
FIRST = 300
"""Steps, and as many more for each entry, after which lbfgs leaves the rest to newton."""
LAST = 10
"""Steps that newton takes at the end where it has no whole Hessian."""
ROUNDS = 20
"""How often a search goes on from a lower point close by, where the loss is not smooth."""

CURES = {
    "saddle": "start elsewhere, a little to one side",
    "flat": "the loss does not say where along it: fix one of the names, or add a term",
    "kink": "this is as low as it gets close by; no method can show it to be a minimum",
    "falls": "the loss is not smooth here: start elsewhere, a little to one side",
    "far": "its lowest value may lie at infinity: set bounds, or check its sign",
    "unseen": "it may be a saddle or flat: start elsewhere, and compare what is found",
    "slow": "look at the loss along the way, start elsewhere, or write it in other units",
    "rough": "the gradient is not zero, yet no step improves on it: is the loss smooth here?",
    "unbounded": "the loss falls without end along {}: set bounds, or check its sign",
    "pole": "the loss falls without end as {} nears its bound: move the bound inside",
}
"""What to try, by what is wrong."""


def minimize(
    e: Any,
    start: Mapping[str, Any],
    *,
    data: Any = None,
    by: str = "",
    bounds: Mapping[str, tuple[float | None, float | None]] | None = None,
    wrt: Sequence[str] | None = None,
    steps: int | None = None,
    seconds: float | None = None,
    tol: float | None = None,
    until: Any = None,
    backend: str | None = None,
    threads: int | None = None,
) -> Result:
    """The lowest point of a formula near a start; the engine of `(minimize …)`.

    `start` maps names to numbers or arrays, `bounds` names to (lowest, highest), None for none;
    `wrt` names those that move, else all. `by` is "newton" or "lbfgs", else the choice is by size.
    Columns of `data` make it a loss over rows.

    >>> x, y = params("x y")
    >>> r = minimize((1 - x)**2 + 100 * (y - x**2)**2, {"x": -1.2, "y": 1})
    >>> r.status, r.params, r.curvature

    Raises NablispError: "unbound-name" for a name without a start, "shape" for what is no number,
    "value" for a start outside its bounds.
    """
    columns = Columns() if data is None else table.as_columns(data)
    given = {"steps": steps, "seconds": seconds, "tol": tol, "threads": threads}
    numbers: dict[str, Any] = {
        name: None if v is None else in_range(name, v) for name, v in given.items()
    }
    options = Options(
        by=by,
        wrt=several(wrt, "wrt"),
        until=None if until is None else asked(until),
        bounds=bounds_of(bounds or {}),
        backend=backend,
        **numbers,
    )
    return outcome(minimizing(asked(e), starts_of(start), columns, options))


def minimizing(
    loss: Expr,
    params: Mapping[str, Any],
    columns: Columns,
    options: Options,
    budget: Budget | None = None,
    word: str = "minimize",
) -> Generator[Progress, None, Result]:
    """Yields progress; returns the result, which calls itself by `word`."""
    return _Search(loss, params, columns, options, budget or Budget(), word).go()


@dataclass(frozen=True, slots=True)
class _Verdict:
    """How a run ended: status, what the point is, and remarks."""

    status: str
    words: str
    remarks: list[str]
    trouble: Expr | None = None


class _Search:
    """One search: what it needs, and how its end is judged."""

    def __init__(
        self,
        loss: Expr,
        params: Mapping[str, Any],
        columns: Columns,
        options: Options,
        budget: Budget,
        word: str,
    ) -> None:
        self.by = method_of(options)
        self.options, self.budget, self.word = options, budget, word
        self.loss, self.params = loss, params
        shapes = shapes_of(params, columns)
        self.moving = moving(names(loss), params, options)
        check_loss(loss, shapes, params, options)
        self.surface = Surface(
            loss,
            self.moving,
            params,
            columns,
            rows=columns.rows,
            backend=options.backend,
            threads=options.threads,
            budget=budget,
        )
        check_size([self.surface.loss, *self.surface.slopes], shapes, self.surface.rows, budget)
        self.start = self.surface.vector(params)
        self.bounds = self._bounds(params)
        budget.begin()
        self.until = None if options.until is None else self._condition(params, columns)
        self.history: dict[str, list[float]] = {n: [] for n in self._recorded()}
        self.ran = ""

    def _recorded(self) -> list[str]:
        return ["loss", *(n for n in self.moving if not self.surface.sizes[n])]

    def _bounds(self, params: Mapping[str, Any]) -> Bounds:
        """The bounds of every entry; NablispError where the start is outside."""
        sides = []
        for k, none in ((0, -inf), (1, inf)):
            ends = {n: self.options.bounds.get(n, (None, None))[k] for n in self.moving}
            sides.append(
                self.surface.vector({n: none if v is None else v for n, v in ends.items()})
            )
        low, high = sides
        check_bounds(self.options.bounds)
        for label, x, a, b in zip(self.surface.labels, self.start, low, high, strict=True):
            if not a <= x <= b:
                where = f"{label} starts at {brief(float(x))}, outside its bounds"
                hint = f"it may go from {brief(float(a))} to {brief(float(b))}"
                raise NablispError("value", where, hint=hint)
        return Bounds(low, high)

    def _condition(self, params: Mapping[str, Any], columns: Columns) -> Any:
        """The condition of `:until` as a function of a vector."""
        until = self.options.until
        assert until is not None
        inside = names(until)
        fixed: dict[Expr, Expr] = {
            Sym(n): as_expr(v) for n, v in params.items() if n in inside and n not in self.moving
        }
        surface = Surface(
            substitute([until], fixed)[0],
            self.moving,
            params,
            columns,
            rows=columns.rows,
            backend=self.options.backend,
        )
        function = surface.compiled([surface.loss], 100)
        return lambda x: bool(surface.given(function, x)[0])

    # ---- running ---------------------------------------------------------------------------------

    def go(self) -> Generator[Progress, None, Result]:
        began = seen = time.perf_counter()
        options, surface = self.options, self.surface
        first = point = look(surface, self.start, self.bounds)
        most = STEPS if options.steps is None else options.steps
        reason: str | None = None if point.ok else "diverged"
        done = 0
        self.ending = Ending(surface, self.bounds, first)
        search = self._steps(first)
        try:
            while reason is None:
                now = time.perf_counter()
                if self._quiet(point):
                    reason = "tol"
                elif self.until is not None and self.until(point.x):
                    reason = "until"
                elif done >= most:
                    reason = "steps"
                elif options.seconds is not None and now - began >= options.seconds:
                    reason = "time"
                else:
                    if now - seen > 0.05:
                        seen = now
                        yield Progress(
                            done,
                            options.steps,
                            point.value,
                            now - began,
                            surface.values(point.x),
                            self.view,
                            options.seconds,
                            self.word,
                        )
                    self.budget.clock()
                    try:
                        with np.errstate(all="ignore"):
                            following = next(search)
                    except StopIteration as stop:
                        reason = stop.value
                        break
                    for name, kept in self.history.items():
                        kept.append(self._entry(name, point))
                    point, done = following, done + 1
            with np.errstate(all="ignore"):
                verdict = self._verdict(reason or "", first, point)
        except KeyboardInterrupt:
            verdict = _Verdict("interrupted", "", [])
        return self._result(verdict, first, point, done, time.perf_counter() - began)

    def _steps(self, first: Point) -> Generator[Point, None, str]:
        """The points of the method, and from lower ones close by, where it missed a kink."""
        self.ran = self.by or "lbfgs"
        point, ending = first, "rest"
        for _ in range(ROUNDS):
            point, ending = yield from self._descent(point)
            lower = self.ending.lower(point) if ending == "rest" else None
            if lower is None:
                break
            point = lower
            yield point
        return ending

    def _descent(self, point: Point) -> Generator[Point, None, tuple[Point, str]]:
        """The points of one method, or of one after the other; the last, and how it ended."""
        surface, ending, taken = self.surface, "", 0
        top = self.ending.first.value
        if self.by != "newton":
            descent = lbfgs(surface, point, self.bounds, top=top)
            while not surface.dense or taken < FIRST * (1 + surface.entries):
                try:
                    point = next(descent)
                except StopIteration as stop:
                    ending = stop.value
                    break
                taken += 1
                yield point
            if ending in ("unbounded", "pole"):
                return point, ending
        whole = surface.dense
        finish = newton(surface, point, self.bounds, whole=whole, top=top)
        for _ in range(LAST if self.by != "newton" and not whole else STEPS):
            try:
                point = next(finish)
            except StopIteration as stop:
                return point, stop.value
            self.ran = "newton" if self.by == "newton" else "lbfgs and newton"
            yield point
        return point, ending

    def _quiet(self, point: Point) -> bool:
        """Is the gradient within the tolerance that was asked for?"""
        tol = self.options.tol
        return tol is not None and self._steepest(point) <= tol

    def _steepest(self, point: Point) -> float:
        """The largest entry of the gradient that is not held at a bound."""
        return float(np.abs(point.slope[self.bounds.free(point)]).max(initial=0.0))

    def _entry(self, name: str, point: Point) -> float:
        """What history holds of a point."""
        return point.value if name == "loss" else float(point.x[self.surface.spans[name].start])

    @cached_property
    def view(self) -> View:
        """What it works on, for pictures."""
        return View(self.loss, self.moving, self.params, self.surface.columns)

    # ---- the outcome -----------------------------------------------------------------------------

    def _verdict(self, reason: str, first: Point, point: Point) -> _Verdict:
        """What the run came to, by the reason it ended."""
        if reason == "diverged":
            found = self._not_finite(point)
            return _Verdict("diverged", "", [found[0]], found[1])
        if reason == "unbounded":
            far = np.abs(point.x) >= 1e-3 * np.abs(point.x).max()
            gone = [label for label, f in zip(self.surface.labels, far, strict=True) if f]
            return _Verdict("diverged", "", [CURES["unbounded"].format(", ".join(gone[:8]))])
        if reason == "pole":
            poles = ", ".join(self._poles(point)[:8])
            return _Verdict("diverged", "", [CURES["pole"].format(poles)])
        free = self.bounds.free(point)
        held = [label for label, f in zip(self.surface.labels, free, strict=True) if not f]
        at_bounds = f"; at a bound: {', '.join(held[:8])}" if held else ""
        what, zero = self.ending.nature(point)
        return self._judged(reason, what, zero, at_bounds)

    def _poles(self, point: Point) -> list[str]:
        """The entries at whose bounds the loss is -inf, each alone if it can be."""
        found = []
        for k, label in enumerate(self.surface.labels):
            for side in (self.bounds.low, self.bounds.high):
                x = point.x.copy()
                x[k] = side[k]
                if np.isfinite(side[k]) and self.surface.at(x)[0] == -inf:
                    found.append(label)
        return found or ["the point"]

    def _judged(self, reason: str, what: Nature, zero: bool, more: str) -> _Verdict:
        if reason in ("steps", "time", "until"):
            kept = reason != "steps" or not zero
            words = what.words + more if zero else ""
            if kept:
                return _Verdict(reason, words, [])
        words = what.words + more
        if not zero and reason != "tol":
            return _Verdict("stalled", "", [CURES["slow" if reason == "slow" else "rough"]])
        if what.kind != "minimum":
            return _Verdict("stalled", words, [CURES[what.kind]])
        return _Verdict("converged", words, [])

    def _not_finite(self, point: Point) -> tuple[str, Expr | None]:
        """Which part is not finite at the start."""
        surface = self.surface
        env = {**surface.values(point.x), **surface.columns, ROWS: float(surface.rows)}
        found = trouble("at the start", [surface.loss, *surface.slopes], env)
        return found or ("the loss is not finite at the start", None)

    def _result(
        self, verdict: _Verdict, first: Point, point: Point, done: int, seconds: float
    ) -> Result:
        surface = self.surface
        history = {
            n: [np.array([*h[:done], self._entry(n, point)])] for n, h in self.history.items()
        }
        steep = np.abs(point.slope) == STEEP
        slope = np.where(steep, np.copysign(inf, point.slope), point.slope + 0.0)
        with np.errstate(all="ignore"):
            norm = float(np.linalg.norm(point.slope[self.bounds.free(point)]))
        return Result(
            self.word,
            verdict.status,
            surface.values(point.x),
            surface.values(first.x),
            point.value,
            first.value,
            surface.values(slope),
            done,
            seconds,
            History(history, done),
            self.ran or self.by or "lbfgs",
            verdict.remarks,
            why=f"{self.word} gives no standard errors",
            trouble=verdict.trouble,
            curvature=verdict.words,
            evaluations=surface.evaluations,
            gradient_norm=norm,
            view=self.view,
        )
