"""From models to what a fit asks of them: residuals, slopes, curvatures, linear parameters, units.

A `Model` is the symbolic part of a fit, made once for its formulas, with the programs compiled for
it. Residuals are prediction minus response, times a weight; parameters are a vector in the order of
`names`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, lru_cache
from itertools import combinations
from typing import Any

from .accurate import accurate
from .backends.numpy import Program
from .derivative import gradient
from .expr import Call, Expr, Num, Sym, call, formula, names, postorder, substitute
from .units import Unit, locations, units

ROBUST = {
    "huber": (
        "(where (<= (abs r) s) r (* (sign r) (sqrt (- (* 2 s (abs r)) (** s 2)))))",
        1.345,
        "squares within the scale, absolute values beyond (Huber 1964)",
    ),
    "soft-l1": (
        "(* r (sqrt (/ 2 (+ 1 (sqrt (+ 1 (** (/ r s) 2)))))))",
        1.0,
        "a smooth passage from squares to absolute values",
    ),
    "cauchy": (
        "(/ r (sqrt (exprel (log1p (** (/ r s) 2)))))",
        2.385,
        "the logarithm of 1 + r²: far points hardly count",
    ),
}
"""Robust losses: the residual whose square is the loss, of a residual r and a scale s; the scale,
in deviations, at which it is 95 % efficient for normal errors (1 where that has no meaning)."""

BENDING = {"max", "min", "abs", "relu", "clip", "sign", "floor", "ceil", "mod"}
"""Operations without a slope somewhere; comparisons are among them."""

SCALE = " scale"
"""Names with a blank are no names of the language: the scale of a robust loss, and columns."""


def response_name(k: int) -> str:
    """The column of the k-th response."""
    return f" y{k}"


def weight_name(k: int) -> str:
    """The column of weights of the k-th response."""
    return f" w{k}"


@lru_cache(maxsize=32)
def model_of(
    models: tuple[Expr, ...],
    params: tuple[str, ...],
    bounded: tuple[str, ...],
    weighted: bool,
    loss: str | None,
) -> Model:
    """The model of formulas and parameters; the last few are kept, with what was compiled."""
    return Model(models, params, bounded, weighted, loss)


class Model:
    """Formulas of a fit: scalar expressions of the parameters and of columns, by row."""

    def __init__(
        self,
        models: tuple[Expr, ...],
        params: tuple[str, ...],
        bounded: tuple[str, ...],
        weighted: bool,
        loss: str | None,
    ) -> None:
        self.models, self.names, self.loss, self.weighted = models, params, loss, weighted
        self.asked = models, params, bounded, weighted, loss
        symbols = [Sym(name) for name in params]
        self.residuals: list[Expr] = []
        for k, model in enumerate(models):
            residual = call("-", model, Sym(response_name(k)))
            if weighted:
                residual = call("*", Sym(weight_name(k)), residual)
            if loss is not None:
                robust = formula(ROBUST[loss][0])
                residual = substitute([robust], {Sym("r"): residual, Sym("s"): Sym(SCALE)})[0]
            self.residuals.append(residual)
        self.columns = [
            n
            for n in dict.fromkeys(n for r in self.residuals for n in names(r))
            if n not in set(params)
        ]
        self.slopes = [gradient(residual, symbols) for residual in self.residuals]
        self.couples = self._couples()
        self.linear = self._linear(set(bounded))
        self.others = [i for i in range(len(params)) if i not in self.linear]
        zeros: dict[Expr, Expr] = {symbols[i]: Num(0) for i in self.linear}
        self.offsets = substitute(self.residuals, zeros)
        self.compiled: dict[Any, Any] = {}
        """functions of sums over rows, by what they are compiled for"""
        self.spent = 0
        """rows that fits of it have gone through, without machine code of its own"""

    def __reduce__(self) -> tuple[object, ...]:
        return model_of, self.asked

    def _couples(self) -> set[tuple[int, int]]:
        """Pairs of parameters whose mixed second derivative is not zero throughout."""
        at = {name: i for i, name in enumerate(self.names)}
        found = set()
        for slopes in self.slopes:
            for i, slope in enumerate(slopes):
                for name in names(slope):
                    j = at.get(name)
                    if j is not None:
                        found.add((min(i, j), max(i, j)))
        return found

    def _linear(self, bounded: set[str]) -> list[int]:
        """The largest set of parameters without a second derivative among them."""
        free = [
            i
            for i, name in enumerate(self.names)
            if (i, i) not in self.couples and name not in bounded
        ]

        def apart(chosen: Sequence[int]) -> bool:
            return not any(pair in self.couples for pair in combinations(chosen, 2))

        crossed = [i for i in free if any((min(i, j), max(i, j)) in self.couples for j in free)]
        alone = [i for i in free if i not in crossed]
        if len(crossed) <= 12:
            for count in range(len(crossed), 0, -1):
                for chosen in combinations(crossed, count):
                    if apart(chosen):
                        return sorted([*alone, *chosen])
            return alone
        for i in crossed:
            if apart([*alone, i]):
                alone.append(i)
        return sorted(alone)

    def summed(self, cell: Expr, columns: Sequence[str]) -> Expr:
        """The sum of a formula over the rows of columns, also where it is the same in all."""
        if not names(cell).keys() & set(columns):
            return call("*", cell, call("rows"))
        return call("sum", cell)

    @cached_property
    def curvature(self) -> dict[tuple[int, int], list[Expr]]:
        """Second derivatives of the residuals, by pairs of parameters."""
        found: dict[tuple[int, int], list[Expr]] = {c: [] for c in sorted(self.couples)}
        symbols = [Sym(name) for name in self.names]
        for slopes in self.slopes:
            for i, slope in enumerate(slopes):
                with_i = [c for c in found if c[0] == i]
                seconds = gradient(slope, [symbols[j] for _, j in with_i]) if with_i else []
                for couple, second in zip(with_i, seconds, strict=True):
                    found[couple].append(second)
        return found

    @cached_property
    def divisors(self) -> list[Expr]:
        """What both a parameter and a column change, and something is divided by."""
        moving, given = set(self.names), set(self.columns)
        found: dict[Expr, None] = {}
        for node in postorder(*self.models):
            if isinstance(node, Call):
                below = None
                if node.op.name == "/":
                    below = node.args[1]
                elif node.op.name == "**" and isinstance(node.args[1], Num):
                    below = node.args[0] if float(node.args[1].value) < 0 else None
                if below is not None:
                    inside = set(names(below))
                    if inside & moving and inside & given:
                        found[below] = None
        return list(found)

    @cached_property
    def units(self) -> dict[str, Unit]:
        """The units of the parameters, in those of the columns."""
        responses = [response_name(k) for k in range(len(self.models))]
        return units(self.models, responses, self.names, self.columns)

    @cached_property
    def locations(self) -> dict[str, tuple[Expr, float]]:
        """Parameters that are places along a column."""
        return locations(self.models, self.names, self.columns)

    @cached_property
    def waves(self) -> set[str]:
        """Parameters that sines and cosines of a column are taken of."""
        given = set(self.columns)
        found: set[str] = set()
        for node in postorder(*self.models):
            if isinstance(node, Call) and node.op.name in ("sin", "cos", "tan"):
                inside = names(node)
                if given & inside.keys():
                    found |= inside.keys() & set(self.names)
        return found

    @cached_property
    def kinks(self) -> set[str]:
        """Parameters that decide with a column where the model bends or jumps."""
        given, moving = set(self.columns), set(self.names)
        found: set[str] = set()
        for node in postorder(*self.models):
            if isinstance(node, Call) and (node.op.name in BENDING or node.op.result == "boolean"):
                inside = names(node)
                if given & inside.keys():
                    found |= inside.keys() & moving
        return found

    @cached_property
    def divisor_program(self) -> Program:
        return self.program(self.divisors)

    @cached_property
    def inputs(self) -> list[str]:
        return [*self.names, *self.columns]

    def program(self, outputs: Sequence[Expr]) -> Program:
        """Outputs as a program over the parameters and the columns."""
        return Program(accurate(*outputs), self.inputs)

    @cached_property
    def residual_program(self) -> Program:
        return self.program(self.residuals)

    @cached_property
    def linear_program(self) -> Program:
        """For each response the residual without the linear parameters, then their slopes."""
        slopes = [[s[i] for i in self.linear] for s in self.slopes]
        return self.program([e for o, s in zip(self.offsets, slopes, strict=True) for e in (o, *s)])

    @cached_property
    def slope_program(self) -> Program:
        """For each response the residual, then all slopes."""
        return self.program(
            [e for r, s in zip(self.residuals, self.slopes, strict=True) for e in (r, *s)]
        )

    @cached_property
    def curvature_program(self) -> Program:
        return self.program([e for second in self.curvature.values() for e in second])
