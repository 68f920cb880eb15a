"""Every kernel against mpmath over its whole range, in both widths, and its special values."""

import runpy
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import mpmath as mp
import numpy as np
import pytest
from kernel_loop import Array, Loop, loops, ulps, unit

from nablisp.evaluate import OPS, apply
from nablisp.kernels import KERNELS, exponential, hyperbolic, logarithm, power

INF, NAN = np.inf, np.nan
LEAST, TINY, HUGE = 5e-324, 2.2250738585072014e-308, 1.7976931348623157e308


class Row(NamedTuple):
    """What a kernel should give: mpmath's name or a function, and where it is interesting.

    An interval per argument for points in between; numbers whose neighbours are tried, too.
    """

    truth: str | Callable[..., Any]
    ends: tuple[tuple[float, float], ...] = ((-3, 3),)
    seams: tuple[float, ...] = ()
    limit: float = 1.1
    slack: float = 0.0
    """NumPy's own error near a zero, where it overflows at the largest number, too"""


def sigmoid(x: Any) -> Any:
    return 1 / (1 + mp.exp(-x))


def softplus(x: Any) -> Any:
    return max(x, 0) + mp.log1p(mp.exp(-abs(x)))


def cbrt(x: Any) -> Any:
    return mp.sign(x) * mp.cbrt(abs(x))


def erfc(x: Any) -> Any:
    """mpmath overflows far out, where there is nothing left."""
    return mp.erfc(x) if abs(x) < 30 else mp.mpf(0 if x > 0 else 2)


def lgamma(x: Any) -> Any:
    return mp.re(mp.loggamma(x))


ROOTS = 0.5**0.5, 2**0.5
HALF = np.log(2) / 2

ROWS = {
    "exp": Row("exp", ((-40, 40),), (HALF, -HALF, 708, -708, 709.782712893384, -745.1332191019412)),
    "expm1": Row("expm1", ((-3, 3),), (HALF, -HALF, 708, 709.782712893384), 1.5),
    "log": Row("log", ((0, 10),), (*ROOTS, 1, TINY)),
    "log2": Row(lambda x: mp.log(x) / mp.log(2), ((0, 10),), (*ROOTS, 1, 2, TINY)),
    "log10": Row("log10", ((0, 10),), (*ROOTS, 1, 10, TINY)),
    "log1p": Row("log1p", ((-1, 3),), (ROOTS[0] - 1, ROOTS[1] - 1, -1, 2.0**53)),
    "**": Row(mp.power, ((0, 3), (-3, 3)), (1, 2, 0.5)),
    "cbrt": Row(cbrt, ((-9, 9),), (1, 8, TINY), 0.6),
    "hypot": Row(mp.hypot, ((0, 3), (0, 3)), (2.0**-480, 2.0**510)),
    "sinh": Row("sinh", ((-3, 3),), (HALF, 708, 710.4758600739439)),
    "cosh": Row("cosh", ((-3, 3),), (HALF, 708, 710.4758600739439)),
    "tanh": Row("tanh", ((-3, 3),), (HALF, 18.4, 19.1)),
    "asinh": Row("asinh", ((-3, 3),), (2**-1.5, 2.0**500), 1.5),
    "acosh": Row("acosh", ((1, 3),), (1, 3 / 2**1.5, 2.0**500), 2),
    "atanh": Row("atanh", ((-1, 1),), (1 / 6, 0.5, 1)),
    "sigmoid": Row(sigmoid, ((-6, 6),), (670, -670, -708.4, -745.1332191019412)),
    "softplus": Row(softplus, ((-6, 6),), (670, -670, -708.4, -745.1332191019412), 1.2),
    "sin": Row("sin", ((-7, 7),), (np.pi / 4, np.pi / 2, np.pi, 2.0**20)),
    "cos": Row("cos", ((-7, 7),), (np.pi / 4, np.pi / 2, np.pi, 2.0**20)),
    "tan": Row("tan", ((-7, 7),), (np.pi / 4, np.pi / 2, np.pi, 2.0**20), 2),
    "sinc": Row("sincpi", ((-3, 3),), (0.25, 0.5, 1, 2, 2.0**20), 2, slack=1e-16),
    "asin": Row("asin", ((-1, 1),), (0.5, 1), 2),
    "acos": Row("acos", ((-1, 1),), (0.5, 1), 2),
    "atan": Row("atan", ((-5, 5),), (7 / 16, 11 / 16, 1, 19 / 16, 39 / 16), 2),
    "atan2": Row(mp.atan2, ((-3, 3), (-3, 3)), (1, LEAST, HUGE), 2),
    "erf": Row("erf", ((-6, 6),), (0.84375, 1.25, 6), 2),
    "erfc": Row(erfc, ((-6, 27),), (0.25, 0.84375, 1.25, 26.5), 2),
    "lgamma": Row(lgamma, ((0.1, 9),), (1, 2), 4),
    "digamma": Row("digamma", ((0.1, 9),), (1,), 4),
}
"""By the names of operations."""

EXACT = {"sign": 1, "min": 2, "max": 2, "clip": 3, "relu": 1, "finite?": 1, "mod": 2}
"""These are compared with NumPy's, bit for bit but for the sign of a zero."""

SPECIAL = [0.0, LEAST, TINY, 0.5, 1, 1.5, 2, 3, 2.0**53 - 1, 2.0**53, 1e20, HUGE, INF, NAN]
SPECIAL = [sign * x for x in SPECIAL for sign in (1, -1)]


def kernel_of(name: str) -> str:
    """The kernel of an operation."""
    return {"**": "pow", "finite?": "finite"}.get(name, OPS[name].native or name)


NAMES = [name for name in ROWS if kernel_of(name) in KERNELS]


@pytest.fixture(scope="module")
def compiled() -> dict[str, tuple[Loop, Loop]]:
    """Every kernel, by operation, eight lanes wide and one."""
    counts = {name: len(ROWS[name].ends) for name in NAMES}
    counts |= {name: count for name, count in EXACT.items() if kernel_of(name) in KERNELS}
    arities = {kernel_of(name): count for name, count in counts.items()}
    wide, narrow = loops(arities), loops(arities, lanes=1)
    return {name: (wide[kernel_of(name)], narrow[kernel_of(name)]) for name in counts}


def test_all_are_here() -> None:
    assert set(KERNELS) & set(OPS) - {"not"} <= set(ROWS) | set(EXACT)


# ---- ordinary points -----------------------------------------------------------------------------


def points(name: str) -> list[Array]:
    """Any bits, any exponents, the interval's points, and neighbours of the seams."""
    rng = np.random.default_rng(sum(map(ord, name)))
    row = ROWS[name]
    out = []
    for low, high in row.ends:
        bits = rng.integers(-(2**63), 2**63 - 1, 60).view(float)
        middle = np.exp2(rng.uniform(-30, 10, 40)) * rng.choice([-1, 1], 40)
        seams = rng.choice(np.array([*row.seams, *np.negative(row.seams)], float), 60)
        near = (seams.view(np.int64) + rng.integers(-3, 4, 60)).view(float)
        out.append(np.concatenate([bits, middle, near, rng.uniform(low, high, 160)]))
    if len(out) > 1:
        rng.shuffle(out[1][:100])
    return out


def exact(name: str, args: tuple[float, ...]) -> tuple[float, float]:
    """The nearest number to the truth and the rest in its last places; nan where complex."""
    truth = ROWS[name].truth
    f = getattr(mp, truth) if isinstance(truth, str) else truth
    with mp.workdps(40):
        try:
            value = f(*map(mp.mpf, args))
        except (ValueError, ZeroDivisionError):
            return NAN, 0.0
        if isinstance(value, mp.mpc) and value.imag != 0:
            return NAN, 0.0
        value = mp.re(value)
        near = float(value)
        return near, float((value - near) / float(unit(near))) if np.isfinite(near) else 0.0


@pytest.mark.parametrize("name", NAMES)
def test_points(name: str, compiled: dict[str, tuple[Loop, Loop]]) -> None:
    args = points(name)
    if name == "**":  # results of a size that can be shown
        args[1][:100] = rng_exponents(args[0][:100])
    keep = np.all([np.isfinite(x) & (x != 0) for x in args], axis=0)
    args = [x[keep] for x in args]
    wide, narrow = compiled[name]
    got = wide(*args)
    truths = [exact(name, given) for given in zip(*map(np.ndarray.tolist, args), strict=True)]
    nearest, rest = np.array(truths).T
    errors = ulps(got, nearest, rest)
    at = int(np.argmax(errors))
    where = [float(x[at]) for x in args]
    assert errors[at] <= ROWS[name].limit, (where, float(got[at]), float(nearest[at]))
    again = narrow(*args)
    assert np.array_equal(got, again, equal_nan=True)
    assert np.array_equal(np.signbit(got[got == 0]), np.signbit(again[got == 0]))


def rng_exponents(base: Array) -> Array:
    """Exponents that use the range of results."""
    with np.errstate(all="ignore"):
        return np.linspace(-760, 720, len(base)) / np.log(np.abs(base))


# ---- special values ------------------------------------------------------------------------------


def same(got: float, want: float, slack: float) -> bool:
    """Equal with the sign of zero, or both nan; ordinary numbers are the other test's."""
    if want == 0 or not np.isfinite(want):
        return repr(float(got)) == repr(float(want))
    return bool(abs(got - want) <= max(1e-14 * abs(want), slack))


@pytest.mark.parametrize("name", NAMES)
def test_special_values(name: str, compiled: dict[str, tuple[Loop, Loop]]) -> None:
    special = [x for x in SPECIAL if abs(x) != HUGE or not ROWS[name].slack]
    args = [*zip(*product(special, repeat=len(ROWS[name].ends)), strict=True)]
    with np.errstate(all="ignore"):
        want = apply(OPS[name], [np.array(x) for x in args])
    for loop in compiled[name]:
        for *given, got, expected in zip(*args, loop(*map(np.array, args)), want, strict=True):
            assert same(got, expected, ROWS[name].slack), (given, got, expected)


@pytest.mark.parametrize("name", EXACT)
def test_exact(name: str, compiled: dict[str, tuple[Loop, Loop]]) -> None:
    if name not in compiled:
        pytest.skip("native has none")
    args = [np.array(x) for x in zip(*product(SPECIAL, repeat=EXACT[name]), strict=True)]
    with np.errstate(all="ignore"):
        want = apply(OPS[name], args)
    for loop in compiled[name]:
        assert np.array_equal(loop(*args), want, equal_nan=True)


def test_exact_logarithms(compiled: dict[str, tuple[Loop, Loop]]) -> None:
    k = np.arange(-1022.0, 1024)
    assert np.array_equal(compiled["log2"][0](np.exp2(k)), k)
    tens = np.array([float(f"1e{i}") for i in range(23)])
    assert np.array_equal(compiled["log10"][0](tens), np.arange(23.0))


# ---- tables --------------------------------------------------------------------------------------


def test_tables(capsys: pytest.CaptureFixture[str]) -> None:
    """The script makes the tables that are there."""
    script = Path(__file__).parents[1] / "benchmarks" / "coefficients_exponential.py"
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(script.parent)
        runpy.run_path(str(script), run_name="__main__")
    tables: dict[str, Any] = {}
    exec(capsys.readouterr().out, tables)
    del tables["__builtins__"]
    modules = exponential, logarithm, hyperbolic, power
    kept = {name: getattr(m, name) for m in modules for name in tables if name in vars(m)}
    assert kept == tables
