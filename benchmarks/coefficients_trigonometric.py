"""The tables of kernels/trigonometric.py and kernels/error_function.py.

    python benchmarks/coefficients_trigonometric.py

Every table is the best polynomial there is, with coefficients in binary64; a comment says log2 of
its largest error as a share of the function. The names are those of the tables.
"""

from __future__ import annotations

import coefficients
import mpmath as mp
from remez import Fit, Function, grid, remez, rounded, show


def parts(x: mp.mpf, *bits: int) -> list[mp.mpf]:
    """A number as a sum of numbers with so many bits, each the rest rounded."""
    out: list[mp.mpf] = []
    for precision in bits:
        rest = x - mp.fsum(out)
        with mp.workprec(precision):
            out.append(+rest)
    return out


def small(f: Function, end: float, count: int) -> Fit:
    """The P with f(x) = x + x³ P(x²) for x up to the end, and its error as a share of f."""

    def rest(z: mp.mpf) -> mp.mpf:
        return (f(mp.sqrt(z)) / mp.sqrt(z) - 1) / z

    def share(z: mp.mpf) -> mp.mpf:
        return z * mp.sqrt(z) / f(mp.sqrt(z))

    return rounded(rest, (0, end**2), range(count), share)


def negative(fit: Fit) -> Fit:
    """The fit of the negative function."""
    return Fit([-c for c in fit.coefficients], fit.error)


def tangent(end: float) -> tuple[Fit, Fit]:
    """The N and D of tan x = (x + x³ N(x²))/(1 + x² D(x²)), three coefficients each.

    D is from the quotient that meets the function at Chebyshev points; N is fitted to D as rounded.
    """

    def ratio(z: mp.mpf) -> mp.mpf:
        return mp.tan(mp.sqrt(z)) / mp.sqrt(z)

    under = [mp.mpf(float(c)) for c in coefficients.rational(ratio, grid((0, end**2), 7), 3)[1]]

    def product(z: mp.mpf) -> mp.mpf:
        return ratio(z) * mp.polyval(under[::-1], z)

    over = rounded(lambda z: (product(z) - 1) / z, (0, end**2), range(3), lambda z: z / product(z))
    return over, Fit(under[1:], over.error)


def scaled_tail(x: mp.mpf) -> mp.mpf:
    """exp(x²) erfc(x)."""
    return mp.exp(x * x) * mp.erfc(x)


def tail(k: int, ends: tuple[float, float], count: int, centre: float, weight: Function) -> Fit:
    """The P with erfc(x) = exp(-x²) v P(v - centre), where v = 1/(x + k); the weight is of x.

    The coefficients are only rounded: around a 0 inside the interval, polynomials that lack the
    lower powers cannot be fitted. The first is the value at the centre, so a centre is good where
    that is nearly a binary64 number by itself.
    """

    def x(u: mp.mpf) -> mp.mpf:
        return 1 / (u + centre) - k

    def curve(u: mp.mpf) -> mp.mpf:
        return scaled_tail(x(u)) / (u + centre)

    def share(u: mp.mpf) -> mp.mpf:
        return (u + centre) * weight(x(u))

    a, b = ends
    images = 1 / (mp.mpf(b) + k) - centre, 1 / (mp.mpf(a) + k) - centre
    kept = [mp.mpf(float(c)) for c in remez(curve, images, range(count), share).coefficients]
    error = max(abs(mp.polyval(kept[::-1], u) - curve(u)) * share(u) for u in grid(images, 1000))
    return Fit(kept, error)


def main() -> None:
    """The fits, in the order of the modules."""
    quarter = float(mp.pi / 4) + 1e-6  # the quotient that chooses the quadrant is rounded
    coefficients.show("_HALF_PI", parts(mp.pi / 2, 53, 33, 53))
    print(f"_HALF_PI_LOW = {float(parts(mp.pi / 2, 53, 53)[1])!r}")
    show("_SIN", negative(small(mp.sin, quarter, 6)), "(x - sin x)/x³ in x²")
    cosine = rounded(
        lambda z: (mp.cos(mp.sqrt(z)) - 1) / z,
        (0, quarter**2),
        range(7),
        lambda z: z / mp.cos(mp.sqrt(z)),
    )
    show("_COS", cosine, "(cos x - 1)/x² in x²")
    over, under = tangent(quarter)
    show("_TAN_OVER", negative(over))
    show("_TAN_UNDER", under)
    show("_ASIN", small(mp.asin, 0.5, 12))
    show("_ATAN", small(mp.atan, 0.5, 12))
    show(
        "_SINC",
        rounded(
            lambda z: (mp.sinc(mp.pi * mp.sqrt(z)) - 1) / z,
            (0, 0.25),
            range(8),
            lambda z: z / mp.sinc(mp.pi * mp.sqrt(z)),
        ),
    )
    show(
        "_ERF_SMALL",
        rounded(
            lambda z: mp.erf(mp.sqrt(z)) / mp.sqrt(z) - 1,
            (0, 0.9**2),
            range(12),
            lambda z: mp.sqrt(z) / mp.erf(mp.sqrt(z)),
        ),
    )
    show("_ERF_LARGE", tail(2, (0.9, 6), 12, 7 / 32, lambda x: mp.exp(-x * x) / mp.erf(x)))
    show("_ERFC", tail(2, (0, 27.3), 25, 11803 / 65536, lambda x: 1 / scaled_tail(x)))


if __name__ == "__main__":
    main()
