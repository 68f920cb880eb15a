"""From a loss, parameters and columns to trained parameters: builds a step, iterates it, judges.

The step is a bundle of expressions: gradient, update rule, schedule, clipping, decay and bounds
become the *next* state; a loss or gradient that is not finite, a runaway, a tolerance or a
condition become reasons to *stop*, judged before the update. Python shuffles between epochs and
judges hold-out, patience and time between calls. Nothing here prints.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, inf
from typing import Any

import numpy as np

from . import backends
from . import data as table
from .advise import Curvature, curvature
from .backends import Ran, Step, Window
from .derivative import gradient
from .errors import NablispError, nearest
from .evaluate import ROWS, as_value, evaluate
from .expr import OPS, Call, Expr, Num, Sym, as_expr, asked, formula, names, postorder, substitute
from .limits import Budget
from .optimizers import OPTIMIZERS, SCHEDULES
from .options import RANGES, Options, check_loss, in_range, moving, optimizer_of, used
from .printer import brief, number
from .results import Result, Work
from .shapes import Shape, ShapeEnv, shape_of

STEPS = 1000
"""How many steps are taken when nothing says."""
MANY = 1 << 40
"""Steps without an end."""
RUNAWAY = 1e10
"""A loss that grows by this factor over its start has run away."""
TICK = " t"  # names of optimizer state hold a blank, which no name of the language does


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run is, for whoever watches."""

    step: int
    total: int | None
    loss: float
    seconds: float


def train(
    loss: Any,
    params: Mapping[str, Any],
    *,
    data: Any = None,
    lr: float | Mapping[str, float] | None = None,
    schedule: tuple[Any, ...] | None = None,
    until: Any = None,
    wrt: Sequence[str] | None = None,
    **options: Any,
) -> Result:
    """Train parameters to make a loss small; the engine of `(train …)` without a session.

    `loss` is a scalar expression of parameters and columns; `params` maps names to starts (numbers
    or arrays), `data` names to columns, row axis first. Options are those of `Options`; `lr` may
    map names to rates, `schedule` is e.g. `("cosine", 0.1, 0.001)`.

    >>> r = train(loss, {"m": 0, "b": 0}, data={"x": xs}, lr=0.1, steps=20)
    >>> r.params["m"]

    Raises NablispError: "shape" for a loss that is no scalar, "unbound-name" for a name that is
    neither parameter nor column, "value" for an option out of range.
    """
    columns = table.as_columns(data) if data is not None else {}
    settings = {}
    for name in list(options):
        word = name.replace("_", "-")
        if any(name in row.settings for row in OPTIMIZERS.values()):
            settings[name] = in_range(name, options.pop(name))
        elif name not in Options.__dataclass_fields__:
            close = nearest(name, Options.__dataclass_fields__)
            raise NablispError(
                "keyword",
                f"train has no option {name}",
                hint=f"did you mean {close}?" if close else "",
            )
        elif word in RANGES and options[name] is not None:
            options[name] = in_range(word, options[name])
    rates = lr if isinstance(lr, Mapping) else {}
    chosen = Options(
        lr=None if lr is None or isinstance(lr, Mapping) else in_range("lr", lr),
        rates={name: in_range("lr", rate, f"the rate of {name}") for name, rate in rates.items()},
        schedule=_rule(schedule),
        until=None if until is None else as_expr(until),
        wrt=None if wrt is None else (wrt,) if isinstance(wrt, str) else tuple(wrt),
        settings=settings,
        **options,
    )
    start = {name: as_value(value, name) for name, value in params.items()}
    run = training(asked(loss), start, columns, chosen)
    while True:
        try:
            next(run)
        except StopIteration as stop:
            result: Result = stop.value
            return result


def _rule(schedule: tuple[Any, ...] | str | None) -> tuple[str, tuple[float, ...]] | None:
    """A schedule's name and numbers."""
    if schedule is None or isinstance(schedule, str):
        return None if schedule is None else (schedule, ())
    return schedule[0], tuple(
        in_range("", value, "a number of :schedule") for value in schedule[1:]
    )


def training(
    loss: Expr,
    params: Mapping[str, Any],
    columns: Mapping[str, Any],
    options: Options,
    budget: Budget | None = None,
) -> Generator[Progress, None, Result]:
    """Yields progress about every 50 ms; returns the result."""
    return _Run(loss, params, columns, options, budget or Budget()).go()


class _Run:
    """One training run: what it needs, and how it is judged."""

    def __init__(
        self,
        loss: Expr,
        params: Mapping[str, Any],
        columns: Mapping[str, Any],
        options: Options,
        budget: Budget,
    ) -> None:
        params = {name: _native(value) for name, value in params.items()}
        self.loss, self.options, self.budget = loss, options, budget
        self.row = optimizer_of(options)
        self.rows = len(next(iter(columns.values()))) if columns else 0
        self.shapes: ShapeEnv = {
            **{name: tuple(np.shape(value)) for name, value in params.items()},
            **{name: ("rows", *np.shape(column)[1:]) for name, column in columns.items()},
        }
        inside = names(loss)
        self.moving = moving(inside, params, options)
        check_loss(loss, self.shapes, params, options)
        self.fixed = {n: v for n, v in params.items() if n not in self.moving}
        self.columns = {n: c for n, c in columns.items() if n in inside or used(options, n)}
        self.held: dict[str, Any] = {}
        self.kept: Any = range(self.rows)
        if options.holdout is not None:
            self.kept, held = table.split(self.rows, options.holdout, options.seed)
            self.held = {n: c[held] for n, c in self.columns.items()}
            self.columns = {n: c[self.kept] for n, c in self.columns.items()}
            self.rows = len(self.kept)
        self.batch = self._batch()
        self.total = self._total()
        self.start = {n: params[n] for n in self.moving}
        self.slopes = gradient(loss, [Sym(n) for n in self.moving], self.shapes)
        self._check_size([loss, *self.slopes])
        given = {n: as_expr(v) for n, v in self.fixed.items()}
        replaced = substitute(
            [loss if options.until is None else options.until, loss, *self.slopes],
            {Sym(n): v for n, v in given.items()},
        )
        self.until, self.fixed_loss, *self.fixed_slopes = replaced
        self.ends = self._ends()
        step, self.state = self._step()
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

    def _check_size(self, roots: Sequence[Expr]) -> None:
        """Refuse what is larger than the budget allows, before it is computed."""
        known: dict[Expr, Shape] = {}
        for root in roots:
            shape_of(root, self.shapes, known)
        self.budget.node(len(known))
        for shape in known.values():
            self.budget.array(tuple(self.rows if n == "rows" else int(n) for n in shape))

    # ---- the parts of a step ---------------------------------------------------------------------

    def _batch(self) -> int | None:
        if self.options.batch is None:
            return None
        if not self.columns:
            raise NablispError("value", ":batch needs columns, and this loss has none")
        return min(self.options.batch, self.rows)

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

    def _ends(self) -> dict[str, Expr]:
        """What ends a run well, as conditions over all rows."""
        found = {}
        if self.options.tol is not None:
            found["tol"] = _op("<=", self._steepest(), self.options.tol)
        if self.options.until is not None:
            found["until"] = self.until
        return found

    def _steepest(self) -> Expr:
        """The largest entry of the gradient."""
        steep = zip(self.moving, self.fixed_slopes, strict=True)
        largest = [self._whole_of("amax", n, _op("abs", slope)) for n, slope in steep]
        return _op("max", *largest) if len(largest) > 1 else largest[0]

    def _whole_of(self, reduction: str, name: str, e: Expr) -> Expr:
        """A reduction of something shaped like a parameter; a number is its own."""
        return _op(reduction, e) if np.ndim(self.start[name]) else e

    def _step(self) -> tuple[Step, dict[str, Any]]:
        """The bundle, and the state it starts from."""
        o, row = self.options, self.row
        slopes = dict(zip(self.moving, self.fixed_slopes, strict=True))
        loss = self.fixed_loss
        stop = {
            "diverged": _op("not", _op("finite?", _op("+", loss, self._steepest()))),
            "runaway": _op(">", loss, Sym(" ceiling")),
        }
        if self.whole:  # a batch is no judge of these
            stop.update(self.ends)
        if self.batch and self.rows % self.batch:  # a short last batch counts for its rows
            share = _op("/", _op("rows"), float(self.batch))
            slopes = {n: _op("*", share, g) for n, g in slopes.items()}
        if o.weight_decay and not row.decoupled:
            slopes = {n: _op("+", g, _op("*", o.weight_decay, Sym(n))) for n, g in slopes.items()}
        if o.clip is not None:
            squares = [self._whole_of("sum", n, _op("**", g, 2)) for n, g in slopes.items()]
            norm = _op("sqrt", _op("+", *squares))
            factor = _op("where", _op(">", norm, o.clip), _op("/", o.clip, norm), 1)
            slopes = {n: _op("*", factor, g) for n, g in slopes.items()}
        state: dict[str, Any] = {**self.start, TICK: 0.0, " ceiling": inf}
        tick = _op("+", Sym(TICK), 1)
        following: dict[str, Expr] = {TICK: tick, " ceiling": Sym(" ceiling")}
        rates = self._rates(tick)
        for name, slope in slopes.items():
            self._update(name, slope, tick, rates[name], following, state)
        if self.whole:  # the best so far, and where it was
            better = _op("<", loss, Sym(" best"))
            state[" best"] = float("inf")
            following[" best"] = _op("where", better, loss, Sym(" best"))
            if o.patience is not None and not self.held:
                waited = _op("where", better, 0, _op("+", Sym(" waited"), 1))
                stop["patience"] = _op(">=", waited, o.patience)
                state[" waited"], following[" waited"] = 0.0, waited
            for name in self.moving:
                state[f" best {name}"] = self.start[name]
                following[f" best {name}"] = _op("where", better, Sym(name), Sym(f" best {name}"))
        emit = {name: loss if name == "loss" else Sym(name) for name in self._recorded()}
        return Step(following, stop, emit), state

    def _recorded(self) -> list[str]:
        """What history holds: the loss, and the parameters that are numbers."""
        return ["loss", *(n for n in self.moving if not np.ndim(self.start[n]))]

    @property
    def whole(self) -> bool:
        """Does every step see all rows, so that losses of steps compare?"""
        return self.batch is None

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
        row, o = self.row, self.options
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
                new = new if low is None else _op("max", new, low)
                new = new if high is None else _op("min", new, high)
            meaning[Sym(part)] = new
            following[name if part == "p" else f"{name} {part}"] = new

    def _rates(self, tick: Expr) -> dict[str, Expr]:
        """The learning rate of every parameter, as an expression of the step number."""
        o = self.options
        for name in o.rates:
            if name not in self.moving:
                close = nearest(name, self.moving)
                raise NablispError(
                    "unbound-name",
                    f":lr names {name}, which is not trained here",
                    hint=f"did you mean {close}?" if close else "",
                )
        base = self.row.rate if o.lr is None else o.lr
        if o.schedule is None:
            return {n: Num(o.rates.get(n, base)) for n in self.moving}
        if o.lr is not None:
            raise NablispError(
                "value",
                ":schedule gives the rate of every step, and :lr another",
                hint="leave one of them out",
            )
        kind, args = o.schedule
        if kind not in SCHEDULES:
            close = nearest(kind, SCHEDULES)
            raise NablispError(
                "value",
                f"there is no schedule called {kind}",
                hint=f"did you mean {close}?" if close else f"one of {', '.join(SCHEDULES)}",
            )
        signature, text = SCHEDULES[kind]
        if len(args) != signature.count(" "):
            raise NablispError(
                "arity",
                f"{kind} takes {signature.count(' ')} numbers, not {len(args)}",
                hint=signature,
            )
        if self.total is None:
            raise NablispError("value", "a schedule needs :steps or :epochs", hint=signature)
        rule = substitute(
            [formula(text)],
            {
                **{Sym(n): as_expr(float(v)) for n, v in zip("abc", args, strict=False)},
                Sym("t"): tick,
                Sym("total"): as_expr(float(max(self.total, 1))),
            },
        )[0]
        first = substitute([rule], {Sym(TICK): Num(0)})[0]
        start = evaluate([first], {})[0] or 1.0
        return {
            n: _op("*", o.rates[n] / start, rule) if n in o.rates else rule for n in self.moving
        }

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
        began = time.perf_counter()
        first = float(self.at(self.start)[0])
        self.ceiling = RUNAWAY * (1 + abs(first))
        stepper, state = self.stepper, {**self.state, " ceiling": self.ceiling}
        runs: list[Ran] = []  # all that an interrupt leaves behind: it grows at one blow
        best, best_loss, waited, done = dict(self.start), np.inf, 0, 0
        reason: str | None = None
        epoch, spent = 0, 0.0
        judged = bool(self.held)
        columns, windows = self._epoch(epoch)
        try:
            while reason is None and (self.total is None or done < self.total):
                if self.options.seconds is not None and (
                    time.perf_counter() - began >= self.options.seconds
                ):
                    reason = "time"
                    break
                left = MANY if self.total is None else self.total - done
                most = len(windows) if self.batch else 1 if judged else MANY
                before = time.perf_counter()
                runs.append(stepper(state, columns, windows, min(left, most)))
                spent += time.perf_counter() - before
                ran = runs[-1]
                state, reason = ran.state, ran.stop
                done += ran.steps
                if self.batch:
                    windows = windows[ran.steps :]
                    looks = not windows
                    if looks:
                        epoch += 1
                        columns, windows = self._epoch(epoch)
                        reason = reason or self._end(state)
                else:
                    looks = judged
                if looks and reason in (None, *self.ends):
                    found = self._judge(state, runs)
                    waited = 0 if found < best_loss else waited + 1
                    if found < best_loss:
                        best, best_loss = {n: state[n] for n in self.moving}, found
                    if self.options.patience is not None and waited >= self.options.patience:
                        reason = reason or "patience"
                self.budget.clock()
                losses = ran.records["loss"]
                loss = float(losses[-1]) if len(losses) else first
                yield Progress(done, self.total, loss, time.perf_counter() - began)
        except KeyboardInterrupt:
            reason = "interrupted"
        state, done = (runs[-1].state if runs else state), sum(ran.steps for ran in runs)
        if self.whole and not judged and np.isfinite(state[" best"]):
            best = {n: state[f" best {n}"] for n in self.moving}
        none = np.empty(0)
        history = {
            n: np.concatenate([none, *(ran.records[n] for ran in runs)]) for n in self._recorded()
        }
        rows = self.batch or self.rows
        threads = stepper.threads if rows >= backends.THREADED else 1
        self.work = Work(
            stepper.backend, threads, stepper.seconds, rows, spent, stepper.why, stepper.text
        )
        try:
            return self._result(reason, state, best, history, done, first, began)
        except KeyboardInterrupt:  # pressed while the outcome was worked out: it is, once more
            reason = reason or "interrupted"
            return self._result(reason, state, best, history, done, first, began)

    def _end(self, state: Mapping[str, Any]) -> str | None:
        """The reason to end after an epoch, judged over all rows."""
        values = self._given(self.ended, state, self.columns)
        return next((reason for reason, true in zip(self.ends, values, strict=True) if true), None)

    def _epoch(self, epoch: int) -> tuple[dict[str, Any], list[Window]]:
        """The columns in this epoch's order, and its batches."""
        if self.batch is None:
            return self.columns, [(0, self.rows)]
        order = table.row_order(self.rows, self.options.seed, epoch)
        columns = {name: column[order] for name, column in self.columns.items()}
        starts = range(0, self.rows, self.batch)
        return columns, [(i, min(i + self.batch, self.rows)) for i in starts]

    def _judge(self, state: Mapping[str, Any], runs: Sequence[Ran]) -> float:
        """What patience judges: the rows held out, else this epoch's mean loss."""
        if self.held:
            return float(self.at(state, self.held)[0])
        recent, steps = 0.0, ceil(self.rows / (self.batch or self.rows))
        left = steps
        for ran in reversed(runs):
            losses = ran.records["loss"][-left:] if left else ()
            recent, left = recent + float(np.sum(losses)), left - len(losses)
            if not left:
                break
        return recent / (steps - left) if steps > left else np.inf

    # ---- the outcome -----------------------------------------------------------------------------

    def _result(
        self,
        reason: str | None,
        state: Mapping[str, Any],
        best: Mapping[str, Any],
        records: Mapping[str, np.ndarray[Any, Any]],
        done: int,
        first: float,
        began: float,
    ) -> Result:
        status = {"runaway": "diverged", "tol": "converged", None: "steps"}.get(reason, reason)
        assert status is not None
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
        history = {n: np.append(v, loss if n == "loss" else params[n]) for n, v in records.items()}
        if status == "converged" and self._is_saddle(params):
            status = "stalled"
        notes, trouble = self._trouble(last, done) if status == "diverged" else ([], None)
        return Result(
            "train",
            status,
            {**params},
            dict(self.start),
            float(loss),
            first,
            {n: _native(s) for n, s in zip(self.moving, slopes, strict=True)},
            done,
            time.perf_counter() - began,
            history,
            self.row.name,
            notes,
            float(self.at(params, self.held)[0]) if self.held else None,
            trouble=trouble,
            work=self.work,
            advise=lambda: self._advice(status, params),
        )

    def _sound(self, loss: Any, slopes: Sequence[Any]) -> bool:
        finite = np.isfinite(loss) and all(np.isfinite(slope).all() for slope in slopes)
        return bool(finite and loss <= self.ceiling)

    def _is_saddle(self, params: Mapping[str, Any]) -> bool:
        """Does the loss fall in some direction, though the gradient is 0?"""
        bend = self._curvature(params)
        if bend is None:
            return False
        return bend.eigenvalues[0] < -1e-9 * max(abs(e) for e in bend.eigenvalues)

    def _curvature(self, params: Mapping[str, Any]) -> Curvature | None:
        """The curvature of the loss over all rows."""

        def values(cells: Sequence[Expr]) -> list[Any]:
            return self._given(self._compiled(cells, 1), params, self.columns)

        return curvature(self.fixed_loss, self.moving, self.shapes, values)

    def _trouble(self, params: Mapping[str, Any], done: int) -> tuple[list[str], Expr | None]:
        """Which sub-expression stopped being finite, at which row and step."""
        env = {**params, **self.columns, ROWS: float(self.rows)}
        found = first_not_finite([self.fixed_loss, *self.fixed_slopes], env)
        if found is None:
            return [f"at step {done} the loss had grown over {RUNAWAY:g} times its start"], None
        node, row, value = found
        where = f", row {self.kept[row]}" if row is not None else ""
        return [f"at step {done}{where}: {brief(node)} became {number(value)}"], node

    def _advice(self, status: str, params: Mapping[str, Any]) -> list[str]:
        """Rates that would do, where one did not."""
        descends = self.row.name in ("gd", "momentum", "nesterov")
        if not descends or status not in ("steps", "diverged", "time"):
            return []
        bend = self._curvature(params)
        if bend is None:
            return []
        notes = []
        if status == "diverged" and np.isfinite(bend.limit):
            notes.append(
                f"the largest stable learning rate for this loss is about {bend.limit:.6g}"
            )
        one_rate = not self.options.rates and self.options.schedule is None
        if one_rate and bend.condition > 100 and bend.rates and len(self.moving) > 1:
            rates = " ".join(f"({n} {r:.4g})" for n, r in bend.rates.items())
            what = f"{bend.condition:.4g}" if np.isfinite(bend.condition) else "infinite"
            notes.append(
                f"one rate cannot suit all parameters (condition number {what}); try\n:lr ({rates})"
            )
        return notes


def first_not_finite(
    roots: Sequence[Expr], env: Mapping[str, Any]
) -> tuple[Expr, int | None, float] | None:
    """The first operation whose value is not finite though its arguments are; row and value."""
    order = postorder(*roots)
    values = dict(zip(order, evaluate(order, env), strict=True))
    for node in order:
        if not isinstance(node, Call) and not isinstance(node, Sym):
            continue
        value = np.asarray(values[node], dtype=float)
        bad = ~np.isfinite(value)
        if bad.any():
            at = np.argwhere(bad)[0]
            row = int(at[0]) if value.ndim else None
            return node, row, float(value[tuple(at)])
    return None


def _op(name: str, *args: Any) -> Expr:
    return Call(OPS[name], tuple(as_expr(arg) for arg in args))


def _native(value: Any) -> Any:
    return float(value) if np.ndim(value) == 0 else np.asarray(value)
