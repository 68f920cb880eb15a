"""Gradients of random programs against differences in many digits of a second interpreter.

A program is a text: parameters, columns, functions, `let`, loops, choices, a loss over rows. The
judge knows nothing of formulas: it goes through the forms of the text and computes with mpmath, and
its differences along a random direction are right to 20 digits and more.

NABLISP_EXAMPLES sets how many programs are tried: NABLISP_EXAMPLES=10000 is the long run.
"""

from __future__ import annotations

import math
import os
import random
import re
from collections import Counter
from collections.abc import Callable, Sequence
from importlib.resources import files
from typing import Any

import mpmath
import numpy as np
import pytest
from mpmath import mp, mpf
from test_ops import NUMERIC, oracle

from nablisp import NablispError, Session, gradient, read
from nablisp.accurate import accurate
from nablisp.evaluate import evaluate
from nablisp.expr import OPS, Expr, Op, as_expr, call, names
from nablisp.forms import Array, Form, Keyword, List, Number, Symbol

EXAMPLES = int(os.environ.get("NABLISP_EXAMPLES", "100"))
SEED = os.environ.get("NABLISP_SEED", "")
ROWS = 5
"""Rows of every column; no other axis is that long."""

# ---- a second interpreter ------------------------------------------------------------------------


def real(f: Callable[..., Any]) -> Callable[..., Any]:
    """A function of mpmath, nan where it has no real value."""

    def found(*given: Any) -> Any:
        try:
            out = f(*given)
        except (ZeroDivisionError, ValueError):
            return mpf("nan")
        return mpf("nan") if isinstance(out, mpmath.mpc) else out

    return found


def each(f: Callable[..., Any], *args: Any) -> Any:
    """Elementwise, over arrays of objects."""
    return np.frompyfunc(real(f), len(args), 1)(*args)


def contracted(a: Any, b: Any) -> Any:
    return np.matmul(np.asarray(a, object), np.asarray(b, object))


def log_of_sum(x: Any, axis: Any = None, keep: bool = False) -> Any:
    return each(mpmath.log, np.sum(each(mpmath.exp, x), axis=axis, keepdims=keep))


def picked(x: Any, index: Any) -> Any:
    at = np.asarray(index).astype(int)
    if np.ndim(x) == 1:
        return np.asarray(x)[at]
    return np.array([row[i] for row, i in zip(x, at, strict=True)], object)


def solved(a: Any, b: Any) -> Any:
    found = mp.lu_solve(mp.matrix(np.asarray(a).tolist()), mp.matrix(np.asarray(b).tolist()))
    return np.array([found[i] for i in range(len(found))], object)


def reduction(f: Any) -> Callable[..., Any]:
    return lambda x, axis=None, keep=False: f(np.asarray(x, object), axis=axis, keepdims=keep)


OF_ARRAYS: dict[str, Callable[..., Any]] = {
    "sum": reduction(np.sum),
    "mean": reduction(np.mean),
    "amin": reduction(np.min),
    "amax": reduction(np.max),
    "argmax": lambda x, axis=None, keep=False: np.argmax(x, axis=axis, keepdims=keep),
    "logsumexp": log_of_sum,
    "rows": lambda: mpf(ROWS),
    "dot": lambda a, b: np.sum(np.asarray(a * b, object), axis=-1),
    "@": contracted,
    "transpose": np.transpose,
    "solve": solved,
    "ref": lambda x, *index: np.asarray(x, object)[tuple(int(i) for i in index)],
    "slice": lambda x, axis=0, start=0, stop=None: np.moveaxis(
        np.moveaxis(x, axis, 0)[start:stop], 0, axis
    ),
    "pad": lambda x, axis=0, before=0, after=0: np.moveaxis(
        np.array([*[0 * x[0]] * before, *np.moveaxis(x, axis, 0), *[0 * x[0]] * after], object),
        0,
        axis,
    ),
    "pick": picked,
    "one-hot": lambda k, n: np.array([[mpf(i == j) for j in range(int(n))] for i in k], object),
    "expand": lambda x, axis: np.expand_dims(x, int(axis)),
    "fill": lambda x, like: np.broadcast_to(x, np.broadcast_shapes(np.shape(x), np.shape(like))),
    "stack": lambda *parts, axis=0: np.stack(np.broadcast_arrays(*parts), axis=axis),
    "concat": lambda *parts, axis=0: np.concatenate(parts, axis=axis),
}


class TieError(Exception):
    """Two sides that rounding alone may tell apart meet in a choice."""


STEPS = frozenset(("<", "<=", ">", ">=", "=", "!=", "min", "max"))


def near(x: Any, y: Any) -> Any:
    return np.frompyfunc(lambda x, y: abs(x - y) <= 1e-12 * (abs(x) + abs(y)), 2, 1)(x, y)


def operation(name: str, args: Sequence[Any], options: dict[str, Any]) -> Any:
    """An operation of the language on numbers and arrays of many digits."""
    if name in OF_ARRAYS:
        return OF_ARRAYS[name](*args, **options)
    if name == "-" and len(args) == 1:
        return -args[0]
    if name in ("-", "/", "+", "*", "min", "max", "and", "or") and len(args) > 2:
        return operation(name, [operation(name, args[:-1], {}), args[-1]], {})
    if name in STEPS and len(args) == 2 and np.any(near(*args)):
        raise TieError
    f = oracle(OPS[name])
    assert f is not None
    return args[0] if len(args) == 1 and name in "+*" else each(f, *args)


Scope = dict[str, Any]


def meant(form: Form, scope: Scope) -> Any:
    """The value of a form."""
    match form:
        case Number(value):
            return mpf(value)
        case Symbol("pi"):
            return mpf(np.pi)
        case Symbol(name) if name in scope:
            return scope[name]
        case Symbol(name):
            return lambda *args: operation(name, args, {})
        case Array(items):
            parts = [meant(item, scope) for item in items]
            last = any(np.shape(part)[:1] == (ROWS,) for part in parts)
            return np.stack(np.broadcast_arrays(*parts), axis=-1 if last else 0)
        case List((Symbol("lambda"), List(names), body)):
            return function(names, [body], scope)
        case List((Symbol("define"), List((Symbol(name), *names)), *bodies)):
            scope[name] = function(names, bodies, scope)
            return None
        case List((Symbol("define"), Symbol(name), body)):
            scope[name] = meant(body, scope)
            return None
        case List((Symbol("let"), List(pairs), body)):
            inner = dict(scope)
            for pair in pairs:
                assert isinstance(pair, List) and isinstance(pair.items[0], Symbol)
                inner[pair.items[0].name] = meant(pair.items[1], inner)
            return meant(body, inner)
        case List((head, *rest)):
            return applied(head, rest, scope)
    raise AssertionError(form)


def function(names: Sequence[Form], bodies: Sequence[Form], scope: Scope) -> Callable[..., Any]:
    """A function of arguments, which sees what is around it when it is called."""
    own = [name.name for name in names if isinstance(name, Symbol)]

    def found(*given: Any) -> Any:
        inner = {**scope, **dict(zip(own, given, strict=True))}
        return [meant(body, inner) for body in bodies][-1]

    return found


def applied(head: Form, rest: Sequence[Form], scope: Scope) -> Any:
    args: list[Any] = []
    options: dict[str, Any] = {}
    it = iter(rest)
    for form in it:
        if isinstance(form, Keyword):
            value = next(it)
            options[form.name] = int(value.value) if isinstance(value, Number) else True
        else:
            args.append(meant(form, scope))
    match head:
        case Symbol("fold"):
            f, out, items = args
            for item in items:
                out = f(out, item)
            return out
        case Symbol("repeat"):
            count, f, out = args
            for _ in range(int(count)):
                out = f(out)
            return out
        case Symbol("map"):
            return np.array([args[0](item) for item in args[1]], object)
        case Symbol("range"):
            return np.array([mpf(i) for i in range(int(args[0]))], object)
        case Symbol(name) if name not in scope:
            return operation(name, args, options)
    return meant(head, scope)(*args)


def run(forms: Sequence[Form], scope: Scope) -> Any:
    return [meant(form, scope) for form in forms][-1]


PRELUDE: Scope = {}
run(read(files("nablisp").joinpath("prelude.gd").read_text(encoding="utf-8")), PRELUDE)


# ---- random programs -----------------------------------------------------------------------------

SMOOTH = [op for op in NUMERIC if op.name not in ("polygamma", "+", "*", "-", "neg", "/")]
PARAMETERS = {"a": (), "b": (), "c": (), "v": (3,), "A": (3, 3)}
COLUMNS = {"x": (ROWS,), "y": (ROWS,), "X": (ROWS, 3)}


LOOPS = [
    "(let ((h <same>) (k (* h 0.5))) <kept>)",
    "(fold (lambda (s i) (+ s (* (sin (* i 0.7)) <same>))) <same> (range 3))",
    "(repeat 2 (lambda (s) (tanh (* <number> s))) <same>)",
]
OF_KIND = {
    "number": [
        *(f"({name} (tanh <{kind}>))" for kind in ("row", "vector")
          for name in ("sum", "mean", "amin", "amax", "logsumexp", "norm", "variance")),
        "(dot <vector> v)",
        "(ref <vector> 1)",
        "(fold + <number> (map sin <vector>))",
        "(sum (* <vector> (fill <number> v)))",
    ],
    "row": [
        "(dot <vector> X)",
        "(@ X <vector>)",
        "(sum (* X <vector>) :axis 1)",
        "(amax (* X <vector>) :axis 1)",
        "(logsumexp (+ X <vector>) :axis -1)",
        "(pick (* X <vector>) k)",
        "(- <row> (mean <row>))",
        "(pick <vector> k)",
        "(dot (one-hot k 3) <vector>)",
    ],
    "vector": [
        "(@ A <vector>)",
        "[<number> <number> <number>]",
        "(mean (* X (expand (+ x <row>) 1)) :axis 0)",
        "(softmax <vector>)",
        "(solve (+ (* 0.1 A) [[2 0 0] [0 2 0] [0 0 2]]) v)",
        "(map (lambda (s) (* s <number>)) <vector>)",
        "(slice (concat v <vector>) :start 2 :stop 5)",
        "(slice (pad <vector> :before 1 :after 1) :start 0 :stop 3)",
        "(transpose (ref A 1))",
        "(sum (* A (expand <vector> 1)) :axis 0)",
        "(amin (stack v <vector>) :axis 0)",
    ],
}  # fmt: skip


class Writer:
    """Writes expressions of a kind: a number, one number a row, a vector of three."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.functions: list[tuple[str, int]] = []

    def inside(self, text: str, low: float, high: float) -> str:
        """The same, kept within an interval."""
        return f"(+ {low} (* {high - low:g} (sigmoid {text})))"

    def elementwise(self, parts: Callable[[], str]) -> str:
        rng = self.rng
        way = rng.random()
        if way < 0.4:
            name = rng.choice(("+", "-", "*", "+", "*"))
            return f"({name} {' '.join(parts() for _ in range(rng.randint(2, 3)))})"
        if way < 0.5:
            return f"(where ({rng.choice('<>')} {parts()} {parts()}) {parts()} {parts()})"
        if way < 0.65 and self.functions:
            name, count = rng.choice(self.functions)
            return f"({name} {' '.join(parts() for _ in range(count))})"
        op: Op = rng.choice(SMOOTH)
        count = op.arity[1] or 2
        ends = op.domain or [(-3, 3)] * count
        return f"({op.name} {' '.join(self.inside(parts(), *ends[k]) for k in range(count))})"

    def leaf(self, names: Sequence[str]) -> str:
        rng = self.rng
        return rng.choice(names) if rng.random() < 0.8 else f"{rng.uniform(-2, 2):.3g}"

    def expression(self, kind: str, depth: int, own: Sequence[str] = ()) -> str:
        """A text; `own` are arguments that stand for any kind."""
        rng, deeper = self.rng, depth - 1
        same = lambda: self.expression(kind, deeper, own)  # noqa: E731
        if depth == 0:
            if kind == "vector":
                return rng.choice(["v", "(ref A 0)", *own, *own])
            return self.leaf([*(["x", "x", "y"] if kind == "row" else []), "a", "b", "c", *own])
        if own or rng.random() < 0.55:
            made = self.elementwise(same)
            return f"(+ v {made})" if kind == "vector" else made  # a function may be constant
        texts = LOOPS if kind != "vector" else [f"(* v {text})" for text in LOOPS]
        text = rng.choice([*texts, *OF_KIND[kind] * 2])
        names = {"same": kind, "kept": kind, "number": "number", "row": "row", "vector": "vector"}

        def part(found: re.Match[str]) -> str:
            inner = ["h", "k"] if found[1] == "kept" else []
            return self.expression(names[found[1]], deeper, inner)

        return re.sub(r"<(\w+)>", part, text)

    def declarations(self) -> list[str]:
        rng = self.rng

        def value(shape: Sequence[int]) -> str:
            if not shape:
                return f"{rng.uniform(-1.5, 1.5):.4g}"
            return f"[{' '.join(value(shape[1:]) for _ in range(shape[0]))}]"

        lines = [f"(param {n} {value(s)})" for n, s in PARAMETERS.items()]
        lines += [f"(data {n} {value(s)})" for n, s in COLUMNS.items()]
        return [*lines, f"(data k [{' '.join(str(rng.randrange(3)) for _ in range(ROWS))}])"]

    def program(self) -> str:
        rng, lines = self.rng, self.declarations()
        for name in rng.sample(["f", "g", "h2"], rng.randrange(3)):
            count = rng.randint(1, 2)
            body = self.expression("number", 2, ["s", "t"][:count])
            lines.append(f"(define ({name} {' '.join(['s', 't'][:count])}) {body})")
            self.functions.append((name, count))
        lines.append(f"(define model {self.expression('row', rng.randint(2, 4))})")
        lines.append(f"(define weight {self.expression('number', 2)})")
        loss = rng.choice(
            (
                "(mse model y)", "(mae model y)", "(huber model y 0.5)", "(sum (** (- model y) 2))",
                "(mean (* y (sin model)))", "(bce model (sigmoid y))", "(amax (- model y))",
                "(cross-entropy (+ X (expand (+ x model) 1) v) k)", "(variance (- model y))",
            )
        )  # fmt: skip
        lines.append(f"(define loss (+ {loss} (* 0.1 weight)))")
        return "\n".join(lines)


# ---- the judge -----------------------------------------------------------------------------------


def numbers(value: Any) -> Any:
    """A number or array in many digits."""
    return np.frompyfunc(mpf, 1, 1)(value) if np.ndim(value) else mpf(value)


def head_of(form: Form) -> str:
    match form:
        case List((Symbol(name), *_)):
            return name
    return ""


def curve(text: str, session: Session, along: dict[str, Any]) -> Callable[[Any], Any]:
    """The loss along a direction, by the second interpreter."""
    forms = [form for form in read(text) if head_of(form) == "define"]
    held = {n: numbers(p.value) for n, p in session.parameters.items()}
    held |= {n: numbers(c) for n, c in session.columns.items()}

    def at(step: Any) -> Any:
        scope = PRELUDE | {n: v + step * along[n] if n in along else v for n, v in held.items()}
        run(forms, scope)
        return scope["loss"]

    return at


class Program:
    """A program, a random direction, and the loss along it in many digits."""

    def __init__(self, text: str, rng: random.Random) -> None:
        self.text = text
        self.session = session = Session()
        session.run(self.text)
        self.loss = session.run("loss")
        self.by = [n for n in PARAMETERS if n in names(self.loss)]
        self.along = {n: np.array([rng.gauss(0, 1) for _ in range(math.prod(s))]).reshape(s)
                      for n, s in PARAMETERS.items()}  # fmt: skip
        self.env = {n: p.value for n, p in session.parameters.items()} | dict(session.columns)
        self.env["(rows)"] = float(ROWS)
        with mp.workdps(50):
            h = mpf(10) ** -16
            at = curve(self.text, session, self.along)
            try:
                below, self.value, above = at(-h), at(mpf(0)), at(h)
            except TieError:
                below = self.value = above = mpf("nan")
            self.slope = (above - below) / (2 * h)
            self.bend = (above - 2 * self.value + below) / h**2
            self.smooth = mpmath.isfinite(self.slope) and abs(self.bend) < 1e9

    @staticmethod
    def of_chance(seed: str) -> Program:
        rng = random.Random(seed)
        return Program(Writer(rng).program(), rng)

    def along_it(self, slopes: Sequence[Any]) -> tuple[float, float]:
        """Slopes by the parameters as one in the direction; and the size of its terms."""
        parts = [np.asarray(g * self.along[n]) for n, g in zip(self.by, slopes, strict=True)]
        return sum(float(np.sum(p)) for p in parts), sum(float(np.sum(np.abs(p))) for p in parts)

    def slopes(self) -> list[Expr]:
        return gradient(self.loss, self.by, self.session.shapes)

    def bends(self) -> list[Expr]:
        """The derivatives of the slope in the direction."""
        pairs = zip(self.by, self.slopes(), strict=True)
        terms = [call("sum", call("*", slope, as_expr(self.along[n]))) for n, slope in pairs]
        return gradient(call("+", *terms), self.by, self.session.shapes)

    def computed(self, roots: Sequence[Expr]) -> list[Any]:
        return evaluate(accurate(*roots), self.env)

    def trained(self, backend: str, size: float) -> list[Any]:
        """The slopes, of about this size, that a short step of training went down."""
        rate = 2.0 ** -round(10 + math.log2(1 + size))
        self.session.run(f"(train loss :steps 1 :lr {rate} :backend {backend})")
        now = {n: p.value for n, p in self.session.parameters.items()}
        self.session.run("(reset)")
        return [(np.asarray(self.env[n]) - now[n]) / rate for n in self.by]

    def wrong(self, what: str, found: float, truth: Any, allowed: float) -> list[str]:
        if abs(found - truth) <= allowed:
            return []
        return [f"{self.text}\n{what} {found!r}, in truth {mpmath.nstr(truth, 18)}"]


ROWS_OF_ARRAYS = {
    "sum": "(sum (* A v) :axis 1 :keep true)",
    "mean": "(mean (* X v) :axis -1)",
    "amin": "(amin A :axis 0)",
    "amax": "(amax (* X v))",
    "argmax": "(* a (argmax A :axis 1))",
    "logsumexp": "(logsumexp (* X v) :axis 1)",
    "rows": "(/ a (rows))",
    "dot": "(dot (* b v) X)",
    "@": "(@ A (@ A v))",
    "transpose": "(@ (transpose A) A)",
    "solve": "(solve (+ A [[3 0 0] [0 3 0] [0 0 3]]) (* v v))",
    "ref": "(* (ref A 1) (ref v 2))",
    "slice": "(slice A :axis 1 :start 1 :stop 3)",
    "pad": "(* (pad v :before 1 :after 1) 1.7)",
    "pick": "(pick (* X v) k)",
    "one-hot": "(* v (one-hot k 3))",
    "expand": "(* (expand v 1) v)",
    "fill": "(fill a A)",
    "stack": "(stack v (* b v) :axis 1)",
    "concat": "(concat (* v v) v)",
}
"""For each row of arrays a formula of the parameters above."""


@pytest.mark.parametrize("op", [op for op in OPS.values() if op.shape is not None], ids=repr)
def test_slope_and_bend_of_every_row_of_arrays(op: Op) -> None:
    """Elementwise rows have theirs in test_ops.py."""
    rng = random.Random(op.name)
    lines = Writer(rng).declarations()
    loss = f"(define loss (sum (sin (* 1.3 (+ {ROWS_OF_ARRAYS[op.name]} (* 0.1 a))))))"
    p = Program("\n".join([*lines, loss]), rng)
    assert p.smooth
    for order, slopes, truth in ((1, p.slopes(), p.slope), (2, p.bends(), p.bend)):
        found, size = p.along_it(p.computed(slopes))
        assert not p.wrong(f"derivative {order}", found, truth, 1e-13 * (1 + size))


def test_gradients_of_random_programs() -> None:
    counts: Counter[str] = Counter()
    wrong: list[str] = []
    for i in range(EXAMPLES):
        p = Program.of_chance(f"{SEED}{i}")
        counts["programs"] += 1
        if not p.by or not p.smooth:
            continue
        value, *slopes = p.computed([p.loss, *p.slopes()])
        slope, size = p.along_it(slopes)
        wrong += p.wrong("value", value, p.value, 1e-9 * (1 + abs(value)))
        wrong += p.wrong("slope", slope, p.slope, 1e-9 * (1 + size))
        counts["judged"] += 1
        if not i % 4:
            bend, terms = p.along_it(p.computed(p.bends()))
            wrong += p.wrong("second derivative", bend, p.bend, 1e-8 * (1 + terms))
            counts["second derivatives"] += 1
        for backend in ("numpy", "native") if not i % 10 else ():
            try:
                slope, _ = p.along_it(p.trained(backend, size))
            except NablispError as error:
                if error.kind != "unavailable":
                    raise
                continue
            wrong += p.wrong(f"{backend} train", slope, p.slope, 1e-9 * (1 + size))
            counts[backend] += 1
    print(dict(counts))
    assert not wrong, f"{len(wrong)} of {EXAMPLES} are wrong:\n" + "\n\n".join(wrong[:10])
    assert counts["judged"] > 0.8 * EXAMPLES
    assert counts["native"] or EXAMPLES < 100


@pytest.mark.skipif("NABLISP_EXAMPLES" not in os.environ, reason="slow: part of the long run")
@pytest.mark.filterwarnings("ignore")
def test_gradients_as_jax_has_them() -> None:
    """JAX differentiates the same formulas, as they stand, by itself."""
    jax = pytest.importorskip("jax")
    jax.config.update("jax_enable_x64", True)
    for i in range(max(EXAMPLES // 100, 2)):
        p = Program.of_chance(f"jax {SEED}{i}")
        if not p.by or "solve" in p.text:
            continue

        def loss(given: dict[str, Any], p: Program = p) -> Any:
            return evaluate([p.loss], {**p.env, **given}, jax.numpy)[0]

        theirs = jax.grad(loss)({n: jax.numpy.asarray(p.env[n], float) for n in p.by})
        slope, size = p.along_it(p.computed(p.slopes()))
        theirs_along, _ = p.along_it([np.asarray(theirs[n]) for n in p.by])
        assert not p.wrong("slope", slope, mpf(theirs_along), 1e-8 * (1 + size))
