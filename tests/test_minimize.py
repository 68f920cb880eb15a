"""Minima: functions × methods to what is known, and what a run says where there is none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import optimize

from nablisp import NablispError, Session, gradient, minimize, parse, val
from nablisp.results import Result

ROSENBROCK = "(+ (** (- 1 x) 2) (* 100 (** (- y (** x 2)) 2)))"
WOOD = (
    "(+ (* 100 (** (- (** x 2) y) 2)) (** (- x 1) 2) (** (- z 1) 2)"
    " (* 90 (** (- (** z 2) w) 2)) (* 10.1 (+ (** (- y 1) 2) (** (- w 1) 2)))"
    " (* 19.8 (- y 1) (- w 1)))"
)
BROWN = "(+ (** (- x 1e6) 2) (** (- y 2e-6) 2) (** (- (* x y) 2) 2))"
BEALE = "(+ (** (- 1.5 (* x (- 1 y))) 2) (** (- 2.25 (* x (- 1 (** y 2)))) 2)"
BEALE += " (** (- 2.625 (* x (- 1 (** y 3)))) 2))"
CAMEL = "(+ (* 4 (** x 2)) (* -2.1 (** x 4)) (/ (** x 6) 3) (* x y) (* -4 (** y 2)) (* 4 (** y 4)))"
TRIG = "(+ (sin (+ x y)) (** (- x y) 2) (* -1.5 x) (* 2.5 y) 1)"
HELIX = (
    "(+ (* 100 (** (- z (* 5 (/ (atan2 y x) pi))) 2))"
    " (* 100 (** (- (sqrt (+ (** x 2) (** y 2))) 1) 2)) (** z 2))"
)
KNOWN: list[tuple[str, dict[str, float], float, dict[str, float]]] = [
    # formula, start, lowest value (Moré, Garbow and Hillstrom 1981), where
    (ROSENBROCK, {"x": -1.2, "y": 1}, 0, {"x": 1, "y": 1}),
    (BEALE, {"x": 1, "y": 1}, 0, {"x": 3, "y": 0.5}),
    (BROWN, {"x": 1, "y": 1}, 0, {"x": 1e6, "y": 2e-6}),
    (WOOD, {"x": -3, "y": -1, "z": -3, "w": -1}, 0, dict.fromkeys("xyzw", 1.0)),
    (HELIX, {"x": -1, "y": 0, "z": 0}, 0, {"x": 1, "y": 0, "z": 0}),
    (CAMEL, {"x": 0.5, "y": -0.5}, -1.031628453489877, {"x": 0.0898420131, "y": -0.7126564030}),
    (TRIG, {"x": 0, "y": 0}, -1.913222954981037, {"x": -0.5471975512, "y": -1.5471975512}),
]


@pytest.mark.parametrize("by", ["", "newton", "lbfgs"])
@pytest.mark.parametrize(("text", "start", "lowest", "at"), KNOWN)
def test_known_minima(
    text: str, start: dict[str, float], lowest: float, at: dict[str, float], by: str
) -> None:
    result = minimize(parse(text), start, by=by)
    assert result.status == "converged", result.text
    assert abs(result.loss - lowest) <= 1e-13 * max(1, abs(lowest)), (result.loss, lowest)
    for name, value in at.items():
        assert abs(result.params[name] - value) <= 1e-9 * max(abs(value), 1e-3), result.text
    assert result.curvature.startswith("a minimum"), result.curvature
    assert len(result.history["loss"]) == result.steps + 1


def test_bounds_against_scipy() -> None:
    """The active set of a quadratic within a box is that of scipy's trust-constr."""
    random = np.random.default_rng(1)
    a = random.standard_normal((6, 4))
    start = dict.fromkeys("pqrs", 0.1)
    bounds = {"p": (0, 0.2), "q": (-0.1, None), "r": (None, 0.15), "s": (0, 1)}
    terms = [
        f"(** (+ {' '.join(f'(* {c} {n})' for c, n in zip(row, 'pqrs', strict=True))} -1) 2)"
        for row in a
    ]
    e = parse(f"(+ {' '.join(terms)})")
    slopes = gradient(e, list("pqrs"))
    found = optimize.minimize(
        lambda v: val(e, dict(zip("pqrs", v, strict=True))),
        [0.1] * 4,
        jac=lambda v: np.array([val(g, dict(zip("pqrs", v, strict=True))) for g in slopes]),
        bounds=[bounds[n] for n in "pqrs"],
        method="L-BFGS-B",
        options={"ftol": 1e-15, "gtol": 1e-10},
    )
    for by in ("newton", "lbfgs"):
        result = minimize(e, start, bounds=bounds, by=by)
        assert result.status == "converged", result.text
        assert np.allclose([result.params[n] for n in "pqrs"], found.x, atol=1e-7), result.text
        assert "at a bound" in result.curvature


WHYS = [
    # formula, start, options, status, words
    ("(- (** x 2) (** y 2))", {"x": 0, "y": 0}, {}, "diverged", "without end along y"),
    ("(* -1 x)", {"x": 0}, {}, "diverged", "without end along x"),
    ("(* -1 x)", {"x": 0}, {"bounds": {"x": (None, 3)}}, "converged", "at a bound: x"),
    ("(** (+ a b -1) 2)", {"a": 0, "b": 0}, {}, "stalled", "flat along a - b"),
    ("(+ (** (- x 3) 2) (* 0 y))", {"x": 0, "y": 7}, {}, "stalled", "flat along y"),
    ("(+ (** x 2) (** y 4))", {"x": 1, "y": 1}, {}, "stalled", "flat along y"),
    ("(abs (- x 1))", {"x": 0}, {}, "stalled", "kink"),
    ("(log x)", {"x": -1}, {}, "diverged", "at the start: (log x) became nan"),
    ("(- x (log x))", {"x": 1e-3}, {}, "converged", "a minimum: curvature 1"),
    ("(exp (- x))", {"x": 0}, {}, "stalled", "flat out here"),
    (ROSENBROCK, {"x": -1.2, "y": 1}, {"steps": 3}, "steps", "all steps"),
    (ROSENBROCK, {"x": -1.2, "y": 1}, {"seconds": 0}, "time", "time was up"),
    (ROSENBROCK, {"x": -1.2, "y": 1}, {"until": "(> x 0.5)"}, "until", "came true"),
    (ROSENBROCK, {"x": -1.2, "y": 1}, {"tol": 1e-3}, "converged", "a minimum"),
    ("(- (cos x))", {"x": 3.141592653589793}, {"by": "newton"}, "converged", "a minimum"),
]


@pytest.mark.parametrize(("text", "start", "options", "status", "words"), WHYS)
def test_a_search_says_why_it_stopped(
    text: str, start: dict[str, float], options: dict[str, Any], status: str, words: str
) -> None:
    given = {k: parse(v) if k == "until" else v for k, v in options.items()}
    result = minimize(parse(text), start, **given)
    assert (result.status, words in result.text) == (status, True), result.text


UNIT = {"x": (0, 1), "y": (0, 1)}
ENDS = [
    # formula, start, bounds, status, words
    # what falls for ever, ever less
    ("(+ 5 (exp (- x)))", {"x": 0}, {}, "stalled", "flat out here"),
    ("(- (tanh x))", {"x": 0}, {}, "stalled", "flat"),
    ("(- (atan x))", {"x": 0}, {}, "stalled", "flat out here"),
    ("(+ 1 (/ 1 x))", {"x": 1}, {}, "stalled", "flat out here"),
    ("(+ 1 (/ 1 (+ 1 (** x 2))))", {"x": 1}, {}, "stalled", "flat out here"),
    ("(+ 1e10 (exp (- x)))", {"x": 0}, {}, "stalled", "flat out here"),
    ("(+ 1e10 (** (- x 3) 2))", {"x": 0}, {}, "converged", "curvature 2"),
    ("(+ (** (- x 1e10) 2) (** (- x 1e10) 4))", {"x": 0}, {}, "converged", "curvature 2"),
    # kinks
    ("(- (* 0.1 (** x 2)) (abs x))", {"x": 0}, {}, "converged", "-2.5"),
    ("(- (** x 2) (relu x))", {"x": -1}, {}, "converged", "-0.25"),
    ("(sqrt (abs x))", {"x": 3}, {}, "stalled", "kink"),
    ("(+ (abs x) (abs y) (** (- x y) 2))", {"x": 3, "y": 1}, {}, "stalled", "kink"),
    # bounds
    ("(- (* x y))", {"x": 0, "y": 0}, UNIT, "converged", "-1"),
    ("(- (** x 2))", {"x": 0}, {"x": (-1, 0)}, "converged", "at a bound: x"),
    ("(- (** x 2))", {"x": 0}, {"x": (0, 1)}, "converged", "at a bound: x"),
    ("(* x y)", {"x": 0, "y": 0}, UNIT, "stalled", "flat along x"),
    ("(+ (* 4 x y) (** x 2) (** y 2))", {"x": 0, "y": 0}, UNIT, "converged", "as bounds allow"),
    ("(sqrt x)", {"x": 3}, {"x": (0, None)}, "converged", "at a bound: x"),
    ("(log x)", {"x": 3}, {"x": (0, None)}, "diverged", "as x nears its bound"),
    ("(* x (log x))", {"x": 3}, {"x": (0, None)}, "converged", "curvature 2.718"),
]


@pytest.mark.parametrize("by", ["", "newton"])
@pytest.mark.parametrize(("text", "start", "bounds", "status", "words"), ENDS)
def test_what_is_no_minimum_is_not_called_one(
    text: str, start: dict[str, float], bounds: dict[str, Any], status: str, words: str, by: str
) -> None:
    result = minimize(parse(text), start, bounds=bounds, by=by)
    assert (result.status, words in result.text) == (status, True), result.text
    assert result.steps < 200


SPREAD = [
    # formula of w and h, weights, start, status, words
    ("(sum (* h (** (- w 1) 2)))", np.geomspace(0.1, 1, 400), 0.0, "converged", "a minimum"),
    (
        "(sum (* h (** (- w 1) 2)))",
        np.append(0, np.geomspace(1e-4, 1, 499)),
        0.0,
        "stalled",
        "its lowest is not known",
    ),
    (
        "(sum (+ (* h (** w 2)) (** w 4)))",
        np.append(-1e-7, np.geomspace(1e-5, 1, 499)),
        np.append(0, np.ones(499)),
        "stalled",
        "a saddle",
    ),
]


@pytest.mark.parametrize(("text", "weights", "start", "status", "words"), SPREAD)
def test_curvature_that_products_do_not_reach(
    text: str, weights: Any, start: Any, status: str, words: str
) -> None:
    given = {"w": start + np.zeros(len(weights)), "h": weights}
    result = minimize(parse(text), given, wrt=["w"])
    assert (result.status, words in result.text) == (status, True), result.text


@pytest.mark.parametrize("by", ["lbfgs", "newton"])
def test_a_small_network_leaves_zero(by: str) -> None:
    """All gradients but one are 0 there, as relu'(0) is; |x| is two relus."""
    x = np.linspace(-2, 2, 41)
    session = Session()
    session.run("(params (a [0 0]) (c [0 0]) (u [0 0]) d)")
    text = "(+ (* (ref u 0) (relu (+ (* (ref a 0) x) (ref c 0))))"
    text += " (* (ref u 1) (relu (+ (* (ref a 1) x) (ref c 1)))) d)"
    result = session.run(f"(train (mse {text} y) :by {by})", data={"x": x, "y": np.abs(x)})
    assert result.loss < 0.2 * result.first_loss, result.text


def test_an_ill_conditioned_minimum_is_one() -> None:
    """A polynomial of degree 8 on [0, 10]: Newton's last steps are rounding, and as long."""
    x = np.linspace(0, 10, 50)
    text = " ".join(f"(* p{k} (** x {k}))" for k in range(9))
    loss = parse(f"(mean (** (- (+ {text}) y) 2))")
    start = {f"p{k}": 0 for k in range(9)}
    result = minimize(loss, start, data={"x": x, "y": np.sin(x)})
    assert result.status == "converged", result.text


@pytest.mark.parametrize("by", ["", "newton"])
def test_the_lowest_point_of_a_flat_valley_is_kept(by: str) -> None:
    """Powell's singular function: its Hessian is singular at the minimum, which is found."""
    text = "(+ (** (+ a (* 10 b)) 2) (* 5 (** (- c e) 2)) (** (- b (* 2 c)) 4)"
    text += " (* 10 (** (- a e) 4)))"
    result = minimize(parse(text), {"a": 3, "b": -1, "c": 0, "e": 1}, by=by)
    assert result.loss < 1e-25
    assert (result.status, result.curvature) == ("stalled", "flat along a - 0.1 b, c + e")


@pytest.mark.parametrize("by", ["newton", "lbfgs"])
def test_many_entries(by: str) -> None:
    """Four hundred entries, whose Hessian is never held: the end is exact, by its linear system."""
    weights = 1 + np.arange(400.0)
    text = "(+ (sum (* k (** (- w 1) 2))) (** (sum w) 2))"
    result = minimize(parse(text), {"w": np.zeros(400), "k": weights}, wrt=["w"], by=by)
    exact = np.linalg.solve(np.diag(weights) + 1, weights)
    assert result.status == "converged", result.text
    assert np.abs(result.params["w"] - exact).max() < 1e-11


def test_arrays_and_columns_beside_numbers() -> None:
    random = np.random.default_rng(0)
    x, y = random.standard_normal((50, 3)), random.standard_normal(50)
    session = Session()
    session.run("(params (w [0 0 0]) b)")
    result = session.run(
        "(define loss (mse (+ (@ x w) b) y)) (train loss :by newton)", data={"x": x, "y": y}
    )
    exact = np.linalg.lstsq(np.column_stack([x, np.ones(50)]), y, rcond=None)[0]
    assert isinstance(result, Result)
    assert (result.run, result.status) == ("train", "converged")
    assert np.allclose([*session.run("(val w)"), session.run("(val b)")], exact, atol=1e-12)


FORMS = [
    # a form after (params (m 3) (k 2)) (data c [1 2 3]), its value
    ("(get (minimize (** (- m 1) 2)) :m)", 1.0),
    ("(minimize (** (- m 1) 2)) (val m)", 1.0),
    ("(minimize (** (- m 1) 2) :from ((m 0))) (val m)", 3),
    ("(get (minimize (** (- u m) 2) :from ((u 0))) :u)", 3.0),
    ("(get (minimize (mean (** (- u c) 2)) :from ((u 0))) :u)", 2.0),
    ("(get (minimize (** (- u 1) 2) :from ((u 0 :min -1 :max 0.5))) :u)", 0.5),
    ("(get (minimize (+ (** (- u m) 2) (** m 2)) :from ((u 0) (m 1)) :wrt u) :u)", 1.0),
    ("(get (minimize (sum (** (- u [1 2]) 2)) :from ((u [0 0]))) :u)", [1, 2]),
    ("(get (minimize (** (- m 1) 2)) :status)", "converged"),
    ("(get (minimize (** (- m 1) 2)) :gradient)", 0.0),
    ("(get (minimize (** (- m 1) 2)) :curvature)", "a minimum: curvature 2"),
    ("(param b 1 :max 2) (get (minimize (- (** b 2))) :b)", 2.0),
    ("(param b 1 :fixed true) (get (minimize (+ (** (- m b) 2) (** b 2))) :m)", 1.0),
    ("(get (train (** (- m 1) 2) :by lbfgs) :m)", 1.0),
]


@pytest.mark.parametrize(("program", "value"), FORMS)
def test_forms(program: str, value: Any) -> None:
    session = Session()
    session.run("(params (m 3) (k 2)) (data c [1 2 3])")
    found = session.run(program)
    if isinstance(value, str):
        assert found == value
    else:
        assert np.allclose(found, value, rtol=0, atol=1e-12), (found, value)


MISTAKES = [
    # a form, kind, what it points at, words
    ("(minimize (** u 2))", "unbound-name", "(** u 2)", ":from ((u 0))"),
    ("(minimize (* u v) :from ((u 1)))", "unbound-name", "(* u v)", "v has no value"),
    ("(minimize (** u 2) :from ((v 1)))", "unbound-name", "((v 1))", ":from names v"),
    ("(minimize (** u 2) :from ((u 1) (u 2)))", "name", "(u 2)", "u has two starts"),
    ("(minimize (** u 2) :from (u 1))", "syntax", "u", ":from takes names with starts"),
    ("(minimize (** u 2) :from ((u nan)))", "value", "nan", "cannot start at nan"),
    ("(minimize (** u 2) :from ((u 1 :min 2)))", "value", None, "outside its bounds"),
    ("(minimize (** u 2) :from ((u 1)) :by nwton)", "value", None, "did you mean newton?"),
    ("(minimize (* u c) :from ((u 1)))", "shape", None, "wrap it in mean or sum"),
    ("(minimize (* u c) :from ((c 1)))", "value", "((c 1))", "columns do not move"),
    ("(minimize (** u 2) :from ((u 1)) :lr 1)", "keyword", ":lr", "no keyword :lr"),
    ("(minimize (+ 1 2))", "value", None, "does not depend on any parameter"),
]


@pytest.mark.parametrize(("form", "kind", "where", "words"), MISTAKES)
def test_mistakes(form: str, kind: str, where: str | None, words: str) -> None:
    session = Session()
    session.run("(data c [1 2 3])")
    with pytest.raises(NablispError) as caught:
        session.run(form)
    error = caught.value
    assert (error.kind, words in f"{error.message} {error.hint}") == (kind, True), error
    if where is not None:
        assert error.span is not None
        assert error.span.text == where
