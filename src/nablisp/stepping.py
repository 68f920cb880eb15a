"""From a loss, its slopes and options to a step: next state, reasons to stop, what is recorded.

The optimizer's rule is instantiated for every parameter; schedule, clipping, decay and bounds are
parts of the same formulas, so that a backend knows none of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import Any

import numpy as np

from .backends import Step
from .expr import Expr, Num, Sym, as_expr, call, formula, substitute, sum_of
from .options import Options, optimizer_of, rates_over_time

TICK = " t"  # names of optimizer state hold a blank, which no name of the language does


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a step is made from; `slopes` and `start` by the names of what moves, in their order."""

    loss: Expr
    slopes: Mapping[str, Expr]
    start: Mapping[str, Any]
    options: Options
    rows: int
    batch: int | None
    """rows of a step, or None for all"""
    total: int | None
    """steps, or None without an end"""
    until: Expr | None
    patient: bool
    """are steps to be waited for, each for itself?"""

    @property
    def whole(self) -> bool:
        """Does every step see all rows, so that losses of steps compare?"""
        return self.batch is None

    @property
    def recorded(self) -> list[str]:
        """What history holds: the loss, and the parameters that are numbers."""
        return ["loss", *(n for n in self.slopes if not np.ndim(self.start[n]))]

    def ends(self) -> dict[str, Expr]:
        """What ends a run well, as conditions over all rows."""
        found = {}
        if self.options.tol is not None:
            found["tol"] = call("<=", self._steepest(), self.options.tol)
        if self.until is not None:
            found["until"] = self.until
        return found

    def _steepest(self) -> Expr:
        """The largest entry of the gradient."""
        steep = self.slopes.items()
        largest = [self._whole_of("amax", n, call("abs", slope)) for n, slope in steep]
        return call("max", *largest) if len(largest) > 1 else largest[0]

    def _whole_of(self, reduction: str, name: str, e: Expr) -> Expr:
        """A reduction of something shaped like a parameter; a number is its own."""
        return call(reduction, e) if np.ndim(self.start[name]) else e

    def step(self) -> tuple[Step, dict[str, Any]]:
        """The bundle, and the state it starts from."""
        o, row = self.options, optimizer_of(self.options)
        slopes, loss = dict(self.slopes), self.loss
        stop = {
            "diverged": call("not", call("finite?", call("+", loss, self._steepest()))),
            "runaway": call(">", loss, Sym(" ceiling")),
        }
        if self.whole:  # a batch is no judge of these
            stop.update(self.ends())
        if self.batch and self.rows % self.batch:  # a short last batch counts for its rows
            share = call("/", call("rows"), float(self.batch))
            slopes = {n: call("*", share, g) for n, g in slopes.items()}
        if o.weight_decay and not row.decoupled:
            slopes = {n: call("+", g, call("*", o.weight_decay, Sym(n))) for n, g in slopes.items()}
        if o.clip is not None:
            squares = [self._whole_of("sum", n, call("**", g, 2)) for n, g in slopes.items()]
            norm = call("sqrt", sum_of(squares))
            factor = call("where", call(">", norm, o.clip), call("/", o.clip, norm), 1)
            slopes = {n: call("*", factor, g) for n, g in slopes.items()}
        state: dict[str, Any] = {**self.start, TICK: 0.0, " ceiling": inf}
        tick = call("+", Sym(TICK), 1)
        following: dict[str, Expr] = {TICK: tick, " ceiling": Sym(" ceiling")}
        first = substitute([tick], {Sym(TICK): Num(0)})[0]
        rates = rates_over_time(o, row, list(slopes), self.total, tick, first)
        for name, slope in slopes.items():
            self._update(name, slope, tick, rates[name], following, state)
        if self.whole:  # the best so far, and where it was
            better = call("<", loss, Sym(" best"))
            state[" best"] = float("inf")
            following[" best"] = call("where", better, loss, Sym(" best"))
            if o.patience is not None and self.patient:
                waited = call("where", better, 0, call("+", Sym(" waited"), 1))
                stop["patience"] = call(">=", waited, o.patience)
                state[" waited"], following[" waited"] = 0.0, waited
            for name in slopes:
                state[f" best {name}"] = self.start[name]
                following[f" best {name}"] = call("where", better, Sym(name), Sym(f" best {name}"))
        emit = {name: loss if name == "loss" else Sym(name) for name in self.recorded}
        return Step(following, stop, emit), state

    def _update(
        self,
        name: str,
        slope: Expr,
        tick: Expr,
        rate: Expr,
        following: dict[str, Expr],
        state: dict[str, Any],
    ) -> None:
        """One parameter's rule, instantiated: formulas in order, later ones see new values."""
        row, o = optimizer_of(self.options), self.options
        meaning: dict[Expr, Expr] = {
            Sym("p"): Sym(name),
            Sym("g"): slope,
            Sym("t"): tick,
            Sym("lr"): rate,
            Sym("decay"): as_expr(o.weight_decay if o.weight_decay is not None else 0.01),
        }
        meaning.update((Sym(n), as_expr(o.settings.get(n, v))) for n, v in row.settings.items())
        for part, start in row.state.items():
            state[f"{name} {part}"] = start + np.zeros(np.shape(self.start[name]))
            meaning[Sym(part)] = Sym(f"{name} {part}")
        for part, text in row.update.items():
            new = substitute([formula(text)], meaning)[0]
            if part == "p":
                low, high = o.bounds.get(name, (None, None))
                new = new if low is None else call("max", new, low)
                new = new if high is None else call("min", new, high)
            meaning[Sym(part)] = new
            following[name if part == "p" else f"{name} {part}"] = new
