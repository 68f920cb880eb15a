"""From a loss, parameters and columns to trained parameters: builds a step, iterates it, judges.

The step is a bundle of expressions: gradient, update rule, schedule, clipping, decay and bounds
become the *next* state; a loss or gradient that is not finite, a runaway, a tolerance or a
condition become reasons to *stop*, judged before the update. Python shuffles between epochs and
judges hold-out, patience and time between calls. Nothing here prints.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np

from . import backends, orders
from . import data as table
from .backends import Ran, Window
from .checkpoint import Keeper, Kept, Place, facts_of
from .columns import Columns
from .derivative import gradient
from .errors import NablispError
from .evaluate import ROWS
from .expr import Expr, Sym, as_expr, asked, names, substitute
from .files import rooted
from .limits import Budget
from .optimizers import METHODS
from .options import (
    Options,
    check_loss,
    chosen_options,
    moving,
    optimizer_of,
    starts_of,
    used,
)
from .recording import Recording
from .results import Progress, Result, Work, outcome
from .shapes import ShapeEnv
from .stepping import TICK, Recipe
from .surface import Surface, check_size, shapes_of
from .trouble import trouble
from .views import View

STEPS = 1000
"""How many steps are taken when nothing says."""
SMALL = 30
"""Up to this many parameters, all numbers, a run that went well hears about its rates, too."""
PATIENCE = 2.0
"""Seconds that advice nobody asked for may take, where Lanczos' method gives it."""
RETRIES = 6
"""How often `:lr auto` starts anew with lower rates where it diverged."""
HALVINGS, ENOUGH = 60, 0.25
"""How often its rates are halved beforehand at most: until the first step brings this share of
what the slope foresees."""
TROUBLED = ("diverged", "stalled")
MANY = 1 << 40
"""Steps without an end."""
RUNAWAY = 1e10
"""A loss that grows by this factor over its start has run away."""
GROWTH = 1.05
"""Whoever watches gets the parameters at steps that grow by this factor, every one at first."""


def train(
    loss: Any,
    params: Mapping[str, Any],
    *,
    data: Any = None,
    lr: float | Mapping[str, float] | str | None = None,
    schedule: tuple[Any, ...] | None = None,
    until: Any = None,
    wrt: Sequence[str] | None = None,
    checkpoint: str | Path | None = None,
    **options: Any,
) -> Result:
    """Train parameters to make a loss small; the engine of `(train …)` without a session.

    `loss` is a scalar expression of parameters and columns; `params` maps names to starts (numbers
    or arrays), `data` names to columns, row axis first. Options are those of `Options`; `lr` may
    map names to rates or be "auto", `schedule` is e.g. `("cosine", 0.1, 0.001)`, `checkpoint` is
    the path of the file that the run is kept in, and gone on from with `resume=True`.

    >>> r = train(loss, {"m": 0, "b": 0}, data={"x": xs}, lr=0.1, steps=20)
    >>> r.params["m"]

    Raises NablispError: "shape" for a loss that is no scalar, "unbound-name" for a name that is
    neither parameter nor column, "value" for an option out of range.
    """
    columns = Columns() if data is None else table.as_columns(data)
    if checkpoint is not None:
        options["root"], options["checkpoint"] = rooted(checkpoint)
    chosen = chosen_options(lr, schedule, until, wrt, options)
    return outcome(training(asked(loss), starts_of(params), columns, chosen))


def training(
    loss: Expr,
    params: Mapping[str, Any],
    columns: Columns,
    options: Options,
    budget: Budget | None = None,
) -> Generator[Progress, None, Result]:
    """Yields progress about every 50 ms; returns the result."""
    if options.by in METHODS:
        from .minimizer import minimizing

        return minimizing(loss, params, columns, options, budget, "train")
    return _run(loss, params, columns, options, budget or Budget())


def _run(
    loss: Expr,
    params: Mapping[str, Any],
    columns: Columns,
    options: Options,
    budget: Budget,
) -> Generator[Progress, None, Result]:
    """One run; with `:lr auto` another at a quarter of the rates, as long as it leads up."""
    keeper = Keeper(options, budget)
    while True:
        tried = keeper.tried
        result = yield from _Run(loss, params, columns, options, budget, keeper).go()
        rose = result.status == "diverged" or result.loss > 1.01 * abs(result.first_loss)
        if tried:
            result.remarks.append(f"the advised rates led up: these are 1/{4**tried} of them")
        late = options.seconds is not None and result.seconds >= options.seconds
        over = late or tried == RETRIES or result.status == "interrupted"
        if over or not (options.auto and rose):
            return result
        keeper.again(result.seconds)


class _Run:
    """One training run: what it needs, and how it is judged."""

    def __init__(
        self,
        loss: Expr,
        params: Mapping[str, Any],
        columns: Columns,
        options: Options,
        budget: Budget,
        keeper: Keeper,
    ) -> None:
        params = {name: _native(value) for name, value in params.items()}
        self.params, self.asked, self.keeper = params, options, keeper
        self.loss, self.options, self.budget = loss, options, budget
        self.row = optimizer_of(options)
        self.rows = columns.rows
        self.shapes: ShapeEnv = shapes_of(params, columns)
        inside = names(loss)
        self.moving = moving(inside, params, options)
        check_loss(loss, self.shapes, params, options)
        self.fixed = {n: v for n, v in params.items() if n not in self.moving}
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
        self.start = {n: params[n] for n in self.moving}
        self.slopes = gradient(loss, [Sym(n) for n in self.moving], self.shapes)
        passes = (self.total or 1) * (self.batch / self.rows if self.batch else 1)
        check_size([loss, *self.slopes], self.shapes, self.rows, budget, passes)
        given = {n: as_expr(v) for n, v in self.fixed.items()}
        replaced = substitute(
            [loss if options.until is None else options.until, loss, *self.slopes],
            {Sym(n): v for n, v in given.items()},
        )
        self.until, self.fixed_loss, *self.fixed_slopes = replaced
        if options.auto:
            rates = keeper.rates or {
                n: 0.25**keeper.tried * rate for n, rate in self._advised().items()
            }
            self.options = replace(options, rates=rates)
        self.recipe = Recipe(
            self.fixed_loss,
            dict(zip(self.moving, self.fixed_slopes, strict=True)),
            self.start,
            self.options,
            self.rows,
            self.batch,
            self.total,
            None if options.until is None else self.until,
            not self.held,
        )
        self.ends = self.recipe.ends()
        self.whole = self.recipe.whole
        step, self.state = self.recipe.step()
        budget.begin()
        shapes = {name: tuple(np.shape(value)) for name, value in self.state.items()}
        self.stepper = backends.iterate(
            step,
            list(self.columns),
            {**self.shapes, **shapes},
            rows=self.batch or self.rows,
            steps=self._expected(),
            steady=self.whole,
            backend=options.backend,
            threads=options.threads,
        )
        self.measure = self._compiled([self.fixed_loss, *self.fixed_slopes], 4)
        self.ended = self._compiled(list(self.ends.values()), 1 if self.whole else 100)

    def _compiled(self, outputs: Sequence[Expr], calls: int) -> Callable[..., list[Any]]:
        """A function of the parameters, the columns and the number of rows."""
        native = self.stepper.backend == "native"
        return backends.compile(
            outputs,
            [*self.moving, *self.columns, ROWS],
            self.shapes,
            rows=self.rows,
            calls=calls,
            backend=None if native else self.stepper.backend,
            threads=self.options.threads,
            warm=native,
        )

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

    def _expected(self) -> int:
        """How many steps may lie ahead, for the choice of a backend."""
        if self.total is not None:
            return self.total
        return MANY if (self.options.seconds or 0) >= 1 else 1

    # ---- running ---------------------------------------------------------------------------------

    def at(self, params: Mapping[str, Any], columns: Mapping[str, Any] | None = None) -> list[Any]:
        """Loss and gradients over all rows."""
        return self._given(self.measure, params, self.columns if columns is None else columns)

    def _given(
        self,
        function: Callable[..., list[Any]],
        params: Mapping[str, Any],
        columns: Mapping[str, Any],
    ) -> list[Any]:
        """The values of what was compiled."""
        rows = float(len(next(iter(columns.values())))) if columns else float(self.rows)
        return function(*(params[n] for n in self.moving), *columns.values(), rows)

    def go(self) -> Generator[Progress, None, Result]:
        """Take steps until there is a reason not to; the outcome."""
        self._begin()
        reason: str | None = None
        try:
            while True:
                reason = reason or self._looked()
                self.budget.clock()
                self.budget.room(self.recording.bytes)
                if self.place.done or reason:
                    yield self._progress()
                reason = reason or self._late()
                if reason or self._left() <= 0:
                    break
                reason = self._advance()
                if reason is None and self.keeper.is_due(self.place.done):
                    self.keeper.save(self.place.done, self._kept)
        except KeyboardInterrupt:
            reason = "interrupted"
        try:
            self.keeper.save(self.place.done, self._kept)
        except KeyboardInterrupt:  # pressed again: the one before it stays
            reason = reason or "interrupted"
        try:
            return self._result(reason)
        except KeyboardInterrupt:  # pressed while the outcome was worked out: it is, once more
            return self._result(reason or "interrupted")

    def _begin(self) -> None:
        """Where it begins: at its start, or where its checkpoint was written."""
        self.first = float(self.at(self.start)[0])
        self.ceiling = RUNAWAY * (1 + abs(self.first))
        rates = self.options.rates if self.options.auto else {}
        fresh = Kept(
            Place({**self.state, " ceiling": self.ceiling}, 0, dict(self.start)),
            self.start,
            {name: np.empty(0) for name in self.recipe.recorded},
            [],
            seconds=self.keeper.seconds,
            rates=rates,
        )
        known = self.keeper.begin(self._facts, fresh)
        place = self.place = known.place
        self.start, self.snapshots, self.rates = known.start, known.snapshots, rates
        self.began, self.spent = time.perf_counter() - known.seconds, known.spent
        self.recording = Recording(
            Ran({**place.state}, known.history, None, place.done, known.every)
        )
        self.best, self.best_loss, self.waited = place.best, place.best_loss, place.waited
        self.epoch: tuple[dict[str, Any], list[Window]] | None = None

    @cached_property
    def epoch_steps(self) -> int:
        """Steps after which what patience judges is looked at."""
        return ceil(self.rows / self.batch) if self.batch else 1 if self.held else MANY

    def _left(self) -> int:
        return MANY if self.total is None else self.total - self.place.done

    def _late(self) -> str | None:
        limit = self.options.seconds
        late = limit is not None and time.perf_counter() - self.began >= limit
        return "time" if late and self._left() > 0 else None

    def _looked(self) -> str | None:
        """At the end of an epoch: is it the best so far, and a reason to end?"""
        place = self.place
        if not place.done or place.done % self.epoch_steps:
            return None
        reason = self._end(place.state) if self.batch else None
        if self.held:
            found = float(self.at(place.state, self.held)[0])
        else:
            found = place.epoch_loss / self.epoch_steps
        if found < self.best_loss:
            self.best, self.best_loss = {n: place.state[n] for n in self.moving}, found
            self.waited = 0
        else:
            self.waited += 1
        patience = self.options.patience
        return reason or ("patience" if patience is not None and self.waited >= patience else None)

    def _advance(self) -> str | None:
        """Take steps, for 50 ms or so, and up to whatever is due next; a reason to end."""
        began, place = time.perf_counter(), self.place
        at = place.done % self.epoch_steps if self.batch else 0
        if self.epoch is None or (self.batch and not at):
            self.epoch = self._epoch(place.done // self.epoch_steps)
        columns, windows = self.epoch
        most = min(self._left(), self.epoch_steps - at, self.keeper.ahead(place.done))
        if self.options.watch:
            most = min(most, self._seen())
        ran = self.stepper(place.state, columns, windows[at:], int(most))
        self.recording.add(ran)
        self.spent += time.perf_counter() - began
        if ran.steps and ran.state[TICK] == place.done + ran.steps:
            # one by one, so that it does not depend on where a call ended
            losses = [place.epoch_loss if at else 0.0, *ran.records["loss"][: ran.steps]]
            epoch_loss = float(np.cumsum(losses)[-1]) if self.batch else 0.0
            done = place.done + ran.steps
            self.place = Place(ran.state, done, self.best, self.best_loss, self.waited, epoch_loss)
        return ran.stop

    def _progress(self) -> Progress:
        """Where it is, for whoever watches."""
        place = self.place
        return Progress(
            place.done,
            self.total,
            self.recording.last("loss", self.first),
            time.perf_counter() - self.began,
            {n: self.recording.state[n] for n in self.moving},
            self.view,
            self.options.seconds,
            news=self.keeper.heard(),
        )

    def _kept(self) -> Kept:
        """What a checkpoint holds."""
        place = self.place
        ran = self.recording.joined(place.done)
        return Kept(
            place,
            self.start,
            ran.records,
            [seen for seen in self.snapshots if seen[0] < place.done],
            time.perf_counter() - self.began,
            self.spent,
            rates=self.rates,
            every=ran.every,
        )

    def _facts(self) -> dict[str, str]:
        """What a checkpoint must agree with to be one of this run."""
        step, stepper = self.recipe.step()[0], self.stepper
        formulas = [*step.next.values(), *step.stop.values(), *step.emit.values()]
        formulas += self.ends.values()
        inside = names(self.loss)
        params = {n: v for n, v in self.params.items() if n in inside or used(self.asked, n)}
        given = self.loss, self.asked, params, [self.columns, self.held]
        return facts_of(*given, stepper.backend, formulas)

    @cached_property
    def view(self) -> View:
        """What it works on, for pictures."""
        return View(self.loss, self.moving, self.params, self.columns)

    def _seen(self) -> int:
        """Keep what the parameters are now, if it is time; how many steps to the next time."""
        done = self.place.done
        due = int(self.snapshots[-1][0] * GROWTH) + 1 if self.snapshots else 0
        if done >= due:
            at = {n: np.copy(self.place.state[n]) for n in self.moving}
            self.snapshots.append((done, at))
            due = int(done * GROWTH) + 1
        return due - done

    def _end(self, state: Mapping[str, Any]) -> str | None:
        """The reason to end after an epoch, judged over all rows."""
        values = self._given(self.ended, state, self.columns)
        return next((reason for reason, true in zip(self.ends, values, strict=True) if true), None)

    def _epoch(self, epoch: int) -> tuple[dict[str, Any], list[Window]]:
        """The columns in this epoch's order, and its batches."""
        if self.batch is None:
            return self.columns, [(0, self.rows)]
        order = orders.row_order(self.rows, self.options.seed, epoch)
        columns = {name: column[order] for name, column in self.columns.items()}
        starts = range(0, self.rows, self.batch)
        return columns, [(i, min(i + self.batch, self.rows)) for i in starts]

    # ---- the outcome -----------------------------------------------------------------------------

    def _result(self, reason: str | None) -> Result:
        """What it came to, for this reason to end."""
        status = {"runaway": "diverged", "tol": "converged", None: "steps"}.get(reason, reason)
        assert status is not None
        state, done, best = self.recording.state, self.recording.steps, self.best
        if self.whole and not self.held and np.isfinite(state[" best"]):
            best = {n: state[f" best {n}"] for n in self.moving}
        last = {n: state[n] for n in self.moving}
        keeps = status in ("diverged", "patience") or bool(self.held)
        if status == "interrupted" and self.whole and not self.held:
            keeps = not self.at(last)[0] <= self.at(best)[0]
        params = dict(best) if keeps else last
        loss, *slopes = self.at(params)
        if status != "diverged" and not self._sound(loss, slopes):  # one step too far
            status, params = "diverged", dict(best)
            loss, *slopes = self.at(params)
        params = {n: _native(v) for n, v in params.items()}
        if status == "converged" and self._is_saddle(params):
            status = "stalled"
        notes, trouble = self._trouble(last, done) if status == "diverged" else ([], None)
        notes += self.keeper.last(reason)
        return Result(
            "train",
            status,
            {**params},
            dict(self.start),
            float(loss),
            self.first,
            {n: _native(s) for n, s in zip(self.moving, slopes, strict=True)},
            done,
            time.perf_counter() - self.began,
            self.recording.history({**params, "loss": loss}),
            self.row.name,
            notes,
            float(self.at(params, self.held)[0]) if self.held else None,
            trouble=trouble,
            work=self._work(),
            view=self.view,
            snapshots=[*self.snapshots, (done, params)] if self.options.watch else [],
            advise=lambda: self._advice(status, params),
        )

    def _work(self) -> Work:
        """What ran the steps."""
        stepper, rows = self.stepper, self.batch or self.rows
        threads = stepper.threads if rows >= backends.THREADED else 1
        seconds, spent = stepper.seconds, self.spent
        return Work(stepper.backend, threads, seconds, rows, spent, stepper.why, stepper.text)

    def _sound(self, loss: Any, slopes: Sequence[Any]) -> bool:
        finite = np.isfinite(loss) and all(np.isfinite(slope).all() for slope in slopes)
        return bool(finite and loss <= self.ceiling)

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

    def _is_saddle(self, params: Mapping[str, Any]) -> bool:
        """Does the loss fall in some direction, though the gradient is 0?"""
        surface = self.surface
        if not surface.dense:
            return False
        from .curvature import nature

        matrix = surface.hessian(surface.vector(params))
        return bool(np.isfinite(matrix).all()) and nature(matrix, surface.labels).kind == "saddle"

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

    def _trouble(self, params: Mapping[str, Any], done: int) -> tuple[list[str], Expr | None]:
        """Which sub-expression stopped being finite, at which row and step."""
        env = {**params, **self.columns, ROWS: float(self.rows)}
        roots = [self.fixed_loss, *self.fixed_slopes]
        found = trouble(f"at step {done}", roots, env, self.kept)
        if found is None:
            return [f"at step {done} the loss had grown over {RUNAWAY:g} times its start"], None
        return [found[0]], found[1]

    def _advice(self, status: str, params: Mapping[str, Any]) -> list[str]:
        """Rates that would do, where one did not."""
        from .advice import advice_at

        descends = self.row.name in ("gd", "momentum", "nesterov")
        surface = self.surface
        plain = surface.scalar and surface.entries <= SMALL
        if not descends or not (status in TROUBLED or (plain and status in ("steps", "time"))):
            return []
        advice = advice_at(surface, surface.vector(params), PATIENCE)
        if advice is None:
            return []
        notes = []
        if status in TROUBLED and np.isfinite(advice.limit):
            notes.append(
                f"the largest stable learning rate for this loss is about {advice.limit:.6g}"
            )
        if not self.options.rates and self.options.schedule is None:
            notes += advice.remarks
        return notes


def _native(value: Any) -> Any:
    return float(value) if np.ndim(value) == 0 else np.asarray(value)
