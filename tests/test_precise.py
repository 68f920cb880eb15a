"""Pairs of doubles against mpmath, and the bounds of rounding as formulas."""

from __future__ import annotations

from typing import Any

import mpmath
import numpy as np
import pytest

from nablisp import double_double as dd
from nablisp import parse
from nablisp.double_double import Pair
from nablisp.error_formulas import error_formulas
from nablisp.evaluate import evaluate
from nablisp.expr import OPS
from nablisp.precise import _EXACT, meant, precise

RANDOM = np.random.default_rng(11)


def spread(low: float, high: float, count: int = 60) -> np.ndarray:
    return RANDOM.uniform(low, high, count)


def decades(low: float, high: float) -> np.ndarray:
    return 10.0 ** spread(low, high)


FUNCTIONS: dict[str, tuple[str, np.ndarray, float]] = {
    "exp": ("exp", spread(-600, 600), 1e-29),
    "expm1": ("expm1", np.concatenate([spread(-40, 40), decades(-15, 0)]), 1e-29),
    "log": ("log", decades(-200, 200), 1e-30),
    "log1p": ("log1p", np.concatenate([decades(-15, 10), -decades(-15, -0.1)]), 1e-29),
    "sqrt": ("sqrt", decades(-200, 200), 1e-31),
    "tan": ("tan", spread(-1.5, 1.5), 1e-29),
    "atan": ("atan", np.concatenate([decades(-10, 10), -decades(-10, 10)]), 1e-30),
    "asin": ("asin", spread(-0.99, 0.99), 1e-30),
    "acos": ("acos", spread(-0.99, 0.99), 1e-30),
    "sinh": ("sinh", np.concatenate([spread(-40, 40), decades(-10, 0)]), 1e-29),
    "cosh": ("cosh", spread(-40, 40), 1e-29),
    "tanh": ("tanh", np.concatenate([spread(-20, 20), decades(-10, 0)]), 1e-29),
}


def exactly(value: Pair, i: int) -> mpmath.mpf:
    low = np.broadcast_to(value.low, np.shape(value.high))
    return mpmath.mpf(float(value.high[i])) + mpmath.mpf(float(low[i]))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_have_thirty_digits(name: str) -> None:
    oracle, points, most = FUNCTIONS[name]
    given = dd.two_sum(points, points * 1e-17 * RANDOM.uniform(-1, 1, len(points)))
    with np.errstate(all="ignore"):
        found = _EXACT[name](given)
    with mpmath.workdps(60):
        for i in range(len(points)):
            truth = getattr(mpmath, oracle)(exactly(given, i))
            assert abs(exactly(found, i) - truth) <= most * abs(truth), (name, points[i])


def test_sines_are_right_in_absolute_terms() -> None:
    for points, most in ((spread(-20, 20), 1e-30), (spread(-1e6, 1e6), 1e-25)):
        sine, cosine = dd.sin_cos(dd.pair(points))
        with mpmath.workdps(60):
            for i, x in enumerate(points):
                assert abs(exactly(sine, i) - mpmath.sin(mpmath.mpf(x))) <= most
                assert abs(exactly(cosine, i) - mpmath.cos(mpmath.mpf(x))) <= most


@pytest.mark.parametrize("name", [n for n in _EXACT if OPS[n].arity == (1, 1)])
def test_what_is_not_finite_stays_what_doubles_say(name: str) -> None:
    points = np.array([np.inf, -np.inf, np.nan, 0.0, -0.0, 1e308, -1e308, 1e-310])
    row = OPS[name]
    if row.takes != "number" or row.result != "number":
        return
    root = parse(f"({'-' if name == 'neg' else name} x)")
    with np.errstate(all="ignore"):
        found = precise([root], {"x": dd.pair(points)})[0].high
        wanted = evaluate([root], {"x": points})[0]
    finite = np.isfinite(wanted)
    np.testing.assert_array_equal(np.isfinite(found), finite)
    np.testing.assert_array_equal(found[~finite], wanted[~finite])
    np.testing.assert_allclose(found[finite], wanted[finite], rtol=1e-15)


FORMULAS = [
    "(* b (- 1 (exp (- (* k x)))))",
    "(/ (+ b (* k x)) (+ 1 (* c x) (** x 3)))",
    "(* b (** x (/ -1 c)))",
    "(- (sqrt (+ x 1)) (sqrt x))",
    "(where (< x 1) (log x) (- x 1))",
    "(* (sigmoid (- x k)) (hypot x b) (max x c))",
    "(/ (* c 0.1 x) pi)",
]


def truth(text: str, env: dict[str, Any]) -> mpmath.mpf:
    """The formula in mpmath, numbers meant as decimals."""
    scope: dict[str, Any] = {
        **{n: getattr(mpmath, n) for n in ("exp", "sqrt", "log", "hypot")},
        "sigmoid": lambda v: 1 / (1 + mpmath.exp(-v)),
        **env,
    }
    python = {
        FORMULAS[0]: "b*(1-exp(-(k*x)))",
        FORMULAS[1]: "(b+k*x)/(1+c*x+x**3)",
        FORMULAS[2]: "b*x**(-1/c)",
        FORMULAS[3]: "sqrt(x+1)-sqrt(x)",
        FORMULAS[4]: "log(x) if x<1 else x-1",
        FORMULAS[5]: "sigmoid(x-k)*hypot(x,b)*max(x,c)",
        FORMULAS[6]: "c*x/10/pi",
    }[text]
    return eval(python, {"pi": mpmath.pi, "max": max}, scope)


@pytest.mark.parametrize("text", FORMULAS)
def test_formulas(text: str) -> None:
    x = np.array([0.1, 0.25, 1.5, 7.3, 123.456, 1e-7])
    numbers = {"b": 2.5, "k": 1e-9, "c": 0.3}
    env = {"x": meant(x), **{n: meant(v) for n, v in numbers.items()}}
    found = precise([parse(text)], env)[0]
    with mpmath.workdps(60):
        given = {n: mpmath.mpf(repr(v)) for n, v in numbers.items()}
        for i, value in enumerate(x.tolist()):
            wanted = truth(text, {**given, "x": mpmath.mpf(repr(value))})
            most = 1e-14 if text == FORMULAS[0] else 1e-27  # 1 - exp of 1e-16, as it is written
            assert abs(exactly(found, i) - wanted) <= most * abs(wanted)


def test_what_is_meant() -> None:
    """Decimals of at most 15 digits; other doubles stand as they are."""
    values = np.array([0.1, 2.675, 1 / 3, 123456.789, 4.0, 2**60 + 0.0, 1e-20, np.inf, -0.3])
    low = meant(values).low
    with mpmath.workdps(60):
        for value, rest in zip(values.tolist(), low.tolist(), strict=True):
            short = np.isfinite(value) and len(repr(value).replace(".", "").strip("0-")) <= 15
            wanted = mpmath.mpf(repr(value)) - mpmath.mpf(value) if short else 0
            assert abs(rest - wanted) <= 1e-16 * abs(wanted), value


@pytest.mark.parametrize("text", FORMULAS)
def test_bounds_as_formulas_hold(text: str) -> None:
    """They are at least the true error of a formula computed in doubles, and not far above it."""
    x = np.concatenate([decades(-3, 3), spread(0.5, 2)])
    env: dict[str, Any] = {"x": x, "b": 2.5, "k": 0.7, "c": 0.3}
    root = parse(text)
    value, bound = evaluate([root, *error_formulas([root])], env)
    with mpmath.workdps(60):
        given = {n: mpmath.mpf(v) for n, v in env.items() if n != "x"}
        for i, at in enumerate(x.tolist()):
            tenth = mpmath.mpf(0.1) * 10  # the formula's 0.1 is the double here
            wanted = truth(text, {**given, "x": mpmath.mpf(at)})
            wanted = wanted * tenth if "0.1" in text else wanted
            assert abs(mpmath.mpf(float(value[i])) - wanted) <= 1.01 * float(bound[i]), at
            size = abs(float(value[i])) + (x[i] ** 0.5 if "sqrt" in text else 2.5)
            assert bound[i] <= 1e-13 * size
