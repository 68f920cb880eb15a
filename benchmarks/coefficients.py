"""The tables of src/nablisp/special.py: from a function and an interval to coefficients.

    python benchmarks/coefficients.py

Each fit is the rational function (or polynomial) that meets its function at the Chebyshev points of
the interval, found with 80 digits; that is within a small factor of the best one. The comment
above each table is log2 of its largest absolute error before rounding to binary64, which should
stay well below that of the sum it goes into, 2^-53 of the result.
"""

from __future__ import annotations

from collections.abc import Callable

import mpmath as mp

Function = Callable[[mp.mpf], mp.mpf]


def rational(f: Function, low: mp.mpf, high: mp.mpf, m: int, n: int) -> tuple[list[mp.mpf], ...]:
    """Coefficients, from degree 0 on, of p (degree m) and q (degree n, q(0) = 1) with p/q ≈ f."""
    size = m + n + 1
    equations, values = mp.matrix(size, size), mp.matrix(size, 1)
    for i in range(size):
        x = (low + high + (high - low) * mp.cospi(mp.mpf(2 * i + 1) / (2 * size))) / 2
        values[i] = f(x)
        for j in range(m + 1):
            equations[i, j] = x**j
        for j in range(1, n + 1):
            equations[i, m + j] = -values[i] * x**j
    found = list(mp.lu_solve(equations, values))
    return found[: m + 1], [mp.mpf(1), *found[m + 1 :]]


def show(name: str, *tables: list[mp.mpf], error: mp.mpf = mp.mpf(0)) -> None:
    """Print Python source for one table, or for a numerator and a denominator."""
    print(f"# {mp.nstr(mp.log(error, 2), 4)}" if error else "# rounded")
    names = [name] if len(tables) == 1 else [f"{name}_OVER", f"{name}_UNDER"]
    for title, table in zip(names, tables, strict=True):
        print(f"{title} = (" + "".join(f"\n    {float(c)!r}," for c in table) + "\n)")


def fit(name: str, f: Function, low: float, high: float, m: int, n: int = 0) -> None:
    """Fit, measure and print."""
    a, b = mp.mpf(low), mp.mpf(high)
    over, under = rational(f, a, b, m, n)
    points = [(a + b + (b - a) * mp.cospi(mp.mpf(i) / 301)) / 2 for i in range(1, 301)]
    error = max(
        abs(mp.polyval(over[::-1], x) / mp.polyval(under[::-1], x) - f(x)) for x in points
    )
    show(name, *((over, under) if n else (over,)), error=error)


def main() -> None:
    mp.mp.dps = 80
    root = mp.findroot(mp.digamma, 1.4616)
    near_two = mp.mpf(float(1 - mp.euler))

    def tail(t: mp.mpf) -> mp.mpf:
        x = 2 * (1 + t) / (1 - t)
        return mp.log(x * mp.erfc(x)) + x**2 + mp.mpf(9) / 16

    def lgamma_two(s: mp.mpf) -> mp.mpf:
        return mp.loggamma(2 + s) / s - near_two

    def stirling(v: mp.mpf) -> mp.mpf:
        x = 1 / mp.sqrt(v)
        half = (mp.log(2 * mp.pi) - 1) / 2
        return (mp.loggamma(x) - (x - 0.5) * (mp.log(x) - 1) - half) * x

    def far(v: mp.mpf) -> mp.mpf:
        x = 1 / mp.sqrt(v)
        return (mp.digamma(x + 0.5) - mp.log(x)) / v

    fit("ERF_SMALL", lambda v: mp.erf(mp.sqrt(v)) / mp.sqrt(v) - 1, 0, 0.84375**2, 11)
    fit("ERF_ONE", lambda s: mp.erf(1 + s) - 0.84375, -0.15625, 0.25, 14)
    fit("ERFC_TAIL", tail, (1.25 - 2) / (1.25 + 2), (28 - 2) / (28 + 2), 10, 11)
    fit("LGAMMA_TWO", lgamma_two, -0.5, 0.5, 7, 6)
    fit("LGAMMA_FAR", stirling, 0, 7.5**-2, 7)
    fit("DIGAMMA_ROOT", lambda s: mp.digamma(s + 1.5) / (s + 1.5 - root) - 1, -0.5, 0.5, 6, 6)
    fit("DIGAMMA_FAR", far, 0, 1.5**-2, 8, 9)
    show("ROOT", [mp.mpf(float(root)), root - float(root)])
    show("NEAR_TWO", [near_two])
    show("BERNOULLI", [mp.bernoulli(2 * j) / mp.factorial(2 * j) for j in range(1, 11)])


if __name__ == "__main__":
    main()
