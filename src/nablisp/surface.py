"""From a loss and columns to a function of one vector: value, gradient, Hessian, products with it.

All that moves, numbers and arrays alike, is laid out in one vector, in order of declaration. The
Hessian is exact: it comes from one formula, the gradient of g·v, which is its product with v.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from math import inf, prod
from typing import Any

import numpy as np

from . import backends
from .backends import Function
from .columns import Columns
from .derivative import gradient
from .errors import NablispError
from .evaluate import ROWS
from .expr import Call, Expr, Sym, as_expr, call, names, postorder, size, substitute, sum_of
from .limits import Budget
from .shapes import Shape, ShapeEnv, operations, shape_of

Vector = np.ndarray[Any, np.dtype[np.float64]]
Matrix = np.ndarray[Any, np.dtype[np.float64]]

DENSE = 300
"""Entries up to which a Hessian is built whole."""
LONGEST = 1.0
"""Seconds that a whole Hessian may take, about."""


class Surface:
    """A loss over all rows as a function of the entries of what moves.

    `moving` names what moves, `values` holds where all parameters are, `columns` only those that
    the loss needs. `evaluations` counts values with gradients, without Hessians.
    """

    def __init__(
        self,
        loss: Expr,
        moving: Sequence[str],
        values: Mapping[str, Any],
        columns: Mapping[str, Any] | None = None,
        *,
        rows: int | None = None,
        backend: str | None = None,
        threads: int | None = None,
        calls: int = 50,
        budget: Budget | None = None,
    ) -> None:
        inside = names(loss)
        fixed: dict[Expr, Expr] = {
            Sym(n): as_expr(v) for n, v in values.items() if n not in moving and n in inside
        }
        self.loss = substitute([loss], fixed)[0]
        self.moving = list(moving)
        self.columns = {n: (columns or {})[n] for n in columns or {} if n in inside}
        self.rows = len(next(iter(self.columns.values()), ())) if rows is None else rows
        self.sizes = {n: tuple(np.shape(values[n])) for n in moving}
        self.shapes: ShapeEnv = {
            **self.sizes,
            **{n: ("rows", *np.shape(c)[1:]) for n, c in self.columns.items()},
        }
        self.backend, self.threads, self.calls = backend, threads, calls
        self.budget = budget or Budget()
        self.evaluations = 0
        ends = np.cumsum([0, *(prod(shape) for shape in self.sizes.values())])
        self.spans = {
            n: slice(int(a), int(b)) for n, a, b in zip(moving, ends, ends[1:], strict=False)
        }
        self.entries = int(ends[-1])
        self.scalar = not any(self.sizes.values())

    # ---- between names and vectors ---------------------------------------------------------------

    def vector(self, values: Mapping[str, Any]) -> Vector:
        """One vector of what moves; a number given for an array stands for all its entries."""
        parts = [
            np.broadcast_to(np.asarray(values[n], dtype=np.float64), shape).ravel()
            for n, shape in self.sizes.items()
        ]
        return np.concatenate(parts) if parts else np.empty(0)

    def values(self, x: Vector) -> dict[str, Any]:
        """What each name holds at a vector: numbers and arrays."""
        return {
            n: x[self.spans[n]].reshape(shape) if shape else float(x[self.spans[n]][0])
            for n, shape in self.sizes.items()
        }

    @cached_property
    def labels(self) -> list[str]:
        """A name for every entry: `b`, `w[0]`, `A[1 2]`."""
        return [
            f"{name}[{' '.join(map(str, index))}]" if shape else name
            for name, shape in self.sizes.items()
            for index in np.ndindex(*shape)
        ]

    # ---- what is computed ------------------------------------------------------------------------

    @cached_property
    def slopes(self) -> list[Expr]:
        """The gradient, by name."""
        return gradient(self.loss, [Sym(n) for n in self.moving], self.shapes)

    @cached_property
    def _value(self) -> Function:
        return self.compiled([self.loss, *self.slopes], self.calls)

    @cached_property
    def _directions(self) -> list[Expr]:
        """Entries of v, by name; no name of the language holds a blank."""
        return [Sym(f" along {n}") for n in self.moving]

    @cached_property
    def bends(self) -> list[Expr]:
        """The product of the Hessian with v, by name."""
        shapes = {**self.shapes, **{f" along {n}": s for n, s in self.sizes.items()}}
        parts = []
        for name, slope, along in zip(self.moving, self.slopes, self._directions, strict=True):
            product = call("*", slope, along)
            parts.append(call("sum", product) if self.sizes[name] else product)
        found = gradient(sum_of(parts), [Sym(n) for n in self.moving], shapes)
        check_size(found, shapes, self.rows, self.budget)
        return found

    @cached_property
    def _maps(self) -> bool:
        """Do entries of v map elementwise, so that an array of them gives all columns at once?"""
        return self.scalar and not any(
            isinstance(node, Call)
            and (node.op.shape is not None or node.op.array == "nablisp_rows")
            for node in postorder(*self.bends)
        )

    @cached_property
    def _product(self) -> Function:
        return self.compiled(
            self.bends,
            self.calls * (1 if self._maps else self.entries),
            [along.name for along in self._directions if isinstance(along, Sym)],
            "numpy" if self._maps else None,
        )

    def compiled(
        self,
        outputs: Sequence[Expr],
        calls: int,
        more: Sequence[str] = (),
        backend: str | None = None,
    ) -> Function:
        """A function of the names in order, those in `more`, the columns and the rows."""
        shapes = {**self.shapes, **dict(zip(more, self.sizes.values(), strict=False))}
        return backends.compile(
            outputs,
            [*self.moving, *more, *self.columns, ROWS],
            shapes,
            rows=self.rows,
            calls=calls,
            backend=backend or self.backend,
            threads=self.threads,
        )

    def given(self, function: Callable[..., list[Any]], x: Vector, v: Vector | None = None) -> Any:
        """What `compiled` made, called at a vector (and along another)."""
        return function(*self._apart(x), *self._apart(v), *self.columns.values(), float(self.rows))

    def _apart(self, x: Vector | None) -> list[Any]:
        if x is None:
            return []
        return x.tolist() if self.scalar else list(self.values(x).values())

    def _joined(self, parts: Sequence[Any]) -> Vector:
        if self.scalar:
            return np.array(parts, dtype=np.float64)
        return self.vector(dict(zip(self.moving, parts, strict=True)))

    def at(self, x: Vector) -> tuple[float, Vector]:
        """The loss and its gradient."""
        self.evaluations += 1
        value, *slopes = self.given(self._value, x)
        return float(value), self._joined(slopes)

    def product(self, x: Vector, v: Vector) -> Vector:
        """The Hessian times v."""
        return self._joined(self.given(self._product, x, v))

    def hessian(self, x: Vector) -> Matrix:
        """The matrix of second derivatives, symmetric."""
        n = self.entries
        one = np.eye(n)
        if self._maps:
            found = self._product(*x.tolist(), *one, *self.columns.values(), float(self.rows))
            matrix = np.array([np.broadcast_to(row, n) for row in found], dtype=np.float64)
        else:
            matrix = np.array([self.product(x, along) for along in one])
        return (matrix + matrix.T) / 2

    @cached_property
    def dense(self) -> bool:
        """Is the whole Hessian to be had cheaply?"""
        if self.entries > DENSE:
            return False
        times = 1 if self.scalar and not self.columns else self.entries
        if size(self.loss) * (1e-6 + self.rows * 2e-9) * times > LONGEST:
            return False
        return size(*self.bends) * (1e-6 + self.rows * 2e-9) * times <= LONGEST


def shapes_of(params: Mapping[str, Any], columns: Columns) -> ShapeEnv:
    """The shapes of parameters and columns, by name; NablispError "name" for one that is both."""
    for name in params:
        if name in columns:
            raise NablispError("name", f"{name} is a parameter and a column", hint="rename one")
    return {
        **{name: tuple(np.shape(value)) for name, value in params.items()},
        **{name: ("rows", *columns.shape_of(name)[1:]) for name in columns},
    }


def check_size(
    roots: Sequence[Expr], shapes: ShapeEnv, rows: int, budget: Budget, times: float = 1
) -> dict[Expr, Shape]:
    """Refuse what is larger than the budget allows, before it is computed; the shapes of parts.

    All rows are gone through so many times.
    """
    known: dict[Expr, Shape] = {}
    for root in roots:
        shape_of(root, shapes, known)
    budget.node(len(known))
    for shape in known.values():
        budget.array(tuple(rows if n == "rows" else int(n) for n in shape))
    each = (
        operations(node.op, [known[arg] for arg in node.args], shape, rows)
        for node, shape in known.items()
        if isinstance(node, Call)
    )
    if budget.limits.work < inf:
        budget.check("work", times * sum(each))
    return known
