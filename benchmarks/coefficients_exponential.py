"""The tables of the kernels exp, log, pow, cbrt and their kin, as Python source.

python benchmarks/coefficients_exponential.py
"""

from __future__ import annotations

import mpmath as mp
from remez import Function, rounded, show

MORE = 1 + 2.0**-20
"""Intervals are a little wider than they need be, for what reductions round."""


def even(z: mp.mpf) -> mp.mpf:
    """(cosh r - 1)/r² at z = r²."""
    return (mp.cosh(mp.sqrt(z)) - 1) / z


def odd(z: mp.mpf) -> mp.mpf:
    """(sinh r - r)/r³."""
    r = mp.sqrt(z)
    return (mp.sinh(r) / r - 1) / z


def atanh(z: mp.mpf) -> mp.mpf:
    """(2 atanh(s)/s - 2)/s² at z = s²."""
    s = mp.sqrt(z)
    return 2 * (mp.atanh(s) / s - 1) / z


def atanh_rest(z: mp.mpf) -> mp.mpf:
    """(atanh(s)/s - 1 - s²/3)/s⁴."""
    return (atanh(z) / 2 - mp.mpf(1) / 3) / z


def root(r: mp.mpf) -> mp.mpf:
    """((1 - r)^(-1/3) - 1)/r."""
    return ((1 - r) ** (-mp.mpf(1) / 3) - 1) / r


def fit(name: str, f: Function, what: str, high: mp.mpf, count: int, power: int = 1) -> None:
    """A table in z up to `high`², where zᵏ f(z) is to be as exact as 1."""
    ends = 0, (high * MORE) ** 2
    show(name, rounded(f, ends, range(count), lambda z: z**power), what)


def parts(name: str, value: mp.mpf, bits: int = 53) -> None:
    """A constant as a sum of two, the first of so many bits."""
    fraction, exponent = mp.frexp(value)
    high = mp.ldexp(
        mp.floor(mp.ldexp(fraction, bits) + (0.5 if bits == 53 else 0)), exponent - bits
    )
    print(f"\n{name} = {float(high)!r}, {float(value - high)!r}")


def main() -> None:
    """The tables, in the order of the files."""
    half = mp.log(2) / 2
    fit("_EVEN", even, "(cosh r - 1)/r² in r² for |r| ≤ ½ ln 2", half, 5)
    fit("_ODD", odd, "(sinh r - r)/r³ in r² for |r| ≤ ½ ln 2", half, 5)
    ends = (mp.sqrt(2) - 1) / (mp.sqrt(2) + 1)
    what = "in s² for |s| ≤ (√2 - 1)/(√2 + 1)"
    fit("ATANH", atanh, f"(2 atanh(s)/s - 2)/s² {what}", ends, 7)
    fit("_UNIT", atanh, "the same for |s| ≤ 1/3", mp.mpf(1) / 3, 10)
    fit("_WIDE", atanh, "(2 atanh(s)/s - 2)/s² in s² for |s| ≤ 0.2003", mp.mpf("0.2003"), 8)
    fit("_PRECISE", atanh_rest, f"(atanh(s)/s - 1 - s²/3)/s⁴ {what}", ends, 7, 2)

    def relative(r: mp.mpf) -> mp.mpf:
        return abs(r) * (1 - r) ** (mp.mpf(1) / 3)

    show(
        "_ROOT",
        rounded(root, (-0.1024, 0.1024), range(6), relative),
        "((1 - r)^(-1/3) - 1)/r for |r| ≤ 0.1024",
    )
    parts("_LN2", mp.log(2))
    parts("LN2", mp.log(2), 32)
    parts("_LOG10_2", mp.log10(2), 38)
    parts("LOG2_E", 1 / mp.log(2))
    parts("_LOG10_E", 1 / mp.log(10))
    parts("_THIRD", mp.mpf(1) / 3)


if __name__ == "__main__":
    main()
