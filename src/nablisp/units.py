"""From a formula to the natural sizes of its parameters, by dimensional analysis.

Columns have units, one each. What is added has the same unit, what an exponential is taken of has
none: linear equations for the exponents of every parameter's unit. In (exp (- (* k t))) the unit of
k is 1/t, so its natural size is one over the range of t. Equations that contradict earlier ones
(a formula need not respect units) are left out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from .expr import Call, Expr, Num, Sym, names, postorder

Unit = dict[str, Any]
"""Exponents: of columns, and of parameters whose unit is not known yet; and under NUMBER the
logarithm of a factor."""
NUMBER = "#"

_SAME = {"+", "-", "min", "max", "hypot", "atan2", "where", "<", ">", "<=", ">=", "=", "!="}
_KEEPS = {"+", "-", "min", "max", "hypot", "neg", "abs", "relu"}
_PURE = {"atan2", "sign"}


def units(
    models: Sequence[Expr], responses: Sequence[str], params: Sequence[str], columns: Sequence[str]
) -> dict[str, Unit]:
    """The unit of every parameter that has one: exponents of the columns and responses."""
    solved: dict[str, Unit] = {}
    for model, response in zip(models, responses, strict=True):
        known: dict[Expr, Unit | None] = {}
        for node in postorder(model):
            match node:
                case Sym(name):
                    known[node] = {name: Fraction(1)} if name in (*params, *columns) else {}
                case Num(value):
                    known[node] = None if not value else _number(float(value))
                case Call(op, args):
                    known[node] = _applied(
                        op.name, args, [known[arg] for arg in args], solved, params
                    )
                case _:
                    known[node] = None
        whole = known[model]
        if whole is not None:
            _equal(whole, {response: Fraction(1)}, solved, params)
    out = {}
    for name in params:
        unit = _resolved({name: Fraction(1)}, solved)
        if not any(part in params for part in unit):
            out[name] = unit
    return out


def _number(value: float) -> Unit:
    size = abs(value)
    return {NUMBER: math.log(size)} if math.isfinite(size) and size not in (0.0, 1.0) else {}


def _applied(
    name: str,
    args: Sequence[Expr],
    given: list[Unit | None],
    solved: dict[str, Unit],
    params: Sequence[str],
) -> Unit | None:
    """The unit of an operation, and what it says about its arguments' units; None for any."""
    if name in _SAME:
        alike = given[1:] if name == "where" else given
        there = [unit for unit in alike if unit is not None]
        for unit in there[1:]:
            _equal(there[0], unit, solved, params)
        if name in _KEEPS or name == "where":
            return there[0] if there else None
        return {}
    if name in ("neg", "abs", "relu"):
        return given[0]
    if name == "*":
        return _product([(unit, Fraction(1)) for unit in given])
    if name == "/":
        return _product([(given[0], Fraction(1)), (given[1], Fraction(-1))])
    if name in ("sqrt", "cbrt"):
        return _product([(given[0], Fraction(1, 2 if name == "sqrt" else 3))])
    if name == "**":
        if isinstance(args[1], Num) and abs(args[1].value) < 100:
            return _product([(given[0], Fraction(args[1].value).limit_denominator(100))])
        _equal(given[1] or {}, {}, solved, params)
        return {}
    if name not in _PURE:
        for part in given:
            _equal(part or {}, {}, solved, params)
    return {}


def _product(parts: Sequence[tuple[Unit | None, Fraction]]) -> Unit:
    out: Unit = {}
    for unit, exponent in parts:
        for name, power in (unit or {}).items():
            out[name] = out.get(name, Fraction(0)) + power * exponent
    return {name: power for name, power in out.items() if power}


def _resolved(unit: Unit, solved: Mapping[str, Unit]) -> Unit:
    """The unit with what is known about parameters put in."""
    while any(name in solved for name in unit):
        unit = _product(
            [(solved.get(name, {name: Fraction(1)}), power) for name, power in unit.items()]
        )
    return unit


def _equal(a: Unit, b: Unit, solved: dict[str, Unit], params: Sequence[str]) -> None:
    """Two units are one: solve for a parameter in them, if there is one left."""
    rest = _resolved(_product([(a, Fraction(1)), (b, Fraction(-1))]), solved)
    for name in params:
        if name in rest:
            power = rest.pop(name)
            solved[name] = {other: -p / power for other, p in rest.items()}
            return


def sizes(found: Mapping[str, Unit], ranges: Mapping[str, float]) -> dict[str, float]:
    """A natural size for every parameter with a unit, from the ranges of columns."""
    out = {}
    for name, unit in found.items():
        size = unit.get(NUMBER, 0.0)
        for column, power in unit.items():
            size += math.log(ranges.get(column) or 1.0) * float(power) if column != NUMBER else 0.0
        if abs(size) < 690:
            out[name] = math.exp(size)
    return out


def locations(
    models: Sequence[Expr], params: Sequence[str], columns: Sequence[str]
) -> dict[str, tuple[Expr, float]]:
    """Parameters that are subtracted from a formula of columns, or added: that, and the sign."""
    found: dict[str, tuple[Expr, float]] = {}
    for node in postorder(*models):
        if isinstance(node, Call) and node.op.name in ("-", "+") and len(node.args) == 2:
            for here, there in (node.args, node.args[::-1]):
                if isinstance(here, Sym) and here.name in params:
                    inside = names(there)
                    if inside and all(name in columns for name in inside):
                        found[here.name] = there, 1.0 if node.op.name == "-" else -1.0
    return found
