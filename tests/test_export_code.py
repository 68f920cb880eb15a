"""Generated C and Python: compiled and run, they agree with our own evaluation."""

from __future__ import annotations

import ctypes
import itertools
import math
import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_random import PLACES, formulas, tried

from nablisp import Expr, Limits, NablispError, Session, export, gradient, params, val
from nablisp.expr import OPS, Call, Num, Op, Sym, names, postorder, substitute
from nablisp.notation import variables, written
from nablisp.notation.mangled import mangled
from nablisp.plan import POWERS
from nablisp.shapes import ShapeEnv

SPECIAL = (0.0, -0.0, 1.0, -1.0, 0.5, -0.3, 2.0, 3.0, -8.0, 1e-9, 1e9, -710.0, 710.0)
EDGES = (math.inf, -math.inf, math.nan)
HOSTILE = ["pow", "double", "main", "x-1", "x_1", "λ", "a.b", "_", "*/", "f", "rows", "gradient"]
BEYOND = [
    "*/ int x; /*", "/*", "//", "a\\\nb", "a\n#error", "a\r#error", "??/\n#error", "\\", '"""',
    "\u2028x", "\x0c#error", "\0", "%s%n", "{0.__class__}", "{x}", "_Pragma", "\\u000a", "'",
]  # fmt: skip
"""What no program can call anything, but a host can."""
MEANT = [
    "__class__", "__import__", "__builtins__", "import", "eval", "exec", "globals", "self", "None",
    "class", "def", "return", "str", "np", "t1", "t2", "nl_f_0", "v_x", "_nl_f_0", "formula",
    "system", "asm", "goto", "int", "size_t", "NAN", "INFINITY", "errno", "__FILE__", "__asm__",
    "I", "true_", "_Bool", "sizeof", "inline", "restrict", "i", "math_errhandling", "signgam",
]  # fmt: skip
"""Names of a program that mean something in C or Python."""

needs_compiler = pytest.mark.skipif(
    shutil.which("gcc") is None, reason="there is no C compiler here to try the generated C with"
)
FLAGS = ("-O2", "-std=c99", "-Wall", "-Werror", "-ffp-contract=off", "-shared", "-fPIC")


def built(folder: Path, texts: Sequence[str]) -> Any:
    """The functions of several texts as one library."""
    for i, text in enumerate(texts):
        (folder / f"part{i}.c").write_text(text, encoding="utf-8")
    sources = sorted(map(str, folder.glob("part*.c")))
    library = folder / "library.so"
    subprocess.run(["gcc", *FLAGS, *sources, "-o", library, "-lm"], check=True)
    return ctypes.CDLL(str(library))


def loaded(text: str, name: str = "formula") -> Callable[..., Any]:
    space: dict[str, Any] = {}
    exec(text, space)
    found: Callable[..., Any] = space[name]
    return found


def agree(found: Any, expected: Any, note: object = "") -> None:
    np.testing.assert_allclose(
        np.asarray(found, float), np.asarray(expected, float), rtol=1e-13, atol=1e-300,
        err_msg=str(note),
    )  # fmt: skip


def elementwise() -> list[tuple[Op, Expr]]:
    """Each elementwise row of names; truth values are asked for and shown as numbers."""
    made: list[tuple[Op, Expr]] = []
    for op in OPS.values():
        if op.shape is not None:
            continue
        args: tuple[Expr, ...] = tuple(Sym(n) for n in ("x", "y", "z")[: op.arity[0] or 2])
        if op.arity == (1, None):
            args = (Sym("x"), Sym("y"))
        if op.takes == "boolean":
            args = tuple(arg > 0 for arg in args)
        if op.takes == "choice":
            args = (Sym("x") > 0, Sym("y"), Sym("z"))
        node: Expr = Call(op, args)
        if op.result == "boolean":
            node = Call(OPS["where"], (node, Expr.__add__(Sym("x"), 1) * 0 + 1, Sym("x") * 0))
        made.append((op, node))
    return made


ROWS = elementwise()


def grid(op: Op, count: int) -> np.ndarray[Any, Any]:
    points = list(itertools.product(SPECIAL + EDGES, repeat=min(count, 2)))
    if count == 3:
        points = [(*p, q) for p in points for q in (0.5, math.nan)]
    if op.name == "polygamma":
        points = [p for p in points if 0 <= p[0] < 4]
    return np.array(points)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Any:
    texts = [export(node, "c", name=f"row_{i}") for i, (_, node) in enumerate(ROWS)]
    return built(tmp_path_factory.mktemp("rows"), texts)


@needs_compiler
@pytest.mark.parametrize("i", range(len(ROWS)), ids=[op.name for op, _ in ROWS])
def test_c_of_every_row(library: Any, i: int) -> None:
    op, node = ROWS[i]
    order = list(names(node))
    function = getattr(library, f"row_{i}")
    function.restype = ctypes.c_double
    function.argtypes = [ctypes.c_double] * len(order)
    points = grid(op, len(order))
    expected = [val(node, dict(zip(order, map(float, p), strict=True))) for p in points]
    agree([function(*p) for p in points], expected, op)


@pytest.mark.parametrize("i", range(len(ROWS)), ids=[op.name for op, _ in ROWS])
def test_python_of_every_row(i: int) -> None:
    op, node = ROWS[i]
    order = list(names(node))
    points = grid(op, len(order))
    columns = dict(zip(order, points.T, strict=True))
    function = loaded(export(node, "python"))
    agree(function(**{f"v_{n}": column for n, column in columns.items()}), val(node, columns), op)
    first = dict(zip(order, map(float, points[3]), strict=True))
    agree(function(**{f"v_{n}": v for n, v in first.items()}), val(node, first), op)


@pytest.mark.parametrize("exponent", [*POWERS, 0, -2, 1.5])
def test_python_of_powers_by_a_number(exponent: float) -> None:
    x = np.array([*SPECIAL, *EDGES])
    e = Sym("x") ** exponent
    found, wanted = loaded(export(e, "python"))(x), val(e, {"x": x})
    agree(np.broadcast_to(found, x.shape), wanted, exponent)
    assert (np.signbit(found) == np.signbit(wanted))[wanted == 0].all()


LOSSES = [
    "(mse (+ (* m x) b) (+ (* 2 x) 1))",
    "(mean (** (- (sigmoid (* m x)) (mean x)) 2))",
    "(+ (* b b) (sum (where (> x 0) (log (* m m x)) (/ b (- x 9)))))",
    "(mean (softplus (+ (dot [x (* x x)] w) b)))",
    "(- (amax (* m x)) (logsumexp w))",
    "(mean (- (sqrt (+ 1 (* 1e-9 m x))) 1))",
    "(sum (** (- (/ x (rows)) w2) 2))",
]


def session() -> Session:
    made = Session()
    made.run("(params (m 0.7) (b -1.3) (w2 2)) (param w [0.5 -0.25]) (data x [-2 3 0.5])")
    return made


def by_name(text: str) -> tuple[Session, Expr, list[Sym], list[Any]]:
    """A loss, what it is differentiated by, and its value and gradient."""
    s = session()
    e = s.run(text)
    by = [n for n in variables(e, list(s.parameters)) if n.name != "x"]
    slopes = [s.value(slope, {}) for slope in gradient(e, by, s.shapes)]
    return s, e, by, [s.value(e, {}), *slopes]


@needs_compiler
def test_c_of_losses(tmp_path: Path) -> None:
    made = [by_name(text) for text in LOSSES]
    library = built(
        tmp_path,
        [written(e, "c", by, s.shapes, f"loss_{i}") for i, (s, e, by, _) in enumerate(made)],
    )
    for i, (s, e, _by, (value, *slopes)) in enumerate(made):
        flat = np.concatenate([np.ravel(slope) for slope in slopes])
        out = np.zeros(len(flat))
        kept, given = [], []
        for name in names(e):
            held = s.parameters[name].value if name in s.parameters else [-2, 3, 0.5]
            array = np.array(held, float)
            kept.append(array)
            pointer = ctypes.c_void_p(array.ctypes.data)
            given.append(pointer if array.ndim else ctypes.c_double(float(array)))
        function = getattr(library, f"loss_{i}")
        function.restype = ctypes.c_double
        rows = [ctypes.c_size_t(3)]
        agree(function(*rows, *given, ctypes.c_void_p(out.ctypes.data)), value, LOSSES[i])
        agree(out, flat, LOSSES[i])


@pytest.mark.parametrize("text", LOSSES)
def test_python_of_losses(text: str) -> None:
    s, e, by, (value, *slopes) = by_name(text)
    function = loaded(written(e, "python", by, s.shapes))
    held = {n: s.parameters[n].value if n in s.parameters else [-2, 3, 0.5] for n in names(e)}
    found, made = function(*held.values())
    agree(found, value)
    for slope, expected in zip(made, slopes, strict=True):
        agree(slope, expected)


@needs_compiler
def test_no_name_breaks_out(tmp_path: Path) -> None:
    e: Expr = Sym("??/")
    for k, name in enumerate([*HOSTILE, *BEYOND, *MEANT], 2):
        e = e + k * Sym(name)
    text = export(e, "c", grad=True)
    order = list(names(e))
    function = built(tmp_path, [text]).formula
    function.restype = ctypes.c_double
    given = [float(k) for k in range(len(order))]
    out = (ctypes.c_double * len(order))()
    expected = val(e, dict(zip(order, given, strict=True)))
    assert function(*map(ctypes.c_double, given), out) == expected
    assert list(out) == list(range(1, len(order) + 1))
    found, slopes = loaded(export(e, "python", grad=True))(*given)
    assert (found, slopes) == (expected, list(range(1, len(order) + 1)))


@needs_compiler
@pytest.mark.parametrize("i", range(0, len(MEANT), 13))
def test_programs_whose_names_mean_something(tmp_path: Path, i: int) -> None:
    """Of definitions, arguments and operations with a derivative of their own."""
    lines, calls = [], []
    for k, name in enumerate(MEANT[i : i + 13], 1):
        lines.append(f"(define (own-{name} {name}) (* {k} (sin {name})))")
        lines.append(f"(define ({name} eval) (* {k} eval eval))")
        lines.append(f"(define-derivative ({name} self) (* {2 * k} self))")
        calls.append(f"({name} __dict__) (own-{name} __dict__)")
    e = Session().run(f"{' '.join(lines)} (+ {' '.join(calls)})")
    slope = gradient(e, ["__dict__"])[0]
    expected = val(e, {"__dict__": 0.5}), val(slope, {"__dict__": 0.5})
    library = built(
        tmp_path, [export(e, "c", name="own_value"), export(slope, "c", name="own_slope")]
    )
    for name, value in zip(("own_value", "own_slope"), expected, strict=True):
        function = library[name]
        function.restype = ctypes.c_double
        assert function(ctypes.c_double(0.5)) == pytest.approx(value, rel=1e-14)
    found, slopes = loaded(export(e, "python", grad=True))(0.5)
    assert (found, slopes[0]) == pytest.approx(expected, rel=1e-14)


def test_many_names_of_one_stem() -> None:
    order = [f"{a}{b}{c}{d}" for a, b, c, d in itertools.product("αβγδεζηθικ", repeat=4)]
    own = mangled(order, "v_")
    assert len(set(own.values())) == len(order)


def test_every_line_is_needed(tmp_path: Path) -> None:
    s = session()
    e = s.run("(mean (* (sin (- x (mean (exp x)))) m))")
    text = written(e, "c", ["m"], s.shapes)
    lines = re.findall(r"(?:double|int) (t\d+) = ", text)
    assert all(len(re.findall(rf"\b{name}\b", text)) > 1 for name in lines)


def test_what_is_too_large_is_refused_at_once() -> None:
    with pytest.raises(NablispError, match="more than 100,000 operations"):
        Session(Limits.untrusted()).run("(param A (zeros 4000 4000)) (export (sum (@ A A)) :to c)")


@pytest.mark.parametrize("to", ["c", "python", "latex", "mathml"])
def test_shared_parts_once(to: str) -> None:
    x = params("x")
    for _ in range(60):
        x = x * x
    assert len(export(x, to)) < 5000


def test_numbers_read_back() -> None:
    x = params("x")
    for number in (0.1, 1e-320, 1.7976931348623157e308, -3, math.inf):
        assert loaded(export(x * 0 + number, "python"))(1) == number
        assert "INFINITY" in export(x + number, "c") or repr(abs(float(number))) in export(
            x + number, "c"
        )


REFUSED: list[tuple[str, str, ShapeEnv]] = [
    ("(export x :to c)", "shape", {}),
    ("(export (sum (solve [[1 2] [3 4]] w)) :to c)", "unavailable", {}),
    ("(export m :to rust)", "value", {}),
    ('(export m :to "m.rs")', "value", {}),
    ("(export m :to c :name main)", "name", {}),
    ('(export m :to "m.c")', "file", {}),
]


@pytest.mark.parametrize(("text", "kind", "_"), REFUSED)
def test_refused(text: str, kind: str, _: ShapeEnv) -> None:
    with pytest.raises(NablispError) as caught:
        session().run(text)
    assert caught.value.kind == kind


def test_a_file_by_its_ending(tmp_path: Path) -> None:
    s = Session(root=tmp_path)
    s.run('(params m) (export (* m m) :to "m.py" :grad true)')
    value, slopes = loaded((tmp_path / "m.py").read_text(encoding="utf-8"))(3)
    assert (value, slopes) == (9, [6])
    assert s.run("(export (* m m) :to latex)").text == r"m \, m"


ARRAYS = [
    "(sum (* w (slice [m b 1 2] :start 1 :stop 3)))",
    "(sum (** (@ A w) 2))",
    "(sum (solve (@ A (transpose A)) w))",
    "(mean (pick (stack [m b] [b w2]) [1 0]))",
    "(mean (pick [m b] [1 0 1]))",
    "(+ (mean m :axis -1) (logsumexp m :axis 0))",
    "(sum (** (- (argmax A :axis 0)) (- (argmax A :axis 1))))",
    "(sum (* (ref (concat A A) 1) w))",
    "(sum (sum (amax (* A m) :axis 0 :keep true) :axis -1))",
]


@pytest.mark.parametrize("text", ARRAYS)
def test_python_of_arrays(text: str) -> None:
    s = session()
    s.run("(param A [[1 2] [3 -4]])")
    e = s.run(text)
    by = variables(e, list(s.parameters))
    expected = [s.value(e, {}), *(s.value(slope, {}) for slope in gradient(e, by, s.shapes))]
    function = loaded(written(e, "python", by, s.shapes))
    found, slopes = function(*[s.parameters[n].value for n in names(e)])
    for one, other in zip([found, *slopes], expected, strict=True):
        agree(one, other, text)


@pytest.mark.parametrize(
    "name",
    [
        "size_t",
        "v_x",
        "nl_x",
        "lgamma_r",
        "int",
        "a-b",
        "A_b",
        "x",
        "math_errhandling",
        "static_assert",
        "thread_local",
        "fmaximum_num",
    ],
)
def test_function_names(name: str) -> None:
    with pytest.raises(NablispError, match="cannot be called"):
        export(params("x"), "c", name=name)


def in_floats(e: Expr) -> Expr:
    """The integer 0 has no sign, and in C and NumPy a zero has one."""
    whole: dict[Expr, Expr] = {n: Num(float(n.value)) for n in postorder(e) if isinstance(n, Num)}
    return substitute([e], whole)[0]


@tried
@given(formulas().map(in_floats), PLACES)
def test_python_of_any_formula(e: Expr, place: tuple[float, float]) -> None:
    env = dict(zip("xy", place, strict=True))
    found = loaded(export(e, "python"))(*[env[n] for n in names(e)])
    np.testing.assert_allclose(float(found), float(val(e, env)), rtol=1e-9)


@needs_compiler
@settings(tried, max_examples=2)
@given(st.lists(formulas().map(in_floats), min_size=20, max_size=20))
def test_c_of_any_formula(tmp_path_factory: pytest.TempPathFactory, found: list[Expr]) -> None:
    texts = [export(e, "c", name=f"any_{i}") for i, e in enumerate(found)]
    library = built(tmp_path_factory.mktemp("any"), texts)
    for i, e in enumerate(found):
        function = getattr(library, f"any_{i}")
        function.restype = ctypes.c_double
        for place in ((0.7, -1.3), (2.0, 0.25), (math.inf, 0.0)):
            env = dict(zip("xy", place, strict=True))
            given_ = [ctypes.c_double(env[n]) for n in names(e)]
            np.testing.assert_allclose(function(*given_), float(val(e, env)), rtol=1e-9)
