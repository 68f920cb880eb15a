"""From a loss, parameters, columns and options to a training run's formulas and functions.

The step is a bundle of expressions: gradient, update rule, schedule, clipping, decay and bounds
become the *next* state; a loss or gradient that is not finite, a runaway, a tolerance or a
condition become reasons to *stop*, judged before the update. What does not move is put in as
numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from math import ceil
from typing import Any

import numpy as np

from . import backends, orders
from .backends import Window
from .checkpoint import facts_of
from .columns import Columns
from .derivative import gradient
from .errors import NablispError
from .evaluate import ROWS
from .expr import Expr, Sym, as_expr, names, substitute
from .limits import Budget
from .options import Options, check_loss, moving, optimizer_of, used
from .results import native
from .shapes import ShapeEnv
from .stepping import Recipe
from .surface import Surface, check_size, shapes_of
from .trouble import trouble
from .views import View

STEPS = 1000
"""How many steps are taken when nothing says."""
MANY = 1 << 40
"""Steps without an end."""
HALVINGS, ENOUGH = 60, 0.25
"""How often the rates of `:lr auto` are halved beforehand at most: until the first step brings
this share of what the slope foresees."""


class Task:
    """What a run works on, compiled.

    `rates` are those that `:lr auto` found before; without them it looks, and takes a `share`.
    """

    def __init__(
        self,
        loss: Expr,
        params: Mapping[str, Any],
        columns: Columns,
        options: Options,
        budget: Budget,
        rates: Mapping[str, float],
        share: float = 1.0,
    ) -> None:
        self.params = {name: native(value) for name, value in params.items()}
        self.loss, self.asked, self.options, self.budget = loss, options, options, budget
        self.row = optimizer_of(options)
        self.rows = columns.rows
        self.shapes: ShapeEnv = shapes_of(self.params, columns)
        inside = names(loss)
        self.moving = moving(inside, self.params, options)
        check_loss(loss, self.shapes, self.params, options)
        self.columns = {n: columns[n] for n in columns if n in inside or used(options, n)}
        self.held: dict[str, Any] = {}
        self.kept: Any = range(self.rows)
        if options.holdout is not None:
            self._needs_columns("holdout")
            self.kept, held = orders.split(self.rows, options.holdout, options.seed)
            self.held = {n: c[held] for n, c in self.columns.items()}
            self.columns = {n: c[self.kept] for n, c in self.columns.items()}
            self.rows = len(self.kept)
        self.batch = self._batch()
        self.total = self._total()
        self.start = {n: self.params[n] for n in self.moving}
        slopes = gradient(loss, [Sym(n) for n in self.moving], self.shapes)
        passes = (self.total or 1) * (self.batch / self.rows if self.batch else 1)
        check_size([loss, *slopes], self.shapes, self.rows, budget, passes)
        until = None if options.until is None else self._fixed([options.until])[0]
        self.fixed_loss, *self.slopes = self._fixed([loss, *slopes])
        if options.auto:
            found = rates or {n: share * rate for n, rate in self._advised().items()}
            self.options = replace(options, rates=found)
        self.recipe = Recipe(
            self.fixed_loss,
            dict(zip(self.moving, self.slopes, strict=True)),
            self.start,
            self.options,
            self.rows,
            self.batch,
            self.total,
            until,
            not self.held,
        )
        self._compile()

    def _fixed(self, roots: Sequence[Expr]) -> list[Expr]:
        """Formulas with numbers for what does not move."""
        still = (n for n in self.params if n not in self.moving)
        return substitute(roots, {Sym(n): as_expr(self.params[n]) for n in still})

    def _batch(self) -> int | None:
        if self.options.batch is None:
            return None
        self._needs_columns("batch")
        return min(self.options.batch, self.rows)

    def _needs_columns(self, key: str) -> None:
        if not self.columns:
            raise NablispError("value", f":{key} needs columns, and this loss has none")

    def _total(self) -> int | None:
        """How many steps at most."""
        o = self.options
        per_epoch = ceil(self.rows / self.batch) if self.batch else 1
        most = [
            n
            for n in (o.steps, None if o.epochs is None else o.epochs * per_epoch)
            if n is not None
        ]
        return min(most) if most else None if o.seconds is not None else STEPS

    @cached_property
    def epoch_steps(self) -> int:
        """Steps after which what patience judges is looked at."""
        return ceil(self.rows / self.batch) if self.batch else 1 if self.held else MANY

    # ---- functions -------------------------------------------------------------------------------

    def _compile(self) -> None:
        """The step, what measures it, and what ends a run."""
        options, ends = self.options, list(self.recipe.ends().values())
        step, self.state = self.recipe.step()
        self.budget.begin()
        shapes = {name: tuple(np.shape(value)) for name, value in self.state.items()}
        endless = MANY if (options.seconds or 0) >= 1 else 1
        self.stepper = backends.iterate(
            step,
            list(self.columns),
            {**self.shapes, **shapes},
            rows=self.batch or self.rows,
            steps=endless if self.total is None else self.total,
            steady=self.recipe.whole,
            backend=options.backend,
            threads=options.threads,
        )
        self.measure = self._compiled([self.fixed_loss, *self.slopes], 4)
        self.ended = self._compiled(ends, 1 if self.recipe.whole else 100)
        self.formulas = [*step.next.values(), *step.stop.values(), *step.emit.values(), *ends]

    def _compiled(self, outputs: Sequence[Expr], calls: int) -> Callable[..., list[Any]]:
        """A function of the parameters, the columns and the number of rows."""
        machine = self.stepper.backend == "native"
        return backends.compile(
            outputs,
            [*self.moving, *self.columns, ROWS],
            self.shapes,
            rows=self.rows,
            calls=calls,
            backend=None if machine else self.stepper.backend,
            threads=self.options.threads,
            warm=machine,
        )

    def at(self, params: Mapping[str, Any], columns: Mapping[str, Any] | None = None) -> list[Any]:
        """Loss and gradients over all rows."""
        return self._given(self.measure, params, self.columns if columns is None else columns)

    def end(self, params: Mapping[str, Any]) -> str | None:
        """The reason to end well, judged over all rows."""
        holds = zip(self.recipe.ends(), self._given(self.ended, params, self.columns), strict=True)
        return next((reason for reason, true in holds if true), None)

    def _given(
        self,
        function: Callable[..., list[Any]],
        params: Mapping[str, Any],
        columns: Mapping[str, Any],
    ) -> list[Any]:
        """The values of what was compiled."""
        rows = float(len(next(iter(columns.values())))) if columns else float(self.rows)
        return function(*(params[n] for n in self.moving), *columns.values(), rows)

    def epoch(self, number: int) -> tuple[dict[str, Any], list[Window]]:
        """The columns in an epoch's order, and its batches."""
        if self.batch is None:
            return self.columns, [(0, self.rows)]
        order = orders.row_order(self.rows, self.options.seed, number)
        columns = {name: column[order] for name, column in self.columns.items()}
        starts = range(0, self.rows, self.batch)
        return columns, [(i, min(i + self.batch, self.rows)) for i in starts]

    # ---- facts -----------------------------------------------------------------------------------

    def facts(self) -> dict[str, str]:
        """What a checkpoint must agree with to be one of this run."""
        inside = names(self.loss)
        params = {n: v for n, v in self.params.items() if n in inside or used(self.asked, n)}
        given = self.loss, self.asked, params, [self.columns, self.held]
        return facts_of(*given, self.stepper.backend, self.formulas)

    @cached_property
    def view(self) -> View:
        """What it works on, for pictures."""
        return View(self.loss, self.moving, self.params, self.columns)

    @cached_property
    def surface(self) -> Surface:
        """The loss over all rows as a function of what is trained, for its curvature."""
        return Surface(
            self.fixed_loss,
            self.moving,
            self.start,
            self.columns,
            rows=self.rows,
            calls=1,
            backend=self.options.backend,
            threads=self.options.threads,
            budget=self.budget,
        )

    def is_saddle(self, params: Mapping[str, Any]) -> bool:
        """Does the loss fall in some direction, though the gradient is 0?"""
        surface = self.surface
        if not surface.dense:
            return False
        from .curvature import nature

        matrix = surface.hessian(surface.vector(params))
        return bool(np.isfinite(matrix).all()) and nature(matrix, surface.labels).kind == "saddle"

    def trouble(self, params: Mapping[str, Any], when: str) -> tuple[str, Expr] | None:
        """Which sub-expression is not finite there, and at which row; in words, and it."""
        env = {**params, **self.columns, ROWS: float(self.rows)}
        return trouble(when, [self.fixed_loss, *self.slopes], env, self.kept)

    def _advised(self) -> dict[str, float]:
        """The rates that the curvature at the start advises; with care where it may change."""
        from .advice import CAUTION, advice_for

        self.budget.begin()
        advice = advice_for(self.surface, self.surface.vector(self.start))
        if not advice.curves:
            raise NablispError(
                "value",
                ":lr auto finds no rate: the loss does not curve up here",
                hint="give a rate: :lr 0.1",
            )
        share = 1.0 if advice.exact else CAUTION
        one, each = advice.steps.values()
        single = one < each
        rates = {n: share * (advice.single if single else r) for n, r in advice.rates.items()}
        return rates if advice.exact else self._tried(rates)

    def _tried(self, rates: dict[str, float]) -> dict[str, float]:
        """The rates, halved until the first step brings about what the slope foresees."""
        surface = self.surface
        start = surface.vector(self.start)
        with np.errstate(all="ignore"):
            value, slope = surface.at(start)
            each = np.concatenate(
                [np.full(s.stop - s.start, rates[n]) for n, s in surface.spans.items()]
            )
            for halved in range(HALVINGS):
                share = 0.5**halved
                step = share * each * slope
                if value - surface.at(start - step)[0] >= ENOUGH * float(step @ slope):
                    return {n: share * rate for n, rate in rates.items()}
        return rates
