"""The special functions that array libraries lack, as formulas over rows they have.

Each is one text for whole arrays: every branch is computed and `where` picks. Tables come from
`benchmarks/coefficients.py`, each coefficient from degree 0 on; a fit is always a small correction
to something exact, so that its rounding hardly counts. Where the truth is 0 only a zero's own
formula is right in relative terms: lgamma has one at 1 and at 2, digamma one at 1.46…, neither one
at their zeros below 0.
"""

from __future__ import annotations

from collections.abc import Sequence


def horner(coefficients: Sequence[float], x: str) -> str:
    """The text of a polynomial in `x`, itself a text, from the coefficient of degree 0 on.

    >>> horner((1, 2, 3), "x")
    '(+ 1 (* x (+ 2 (* x 3))))'
    """
    *lower, out = map(repr, coefficients)
    for coefficient in reversed(lower):
        out = f"(+ {coefficient} (* {x} {out}))"
    return out


def _ratio(over: Sequence[float], under: Sequence[float], x: str) -> str:
    return f"(/ {horner(over, x)} {horner(under, x)})"


# ---- erf and erfc --------------------------------------------------------------------------------
# The intervals of W. J. Cody, "Rational Chebyshev approximations for the error function" (1969), as
# FreeBSD's s_erf.c has them.

# erf(√v)/√v - 1 for v in [0, 0.84375²]
_ERF_SMALL = (
    0.1283791670955126, -0.3761263890318375, 0.11283791670954745, -0.026866170645031,
    0.005223977624080742, -0.000854832691425112, 0.00012055327421282683, -1.4925463570287675e-05,
    1.6457914349746103e-06, -1.630309508468887e-07, 1.4205594850504056e-08, -8.879702704985848e-10,
)  # fmt: skip

# erf(1 + s) - 0.84375 for s in [-0.15625, 0.25]
_ERF_ONE = (
    -0.0010492070502851306, 0.4151074974205947, -0.41510749742059466, 0.13836916580686376,
    0.0691845829034265, -0.06918458290310657, 0.00461230552739543, 0.015154718119182887,
    -0.0047770306909146526, -0.001885185895224439, 0.0012262811577777677, 8.545410460388881e-05,
    -0.00019975766916207862, 1.9294086636295247e-05, 1.915566076622264e-05,
)  # fmt: skip

# log(x exp(x²) erfc(x)) + 0.5625 for x in [1.25, 28], in t = (x - 2)/(x + 2)
_ERFC_TAIL_OVER = (
    -0.10929408405669226, 0.14813218336305486, -0.06634750841244723, -0.0835633142624646,
    0.11383410774375742, -0.08519696660988602, 0.002703270598353598, 0.009490101189493614,
    -0.016760309432301678, 0.0034830134738597805, -0.0015973341163573478,
)  # fmt: skip
_ERFC_TAIL_UNDER = (
    1.0, 1.6398380040983938, 1.3770452332703373, 1.576422905816006, 1.3041058398512897,
    0.7973430090121149, 0.5319015731604204, 0.2556044421736563, 0.10235834871830946,
    0.03547685276269394, 0.007220856339253243, 0.0008971243195268431,
)  # fmt: skip

_SMALL = f"(* x {horner(_ERF_SMALL, '(* x x)')})"
_ONE = horner(_ERF_ONE, "(- (abs x) 1)")


def _tail() -> str:
    """erfc of |x| from 1.25 on. exp(-x²) = exp(-h²) exp((h - x)(h + x)), where h is x cut to 20 bits
    after the point: its square is exact, and the second exponent small.
    """
    x = "(clip (abs x) 1.25 28)"
    h = f"(/ (floor (* {x} 1048576)) 1048576)"
    correction = _ratio(_ERFC_TAIL_OVER, _ERFC_TAIL_UNDER, f"(/ (- {x} 2) (+ {x} 2))")
    head = f"(exp (- -0.5625 (* {h} {h})))"
    return f"(/ (+ {head} (* {head} (expm1 (+ (* (- {h} {x}) (+ {h} {x})) {correction})))) {x})"


_TAIL = _tail()

ERF = f"""
(where (< (abs x) 0.84375) (+ x {_SMALL})
  (* (sign x) (where (< (abs x) 1.25) (+ 0.84375 {_ONE}) (- 1 {_TAIL}))))"""

_FAR = f"(where (< (abs x) 1.25) (- 0.15625 {_ONE}) {_TAIL})"
ERFC = f"""
(where (< (abs x) 0.84375)
  (where (< x 0.25) (- 1 (+ x {_SMALL})) (- 0.5 (+ (- x 0.5) {_SMALL})))
  (where (< x 0) (- 2 {_FAR}) {_FAR}))"""

# ---- lgamma --------------------------------------------------------------------------------------

# lgamma(2 + s)/s - (1 - γ) for s in [-0.5, 0.5]
_LGAMMA_TWO_OVER = (
    4.93541917080933e-18, 0.3224670334241132, 0.44652110492780556, 0.2289953229232586,
    0.05311921498921949, 0.0053884501821143006, 0.00018424947689926676, 5.268820181023855e-07,
)  # fmt: skip
_LGAMMA_TWO_UNDER = (
    1.0, 1.593568807714834, 0.9791544804717981, 0.2904363215726553, 0.04241390890960676,
    0.0027340212896628737, 5.457615146296745e-05,
)  # fmt: skip

# x (lgamma(x) - (x - 1/2)(log(x) - 1) - (log(2π) - 1)/2) for x from 7.5 on, in 1/x²
_LGAMMA_FAR = (
    0.08333333333333333, -0.0027777777777775368, 0.0007936507933649074, -0.0005952379653539187,
    0.0008417216737331459, -0.0019139313272278763, 0.006159482931227775, -0.019960699917191262,
)  # fmt: skip


def _lgamma() -> str:
    """With s the way from y to the nearest integer k, lgamma(k + s) = lgamma(2 + s) + the log of the
    factors between, up to 7.5; then Stirling's series. y is x from -0.5 on, else -x, with
    Γ(x) Γ(-x) = -π/(x sin πx).
    """
    y = "(where (< x -0.5) (- x) x)"
    s = f"(- {y} (floor (+ {y} 0.5)))"
    two = f"(* {s} (+ 0.42278433509846713 {_ratio(_LGAMMA_TWO_OVER, _LGAMMA_TWO_UNDER, s)}))"
    factors = " ".join(f"(where (< {y} {k + 1.5}) 1 (- {y} {k}))" for k in range(1, 6))
    below = f"(+ (log (abs {y})) (where (< {y} 0.5) (log1p {y}) 0))"
    near = f"(+ {two} (where (< {y} 1.5) (- {below}) (log (* {factors}))))"
    series = f"(+ 0.4189385332046727 (/ {horner(_LGAMMA_FAR, f'(/ 1 (* {y} {y}))')} {y}))"
    far = f"(+ (* (- {y} 0.5) (- (log {y}) 1)) {series})"
    return f"""
(where (and (<= x 0) (= x (floor x))) inf
  (- (where (< x -0.5) (log (/ pi (* {y} (abs (sin (* pi {s})))))) 0)
     (* (where (< x -0.5) 1 -1) (where (< {y} 7.5) {near} {far}))))"""


LGAMMA = _lgamma()

# ---- digamma and polygamma -----------------------------------------------------------------------

# digamma(1.5 + s)/(1.5 + s - r) - 1 for s in [-0.5, 0.5], r = 1.46… its root, in two parts
_DIGAMMA_ROOT_OVER = (
    -0.04894412396816712, -0.5054533638180585, -0.5181949196382484, -0.1979917303542515,
    -0.03308082961720959, -0.00227682174529244, -4.622758139095331e-05,
)  # fmt: skip
_DIGAMMA_ROOT_UNDER = (
    1.0, 1.6718236205395554, 1.0319333676352624, 0.2978119036558111, 0.041378314480827155,
    0.0025031842360786877, 4.664959078686044e-05,
)  # fmt: skip

# z² (digamma(z + 1/2) - log(z)) for z from 1.5 on, in 1/z²
_DIGAMMA_FAR_OVER = (
    0.041666666666666664, 1.2341317886980474, 13.213700951303506, 65.72397078368044,
    162.51767524650512, 198.28998084750316, 111.08239403202731, 24.020152983065632,
    1.2839898286113507,
)  # fmt: skip
_DIGAMMA_FAR_UNDER = (
    1.0, 29.794162928753018, 322.2505394390874, 1631.1194957335274, 4158.9133459132445,
    5363.351905708124, 3337.2918479175946, 896.4245082157915, 82.19518183616219, 1.393594592649263,
)  # fmt: skip


def _digamma() -> str:
    """ψ(y) = ψ(y + 1) - 1/y below 1, ψ(x) = ψ(1 - x) - π/tan(πx) below 0; the sign of a zero says
    on which side of the pole it is.
    """
    y = "(where (< x 0) (- 1 x) x)"
    z = f"(where (< {y} 1) (+ {y} 1) {y})"
    root = _ratio(_DIGAMMA_ROOT_OVER, _DIGAMMA_ROOT_UNDER, f"(- {z} 1.5)")
    near = f"(* (- (- {z} 1.4616321449683622) 9.549995429965697e-17) (+ 1 {root}))"
    v = f"(/ 1 (* (- {y} 0.5) (- {y} 0.5)))"
    far = f"(+ (log (- {y} 0.5)) (* {v} {_ratio(_DIGAMMA_FAR_OVER, _DIGAMMA_FAR_UNDER, v)}))"
    positive = f"(where (< {y} 2) (- {near} (where (< {y} 1) (/ 1 {y}) 0)) {far})"
    s = "(- x (floor (+ x 0.5)))"
    return f"""
(where (< x 0) (where (= {s} 0) nan (- {positive} (/ pi (tan (* pi {s}))))) {positive})"""


DIGAMMA = _digamma()

# the Bernoulli numbers B₂, B₄, … over 2!, 4!, …
_BERNOULLI = (
    0.08333333333333333, -0.001388888888888889, 3.306878306878307e-05, -8.267195767195768e-07,
    2.08767569878681e-08, -5.284190138687493e-10, 1.3382536530684679e-11, -3.3896802963225827e-13,
    8.586062056277845e-15, -2.174868698558062e-16,
)  # fmt: skip


def _polygamma() -> str:
    """With n the order, (-1)ⁿ⁺¹ n! ζ(n + 1, y): ten terms, and the rest by Euler and Maclaurin, over
    y⁻ⁿ, which comes in halves around n! so that neither overflows alone.
    """
    y = "(where (< y 0) (- 1 y) y)"
    z = f"(+ {y} 10)"
    rest = repr(_BERNOULLI[-1])
    for j in range(len(_BERNOULLI) - 1, 0, -1):
        step = f"(/ (* (+ x {2 * j}) (+ x {2 * j + 1})) (* {z} {z}))"
        rest = f"(+ {_BERNOULLI[j - 1]!r} (* {step} {rest}))"
    terms = " ".join(f"(** (/ {y} (+ {y} {k})) (+ x 1))" for k in range(9, 0, -1))
    rest = f"(+ (/ 1 x) (/ (+ 0.5 (* (/ (+ x 1) {z}) {rest})) {z}))"
    zeta = f"(+ (* (** (/ {y} {z}) x) {rest}) (/ (+ {terms} 1) {y}))"
    half = f"(** {y} (/ x -2))"
    size = f"(where (= {y} inf) 0 (* (* (exp (lgamma (+ x 1))) {half}) {zeta} {half}))"
    s = "(- y (floor (+ y 0.5)))"
    return f"""
(where (not (and (>= x 0) (= x (floor x)))) nan
  (where (= x 0) (digamma y)
    (where (>= y 0) (* (where (= (mod x 2) 0) -1 1) {size})
      (where (= x 1) (- (** (/ pi (sin (* pi {s}))) 2) {size}) nan))))"""


POLYGAMMA = _polygamma()
