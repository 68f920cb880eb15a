"""From a loss, parameters and columns to trained parameters: takes a task's steps, and judges.

Python shuffles between epochs and judges hold-out, patience and time between calls of the compiled
step; an interrupt at any moment ends the run with what it has. Nothing here prints.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from . import backends
from . import data as table
from .backends import Ran, Window
from .checkpoint import Keeper, Kept, Place
from .columns import Columns
from .expr import Expr, asked
from .files import rooted
from .limits import Budget
from .optimizers import METHODS
from .options import Options, chosen_options, starts_of
from .recording import Recording
from .results import Progress, Result, Work, native, outcome
from .stepping import TICK
from .task import MANY, Task

SMALL = 30
"""Up to this many parameters, all numbers, a run that went well hears about its rates, too."""
PATIENCE = 2.0
"""Seconds that advice nobody asked for may take, where Lanczos' method gives it."""
RETRIES = 6
"""How often `:lr auto` starts anew with lower rates where it diverged."""
TROUBLED = ("diverged", "stalled")
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
        task = Task(loss, params, columns, options, budget, keeper.rates, 0.25**tried)
        result = yield from _Run(task, keeper).go()
        rose = result.status == "diverged" or result.loss > 1.01 * abs(result.first_loss)
        if tried:
            result.remarks.append(f"the advised rates led up: these are 1/{4**tried} of them")
        late = options.seconds is not None and result.seconds >= options.seconds
        over = late or tried == RETRIES or result.status == "interrupted"
        if over or not (options.auto and rose):
            return result
        keeper.again(result.seconds)


class _Run:
    """One training run: how it goes, and what it comes to."""

    def __init__(self, task: Task, keeper: Keeper) -> None:
        self.task, self.keeper = task, keeper
        self.options, self.moving = task.options, task.moving

    def go(self) -> Generator[Progress, None, Result]:
        """Take steps until there is a reason not to; the outcome."""
        self._begin()
        reason: str | None = None
        try:
            while True:
                reason = reason or self._looked()
                self.task.budget.clock()
                self.task.budget.room(self.recording.bytes)
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
        task = self.task
        self.first = float(task.at(task.start)[0])
        self.ceiling = RUNAWAY * (1 + abs(self.first))
        self.rates = self.options.rates if self.options.auto else {}
        fresh = Kept(
            Place({**task.state, " ceiling": self.ceiling}, 0, dict(task.start)),
            task.start,
            {name: np.empty(0) for name in task.recipe.recorded},
            [],
            seconds=self.keeper.seconds,
            rates=self.rates,
        )
        known = self.keeper.begin(task.facts, fresh)
        place = self.place = known.place
        self.start, self.snapshots = known.start, known.snapshots
        self.began, self.spent = time.perf_counter() - known.seconds, known.spent
        self.recording = Recording(
            Ran({**place.state}, known.history, None, place.done, known.every)
        )
        self.best, self.best_loss, self.waited = place.best, place.best_loss, place.waited
        self.epoch: tuple[dict[str, Any], list[Window]] | None = None

    def _left(self) -> int:
        return MANY if self.task.total is None else self.task.total - self.place.done

    def _late(self) -> str | None:
        limit = self.options.seconds
        late = limit is not None and time.perf_counter() - self.began >= limit
        return "time" if late and self._left() > 0 else None

    def _looked(self) -> str | None:
        """At the end of an epoch: is it the best so far, and a reason to end?"""
        task, place = self.task, self.place
        if not place.done or place.done % task.epoch_steps:
            return None
        reason = task.end(place.state) if task.batch else None
        if task.held:
            found = float(task.at(place.state, task.held)[0])
        else:
            found = place.epoch_loss / task.epoch_steps
        if found < self.best_loss:
            self.best, self.best_loss = {n: place.state[n] for n in self.moving}, found
            self.waited = 0
        else:
            self.waited += 1
        patience = self.options.patience
        return reason or ("patience" if patience is not None and self.waited >= patience else None)

    def _advance(self) -> str | None:
        """Take steps, for 50 ms or so, and up to whatever is due next; a reason to end."""
        began, task, place = time.perf_counter(), self.task, self.place
        at = place.done % task.epoch_steps if task.batch else 0
        if self.epoch is None or (task.batch and not at):
            self.epoch = task.epoch(place.done // task.epoch_steps)
        columns, windows = self.epoch
        most = min(self._left(), task.epoch_steps - at, self.keeper.ahead(place.done))
        if self.options.watch:
            most = min(most, self._seen())
        ran = task.stepper(place.state, columns, windows[at:], int(most))
        self.recording.add(ran)
        self.spent += time.perf_counter() - began
        if ran.steps and ran.state[TICK] == place.done + ran.steps:
            done = place.done + ran.steps
            loss = self._sum(place.epoch_loss if at else 0.0, ran) if task.batch else 0.0
            self.place = Place(ran.state, done, self.best, self.best_loss, self.waited, loss)
        return ran.stop

    def _sum(self, before: float, ran: Ran) -> float:
        """The losses of an epoch, summed one by one: it does not matter where a call ended."""
        with np.errstate(all="ignore"):
            return float(np.cumsum([before, *ran.records["loss"][: ran.steps]])[-1])

    def _progress(self) -> Progress:
        """Where it is, for whoever watches."""
        place = self.place
        return Progress(
            place.done,
            self.task.total,
            self.recording.last("loss", self.first),
            time.perf_counter() - self.began,
            {n: self.recording.state[n] for n in self.moving},
            self.task.view,
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

    def _seen(self) -> int:
        """Keep what the parameters are now, if it is time; how many steps to the next time."""
        done = self.place.done
        due = int(self.snapshots[-1][0] * GROWTH) + 1 if self.snapshots else 0
        if done >= due:
            at = {n: np.copy(self.place.state[n]) for n in self.moving}
            self.snapshots.append((done, at))
            due = int(done * GROWTH) + 1
        return due - done

    # ---- the outcome -----------------------------------------------------------------------------

    def _result(self, reason: str | None) -> Result:
        """What it came to, for this reason to end."""
        status = {"runaway": "diverged", "tol": "converged", None: "steps"}.get(reason, reason)
        assert status is not None
        task, state, done = self.task, self.recording.state, self.recording.steps
        best = self.best
        compared = task.recipe.whole and not task.held
        if compared and np.isfinite(state[" best"]):
            best = {n: state[f" best {n}"] for n in self.moving}
        last = {n: state[n] for n in self.moving}
        keeps = status in ("diverged", "patience") or bool(task.held)
        if status == "interrupted" and compared:
            keeps = not task.at(last)[0] <= task.at(best)[0]
        params = dict(best) if keeps else last
        loss, *slopes = task.at(params)
        if status != "diverged" and not self._sound(loss, slopes):  # one step too far
            status, params = "diverged", dict(best)
            loss, *slopes = task.at(params)
        params = {n: native(v) for n, v in params.items()}
        if status == "converged" and task.is_saddle(params):
            status = "stalled"
        notes, trouble = self.keeper.last(reason), None
        if status == "diverged":
            words, trouble = self._trouble(last, done)
            notes = [words, *notes]
        return Result(
            "train",
            status,
            {**params},
            dict(self.start),
            float(loss),
            self.first,
            {n: native(s) for n, s in zip(self.moving, slopes, strict=True)},
            done,
            time.perf_counter() - self.began,
            self.recording.history({**params, "loss": loss}),
            task.row.name,
            notes,
            float(task.at(params, task.held)[0]) if task.held else None,
            trouble=trouble,
            work=self._work(),
            view=task.view,
            snapshots=[*self.snapshots, (done, params)] if self.options.watch else [],
            advise=lambda: self._advice(status, params),
        )

    def _work(self) -> Work:
        """What ran the steps."""
        task = self.task
        stepper, rows = task.stepper, task.batch or task.rows
        threads = stepper.threads if rows >= backends.THREADED else 1
        seconds, spent = stepper.seconds, self.spent
        return Work(stepper.backend, threads, seconds, rows, spent, stepper.why, stepper.text)

    def _sound(self, loss: Any, slopes: Sequence[Any]) -> bool:
        finite = np.isfinite(loss) and all(np.isfinite(slope).all() for slope in slopes)
        return bool(finite and loss <= self.ceiling)

    def _trouble(self, params: Mapping[str, Any], done: int) -> tuple[str, Expr | None]:
        """Why it diverged: what stopped being finite, where and when."""
        found = self.task.trouble(params, f"at step {done}")
        grown = f"at step {done} the loss had grown over {RUNAWAY:g} times its start"
        return found or (grown, None)

    def _advice(self, status: str, params: Mapping[str, Any]) -> list[str]:
        """Rates that would do, where one did not."""
        from .advice import advice_at

        descends = self.task.row.name in ("gd", "momentum", "nesterov")
        surface = self.task.surface
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
