"""Bombs: each ends within its budget, with an error that names the limit and the place."""

import time
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from nablisp import Limits, NablispError, Session, d, params, read, run_isolated, val
from nablisp.errors import Source
from nablisp.limits import Budget, growing, in_force, walked

STRANGER = Limits.untrusted()
ROOMY = replace(STRANGER, source=2**30, depth=1e6, nodes=1e6, seconds=0.4)
"""A stranger's clock and memory, and text enough for a bomb."""
WIDE = replace(STRANGER, seconds=9)
HOST = Limits.trusted()


def squared(times: int) -> str:
    return f"(define e (repeat {times} (lambda (x) (* x x)) (+ x 1)))"


def many(count: int, text: str) -> str:
    """A text for each number, with `#` for the number."""
    return " ".join(text.replace("#", str(i)) for i in range(count))


PRODUCT = f"(define e (* {many(10, '(sin (* x # (exp x)))')}))"

# text, a profile, and the limits that may stop it: "" where it is no bomb any more, "-" where it is
# a mistake of another kind. What the clock may stop first on a slow machine says so.
BOMBS: dict[str, tuple[str, Limits, str]] = {
    "nesting": ("(+ 1 " * 10**6 + "1" + ")" * 10**6, replace(HOST, depth=5e4), "depth"),
    "nesting, read under a clock": ("(+ 1 " * 10**6, ROOMY, "seconds|depth"),
    "nested arrays": ("[" * 10**6 + "]" * 10**6, HOST, "depth"),
    "deep let": ("(let ((a 1)) " * 10**5 + "a" + ")" * 10**5, ROOMY, "seconds|depth"),
    "sixty squarings": (
        f"{squared(60)} (print e) (val e :x 0.5) (d e x) (simplify e) (latex e) "
        "(export e :to c :grad true) (export e :to python)",
        STRANGER,
        "",
    ),
    "squared coefficients": (
        "(params m) (define e (repeat 60 (lambda (z) (* z z)) (/ m 0.75))) (grad e) (simplify e)",
        STRANGER,
        "",
    ),
    "a thousand squarings": (
        f"{squared(1000)} (val e :x 0.5) (d e x) (hessian e x) (export e) (latex e)",
        STRANGER,
        "",
    ),
    "exported": (f"{squared(3000)} (export e :to c :grad true)", STRANGER, "output|seconds"),
    "squarings in a message": (f"{squared(1000)} (if e 1 2)", STRANGER, "-"),
    "trained": (f"(param x 0.1) {squared(60)} (train e :lr 0.1 :steps 10)", STRANGER, ""),
    "compiled": (
        f"(param x 0.1) {squared(1000)} (train (sin e) :lr 0 :steps 1e7 :backend native)",
        replace(STRANGER, work=1e20, seconds=0.02),
        "seconds",
    ),
    "drawn": (f"(data x [1 2 3]) {squared(60)} (plot (sin e))", STRANGER, "-"),
    "fitted": (
        f"(params m) (data x [1 2 3]) {squared(60)} (fit x (* m (sin e)))",
        STRANGER,
        "-|seconds",
    ),
    "many lines": (f"(data x [1 2]) (plot {many(2000, '(sin (* # x))')})", STRANGER, "-"),
    "a long axis": ("(data x [1 2]) (plot (sin x) :over (x 0 1e300))", STRANGER, ""),
    "a hundred axes": (f"(zeros {'1 ' * 100})", STRANGER, "-"),
    "many rates": (
        f"(params {many(400, 'p#')}) (advise (+ {many(400, '(** (sin p#) #)')}))",
        STRANGER,
        "seconds",
    ),
    "saved": ('(param x (ones 1e7)) (save "a.gd")', STRANGER, "seconds"),
    "powers": ("(** 9 (** 9 9))", STRANGER, ""),
    "digits": ("1" * 10**6 + " 0." + "1" * 10**6 + " 1e" + "9" * 10**6, ROOMY, ""),
    "range": ("(range 1e18)", HOST, "bytes"),
    "linspace": ("(linspace 0 1 1e12)", HOST, "bytes"),
    "zeros": ("(zeros 1e9 1e9)", HOST, "bytes"),
    "normal": ("(normal 1e5 1e5)", HOST, "bytes"),
    "outer product": ("(@ (ones 1e6 1) (ones 1 1e6))", HOST, "bytes"),
    "broadcasting": ("(+ (ones 1e6 1) (ones 1 1e6))", HOST, "bytes"),
    "outer product, trained": (
        "(params (w (zeros 20000))) (train (sum (@ (expand w 1) (expand w 0))))",
        STRANGER,
        "bytes",
    ),
    "one-hot": ("(one-hot (range 1e5) 1e5)", STRANGER, "bytes"),
    "product of matrices": ("(define A (ones 3000 3000)) (@ A A)", STRANGER, "work"),
    "solve": ("(solve (normal 3000 3000) (ones 3000))", STRANGER, "work"),
    "hoarding": (
        "(define (f n a) (if (= n 0) 0 (+ (f (- n 1) (zeros 1e6)) (sum a)))) (f 9000 1)",
        STRANGER,
        "bytes",
    ),
    "endless loop": ("(define (f n) (f n)) (f 1)", STRANGER, "seconds|steps"),
    "endless recursion": ("(define (f n) (+ 1 (f n))) (f 1)", STRANGER, "seconds|depth"),
    "endless bodies": ("(define (f n) (f n) 1) (f 1)", STRANGER, "seconds|depth"),
    "mutual recursion": (
        "(define (f n) (+ 1 (g n))) (define (g n) (* 2 (f n))) (f 1)",
        replace(HOST, depth=20_000),
        "depth",
    ),
    "mutual loop": (
        "(define (f n) (g n)) (define (g n) (f n)) (f 1)",
        replace(HOST, steps=200_000),
        "steps",
    ),
    "doubling arrays": (
        "(fold (lambda (v k) (concat v v)) [1] (range 99))",
        STRANGER,
        "bytes|seconds",
    ),
    "doubling stacks": (
        "(fold (lambda (v k) (stack v v)) [1] (range 60))",
        STRANGER,
        "bytes|seconds",
    ),
    "doubling brackets": (
        "(fold (lambda (v k) [v v]) [1 2] (range 60))",
        STRANGER,
        "bytes|seconds",
    ),
    "doubling functions": (
        "(define (twice f) (lambda (x) (f (f x)))) ((repeat 40 twice (lambda (x) (+ x 1))) 0)",
        STRANGER,
        "seconds|steps|depth",
    ),
    "growing sum": (
        "(fold (lambda (e k) (sin (+ e k))) x (range 1e5))",
        replace(STRANGER, nodes=5000),
        "nodes",
    ),
    "substituted": ("(repeat 60 (lambda (e) (subst e :x (+ x (* x x)))) x)", STRANGER, ""),
    "repeat": ("(repeat 1e9 (lambda (x) x) 1)", HOST, "steps"),
    "map": ("(map (lambda (x) x) (range 1e8))", STRANGER, "bytes"),
    "tenth derivative": (f"{PRODUCT} (d e {'x ' * 10})", STRANGER, "seconds|nodes"),
    "tenth derivative of a few": (f"(d (sin (sin (* x (exp x)))) {'x ' * 10}) 1", WIDE, ""),
    "tenth derivative, by nodes": (
        f"{PRODUCT} (d e {'x ' * 10})",
        replace(HOST, nodes=5000),
        "nodes",
    ),
    "raw derivatives": (
        f"(d (sin (sin (* x (exp x)))) {'x ' * 12} :raw true)",
        STRANGER,
        "seconds|nodes",
    ),
    "hessian": (
        f"(params {many(300, 'p#')}) (hessian (exp (* {many(300, '(sin p#)')})))",
        STRANGER,
        "seconds|nodes",
    ),
    "steps": ("(params m) (train (** m 2) :lr 0 :steps 1e15)", STRANGER, "work"),
    "steps by the clock": (
        "(params m) (train (** m 2) :lr 0 :seconds 1e9)",
        STRANGER,
        "seconds|bytes",
    ),
    "history": (
        "(params m) (train (** m 2) :lr 0 :steps 1e15)",
        replace(HOST, bytes=1e6),
        "bytes",
    ),
    "epochs": (
        "(params m) (data x (range 9)) (train (mse (* m x) x) :epochs 1e12 :batch 1)",
        STRANGER,
        "work",
    ),
    "batch and hold-out": (
        "(params m) (data x (range 9)) "
        "(train (mse (* m x) x) :batch 1e15 :holdout 0.5 :lr 0.001 :steps 9)",
        STRANGER,
        "",
    ),
    "rows": (
        "(params m) (data x (range 1e7)) (train (mse (* m x) x) :steps 1e6)",
        STRANGER,
        "work",
    ),
    "starts": (
        "(params m k) (data x (range 10)) (fit x (* m (exp (sin (* k x)))) :starts 1e9)",
        STRANGER,
        "-|seconds",
    ),
    "minimize": (
        "(minimize (+ (** (- 1 x) 2) (abs (sin (* x y)))) :from ((x -1.2) (y 1)) :steps 1e15)",
        STRANGER,
        "|seconds",
    ),
    "parameters": (f"(params {many(10**5, 'p#')})", ROOMY, "|seconds"),
    "columns": (many(10**5, "(data p# [1])"), ROOMY, "seconds"),
    "definitions": (many(10**5, "(define p# 1)"), ROOMY, "seconds"),
    "arguments": (f"(lambda ({many(10**5, 'p#')}) 1)", ROOMY, "|seconds"),
    "free names": (f"(print (+ {many(10**5, 'p#')}))", ROOMY, "|seconds|output"),
    "elements": ("(params (w (zeros 1e6))) (map (lambda (k) k) w)", STRANGER, "nodes"),
    "deep scopes": ("(let ((a 1)) " * 10**4 + "a" + ")" * 10**4, replace(HOST, steps=1e5), ""),
    "comments": (";\n" * 10**6, replace(HOST, bytes=1e6), ""),
    "choices of choices": (
        f"{many(3000, '(where (> x #)')} 1{' 2)' * 3000}",
        replace(ROOMY, seconds=9),
        "",
    ),
    "definitions of definitions": (
        f"(define a x) {'(define a (sin a)) ' * 3000}",
        replace(ROOMY, seconds=9),
        "",
    ),
    "keywords": (f"(val x {many(10**5, ':p# 1')})", ROOMY, "seconds"),
    "a long string": ('"' + "a" * 10**7 + '"', ROOMY, "|seconds"),
    "a string too long": ('"' + "a" * 10**7 + '"', STRANGER, "source"),
    "a comment too long": (";" * 10**7, STRANGER, "source"),
    "blanks too long": ("é" + " " * 10**8, replace(HOST, source=2**20), "source"),
    "printing": ("(repeat 1e6 (lambda (k) (print (range 1e4)) 1) 1)", STRANGER, "output"),
    "printing an array": ("(print (range 3e7))", STRANGER, ""),
    "an array in a formula": ("(+ (ones 3e6 1) x)", STRANGER, ""),
    "an array in a message": ("(assert (range 3e7))", STRANGER, "-"),
    "values of a column": (
        "(data x (range 1e6)) (val (mean (repeat 300 (lambda (e) (sin (+ e x))) x)))",
        STRANGER,
        "seconds|bytes",
    ),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_ends(name: str) -> None:
    text, limits, stops = BOMBS[name]
    session = Session(limits, write=lambda line: None)
    began = time.process_time()
    try:
        session.text(session.run(text))
        met = ""
    except NablispError as error:
        met = "-" if error.kind != "limit" else error.hint.partition("Limits(")[2][:-3]
        assert error.span is not None
        assert 0 <= error.span.start <= error.span.end <= len(text)
        assert len(str(error)) < 1000
    assert met in stops.split("|"), name
    assert time.process_time() - began < 6
    assert session.run("(+ 1 2)") == 3, "the session goes on"


def test_memory_is_bounded() -> None:
    """A text, what it builds and what it shows take little more than they must."""
    for text, limits, most in (
        ("(define (f n) (+ 1 (f n))) (f 1)", replace(HOST, depth=5000), 15e6),
        (" " * 10**7, HOST, 1e6),
        (";\n" * 10**6, HOST, 1e6),
        ('"' + "\\n" * 10**4 + '"', HOST, 1e6),
        ("(print (range 3e5))", replace(HOST, output=1000), 6e6),
        ("(define (f n) (f n)) (f 1)", replace(HOST, steps=10_000), 1e6),
    ):
        session = Session(limits, write=lambda line: None)
        session.run("1")
        tracemalloc.start()
        try:
            session.run(text)
        except NablispError as error:
            assert error.kind == "limit"
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < most, text[:40]


def test_arrays_count_while_they_live() -> None:
    session = Session(Limits(bytes=130_000))
    session.run("(define a (zeros 5000)) (define b (sum (ones 5000)))")
    assert session.budget.held == 40_000
    with pytest.raises(NablispError, match="this needs 136,000 bytes of arrays"):
        session.run("(ones 12000)")
    session.run("(forget a) (repeat 50 (lambda (v) (+ v 1)) (ones 5000)) 1")
    assert session.budget.held == 0


def test_values_no_longer_needed_make_room() -> None:
    session = Session(Limits(bytes=2**28))
    session.run("(data x (range 1e6)) (define e (repeat 30 (lambda (e) (sin (+ e x))) x))")
    assert abs(session.run("(val (mean e))")) < 1


def test_a_budget_is_in_force_only_inside() -> None:
    budget = Budget(replace(HOST, nodes=10))
    assert in_force() is None
    walked(10**12)
    with budget.in_force():
        assert in_force() is budget
        walked(10)
        with pytest.raises(NablispError, match="11 nodes"):
            growing(11)
    assert in_force() is None
    x, y = params("x y")
    assert str(d(x * y, "x")) == "y" and val(x, {"x": 1}) == 1


def test_source_is_measured_without_a_copy() -> None:
    with pytest.raises(NablispError, match=r"this needs 2,097,153 bytes of source") as caught:
        read("λ" * 2**20 + "a", budget=Budget(Limits(source=2**21)))
    assert caught.value.span is not None
    source = Source("x", "\n" * 10**6)
    assert source.place(10**6) == (10**6 + 1, 1)


# ---- isolated ------------------------------------------------------------------------------------


def test_isolated_gives_plain_data() -> None:
    found = run_isolated(
        "(data z [1 2]) (val (sum (* x x))) (print x) (ref [1 2] 5)", data={"x": np.ones(2)}
    )
    assert found[0] == {"kind": "number", "value": 2.0, "text": "2.0", "line": 1}
    assert found[1] == {"kind": "output", "text": "x"}
    assert found[2]["kind"] == "error" and found[2]["column"] == 46
    assert len(found) == 3


def test_isolated_walls() -> None:
    assert run_isolated("(define (f n) (+ 1 (f n))) (f 1)")[-1]["error"] == "limit"
    assert run_isolated('(load "a.gd")')[-1]["error"] == "file"
    wide = replace(STRANGER, bytes=1e15, work=1e20, seconds=2)
    (out,) = run_isolated("(ones 1e8)", limits=wide, memory=2**28)
    assert "more memory than there is" in out["message"]
    slow = replace(wide, seconds=1, bytes=2**31)
    try:  # on a busy machine the second is over before the product begins
        out = run_isolated("(define A (ones 7000 7000)) (@ A A)", limits=slow, memory=2**31)[-1]
        said = out["message"]
    except NablispError as error:
        said = error.message
    assert "longer than the limit of 1 seconds" in said
