"""From Python: the article's own code, and the public names."""

from __future__ import annotations

import doctest
import importlib
import pickle
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import nablisp
from nablisp import (
    Expr,
    NablispError,
    Session,
    compile,  # noqa: A004  # the public word
    d,
    params,
    parse,
    read,
    train,
    val,
)

# The article, word for word but for its class and functions, which are imported.
ARTICLE = """
x = Expr.sym('x')
y = Expr.sym('y')
e = Expr.bin('+', Expr.bin('**', x, 2), Expr.bin('*', x, y))
print(e)
x, y = params("x y")
e = x**2 + x * y
print(e)
x, y = params('x y')
e = x**2 + x * y
de_dx = d(e, "x", simplify=False)
print(de_dx)
de_dy = d(e, "y", simplify=False)
print(de_dy)
env = {"x": 2, "y": 3}
print(val(e, env), val(de_dx, env), val(de_dy, env))
def target(x):
    return 2 * x + 1
m, b = params("m b")
def model(x):
    return m * x + b
param_vals = {"m": 0, "b": 0}
def model_val(x):
    e = model(x)
    return val(e, param_vals)
train_xs = [-2, 3]
train_ys = [target(x) for x in train_xs]
predictions = [model(x) for x in train_xs]
loss = sum((pi - yi) ** 2 for pi, yi in zip(predictions, train_ys)) / len(train_xs)
print(loss)
dloss_dm = d(loss, 'm', simplify=False)
dloss_db = d(loss, 'b', simplify=False)
print(dloss_dm)
print(dloss_db)
print(model_val(3))
# Learning rate and number of training iterations ("hyperparameters").
lr = 0.1
n_iter = 20
for _ in range(n_iter):
    grad_m = val(dloss_dm, param_vals)
    grad_b = val(dloss_db, param_vals)
    param_vals["m"] -= lr * grad_m
    param_vals["b"] -= lr * grad_b
print(param_vals["m"], param_vals["b"])
"""

PRINTED = """\
(+ (** x 2) (* x y))
(+ (** x 2) (* x y))
(+ (* 1 (+ (* (* 2 (** x 1)) 1) 0)) (* 1 (+ (* y 1) (* x 0))))
(+ (* 1 (+ (* (* 2 (** x 1)) 0) 0)) (* 1 (+ (* y 0) (* x 1))))
10 7 2
(/ (+ (+ 0 (** (- (+ (* m -2) b) -3) 2)) (** (- (+ (* m 3) b) 7) 2)) 2)
(+ (* 0.5 (+ (* 1 (+ 0 (* 1 (+ (* (* 2 (** (- (+ (* m -2) b) -3) 1)) (+ (* 1 (+ (* 1 (+ -2 (* m 0))) 0)) 0)) 0)))) (* 1 (+ (* (* 2 (** (- (+ (* m 3) b) 7) 1)) (+ (* 1 (+ (* 1 (+ 3 (* m 0))) 0)) 0)) 0)))) (* (/ (- 0 (+ (+ 0 (** (- (+ (* m -2) b) -3) 2)) (** (- (+ (* m 3) b) 7) 2))) 4) 0))
(+ (* 0.5 (+ (* 1 (+ 0 (* 1 (+ (* (* 2 (** (- (+ (* m -2) b) -3) 1)) (+ (* 1 (+ (* 1 (+ 0 (* m 0))) 1)) 0)) 0)))) (* 1 (+ (* (* 2 (** (- (+ (* m 3) b) 7) 1)) (+ (* 1 (+ (* 1 (+ 0 (* m 0))) 1)) 0)) 0)))) (* (/ (- 0 (+ (+ 0 (** (- (+ (* m -2) b) -3) 2)) (** (- (+ (* m 3) b) 7) 2))) 4) 0))
0
2.0010576248168945 0.9882707595825195
"""  # noqa: E501  # the article's lines


def test_the_article_runs_as_it_stands(capsys: pytest.CaptureFixture[str]) -> None:
    exec("from nablisp import *\n" + ARTICLE, {})
    assert capsys.readouterr().out == PRINTED


def test_everything_public_is_there() -> None:
    promised = "Expr params d val read parse train compile Session Limits NablispError"
    assert set(promised.split()) <= set(nablisp.__all__)
    for name in nablisp.__all__:
        assert getattr(nablisp, name) is not None
    with pytest.raises(AttributeError):
        _ = nablisp.nothing


x, y = params("x y")

CALLS: list[tuple[Callable[[], Any], Any]] = [
    (lambda: val(x**2 + x * y, {"x": 2, "y": 3}), 10),
    (lambda: val(3), 3),
    (lambda: val(x + 1, {"x": [1, 2]}), [2, 3]),
    (lambda: parse("(+ 1 2)"), 3),
    (lambda: parse("[1 2]"), [1, 2]),
    (lambda: compile(x * y, ["x", "y"])(2, 3), 6),
    (lambda: compile(x * y, "x y")(2, [1.0, 2.0]), [2, 4]),
    (lambda: compile(x * y, ["y", "x"])(np.ones((2, 1)), [1.0, 2.0]), [[1, 2], [1, 2]]),
    (lambda: compile(3, ["x"])([1.0, 2.0]), [3, 3]),
    (lambda: compile(x / y, ["x", "y"])(1, 0), np.inf),
    (lambda: compile(parse("(* a (exp (* k x)))"), ["a", "k", "x"])(2, 0, 7), 2),
    (lambda: len(read("(a b) 1 ; c")), 2),
    (lambda: train((x - 3) ** 2, {"x": 0}, lr=0.5, steps=1).params["x"], 3),
    (lambda: train((x * y - 3) ** 2, {"x": 0, "y": 1}, wrt=["x"], lr=0.5, steps=1).loss, 0),
    (lambda: Session().run("(val (sum x))", data={"x": [1, 2]}), 3),
]


@pytest.mark.parametrize(("call", "value"), CALLS)
def test_calls(call: Callable[[], Any], value: Any) -> None:
    np.testing.assert_array_equal(call(), value)


MISTAKES: list[tuple[Callable[[], Any], str, str]] = [
    (lambda: bool(x < y), "type", "no truth value"),
    (lambda: val(x), "unbound-name", "x has no value"),
    (lambda: val(x, {"x": "a"}), "type", "x must be a number"),
    (lambda: d(x), "arity", 'd(e, "x")'),
    (lambda: d(x, 3), "type", "by a name"),  # type: ignore[arg-type]  # the point
    (lambda: params(""), "name", 'params("m b")'),
    (lambda: Expr.bin("plus", x, 1), "unbound-name", "no operation called plus"),
    (lambda: parse("x y"), "syntax", "one expression, not 2"),
    (lambda: parse("(+ 1"), "incomplete", "ends before"),
    (lambda: parse("(define x 1)"), "type", "not nothing"),
    (lambda: parse("(lambda (x) x)"), "type", "not a function"),
    (lambda: compile(x, ["z"]), "unbound-name", "x occurs in the formula"),
    (lambda: compile(x, ["x", "x"]), "name", "listed twice"),
    (compile(x, ["x"]), "arity", "takes 1 argument, not 0"),
    (lambda: compile(x, ["x"])("a"), "type", "must be a number"),
    (lambda: compile(x + y, "x y")([1, 2], [1, 2, 3]), "shape", "x (2,), y (3,)"),
    (lambda: compile(parse("(sum x)"), "x")([1, 2]), "shape", "cannot meet sum"),
    (lambda: train((x - 3) ** 2, {}), "value", "does not depend on any parameter"),
    (lambda: train((x - y) ** 2, {"x": 0}), "unbound-name", "y has no value"),
    (lambda: train(x * y, {"x": 0}, data={"y": [1, 2]}), "shape", "wrap it in mean or sum"),
]


@pytest.mark.parametrize(("call", "kind", "words"), MISTAKES)
def test_mistakes(call: Callable[[], Any], kind: str, words: str) -> None:
    with pytest.raises(NablispError) as caught:
        call()
    assert caught.value.kind == kind
    assert words in str(caught.value)


def test_a_reduction_is_refused_whichever_argument_comes_as_an_array() -> None:
    f = compile(parse("(* x (sum y))"), "x y")
    assert f([1, 2], 3).tolist() == [3, 6]
    with pytest.raises(NablispError, match="cannot meet sum"):
        f(1, [1, 2])


def test_a_result_has_its_parts() -> None:
    r = Session().run("(params m (w [1 2])) (train (+ (** m 2) (sum (** w 2))) :lr 0.25 :steps 1)")
    assert r.params["m"] == 0
    assert r.params["w"].tolist() == [0.5, 1.0]
    assert (r.loss, r.status, r.steps, r.se, r.cov) == (1.25, "steps", 1, None, None)
    assert r.history["loss"].tolist() == [5.0, 1.25]
    assert str(r) == r.text
    assert pickle.loads(pickle.dumps(r)).text == r.text


@pytest.mark.parametrize(
    "module",
    ["nablisp", "nablisp.expr", "nablisp.evaluate", "nablisp.session", "nablisp.derivative"],
)
def test_docstrings_say_what_happens(module: str) -> None:
    names = {"x": x, "y": y, "params": params, "val": val, "parse": parse, "d": d}
    failed, tried = doctest.testmod(
        importlib.import_module(module), extraglobs=names, optionflags=doctest.NORMALIZE_WHITESPACE
    )
    assert tried
    assert not failed


def test_the_package_says_what_it_holds() -> None:
    """Before anything of it is imported, too: shells complete by it."""
    text = "import nablisp; print(set(nablisp.__all__) <= set(dir(nablisp)))"
    ran = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    assert ran.stdout == "True\n"


ALONE = {
    "params": "x, y = params('x y'); print(x**2 + x * y)",
    "Expr": "print(Expr.sym('x') ** 2 + Expr.bin('*', Expr.sym('x'), Expr.sym('y')))",
    "parse": "print(parse('(+ (** x 2) (* x y))'))",
    "Session": "print(Session().run('(+ (** x 2) (* x y))'))",
}


@pytest.mark.parametrize("name", ALONE)
def test_a_name_works_alone(name: str) -> None:
    """Nothing but what it needs is imported, and that is."""
    text = f"from nablisp import {name}; {ALONE[name]}"
    ran = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=False)
    assert (ran.stdout, ran.stderr) == ("(+ (** x 2) (* x y))\n", "")
