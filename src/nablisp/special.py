"""The special functions that array libraries lack, as formulas over rows they have.

Each is one text for whole arrays: all branches are computed, and `where` picks. What is fitted is a
small correction to something exact, so that its rounding hardly counts. The tables begin with
degree 0; `benchmarks/coefficients.py` makes them. lgamma at 1 and 2, and digamma at its root 1.46…,
have a factor for the zero; near their zeros below 0 the error is small in absolute terms only.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import factorial


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
# The intervals and forms of FreeBSD's s_erf.c (after W. J. Cody, "Rational Chebyshev approximations
# for the error function", 1969), except that one fit covers the whole tail.

# erf(√v)/√v - 1 for v in [0, 0.6875²]
_ERF_SMALL = (
    0.1283791670955126,
    -0.3761263890318375,
    0.11283791670954578,
    -0.026866170644950012,
    0.005223977622367738,
    -0.0008548326718903275,
    0.00012055314148002768,
    -1.4924900692999103e-05,
    1.6442870925579726e-06,
    -1.605673647707473e-07,
    1.1947101052868964e-08,
)

# erf(1 + s) - 0.84375 for s in [-0.3125, 0.25]
_ERF_ONE = (
    -0.0010492070502851306,
    0.4151074974205947,
    -0.41510749742059466,
    0.13836916580686837,
    0.06918458290342298,
    -0.06918458290398463,
    0.0046123055275927175,
    0.015154718199044768,
    -0.004777030737297027,
    -0.0018851898219181765,
    0.0012262870650437288,
    8.555323680571958e-05,
    -0.00020002924099075465,
    1.8408959357614794e-05,
    2.3311862136590228e-05,
    -4.092317740126432e-06,
)

# log(x exp(x²) erfc(x)) + 0.5625 for x in [1.25, 28]
_ERFC_TAIL_OVER = (
    -3.941678036803423,
    -42.68365025867114,
    -86.24682300824965,
    -86.2342452872431,
    -55.83776504631304,
    -24.62012428449265,
    -8.010544273093299,
    -1.7631321855162057,
    -0.3030648169849742,
    -0.025420238423217376,
    -0.0032517065607731415,
)
_ERFC_TAIL_UNDER = (
    1.0,
    24.855211839584726,
    121.42497968076322,
    240.02356819310214,
    283.72340427605087,
    219.94241048923791,
    122.57946132480322,
    48.121854333097275,
    14.014637252100101,
    2.576825696816693,
    0.3296224403503215,
)

_SMALL = f"(* x {horner(_ERF_SMALL, '(* x x)')})"
_ONE = horner(_ERF_ONE, "(- (abs x) 1)")


def _tail() -> str:
    """erfc of |x| from 1.25 on.

    exp(-x²) is exp(-h²) exp((h - x)(h + x)) with x cut to 20 bits after the point, h: its square is
    exact and the second exponent small, so that neither exp sees a rounded argument that is large.
    """
    x = "(min (abs x) 28)"
    h = f"(/ (floor (* {x} 1048576)) 1048576)"
    head = f"(exp (- -0.5625 (* {h} {h})))"
    rest = f"(+ (* (- {h} {x}) (+ {h} {x})) {_ratio(_ERFC_TAIL_OVER, _ERFC_TAIL_UNDER, x)})"
    return f"(/ (+ {head} (* {head} (expm1 {rest}))) {x})"


_TAIL = _tail()

ERF = f"""
(where (< (abs x) 0.6875)
  (+ x {_SMALL})
  (* (sign x) (where (< (abs x) 1.25) (+ 0.84375 {_ONE}) (- 1 {_TAIL}))))"""

ERFC = f"""
(where (< (abs x) 0.6875)
  (- (where (< x 0.25) 1 0.5) (+ (- x (where (< x 0.25) 0 0.5)) {_SMALL}))
  (+ (- 1 (sign x)) (* (sign x) (where (< (abs x) 1.25) (- 0.15625 {_ONE}) {_TAIL}))))"""

# ---- lgamma --------------------------------------------------------------------------------------

# lgamma(1 + q)/(q (q - 1)) - 0.375 for q in [0, 3]
_LGAMMA_NEAR_OVER = (
    0.20221566490153287,
    0.5127567043049578,
    0.396460819039975,
    -0.002606966543029012,
    -0.15263699065732778,
    -0.08075061730269566,
    -0.01773001111189819,
    -0.0017504643268902746,
    -6.880475808024883e-05,
    -7.3407330057823e-07,
)
_LGAMMA_NEAR_UNDER = (
    1.0,
    3.748513119379957,
    5.738202953731988,
    4.6346276830093025,
    2.1337997969050173,
    0.5661283333714182,
    0.08367193812940361,
    0.006335723831552411,
    0.00020761819740754223,
    1.979616037398412e-06,
)

# x (lgamma(x) - (x - 1/2)(log(x) - 1) - (log(2π) - 1)/2) for x from 4 on, in 1/x²
_LGAMMA_FAR = (
    0.08333333333333333,
    -0.002777777777771288,
    0.0007936507901805894,
    -0.0005952373672607474,
    0.0008416721483780579,
    -0.0019125368108574897,
    0.006210992276421007,
    -0.02431970081518216,
    0.08600886915362022,
    -0.17390223978422367,
)


def _lgamma() -> str:
    """For y = |x|: from 4 on by Stirling's series, below with the zeros at 1 and 2 as factors.

    Below 1 it is lgamma(1 + y) at first, which leaves the factor y to the pole. Below 0,
    Γ(1 + x) Γ(1 - x) = πx / sin πx. A difference from 0 is never -0.
    """
    q = "(- (abs x) (min (floor (abs x)) 1))"
    ratio = _ratio(_LGAMMA_NEAR_OVER, _LGAMMA_NEAR_UNDER, q)
    near = f"(* (* {q} (- {q} 1)) (+ 0.375 {ratio}))"
    series = f"(/ {horner(_LGAMMA_FAR, '(/ 1 (* x x))')} (abs x))"
    stirling = "(* (- (abs x) 0.5) (- (log (abs x)) 1))"
    far = f"(+ {stirling} (+ 0.4189385332046727 {series}))"
    sine = "(abs (sin (* pi (- x (floor (+ x 0.5))))))"
    return f"""
(where (and (<= x 0) (= x (floor x)))
  inf
  (- 0 (- (log (where (< x 0) (/ (* (max (abs x) 1) {sine}) pi) (min x 1)))
          (* (sign x) (where (< (abs x) 4) {near} {far})))))"""


LGAMMA = _lgamma()

# ---- digamma and polygamma -----------------------------------------------------------------------

# digamma(1 + s)/(s - r) - 1 for s in [0, 1], where r = 0.46… is its root
_DIGAMMA_ROOT_OVER = (
    0.2503801375034054,
    -0.30957408825968885,
    -0.6919409437403516,
    -0.35473150019898825,
    -0.07115493979151359,
    -0.005519862186036254,
    -0.00011934204387003062,
)
_DIGAMMA_ROOT_UNDER = (
    1.0,
    2.1771665986671342,
    1.6630736963665909,
    0.5710455727133128,
    0.09111902253303285,
    0.006100975692434821,
    0.00012043151172286901,
)

# digamma(1/2 + √w) - log(√w) for w from 1.5² on
_DIGAMMA_FAR_OVER = (
    0.8688056961676597,
    13.3446106575844,
    49.64998167690804,
    69.25035791569083,
    42.4923682529633,
    12.031310879353883,
    1.501093068485911,
    0.06505862281987147,
)
_DIGAMMA_FAR_UNDER = (
    1.0,
    51.190464712993546,
    470.8821526627153,
    1435.894791319087,
    1825.0554069136147,
    1068.2406667578134,
    294.95981170135536,
    36.29947985950282,
    1.5614069476769172,
)


def _digamma() -> str:
    """For y = |x|: from 2 on by log(y - 1/2), below by the distance from the rounded root.

    Otherwise by ψ(y) = ψ(y + 1) - 1/y and ψ(x) = ψ(1 - x) - π/tan(πx). The sign of a zero says on
    which side of the pole it is.
    """
    s = "(- (abs x) (floor (abs x)))"
    w = "(min (** (- (abs x) 0.5) 2) 1e16)"
    root = f"(+ 1 {_ratio(_DIGAMMA_ROOT_OVER, _DIGAMMA_ROOT_UNDER, s)})"
    # the number added is ψ at the rounded root
    near = f"(+ (* (- {s} 0.46163214496836236) {root}) 1.5020545501373212e-17)"
    far = f"(+ (log (- (abs x) 0.5)) {_ratio(_DIGAMMA_FAR_OVER, _DIGAMMA_FAR_UNDER, w)})"
    pole = "(/ pi (tan (* pi (- x (floor (+ x 0.5))))))"
    return f"""
(where (and (< x 0) (= x (floor x)))
  nan
  (- (where (< (abs x) 2) {near} {far})
     (where (< x 0)
       (+ {pole} (where (<= x -1) (/ 1 x) 0))
       (where (< x 1) (/ 1 x) 0))))"""


DIGAMMA = _digamma()

# the Bernoulli numbers B₂, B₄, … over 2!, 4!, …
_BERNOULLI = (
    0.08333333333333333,
    -0.001388888888888889,
    3.306878306878307e-05,
    -8.267195767195768e-07,
    2.08767569878681e-08,
    -5.284190138687493e-10,
    1.3382536530684679e-11,
    -3.3896802963225827e-13,
)


def _polygamma() -> str:
    """For the order n, (-1)ⁿ⁺¹ n! ζ(n + 1, y): ten terms, and the rest by Euler and Maclaurin.

    The factor y⁻ⁿ comes in halves around n!, so that neither overflows alone. Order 1 goes on below
    0 by ψ′(1 - x) + ψ′(x) = (π/sin πx)²: there the first of the terms at -x is left out.
    """
    y = "(abs y)"
    z = f"(+ {y} 10)"
    rest = repr(_BERNOULLI[-1])
    for j in range(len(_BERNOULLI) - 1, 0, -1):
        rise = f"(/ (* (+ x {2 * j}) (+ x {2 * j + 1})) (* {z} {z}))"
        rest = f"(+ {_BERNOULLI[j - 1]!r} (* {rise} {rest}))"
    rest = f"(+ (/ 1 x) (/ (+ 0.5 (* (/ (+ x 1) {z}) {rest})) {z}))"
    terms = " ".join(f"(** (/ {y} (+ {y} {k})) (+ x 1))" for k in range(9, 0, -1))
    zeta = f"(+ (* (** (/ {y} {z}) x) {rest}) (/ (+ {terms} (where (< y 0) 0 1)) {y}))"
    half = f"(** {y} (/ x -2))"
    size = f"(where (= {y} inf) 0 (* (* (exp (lgamma (+ x 1))) {half}) {zeta} {half}))"
    sine = "(sin (* pi (- y (floor (+ y 0.5)))))"
    return f"""
(where (not (and (>= x 0) (= x (floor x))))
  nan
  (where (= x 0)
    (digamma y)
    (where (>= y 0)
      (* (where (= (mod x 2) 0) -1 1) {size})
      (where (= x 1) (- (** (/ pi {sine}) 2) {size}) nan))))"""


POLYGAMMA = _polygamma()

# ---- exact sums and differences on the way -------------------------------------------------------


def _lost(out: str, x: str, y: str) -> str:
    """What rounding x + y to `out` left out, exactly (D. E. Knuth, TAOCP 2, 4.2.2)."""
    back = f"(- {out} {x})"
    return f"(+ (- {x} (- {out} {back})) (- {y} {back}))"


def _pow1p() -> str:
    """(1 + x)^y is s^y exp(y e/s), s + e the exact sum; what e leaves out is below an ulp."""
    s = "(+ 1 x)"
    more = f"(/ (* y {_lost(s, '1', 'x')}) {s})"
    power = f"(** {s} y)"
    inside = f"(and (finite? {more}) (< 0 (abs {power})) (< (abs {power}) inf))"
    return f"(* {power} (where {inside} (exp {more}) 1))"


def _softmax2() -> str:
    """σ(d)(1 + e σ(-d)), d + e the exact difference x - y."""
    d = "(- x y)"
    e = _lost(d, "x", "(neg y)")
    change = f"(+ 1 (* (where (finite? {e}) {e} 0) (sigmoid (neg {d}))))"
    return f"(where (= x y) 0.5 (* (sigmoid {d}) {change}))"


POW1P = _pow1p()
SOFTMAX2 = _softmax2()


# ---- quotients that are 0/0 at 0 -----------------------------------------------------------------
# Derivatives of (exp(x) - 1)/x, log(1 + x)/x, sinh(x)/x and sin(x)/x: near 0 their series, which
# are those of the functions, term by term; elsewhere what the quotient rule says.


def _near(bound: str, near: str, far: str) -> str:
    return f"(where (< (abs x) {bound}) {near} {far})"


_EXPREL1 = [1 / (factorial(k) * (k + 2)) for k in range(13)]
_EXPREL2 = [1 / (factorial(k) * (k + 3)) for k in range(13)]
EXPREL1 = _near("0.3", horner(_EXPREL1, "x"), "(where (= x inf) inf (/ (- (exp x) (exprel x)) x))")
EXPREL2 = _near("0.3", horner(_EXPREL2, "x"), "(/ (- (exp x) (* 2 out)) x)")

_LOGREL1 = [(-1) ** k * k / (k + 1) for k in range(1, 17)]
_LOGREL2 = [(-1) ** k * k * (k - 1) / (k + 1) for k in range(2, 18)]
LOGREL1 = _near("0.1", horner(_LOGREL1, "x"), "(/ (- (/ 1 (+ 1 x)) (logrel x)) x)")
LOGREL2 = _near("0.1", horner(_LOGREL2, "x"), "(- (/ (+ (** (/ 1 (+ 1 x)) 2) (* 2 out)) x))")

_SINHREL1 = [2 * k / factorial(2 * k + 1) for k in range(1, 11)]
_SINHREL2 = [2 * k * (2 * k - 1) / factorial(2 * k + 1) for k in range(1, 11)]
SINHREL1 = _near(
    "1",
    f"(* x {horner(_SINHREL1, '(** x 2)')})",
    "(where (= (abs x) inf) x (/ (- (cosh x) (sinhrel x)) x))",
)
SINHREL2 = _near("1", horner(_SINHREL2, "(** x 2)"), "(- (sinhrel x) (/ (* 2 out) x))")

_SINREL1 = [(-1) ** k * 2 * k / factorial(2 * k + 1) for k in range(1, 11)]
_SINREL2 = [(-1) ** k * 2 * k * (2 * k - 1) / factorial(2 * k + 1) for k in range(1, 11)]
SINREL1 = _near("1", f"(* x {horner(_SINREL1, '(** x 2)')})", "(/ (- (cos x) (sinrel x)) x)")
SINREL2 = _near("1", horner(_SINREL2, "(** x 2)"), "(- (+ (sinrel x) (/ (* 2 out) x)))")
