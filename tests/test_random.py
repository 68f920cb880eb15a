"""Random formulas: text, tidying, derivatives and arrays, judged in high precision.

NABLISP_EXAMPLES sets how many are tried of each; unset, the same few hundred every time.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple
from unittest.mock import patch

import mpmath
import numpy as np
from hypothesis import HealthCheck, assume, given, note, settings
from hypothesis import strategies as st
from mpmath import mp, mpf
from test_ops import NUMERIC, ORACLE, bits

from nablisp import NablispError, Session, d, fast, gradient, parse, simplify, val
from nablisp import compile as compile_formula
from nablisp.derivative import derivative
from nablisp.evaluate import evaluate
from nablisp.expr import (
    OPS,
    Call,
    Expr,
    Num,
    Op,
    Sym,
    as_expr,
    names,
    options_of,
    postorder,
    substitute,
)
from nablisp.shapes import shape_of
from nablisp.simplify import simplify as simplify_shaped

EXAMPLES = int(os.environ.get("NABLISP_EXAMPLES", "300"))
tried = settings(
    max_examples=EXAMPLES,
    derandomize="NABLISP_EXAMPLES" not in os.environ,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)

# ---- formulas ------------------------------------------------------------------------------------

ROWS = [op for op in NUMERIC if op.name != "polygamma"]
COMPARISONS = [OPS[name] for name in ("<", "<=", ">", ">=")]
NUMBERS: Sequence[float] = (0, 1, 2, 3, -1, -2, 0.5, -0.5, 1.5, 0.25, 2.0, -3.0)
POINTS: Sequence[float] = (0.37, 0.83, 1.29, 2.71, -0.61, -1.73)


@st.composite
def formulas(draw: st.DrawFn) -> Expr:
    """A formula in x and y whose parts are often shared, and never all numbers."""
    pool: list[Expr] = [Sym("x"), Sym("y"), Sym("x")]

    def part(plain: bool = True) -> Expr:
        if plain and draw(st.integers(0, 3)) == 0:
            return Num(draw(st.sampled_from(NUMBERS)))
        return pool[-1 - min(draw(st.integers(0, 7)), len(pool) - 1)]

    def choice() -> Expr:
        condition = Call(draw(st.sampled_from(COMPARISONS)), (part(False), part()))
        return Call(OPS["where"], (condition, part(False), part()))

    for _ in range(draw(st.integers(1, 8))):
        op: Op = draw(st.sampled_from([*ROWS, *ARITHMETIC]))
        if op.name == "where":
            pool.append(choice())
            continue
        count = op.arity[1] or draw(st.integers(2, 3))
        at = draw(st.integers(0, count - 1))
        pool.append(Call(op, tuple(part(k != at) for k in range(count))))
    return pool[-1]


ARITHMETIC = [OPS[name] for name in ("+", "-", "*", "/", "**", "neg", "where")] * 4
PLACES = st.tuples(st.sampled_from(POINTS), st.sampled_from(POINTS))

# ---- truth ---------------------------------------------------------------------------------------


class Truth(NamedTuple):
    """A value to many digits; the largest and smallest magnitudes on the way; was there a tie?"""

    value: Any
    largest: float
    smallest: float
    tie: bool


def truth(root: Expr, at: Mapping[str, Any]) -> Truth | None:
    """The value of a formula in mpmath's precision; None where it is no real number, or huge."""
    values: dict[Expr, Any] = {}
    tie = False
    for node in postorder(root):
        match node:
            case Num(value):
                values[node] = value if isinstance(value, bool) else mpf(value)
            case Sym(name):
                values[node] = mpf(at[name])
            case Call(op, args):
                given = [values[arg] for arg in args]
                if op.name == "where" and (given[0] is None or given[2 - given[0]] is None):
                    return None
                if any(value is None for value in given) and op.name != "where":
                    values[node] = None
                    continue
                try:
                    found = ORACLE[op.name](*given)
                except (ZeroDivisionError, ValueError, OverflowError):
                    found = None
                if isinstance(found, mpmath.mpc) or (found is not None and not abs(found) < 1e12):
                    found = None  # beyond it, many digits take for ever
                values[node] = found
                if op.name in ("min", "max", "clip"):
                    tie = tie or len(set(given)) < len(given)
    if values[root] is None:
        return None
    sizes = [abs(v) for v in values.values() if v is not None and not isinstance(v, bool)]
    return Truth(
        values[root], float(max(sizes)), float(min([s for s in sizes if s], default=1)), tie
    )


def tame(found: Truth | None) -> bool:
    return found is not None and found.largest < 1e6 and found.smallest > 1e-6


def slope_of(root: Expr, by: str, at: Mapping[str, Any]) -> Any:
    """The derivative by central differences to many digits; None where it jumps or is none."""
    h = mpf(10) ** -40
    with mp.workdps(120):
        found = [truth(root, {**at, by: mpf(at[by]) + k * h}) for k in (-1, 0, 1)]
        below, here, above = (f and f.value for f in found)
        if below is None or here is None or above is None:
            return None
        left, right = (here - below) / h, (above - here) / h
        if abs(left - right) > 1e-20 * (1 + abs(left)) or abs(left) > 1e6:
            return None
        return (above - below) / (2 * h)


# ---- properties ----------------------------------------------------------------------------------


@tried
@given(formulas())
def test_text_reads_back(e: Expr) -> None:
    assert parse(str(e)) is e


@tried
@given(formulas(), PLACES)
def test_tidying_keeps_the_value(e: Expr, place: tuple[float, float]) -> None:
    at = dict(zip("xy", place, strict=True))
    with mp.workdps(40):
        before = truth(e, at)
        assume(tame(before))
        assert before
        tidy = as_expr(simplify(e))
        note(f"{e} → {tidy}")
        after = truth(tidy, at)
        if after is not None:
            rounding = abs(val(e, at) - before.value)  # folding a number may round as much
            allowed = 1e-10 * max(before.largest, after.largest) + 2 * rounding
            assert abs(before.value - after.value) <= allowed, f"{before.value}, {after.value}"


@tried
@given(formulas(), PLACES)
def test_derivatives_agree(e: Expr, place: tuple[float, float]) -> None:
    """Tidy, raw, by both names together, as one of a large formula, and by differences."""
    at = dict(zip("xy", place, strict=True))
    with mp.workdps(40):
        here = truth(e, at)
        assume(here and tame(here) and not here.tie)
        wrt = [Sym("x"), Sym("y")]
        together = gradient(e, wrt)
        with patch.object(fast, "READABLE", 0):
            as_large = gradient(e, wrt)
        for by, swept, large in zip("xy", together, as_large, strict=True):
            wanted = slope_of(e, by, at)
            if wanted is None:
                continue
            raw = d(e, by, simplify=False)
            forms = {"tidy": d(e, by), "raw": raw, "together": swept, "large": large}
            for how, form in forms.items():
                slope = as_expr(form)
                found = truth(slope, at)
                number = val(slope, at)
                note(f"d{by} {how}: {slope}")
                if found is None:
                    continue
                allowed = 1e-9 * (1 + found.largest)
                assert abs(found.value - wanted) <= allowed, f"{how} {found.value}, truth {wanted}"
                if tame(found):
                    allowed = 1e-7 * (1 + found.largest)
                    assert abs(number - wanted) <= allowed, f"{how} {number}, truth {wanted}"


@tried
@given(formulas())
def test_arrays_are_numbers_side_by_side(e: Expr) -> None:
    """Of numbers as in arrays: there a zero has a sign, where the integer 0 has none."""
    whole: dict[Expr, Expr] = {n: Num(float(n.value)) for n in postorder(e) if isinstance(n, Num)}
    e = substitute([e], whole)[0]
    powers = [n.args[1] for n in postorder(e) if isinstance(n, Call) and n.op.name == "**"]
    assume(all(isinstance(exponent, Num) for exponent in powers))  # 2 and 0.5 are let off the log
    places = [(a, b) for a in (*POINTS, 0.0, math.inf) for b in (*POINTS[:3], math.nan, -0.0)]
    order = list(names(e))
    columns = dict(zip("xy", np.array(places).T.copy(), strict=True))
    given_ = [columns[name] for name in order]
    together = val(e, {name: columns[name] for name in order})
    compiled = compile_formula(e, order)(*given_)
    for place, one, other in zip(places, together, compiled, strict=True):
        alone = val(e, dict(zip("xy", place, strict=True)))
        assert bits(one) == bits(other) == bits(alone), f"{alone!r} alone, {one!r}, {other!r}"


# ---- of arrays -----------------------------------------------------------------------------------

DECLARED = """
(params (u 0.7193) (v [0.5231 -1.2089 1.9417])
        (A [[1.9301 0.3167 -0.5477] [0.1423 -1.5311 0.4259] [0.6089 0.2281 1.7603]]))
(data x [0.3119 -0.8237 1.4561 0.6373]) (data k [0 2 1 2])
(data X [[0.2311 1.1171 -0.7253] [-1.3099 0.4153 0.9371] [0.8543 -0.6121 0.5507]
         [1.6927 -0.2459 0.1279]])
"""
SESSION = Session()
SESSION.run(DECLARED)
SHAPES = SESSION.shapes
MOVING = [Sym(name) for name in SESSION.parameters]
ELEMENTWISE = ["+", "-", "*", "/", "max", "where"] * 2 + [
    "sin",
    "tanh",
    "neg",
    "abs",
    "sigmoid",
    "**",
]
AXES = (0, 1, -1)
OPTIONS: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    name: st.fixed_dictionaries({}, optional={"axis": st.sampled_from(AXES), "keep": st.just(True)})
    for name in ("sum", "mean", "amax", "logsumexp")
}
OPTIONS |= {
    "dot": st.just({}),
    "@": st.just({}),
    "transpose": st.just({}),
    "pick": st.just({}),
    "fill": st.just({}),
    "ref": st.fixed_dictionaries(
        {"index": st.tuples(st.integers(0, 2))}, optional={"axis": st.just(1)}
    ),
    "slice": st.fixed_dictionaries(
        {"axis": st.sampled_from(AXES), "start": st.just(1), "stop": st.just(3)}
    ),
    "pad": st.fixed_dictionaries(
        {"axis": st.sampled_from(AXES), "before": st.just(1), "after": st.just(2)}
    ),
    "expand": st.fixed_dictionaries({"axis": st.sampled_from(AXES)}),
    "stack": st.fixed_dictionaries({"axis": st.sampled_from((0, 1))}),
    "concat": st.fixed_dictionaries({"axis": st.sampled_from((0, 1))}),
}


@st.composite
def array_formulas(draw: st.DrawFn) -> Expr:
    """A formula of numbers, vectors, matrices and columns whose shapes fit."""
    pool: list[Expr] = [Sym("X"), Sym("A"), Sym("x"), Sym("v"), Sym("u")]

    def part() -> Expr:
        return pool[-1 - min(draw(st.integers(0, 8)), len(pool) - 1)]

    def number_or_part() -> Expr:
        plain = draw(st.integers(0, 3)) == 0
        return Num(draw(st.sampled_from(NUMBERS[1:]))) if plain else part()

    for _ in range(draw(st.integers(1, 8))):
        op = OPS[draw(st.sampled_from([*ELEMENTWISE, *OPTIONS]))]
        options = options_of(draw(OPTIONS[op.name])) if op.name in OPTIONS else ()
        args: tuple[Expr, ...]
        if op.name == "where":
            args = (Call(OPS[">"], (part(), number_or_part())), part(), number_or_part())
        elif op.name == "**":
            args = (part(), Num(draw(st.sampled_from((0, 1, 2, 3, -1)))))
        elif op.name == "pick":
            args = (part(), Sym("k"))
        elif op.arity == (1, 1):
            args = (part(),)
        else:
            args = (part(), part() if op.shape else number_or_part())
        node = Call(op, args, options)
        with suppress(NablispError):
            shape_of(node, SHAPES)
            if op.name != "pick" or shape_of(args[0], SHAPES)[-1] == 3:
                pool.append(node)
    return pool[-1]


def place_of(rows: int) -> dict[str, Any]:
    env: dict[str, Any] = {n: p.value for n, p in SESSION.parameters.items()}
    return {**env, **{n: c[:rows] for n, c in SESSION.columns.items()}, "(rows)": rows}


def near(value: Any, wanted: Any, scale: float) -> bool:
    return bool(np.all(np.abs(np.asarray(value) - wanted) <= 1e-6 * (1 + scale)))


def difference(root: Expr, env: dict[str, Any], by: str, along: Any, h: float) -> Any:
    def moved(k: int) -> Any:
        there = np.asarray(env[by] + k * h * along)
        return evaluate([root], {**env, by: there if there.ndim else float(there)})[0]

    return (moved(-2) - 8 * moved(-1) + 8 * moved(1) - moved(2)) / (12 * h)


@tried
@given(array_formulas(), st.sampled_from((4, 3, 1)))
def test_array_formulas(e: Expr, rows: int) -> None:
    """Text, tidying, gradients and derivatives by a number, all in one."""
    assert SESSION.run(str(e)) is e
    env = place_of(rows)
    everything = postorder(e)
    values = evaluate(everything, env)
    scale = float(np.max([np.max(np.abs(v), initial=0) for v in values]))
    assume(scale < 1e3)  # and no nan
    value = values[-1]
    tidy = simplify_shaped(e, SHAPES)
    note(f"{e} → {tidy}")
    after = evaluate([tidy], env)[0]
    assert shape_of(tidy, SHAPES) == shape_of(e, SHAPES) and np.shape(after) == np.shape(value)
    assert near(after, value, 1e-5 * scale), f"{value}, tidied {after}"

    root = Call(OPS["sum"], (Call(OPS["sin"], ((e + 0.7) * 1.3,)),))
    slopes = gradient(root, MOVING, SHAPES)
    for name, slope in zip(MOVING, slopes, strict=True):
        found = evaluate([slope], env)[0]
        here = np.asarray(env[name.name])
        assert np.shape(found) == here.shape
        along = np.cos(1.0 + np.arange(here.size)).reshape(here.shape)
        wanted, again = (difference(root, env, name.name, along, h) for h in (1e-3, 3e-4))
        if near(wanted, again, 0) and abs(wanted) < 1e3:
            said = float(np.sum(found * along))
            assert near(said, wanted, abs(said)), f"d{name} {said}, truth {wanted}, by {slope}"
    if shape_of(e, SHAPES):
        slope = derivative(e, Sym("u"), SHAPES)
        found = evaluate([slope], env)[0]
        assert np.shape(found) == np.shape(value)
        wanted, again = (difference(e, env, "u", 1.0, h) for h in (1e-3, 3e-4))
        if near(wanted, again, 0):
            assert near(found, wanted, scale), f"du {found}, truth {wanted}, by {slope}"
