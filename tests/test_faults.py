"""Faults in data and use: for each fault and each engine the result, or the error, in one table.

An expected text is a status, a value, or the kind of an error and words of it.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nablisp import (
    NablispError,
    Session,
    advise,
    draw,
    fit,
    minimize,
    params,
    parse,
    train,
    val,
)
from nablisp import compile as compiled

ENGINES = {
    "native": "(train loss :lr 0.01 :steps 20 :backend native)",
    "numpy": "(train loss :lr 0.01 :steps 20 :backend numpy)",
    "batches": "(train loss :lr 0.01 :steps 20 :batch 3 :backend native)",
    "numpy batches": "(train loss :lr 0.01 :steps 20 :batch 3 :backend numpy)",
    "holdout": "(train loss :lr 0.01 :steps 20 :holdout 0.25)",
    "auto": "(train loss :lr auto :steps 200)",
    "newton": "(train loss :by newton)",
    "lbfgs": "(train loss :by lbfgs)",
    "minimize": "(minimize loss)",
    "advise": "(advise loss)",
    "fit": "(fit y model)",
    "robust": "(fit y model :loss huber)",
    "plot": "(plot y model :over x)",
    "val": "(val loss)",
}
"""What is done with each fault."""

ROWS = "(data x [1 2 3 4]) (data y [7 8 6 7])"
LINE = "(params m b) (define model (+ (* m x) b)) "
TRAINED = ("native", "numpy", "batches", "numpy batches", "holdout")
STEPPED, SOUGHT = TRAINED[:4], ("newton", "lbfgs", "minimize")

FAULTS: dict[str, tuple[str, dict[str | tuple[str, ...], str]]] = {
    "one row": (
        LINE + "(data x [3]) (data y [7])",
        {
            STEPPED: "steps",
            "holdout": "value 0.25 of 1 row held out leaves 1 to train on, 0 to test",
            "auto": "steps",
            SOUGHT: "stalled flat along 0.333 m - b",
            "advise": "condition number infinite",
            ("fit", "robust"): "stalled 1 row cannot determine 2 parameters",
            ("plot", "val"): "",
        },
    ),
    "two rows": (
        LINE + "(data x [3 4]) (data y [7 8])",
        {
            STEPPED: "steps",
            "holdout": "value 0.25 of 2 rows held out leaves 2 to train on, 0 to test",
            "auto": "steps",
            SOUGHT: "converged",
            "advise": "condition number 727",
            ("fit", "robust"): "exact 0 degrees of freedom, so no standard errors",
            ("plot", "val"): "",
        },
    ),
    "more parameters than rows": (
        "(params m b c) (define model (+ (* m x) b (* c x x))) (data x [1 2]) (data y [7 8])",
        {
            STEPPED: "steps",
            "auto": "steps",
            SOUGHT: "stalled flat along",
            "advise": "flat along",
            ("fit", "robust"): "stalled 2 rows cannot determine 3 parameters",
            ("plot", "val"): "",
        },
    ),
    "a constant column": (
        LINE + "(data x [3 3 3 3]) (data y [7 8 6 7])",
        {
            (*TRAINED, "auto"): "steps",
            SOUGHT: "stalled flat along 0.333 m - b",
            "advise": "flat along 0.333 m - b",
            ("fit", "robust"): "stalled x is the same in all rows",
            ("plot", "val"): "",
        },
    ),
    "a column equal to another": (
        f"(params m b) {ROWS} (data z x) (define model (+ (* m x) (* b z)))",
        {
            (*TRAINED, "auto"): "steps",
            SOUGHT: "stalled flat along m - b",
            "advise": "flat along m - b",
            ("fit", "robust"): "stalled only the sum m + b is determined",
            ("plot", "val"): "",
        },
    ),
    "a cell that is nan": (
        LINE + "(data x [1 nan 3 4]) (data y [7 8 6 7])",
        {
            (*TRAINED, *SOUGHT): "diverged row 1: x became nan",
            ("auto", "advise"): "value are not finite here, row 1: x became nan",
            ("fit", "robust"): "data x is nan at row 1",
            ("plot", "val"): "",
        },
    ),
    "a cell that is inf": (
        LINE + "(data x [1 2 3 4]) (data y [7 inf 6 7])",
        {
            (*TRAINED, *SOUGHT): "diverged row 1: y became inf",
            ("auto", "advise"): "value are not finite here, row 1: y became inf",
            ("fit", "robust"): "data y is inf at row 1",
            ("plot", "val"): "",
        },
    ),
    "huge cells": (
        LINE + "(data x [1e300 2e300 3e300 4e300]) (data y [7 8 6 7])",
        {
            TRAINED: "diverged (* m x)",
            ("auto", "advise"): "value second derivatives of the loss are not finite here",
            SOUGHT: "stalled",
            ("fit", "robust"): "stalled give the columns units in which they are neither huge",
            ("plot", "val"): "",
        },
    ),
    "tiny cells": (
        LINE + "(data x [1e-300 2e-300 3e-300 4e-300]) (data y [7 8 6 7])",
        {
            (*TRAINED, "auto"): "steps",
            SOUGHT: "stalled flat along m",
            "advise": "flat along m",
            ("fit", "robust"): "converged",
            ("plot", "val"): "",
        },
    ),
    "no parameters": (
        f"{ROWS} (define model (+ (* 2 x) 1))",
        {
            (*TRAINED, "auto", *SOUGHT, "advise", "fit", "robust"): "value does not depend on any "
            "parameter: none is declared",
            ("plot", "val"): "",
        },
    ),
    "parameters that the loss does not hold": (
        f"(params m b) {ROWS} (define model (+ (* 2 x) 1))",
        {
            (*TRAINED, "auto", *SOUGHT, "advise"): "value the parameters are m, b; the loss holds",
            ("fit", "robust"): "value the parameters are m, b; the model holds x",
            ("plot", "val"): "",
        },
    ),
    "a parameter that is not used": (
        f"{LINE} (params c) {ROWS}",
        {
            (*TRAINED, "auto"): "steps",
            (*SOUGHT, "fit", "robust"): "converged",
            "advise": "condition number 55.78",
            ("plot", "val"): "",
        },
    ),
    "a parameter without effect": (
        f"(params m b) {ROWS} (define model (+ (* m x) (* 0 b)))",
        {
            (*TRAINED, "auto"): "steps",
            SOUGHT: "stalled flat along b",
            "advise": "flat along b",
            ("fit", "robust"): "stalled b has no effect on the fit",
            ("plot", "val"): "",
        },
    ),
    "all parameters fixed": (
        f"(param m 0 :fixed true) {ROWS} (define model (* m x))",
        {
            (*TRAINED, "auto", *SOUGHT, "advise"): "value in the loss are all held fixed: m",
            ("fit", "robust"): "value in the model are all held fixed: m",
            ("plot", "val"): "",
        },
    ),
    "a parameter at its bound": (
        f"(param m 0 :min 0) (params b) {ROWS} (define model (+ (* m x) b))",
        {
            (*TRAINED, "auto"): "steps",
            (*SOUGHT, "fit", "robust"): "converged bound",
            ("advise", "plot", "val"): "",
        },
    ),
    "equal bounds": (
        f"(param m 1 :min 1 :max 1) (params b) {ROWS} (define model (+ (* m x) b))",
        {
            (*TRAINED, "auto"): "steps",
            (*SOUGHT, "fit", "robust"): "converged bound",
            ("advise", "plot", "val"): "",
        },
    ),
    "a loss for each row": (
        f"{LINE} {ROWS} (define loss (** (- model y) 2))",
        {
            (*TRAINED, "auto", *SOUGHT, "advise"): "shape the loss has shape [rows]",
            "val": "",
        },
    ),
    "nan at the start": (
        f"(params m) {ROWS} (define model (log (- (* m x) 1)))",
        {
            (*STEPPED, *SOUGHT): "diverged (log (- (* m x) 1)) became nan",
            ("auto", "advise"): "value not finite here, row 0: (log (- (* m x) 1)) became nan",
            ("fit", "robust"): "converged",
            "val": "",
        },
    ),
    "inf at the start": (
        f"(params m) {ROWS} (define model (/ x m))",
        {
            (*STEPPED, *SOUGHT): "diverged (/ x m) became inf",
            ("auto", "advise"): "value not finite here, row 0: (/ x m) became inf",
            ("fit", "robust"): "converged",
            "val": "",
        },
    ),
    "a loss without columns": (
        "(params m) (define loss (** (- m 2) 2)) (define model m) (define y 1)",
        {
            ("native", "numpy", "auto"): "steps",
            ("batches", "numpy batches"): "value :batch needs columns",
            "holdout": "value :holdout needs columns",
            SOUGHT: "converged",
            "advise": "this is exact",
            ("fit", "robust"): "data there are no rows to fit",
            "plot": "value x is no column, so it needs a range",
            "val": "4",
        },
    ),
    "a flat loss": (
        "(params m) (define loss (* 0 m))",
        {
            ("native", "numpy"): "steps",
            "auto": "value does not curve up here",
            SOUGHT: "stalled flat along m",
            "advise": "does not curve here",
        },
    ),
    "a loss that falls without end": (
        "(params m) (define loss (* 2 m))",
        {
            ("native", "numpy"): "steps",
            "auto": "value does not curve up here",
            SOUGHT: "diverged falls without end",
            "advise": "does not curve here",
        },
    ),
    "a concave loss": (
        "(params m) (define loss (- (** (- m 1) 2)))",
        {
            ("native", "numpy"): "steps",
            "auto": "value does not curve up here",
            SOUGHT: "diverged",
            "advise": "curves down here",
        },
    ),
    "a loss that is a number": (
        "(params m) (define loss 3)",
        {
            (*STEPPED, *SOUGHT): "value the parameters are m; the loss holds no name",
            "advise": "type advise takes a loss",
            "val": "3",
        },
    ),
}

CELLS = [
    pytest.param(given, engine, expected, id=f"{fault}, {engine}")
    for fault, (given, cells) in FAULTS.items()
    for engines, expected in cells.items()
    for engine in ([engines] if isinstance(engines, str) else engines)
]


def came_to(text: str, given: str = "", **more: Any) -> tuple[str, Any]:
    """What a form shows, with its status; or an error, with its kind. No warning is let through."""
    session = Session(note=lambda line: None, **more)
    session.run(given)
    if "loss" not in session.definitions and "y" in session.columns:
        session.run("(define loss (mse model y))")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            value = session.run(text)
            shown = getattr(value, "text", None) or session.text(value)
            return f"{getattr(value, 'status', '')} {shown}", value
        except NablispError as error:
            assert error.span is not None
            assert error.span.text in text
            return f"{error.kind} {draw(error)}", None


def check(expected: str, shown: str) -> None:
    """The first word begins what is shown, the others are in it."""
    first, _, rest = expected.partition(" ")
    if first in ("steps", "stalled", "converged", "diverged", "exact", "time", "until", "patience"):
        assert shown.split(" ", 1)[0] == first, shown
        assert rest in shown, shown
    elif first in ("value", "data", "shape", "type", "keyword", "name", "syntax", "unbound-name"):
        assert shown.startswith(f"{first} error: "), shown
        assert rest in shown, shown
    else:
        assert expected in shown, shown


@pytest.mark.parametrize(("given", "engine", "expected"), CELLS)
def test_faults(given: str, engine: str, expected: str) -> None:
    check(expected, came_to(ENGINES[engine], given)[0])


@pytest.mark.parametrize("fault", FAULTS)
def test_the_backends_say_the_same(fault: str) -> None:
    given = FAULTS[fault][0]
    for native, numpy in (("native", "numpy"), ("batches", "numpy batches")):
        (shown, one), (also, other) = (came_to(ENGINES[e], given) for e in (native, numpy))
        assert shown.split(" ", 1)[0] == also.split(" ", 1)[0]
        if one is not None:
            assert one.remarks == other.remarks
            for name, found in one.params.items():
                assert found == pytest.approx(other.params[name], rel=1e-12)


def test_rates_where_a_direction_is_flat() -> None:
    """Twice 1 / λmax would turn the error round for ever."""
    for fault in ("one row", "a constant column", "a column equal to another"):
        run = came_to(ENGINES["auto"], FAULTS[fault][0])[1]
        best = came_to(ENGINES["newton"], FAULTS[fault][0])[1]
        assert run.loss == pytest.approx(best.loss, abs=1e-9)


OPTIONS = (
    (":steps 0", "steps 0 steps, loss 49.5 → 49.5"),
    (":epochs 0 :batch 2", "steps 0 steps"),
    (":seconds 0", "time 0 steps"),
    (":seconds inf :steps 2", "steps 2 steps"),
    (":patience 3", "patience"),
    (":tol 0 :steps 3", "steps"),
    (":tol inf", "value :tol must be a number from 0, not inf"),
    (":lr 0 :steps 3", "steps 3 steps, loss 49.5 → 49.5"),
    (":lr -1", "value :lr must be a number from 0, not -1"),
    (":lr nan", "value :lr must be a number from 0, not nan"),
    (":lr inf", "value :lr must be a number from 0, not inf"),
    (":lr 1e300", "diverged the largest stable learning rate for this loss is about 0.119"),
    (":batch 1 :steps 4", "steps 4 steps"),
    (":batch 100 :steps 4", "steps 4 steps"),
    (":batch 0", "value :batch must be a whole number from 1, not 0"),
    (":holdout 0.99", "value leaves 0 to train on, 4 to test"),
    (":holdout 0.01", "value leaves 4 to train on, 0 to test"),
    (":clip 1e-300 :steps 2", "steps"),
    (":schedule (cosine -1 0)", "value high, a number of cosine, must be a number from 0, not -1"),
    (":schedule (cosine nan 0)", "value high, a number of cosine, must be a number from 0"),
    (":schedule (step 0.1 0.5 0)", "value every, a number of step, must be a whole number from 1"),
    (":by adam :beta1 1", "value :beta1 must be from 0 to below 1, not 1"),
    (":by adam :eps -1", "value :eps must be a number from 0, not -1"),
    (":by nonsense", "value there is no optimizer called nonsense"),
    (":by adan", "value did you mean adam?"),
    (":backend nonsense", "value there is no backend called nonsense"),
    (":by newton :steps 0", "steps 0 steps"),
    (":by lbfgs :seconds 0", "time 0 steps"),
    (":by newton :tol 0", "converged"),
    (":until true", "until 0 steps"),
    (":until 3", "type :until must be a boolean or an expression"),
    (":wrt ()", "value all held fixed: m, b"),
)


@pytest.mark.parametrize(("options", "expected"), OPTIONS)
def test_options(options: str, expected: str) -> None:
    check(expected, came_to(f"(train loss {options})", LINE + ROWS)[0])


FORMS = (
    ("(data z [])", "data the column z has no rows"),
    ("(data z [true false true false])", "type make them numbers with where"),
    ("(fit y model :sigma 0)", "data not positive"),
    ("(fit y model :weights 0)", "stalled 0 rows cannot determine 2 parameters"),
    ("(fit y model :weights (- x 2))", "data a weight of y is negative"),
    ("(fit y model :starts 1e9)", "value a whole number from 0 to 1,000,000"),
    ("(fit y model :loss nonsense)", "value there is no robust loss called nonsense"),
    ("(fit y model :fixed (m b))", "value in the model are all held fixed: m, b"),
    ("(fit (/ 1 (- x 1)) model)", "data (/ 1 (- x 1)) is inf at row 0"),
    ("(minimize (* q q) :from ((q 1 :min 2)))", "value outside its bounds"),
    ("(minimize (* q q) :from ((q 1 :min 3 :max 2)))", "value the bounds of q are the wrong way"),
    ("(minimize (* q q) :from ((q nan)))", "value q cannot start at nan"),
    ("(minimize (* q q) :from ((q 1e300)))", "diverged (* q q) became inf"),
    ("(minimize (* q q) :from ((q 1 :min 1 :max 1)))", "converged held by bounds"),
    ("(plot [nan nan])", "value there is nothing to draw: no value is finite"),
    ("(plot (log q) :over (q -2 -1))", "value there is nothing to draw: no value is finite"),
    ("(plot (* 1e308 q) :over (q -4 4))", "picture of"),
    ("(plot q :over (q 1 1))", "value the range of q goes from 1 to 1"),
    ("(report)", "value there is nothing to report"),
)


@pytest.mark.parametrize(("form", "expected"), FORMS)
def test_forms(form: str, expected: str) -> None:
    check(expected, came_to(form, LINE + ROWS)[0])


FILES = (
    ("empty.csv", "", "data there is no header"),
    ("header.csv", "x,y\n", "data it has no rows"),
    ("names.csv", "1,2\n3,4\n", "data numbers, where a header with names is needed"),
    ("one.csv", "x,y\n1,2\n", "stalled 1 row cannot determine 2 parameters"),
    ("missing.csv", "x,y\n1,\n2,3\n", "data line 2, column y: the cell is empty"),
    ("text.csv", "x,y\n1,a\n2,b\n", 'data line 2, column y: "a" is not a number'),
    ("bool.csv", "x,y\n1,true\n2,false\n", 'data line 2, column y: "true" is not a number'),
    ("nan.csv", "x,y\n1,nan\n2,3\n3,4\n", "data y is nan at row 0"),
    ("huge.csv", "x,y\n1e400,1\n2,3\n3,4\n", "data x is inf at row 0"),
)


@pytest.mark.parametrize(("name", "text", "expected"), FILES)
def test_files(name: str, text: str, expected: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    form = f'(params m b) (data "{name}") (fit y (+ (* m x) b))'
    check(expected, came_to(form, root=tmp_path)[0])


x, y, m, q = params("x y m q")
LOSS = parse("(mean (** (- (* m x) y) 2))")
DATA = {"x": [1.0, 2.0], "y": [2.0, 4.0]}
MANY = np.arange(3000.0)

PYTHON: tuple[tuple[Any, str, str], ...] = (
    (lambda: train(LOSS, {"m": 0}, data={"x": [], "y": []}), "data", "column x has no rows"),
    (lambda: Session().run("1", data={"x": [1], "y": []}), "data", "x has 1 rows, and column y"),
    (lambda: Session().run("1", data={"x": 1}), "data", "is one number"),
    (lambda: Session().run("1", data={"x": ["a"]}), "data", "holds text"),
    (lambda: Session().run("1", data={"x": [1, None]}), "data", "holds nothing in row 1"),
    (lambda: Session().run("1", data=3), "data", "not as int"),
    (lambda: Session(backend="nonsense"), "value", "no backend called nonsense"),
    (lambda: Session(backend="nativ"), "value", "did you mean native?"),
    (lambda: train(LOSS, None, data=DATA), "type", "params map names to starts"),  # type: ignore[arg-type]
    (lambda: minimize(q * q, None), "type", "params map names to starts"),  # type: ignore[arg-type]
    (lambda: advise(q * q, None), "type", "params map names to starts"),  # type: ignore[arg-type]
    (lambda: fit("y", m * x, None, data=DATA), "type", "params map names to starts"),  # type: ignore[arg-type]
    (lambda: train(LOSS, {"m": 0, "x": 1}, data=DATA), "name", "x is a parameter and a column"),
    (lambda: train(LOSS, {"m": float("nan")}, data=DATA), "value", "not finite"),
    (lambda: train(LOSS, {"q": 0}, data=DATA), "value", "the parameters are q; the loss holds m"),
    (lambda: train(LOSS, {"m": 0}, data=DATA, schedule=()), "syntax", ":schedule takes a rule"),
    (lambda: train(LOSS, {"m": 0}, data=DATA, schedule=3), "syntax", ":schedule takes a rule"),  # type: ignore[arg-type]
    (lambda: train(LOSS, {"m": 0}, data=DATA, by=3), "type", ":by takes a name, not 3"),
    (lambda: train(LOSS, {"m": 0}, data=DATA, backend=[]), "type", ":backend takes a name"),
    (lambda: train(LOSS, {"m": 0}, data=DATA, wrt=3), "type", "takes names of parameters"),  # type: ignore[arg-type]
    (lambda: train(LOSS, {"m": 0}, data=DATA, until="a"), "type", "a formula is made of"),
    (lambda: minimize(q * q, {"q": 1}, bounds={"q": (2, 1)}), "value", "wrong way round"),
    (lambda: minimize(q * q, {"q": 1}, bounds=3), "type", "bounds map names"),  # type: ignore[arg-type]
    (lambda: val(q, {"q": [[1], [1, 2]]}), "type", "q must be a number or an array"),
    (lambda: val(q, {"q": np.ma.masked_greater([1.0, 2.0], 1.5)}), "type", "q has masked entries"),
    (lambda: compiled(q, ["q"])({1}), "type", "q must be a number or an array"),
    (lambda: compiled(q, ["q"], threads=0), "value", "a whole number from 1 to 1024"),
    (lambda: compiled(q, ["q"], backend="nonsense"), "value", "no backend called nonsense"),
    (
        lambda: compiled(2 * q, ["q"])(MANY, out=MANY[:2].copy()),
        "shape",
        "float64 of shape (3000,)",
    ),
)


@pytest.mark.parametrize(("run", "kind", "words"), PYTHON)
def test_python(run: Any, kind: str, words: str) -> None:
    with pytest.raises(NablispError) as caught:
        run()
    assert (caught.value.kind, words in str(caught.value)) == (kind, True), caught.value


@pytest.mark.parametrize("loss", ["", ":loss huber"])
def test_sums_over_many_rows_see_what_depends_on_what(loss: str) -> None:
    """The square root of their rounding looks like a curvature, and is none."""
    random = np.random.default_rng(0)
    x = random.normal(size=70_000) * 10 ** random.uniform(-2, 2)
    columns = {"x": x, "z": x, "y": 2 * x + 1 + random.normal(size=70_000)}
    session = Session(note=lambda line: None)
    found = session.run(f"(params (m 1) b c) (fit y (+ (* m x) (* b z) c) {loss})", data=columns)
    assert found.status == "stalled"
    assert "only the sum m + b is determined" in found.text


def test_values_at_the_edges() -> None:
    assert val(q, {"q": 10**400}) == np.inf
    assert compiled(q + 1, ["q"])(np.empty((2, 0))).shape == (2, 0)
    assert compiled(parse("3"), ["q"])([1, 2]).tolist() == [3, 3]
    integers = {"x": np.array([0, 1], dtype=np.uint8), "y": np.array([True, False])}
    found = train(LOSS, {"m": 1}, data=integers, lr=0.5, steps=1)
    assert found.loss == 0.625  # one step to m = 0.5: (1 + 0.25) / 2
