"""The special functions against mpmath, in units of the last place (ulp) of the result."""

import runpy
from pathlib import Path
from typing import Any

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nablisp import special
from nablisp.evaluate import OPS, apply

INF, NAN, EPS = np.inf, np.nan, np.spacing(1.0)


def value(name: str, *args: Any) -> Any:
    return apply(OPS[name], args)


def truth(name: str, x: float) -> Any:
    """The exact value, rounded to 40 digits."""
    with mp.workdps(40):
        match name:
            case "lgamma":
                return mp.re(mp.loggamma(x))
            case "digamma":
                return mp.digamma(x)
            case "erfc" if x > 30:  # mpmath overflows
                return mp.mpf(0)
        return getattr(mp, name)(x)


def polygamma(order: int, x: float) -> Any:
    with mp.workdps(120):
        if x < 0:  # ζ(2, -x) goes over the sign
            return (mp.pi / mp.sinpi(x)) ** 2 - mp.zeta(2, 1 - mp.mpf(x))
        return (-1) ** (order + 1) * mp.factorial(order) * mp.zeta(order + 1, x)


def nearest(exact: Any) -> float:
    return float(exact) if abs(exact) < mp.mpf(2) ** 1024 else INF * int(mp.sign(exact))


def error(got: float, exact: Any, least: float = 0) -> float:
    """How far off, in ulp of the exact value or of `least` where that is larger."""
    rounded = nearest(exact)
    if got == rounded:
        return 0.0
    return float(abs(got - exact)) / float(np.spacing(max(abs(rounded), float(least))))


@pytest.mark.parametrize(
    ("name", "low", "high", "ulp"),
    [
        ("erf", -6, 6, 1.1),
        ("erf", 0.6, 1.3, 1.1),
        ("erf", -1e-300, 1e-300, 1.1),
        ("erfc", -7, 1.25, 1.5),
        ("erfc", 1.2, 5, 3.0),
        ("erfc", 5, 28, 3.0),
        ("erfc", 26.5, 27.3, 3.0),  # subnormal
        ("lgamma", 0, 1, 3.0),
        ("lgamma", 1 - 1e-7, 1 + 1e-7, 3.0),
        ("lgamma", 1, 2, 3.0),
        ("lgamma", 2 - 1e-7, 2 + 1e-7, 3.0),
        ("lgamma", 2, 20, 3.5),
        ("lgamma", -0.5, 0, 3.0),
        ("digamma", 0, 1.4, 3.0),
        ("digamma", 1.4616321449683623 - 1e-7, 1.4616321449683623 + 1e-7, 3.0),
        ("digamma", 1.4, 3, 3.0),
        ("digamma", 3, 100, 1.5),
        ("digamma", -0.2, 0, 4.0),
    ],
)
def test_grid(name: str, low: float, high: float, ulp: float) -> None:
    x = np.linspace(low, high, 203)[1:-1]
    errors = [error(g, truth(name, a)) for g, a in zip(value(name, x), x, strict=True)]
    worst = int(np.argmax(errors))
    assert errors[worst] <= ulp, f"{name} at {x[worst]!r}"


@pytest.mark.parametrize(
    ("name", "at", "expected"),
    [
        ("erf", [0.0, -0.0, INF, -INF, 1e300, NAN], [0.0, -0.0, 1, -1, 1, NAN]),
        ("erf", [5e-324, -5e-324, 6, -6], [5e-324, -5e-324, 1, -1]),
        ("erfc", [0.0, -0.0, INF, -INF, 1e300, NAN], [1, 1, 0.0, 2, 0.0, NAN]),
        ("erfc", [5e-324, 27.3, -7], [1, 0.0, 2]),
        ("lgamma", [0.0, -0.0, INF, -INF, 1, 2, NAN], [INF, INF, INF, INF, 0.0, 0.0, NAN]),
        ("lgamma", [-1, -7, -1e300, 2.6e305], [INF, INF, INF, INF]),
        ("lgamma", [5e-324, -5e-324], [744.4400719213812, 744.4400719213812]),
        ("digamma", [0.0, -0.0, INF, -INF, NAN], [-INF, INF, INF, NAN, NAN]),
        ("digamma", [-1, -7, -1e300, 1e300], [NAN, NAN, NAN, 690.7755278982137]),
    ],
)
def test_edges(name: str, at: list[float], expected: list[float]) -> None:
    arrays = value(name, np.array(at)), np.array([value(name, x) for x in at])
    for got in arrays:
        np.testing.assert_array_equal(got, expected)
        zeros = np.equal(expected, 0)
        np.testing.assert_array_equal(np.signbit(got[zeros]), np.signbit(expected)[zeros])


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_any_number(x: float) -> None:
    assert error(value("erf", x), truth("erf", x)) <= 1.1
    assert error(value("erfc", x), truth("erfc", x)) <= 3
    if x > 0:
        assert error(value("lgamma", x), truth("lgamma", x)) <= 3.5
        assert error(value("digamma", x), truth("digamma", x)) <= 3


@given(st.floats(-1e6, -0.0, exclude_max=True).filter(lambda x: x != np.floor(x)))
def test_below_zero(x: float) -> None:
    """Where the reflected parts may cancel, the error is small beside the larger one."""
    assert error(value("lgamma", x), truth("lgamma", x), abs(truth("lgamma", -x)) + 1) <= 4
    assert error(value("digamma", x), truth("digamma", x), 2 + np.log1p(-x)) <= 12


@pytest.mark.parametrize(
    ("order", "low", "high", "eps"),
    [
        (1, -9.1, 0, 4),
        *((1, 0, 1e-9, 4), (1, 0, 30, 4), (1, 30, 1e9, 4)),
        *((2, 0, 30, 6), (3, 0, 30, 6), (4, 0, 30, 6)),
        (20, 0.1, 300, 30),
        (100, 1, 300, 1000),
    ],
)
def test_polygamma(order: int, low: float, high: float, eps: float) -> None:
    x = np.linspace(low, high, 33)[1:-1]
    with mp.workdps(400 if order > 4 else 40):
        exact = [polygamma(order, a) for a in x]
    got = value("polygamma", order, x)
    errors = [float(abs(g - e) / abs(e)) / EPS for g, e in zip(got, exact, strict=True)]
    worst = int(np.argmax(errors))
    assert errors[worst] <= eps, f"order {order} at {x[worst]!r}"


def test_polygamma_edges() -> None:
    x = np.array([0.0, INF, -INF, -1, -0.5, NAN])
    for order, expected in {
        0: value("digamma", x),
        1: [INF, 0, NAN, INF, 8.934802200544679, NAN],
        2: [-INF, 0, NAN, NAN, NAN, NAN],
        3: [INF, 0, NAN, NAN, NAN, NAN],
        -1: [NAN] * 6,
        0.5: [NAN] * 6,
        NAN: [NAN] * 6,
    }.items():
        np.testing.assert_allclose(value("polygamma", order, x), expected, rtol=1e-15)


def test_horner() -> None:
    assert special.horner((1, -0.5, 3), "(f x)") == "(+ 1 (* (f x) (+ -0.5 (* (f x) 3))))"


def test_tables(capsys: pytest.CaptureFixture[str]) -> None:
    """The script makes the tables that are there."""
    script = Path(__file__).parents[1] / "benchmarks" / "coefficients.py"
    runpy.run_path(str(script), run_name="__main__")
    tables: dict[str, Any] = {}
    exec(capsys.readouterr().out, tables)
    del tables["__builtins__"]
    for number in tables.pop("ROOT"):
        assert f" {number!r}" in special.DIGAMMA
    assert {name: getattr(special, f"_{name}") for name in tables} == tables
