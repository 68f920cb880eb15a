"""nablisp from Python: the article's code, compiled functions, sessions, pickles."""

from __future__ import annotations

import copy
import pickle
import threading

import numpy as np
import pytest

import nablisp
from nablisp import Expr, Limits, NablispError, Session, d, params, parse, train, val
from nablisp.expr import Call, Num, Sym


def test_the_article_runs_as_it_stands() -> None:
    m, b = params("m b")

    def target(x: float) -> float:
        return 2 * x + 1

    def model(x: float) -> Expr:
        return m * x + b  # type: ignore[no-any-return]

    train_xs = [-2, 3]
    train_ys = [target(x) for x in train_xs]
    predictions = [model(x) for x in train_xs]
    loss = sum((p - y) ** 2 for p, y in zip(predictions, train_ys, strict=True)) / len(train_xs)
    slopes = {"m": d(loss, "m"), "b": d(loss, "b")}
    now = {"m": 0.0, "b": 0.0}
    for _ in range(20):
        steps = {name: val(slope, now) for name, slope in slopes.items()}
        for name, step in steps.items():
            now[name] -= 0.1 * step
    assert now["m"] == pytest.approx(2.0010576248168945, rel=1e-12)
    assert now["b"] == pytest.approx(0.9882707595825195, rel=1e-12)
    assert val(loss, now) == pytest.approx(1.3244065166873e-04, rel=1e-12)


def test_train_is_the_same_engine() -> None:
    m, b, x = params("m b x")
    loss = parse("(mean (** (- (+ (* m x) b) (+ (* 2 x) 1)) 2))")
    assert nablisp.forms is not None and isinstance(m * x + b, Call)
    seen = train(loss, {"m": 0, "b": 0}, data={"x": [-2, 3]}, lr=0.1, steps=20)
    assert seen.params["m"] == pytest.approx(2.0010576248168945, rel=1e-12)
    assert seen.status == "steps" and seen.steps == 20
    assert seen.history["loss"][0] == 29
    assert len(seen.history["loss"]) == 21


def test_expressions_unpack_match_and_keep_identity() -> None:
    x, y = params("x y")
    e = x**2 + 3 * y
    op, left, right = e
    assert (op, str(left), str(right)) == ("+", "(** x 2)", "(* 3 y)")
    assert list(right) == ["*", 3, y]
    match e:
        case Call(row, (Call(), Call(_, (Num(value), Sym(name))))):
            assert (row.name, value, name) == ("+", 3, "y")
        case _:
            pytest.fail("no match")
    assert e is x**2 + 3 * y
    assert pickle.loads(pickle.dumps(e)) is e
    assert copy.deepcopy([e])[0] is e
    assert {e: 1}[x**2 + 3 * y] == 1
    assert isinstance(np.array([1.0, 2.0]) * x, Expr)
    assert str(-x) == "(- 0 x)"
    with pytest.raises(NablispError, match="no truth value"):
        bool(x < y)
    with pytest.raises(AttributeError, match="immutable"):
        x.name = "z"


def test_latex_in_notebooks() -> None:
    assert parse("(/ (** x 2) 2)")._repr_latex_() == r"$\displaystyle \frac{x^{2}}{2}$"


def test_compiled_functions() -> None:
    f = nablisp.compile(parse("(* a (exp (* k x)))"), ["a", "k", "x"])
    assert f(2.0, 0.5, 1.0) == 2 * np.exp(0.5)
    assert np.array_equal(f(2.0, 0.5, [0.0, 1.0]), 2 * np.exp([0.0, 0.5]))
    with pytest.raises(NablispError, match="not in the list of names"):
        nablisp.compile(parse("(* a k)"), ["a"])
    g = nablisp.compile(parse("(sum [a (* 2 b)])"), ["a", "b"])
    assert g(1, 2) == 5
    results = []
    threads = [
        threading.Thread(target=lambda k=k: results.append((k, f(1.0, 1.0, np.full(9, k)))))
        for k in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(value, np.exp(np.full(9, float(k)))) for k, value in results)


def test_sessions_take_data_and_hold_limits() -> None:
    session = Session(limits=Limits.untrusted(), root=None)
    result = session.run(
        "(params m b) (train (mse (+ (* m x) b) y) :lr 0.1 :steps 500)",
        data={"x": [0, 1, 2], "y": [1, 3, 5]},
    )
    assert result.params == pytest.approx({"m": 2, "b": 1}, rel=1e-6)
    assert "train by gd" in result.text
    with pytest.raises(NablispError) as caught:
        session.run('(data "points.csv")')
    assert caught.value.kind == "file"
    with pytest.raises(NablispError) as caught:
        session.run("(define (loop x) (loop x)) (loop 1)")
    assert caught.value.kind == "limit" and caught.value.span is not None
    assert session.run("(val m)") == pytest.approx(2, rel=1e-6)  # nothing is lost
