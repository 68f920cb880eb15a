"""Formulas as data: equal is identical, nothing recurses, nothing leaks."""

from __future__ import annotations

import copy
import math
import pickle
import struct
import threading
import time
from typing import Any

import numpy as np
import pytest

from nablisp import Expr, NablispError, d, params, parse, val
from nablisp.expr import (
    _TABLE,
    EXACT,
    OPS,
    Call,
    Const,
    Num,
    Sym,
    names,
    postorder,
    size,
    substitute,
    sweep,
)

# ---- the article's own Python --------------------------------------------------------------------


def test_the_article_s_class() -> None:
    x, y = params("x y")
    e = Expr.bin("+", Expr.bin("**", Expr.sym("x"), 2), Expr.bin("*", x, y))
    assert e is x**2 + x * y and str(e) == "(+ (** x 2) (* x y))"
    op, left, right = e
    assert (op, left, right) == ("+", x**2, x * y)
    assert list(x) == ["x"] and list(left) == ["**", x, 2] and type(list(left)[2]) is int
    assert val(e, {"x": 2, "y": 3}) == 10 and params("m") is Sym("m")


@pytest.mark.parametrize(
    ("made", "text"),
    [
        (lambda x: -x, "(- 0 x)"),
        (lambda x: +x, "x"),
        (abs, "(abs x)"),
        (lambda x: 1 + x, "(+ 1 x)"),
        (lambda x: 1 - x, "(- 1 x)"),
        (lambda x: 2 * x, "(* 2 x)"),
        (lambda x: 1 / x, "(/ 1 x)"),
        (lambda x: 2**x, "(** 2 x)"),
        (lambda x: x - 0.5, "(- x 0.5)"),
        (lambda x: x < 1, "(< x 1)"),
        (lambda x: np.float64(1) < x, "(> x 1.0)"),
        (lambda x: x >= 2 * x, "(>= x (* 2 x))"),
        (lambda x: x + np.float64(2), "(+ x 2.0)"),
        (lambda x: np.array([1.0, 2.0]) * x, "(* [1 2] x)"),
        (lambda x: x @ np.eye(2), "(@ x [[1 0] [0 1]])"),
        (lambda x: sum([x, x]) / 2, "(/ (+ (+ 0 x) x) 2)"),
    ],
)
def test_operators(made: Any, text: str) -> None:
    assert str(made(Sym("x"))) == text


def test_what_a_formula_refuses() -> None:
    x = Sym("x")
    with pytest.raises(NablispError, match="no truth value"):
        bool(x < 1)
    with pytest.raises(TypeError):
        x + "1"
    with pytest.raises(TypeError):
        Call(OPS["+"], (x, [1]))  # type: ignore[arg-type]  # a list is no node
    with pytest.raises(AttributeError, match="immutable"):
        x.name = "y"
    with pytest.raises(AttributeError, match="immutable"):
        del x.name
    with pytest.raises(NablispError, match="did you mean hypot"):
        Expr.bin("hypott", x, x)


# ---- identity ------------------------------------------------------------------------------------


def test_equal_is_identical_and_different_is_not() -> None:
    other_nan = struct.unpack("<d", struct.pack("<Q", 0x7FF8000000000001))[0]
    numbers = [1, 1.0, True, 0, 0.0, -0.0, False, math.nan, other_nan, math.inf, EXACT, 0.1]
    arrays = [[1.0, 2.0], [[1.0, 2.0]], [1.0, 2.0, 0.0], [-0.0], [0.0], [False], [math.nan]]
    made: list[Expr] = [Num(n) for n in numbers] + [Const(a) for a in arrays] + [Sym("x"), Sym("1")]
    made += [Call(OPS["neg"], (node,)) for node in made.copy()]
    made += [Call(OPS["sum"], (Sym("x"),), options) for options in ((), (("axis", 0),))]
    assert len(set(made)) == len(made) and len({id(node) for node in made}) == len(made)
    again = [Num(n) for n in numbers] + [Const(np.array(a)) for a in arrays]
    assert all(a is b for a, b in zip(again, made, strict=False))
    assert Num(EXACT + 1) is Num(float(EXACT)) and Num(10**400) is Num(math.inf)
    assert Const([1, 2]) is Const((1.0, 2.0)) is Const(np.array([1.0, 2.0], dtype=np.float32))
    for node in made:
        for same in (pickle.loads(pickle.dumps(node)), copy.copy(node), copy.deepcopy([node])[0]):
            assert same is node


def test_an_array_is_taken_as_it_is_now() -> None:
    array = np.array([1.0, 2.0])
    node = Const(array)
    array[0] = 7.0
    assert node.value[0] == 1.0 and node is Const([1.0, 2.0])
    with pytest.raises(ValueError, match="read-only"):
        node.value[0] = 7.0


def test_substitution_is_simultaneous_and_keeps_what_it_does_not_touch() -> None:
    x, y = params("x y")
    e = x * y + y**2
    assert substitute([e], {x: y, y: x})[0] is y * x + x**2
    assert substitute([e], {Sym("z"): y})[0] is e and list(names(e)) == ["x", "y"]
    assert substitute([e], {y**2: Num(3)})[0] is Call(OPS["+"], (x * y, Num(3)))


def test_threads_make_no_duplicates() -> None:
    rounds, workers = 200, 8
    made: list[list[Expr]] = [[] for _ in range(workers)]
    start = threading.Barrier(workers)

    def work(mine: list[Expr]) -> None:
        for i in range(rounds):
            if i % 50 == 0:
                start.wait()
            x = Sym(f"thread {i}")
            mine += [x, Num(0.1 + i), Const([0.1 + i]), x * Num(0.1 + i)]

    threads = [threading.Thread(target=work, args=(mine,)) for mine in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(node) for mine in made for node in mine}) == 4 * rounds


def test_the_table_forgets() -> None:
    x = Sym("x")

    def work(rounds: int) -> None:
        for i in range(rounds):
            e = (x - (i + 0.123)) ** 2 / Sym(f"forgotten {i}") + Call(
                OPS["sum"], (Const([i, 0.5]),)
            )
            pickle.loads(pickle.dumps(d(e, "x")))

    work(10)
    sweep()
    before = len(_TABLE)
    work(300)
    sweep()
    assert len(_TABLE) <= before + 2, f"{before} nodes before, {len(_TABLE)} after"
    for i in range(250_000):
        Num(i + 0.25)
    assert len(_TABLE) < before + 150_000


# ---- size ----------------------------------------------------------------------------------------


def chain(depth: int) -> Expr:
    e: Expr = Sym("x")
    for i in range(depth):
        e = Call(OPS["sin"], (e,)) if i % 2 else e + 0.5
    return e


def squarings(times: int) -> Expr:
    e: Expr = Sym("x")
    for _ in range(times):
        e = e * e
    return e


def test_deep_formulas() -> None:
    began = time.process_time()
    e = chain(100_000)
    assert size(e) == 100_000 and len(postorder(e)) == 100_002
    assert pickle.loads(pickle.dumps(e)) is e
    assert 500_000 < len(str(e)) < 2_000_000
    assert 0 < val(e, {"x": 1}) < 1 and val(d(e, "x"), {"x": 1.0}) == 0
    e = chain(10_000)
    assert parse(str(e)) is e and size(d(e, "x", simplify=False)) > 10_000
    seconds = time.process_time() - began
    assert seconds < 15, f"{seconds:.1f} s"


def test_formulas_shared_beyond_counting() -> None:
    began = time.process_time()
    e = squarings(60)
    assert size(e) == 60
    text = str(e)
    assert text.startswith("(let ((t1 (* x x))") and len(text) < 4000 and parse(text) is e
    x = 1 + 1e-19
    assert val(e, {"x": x}) == 1 and pickle.loads(pickle.dumps(e)) is e
    for slope in (d(e, "x"), d(e, "x", simplify=False)):
        assert val(slope, {"x": 1.0}) == 2.0**60, f"{val(slope, {'x': 1.0})} is not 2**60"
        assert size(slope) < 600
        assert isinstance(parse(str(slope)), Expr)
    seconds = time.process_time() - began
    assert seconds < 2, f"{seconds:.1f} s"
