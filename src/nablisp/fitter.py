"""From responses, a model and columns to estimates with a certificate: least squares, whole.

A descent from the start, Newton's steps to the last digit, a judgement; a search where the surface
is treacherous. Of many rows a sample is fitted first, then all of them in blocks.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import count
from math import nan
from typing import Any

import numpy as np

from . import data as table
from . import sprint
from .blocks import Block, Blocks, known
from .certificate import FitResult
from .columns import Columns
from .errors import NablispError
from .expr import Expr, Sym, as_expr, asked, size
from .fit_options import FitOptions, bounds_of, in_fit_range, weighing
from .least_squares import Bounds, Tick, descend, polish
from .limits import Budget
from .model import ROBUST, SCALE, weight_name
from .options import starts_of
from .problem import Problem, Vector, posed
from .residuals import Rows
from .results import Progress
from .search import POOR, Candidate, Search, judged
from .symmetry import nearest_image, symmetries
from .trouble import trouble
from .verdict import certified

HOT, OVERHEAD = 1_000_000, 200
"""Rows that fits of a model have gone through after which they get machine code of their own; and
how many more a pass counts for. No clock decides: the same program gives the same digits."""
LARGE = 16_384
"""Rows up to which a fit holds all slopes."""
SAMPLES = 2_048, 65_536
"""How many rows are drawn from more to begin with, and to go on with."""


def fit(
    y: Any,
    model: Any,
    params: Mapping[str, Any],
    *,
    data: Any = None,
    sigma: Any = None,
    weights: Any = None,
    loss: str | None = None,
    scale: float | None = None,
    starts: int | None = None,
    bounds: Mapping[str, tuple[float | None, float | None]] | None = None,
    fixed: Sequence[str] = (),
    seconds: float | None = None,
    threads: int | None = None,
) -> FitResult:
    """Fit a model to data by least squares; the engine of `(fit y model …)` without a session.

    `y` is an expression or a column's name, `model` an expression of parameters and columns, with
    one value (or several) per row; lists of them make several responses. `params` maps names to
    starts (numbers or arrays), `data` names to columns, row axis first. `sigma` are standard
    deviations of the responses (errors are then not rescaled), `weights` relative weights, `loss`
    "huber", "soft-l1" or "cauchy" a robust loss with its `scale`; `starts` how many others to try.

    >>> r = fit("y", parse("(* a (exp (* k x)))"), {"a": 1, "k": 0}, data={"x": xs, "y": ys})
    >>> r.params["k"], r.se["k"], r.status

    Raises NablispError: "unbound-name" for a name without a value, "shape" where rows do not fit,
    "data" for what is not finite, "value" for an option out of range.
    """
    start = starts_of(params)
    columns = Columns()
    columns.add(table.as_columns(data) if data is not None else {})
    responses = [_column(v, f" response {k}", columns) for k, v in enumerate(_listed(y))]
    models = [asked(v) for v in _listed(model)]
    weighed: dict[str, Any] = {
        name: weighing([_given(v) for v in _listed(value)], len(responses), name, columns)
        for name, value in (("sigma", sigma), ("weights", weights))
        if value is not None
    }
    numbers = {"scale": scale, "starts": starts, "seconds": seconds, "threads": threads}
    chosen = FitOptions(
        **weighed,
        loss=loss,
        bounds=bounds_of(bounds or {}),
        fixed=frozenset((fixed,) if isinstance(fixed, str) else fixed),
        **{n: in_fit_range(n, v) for n, v in numbers.items() if v is not None},
    )
    return fitted(responses, models, start, columns, chosen)


def _listed(value: Any) -> list[Any]:
    """Several responses or models, or one; numbers in a list are a column."""
    several = isinstance(value, (list, tuple)) and value and not np.isscalar(value[0])
    names = isinstance(value, (list, tuple)) and all(isinstance(v, str) for v in value)
    return list(value) if several or names else [value]


def _column(value: Any, name: str, columns: Any) -> Expr:
    """A column's name, an expression, or numbers, which become a column of this name."""
    if isinstance(value, str):
        return Sym(value)
    if isinstance(value, (Expr, int, float)):
        return as_expr(value)
    word = name.split(maxsplit=1)[0]
    columns[name] = table.as_columns({word: value})[word]
    return Sym(name)


def _given(value: Any) -> Any:
    """A column's name as what it stands for; numbers as they are."""
    if isinstance(value, str):
        return Sym(value)
    return value if isinstance(value, Expr) or np.isscalar(value) else np.asarray(value)


# ---- solving -------------------------------------------------------------------------------------


def fitted(
    responses: Sequence[Expr],
    models: Sequence[Expr],
    params: Mapping[str, Any],
    columns: Any,
    options: FitOptions,
    budget: Budget | None = None,
    see: Callable[[Progress], None] | None = None,
) -> FitResult:
    """The result of a fit; see `fit`. Whoever watches sees how many steps were tried so far."""
    began = time.perf_counter()
    problem = posed(responses, models, params, columns, options)
    if budget is not None:
        budget.node(size(*(slope for slopes in problem.model.slopes for slope in slopes)))
        budget.array((min(columns.rows, LARGE), len(models), len(problem.scalars) + 1))
        budget.begin()
    with np.errstate(all="ignore"):
        found = _solved(problem, _ticking(options.seconds, began, budget, see))
    found.seconds = time.perf_counter() - began
    return found


def _ticking(
    limit: float | None,
    began: float,
    budget: Budget | None,
    see: Callable[[Progress], None] | None,
) -> Tick:
    """What every step calls: is the time up?"""
    steps = count(1)

    def tick() -> bool:
        seconds = time.perf_counter() - began
        if budget is not None:
            budget.clock()
        if see is not None:
            see(Progress(next(steps), None, nan, seconds, limit=limit, run="fit"))
        return limit is not None and seconds > limit

    return tick


def _solved(problem: Problem, tick: Tick) -> FitResult:
    """The fit of all rows; of many, after that of a sample of them."""
    total = problem.columns.rows
    if total <= LARGE:
        values = problem.values(problem.columns, total)
        if (scaled := problem.rescaled(values)) is not problem:
            problem, values = scaled, scaled.values(problem.columns, total)
        rows, start = _rows(problem, values, total, tick)
        model = problem.model
        if model.spent > HOT and (found := _quick(problem, rows, rows, start)):
            return certified(problem, *found, [])
        candidate, search, remarks = _small(problem, rows, start, tick)
        model.spent += rows.evaluations * (total + OVERHEAD)
        return certified(problem, rows, candidate, search, remarks)
    if problem.model.spent > HOT and not problem.columns.streamed:
        few, start = _sampled(problem, problem.columns, tick)
        whole = Rows(problem.model, {**_whole(problem), SCALE: few.scale}, total)
        if found := _quick(problem, few, whole, start):
            return certified(problem, *found, [])
    some = Columns(problem.columns.sample(problem.inside, SAMPLES[1], 0))
    problem = problem.rescaled(problem.values(some, some.rows))
    few, start = _sampled(problem, some, tick)
    candidate, search, remarks = _small(problem, few, start, tick)
    model, threads = problem.model, problem.options.threads
    if total > 4 * some.rows:
        between = Blocks(model, _passes(problem, some, few), few, some.rows, threads, total)
        point = polish(between, candidate.point.at, problem.bounds, 3, tick)
        candidate = candidate if point is None else Candidate(point, steps=candidate.steps)
    blocks = Blocks(model, _passes(problem, problem.columns, few), few, total, threads)
    candidate = _large(problem, blocks, candidate, search)
    model.spent += blocks.evaluations * total
    return certified(problem, blocks, candidate, search, remarks)


def _sampled(problem: Problem, columns: Columns, tick: Tick) -> tuple[Rows, Vector]:
    """The problem on some of its rows, and where to start."""
    sample = columns.sample(problem.inside, SAMPLES[0], 0)
    count = len(next(iter(sample.values())))
    return _rows(problem, problem.values(sample, count), count, tick)


def _quick(
    problem: Problem, few: Rows, whole: Rows, start: Vector
) -> tuple[Blocks, Candidate, Search] | None:
    """The fit in machine code alone, first of a few rows; None where anything is out of order."""
    model, threads = problem.model, problem.options.threads
    free = problem.options.starts is None and not problem.bounds.any
    if not free or len(model.names) > sprint.FEW or model.compiled.get("unsure"):
        return None
    descent = sprint.sprint(model, start, few.given, few.rows, threads)
    if descent is None or descent.rough:
        return None
    last = descent
    if whole is not few:
        last = sprint.sprint(model, descent.b, whole.given, whole.rows, threads) or descent
    blocks = Blocks(model, partial(_once, whole), few, whole.rows, threads, backend="native")
    blocks.before = last.triangle
    if whole is few:
        blocks.facts = {"weighed": few.weighed, "spread": few.spread, "size": few.size**2}
    point = polish(blocks, last.b, problem.bounds)
    if point is None:
        return None
    search = Search(few, start, problem.bounds)
    search.descent = descent
    candidate = judged(blocks, point)
    candidate.steps = descent.steps + (0 if last is descent else last.steps) + point.steps
    if search.treacherous(candidate, blocks.r2(candidate.squares)):
        return None
    some = Blocks(model, partial(_once, few), few, few.rows, 1, backend="native")
    if not some.sure(point.at, point.normal if whole is few else some.normal(point.b)):
        model.compiled["unsure"] = True
        return None
    image = _image(few, candidate, start, problem.bounds)
    return None if image is not candidate else (blocks, candidate, search)


def _once(rows: Rows) -> Iterator[Block]:
    """Rows in memory as one block."""
    yield rows.given, rows.rows


def _whole(problem: Problem) -> dict[str, Any]:
    """The values of all rows, in memory."""
    return known(problem.values(problem.columns, problem.columns.rows))


def _small(
    problem: Problem, rows: Rows, start: Vector, tick: Tick
) -> tuple[Candidate, Search, list[str]]:
    """From the start to the best point that can be had; NablispError where there is none."""
    search = Search(rows, start, problem.bounds, tick)
    candidate = search.first()
    remarks: list[str] = []
    starts = problem.options.starts
    if rows.others and starts != 0 and (starts is not None or search.treacherous(candidate)):
        before = candidate
        try:
            candidate = search.elsewhere(candidate, starts)
        except KeyboardInterrupt:
            if before is None:
                raise
            search.late = "interrupted"
            remarks.append("not all starts were tried")
        if before is None and candidate is not None:
            remarks.append(f"{_not_finite(problem, rows, start)}; other starts were tried")
        elif candidate is not before:
            remarks.append("the start led elsewhere; this was found from others")
    if candidate is None:
        raise NablispError(
            "value",
            _not_finite(problem, rows, start),
            hint="give the parameters other starts: (params (a 1) (b 0.1))",
        )
    return _image(rows, candidate, problem.start, problem.bounds), search, remarks


def _large(problem: Problem, blocks: Blocks, candidate: Candidate, search: Search) -> Candidate:
    """The point of a sample carried to that of all rows; or the start, where that is lower."""
    bounds, tick, at = problem.bounds, search.tick, candidate.point.at
    least = blocks.squares(at)
    if blocks.squares(search.start) < least or not blocks.r2(least) > POOR:
        descent = descend(blocks, search.start, bounds, 60, tick)
        if descent.squares < least:
            at, candidate.steps = descent.b, descent.steps
    point = polish(blocks, at, bounds, tick=tick)
    found = None if point is None else judged(blocks, point)
    if found is None or "step" in found.complaints or "gradient" in found.complaints:
        descent = descend(blocks, at, bounds, 60, tick)
        candidate.steps += descent.steps
        point = polish(blocks, descent.b, bounds, tick=tick)
        found = found if point is None else judged(blocks, point)
    if found is None:
        _refuse_not_finite(problem)
        raise NablispError(
            "value",
            "sums over all rows are not finite at what a sample gives",
            hint="give the parameters other starts, or the columns other units",
        )
    found.steps = candidate.steps + found.point.steps
    search.lowest = np.inf  # it was of the sample
    return found


def _passes(problem: Problem, columns: Any, few: Rows) -> Callable[[], Iterator[Block]]:
    """What yields the values of columns, block by block; in memory they are one block."""
    scale = few.scale
    if not columns.streamed:
        whole = known({**problem.values(columns, columns.rows), SCALE: scale})
        return partial(_once, Rows(problem.model, whole, columns.rows))

    def blocks() -> Iterator[Block]:
        for block in columns.blocks(problem.inside):
            rows = len(next(iter(block.values())))
            yield known({**problem.values(block, rows), SCALE: scale}), rows

    return blocks


def _refuse_not_finite(problem: Problem) -> None:
    """NablispError "data" for the first value of the columns that is not finite."""
    at = 0
    for block in problem.columns.blocks(problem.inside):
        rows = len(next(iter(block.values())))
        problem.check_finite(problem.values(block, rows), rows, at)
        at += rows


def _rows(
    problem: Problem, values: Mapping[str, Any], count: int, tick: Tick
) -> tuple[Rows, Vector]:
    """The problem on rows in memory, and where to start; NablispError "data" for what is no number.

    The start is the user's; of a robust loss whose scale is not given, what the scale was found at.
    """
    given = known(values)
    problem.check_finite(given, count)
    options, start = problem.options, problem.bounds.clip(problem.start)
    given[SCALE] = (options.scale or 1.0) * problem.unit
    if options.loss is not None and options.scale is None:
        given[SCALE], start = _robust_scale(problem, given, count, start, tick)
    return Rows(problem.model, given, count), start


def _robust_scale(
    problem: Problem, values: Mapping[str, Any], count: int, start: Vector, tick: Tick
) -> tuple[float, Vector]:
    """The scale of a robust loss from the residuals' median: of least squares, then of its own fit.

    Also where that fit came to.
    """
    loss = problem.options.loss
    assert loss is not None
    plain = replace(problem, options=replace(problem.options, loss=None))
    rows = Rows(plain.model, values, count)
    at = _small(plain, rows, start, tick)[0].point.at
    counts = np.concatenate(
        [
            np.broadcast_to(values.get(weight_name(k), 1.0), count) != 0
            for k in range(len(problem.models))
        ]
    )
    scale = 0.0
    for _ in range(20):
        size = float(np.median(np.abs(rows.residuals(at)[counts]))) * 1.482602218505602
        new = ROBUST[loss][1] * size
        if not new > 0 or abs(new - scale) <= 1e-3 * scale:
            break
        scale = new
        robust = Rows(problem.model, {**values, SCALE: scale}, count)
        candidate = Search(robust, at, problem.bounds, tick).first()
        if candidate is None:
            break
        at = candidate.point.at
    return scale or 1.0, at


def _not_finite(problem: Problem, rows: Rows, start: Vector) -> str:
    """Where the model is not finite at the start, in words."""
    env = dict(zip(problem.scalars, start.tolist(), strict=True))
    env.update(zip(rows.model.columns, rows.values, strict=True))
    found = trouble("at the start", problem.models, env)
    if found is None:
        found = trouble(
            "at the start, a derivative", [s for row in rows.model.slopes for s in row], env
        )
    return found[0] if found is not None else "the model is not finite near the start"


def _image(rows: Rows, candidate: Candidate, start: Vector, bounds: Bounds) -> Candidate:
    """Of the points that a symmetry of the model makes equal, the nearest to the start."""
    at = candidate.point.at
    if np.all(np.abs(at - start) <= 0.5 * np.abs(start)) or not rows.others:
        return candidate
    group = rows.model.compiled.get("symmetries")
    if group is None:
        group = rows.model.compiled["symmetries"] = symmetries(rows.model, rows, at)
    image = nearest_image(group, at, start, bounds)
    if image is None:
        return candidate
    point = polish(rows, image, bounds)
    if point is None or point.normal.squares > candidate.squares * (1 + 1e-6) + 1e-300:
        return candidate
    other = judged(rows, point)
    other.steps = candidate.steps
    return candidate if other.complaints and not candidate.complaints else other
