"""Fits: answers against independent solvers, certificates, and words where nothing is certain."""

from __future__ import annotations

import itertools
import pickle
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import optimize, stats

import nablisp
from nablisp import NablispError, Session, fit, parse
from nablisp.certificate import FitResult
from nablisp.expr import Expr
from nablisp.expr import names as names_in
from nablisp.model import model_of
from nablisp.student import quantile
from nablisp.units import units

fitter = sys.modules["nablisp.fitter"]

RANDOM = np.random.default_rng(3)
X = np.linspace(0.5, 8, 60)
NOISE = RANDOM.normal(size=60)


def python(model: str, names: list[str]) -> Any:
    """A model as a function of x and the parameters, for SciPy."""
    return nablisp.compile(parse(model), ["x", *names], backend="numpy")


# ---- answers -------------------------------------------------------------------------------------

CURVES: list[tuple[str, dict[str, float], dict[str, float], float]] = [
    ("(+ (* m x) b)", {"m": 2, "b": 1}, {"m": 0, "b": 0}, 0.1),
    ("(* a (exp (* k x)))", {"a": 3, "k": -0.7}, {"a": 1, "k": -0.1}, 0.05),
    ("(/ (* v x) (+ h x))", {"v": 4, "h": 2}, {"v": 1, "h": 1}, 0.1),
    (
        "(+ (* a (exp (* -0.5 (** (/ (- x m) s) 2)))) c)",
        {"a": 3, "m": 4, "s": 0.8, "c": 0.5},
        {"a": 1, "m": 3, "s": 1, "c": 0},
        0.1,
    ),
    ("(/ a (+ 1 (exp (- b (* c x)))))", {"a": 5, "b": 4, "c": 1.2}, {"a": 4, "b": 3, "c": 1}, 0.1),
    ("(* a (sin (+ (* w x) p)))", {"a": 2, "w": 2.1, "p": 0.4}, {"a": 1, "w": 2, "p": 0}, 0.2),
    ("(+ (* a (exp (- (* k x)))) (* b (exp (- (* l x)))))",
     {"a": 4, "k": 2, "b": 2, "l": 0.3}, {"a": 1, "k": 3, "b": 1, "l": 0.1}, 0.01),
    ("(* a (** x p))", {"a": 1e8, "p": 1.5}, {"a": 1e7, "p": 1}, 1e6),
    ("(* a (erf (/ x s)))", {"a": 1e-8, "s": 3}, {"a": 1e-9, "s": 1}, 1e-10),
]  # fmt: skip


@pytest.mark.parametrize(("model", "truth", "start", "noise"), CURVES)
def test_estimates_and_errors_are_those_of_scipy(
    model: str, truth: dict[str, float], start: dict[str, float], noise: float
) -> None:
    names = list(truth)
    function = python(model, names)
    y = function(X, *truth.values()) + noise * NOISE
    found = fit("y", parse(model), start, data={"x": X, "y": y})
    wanted, cov = optimize.curve_fit(
        function, X, y, list(truth.values()), method="lm", xtol=1e-15, ftol=1e-15, epsfcn=1e-12
    )
    assert found.status == "converged"
    assert list(found.params.values()) == pytest.approx(wanted, rel=2e-5)
    assert found.se is not None
    assert list(found.se.values()) == pytest.approx(np.sqrt(np.diag(cov)), rel=2e-3)
    r = y - function(X, *found.params.values())
    assert found.rss == pytest.approx(r @ r, rel=1e-12)
    assert found.r2 == pytest.approx(1 - r @ r / np.sum((y - y.mean()) ** 2), rel=1e-12)
    assert found.sd == pytest.approx(np.sqrt(r @ r / (60 - len(names))))
    assert found.correlation is not None
    assert np.diag(found.correlation) == pytest.approx(np.ones(len(names)))


LONGLEY = """
60323 83.0 234289 2356 1590 107608 1947
61122 88.5 259426 2325 1456 108632 1948
60171 88.2 258054 3682 1616 109773 1949
61187 89.5 284599 3351 1650 110929 1950
63221 96.2 328975 2099 3099 112075 1951
63639 98.1 346999 1932 3594 113270 1952
64989 99.0 365385 1870 3547 115094 1953
63761 100.0 363112 3578 3350 116219 1954
66019 101.2 397469 2904 3048 117388 1955
67857 104.6 419180 2822 2857 118734 1956
68169 108.4 442769 2936 2798 120445 1957
66513 110.8 444546 4681 2637 121950 1958
68655 112.6 482704 3813 2552 123366 1959
69564 114.2 502601 3931 2514 125368 1960
69331 115.7 518173 4806 2572 127852 1961
70551 116.9 554894 4007 2827 130081 1962
"""


def exactly(matrix: np.ndarray, y: np.ndarray) -> list[Fraction]:
    """Least squares in rational numbers, by elimination."""
    rows = [[Fraction(repr(float(v))) for v in (*a, b)] for a, b in zip(matrix, y, strict=True)]
    p = matrix.shape[1]
    a = [[sum((r[i] * r[j] for r in rows), Fraction(0)) for j in range(p + 1)] for i in range(p)]
    for i in range(p):
        a[i] = [v / a[i][i] for v in a[i]]
        for k in range(p):
            if k != i:
                a[k] = [v - a[k][i] * w for v, w in zip(a[k], a[i], strict=True)]
    return [a[i][p] for i in range(p)]


def test_longley_is_right_to_the_last_digit() -> None:
    table = np.array([line.split() for line in LONGLEY.strip().splitlines()], dtype=float)
    y, columns = table[:, 0], table[:, 1:]
    found = fit(y, _dot(6), {"w": np.zeros(6), "b": 0.0},
                data={"X": columns})  # fmt: skip
    wanted = exactly(np.column_stack([columns, np.ones(16)]), y)
    got = [*found.params["w"], found.params["b"]]
    errors = [abs(Fraction(float(g)) / w - 1) for g, w in zip(got, wanted, strict=True)]
    assert max(errors) < 1e-14


def _dot(count: int) -> Expr:
    """(+ (@ X w) b) of a matrix of so many columns."""
    session = Session()
    session.run("(params (w (zeros 6)) b)", data={"X": np.zeros((2, count))})
    out: Expr = session.run("(+ (@ X w) b)")
    return out


def test_data_are_meant_as_decimals() -> None:
    """0.1, 0.2, … are tenths, so this line is met exactly and its slope is exactly 3."""
    x = np.array([0.1, 0.2, 0.3, 0.7, 1.1])
    y = np.array([0.4, 0.7, 1.0, 2.2, 3.4])
    found = fit("y", parse("(+ (* m x) b)"), {"m": 0, "b": 0}, data={"x": x, "y": y})
    assert (found.status, found.params) == ("exact", {"m": 3.0, "b": 0.1})


def test_weights_and_deviations() -> None:
    function = python("(* a (exp (* k x)))", ["a", "k"])
    sigma = 0.02 * (1 + X)
    y = function(X, 2, -0.4) + sigma * NOISE
    data = {"x": X, "y": y, "s": sigma}
    model, start = parse("(* a (exp (* k x)))"), {"a": 1, "k": 0}
    for given, absolute in (({"sigma": "s"}, True), ({"weights": 1 / sigma**2}, False)):
        found = fit("y", model, start, data=data, **given)
        wanted, cov = optimize.curve_fit(
            function, X, y, [2, -0.4], sigma=sigma, absolute_sigma=absolute, xtol=1e-14
        )
        assert list(found.params.values()) == pytest.approx(wanted, rel=1e-6)
        assert found.se is not None
        assert list(found.se.values()) == pytest.approx(np.sqrt(np.diag(cov)), rel=1e-4)
    kept = np.arange(60) % 3 > 0
    some = fit("y", model, start, data=data, weights=kept.astype(float))
    same = fit("y", model, start, data={"x": X[kept], "y": y[kept]})
    assert some.params == pytest.approx(same.params, rel=1e-12)
    assert some.dof == same.dof
    assert some.se == pytest.approx(same.se, rel=1e-12)


def test_numbers_for_weights() -> None:
    """One for all rows, one for each row, one for each response."""
    y, z = 2 * X + 0.1 * NOISE, X + 0.2 * NOISE[::-1]
    line, other = parse("(+ b (* a x))"), parse("(* c x)")
    for given in (0.1, np.full(60, 0.1), [0.1] * 60):
        one = fit("y", line, {"a": 1, "b": 0}, data={"x": X, "y": y}, sigma=given)
        assert (one.dof, one.se) == (58, one.se)
        assert one.se is not None
        assert one.se["a"] == pytest.approx(0.1 / np.sqrt(np.sum((X - X.mean()) ** 2)))
    two = fit(["y", "z"], [line, other], {"a": 1, "b": 0, "c": 0}, data={"x": X, "y": y, "z": z},
              sigma=[0.1, 0.2])  # fmt: skip
    assert two.se is not None
    assert two.se["c"] == pytest.approx(0.2 / np.sqrt(X @ X))
    with pytest.raises(NablispError, match="has 7 numbers; there are 60 rows and 1 response"):
        fit("y", line, {"a": 1, "b": 0}, data={"x": X, "y": y}, sigma=np.ones(7))
    text = "(data x [1 2 3]) (data y [1 2 4]) (params a) (get (fit y (* a x) :sigma [1 2 2]) :se)"
    assert Session().run(text) == pytest.approx([1 / np.sqrt(1 + 1 + 9 / 4)])


@pytest.mark.parametrize("loss", ["huber", "soft-l1", "cauchy"])
def test_robust_losses_are_those_of_scipy(loss: str) -> None:
    y = 2 + 3 * np.exp(-0.5 * X) + 0.05 * NOISE
    y[::7] += 2
    found = fit("y", parse("(+ c (* a (exp (- (* k x)))))"), {"a": 1, "k": 1, "c": 0},
                data={"x": X, "y": y}, loss=loss, scale=0.1)  # fmt: skip
    wanted = optimize.least_squares(
        lambda b: b[2] + b[0] * np.exp(-b[1] * X) - y, [3, 0.5, 2], loss=loss.replace("-", "_"),
        f_scale=0.1, xtol=1e-15, ftol=1e-15, gtol=1e-15,
    )  # fmt: skip
    assert found.status == "converged"
    assert list(found.params.values()) == pytest.approx(wanted.x, rel=1e-5)
    assert found.rss == pytest.approx(2 * wanted.cost, rel=1e-9)
    free = fit("y", found.models[0], {"a": 1, "k": 1, "c": 0}, data={"x": X, "y": y}, loss=loss)
    assert free.params["c"] == pytest.approx(2, abs=0.3)


def test_several_responses_share_parameters() -> None:
    a, b = 2 * np.exp(-0.3 * X) + 0.01 * NOISE, 5 - 0.3 * X + 0.01 * NOISE[::-1]
    found = fit(["y", "z"], [parse("(* a (exp (- (* k x))))"), parse("(- c (* k x))")],
                {"a": 1, "k": 1, "c": 0}, data={"x": X, "y": a, "z": b})  # fmt: skip

    def both(x: np.ndarray, p: float, k: float, c: float) -> np.ndarray:
        return np.concatenate([p * np.exp(-k * X), c - k * X])

    wanted, cov = optimize.curve_fit(
        both, np.concatenate([X, X]), np.concatenate([a, b]), [2, 0.3, 5]
    )
    assert found.params == pytest.approx(dict(zip("akc", wanted, strict=True)), rel=1e-6)
    assert found.se == pytest.approx(dict(zip("akc", np.sqrt(np.diag(cov)), strict=True)), rel=1e-5)
    assert found.dof == 117


@pytest.mark.parametrize(
    "bounds", [{"k": (0.5, None)}, {"a": (None, 1.5)}, {"k": (0, 1), "a": (0, 9)}]
)
def test_bounds(bounds: dict[str, Any]) -> None:
    y = 2 * np.exp(-0.3 * X) + 0.01 * NOISE
    found = fit(
        "y",
        parse("(* a (exp (- (* k x))))"),
        {"a": 1, "k": 0.6},
        data={"x": X, "y": y},
        bounds=bounds,
    )
    low, high = (
        [inf if bounds.get(n, (None, None))[i] is None else bounds[n][i] for n in "ak"]
        for i, inf in ((0, -np.inf), (1, np.inf))
    )
    wanted = optimize.least_squares(
        lambda b: b[0] * np.exp(-b[1] * X) - y, [1, 0.6], bounds=(low, high), xtol=1e-15,
        ftol=1e-15, gtol=1e-15,
    )  # fmt: skip
    assert found.status == "converged"
    assert list(found.params.values()) == pytest.approx(wanted.x, rel=1e-5)
    at_bound = [n for n, v in found.params.items() if v in (bounds.get(n) or ())]
    assert sorted(found.bounds) == at_bound


# ---- certificates --------------------------------------------------------------------------------

DATA = "(data x [0 1 2 3 4 5]) (data y [1 2.1 2.9 4.2 4.8 6.1]) (data k [1 1 1 1 1 1])"

WORDS = [
    ("(fit y (+ a (* b x)))", "converged", "fit of a linear model: converged"),
    ("(fit y (+ (* a b x) c))", "stalled", "only the product a b is determined"),
    ("(fit y (+ (* (/ a b) x) c))", "stalled", "only the quotient a/b is determined"),
    ("(fit y (+ (* a x) (* b x) c))", "stalled", "only the sum a + b is determined"),
    ("(fit y (* (exp (- a b)) x))", "stalled", "only the difference a - b is determined"),
    ("(fit y (+ (* a k) b))", "stalled", "k is the same in all rows"),
    ("(fit k (+ a (* b x)))", "exact", "exact fit, 4 degrees of freedom"),
    ("(fit y (* a b (exp (* c x))))", "stalled", "only the product a b is determined"),
    ("(fit y (where (< x c) a b))", "stalled", "the model has no slope by c to follow"),
    ("(data z (exp (- x))) (fit z (* a (tanh (* b x))))", "stalled", "not a minimum to rely on"),
    ("(data z (abs (- x 4))) (fit z (+ a (* b (abs (- x c)))))", "exact", "exact fit"),
    ("(fit y (+ a (* b x) (where (> x 7) c 0)))", "stalled", "c has no effect on the fit"),
    (
        "(data z (/ 1 (- x 2.5))) (fit z (/ a (- x (+ b 2.4))) :starts 0)",
        "stalled",
        "the divisor (- x (+ b 2.4)) changes sign between the rows",
    ),
]


@pytest.mark.parametrize(("form", "status", "words"), WORDS)
def test_words(form: str, status: str, words: str) -> None:
    found = Session().run(f"{DATA} (params (a 1) (b 1) (c 1)) {form}")
    assert isinstance(found, FitResult)
    assert found.status == status, found
    assert words in found.text


def test_as_many_rows_as_parameters() -> None:
    found = Session().run("(params m b) (data x [1 2]) (data y [1 3.5]) (fit y (+ (* m x) b))")
    assert found.status == "exact"
    assert "exact fit, 0 degrees of freedom, so no standard errors" in found.text
    assert (found.params, found.se, found.dof) == ({"m": 2.5, "b": -1.5}, None, 0)
    few = Session().run(
        "(params a b c) (data x [1 2]) (data y [1 3]) (fit y (+ a (* b x) (* c x x)))"
    )
    assert few.status == "stalled"
    assert "2 rows cannot determine 3 parameters" in few.text


MISTAKES = [
    ("(fit y (+ a (* b x)) :weights [1 1 2])", "shape", "3 numbers; there are 6 rows"),
    ("(fit y (+ a (* b x)) :scale 1)", "value", "for a robust loss"),
    ("(confidence (fit k (+ a (* b x))))", "value", "met exactly"),
    ("(fit y (+ a (* z x)))", "unbound-name", "z has no value"),
    ("(fit y x)", "value", "does not depend on any parameter"),
    ("(fit (sum y) a)", "shape", "one value per row"),
    ("(fit a (+ a x))", "value", "holds the parameter a"),
    ("(fit (log (- y 2)) (+ a x))", "data", "(log (- y 2)) is nan at row 0"),
    ("(fit y (+ a (sum (* b x))))", "unavailable", "goes over all rows"),
    ("(fit y (+ a x) :loss hubr)", "value", "no robust loss called hubr"),
    ("(fit y (+ a x) :sigma 0)", "data", "is not positive"),
    ("(fit y (+ a x) :weights -1)", "data", "is negative"),
    ("(fit y (+ a x) :sigma 1 :weights 1)", "value", "exclude each other"),
    ("(fit y (+ a x) :fixed q)", "unbound-name", ":fixed names q"),
    ("(fit y (+ a x) :starts -1)", "value", "a whole number from 0"),
    ("(fit [y k] (+ a x))", "arity", "2 responses and 1 models"),
    ("(fit y (+ (log (- -1 (** a 2))) x))", "value", "became nan"),
    ("(predict 3)", "type", "takes the result of a fit"),
    (
        "(predict (fit y (+ a (* b x))))(predict (fit y (+ a x)) :z 3)",
        "unbound-name",
        "needs the column x",
    ),
    ("(confidence (fit y (+ a (* b x))) :level 2)", "value", "between 0 and 1"),
    ("(confidence (fit y (+ a b)))", "value", "not a minimum to rely on"),
]


@pytest.mark.parametrize(("form", "kind", "words"), MISTAKES)
def test_mistakes(form: str, kind: str, words: str) -> None:
    with pytest.raises(NablispError) as caught:
        Session().run(f"{DATA} (params a b) {form}")
    assert caught.value.kind == kind
    assert words in str(caught.value)


def test_a_start_where_the_model_is_not_finite() -> None:
    found = Session().run(f"{DATA} (params a b) (fit y (/ a (+ b x)))")
    assert found.status == "converged"
    assert "at the start, row 0: (/ a (+ b x)) became nan; other starts were tried" in found.text


def test_the_nearest_of_equal_answers() -> None:
    """Exponentials in a sum may change places, and a width its sign: the start decides."""
    y = 3 * np.exp(-0.3 * X) + 2 * np.exp(-1.5 * X)
    model = parse("(+ (* a (exp (- (* k x)))) (* b (exp (- (* l x)))))")
    one = fit("y", model, {"a": 1, "k": 0.2, "b": 1, "l": 2}, data={"x": X, "y": y})
    two = fit("y", model, {"a": 1, "k": 2, "b": 1, "l": 0.2}, data={"x": X, "y": y})
    assert (one.params["k"], two.params["k"]) == (pytest.approx(0.3), pytest.approx(1.5))
    bell = parse("(* a (exp (- (/ (** (- x m) 2) (** s 2)))))")
    y = 3 * np.exp(-(((X - 4) / 1.5) ** 2))
    for s in (1.0, -1.0):
        found = fit("y", bell, {"a": 1, "m": 3, "s": s}, data={"x": X, "y": y})
        assert found.params["s"] == pytest.approx(1.5 * s)


BAD = [
    (3, 4, 0.8, 0.5, "(+ (* a (exp (* -0.5 (** (/ (- x m) s) 2)))) c)", ("a", "m", "s", "c")),
    (4, 1.2, 2, 0.2, "(+ (* a (exp (- (* k x)))) (* b (exp (- (* l x)))))", ("a", "k", "b", "l")),
    (5, 4, 1.2, 0.3, "(+ d (/ a (+ 1 (exp (- b (* c x))))))", ("a", "b", "c", "d")),
]


@pytest.mark.parametrize("case", BAD)
def test_bad_starts_arrive_or_are_refused(case: tuple[Any, ...]) -> None:
    *truth, model, names = case
    y = python(model, list(names))(X, *truth) + 0.01 * NOISE
    best = fit("y", parse(model), dict(zip(names, truth, strict=True)), data={"x": X, "y": y})
    random = np.random.default_rng(1)
    right = 0
    for _ in range(8):
        start = truth * random.choice([-1, 1], 4) * 10 ** random.uniform(-3, 3, 4)
        found = fit("y", parse(model), dict(zip(names, start, strict=True)), data={"x": X, "y": y})
        good = found.rss <= best.rss * (1 + 1e-6)
        assert good or found.status != "converged"
        right += good
    assert right >= 7


@pytest.mark.parametrize("size", [1e160, 1e-170])
def test_responses_whose_squares_are_no_numbers(size: float) -> None:
    y = 2 * np.exp(-0.5 * X) + 0.01 * NOISE
    model = parse("(* a (exp (* k x)))")
    plain = fit("y", model, {"a": 1, "k": -0.1}, data={"x": X, "y": y})
    found = fit("y", model, {"a": size, "k": -0.1}, data={"x": X, "y": size * y})
    assert found.status == "converged"
    assert found.params["k"] == pytest.approx(plain.params["k"], rel=1e-12)
    assert plain.se is not None
    assert found.se == pytest.approx({"a": size * plain.se["a"], "k": plain.se["k"]}, rel=1e-9)
    assert found.sd == pytest.approx(size * (plain.sd or 0), rel=1e-9)


def test_a_broken_line_is_broken_in_the_right_gap() -> None:
    random = np.random.default_rng(30)
    x = np.sort(random.uniform(0, 8, 30))
    y = 1 + 0.5 * x - 1.5 * np.maximum(0, x - 4) + random.normal(0, 0.3, 30)
    found = fit("y", parse("(+ a (* b x) (* d (max 0 (- x q))))"),
                {"a": 1, "b": 0.5, "d": -1, "q": 4.5}, data={"x": x, "y": y})  # fmt: skip

    def rss(q: float) -> float:
        table = np.column_stack([np.ones(30), x, np.maximum(0, x - q)])
        return float(np.linalg.lstsq(table, y, rcond=None)[1][0])

    assert found.status == "converged"
    assert found.rss <= min(map(rss, np.linspace(x[1], x[-3], 2_000))) * (1 + 1e-9)


def test_a_frequency_far_from_the_start() -> None:
    x = np.linspace(0, 10, 200)
    y = 1 + 2 * np.sin(40 * x + 0.3) + 0.1 * np.random.default_rng(2).normal(size=200)
    found = fit("y", parse("(+ c (* a (sin (+ (* w x) p))))"),
                {"c": 1, "a": 1, "w": 1, "p": 0}, data={"x": x, "y": y})  # fmt: skip
    assert abs(found.params["w"]) == pytest.approx(40, abs=0.02)


# ---- beyond the estimates ------------------------------------------------------------------------


def test_predictions_are_those_of_linear_theory() -> None:
    y = 1 + 2 * X + NOISE
    found = fit("y", parse("(+ b (* m x))"), {"m": 0, "b": 0}, data={"x": X, "y": y})
    at = np.array([0.0, 3.0, 20.0])
    band = found.predict({"x": at}, level=0.9)
    lever = np.sqrt(1 / 60 + (at - X.mean()) ** 2 / np.sum((X - X.mean()) ** 2))
    t = stats.t.ppf(0.95, 58)
    assert found.sd is not None
    assert band.value == pytest.approx(found.params["b"] + found.params["m"] * at)
    assert band.se == pytest.approx(found.sd * lever)
    assert band.high - band.value == pytest.approx(t * found.sd * np.sqrt(1 + lever**2))
    assert np.array_equal(found.predict().value, found.predict({"x": X}).value)


def test_intervals_are_profiles() -> None:
    """Of a linear model ± t se; of others as far as the sum of squares allows."""
    y = 2 * np.exp(-0.4 * X) + 0.1 * NOISE
    line = fit("y", parse("(+ b (* m x))"), {"m": 0, "b": 0}, data={"x": X, "y": y})
    t = stats.t.ppf(0.975, 58)
    for name, ends in line.confidence(0.95).items():
        assert line.se is not None
        middle, reach = line.params[name], t * line.se[name]
        assert list(ends) == pytest.approx([middle - reach, middle + reach], rel=1e-6)
    curve = fit("y", parse("(* a (exp (* k x)))"), {"a": 1, "k": 0}, data={"x": X, "y": y})
    assert curve.sd is not None
    for end in curve.confidence(0.95)["k"]:
        shape = np.exp(end * X)
        rss = np.sum((y - shape * (shape @ y) / (shape @ shape)) ** 2)
        assert rss == pytest.approx(curve.rss + (t * curve.sd) ** 2, rel=1e-6)


def test_an_interval_from_a_bound() -> None:
    text = f"{DATA} (params a) (param b 3 :min 2) (confidence (fit y (+ a (* b x))))"
    ends = Session().run(text)["b"]
    assert ends.low == 2
    x, y = np.arange(6.0), np.array([1, 2.1, 2.9, 4.2, 4.8, 6.1])

    def rss(b: float) -> float:
        rest = y - b * x
        return float(np.sum((rest - rest.mean()) ** 2))

    t = stats.t.ppf(0.975, 5)
    assert rss(ends.high) == pytest.approx(rss(2) * (1 + t * t / 5), rel=1e-6)


def test_data_that_change_after_a_fit() -> None:
    data = {"x": X.copy(), "y": 2 * np.exp(-0.5 * X) + 0.01 * NOISE}
    found = fit("y", parse("(* a (exp (* k x)))"), {"a": 1, "k": 0}, data=data)
    data["y"][:] = 0
    with pytest.raises(NablispError, match="the data have changed"):
        found.confidence()


def test_a_saved_fit_runs_again(tmp_path: Path) -> None:
    session = Session(root=tmp_path)
    program = (
        f'{DATA} (params a b) (define (model x) (+ a (* b x))) (fit y (model x)) (save "fit.gd")'
    )
    session.run(program)
    again = Session(root=tmp_path).run((tmp_path / "fit.gd").read_text())
    assert again.params == session.run("(fit y (model x))").params
    assert again.text.splitlines()[1] == "  y = (+ 1.02381 (* 0.997143 x))"


def test_a_result_can_be_kept() -> None:
    found = fit("y", parse("(* a x)"), {"a": 0}, data={"x": X, "y": 2 * X + NOISE})
    again = pickle.loads(pickle.dumps(found))
    assert again.params == found.params
    assert again.predict({"x": [1.0]}).value == found.predict({"x": [1.0]}).value


# ---- many rows -----------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [1_000, 4_000])
def test_machine_code_gives_the_same_fit(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that is met often: the whole descent is one function."""
    monkeypatch.setattr(fitter, "LARGE", 2_000)
    monkeypatch.setattr(fitter, "SAMPLES", (500, 1_000))
    random = np.random.default_rng(rows)
    x = np.linspace(-5, 5, rows)
    y = 3 * np.exp(-0.5 * ((x - 0.7) / 1.2) ** 2) + 0.5 + 0.1 * random.normal(size=rows)
    model = parse("(+ c (* a (exp (* -0.5 (** (/ (- x m) s) 2)))))")
    start = {"c": 0, "a": 1, "m": 0, "s": 1}
    slow = fit("y", model, start, data={"x": x, "y": y}, weights=2)
    monkeypatch.setattr(fitter, "HOT", -1)
    quick = fit("y", model, start, data={"x": x, "y": y}, weights=2)
    assert "blocks" in quick.how
    assert quick.params == pytest.approx(slow.params, rel=1e-12)
    assert quick.se == pytest.approx(slow.se, rel=1e-10)
    assert (quick.status, quick.dof) == ("converged", rows - 4)
    assert quick.r2 == pytest.approx(slow.r2, rel=1e-12)


def test_a_rare_feature_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sample of the rows misses it, and the start does not; with one weight for all rows."""
    monkeypatch.setattr(fitter, "LARGE", 1_000)
    monkeypatch.setattr(fitter, "SAMPLES", (100, 200))
    x = np.linspace(0, 10, 20_000)
    y = 0.3 + 50 * np.exp(-(((x - 7.0005) / 0.002) ** 2)) + 0.05 * np.sin(1e5 * x)
    model = parse("(+ c (* h (exp (* -1 (** (/ (- x m) w) 2)))))")
    start = {"c": 0, "h": 40, "m": 7.001, "w": 0.0024}
    found = fit("y", model, start, data={"x": x, "y": y}, weights=2)
    assert found.status == "converged"
    assert found.params["m"] == pytest.approx(7.0005, abs=1e-5)
    assert found.dof == 19_996


@pytest.mark.parametrize("backend", ["sums", "matrices"])
def test_blocks_give_what_whole_columns_give(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(5)
    x = random.permutation(np.linspace(0, 9, 5_000))
    y = 2 * np.exp(-(((x - 4) / 1.3) ** 2)) + 0.5 + 0.1 * random.normal(size=5_000)
    data = {"x": x, "y": y, "w": 1 + (x > 5)}
    model = parse("(+ (* a (exp (- (** (/ (- x m) s) 2)))) c)")
    start = {"c": 0, "a": 1, "m": 3, "s": 1}
    whole = fit("y", model, start, data=data, weights="w")
    monkeypatch.setattr(fitter, "LARGE", 1_000)
    monkeypatch.setattr(fitter, "SAMPLES", (200, 400))
    if backend == "matrices":
        monkeypatch.setattr(sys.modules["nablisp.blocks"], "FEW", 1)
    blocks = fit("y", model, start, data=data, weights="w")
    assert blocks.status == whole.status == "converged"
    assert blocks.params == pytest.approx(whole.params, rel=1e-13)
    assert blocks.se == pytest.approx(whole.se, rel=1e-10)
    for part in ("rss", "r2", "dof", "sd", "condition"):
        assert getattr(blocks, part) == pytest.approx(getattr(whole, part), rel=1e-10), part


def test_a_row_far_down_that_is_not_finite(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitter, "LARGE", 100)
    monkeypatch.setattr(fitter, "SAMPLES", (20, 40))
    x = np.linspace(0, 1, 500)
    y = 2 * x
    y[477] = np.nan
    with pytest.raises(NablispError, match="y is nan at row 477"):
        fit("y", parse("(* a x)"), {"a": 0}, data={"x": x, "y": y})


# ---- pieces --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "params", "linear"),
    [
        ("(+ (* m x) b)", "m b", "m b"),
        ("(* a (exp (* k x)))", "a k", "a"),
        ("(* a b x)", "a b", "a"),
        ("(+ (* a x) (* b (exp (* c x))) (* d (** x 2)))", "a b c d", "a b d"),
        ("(/ a (+ b x))", "a b", "a"),
        ("(** x a)", "a", ""),
    ],
)
def test_linear_parameters(model: str, params: str, linear: str) -> None:
    names = tuple(params.split())
    found = model_of((parse(model),), names, (), False, None)
    assert " ".join(names[i] for i in found.linear) == linear


@pytest.mark.parametrize(
    ("model", "wanted"),
    [
        ("(* a (exp (- (* k x))))", {"a": {"y": 1}, "k": {"x": -1}}),
        ("(exp (- (/ (** (- x m) 2) (** s 2))))", {"m": {"x": 1}, "s": {"x": 1}}),
        ("(/ (* v x) (+ h x))", {"v": {"y": 1}, "h": {"x": 1}}),
        ("(+ a (* b x) (* c (** x 2)))",
         {"a": {"y": 1}, "b": {"y": 1, "x": -1}, "c": {"y": 1, "x": -2}}),
        ("(* a (sqrt (+ x b)) (sin (+ (* w t) p)))",
         {"a": {"y": 1, "x": -0.5}, "b": {"x": 1}, "w": {"t": -1}, "p": {}}),
        ("(* a (** x p))", {"a": {"y": 1}, "p": {}}),
    ],
)  # fmt: skip
def test_units(model: str, wanted: dict[str, Any]) -> None:
    root = parse(model)
    params = [n for n in names_in(root) if n not in ("x", "t")]
    found = units([root], ["y"], params, ["x", "t"])
    plain = {n: {c: float(p) for c, p in u.items() if c != "#"} for n, u in found.items()}
    assert plain == wanted


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"bounds": {"k": None}}, "the bounds of k are"),
        ({"bounds": {"a": ("q", 2)}}, "the bounds of a are"),
        ({"bounds": [(0, 1)]}, "bounds map names"),
        ({"bounds": {"z": (0, 1)}}, "names z, which is no parameter"),
        ({"bounds": {"a": (np.nan, 1)}}, "a bound of a is nan"),
        ({"scale": "x"}, ":scale must be a positive number"),
        ({"starts": "3"}, ":starts must be a whole number"),
        ({"fixed": ["q"]}, ":fixed names q"),
        ({"params": [1]}, "params map names"),
        ({"params": {"a": 1, "x": 2}}, "both a parameter and a column"),
        ({"data": {"x": [], "y": []}}, "no rows"),
    ],
)
def test_mistakes_in_python(options: dict[str, Any], words: str) -> None:
    given = {"params": {"a": 1, "k": 1}, "data": {"x": X, "y": X}, **options}
    with pytest.raises(NablispError, match=words):
        fit("y", parse("(* a (exp (* k x)))"), given.pop("params"), **given)


def test_quantiles_are_those_of_scipy() -> None:
    shares, freedom = (0.5, 0.6, 0.9, 0.975, 0.995, 0.9999), (1, 2, 3.5, 10, 120, 5000, 5001, 1e7)
    for share, dof in itertools.product(shares, freedom):
        assert quantile(share, dof) == pytest.approx(stats.t.ppf(share, dof), rel=1e-9, abs=1e-15)
