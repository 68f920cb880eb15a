"""erf and erfc, with exp(-x²) from exp's own parts: a formula that has both shares them."""

from __future__ import annotations

from ..expr import Expr
from . import primitives as p
from .exponential import beyond, even_part, fraction, odd_part, power_of_two, reduced, scaled

# erf(√v)/√v - 1 for v in [0, 0.9²], 2^-56.3 of the error function
_ERF_SMALL = (
    0.1283791670955126,
    -0.3761263890318411,
    0.11283791670972038,
    -0.026866170648260045,
    0.005223977655070423,
    -0.0008548328651795709,
    0.00012055388204446589,
    -1.4926829459790241e-05,
    1.6477626620477051e-06,
    -1.647961623468282e-07,
    1.5097829168830427e-08,
    -1.0823916427246739e-09,
)

# exp(x²) erfc(x)/v in v - 7/32, where v = 1/(x + 2), for x in [0.9, 6], 2^-58.0 of the error
# function
_LARGE_CENTRE = 7 / 32
_ERF_LARGE = (
    0.9399781523570501,
    2.476641970843728,
    4.222830231973937,
    2.94865479829338,
    -4.302112854289606,
    -8.654943065233276,
    8.525571441378224,
    23.65234355023784,
    -33.255796811000714,
    -67.25907655158223,
    219.99392561954556,
    -192.7577827896891,
)

# exp(x²) erfc(x)/v in v - 11803/65536, where v = 1/(x + 2), for x in [0, 27.3], 2^-56.2
_CENTRE = 11803 / 65536
_ERFC = (
    0.8503839166157374,
    2.164320705003031,
    3.8476054988818027,
    3.476625293762675,
    -2.4908350024078953,
    -9.80063848172692,
    1.0761234206698609,
    29.784670592171455,
    -2.875380964180359,
    -109.55541068873404,
    57.714930855087395,
    435.1951965481316,
    -614.2111381223484,
    -1501.0319666764801,
    4821.309740649702,
    1710.530676743594,
    -28751.31738607157,
    35347.50688564019,
    100731.55988530413,
    -373202.7815074782,
    198814.54611063097,
    1307189.8087431767,
    -3535369.789973511,
    3884829.636731179,
    -1687338.5340287937,
)

_HALF_LOG2_E = 0.7213475204444817
_MAGIC = 6755399441055744.0  # its lowest bits hold the integer that is added
_LARGE = 26.0  # beyond it, exp(-x²) or erfc(x) is nearly subnormal


def erf(x: Expr) -> Expr:
    """The error function: x + x P(x²) below 0.9, 1 - exp(-x²) v P(v) above. 1.5 ulp.

    v is 1/(|x| + 2); both P have twelve coefficients.
    """
    size, square = p.absolute(x), x * x
    near = p.fma(size, p.two_chains(square, _ERF_SMALL), size)
    part = reduced(p.negative(square))
    v = 1.0 / (size + 2.0)
    u = v - _LARGE_CENTRE
    curve = p.fma(u, p.two_chains(u, _ERF_LARGE[1:]), _ERF_LARGE[0])
    decay = scaled(1 + fraction(part), part.power)  # as exp has it
    above = p.fma(p.negative(decay * v), curve, 1.0)
    usual = p.copysign(p.where(size < 0.9, near, above), x)
    return p.rarely(beyond(x, _LARGE), "erf_far", x, usually=usual)


def erf_far(x: Expr) -> Expr:
    """erf where it is ±1, or a nan."""
    return p.where(p.unequal(x, x), x, p.copysign(1.0, x))


def _tail(size: Expr) -> tuple[Expr, p.Bits]:
    """erfc for x ≥ 0 without its power of two, and that, where an exponent has its bits.

    exp(-x²) sees what x² rounds. v = 1/(x + 2) is rounded twice, by a share of v that is found
    exactly. It changes the result by that share times 1 + 2.5 v, nearly, and so does a change of
    the exponent. The last step of P and the products carry what they round.
    """
    square = size * size
    part = reduced(p.negative(square))
    under = size + 2.0
    v = 1.0 / under
    minus = p.negative(v)
    share = p.fma(minus, size - (under - 2.0), p.fma(minus, under, 1.0))
    tail = part.tail - p.fma(size, size, p.negative(square))
    tail = p.fma(share, p.fma(v, 2.5, 1.0), tail)
    r = part.exact + tail
    rest = p.fma(r * r, p.fma(r, odd_part(r), even_part(r)), tail)
    u = v - _CENTRE
    slope = p.fma(u, p.two_chains(u, _ERFC[2:]), _ERFC[1])
    curve = p.fma(u, slope, _ERFC[0])
    curve_low = p.fma(u, slope, _ERFC[0] - curve)
    out = v * curve
    out_low = p.fma(v, curve_low, p.fma(v, curve, p.negative(out)))
    low = p.fma(out_low, part.exact, p.fma(out, rest, out_low))
    return out + p.fma(out, part.exact, low), part.power


def erfc(x: Expr) -> Expr:
    """1 - erf(x), exact for large x: exp(-x²) v P(v), or 2 less that below 0. 1.6 ulp.

    One P of degree 24 in v = 1/(|x| + 2), after Shepherd and Laframboise, "Chebyshev approximation
    of (1 + 2x) exp(x²) erfc x in 0 ≤ x < ∞" (1981).
    """
    out, power = _tail(p.absolute(x))
    usual = scaled(out, power)
    usual = p.where(x < 0.0, 2.0 - usual, usual)
    return p.rarely(beyond(x, _LARGE), "erfc_far", x, out, usually=usual)


def erfc_far(x: Expr, out: Expr) -> Expr:
    """erfc from 26 on, from what lacks its power of two: that comes in two factors."""
    size = p.absolute(x)
    square = size * size
    power = reduced(p.negative(square)).power
    first = p.shl(p.bits(p.floor(square * -_HALF_LOG2_E) + _MAGIC), p.word(52))
    out = out * power_of_two(first) * power_of_two(p.isub(power, first))
    out = p.where(size > 28.0, 0.0, out)  # a nan stays
    return p.where(x < 0.0, 2.0 - out, out)
