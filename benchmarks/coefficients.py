"""The tables of src/nablisp/special.py: from a function and an interval to coefficients.

    python benchmarks/coefficients.py

Each fit is the rational function (or polynomial) that meets its function at the Chebyshev points of
an interval, found with 100 digits; that is within a small factor of the best one. A comment says
log2 of its largest absolute error before rounding to binary64.
"""

from __future__ import annotations

from collections.abc import Callable
from math import log2

import mpmath as mp

Function = Callable[[mp.mpf], mp.mpf]


def rational(f: Function, xs: list[mp.mpf], m: int) -> tuple[list[mp.mpf], list[mp.mpf]]:
    """Coefficients, from degree 0 on, of p of degree m and q with q(0) = 1, p/q = f at all `xs`."""
    size = len(xs)
    equations, values = mp.matrix(size, size), mp.matrix([f(x) for x in xs])
    for i, x in enumerate(xs):
        for j in range(size):
            equations[i, j] = x**j if j <= m else -values[i] * x ** (j - m)
    found = list(mp.lu_solve(equations, values))
    return found[: m + 1], [mp.mpf(1), *found[m + 1 :]]


def show(name: str, table: list[mp.mpf]) -> None:
    """Print a table as Python source."""
    print(f"{name} = (" + "".join(f"\n    {float(c)!r}," for c in table) + "\n)")


def fit(
    name: str,
    f: Function,
    ends: tuple[float, float],
    degrees: tuple[int, int],
    at: Function = lambda t: t,
) -> None:
    """Fit f, at the images under `at` of points between two ends; measure and print."""
    a, b = map(mp.mpf, ends)

    def points(count: int) -> list[mp.mpf]:
        unit = [mp.cospi(mp.mpf(2 * i + 1) / (2 * count)) for i in range(count)]
        return [at((a + b + (b - a) * u) / 2) for u in unit]

    over, under = rational(f, points(sum(degrees) + 1), degrees[0])
    error = max(
        abs(mp.polyval(over[::-1], x) / mp.polyval(under[::-1], x) - f(x)) for x in points(300)
    )
    print(f"\n# {log2(error):.1f}")
    if degrees[1]:
        show(f"{name}_OVER", over)
        show(f"{name}_UNDER", under)
    else:
        show(name, over)


def main() -> None:
    """The fits, in the order of special.py."""
    mp.mp.dps = 100
    root = mp.findroot(mp.digamma, 1.4616) - 1

    def log_tail(x: mp.mpf) -> mp.mpf:
        return mp.log(x * mp.erfc(x)) + x**2 + mp.mpf(9) / 16

    def stirling_rest(v: mp.mpf) -> mp.mpf:
        x = 1 / mp.sqrt(v)
        half = (mp.log(2 * mp.pi) - 1) / 2
        return (mp.loggamma(x) - (x - 0.5) * (mp.log(x) - 1) - half) * x

    fit("ERF_SMALL", lambda v: mp.erf(mp.sqrt(v)) / mp.sqrt(v) - 1, (0, 0.6875**2), (10, 0))
    fit("ERF_ONE", lambda s: mp.erf(1 + s) - 0.84375, (-0.3125, 0.25), (15, 0))
    ends = (1.25 - 1.5) / (1.25 + 1.5), (28 - 1.5) / (28 + 1.5)
    fit("ERFC_TAIL", log_tail, ends, (10, 10), at=lambda t: 1.5 * (1 + t) / (1 - t))
    fit("LGAMMA_NEAR", lambda q: mp.loggamma(1 + q) / (q * (q - 1)) - 0.375, (0, 3), (9, 9))
    fit("LGAMMA_FAR", stirling_rest, (0, 4**-2), (9, 0))
    fit("DIGAMMA_ROOT", lambda s: mp.digamma(1 + s) / (s - root) - 1, (0, 1), (6, 6))
    fit(
        "DIGAMMA_FAR",
        lambda w: mp.digamma(0.5 + mp.sqrt(w)) - mp.log(w) / 2,
        (1e-16, 1.5**-2),
        (7, 8),
        at=lambda v: 1 / v,
    )
    print()
    show("ROOT", [root, mp.digamma(1 + mp.mpf(float(root)))])
    show("BERNOULLI", [mp.bernoulli(2 * j) / mp.factorial(2 * j) for j in range(1, 9)])


if __name__ == "__main__":
    main()
