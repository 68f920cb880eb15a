"""What of a loss and its runs can be drawn: turns formulas, columns and parameters into figures.

A loss compares: in it a part that moves is subtracted from one that does not, row by row. The first
is a model, the second its target. Over the one column they hold both are curves; a model of several
columns is drawn against its target, where the diagonal is perfect.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple, Protocol

import numpy as np

from .accurate import accurate
from .errors import NablispError
from .evaluate import ROWS, evaluate
from .expr import Call, Expr, Sym, call, names, postorder
from .figure import Figure, Line, Points, Series, Vector, widened
from .printer import formula
from .shapes import ShapeEnv, shape_of

MANY = 2000
"""Rows that are drawn; of more, that many, evenly spaced."""
GRID = 241
"""Points of a curve."""
NEAR = 0.25
"""How far the frame goes to show where a model starts, as a share of its targets' range."""
LABEL = 40
"""Characters of a formula that labels itself; a longer one is called by its role."""


class Pair(NamedTuple):
    """A model and what it is compared with: one value per row each."""

    model: Expr
    target: Expr


def compared(loss: Expr, moving: Collection[str], shapes: ShapeEnv) -> list[Pair]:
    """The models in a loss with their targets, from the root down; logits as probabilities."""
    memo: dict[Expr, Any] = {}
    moves: dict[Expr, bool] = {}
    for node in postorder(loss):
        moves[node] = (isinstance(node, Sym) and node.name in moving) or (
            isinstance(node, Call) and any(moves[arg] for arg in node.args)
        )
    found: dict[Pair, None] = {}
    seen: set[Expr] = set()
    waiting = [loss]
    while waiting:
        node = waiting.pop()
        if node in seen or not isinstance(node, Call) or not moves[node]:
            continue
        seen.add(node)
        pair = _pair(node, moves)
        if pair is not None and all(shape_of(e, shapes, memo) == ("rows",) for e in pair):
            found[pair] = None
        else:
            waiting += reversed(node.args)
    return list(found)


def _pair(node: Call, moves: Mapping[Expr, bool]) -> Pair | None:
    """What a difference compares, if it is one of a model and a target."""
    match node:
        case Call(op, (Call(inner, (z,)), Call(times, factors))) if (
            op.name,
            inner.name,
            times.name,
        ) == ("-", "softplus", "*") and z in factors:  # cross-entropy from logits
            rest = [factor for factor in factors if factor is not z]
            if len(rest) == 1 and not moves[rest[0]]:
                return Pair(call("sigmoid", z), rest[0])
        case Call(op, (a, b)) if op.name == "-" and moves[a] != moves[b]:
            return Pair(a, b) if moves[a] else Pair(b, a)
    return None


class Scene:
    """A model and its target as they look for given parameters, in a frame that stays.

    `params` are the values of all parameters at the start, `columns` the columns of the loss.
    """

    def __init__(
        self, pairs: Sequence[Pair], params: Mapping[str, Any], columns: Mapping[str, Any]
    ) -> None:
        inside = names(*(e for pair in pairs for e in pair))
        shapes = {n: ("rows", *np.shape(columns[n])[1:]) for n in columns if n in inside}
        shapes |= {n: np.shape(v) for n, v in params.items()}
        self.pairs = pairs
        held = {n: columns[n] for n in columns if n in inside}
        self.fixed = any(reduces(e, shapes) for pair in pairs for e in pair)
        rows = float(len(next(iter(held.values()))))
        self.env: dict[str, Any] = {**params, **held, ROWS: rows}
        self.models = [accurate(pair.model)[0] for pair in pairs]
        self.targets = self._rows_of([pair.target for pair in pairs], self.env)
        used = names(*(pair.model for pair in pairs))
        over = [n for n in held if n in used]
        single = len(over) == 1 and np.ndim(held[over[0]]) == 1
        self.axis = over[0] if single else None
        """the column that curves run over; None where there are several"""
        self._frame(held)

    def _rows_of(self, roots: Sequence[Expr], env: Mapping[str, Any]) -> list[Vector]:
        rows = int(env[ROWS])
        return [
            np.broadcast_to(np.asarray(v, float), (rows,)) for v in evaluate(accurate(*roots), env)
        ]

    def _frame(self, held: Mapping[str, Any]) -> None:
        """What of the picture stays: the grid, the target, the ranges of both axes."""
        self.still: list[Series] = []
        heights = np.concatenate(self.targets)
        if self.axis is None:
            ends = widened(heights)
            self.over, self.grid = ends, self.env
            self.still.append(Line(np.array(ends), np.array(ends), "perfect", 0))
            self.x_label, self.y_label = "target", "model"
        else:
            x = self.env[self.axis]
            self.over = spread(x)
            if self.fixed:  # sums over the rows: only these rows have a curve
                order = np.argsort(x, kind="stable")
                self.grid = {**self.env, **{n: c[order] for n, c in held.items()}}
            else:
                grid = np.linspace(*self.over, GRID)
                self.grid = {**self.env, self.axis: grid, ROWS: float(GRID)}
            for k, (pair, target) in enumerate(zip(self.pairs, self.targets, strict=True)):
                label = labelled(pair.target, "target")
                if set(names(pair.target)) <= {self.axis} and not self.fixed:
                    (y,) = self._rows_of([pair.target], self.grid)
                    self.still.append(Line(self.grid[self.axis], y, label, 2 * k))
                    heights = np.concatenate([heights, y])
                    label = ""
                self.still.append(Points(x, target, label, 2 * k))
            self.x_label, self.y_label = self.axis, ""
        self.high = frame(heights, np.concatenate(self._rows_of(self.models, self.grid)))

    def figure(self, params: Mapping[str, Any], title: str = "") -> Figure:
        """The picture for these parameters; those not given are where they started."""
        moved = self._rows_of(self.models, {**self.grid, **params})
        series = list(self.still)
        for k, (pair, y) in enumerate(zip(self.pairs, moved, strict=True)):
            label = labelled(pair.model, "model")
            if self.axis is None:
                series.append(Points(self.targets[k], y, label, 2 * k + 1))
            else:
                series.append(Line(self.grid[self.axis], y, label, 2 * k + 1))
        return Figure(tuple(series), title, self.x_label, self.y_label, self.over, self.high)

    def heights(self, params: Mapping[str, Any]) -> Vector:
        """Where the model is, in units of the frame's height: what a viewer sees move."""
        return seen(self._rows_of(self.models, {**self.grid, **params}), self.high)


class View:
    """What a run works on, as far as pictures need it: a loss, what moves, some of the rows.

    `params` are the values of all parameters at the start.
    """

    def __init__(
        self,
        loss: Expr,
        moving: Collection[str],
        params: Mapping[str, Any],
        columns: Mapping[str, Any],
    ) -> None:
        self.loss, self.moving, self.params = loss, tuple(moving), params
        self.columns = {n: thinned(column) for n, column in columns.items()}

    @cached_property
    def pairs(self) -> list[Pair]:
        """What the loss compares."""
        shapes: dict[str, Any] = {n: ("rows", *c.shape[1:]) for n, c in self.columns.items()}
        shapes |= {n: np.shape(v) for n, v in self.params.items()}
        return compared(self.loss, self.moving, shapes)

    @cached_property
    def scene(self) -> Scene | None:
        """The model and its target, if the loss compares what can be drawn."""
        return Scene(self.pairs, self.params, self.columns) if self.pairs else None


def thinned(column: Vector) -> Vector:
    """A column, or so many of its rows as are drawn."""
    if len(column) > MANY:
        column = column[np.linspace(0, len(column) - 1, MANY).astype(int)]
    return column


def loss_curve(
    losses: Sequence[float] | Vector, title: str = "", steps: Sequence[int] | Vector | None = None
) -> Figure:
    """The loss over its steps; on powers of ten where it fell by more than two of them."""
    y = np.asarray(losses, float)
    x, y = thinned(np.asarray(range(len(y)) if steps is None else steps, float)), thinned(y)
    good = y[np.isfinite(y)]
    log = bool(len(good) and good.min() > 0 and good.max() > 100 * good.min())
    return Figure((Line(x, y, "", 1),), title, "step", "loss", y_log=log)


def descent(result: Any, title: str = "") -> Figure:
    """The loss curve of a run."""
    return loss_curve(result.history["loss"], title, result.history.steps)


# ---- over time -----------------------------------------------------------------------------------


class Moving(Protocol):
    """Whatever has a picture for given parameters."""

    def figure(self, params: Mapping[str, Any], title: str = "") -> Figure: ...

    def heights(self, params: Mapping[str, Any]) -> Vector:
        """Where it is, in units of the frame's height."""
        ...


def moments(scene: Moving, states: Sequence[Mapping[str, Any]], count: int) -> list[int]:
    """Which of the states to show, so that the motion reads: one where enough was seen to move.

    The first and the last are always among them. A share of the way is time itself: a model that
    stands still is seen to stand still.
    """
    last = len(states) - 1
    evenly, early = np.linspace(0, last, 200), np.geomspace(1, last + 1, 200) - 1
    few = sorted({int(k) for k in (*evenly, *early)})
    if len(few) <= count:
        return few
    heights = np.array([scene.heights(states[k]) for k in few])
    moved = np.sqrt(np.nan_to_num(np.diff(heights, axis=0) ** 2, nan=0.0).mean(axis=1))
    way = np.concatenate([[0.0], np.cumsum(moved)])
    time = np.arange(len(few)) / (len(few) - 1)
    way = 0.8 * way / way[-1] + 0.2 * time if way[-1] > 0 else time
    low, high = 0.0, 1.0
    for _ in range(30):  # the least way between two pictures that makes no more than `count`
        middle = (low + high) / 2
        low, high = (middle, high) if len(_apart(way, middle)) > count else (low, middle)
    return [few[k] for k in _apart(way, high)]


def _apart(way: Vector, least: float) -> list[int]:
    """Places on a way at least so far apart, from its beginning, and its end."""
    found, last = [0], len(way) - 1
    for k in range(1, last):
        if way[k] - way[found[-1]] >= least:
            found.append(k)
    return [*found, last]


class Recorded(Sequence[Mapping[str, Any]]):
    """The scalar parameters before each step of a run, made when they are asked for."""

    def __init__(self, history: Mapping[str, Vector], moving: Collection[str], length: int) -> None:
        self.history, self.moving, self.length = history, moving, length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, k: Any) -> Any:
        k = range(self.length)[k]
        return {name: float(self.history[name][k]) for name in self.moving}


def states(result: Any) -> tuple[Sequence[int], Sequence[Mapping[str, Any]]]:
    """The steps of a run and its parameters before each: from its history, else its snapshots.

    NablispError "value" where neither holds all that moved.
    """
    history, moving = result.history, result.params
    if all(name in history for name in moving):
        steps = history.steps.tolist()
        return steps, Recorded(history, moving, len(steps))
    if result.snapshots:
        return [step for step, _ in result.snapshots], [at for _, at in result.snapshots]
    raise NablispError(
        "value",
        "the history of this run holds numbers, and these parameters are arrays",
        hint="run it with :watch true, which keeps what they were along the way",
    )


def frame(end: Vector, start: Vector) -> tuple[float, float]:
    """Heights that hold how all looks in the end, and how it starts as far as that is near."""
    low, high = widened(end)
    far = NEAR * (high - low)
    return widened(np.concatenate([end, np.clip(start, low - far, high + far)]))


def seen(curves: Sequence[Vector], frame: tuple[float, float]) -> Vector:
    """Some sixty heights of each curve, in units of the frame's height."""
    low, high = frame
    some = np.concatenate([y[:: max(1, len(y) // 60)] for y in curves])
    return np.clip((some - low) / (high - low), -0.5, 1.5)


# ---- parts ---------------------------------------------------------------------------------------


def labelled(e: Expr, role: str) -> str:
    """A formula as its own label; a long one is called by its role."""
    text = formula(e)
    return text if len(text) <= LABEL and "\n" not in text else role


def reduces(e: Expr, shapes: ShapeEnv) -> bool:
    """Does something in a formula sum over the rows, so that it means these rows?"""
    memo: dict[Expr, Any] = {}
    shape_of(e, shapes, memo)
    return any(
        isinstance(node, Call)
        and "rows" not in memo[node]
        and any("rows" in memo[arg] for arg in node.args)
        for node in postorder(e)
    )


def spread(column: Vector) -> tuple[float, float]:
    """The range of a column and a margin; of what is never negative, nothing below 0."""
    low, high = widened(column)
    good = column[np.isfinite(column)]
    return (max(low, 0.0) if len(good) and good.min() >= 0 else low), high
