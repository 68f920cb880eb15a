"""Machine code against NumPy: the same answers, the same bits on any number of threads."""

import os
import re
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import llvmlite.binding as llvm
import numpy as np
import pytest

import nablisp
from nablisp import NablispError, Session, backends, parse, train
from nablisp.backends import native, numpy
from nablisp.backends.native import emit, engine
from nablisp.backends.native.program import Writer
from nablisp.cli import main
from nablisp.derivative import gradient
from nablisp.expr import OPS, Call, Sym, as_expr
from nablisp.plan import plan
from nablisp.results import Work
from nablisp.shapes import ROWS
from nablisp.unroll import unroll

RNG = np.random.default_rng(7)
ROW_COUNTS = [0, 1, 7, 8, 9, 15, 16, 17, 1023, 1024, 1025, 16384, 16385, 65537]

SETUP = """
(params m b (w [0.1 -0.2 0.3]))
(define line (+ (* m x) b))
(define loss (mean (** (- line y) 2)))
(define wide (+ (mean (** (- (+ (dot w X) b) y) 2)) (* 0.01 (sum (* w w)))))
(define (score) (@ X (stack w (* 2 w) (- b w))))
(define classes (mean (- (logsumexp (score) :axis 1) (pick (score) k))))
(define spread (mean (** (- line (mean line)) 2)))
(define odd (+ (mean (where (> x 0.3) (max line y) (exp (* -1 (abs line))))) (amax (* m x))))
"""


def columns(rows: int) -> dict[str, Any]:
    """The same data for every test, whatever ran before it."""
    rng = np.random.default_rng(rows)
    x = rng.normal(size=rows)
    y = 2 * x + 1 + 0.1 * rng.normal(size=rows)
    return {"x": x, "y": y, "X": rng.normal(size=(rows, 3)), "k": np.arange(rows) % 3.0}


def run(form: str, data: dict[str, Any], backend: str, threads: int = 1) -> Any:
    session = Session(backend=backend, threads=threads)
    return session.run(f"{SETUP} {form}", data=data)


@pytest.mark.parametrize(
    "form",
    [
        "(train loss :steps 20)",
        "(train loss :by momentum :steps 20)",
        "(train loss :by nesterov :steps 20)",
        "(train loss :by adagrad :steps 20)",
        "(train loss :by rmsprop :steps 20)",
        "(train loss :by adam :steps 20)",
        "(train loss :by adamw :weight-decay 0.1 :steps 20)",
        "(train loss :weight-decay 0.1 :clip 0.3 :steps 20)",
        "(train loss :schedule (cosine 0.1 0.01) :steps 20)",
        "(train loss :schedule (step 0.1 0.5 3) :steps 20)",
        "(train loss :schedule (exponential 0.1 0.9) :steps 20)",
        "(train loss :schedule (warmup 0.1 5) :steps 20)",
        "(train loss :lr ((m 0.2) (b 0.05)) :steps 20)",
        "(train loss :batch 32 :epochs 3 :seed 5)",
        "(train loss :by adam :batch 33 :epochs 3 :holdout 0.2)",
        "(train loss :lr 0.1 :holdout 0.2 :patience 3 :steps 200)",
        "(train loss :batch 20 :epochs 60 :patience 3)",
        "(train loss :tol 1e-3 :steps 400)",
        "(train loss :until (< (mean (abs (- line y))) 0.3) :steps 400)",
        "(train loss :wrt m :steps 20)",
        "(param p 0.5 :min 0.2 :max 0.6) (train (+ loss (* p p) (- b)) :lr 0.3 :steps 20)",
        "(train loss :lr 3 :steps 400)",
        "(train wide :steps 20)",
        "(train wide :by adam :steps 20 :batch 50)",
        "(train classes :steps 20)",
        "(train spread :steps 20 :lr 0.01)",
        "(train odd :steps 5 :lr 0.01)",
        "(train (+ (** (- m 3) 2) (* b b)) :steps 20)",
    ],
)
def test_train_as_numpy_does(form: str) -> None:
    data = columns(101)
    ours, theirs = run(form, data, "native"), run(form, data, "numpy")
    assert ours.work.backend == "native"
    assert (ours.status, ours.steps) == (theirs.status, theirs.steps)
    for name, value in theirs.params.items():
        np.testing.assert_allclose(ours.params[name], value, rtol=1e-11, atol=1e-13)
    for name, values in theirs.history.items():
        np.testing.assert_allclose(ours.history[name], values, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("loss", ["loss", "wide", "classes", "spread", "odd"])
@pytest.mark.parametrize("rows", ROW_COUNTS)
def test_values_for_any_number_of_rows(loss: str, rows: int) -> None:
    session = Session()
    session.run(SETUP, data=columns(5))
    root = session.run(loss)
    shapes: Any = {"x": (ROWS,), "y": (ROWS,), "k": (ROWS,), "X": (ROWS, 3), "w": (3,)}
    slopes = gradient(root, [Sym("m"), Sym("b"), Sym("w")], shapes)
    data = columns(rows)
    names = ["m", "b", "w", *data]
    args = [0.3, -0.2, np.array([0.1, 0.5, -0.4]), *data.values()]
    found = native.compile([root, *slopes], names, shapes, 10**5, 1)(*args)
    truth = numpy.compile([root, *slopes], [*names, "(rows)"], shapes)(*args, float(rows))
    for ours, theirs in list(zip(found, truth, strict=True))[: None if rows else 1]:
        np.testing.assert_allclose(ours, theirs, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("rows", [7, 99_999, 100_000, 131_072, 250_001])
@pytest.mark.parametrize("form", ["(train loss :steps 3)", "(train spread :steps 2 :lr 0.01)"])
def test_same_bits_on_any_number_of_threads(form: str, rows: int) -> None:
    data = columns(rows)
    first, *others = [run(form, data, "native", threads) for threads in (1, 2, 3, 8)]
    for other in others:
        assert other.params == first.params and other.loss == first.loss
        for name in first.history:
            assert (other.history[name] == first.history[name]).all()


@pytest.mark.parametrize("backend", ["native", "numpy"])
@pytest.mark.parametrize("at", [0, 8, 1030, 2000])
@pytest.mark.parametrize(
    "text",
    [
        "(mean (** (- (+ (* m x) b) y) 2))",
        "(sum (relu (+ (* m x) b)))",
        "(mean (max (+ (* m x) b) y))",
        "(mean (min (+ (* m x) b) (* y b) 3))",
        "(sum (clip (+ (* m x) b) -1 1))",
        "(amax (+ (* m x) b))",
        "(mean (abs (+ (* m x) b)))",
        "(mean (sigmoid (+ (* m x) b)))",
        "(mean (+ (exp (* m x)) (log (+ 9 (tanh (+ x b))))))",
    ],
)
def test_a_nan_row_reaches_the_loss_and_every_slope(text: str, at: int, backend: str) -> None:
    data = {"x": RNG.normal(size=2001), "y": RNG.normal(size=2001)}
    data["x"][at] = np.nan
    shapes: Any = {"x": (ROWS,), "y": (ROWS,)}
    root = parse(text)
    outputs = [root, *gradient(root, [Sym("m"), Sym("b")], shapes)]
    module: Any = native if backend == "native" else numpy
    names, args = ["m", "b", "x", "y", "(rows)"], (0.5, 0.1, data["x"], data["y"], 2001.0)
    assert np.isnan(module.compile(outputs, names, shapes, 10**5, 1)(*args)).all()


def test_what_native_cannot_take_goes_to_numpy_and_says_why_when_asked() -> None:
    text = "(mean (mod (* m x) 2))"
    data = {"x": np.arange(5.0)}
    with pytest.raises(NablispError, match="native has no mod") as caught:
        train(parse(text), {"m": 1.0}, data=data, steps=3, backend="native")
    assert caught.value.kind == "unavailable" and "(mod (* m x) 2)" in caught.value.hint
    many = train(parse(text), {"m": 1.0}, data=data, steps=10**6, seconds=0.1, lr=1e-9)
    assert many.work is not None and many.work.backend == "numpy"


def test_the_choice_is_by_the_work_ahead() -> None:
    loss, data = parse("(mean (** (- (* m x) y) 2))"), columns(1000)
    few = train(loss, {"m": 0.0}, data=data, steps=20)
    many = train(loss, {"m": 0.0}, data=data, steps=100_000)
    assert few.work is not None and few.work.backend == "numpy"
    assert many.work is not None and many.work.backend == "native"


@pytest.mark.parametrize(
    "text",
    [
        "(- (* x x) (* y y))",
        "(+ (* x y) (- (* y x)))",
        "(- (** x 2) (** y 2))",
        "(sqrt (+ (* x x) (* y y) (* -2 x y)))",
        "(sqrt (- (+ (* x x) (* y y)) (* 2 x y)))",
        "(sqrt (- (* 2 x x) (+ (* x x) (* y y))))",
    ],
)
def test_what_cancels_in_numpy_cancels_here(text: str) -> None:
    x, shapes = RNG.normal(size=100) * 1e3, {"x": (ROWS,), "y": (ROWS,)}
    (found,) = native.compile([parse(text)], ["x", "y"], shapes, 10**5, 1)(x, x.copy())
    assert not found.any()


def test_programs_of_odd_shapes() -> None:
    """Inner products of numbers, sums of very many arrays, class numbers that are trained."""
    many = " ".join(f"(* w {i})" for i in range(70))
    for form in (
        "(train (mean (* x x (dot m m))) :steps 5 :lr 0.01)",
        f"(train (** (sum (+ {many})) 2) :steps 5 :lr 1e-9)",
    ):
        ours, theirs = (run(form, columns(9), backend) for backend in ("native", "numpy"))
        assert ours.loss == pytest.approx(theirs.loss, rel=1e-12)
    for call in ("(pick [1 2 3] m)", "(ref (one-hot m 3) 0)"):
        with pytest.raises(NablispError, match="class numbers from a column, and m is none"):
            run(f"(train (+ {call} (* b b)) :steps 3)", columns(9), "native")


def test_compiled_functions_are_the_same_for_few_and_many() -> None:
    for text in ("(> x 1)", "(+ a 1)", "(and (> x 0) (< x 1))", "(* x a)"):
        f = nablisp.compile(parse(text), ["a", "x"])
        few, many = f(2.0, np.ones(5)), f(2.0, np.ones(5000))
        assert few.dtype == many.dtype and many.shape == (5000,) and few[0] == many[-1]


def test_columns_as_they_are_among_outputs() -> None:
    """In a program of many columns, which are loaded twice."""
    texts = ["(* a X)", "(transpose X)", "y", "(sum (* x y))", "(sum (sin X))"]
    outputs, data = list(map(parse, texts)), columns(11)
    outputs.append(Call(OPS["expand"], (Sym("y"),), (("axis", 1),)))
    shapes: Any = {"x": (ROWS,), "y": (ROWS,), "X": (ROWS, 3)}
    order, args = ["a", "x", "y", "X"], [0.3, data["x"], data["y"], data["X"]]
    ours = native.compile(outputs, order, shapes, 10**5, 1)(*args)
    theirs = numpy.compile(outputs, order, shapes)(*args)
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-13)


def test_class_numbers_are_checked() -> None:
    data = columns(20)
    data["k"][3] = 7
    with pytest.raises(NablispError, match="class number 7"):
        run("(train classes :steps 3)", data, "native")


def test_compiled_functions_use_it_for_large_arrays() -> None:
    f = nablisp.compile(parse("(* a (exp (* k x)))"), ["a", "k", "x"])
    x = RNG.normal(size=(50, 60))
    np.testing.assert_allclose(f(2.0, 0.5, x), 2 * np.exp(0.5 * x), rtol=1e-15)
    np.testing.assert_allclose(f(x, 0.5, x), x * np.exp(0.5 * x), rtol=1e-15)
    np.testing.assert_allclose(f(2.0, 0.5, x.T), 2 * np.exp(0.5 * x.T), rtol=1e-15)
    np.testing.assert_allclose(f(2.0, x[0], x), 2 * np.exp(x[0] * x), rtol=1e-15)
    out = np.empty_like(x)
    assert f(2.0, 0.5, x, out=out) is out
    assert (out == f(2.0, 0.5, x)).all()
    line = RNG.normal(size=5000)
    shifted = line.copy()
    f(2.0, 0.5, shifted[:-1], out=shifted[1:])
    assert (shifted[1:] == f(2.0, 0.5, line[:-1])).all()
    with pytest.raises(NablispError, match="shape"):
        f(2.0, 0.5, x, out=np.empty(3))


def big(operations: int) -> Any:
    """A straight-line formula of x and m, that long, with a choice of kernels in it."""
    pool = [Sym("x"), Sym("m") * Sym("x")]
    for i in range(operations):
        a, b = pool[-1], pool[RNG.integers(len(pool) // 2, len(pool))]
        if i % 50 == 0:
            pool.append(Call(OPS["sin"], (a,)))
        else:
            pool.append(a + b * 0.5 if i % 3 else a * 0.7 - b / 3)
    return Call(OPS["mean"], (pool[-1] * 0.7,))


@pytest.mark.parametrize("operations", [60, 600, 6_000])
def test_long_programs(operations: int) -> None:
    """Written out whole, with kernels called, and unoptimised: the same values."""
    root, x = big(operations), RNG.normal(size=1003)
    shapes: Any = {"x": (ROWS,)}
    ours = native.compile([root], ["m", "x"], shapes, 10**6, 1)(0.3, x)
    theirs = numpy.compile([root], ["m", "x", "(rows)"], shapes)(0.3, x, 1003.0)
    np.testing.assert_allclose(ours, theirs, rtol=1e-9)


def test_a_program_that_is_too_long_goes_to_numpy_with_a_word_about_it() -> None:
    root = big(101_000)
    step = backends.Step({"m": Sym("m") + root})
    shapes: Any = {"x": (ROWS,), "m": ()}
    stepper = backends.iterate(step, ["x"], shapes, rows=100, steps=10**6)
    assert stepper.backend == "numpy"
    words = Work(stepper.backend, 1, stepper.seconds, 100, 1.0, stepper.why, "").words(1)
    assert words.startswith(
        "numpy (written out by element, this program has more than 100,000 operations): compiled"
    )
    with pytest.raises(NablispError, match="more than 100,000 operations"):
        backends.iterate(step, ["x"], shapes, rows=100, steps=1, backend="native")


def test_what_ran_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    text = "(params m) (data x [1 2 3]) (train (mse (* m x) x) :steps 30)"
    assert main(["--explain", "--backend", "native", "-e", text]) == 0
    told = capsys.readouterr().err
    assert "native: compiled in" in told and "30 steps of 3 rows in" in told
    assert "rows a second" in told
    assert main(["--explain", "-v", "--backend", "native", "-e", text]) == 0
    assert "define i64 @last" in capsys.readouterr().err
    assert main(["--explain", "-v", "--backend", "numpy", "-e", text]) == 0
    assert "= (** r" in capsys.readouterr().err
    assert main(["-e", text.replace("(train", "(time (train") + ")"]) == 0
    assert "numpy: compiled in" in capsys.readouterr().err


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("rows", [3, 300_000])
def test_an_interrupt_stops_machine_code_soon(rows: int, threads: int) -> None:
    data = columns(rows)
    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    found = run("(train loss :lr 1e-6 :seconds 60)", data, "native", threads)
    assert found.status == "interrupted" and found.seconds < 20
    assert found.history.steps[-1] == found.steps > 10


def test_records_hold_no_more_than_was_recorded() -> None:
    m = Sym("m")
    step = backends.Step({"m": m + 1}, {"end": Call(OPS[">="], (m, as_expr(9)))}, {"m": m})
    ran = native.iterate(step, (), {}, 100)({"m": 0.0}, {}, [(0, 1)], 100_000)
    assert (ran.steps, ran.stop) == (9, "end")
    assert ran.records["m"].base.nbytes == 8 * len(ran.records["m"]) == 80


def test_compiled_functions_are_safe_from_many_threads() -> None:
    f = nablisp.compile(parse("(* a (exp (sin x)))"), ["a", "x"])
    arrays = [RNG.normal(size=20_000) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda x: [f(2.0, x) for _ in range(20)][-1], arrays))
    for x, y in zip(arrays, found, strict=True):
        np.testing.assert_allclose(y, 2 * np.exp(np.sin(x)), rtol=1e-14)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded")
def test_a_forked_process_can_use_it_too() -> None:
    data = columns(200_000)
    before = run("(train loss :steps 5)", data, "native", 2)
    child = os.fork()
    if not child:
        os._exit(run("(train loss :steps 5)", data, "native", 2).params != before.params)
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.parametrize(
    ("triple", "cpu", "convention"),
    [
        ("aarch64-linux-gnu", "generic", "aarch64_vector_pcs"),
        ("x86_64-linux-gnu", "haswell", "intel_ocl_bicc"),
    ],
)
def test_other_processors_need_no_library(
    triple: str, cpu: str, convention: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is compiled for them calls nothing but itself: so it computes the same bits."""
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    monkeypatch.setattr(emit, "CONVENTION", convention)
    target = llvm.Target.from_triple(triple)
    for op in OPS.values():
        if (
            op.shape
            or not (op.native or op.means)
            or op.takes != "number"
            or op.name == "polygamma"
        ):
            continue
        count = op.arity[0] or 2
        root = Call(op, tuple(Sym(name) for name in "xyz"[:count]))
        if op.result == "boolean":
            root = Call(OPS["where"], (root, Sym("x"), Sym("y")))
        (cells,) = unroll([Call(OPS["sum"], (root,))], dict.fromkeys("xyz", (ROWS,)))
        text = Writer(plan(list(cells.flat), "xyz"), []).text
        module = llvm.parse_assembly(f"{text}\n{engine.ATTRIBUTES}")
        module.triple = triple
        machine = target.create_target_machine(cpu=cpu, opt=1, codemodel="small")
        code = machine.emit_assembly(module)
        called = re.findall(r"\n\t(?:bl|callq)\s+(\S+)", code)
        assert all(name.startswith("kernel.") for name in called), (op.name, called)
