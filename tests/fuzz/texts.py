"""Texts to try: turns random choices into programs, mutants of programs, noise and data files.

Programs come from a grammar that is one table, with the operations, forms, keywords, optimizers and
schedules of nablisp's own tables in it: what is added there is tried here. Every choice is made by
a `random.Random`, which may be one that hypothesis or atheris decides.
"""

from __future__ import annotations

import ast
import io
import random
import re
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import numpy as np

import nablisp.session  # noqa: F401  # its forms fill the tables
from nablisp.elaborate import FUNCTIONS, SPECIAL
from nablisp.expr import OPS
from nablisp.model import ROBUST
from nablisp.notation import LANGUAGES
from nablisp.optimizers import METHODS, OPTIMIZERS, SCHEDULES
from nablisp.options import RANGES
from nablisp.prelude import definitions

ROOT = Path(__file__).resolve().parents[2]

# ---- the grammar ---------------------------------------------------------------------------------

_ELEMENTWISE = [op for op in OPS.values() if op.shape is None and op.takes == "number"]
_OPTIONS = {row.name: row.keywords or () for row in (*SPECIAL.values(), *FUNCTIONS.values())}
_SETTINGS = sorted({name for row in OPTIMIZERS.values() for name in row.settings})


def _of(count: int) -> list[str]:
    return [op.name for op in _ELEMENTWISE if op.arity[0] <= count <= (op.arity[1] or count)]


def _generic() -> list[str]:
    """Every operation, function and form with arguments of any sort, and each of its keywords."""
    found = []
    for op in OPS.values():
        args = " <any>" * (op.arity[0] + len(op.trailing))
        found.append(f"({op.name}{args})")
        found += [f"({op.name}{args} :{key} <axis>)" for key in op.options]
    for row in (*SPECIAL.values(), *FUNCTIONS.values()):
        args = " <any>" * max(row.arity[0], 1)
        found.append(f"({row.name}{args})")
        found += [f"({row.name}{args} :{key} <any>)" for key in row.keywords or ("a", "x")]
    found += [f"({name}{' <any>' * len(f.parameters)})" for name, f in definitions().items()]
    return found


def _options(form: str) -> list[str]:
    """`:name value` for each keyword of a form, the value mostly one that fits."""
    return [f":{key} {_VALUES.get(key, '<number>')}" for key in _OPTIONS[form]]


_VALUES = {
    **dict.fromkeys(RANGES, "<small>"),
    "by": "<method>",
    "lr": "<rate>",
    "batch": "2",
    "seconds": "0.01",
    "schedule": "<schedule>",
    "wrt": "(<param> <param>)",
    "until": "<bool>",
    "backend": "<backend>",
    "watch": "true",
    "checkpoint": '"run.ckpt"',
    "resume": "true",
    "to": "<to>",
    "over": "(<name> <number> <number>)",
    "title": "<string>",
    "log": "true",
    "grad": "true",
    "name": "<name>",
    "from": "((a <number>) (t <number>))",
    "classes": "k",
    "missing": "drop",
    "sigma": "<col>",
    "weights": "<col>",
    "loss": "<robust>",
    "starts": "<small>",
    "fixed": "(<param>)",
    "level": "0.9",
    "raw": "true",
}

GRAMMAR: dict[str, Sequence[str]] = {
    "program": [
        "<names> <form>",
        "<names> <form> <form> <form>",
        "<names> <form> <form> <form> <form> <form>",
        "<form> <form>",
        "<generic> <generic>",
        "<names> <generic>",
    ],
    "names": [
        "",
        "(params <param> <param>) (data x [1 2])",
        "<declared> <defined>",
        "<declared> <defined>",
        "(params m b) (param v <vec>) (param W (normal 3 3)) (data x [1 2 3]) (data y (* 2 x)) "
        "(data k [0 1 2]) (data X [x y k])",
        "(params m b) (data x [1 2 3 4]) (data y [2 4 6.5 7]) <result>",
    ],
    "declared": [
        "(params m (b <number>) (v [<number> 0.5 -1.2]) (W [[1 0.5 0] [0.2 2 1] [<number> 1 3]])) "
        "(data x [-2 3 0.5 <number>]) (data y [1 2 <number> 4]) (data k [0 2 1 2]) "
        "(data X [[1 2 3] [4 5 7] [2 0 1] [1 1 <number>]])",
    ],
    "defined": ["(define e <num>)", "(define (f z) <num>) (define (g z w) <num>)", "<result>"],
    "result": [
        "(define r (train (mse (+ (* m x) b) y) :lr 0.01 :steps 3))",
        "(define r (fit y (+ (* m x) b)))",
        "(define r (minimize (mse (+ (* m x) b) y) :steps 3))",
    ],
    "form": [
        "<num>",
        "<col>",
        "<vec>",
        "<mat>",
        "<bool>",
        "<run>",
        "<bind>",
        "<bind>",
        "<tool>",
        "<num>",
        "<num>",
    ],
    "number": ["0", "1", "2", "3", "-1", "0.5", "-0.5", "1.5", "2.0", "-3", "10", "<special>"],
    "special": ["inf", "-inf", "nan", "pi", "1e308", "5e-324", "-0.0", "9007199254740993", "1e-9",
                "1e300", "-1e-300", "1e22", "123456789", "0.1", "true", "1e3"],
    "small": ["0", "1", "2", "3", "5", "0.5"],
    "rate": ["0.1", "0.01", "1e-3", "1e9", "auto", "((m 0.1) (b 0.01))", "<number>"],
    "axis": ["0", "1", "-1", "2", "-2", "true", "<number>"],
    "index": ["0", "1", "-1", "2", "3"],
    "name": ["x", "y", "a", "t", "m", "z", "v", "e", "f", "α", "σ²", "x'", "<odd>"],
    "odd": ["2x", "-x", "x-1", "a.b", "__", "...", "@", "=>", "d", "train", "mse", "rows", "**"],
    "param": ["m", "b", "v", "W"],
    "string": ['""', '"a"', r'"\n\t\"\\"', r'"\u{1f600}"', '"loss.c"', '"run.ckpt"', '"../a.gd"'],
    "bool": ["(> x 0)", "(<compare> <num> <num>)", "(<compare> <col> <num>)", "(not <bool>)",
             "(and <bool> <bool>)", "(or <bool> <bool>)", "true", "false", "(finite? <num>)"],
    "truth": ["true", "false", "(< 1 2)", "(> <number> <number>)", "(not <truth>)",
              "(and <truth> <truth>)", "(or <truth> <truth>)", '(= (kind <any>) "number")'],
    "compare": ["<", "<=", ">", ">=", "=", "!="],
    "op1": [*_of(1)],
    "op2": [*_of(2), *["+", "-", "*", "/", "**"] * 8],
    "op3": [*_of(3), "+", "*", "-"],
    "reduce": ["sum", "mean", "amin", "amax", "logsumexp", "argmax", "norm", "variance"],
    "num": ["<number>", "m", "b", "a", "t", "e", "(<op1> <num>)", "(<op1> <num>)",
            "(<op2> <num> <num>)", "(<op2> <num> <num>)", "(<op2> <num> <number>)",
            "(<op3> <num> <num> <num>)", "(where <bool> <num> <num>)", "(if <truth> <num> <num>)",
            "(<reduce> <col>)", "(<reduce> <vec>)", "(<reduce> <mat>)", "(dot <vec> <vec>)",
            "(ref <vec> <index>)", "(ref <mat> <index> <index>)", "(let ((z <num>)) <num>)",
            "(let ((z <num>) (w <num>)) (g z w))", "(f <num>)", "(g <num> <num>)", "<function>",
            "((lambda (z) <num>) <num>)", "(d <num> <name>)", "(d <num> <name> <name>)",
            "(d <num> <name> :raw true)", "((d f) <num>)", "(simplify <num>)", "<loss>", "<loss>",
            "(subst <num> :a <num>)", "(val <num> :a <number> :t <number>)", "(get r :loss)",
            "(fold + <num> <vec>)", "(fold (lambda (p c) (+ (* p <num>) c)) <num> <vec>)",
            "(repeat <small> (lambda (z) <num>) <num>)", "(repeat 40 (lambda (z) (* z z)) <num>)"],
    "col": ["x", "y", "(<op1> <col>)", "(<op2> <col> <col>)", "(<op2> <col> <num>)",
            "(<op2> <num> <col>)", "(where <bool> <col> <num>)", "(@ <rows> <vec>)",
            "(ref <rows> <index> :axis 1)", "(<reduce> <rows> :axis 1)", "(pick <rows> k)",
            "(fill <num> x)", "(+ (* m x) b)", "(f <col>)"],
    "vec": ["v", "[1 2 3]", "[<num> <num> <num>]", "(<op1> <vec>)", "(<op2> <vec> <num>)",
            "(<op2> <vec> <vec>)", "(@ <mat> <vec>)", "(solve <mat> <vec>)", "(softmax <vec>)",
            "(<reduce> <mat> :axis <axis>)", "(mean <rows> :axis 0)", "(range 3)", "(ones 3)",
            "(linspace <number> <number> 3)", "(map (lambda (z) <num>) <vec>)", "(reverse <vec>)",
            "(slice <vec> :axis 0 :start <index> :stop <index>)", "(grad <num> a t m)",
            "(pad <vec> :axis 0 :before <index> :after <index>)", "(concat <vec> <vec>)",
            "(uniform 3 :low <number> :high <number>)", "(he 3)", "(transpose <vec>)"],
    "mat": ["W", "[[1 2] [3 4]]", "(@ <mat> <mat>)", "(transpose <mat>)", "(<op1> <mat>)",
            "(<op2> <mat> <mat>)", "(@ (expand <vec> 1) (expand <vec> 0))", "(hessian <num> a t)",
            "(jacobian [<num> <num>] a t m)", "(stack <vec> <vec> <vec>)", "(normal 3 3)",
            "(glorot 3 3 :scale <number>)", "(one-hot <index> 3)", "(zeros 3 3)"],
    "rows": ["X", "[x y x]", "(@ <rows> <mat>)", "(<op1> <rows>)", "(<op2> <rows> <vec>)",
             "(expand <col> 1)", "(softmax <rows>)", "(standard <rows>)", "(one-hot k 3)"],
    "loss": ["(mse (+ (* m x) b) y)", "(mse <col> <col>)", "(mae <col> y)", "(mean <col>)",
             "(huber <col> y <number>)", "(bce <col> (where <bool> 1 0))", "(** (- m <number>) 2)",
             "(cross-entropy <rows> k)", "(+ (** m 2) (** (- b <num>) 4))", "(sum (** <vec> 2))",
             "(+ <loss> (* 0.01 (sum (** W 2))))", "(sin (* m <num>))"],
    "function": ["f", "g", "(lambda (z) <num>)", "(lambda (z w) <num>)", "(d f)", "sin", "+",
                 "mse", "train", "range"],
    "method": [*OPTIMIZERS, *METHODS, "sgd"],
    "robust": [*ROBUST],
    "backend": ["native", "numpy", "jax"],
    "schedule": [f"({name}{' <rate>' * text.count(' ')})" for name, (text, _) in SCHEDULES.items()],
    "setting": [f":{name} <small>" for name in _SETTINGS],
    "to": [*LANGUAGES, '"loss.c"', '"loss.tex"', '"a.gd"', "<any>"],
    "train-option": _options("train"),
    "fit-option": _options("fit"),
    "minimize-option": _options("minimize"),
    "plot-option": [":over (x <number> <number>)", ":over (a -1 1)", ":log true", ":title <any>"],
    "run": ["(train <loss> :lr <rate> :steps <small>)", "(train <loss> <train-option> :steps 3)",
            "(train <loss> :steps 4 <train-option> <train-option>)",
            "(train <loss> :by <method> :steps 3 :lr 0.01)", "(train <num> :steps 2)",
            "(train <loss> :by <method> <setting> :steps 2)", "(train <loss> :epochs 2 :batch 2)",
            "(fit y (+ (* m x) b))", "(fit y (* m (exp (* b x))))", "(fit <col> <col>)",
            "(fit y <col> <fit-option>)", "(fit [x y] [<col> <col>] <fit-option>)",
            "(minimize <num> :from ((a <number>) (t 1)) :steps 5)", "(minimize <loss> :steps 3)",
            "(minimize <num> <minimize-option> <minimize-option> :seconds 0.01)",
            "(advise <loss>)", "(advise <loss> :wrt (m))", "(predict r :x [1 2])", "(predict r)",
            "(confidence r)", "(plot r)", "(animate r)", "(plot <loss> r)", "(get r :history)",
            "(define r (train <loss> :steps 2 <train-option>))", "(report r)", "(check-grad <num>)",
            "(define r (fit y <col> <fit-option>))", "(time <num>)"],
    "bind": ["(define e <num>)", "(define (f z) <num>)", "(define (g z w) <num>)", "(reset)",
             "(define h <function>)", "(param <name> <number> :min <number> :max <number>)",
             "(param <name> <vec> :lr <number> :fixed true)", "(params <name> (<name> <vec>))",
             "(data <name> <col>)", "(data <name> <vec>)", "(data <name> [<number> <number>])",
             "(forget <name>)", "(define-derivative (f z) <num>)", "(define <name> <any>)",
             "(define-derivative (f z) (* 2 z))", "(define (<name> <name>) <num> <num>)"],
    "tool": ["(print <any> <any>)", "(kind <any>)", "(shape <any>)", "(help <name>)", "(env)",
             "(latex <num>)", "(export <num> :to <to> :grad true)", "(export <col> :to <to>)",
             "(export <loss> :to c :grad true :name <name>)", "(plot <num> <plot-option>)",
             "(plot <col> <col>)", "(assert <truth> <string>)", "(assert (= <num> <num>))",
             "(hessian <num> <name>)", "(grad <loss>)", "(jacobian [<num> <loss>])",
             '(load "a.gd")', '(save "a.gd")', '(data "points.csv")',
             '(data "points.csv" x y :missing drop)'],
    "any": ["<num>", "<col>", "<vec>", "<mat>", "<rows>", "<bool>", "<function>", "<string>",
            "<name>", ":a", "()", "[]", "(<any> <any>)", "[<any> <any>]", "<loss>", "<number>",
            "<form>", "(<name> <any>)"],
    "generic": _generic(),
}  # fmt: skip
"""By name, what it may be; `<name>` stands for any of these."""

HOLE = re.compile(r"<([a-z][a-z0-9-]*)>")
_CHOICES = [name for name in GRAMMAR if len(GRAMMAR[name]) > 5]


@cache
def _heights() -> dict[str, int]:
    """How deep each name of the grammar must nest at least."""
    heights = dict.fromkeys(GRAMMAR, 99)
    while True:
        new = {name: 1 + min(map(_height(heights), GRAMMAR[name])) for name in GRAMMAR}
        if new == heights:
            return new
        heights = new


def _height(heights: dict[str, int]) -> Callable[[str], int]:
    return lambda text: max((heights[hole] for hole in HOLE.findall(text)), default=0)


@cache
def _shallow(name: str) -> list[str]:
    """What a name may be where nothing may nest any deeper."""
    height = _height(_heights())
    least = min(map(height, GRAMMAR[name]))
    return [text for text in GRAMMAR[name] if height(text) == least]


def program(by: random.Random, start: str = "program", depth: int = 6) -> str:
    """A program of the grammar; one hole in thirty holds what does not belong there."""

    def filled(name: str, left: int) -> str:
        if left > 0 and by.random() < 0.03:
            name = by.choice(_CHOICES)
        text = by.choice(GRAMMAR[name] if left > 0 else _shallow(name))
        return HOLE.sub(lambda hole: filled(hole[1], left - 1), text)

    return filled(start, by.randint(2, depth))


class FromBytes(random.Random):
    """Choices that bytes make, for a fuzzer that knows bytes only; behind their end the first."""

    def __init__(self, data: bytes) -> None:
        super().__init__(0)
        self.rest = data

    def getrandbits(self, k: int, /) -> int:
        size = (k + 7) // 8
        part, self.rest = self.rest[:size], self.rest[size:]
        return int.from_bytes(part.ljust(size, b"\0")) >> (8 * size - k)

    def random(self) -> float:
        return self.getrandbits(16) / 2**16


# ---- noise ---------------------------------------------------------------------------------------

_SIGNS = '()[]()[]"";:\\ \n\t\r0123456789+-*/<>=!?_%&^~.@abcdefxyz'
_STRANGE = (
    "\ufeff\u200b\u202e\u2066\u0301\u0000\u001b\u007f\u0085\u00a0\u2028\ud800\udfff∇σ²×−√∞é"
    "\u1100\u1161ﬁ𝛼😀\U000e0100\U0010ffff{}'`,|#$"
)


def noise(by: random.Random) -> str:
    """Characters that mean something here, some that should not be there, or any bytes at all."""
    size = int(by.random() ** 2 * 120)
    if by.random() < 0.25:
        return by.randbytes(size).decode("utf-8", by.choice(("replace", "surrogateescape")))
    strange = by.choice((0.0, 0.02, 0.2))
    return "".join(by.choice(_STRANGE if by.random() < strange else _SIGNS) for _ in range(size))


def repeated(by: random.Random) -> str:
    """A token or three, again and again, and what ends the text: for what is not linear."""
    part = "".join(by.choices([*_words(), *_SIGNS, "(f ", "(let ((a 1)) ", ";\n", "a\u0301"], k=3))
    part = part[: by.choice((1, 2, len(part)))]
    text = part * (1 + int(by.random() ** 3 * 8000) // len(part))
    return text + by.choice(_SIGNS) * by.choice((0, 1, text.count("(")))


# ---- mutants -------------------------------------------------------------------------------------

_TOKEN = re.compile(r'\s+|;[^\n]*|"(?:[^"\\]|\\.)*"?|[()\[\]]|[^\s()\[\];"]+')


@cache
def corpus() -> list[str]:
    """Programs that people wrote: examples, the prelude, those in documents and tests."""
    paths = [*ROOT.glob("examples/*.gd"), *ROOT.glob("src/nablisp/*.gd")]
    found = [path.read_text("utf-8") for path in sorted(paths)]
    for path in (ROOT / "README.md", *sorted(ROOT.glob("docs/*.md"))):
        found += re.findall(r"```scheme\n(.*?)```", path.read_text("utf-8"), re.S)
    for path in sorted(ROOT.glob("tests/test_*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            match node:
                case ast.Constant(value=str(text)) if text.lstrip().startswith("("):
                    found.append(text)
    return [text for text in dict.fromkeys(found) if len(text) < 4000]


@cache
def _words() -> list[str]:
    """Tokens worth putting anywhere."""
    tokens = {token for text in corpus() for token in _TOKEN.findall(text)}
    short = sorted(t for t in tokens if t.strip() and len(t) < 20 and t[0] not in ';"')
    return [*short, *GRAMMAR["special"], *GRAMMAR["odd"], *GRAMMAR["string"]]


def mutant(by: random.Random) -> str:
    """A program of the corpus after a few changes of its tokens, lists or characters."""
    tokens = _TOKEN.findall(by.choice(corpus()))
    if by.random() < 0.15:
        tokens = _TOKEN.findall(program(by))
    for _ in range(by.randint(1, 4)):
        if tokens:
            tokens = by.choice(_CHANGES)(tokens, by)
    text = "".join(tokens)[:4000]
    return garbled(text, by) if by.random() < 0.3 else text


def garbled(text: str, by: random.Random) -> str:
    """A text with some of its characters gone, doubled or replaced."""
    for _ in range(by.randint(1, 3)):
        at, size = by.randint(0, len(text)), int(by.random() ** 4 * 20) + 1
        part = text[at : at + size]
        put = by.choice(("", part + part, part[::-1], by.choice(_STRANGE), by.choice(_SIGNS)))
        text = text[:at] + put + text[at + size * by.choice((0, 1)) :]
    return text[: by.randint(0, len(text))] if by.random() < 0.1 else text


Tokens = list[str]


def _atoms(tokens: Tokens) -> list[int]:
    return [i for i, token in enumerate(tokens) if token.strip() and token[0] not in ";()[]"]


def _list(tokens: Tokens, by: random.Random) -> tuple[int, int]:
    """Where one of the bracketed lists begins and ends; an empty place where there is none."""
    openers = [i for i, token in enumerate(tokens) if token in "(["]
    if not openers:
        return 0, 0
    start = end = by.choice(openers)
    depth = 0
    while end < len(tokens):
        depth += (tokens[end] in "([") - (tokens[end] in ")]")
        end += 1
        if depth == 0:
            break
    return start, end


def _replaced(tokens: Tokens, by: random.Random) -> Tokens:
    if atoms := _atoms(tokens):
        tokens[by.choice(atoms)] = by.choice(_words())
    return tokens


def _exchanged(tokens: Tokens, by: random.Random) -> Tokens:
    if len(atoms := _atoms(tokens)) > 1:
        i, j = by.sample(atoms, 2)
        tokens[i], tokens[j] = tokens[j], tokens[i]
    return tokens


def _dropped(tokens: Tokens, by: random.Random) -> Tokens:
    at = by.randrange(len(tokens))
    return tokens[:at] + tokens[at + 1 :]


def _doubled(tokens: Tokens, by: random.Random) -> Tokens:
    start, end = _list(tokens, by)
    return [*tokens[:end], " ", *tokens[start:end], *tokens[end:]]


def _without_list(tokens: Tokens, by: random.Random) -> Tokens:
    start, end = _list(tokens, by)
    return tokens[:start] + tokens[end:]


def _spliced(tokens: Tokens, by: random.Random) -> Tokens:
    """A list of another program in the place of one here."""
    other = _TOKEN.findall(by.choice(corpus()))
    a, b = _list(other, by)
    start, end = _list(tokens, by)
    return tokens[:start] + other[a:b] + tokens[end:]


def _grown(tokens: Tokens, by: random.Random) -> Tokens:
    """Something of the grammar in the place of a list, or around it."""
    start, end = _list(tokens, by)
    new = program(by, by.choice(("num", "form", "any", "generic")), 3)
    inside = "".join(tokens[start:end])
    for name in (" a", " x", " m"):
        if by.random() < 0.5 and name in new:
            new = new.replace(name, " " + inside, 1)
            break
    return tokens[:start] + _TOKEN.findall(new) + tokens[end:]


def _appended(tokens: Tokens, by: random.Random) -> Tokens:
    return [*tokens, "\n", *_TOKEN.findall(program(by, "form", 3))]


_CHANGES: list[Callable[[Tokens, random.Random], Tokens]] = [
    _replaced,
    _replaced,
    _replaced,
    _exchanged,
    _dropped,
    _doubled,
    _without_list,
    _spliced,
    _spliced,
    _grown,
    _appended,
]

# ---- data files ----------------------------------------------------------------------------------


@cache
def tables() -> list[tuple[str, bytes]]:
    """Names and bytes of data files that are in order."""
    import pyarrow as pa
    from pyarrow import feather, parquet

    columns = {"x": np.arange(4.0), "y": np.array([1.5, -2, 0, 7]), "k": np.arange(4) % 2}
    table = pa.table({**columns, "s": ["a", "b", None, "a"], "t": [True, False, True, None]})
    csv = 'x,y,k,s\n1,2.5,0,a\n-3,1e-3,1,b\n,NA,0,"a,""b"\n0x1, 4 ,inf,é\n'.encode()
    plain = b"x,y\n1,2\n3,4\n5,6.5\n"
    found = [("a.csv", csv), ("b.csv", plain), ("c.tsv", plain.replace(b",", b"\t"))]
    structured = np.array([(1, 2.0)], dtype=[("x", "i4"), ("y", "f8")])
    for name, value in (("d.npy", columns["x"]), ("e.npy", np.eye(3)), ("f.npy", structured)):
        file = io.BytesIO()
        np.save(file, value)
        found.append((name, file.getvalue()))
    for name, save in (("g.npz", np.savez), ("h.npz", np.savez_compressed)):
        file = io.BytesIO()
        save(file, **columns)  # type: ignore[arg-type]  # its first name is that of an option
        found.append((name, file.getvalue()))
    for kind in (table, table.select(["x", "y", "k"])):
        file = io.BytesIO()
        parquet.write_table(kind, file)
        found.append(("i.parquet", file.getvalue()))
        file = io.BytesIO()
        feather.write_feather(kind, file, compression="uncompressed")
        found.append(("j.feather", file.getvalue()))
        file = io.BytesIO()
        with pa.ipc.new_stream(file, kind.schema) as stream:
            stream.write_table(kind)
        found.append(("k.arrow", file.getvalue()))
    return found


def data_file(by: random.Random) -> tuple[str, bytes]:
    """The name and bytes of a data file after a few changes."""
    name, data = by.choice(tables())
    if by.random() < 0.1:
        name = by.choice(tables())[0]
    new = bytearray(data)
    for _ in range(by.choice((1, 1, 2, 5))):
        at = by.randint(0, len(new))
        match by.randint(0, 6):
            case 0 | 1 if at < len(new):
                new[at] ^= 1 << by.randint(0, 7)
            case 2 if at < len(new):
                new[at] = by.choice((0, 1, 127, 128, 255, *b',"\n\r\t;.-eE+naif'))
            case 3:
                new[at:at] = by.randbytes(by.randint(1, 8))
            case 4:
                del new[at : at + by.randint(1, 16)]
            case 5:
                new[at:at] = new[by.randint(0, len(new)) :][: by.randint(1, 40)]
            case 6 if by.random() < 0.3:
                del new[at:]
            case _:
                new[at : at + 8] = by.choice((b"\xff" * 8, b"\0" * 8, b"\xff\xff\xff\x7f\0\0\0\0"))
    return name, bytes(new)


KINDS: dict[str, Callable[[random.Random], str]] = {
    "bytes": noise,
    "programs": program,
    "mutated": mutant,
    "repeated": repeated,
}
"""The kinds of text."""
