"""Advice on rates: the article's figures, and the Hessian's ends against NumPy's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nablisp import NablispError, Session, advise, parse, train
from nablisp.advice import Advice, degree
from nablisp.curvature import lanczos
from nablisp.expr import Sym

ARTICLE = """
(params a b c) (data x (range -4 6))
(define loss (mse (+ (* a (** x 2)) (* b x) c) (+ (- (** x 2) (* 2 x)) 3)))
"""


def test_the_articles_quadratic() -> None:
    """Ten points from -4 to 5, 300 steps: a rate for each parameter gets there, no single one."""
    session = Session()
    advice = session.run(ARTICLE + "(advise loss)")
    assert isinstance(advice, Advice)
    assert f"{advice.limit:.9g}" == "0.00740304523"
    assert f"{advice.condition:.4g}" == "304.8"
    assert advice.diagonal is not None
    assert np.allclose(advice.diagonal, [266.6, 17, 2], rtol=1e-14)
    assert advice.exact
    assert session.run("(get (train loss :lr auto :steps 300) :loss)") < 1e-20
    for share in (0.25, 0.5, 0.9, 0.99):
        session.run("(reset)")
        loss = session.run(f"(get (train loss :lr {share * advice.limit} :steps 300) :loss)")
        assert loss > 1e-3, share
    session.run("(reset)")
    assert session.run(f"(get (train loss :lr {1.01 * advice.limit} :steps 3000) :loss)") > 1


def test_expected_steps_are_kept() -> None:
    """The excess shrinks as announced, from the worst start: along the slowest direction."""
    session = Session()
    advice = session.run(ARTICLE + "(advise loss)")
    for choice, rate in (("one rate", str(advice.single)), ("one for each parameter", "auto")):
        steps = int(advice.steps[choice])
        session.run("(reset)")
        result = session.run(f"(train loss :lr {rate} :steps {steps})")
        assert result.loss <= 1.01e-10 * result.first_loss, choice


def test_ends_against_numpy() -> None:
    """A random quadratic in numbers and an array: ends, scaled ends and rates by eigvalsh."""
    random = np.random.default_rng(3)
    factor = random.standard_normal((9, 5)) * [1, 10, 1, 3, 0.1]
    columns = {"u": factor[:, :3], "p": factor[:, 3], "q": factor[:, 4], "y": factor.sum(axis=1)}
    loss = parse("(mean (** (- (+ (sum (* u w) :axis -1) (* a p) (* b q)) y) 2))")
    advice = advise(loss, {"w": np.zeros(3), "a": 0, "b": 0}, data=columns)
    hessian = 2 * factor.T @ factor / 9
    ends = np.linalg.eigvalsh(hessian)[[0, -1]]
    assert np.allclose([advice.lowest, advice.highest], ends, rtol=1e-10)
    rates = np.array([advice.rates[n] for n in ("w", "w", "w", "a", "b")])
    moves = np.eye(5) - rates[:, None] * hessian
    slowest = np.abs(np.linalg.eigvals(moves)).max()
    assert slowest < 1
    steps = np.log(1e-10) / (2 * np.log(slowest))
    assert abs(advice.steps["one for each parameter"] - steps) <= 1


def test_lanczos_against_the_whole_matrix() -> None:
    random = np.random.default_rng(5)
    basis, _ = np.linalg.qr(random.standard_normal((320, 320)))
    values = np.concatenate([[-3.0, 0.5], np.linspace(1, 50, 316), [70.0, 90.0]])
    matrix = (basis * values) @ basis.T
    ends = lanczos(lambda v: matrix @ v, 320)
    assert ends.settled
    assert np.allclose([ends.low, ends.high], [-3, 90], rtol=1e-10)
    assert abs(abs(ends.lowest @ basis[:, 0]) - 1) < 1e-8


def test_above_some_hundred_entries() -> None:
    """By products with the Hessian alone, and the same figures as of the whole."""
    weights = np.linspace(1, 9, 320)
    loss = parse("(+ (sum (* k (** w 2))) (** (- (sum w) b) 2))")
    advice = advise(loss, {"w": np.ones(320), "b": 1, "k": weights}, wrt=["w", "b"])
    matrix = np.diag(np.append(2 * weights, 0)) + 2 * np.outer(u := np.append(np.ones(320), -1), u)
    ends = np.linalg.eigvalsh(matrix)[[0, -1]]
    assert np.allclose([advice.lowest, advice.highest], ends, rtol=1e-8)
    assert advice.diagonal is None
    assert "Lanczos" in advice.text


def test_ends_that_are_not_reached_are_called_so() -> None:
    weights = np.geomspace(1e-7, 1, 1000)
    advice = advise(parse("(sum (* k (** w 2)))"), {"w": np.ones(1000), "k": weights}, wrt=["w"])
    assert not advice.exact
    assert advice.condition < 1e7
    assert "condition number at least" in advice.text


LOGISTIC = "(mean (- (softplus (+ (* w x) b)) (* y (+ (* w x) b))))"
DECAY = "(mean (** (- (* a (exp (* -1 k x))) y) 2))"
FAR = np.linspace(-3, 3, 60)
AUTO: list[tuple[str, dict[str, float], dict[str, Any], float]] = [
    # loss, start, columns, what it comes down to in 1,000 steps
    ("(+ (** (- 1 x) 2) (* 100 (** (- y (** x 2)) 2)))", {"x": 0, "y": 0}, {}, 0.9),
    ("(+ (** (- 1 x) 2) (* 100 (** (- y (** x 2)) 2)))", {"x": -1.2, "y": 1}, {}, 2),
    (LOGISTIC, {"w": -20, "b": -10}, {"x": FAR, "y": (np.sin(5 * FAR) + FAR > 0) * 1.0}, 0.7),
    (LOGISTIC, {"w": 20, "b": 10}, {"x": FAR, "y": (np.sin(5 * FAR) + FAR > 0) * 1.0}, 0.7),
    (DECAY, {"a": 1, "k": 3}, {"x": FAR + 3, "y": 2 * np.exp(-1.3 * (FAR + 3))}, 1e-8),
]


@pytest.mark.parametrize(("text", "start", "columns", "most"), AUTO)
def test_auto_leads_down_where_the_curvature_changes(
    text: str, start: dict[str, float], columns: dict[str, Any], most: float
) -> None:
    result = train(parse(text), start, data=columns or None, lr="auto")
    assert result.status == "steps"
    assert result.loss < most, (result.loss, result.first_loss)


DEGREES = [
    ("(** (- (* a x) y) 2)", 2),
    ("(mean (** (- (+ (* a (** x 2)) (* b x)) y) 2))", 2),
    ("(* a b x)", 2),
    ("(* a a b)", 3),
    ("(exp x)", 0),
    ("(exp a)", float("inf")),
    ("(/ a x)", 1),
    ("(/ x a)", float("inf")),
    ("(where (> x 0) (* a a) b)", 2),
    ("(abs a)", float("inf")),
    ("(** a 0.5)", float("inf")),
]


@pytest.mark.parametrize(("text", "expected"), DEGREES)
def test_degree(text: str, expected: float) -> None:
    assert degree(parse(text), ["a", "b"]) == expected


WORDS = [
    # a form after (params (a 1) b), words of what it shows
    ("(advise (+ (** a 2) (** b 2)))", "quadratic, so this is exact"),
    ("(advise (+ (** a 4) (** b 2)))", "not quadratic: this holds nearby"),
    ("(advise (* 3 a))", "the loss does not curve here"),
    ("(advise (- (** a 2)))", "the loss curves down here"),
    ("(advise (** (- a b) 2))", "flat along a + b"),
    ("(advise (- (** a 2) (** b 2)))", "curves down along b"),
    (
        "(train (+ (** a 2) (* 500 (** (- b 1) 2))) :lr 1)",
        "learning rate for this loss is about 0.002",
    ),
    ("(train (+ (** a 2) (* 500 (** (- b 1) 2))) :lr 1)", ":lr ((a 0.5) (b 0.001))"),
    ("(train (- (** a 2) (** b 2)) :tol 1 :lr 0.1)", "stalled"),
    ("(train (+ (** a 4) (** b 2)) :lr auto :steps 50)", "all steps"),
]


@pytest.mark.parametrize(("form", "words"), WORDS)
def test_words(form: str, words: str) -> None:
    session = Session()
    session.run("(params (a 1) b)")
    assert words in session.run(form).text


PARTS: list[tuple[str, Any]] = [
    (":limit", 0.25),
    (":condition", 4.0),
    (":rates", [0.5, 0.125]),
    (":diagonal", [2.0, 8.0]),
    (":b", 0.125),
    (":exact", True),
]


@pytest.mark.parametrize(("key", "value"), PARTS)
def test_parts(key: str, value: Any) -> None:
    session = Session()
    found = session.run(f"(params (a 1) b) (get (advise (+ (** a 2) (* 4 (** b 2)))) {key})")
    assert np.allclose(found, value, rtol=1e-12)


def test_mistakes() -> None:
    for text, kind, words in (
        ("(advise 3)", "type", "takes a loss"),
        ("(advise (* c 2))", "value", "does not depend on any parameter"),
        ("(advise (sqrt a))", "value", "not finite here"),
        ("(train (- (** a 2)) :lr auto)", "value", "does not curve up here"),
        ("(train (** a 2) :lr auto :schedule (cosine 1 0.1))", "value", "leave one of them out"),
    ):
        session = Session()
        session.run("(params a) (data c [1 2])")
        with pytest.raises(NablispError) as caught:
            session.run(text)
        error = caught.value
        assert (error.kind, words in f"{error.message} {error.hint}") == (kind, True), error


def test_python_names() -> None:
    a = Sym("a")
    assert advise((a - 1) ** 2, {"a": 0}).rates == {"a": 1.0 / 2}
