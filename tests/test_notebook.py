"""Notebooks, through a real kernel: magics, what they display, mistakes, interrupts."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import nbclient
import nbformat
import pytest
from pygments.lexers import get_lexer_by_name
from pygments.token import Keyword

import nablisp

SOURCE = str(Path(nablisp.__file__).resolve().parent.parent)
LINE = """\
%%nablisp
(params m b)
(data x [-2 3])
(define loss (mse (+ (* m x) b) (+ (* 2 x) 1)))
"""


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A function that runs one cell after the other in one kernel, and gives its outputs."""
    make: Any = nbformat.v4  # untyped
    notebook = make.new_notebook()
    folder = tmp_path_factory.mktemp("notebook")
    client = nbclient.NotebookClient(
        notebook,
        timeout=120,
        allow_errors=True,
        resources={"metadata": {"path": str(folder)}},
    )
    path = os.pathsep.join(filter(None, (SOURCE, os.environ.get("PYTHONPATH"))))
    with client.setup_kernel(env={**os.environ, "PYTHONPATH": path}):

        def run(text: str) -> list[Any]:
            notebook.cells.append(make.new_code_cell(text))
            cell = client.execute_cell(notebook.cells[-1], len(notebook.cells) - 1)
            return list(cell.outputs)

        assert run("%load_ext nablisp") == []
        assert run(LINE) == []
        yield run


def test_values_in_order(cells: Any) -> None:
    found = cells('%%nablisp\n(d loss b)\n(print "so")\n(+ 1 2)\n[1 2]\n"text"')
    formula, printed, *plain = found
    assert formula.data["text/latex"].startswith("$\\displaystyle 2")
    assert formula.data["text/plain"] == "(* 2 (mean (- (+ (* m x) b) (+ (* 2 x) 1))))"
    assert (printed.name, printed.text) == ("stdout", "so\n")
    assert [output.data for output in plain] == [
        {"text/plain": "3"},
        {"text/plain": "[1 2]"},
        {"text/plain": '"text"'},
    ]


def test_a_run_has_its_picture(cells: Any) -> None:
    (found,) = cells("%%nablisp\n(reset)\n(train loss :lr 0.1 :steps 20)")
    assert "train by gd: 20 steps" in found.data["text/plain"]
    html = found.data["text/html"]
    assert html.startswith('<div class="nablisp"><style>')
    assert "<math" in html
    assert html.count("<input") == 21
    assert "<script" not in html


def test_a_fit_from_python_shows_itself(cells: Any) -> None:
    """Without any magic: results are HTML by themselves."""
    (found,) = cells(
        "import nablisp\nfrom nablisp import fit, parse\n"
        'fit("y", parse("(* a (exp (* k x)))"), {"a": 1, "k": 0},\n'
        '    data={"x": [0, 1, 2, 3], "y": [2.0, 1.3, 0.8, 0.6]})'
    )
    assert "± standard error" in found.data["text/html"]
    assert "<svg" in found.data["text/html"]


def test_the_line_magic_is_a_value(cells: Any) -> None:
    assert cells("r = %nablisp (+ 1 2)\nprint(r)")[0].text == "3\n"
    (found,) = cells("%nablisp (* y y)")
    assert found.data["text/latex"] == "$\\displaystyle y \\, y$"
    assert cells("s = %nablisp\nprint(type(s).__name__)")[0].text == "Session\n"


def test_data_from_python(cells: Any) -> None:
    cells("import pandas\ndf = pandas.DataFrame({'u': [1.0, 2.0], 'v': [2.0, 4.0]})\nw = [1, 2]")
    (found,) = cells("%%nablisp -n --data df --data w\n(val (mean (* u v w)))")
    assert found.data["text/plain"] == "9.0"
    (wrong,) = cells("%%nablisp --data nothing\n1")
    assert wrong.evalue.startswith("error: Python has no variable nothing")


def test_a_mistake_is_drawn_as_in_scripts(cells: Any) -> None:
    """What came before it is shown, and the cell counts as failed."""
    before, found = cells("%%nablisp\n(+ 1 2)\n(tanh 1 2)")
    assert before.data == {"text/plain": "3"}
    assert found.output_type == "error"
    drawn = "\n".join(found.traceback)
    assert "tanh takes 1 argument, not 2" in drawn
    assert "2 | (tanh 1 2)" in drawn
    assert "Traceback" not in drawn
    (found,) = cells("%%nablisp -x\n1")
    assert "%%nablisp takes no -x" in found.evalue


def test_an_interrupt_keeps_the_best(cells: Any) -> None:
    """The run ends as it does in scripts, and the cell with it."""
    cells("%%nablisp -n\n(params k)(data x [1 2])(define loss (mse (* k x) x))")
    (found,) = cells(
        "import os, signal, threading\n"
        "threading.Timer(1.5, os.kill, (os.getpid(), signal.SIGINT)).start()\n"
        "get_ipython().run_cell_magic('nablisp', '', '(train loss :lr 1e-9 :steps 1000000000) 1')"
    )
    assert "interrupted after" in found.data["text/plain"]
    assert "text/html" in found.data


def test_unload(cells: Any) -> None:
    assert cells("%unload_ext nablisp") == []
    assert "not found" in cells("%nablisp 1")[0].text
    assert cells("%load_ext nablisp") == []


def test_the_lexer_is_found_by_name() -> None:
    """nbconvert and Sphinx colour blocks by it."""
    if not entry_points(group="pygments.lexers", name="nablisp"):
        pytest.skip("nablisp is not installed, so its entry points are not")
    tokens = list(get_lexer_by_name("nablisp").get_tokens("(define x 1)"))
    assert (Keyword, "define") in tokens
