"""Best polynomials: from a function and an interval to coefficients in binary64.

    fit = rounded(f, (a, b), range(12), weight=lambda x: 1 / f(x))
    show("_EXP", fit)

The exchange is Remez's, on a grid of a few dozen points an extremum, which costs less than a
thousandth of the error. Coefficients are rounded one after the other from the lowest power on, and
after each the others are fitted anew, so that they make up for what rounding took.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import mpmath as mp

Function = Callable[[mp.mpf], mp.mpf]

mp.mp.dps = 60


class Fit(NamedTuple):
    """Coefficients, one for each power, and the largest weighted error."""

    coefficients: list[mp.mpf]
    error: mp.mpf

    @property
    def bits(self) -> float:
        """log2 of the error."""
        return float(mp.log(abs(self.error), 2)) if self.error else -mp.inf


def one(x: mp.mpf) -> mp.mpf:
    """The weight of an absolute error."""
    return mp.mpf(1)


def grid(ends: tuple[float, float], count: int) -> list[mp.mpf]:
    """Points of an interval, dense at its ends, which are left out."""
    a, b = map(mp.mpf, ends)
    unit = [mp.cospi(mp.mpf(2 * i + 1) / (2 * count)) for i in range(count)]
    return [(a + b - (b - a) * u) / 2 for u in unit]


class _Problem(NamedTuple):
    """A function on a grid, and the columns of the powers: all times the weight."""

    values: list[mp.mpf]
    columns: list[list[mp.mpf]]


def _turned(problem: _Problem) -> _Problem:
    """The same with the first column positive: it is a factor of all, and errors alternate then."""
    signs = [-1 if v < 0 else 1 for v in problem.columns[0]]

    def turned(column: list[mp.mpf]) -> list[mp.mpf]:
        return [s * v for s, v in zip(signs, column, strict=True)]

    return _Problem(turned(problem.values), [turned(column) for column in problem.columns])


def _errors(problem: _Problem, coefficients: Sequence[mp.mpf]) -> list[mp.mpf]:
    out = list(problem.values)
    for c, column in zip(coefficients, problem.columns, strict=True):
        out = [e - c * v for e, v in zip(out, column, strict=True)]
    return out


def _extrema(errors: Sequence[mp.mpf], count: int) -> list[int]:
    """Where the error is largest between changes of its sign; `count` neighbours of these."""
    found: list[int] = []
    for i, e in enumerate(errors):
        if found and (errors[found[-1]] > 0) == (e > 0):
            if abs(e) > abs(errors[found[-1]]):
                found[-1] = i
        else:
            found.append(i)
    while len(found) > count:
        found.pop(0 if abs(errors[found[0]]) < abs(errors[found[-1]]) else -1)
    return found


def _exchange(problem: _Problem) -> Fit:
    """The best coefficients on the grid."""
    size, count = len(problem.columns), len(problem.values)
    if not size:
        return Fit([], max(map(abs, problem.values)))
    problem = _turned(problem)
    found = [round((1 - mp.cospi(mp.mpf(i) / size)) / 2 * (count - 1)) for i in range(size + 1)]
    best = None
    for _ in range(40):
        equations, values = mp.matrix(size + 1, size + 1), mp.matrix(size + 1, 1)
        for row, at in enumerate(found):
            for j in range(size):
                equations[row, j] = problem.columns[j][at]
            equations[row, size] = (-1) ** row
            values[row] = problem.values[at]
        *coefficients, level = mp.lu_solve(equations, values)
        errors = _errors(problem, coefficients)
        fit = Fit(coefficients, max(map(abs, errors)))
        if best is None or fit.error < best.error:
            best = fit
        extrema = _extrema(errors, size + 1)
        if fit.error <= abs(level) * mp.mpf("1.0001") or len(extrema) <= size:
            break
        found = extrema
    return best


def _problem(
    f: Function, ends: tuple[float, float], powers: Sequence[int], weight: Function
) -> _Problem:
    xs = grid(ends, 40 * (len(powers) + 2))
    weights = [weight(x) for x in xs]
    return _Problem(
        [f(x) * w for x, w in zip(xs, weights, strict=True)],
        [[x**k * w for x, w in zip(xs, weights, strict=True)] for k in powers],
    )


def remez(
    f: Function, ends: tuple[float, float], powers: Iterable[int], weight: Function = one
) -> Fit:
    """The Σ cₖ xᵏ over these powers whose largest |f - Σ| weight on the interval is least."""
    return _exchange(_problem(f, ends, list(powers), weight))


def rounded(
    f: Function, ends: tuple[float, float], powers: Iterable[int], weight: Function = one
) -> Fit:
    """The same with coefficients in binary64; the error is what they reach in exact arithmetic."""
    values, columns = _problem(f, ends, list(powers), weight)
    kept: list[mp.mpf] = []
    while columns:
        c = mp.mpf(float(_exchange(_Problem(values, columns)).coefficients[0]))
        kept.append(c)
        values = [v - c * x for v, x in zip(values, columns[0], strict=True)]
        columns = columns[1:]
    return Fit(kept, max(map(abs, values)))


def show(name: str, fit: Fit, what: str = "") -> None:
    """Print a table as Python source, after a comment that ends with log2 of the error."""
    print(f"\n# {what}{', ' if what else ''}2^{fit.bits:.1f}")
    print(f"{name} = (" + "".join(f"\n    {float(c)!r}," for c in fit.coefficients) + "\n)")
