"""The formatter: how forms lie, what stays as it is, and that it says nothing else afterwards."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_docs import PAGES, SCRIPTS, blocks

from nablisp.cli import main
from nablisp.errors import NablispError
from nablisp.formatter import BODY, WIDTH, formatted
from nablisp.reader import read

LAYOUTS = [
    # before, after
    ("", ""),
    ("\n\n", ""),
    ("x", "x\n"),
    ("( + 1\t2 )", "(+ 1 2)\n"),
    ("(f 1)(g 2)", "(f 1) (g 2)\n"),
    ("(f\n 1\n)", "(f\n 1)\n"),
    ("(f a\nb)", "(f a\n   b)\n"),
    ("[1\n2]", "[1\n 2]\n"),
    ("(define (f x)\nx)", "(define (f x)\n  x)\n"),
    ("(define x\n  1\n  )", "(define x\n  1)\n"),
    ("(if c\na\nb)", "(if c\n  a\n  b)\n"),
    ("(let ((a 1)\n(b 2))\n(+ a b))", "(let ((a 1)\n      (b 2))\n  (+ a b))\n"),
    ("((f 1)\n2)", "((f 1)\n 2)\n"),
    ("x\n\n\n\ny", "x\n\ny\n"),
    ("(f\n\n a)", "(f\n\n a)\n"),
    ("; a\n\n  ; b\nx;c", "; a\n\n; b\nx  ;c\n"),
    ("x ; c", "x ; c\n"),
    ("(f a ; c\n)", "(f a ; c\n   )\n"),
    ("(f\n; c\na)", "(f\n ; c\n a)\n"),
    ("(f  a)  ; =>   1", "(f a)   ; =>   1\n"),
    ("(f   a) ; 1\n(g(h)a) ; 2", "(f a)      ; 1\n(g (h) a)  ; 2\n"),
    ("(f) ; 1\n(ggg)", "(f) ; 1\n(ggg)\n"),
    ("\ufeffx\r\n  y", "\ufeffx\r\ny\r\n"),
    ('"a\r\n b"\n', '"a\r\n b"\n'),
    ("+1.50 1E3 σ² -x", "+1.50 1E3 σ² -x\n"),
    ('"\t" x ; c\ny         ; d\n', '"\t" x ; c\ny         ; d\n'),
    (f"(f {'a' * 60} {'b' * 60})", f"(f {'a' * 60}\n   {'b' * 60})\n"),
    (f"(f :k {'a' * 60} :l {'b' * 60})", f"(f :k {'a' * 60}\n   :l {'b' * 60})\n"),
    (f"(define x {'b' * 120})", f"(define x\n  {'b' * 120})\n"),
    (f"[{'1234 ' * 30}]", f"[{'1234 ' * 19}1234\n {'1234 ' * 9}1234]\n"),
]


@pytest.mark.parametrize(("before", "after"), LAYOUTS)
def test_layout(before: str, after: str) -> None:
    assert formatted(before) == after
    assert formatted(after) == after


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_the_examples_stay_as_they_are(path: Path) -> None:
    text = path.read_text("utf-8")
    assert formatted(text) == text


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_blocks_of_pages_stay_as_they_are(page: Path) -> None:
    lines = blocks(page, "scheme").splitlines()
    assert [line for line in formatted("\n".join(lines)).splitlines() if line] == [
        line for line in lines if line
    ]


@pytest.mark.parametrize("text", ["(f", "(f]", '"', "(f 1))", "\u202e"])
def test_what_does_not_read_is_refused(text: str) -> None:
    with pytest.raises(NablispError):
        formatted(text)


BLANKS = st.sampled_from(
    [" ", "  ", "\n", "\n\n\n", "\t", "\r\n", " ; why\n", "\n;; so\n", ";\n\n"]
)
ATOMS = st.sampled_from(
    ["x", "1e-3", ":lr", '"s t"', '"a\nb"', "learning-rate", "a" * 45, "b" * 110, *BODY]
)


def sequences(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    parts = st.lists(st.tuples(BLANKS, inner).map("".join), max_size=12).map("".join)
    brackets = st.sampled_from([("(", ")"), ("[", "]")])
    return st.tuples(brackets, parts, st.sampled_from(["", " ", "\n", " ; end\n"])).map(
        lambda found: f"{found[0][0]}{found[1]}{found[2]}{found[0][1]}"
    )


PROGRAMS = st.lists(
    st.tuples(BLANKS, st.recursive(ATOMS, sequences, max_leaves=40)).map("".join)
).map("".join)


@settings(max_examples=300, deadline=None)
@given(PROGRAMS)
def test_formatting_twice_is_formatting_once(text: str) -> None:
    once = formatted(text)
    assert read(once) == read(text)
    assert formatted(once) == once
    wide = [line for line in once.splitlines() if len(line) > WIDTH and ";" not in line]
    assert all(max(map(len, line.split())) > WIDTH - 85 for line in wide)


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_mutated_examples(data: st.DataObject) -> None:
    text = data.draw(st.sampled_from(SCRIPTS)).read_text("utf-8")
    for _ in range(5):
        at = data.draw(st.integers(0, len(text)))
        width = data.draw(st.integers(0, 3))
        new = data.draw(st.sampled_from(["", " ", "\n", "; c\n", "xx"]))
        text = text[:at] + new + text[at + width :]
    try:
        once = formatted(text)
    except NablispError:
        return
    assert formatted(once) == once


@pytest.mark.parametrize("text", ["(f " * 20_000 + ")" * 20_000, "[" * 20_000 + "]" * 20_000])
def test_nesting_has_no_end(text: str) -> None:
    once = formatted(text)
    assert formatted(once) == once
    assert len(once) < 90 * 20_000


def test_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    texts = {"a.gd": "( f )", "sub/b.gd": "(g)\n", "bad.gd": "(", "c.txt": "x"}
    for name, text in texts.items():
        Path(name).write_text(text)
    Path("a.gd").chmod(0o640)
    Path("link.txt").symlink_to("c.txt")

    def run(*arguments: str) -> tuple[int, str, str]:
        return main(["fmt", *arguments]), *capsys.readouterr()

    assert run("--check", "a.gd", "sub") == (1, "a.gd\n", "1 file would change, 1 as they were\n")
    difference = "--- a.gd\n+++ a.gd formatted\n@@ -1 +1 @@\n-( f )\n+(f)\n"
    assert run("--diff", "a.gd") == (0, difference, "1 file would change, 0 as they were\n")
    assert Path("a.gd").read_text() == "( f )"
    status, out, err = run(".", "link.txt")
    assert (status, out) == (1, "")
    assert err.startswith("error: the text ends before the `(` of line 1, column 1 is closed")
    assert err.endswith("2 files changed, 1 as they were\n")
    assert [Path(name).read_text() for name in texts] == ["(f)\n", "(g)\n", "(", "x\n"]
    assert Path("a.gd").stat().st_mode & 0o777 == 0o640
    assert Path("link.txt").is_symlink()
    assert len(list(tmp_path.iterdir())) == 5, "nothing is left beside"
    assert run("nope.gd")[0] == 2
    Path(".venv").mkdir()
    Path(".venv/c.gd").write_text("( f )")
    assert "2 as they were" in run("--check", ".")[2], "what is hidden stays"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"( f\r\n)")))
    assert run("-") == (0, "(f)\r\n", "")
