"""What takes time in proportion to its input: a table of rows, and how they are measured."""

from __future__ import annotations

import atexit
import gc
from collections.abc import Callable
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from time import thread_time
from typing import Any

from nablisp import Expr, Session, export, gradient, read, simplify
from nablisp.backends import compile as compiled
from nablisp.checker import problems
from nablisp.checkpoint import identity
from nablisp.derivative import derivative
from nablisp.evaluate import evaluate
from nablisp.expr import Sym, call, names
from nablisp.formatter import formatted
from nablisp.highlight import NablispLexer
from nablisp.tensors import packed

Work = Callable[[], object]
Make = Callable[[int], Work]
"""Input of a size, ready to be worked on."""

X = Sym("x")


def many(n: int, text: str, after: str = "") -> str:
    """A text for each number, with `#` for the number and `%` for the one before."""
    return " ".join(text.replace("#", str(i + 1)).replace("%", str(i)) for i in range(n)) + after


# ---- formulas of some n operations ---------------------------------------------------------------


def nested(step: Callable[[Expr, int], Expr], operations: int = 1) -> Callable[[int], Expr]:
    """A formula that is built on itself."""

    def make(n: int) -> Expr:
        e: Expr = X
        for i in range(n // operations):
            e = step(e, i)
        return e

    return make


def side_by_side(name: str, part: Callable[[int], Expr]) -> Callable[[int], Expr]:
    return lambda n: call(name, *(part(i) for i in range(n // 2)))


def p(i: int) -> Sym:
    return Sym(f"p{i}")


FORMULAS: dict[str, Callable[[int], Expr]] = {
    "nested functions": nested(lambda e, i: call("sin" if i % 2 else "exp", e)),
    "squarings": nested(lambda e, i: e * e),
    "a polynomial": nested(lambda e, i: e * X + p(i % 9), 2),
    "nested quotients": nested(lambda e, i: 1 / (2 + e), 2),
    "nested thirds": nested(lambda e, i: call("/", call("*", i % 5 + 1, e), 3), 2),
    "nested powers": nested(lambda e, i: (e + X) ** 0.5, 2),
    "nested choices": nested(lambda e, i: call("where", call(">", X, i), call("sin", e), X), 3),
    "choices, nested first": nested(lambda e, i: call("where", call(">", X, i), e, i), 2),
    "a sum": side_by_side("+", lambda i: call("sin", call("*", i + 2, X))),
    "a product": side_by_side("*", lambda i: call("sin", call("+", i + 2, X))),
    "parameters": side_by_side("+", lambda i: call("exp", p(i) * X)),
    "a product of names": side_by_side("*", p),
    "a maximum": side_by_side("max", lambda i: p(i) * X),
    "like terms": side_by_side("+", lambda i: call("*", i % 5 + 2, p(i % 50))),
    "fractions": side_by_side("+", lambda i: call("/", X, i + 3)),
    "conditions": lambda n: call("where", call("and", *(call(">", X, i) for i in range(n))), X, 1),
}


def on(formula: str, work: Callable[[Expr], object]) -> Make:
    def make(n: int) -> Work:
        e = FORMULAS[formula](n)
        return lambda: work(e)

    return make


def _values(e: Expr) -> list[Any]:
    return evaluate([e], dict.fromkeys(names(e), 0.5))


def _numpy(e: Expr) -> object:
    return compiled([e], list(names(e)), {}, rows=1, backend="numpy")


def _native(e: Expr) -> object:
    return compiled([e], list(names(e)), {}, rows=1, backend="native")


# ---- texts ---------------------------------------------------------------------------------------

TEXTS: dict[str, Callable[[int], str]] = {
    "brackets inside each other": lambda n: "(sin " * n + "x" + ")" * n,
    "a long list": lambda n: many(n, "x#"),
    "many forms": lambda n: many(n, "(define a# (+ x #))\n"),
    "numbers": lambda n: many(n, "#.5e3"),
    "strings": lambda n: many(n, '"a\\n\\u{41}b#"'),
    "a long string": lambda n: '"' + "ab\\n" * n + '"',
    "comments": lambda n: many(n, "; (# \n"),
    "names beyond ASCII": lambda n: many(n, "σ#²"),
}
PROGRAMS: dict[str, Callable[[int], str]] = {
    "let inside let": lambda n: many(n, "(let ((a# #))") + "a1" + ")" * n,
    "let of functions": lambda n: f"(let ({many(n, '(f# (lambda (x) x))')}) (f1 1))",
    "let, each of the one before": lambda n: f"(let ((a0 x) {many(n, '(a# (+ a% 1))')}) a{n})",
    "inner definitions": lambda n: f"(define (f x) {many(n, '(define a# (+ x #))')} a1) (f 1)",
    "recursion": lambda n: f"(define (f n) (if (= n 0) x (+ 1 (f (- n 1))))) (f {n})",
    "a loop": lambda n: f"(define (f n a) (if (= n 0) a (f (- n 1) (+ a x)))) (f {n} 0)",
    "fold": lambda n: f"(fold (lambda (v k) (sin (+ v k))) x (range {n}))",
    "map": lambda n: f"(map (lambda (k) (* k x)) (range {n}))",
    "functions of functions": lambda n: f"(define (f0 x) x) {many(n, '(define (f# x) (f% x))')}",
    "definitions of definitions": lambda n: f"(define a0 x) {many(n, '(define a# (sin a%))')}",
    "parameters and definitions": lambda n: (
        f"(define a0 x) {many(n, '(param p# 1) (define a# (+ p# a%))')}"
    ),
    "columns and definitions": lambda n: (
        f"(define a0 x) {many(n, '(data p# [1 2]) (define a# (+ p# a%))')}"
    ),
    "values of parameters": lambda n: f"(params {many(n, 'p#')}) {many(n, '(val (+ 1 p#))')}",
    "one name, again and again": lambda n: f"(define a x) {'(define a (sin a))' * n}",
    "choices": lambda n: many(n, "(where (> x #)") + " 1" + " 2)" * n,
    "brackets": lambda n: f"[{many(n, 'x#')}]",
    "a gradient over rows": lambda n: (
        f"(data c [1 2]) (params {many(n, 'p#')}) (grad (mean (+ {many(n, '(sin (* c p#))')})))"
    ),
    "training by NumPy": lambda n: (
        f"(params {many(n, 'p#')}) "
        f"(train (+ {many(n, '(** (- p# 1) 2)')}) :steps 2 :lr 0.1 :backend numpy)"
    ),
}


def of(text: Callable[[int], str], work: Callable[[str], object]) -> Make:
    def make(n: int) -> Work:
        written = text(n)
        return lambda: work(written)

    return make


def _run(text: str) -> object:
    session = Session(write=lambda line: None)
    return session.text(session.run(text))


def _highlighted(text: str) -> object:
    return list(NablispLexer().get_tokens(text))


# ---- files ---------------------------------------------------------------------------------------


def _folder() -> str:
    """A folder that is gone when the process ends."""
    folder = mkdtemp()
    atexit.register(rmtree, folder, ignore_errors=True)
    return folder


def _csv(columns: Callable[[int], int]) -> Make:
    def make(n: int) -> Work:
        folder, wide = _folder(), columns(n)
        row = ",".join(f"{i}.25" for i in range(wide)) + "\n"
        head = ",".join(f"c{i}" for i in range(wide)) + "\n"
        (Path(folder) / "a.csv").write_text(head + row * (n // wide))
        return lambda: Session(root=folder).run('(data "a.csv")')

    return make


def _saved(program: str, load: bool) -> Make:
    def make(n: int) -> Work:
        folder = _folder()
        session = Session(root=folder)
        session.run(PROGRAMS[program](n))
        session.run('(save "a.gd")')
        if load:
            return lambda: Session(root=folder).run('(load "a.gd")')
        return lambda: session.run('(save "a.gd")')

    return make


def _checkpoint(n: int) -> Work:
    arrays = {f"p{i}": [float(i)] for i in range(n)}
    return lambda: packed({"a": "b"}, arrays)


# ---- the table -----------------------------------------------------------------------------------

ROWS: dict[str, tuple[int, Make]] = {
    **{f"reading {name}": (2000, of(text, read)) for name, text in TEXTS.items()},
    **{f"running {name}": (150, of(text, _run)) for name, text in PROGRAMS.items()},
    **{
        f"{name} {what}": (300, of(text, work))
        for name, work in (("checking", problems), ("laying out", formatted))
        for what, text in [*TEXTS.items(), *PROGRAMS.items()]
        if what in ("brackets inside each other", "many forms", "let inside let", "choices")
    },
    "highlighting": (300, of(TEXTS["many forms"], _highlighted)),
    **{
        f"{name} of {formula}": (size, on(formula, work))
        for name, size, work in (
            ("the tidy derivative", 110, lambda e: derivative(e, X)),
            ("the derivative", 1200, lambda e: derivative(e, X)),
            ("the gradient", 1000, lambda e: gradient(e, list(names(e)))),
            ("tidying", 500, simplify),
            ("the text", 800, str),
        )
        for formula in FORMULAS
    },
    **{
        f"{name} of {formula}": (size, on(formula, work))
        for name, size, work in (
            ("LaTeX", 300, lambda e: export(e, "latex")),
            ("MathML", 300, lambda e: export(e, "mathml")),
            ("C", 300, lambda e: export(e, "c", grad=True)),
            ("Python", 300, lambda e: export(e, "python", grad=True)),
            ("the value", 2000, _values),
            ("NumPy", 500, _numpy),
            ("the identity", 500, lambda e: identity([e])),
        )
        for formula in ("a polynomial", "parameters", "squarings")
    },
    **{f"machine code of {f}": (150, on(f, _native)) for f in ("a polynomial", "parameters")},
    "a long file": (20_000, _csv(lambda n: 4)),
    "a wide file": (4000, _csv(lambda n: n // 4)),
    **{
        f"{'loading' if load else 'saving'} {program}": (200, _saved(program, load))
        for load in (False, True)
        for program in ("functions of functions", "values of parameters")
    },
    "a checkpoint": (500, _checkpoint),
}


def seconds(work: Work) -> float:
    """Time of the processor in this thread; nothing is collected meanwhile."""
    gc.disable()
    try:
        start = thread_time()
        work()
        return thread_time() - start
    finally:
        gc.enable()


def ratio(make: Make, n: int, times: int, enough: float, rounds: int) -> float:
    """How much longer an input `times` as large takes.

    The least times of rounds in turn: whatever else the machine does only adds to them. Rounds end
    once the ratio is no more than `enough`.
    """
    gc.collect()
    small, large = make(n), make(times * n)
    least = [float("inf"), float("inf")]
    for done in range(rounds):
        least = [min(best, seconds(w)) for best, w in zip(least, (small, large), strict=True)]
        if done and least[1] <= enough * least[0]:
            break
    return least[1] / least[0]
