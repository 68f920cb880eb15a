"""What reaches a terminal: every channel, with all that a terminal would obey or hide."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from html.parser import HTMLParser
from pathlib import Path
from xml.etree.ElementTree import fromstring

import pytest
from prompt_toolkit.application import create_app_session
from prompt_toolkit.document import Document
from prompt_toolkit.formatted_text import fragment_list_to_text
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.layout.controls import BufferControl
from prompt_toolkit.layout.processors import TransformationInput
from prompt_toolkit.output import DummyOutput

from nablisp import NablispError, Session
from nablisp.cli import main
from nablisp.errors import draw, shows, visible, width_of
from nablisp.expr import Sym
from nablisp.notation import latex, mathml
from nablisp.repl.unmasked import Unmasked

CONTROL = "\x1b[35m \x1b]0;owned\x07 \x9b35m \x90q\x9c \x08\x7f\r\x0b\x0c\x00"
HIDDEN = "\u200b\u200d\u2060\u00ad\u034f\u115f\u3164\ufe0f\U000e0041\U000e007f\U000e0100\ue000"
BREAKS = "\x85\u2028\u2029\xa0\u2003"
BIDI = "\u202a\u202e\u2066\u2069\u200e\u200f\u061c"
NASTY = CONTROL + HIDDEN + BREAKS + "\ufeff" + BIDI
SPELT = "".join(f"\\u{{{ord(c):x}}}" for c in NASTY)
RAW = NASTY.replace(BIDI, "").replace("\x00", "").replace("\r", "")
"""As it may stand in a text that reads."""
NAMED = NASTY.replace("\x00", "")
"""As it may stand in the name of a file."""

OURS = re.compile(r"\x1b\[(?:0|1|31|1;31|38;5;[0-9]+)m|\r\x1b\[[0-9]+A")
"""Colours of errors and pictures, and the way back to the top of one that moves."""


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., str]:
    """What something sends to standard output and error, which are one terminal."""
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.chdir(tmp_path)

    def shown(does: Callable[..., object], *given: object) -> str:
        with redirect_stdout(Terminal()) as stream, redirect_stderr(stream):
            does(*given)
        return stream.getvalue()

    return shown


def obeyed(text: str) -> list[str]:
    """The characters of an output that are neither seen nor ours."""
    rest = OURS.sub("", text)
    return [ascii(c) for c in rest if c not in "\n " and not shows(c)]


CSV = f'x,y{RAW},"{RAW}"\n1,2,3\n'
TEXTS = {
    "print": f'(print "{SPELT}")',
    "print raw": f'(print "{RAW}")',
    "value": f'"{SPELT}"',
    "error with a value": f'(+ 1 "{SPELT}")',
    "error with its line": f'(+ 1 "{RAW}" unknown) ; {RAW}',
    "no text": f'(+ 1 {BIDI})',
    "no name": f"(+ 1 x{HIDDEN})",
    "assertion": f'(assert false "{SPELT}")',
    "file": f'(data "{SPELT}.csv")',
    "file that is not there": f'(load "{BIDI.encode("unicode_escape").decode()}")'.replace(
        "\\u", "\\\\u"),
    "file written": f'(save "{SPELT}.gd")',
    "headers": '(data "nasty.csv")',
    "no such column": '(data "nasty.csv" z)',
    "cells": '(data "cells.csv")',
    "classes": '(data "classes.csv" :classes s)',
    "dropped": '(data "nasty\u202e.csv" :missing drop)'.replace("\u202e", "\\u{202e}"),
    "environment": f'(define s "{SPELT}") (env)',
    "help of one's own": f"; {RAW}\n(define (f x) x)\n(help f)",
    "help of nothing": f'(help "{SPELT}")',
    "title": f'(plot (sin x) :over (x 0 1) :title "{SPELT}")',
    "label": f'(data x [1 2 3]) (plot (sin x) ; {RAW}\n (cos x))',
    "animation": f'(param m 1) (animate (train (* m m) :steps 3) :title "{SPELT}")',
    "a file of another kind": f'(plot (sin x) :over (x 0 1) :to "{SPELT}.exe")',
    "language": f'(export x :to "a.{SPELT}")',
    "function": f'(export x :to c :name "{SPELT}")',
    "backend": f'(param m 1) (train (* m m) :backend "{SPELT}")',
    "report": f'(report x :to "{SPELT}.html" :title "{SPELT}")',
    "checkpoint": f'(param m 1) (train (* m m) :steps 2 :checkpoint "{SPELT}")',
    "loaded": '(load "inner.gd")',
}  # fmt: skip


def prepared(folder: Path) -> None:
    (folder / "nasty.csv").write_text(CSV, "utf-8")
    (folder / "cells.csv").write_text(f"x\n{RAW}\n", "utf-8")
    (folder / "classes.csv").write_text(f's,x\n"{RAW}",1\nb,2\n', "utf-8")
    (folder / "nasty\u202e.csv").write_text("x\n1\nNA\n", "utf-8")
    (folder / "inner.gd").write_text(f'(print "{RAW}") (assert false "{SPELT}")', "utf-8")


@pytest.mark.parametrize("channel", TEXTS)
def test_what_programs_show(channel: str, terminal: Callable[..., str], tmp_path: Path) -> None:
    prepared(tmp_path)
    (tmp_path / "t.gd").write_text(TEXTS[channel], "utf-8")
    found = terminal(main, ["t.gd"])
    assert found
    assert not obeyed(found)


COMMANDS = {
    "missing": [NAMED],
    "missing, to test": ["test", NAMED],
    "missing, to check": ["check", NAMED],
    "missing, to format": ["fmt", NAMED],
    "missing, to report": ["report", NAMED],
    "missing, to resume": ["resume", NAMED],
    "a mistake in a file": [f"{NAMED}\n.gd"],
    "no option": [f"--{NAMED}"],
    "no option of a command": ["test", f"--{NAMED}", "t.gd"],
    "seed": ["--seed", NAMED],
    "color": ["--color", NAMED],
    "backend": ["--backend", NAMED, "-e", "(param m 1) (train (* m m))"],
    "definition": ["-D", f"a{NAMED}=1"],
    "definition of a text": ["-D", f'a="{RAW}"', "-e", "(print a)"],
    "text": ["-e", f"(+ 1 {NASTY})"],
    "explained": ["--explain", "-v", "-e", "(param m 1) (train (* m m) :steps 3 :backend native)"],
    "test": ["test", "t.gd"],
    "check": ["check", f"{NAMED}\n.gd"],
    "format of what does not read": ["fmt", f"{NAMED}\n.gd"],
    "format, checked": ["fmt", "--check", f"{NAMED}.gd"],
    "format, the difference": ["fmt", "--diff", f"{NAMED}.gd"],
    "report": ["report", "t.gd", "-o", "-", "--title", NAMED],
    "report to a file": ["report", "t.gd", "-o", f"{NAMED}.html"],
    "report to nowhere": ["report", "t.gd", "-o", f"{NAMED}/x.html"],
}


@pytest.mark.skipif(os.name != "posix", reason="names of files as POSIX has them")
@pytest.mark.parametrize("channel", COMMANDS)
def test_what_commands_show(channel: str, terminal: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "t.gd").write_text(f'(print "{RAW}") ; => {RAW}\n"{SPELT}" ; => other {RAW}\n')
    (tmp_path / f"{NAMED}.gd").write_text(f'( print "{RAW}" ) ; {RAW}\n')
    (tmp_path / f"{NAMED}\n.gd").write_text(f'(foo "{RAW}"\n')
    found = terminal(main, COMMANDS[channel])
    assert found
    assert not obeyed(found)


def test_a_name_of_a_file_forges_no_line(terminal: Callable[..., str]) -> None:
    assert terminal(main, ["a\nerror: all is lost\nb"]).count("\n") == 1


@pytest.mark.parametrize(
    "entry",
    [
        f'"{SPELT}"', f'(print "{SPELT}")', f'(+ 1 "{RAW}")', f"(+ 1 {BIDI})", f"?{NASTY}",
        f"??{NASTY}", f",{NASTY}", f",load {NASTY}", f",set {NASTY}", f",set color {NASTY}",
        f",save {NASTY}", f'(define s "{SPELT}")\n,env', f"; {RAW}\n(define (f x) x)\n(help f)",
    ],
)  # fmt: skip
def test_what_the_prompt_shows(entry: str, terminal: Callable[..., str], tmp_path: Path,
                               monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    from nablisp.repl import Prompt

    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    with create_pipe_input() as pipe, create_app_session(input=pipe, output=DummyOutput()):
        found = terminal(Prompt(Session(root=tmp_path)).entry, entry)
    assert not obeyed(found)


def test_what_the_prompt_offers(tmp_path: Path) -> None:
    """Files that a string would have to spell are not offered; docs are shown with escapes."""
    from prompt_toolkit.completion import CompleteEvent

    from nablisp.repl import TableCompleter
    from nablisp.repl.signature import cut, signature

    for name in ("plain.csv", f"p{NAMED}.csv", 'p".csv'):
        (tmp_path / name).write_text("x\n1\n")
    session = Session(root=tmp_path)
    session.run(f"; {RAW}\n(define (plotted x) x)")
    completer = TableCompleter(session)
    found = [
        one
        for text in ('(data "p', "(plott", "?plott")
        for one in completer.get_completions(Document(text), CompleteEvent())
    ]
    assert [one.text for one in found if "csv" in one.text] == ["plain.csv"]
    assert any("\\u{1b}" in one.display_meta_text for one in found)
    shown = [f"{one.display_text} {one.display_meta_text}" for one in found]
    shown += cut(*signature("(plotted ", session), 500)
    assert not obeyed("".join(shown))


def test_what_is_typed_is_shown() -> None:
    """What was pasted, or is suggested from before, is seen before Enter; the cursor stays true."""
    typed = f"(+ a{BIDI}{HIDDEN} é名)"
    given = TransformationInput(
        BufferControl(), Document(typed), 0, lambda k: k, [("", typed[:3]), ("", typed[3:])], 80, 1
    )
    found = Unmasked().apply_transformation(given)
    text = fragment_list_to_text(found.fragments)
    assert text == visible(typed)
    assert not obeyed(text)
    for at, c in enumerate(typed):
        place = found.source_to_display(at)
        assert text.startswith(visible(c), place)
        assert found.display_to_source(place + len(visible(c)) - 1) == at
    assert found.source_to_display(len(typed)) == len(text)


def test_a_host_that_takes_no_lines(terminal: Callable[..., str]) -> None:
    found = terminal(Session().run, f'(print "{SPELT}")')
    assert "\\u{1b}" in found
    assert not obeyed(found)


@pytest.mark.parametrize(
    "line", ["(+ 1 {})", '(print "名前", "\u0301e") (+ 1 {})', "\u202e"[:0] + "({})"]
)
def test_carets_stand_under_what_is_seen(line: str) -> None:
    """Wide characters take two cells, marks none, and what is hidden the cells of its escape."""
    text = line.format('"e\u0301\u3164\x1b名"')
    with pytest.raises(NablispError) as caught:
        Session().run(text)
    *_, shown, carets = [
        part for part in draw(caught.value).splitlines() if "|" in part or "^" in part
    ]
    start = carets.index("^")
    marked = shown[: _cells(shown, start)], shown[_cells(shown, start) : _cells(shown, len(carets))]
    assert caught.value.span is not None
    assert marked[1] == visible(caught.value.span.text)


def _cells(text: str, cells: int) -> int:
    """How many characters take so many cells."""
    return next((k for k in range(len(text) + 1) if width_of(text[:k]) >= cells), len(text))


# ---- pages and formulas --------------------------------------------------------------------------

MARKUP = "</script><script>alert(1)</script>]]><!--\"onload='x' &amp; \\input{/etc/passwd} $x$ %"


class Tags(HTMLParser):
    """The text of a page, and what a text must not have made of it."""

    def __init__(self) -> None:
        super().__init__()
        self.text = ""
        self.strange: list[str] = []

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs if name.startswith("on")]
        self.strange += names + [tag] * (tag in ("script", "iframe", "object", "base", "link"))

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_comment(self, data: str) -> None:
        self.strange.append(data)


def test_pages_show_text_as_text(tmp_path: Path) -> None:
    spelt = MARKUP.replace("\\", "\\\\").replace('"', '\\"')
    (tmp_path / "f.csv").write_text("x,y\n1,2\n2,3\n")
    program = (
        f'; {MARKUP}\n(print "{spelt}") (data "f.csv") (param m 1)\n'
        f'(report (train (mse (* m x) y) :steps 3) (plot y x :title "{spelt}") "{spelt}" (/ m x)'
        f' :to "p.html" :title "{spelt}") (plot y x :title "{spelt}" :to "p.svg")'
    )
    Session(root=tmp_path, write=lambda line: None).run(program, name=MARKUP)
    page = (tmp_path / "p.html").read_text("utf-8")
    seen = Tags()
    seen.feed(page)
    assert not seen.strange
    assert seen.text.count("<script>alert(1)") > 4
    fromstring((tmp_path / "p.svg").read_text("utf-8"))


@pytest.mark.parametrize("name", ["<b>", "a&b", "x%", "a_b^c~", "<!--", "&lt;", "*/", "%n", "^^41"])
def test_formulas_spell_names(name: str) -> None:
    """LaTeX's own signs and those of XML are spelt; a name has no backslash, brace or quote."""
    found = "".join(fromstring(mathml(Sym(name))).itertext())
    assert found == name
    text = latex(Sym(name))
    assert not re.search(r"(?<!\\)[%&#$]|\^\^|(?<![\\}])\^(?!\{)", text), text
