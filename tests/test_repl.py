"""The prompt: its pure functions, and one conversation on a real pseudo-terminal."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nablisp import Session
from nablisp.highlight import NablispLexer
from nablisp.repl import _depth, finished
from nablisp.repl.complete import suggestions

FINISHED = [
    ("", True, 0),
    ("(+ 1 2)", True, 0),
    ("(+ 1", False, 1),
    ("(f [1 2", False, 2),
    ('(f "a)', False, 1),
    ('(f "a)\\"" ', False, 1),
    ("(f ; )\n", False, 1),
    ("(f))", True, 0),  # a mistake to be told, not a wish for more
    ("(f ×", True, 1),
]


@pytest.mark.parametrize(("text", "done", "depth"), FINISHED)
def test_enter_runs_what_is_finished(text: str, done: bool, depth: int) -> None:
    assert (finished(text), _depth(text)) == (done, depth)


SUGGESTED = [
    ("(sig", "sigmoid sign"),
    ("(define-d", "define-derivative"),
    ("(+ log1", "log10 log1p"),
    ("my-", "my-column my-parameter"),
    ("(train loss :w", ":weight-decay :wrt"),
    ("(sum X :", ":axis :keep"),
    ("(f :", ""),
    ("(train (f x) :sch", ":schedule"),
]


@pytest.mark.parametrize(("before", "names"), SUGGESTED)
def test_suggestions(before: str, names: str) -> None:
    session = Session()
    session.run("(define loss 1) (data my-column [1]) (params my-parameter)")
    assert suggestions(before, session) == names.split()


def test_lexer_loses_nothing() -> None:
    text = '(define (f x) "a\\"b" [1e-3 -x :lr]) ; done\n(sin pi) "open'
    tokens = list(NablispLexer().get_tokens(text))
    assert "".join(value for _, value in tokens).strip() == text.strip()
    kinds = {value: str(kind) for kind, value in tokens}
    for word, kind in LEXED.items():
        assert kinds[word].startswith(f"Token.{kind}")


LEXED = {
    "define": "Keyword", "sin": "Name.Builtin", "pi": "Keyword.Constant", "1e-3": "Literal.Number",
    "-x": "Name", ":lr": "Name.Attribute", "; done": "Comment", '"a\\"b"': "Literal.String",
}  # fmt: skip


# ---- on a terminal -------------------------------------------------------------------------------


class Terminal:
    """nablisp on a pseudo-terminal, seen without the control sequences."""

    def __init__(self, home: Path, *arguments: str) -> None:
        pexpect = pytest.importorskip("pexpect")
        self.child: Any = pexpect.spawn(
            sys.executable,
            ["-m", "nablisp", *arguments],
            env={**os.environ, "TERM": "xterm", "XDG_STATE_HOME": str(home),
                 "PROMPT_TOOLKIT_NO_CPR": "1"},
            encoding="utf-8", timeout=30, dimensions=(40, 120),
        )  # fmt: skip

        self.raw, self.at = "", 0

    @property
    def seen(self) -> str:
        """What the terminal was sent, without control sequences."""
        return re.sub(r"\x1b(\[[0-9;?]*[A-Za-z]|[^\[])", "", self.raw)

    def expect(self, *words: str) -> None:
        """Wait until the words have appeared, one after the other."""
        for text in words:
            end = time.monotonic() + 30
            while (found := self.seen.find(text, self.at)) < 0:
                assert time.monotonic() < end, f"no {text!r} after {self.seen[self.at :]!r}"
                self.raw += self.child.read_nonblocking(10_000, timeout=30)
            self.at = found + len(text)

    def say(self, text: str, *words: str) -> None:
        """Type a line, and wait for what it shows and the next prompt."""
        self.child.send(f"{text}\r")
        self.expect(*words, "∇")

    def end(self) -> tuple[str, int]:
        self.raw += self.child.read()
        self.child.close()
        return self.seen, self.child.exitstatus


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    if os.name != "posix":
        pytest.skip("pseudo-terminals are POSIX")
    found = Terminal(tmp_path)
    yield found
    found.child.close(force=True)


def test_a_conversation(terminal: Terminal, tmp_path: Path) -> None:
    t = terminal
    t.expect("nablisp", "Ctrl-D leaves", "∇")
    t.say("(+ 40 2)", "\n42\r\n")
    t.child.send("(define (f x)\r")  # an unfinished form goes on
    t.expect("(f x)", "·")
    t.say("(* x x))")
    t.say("(f 12)", "\n144\r\n")
    t.say("(f 1 2)", "error: f takes 1 argument, not 2", "<4>:1:1", "^^^^^^^")
    t.say('(print "\\u{1b}[35mpurple")', "\n\\u{1b}[35mpurple\r\n")
    t.child.send("(params m) (* 11 11) (train (** (- m 1) 2) :lr 1e-9 :steps 1000000000)\r")
    t.expect("\n121\r\n")
    time.sleep(0.5)
    t.child.sendintr()
    t.expect("interrupted after", "stopped from the keyboard", "∇")
    t.say("(< 0 (val m))", "\ntrue\r\n")
    t.child.send("(define (g n) (g n)) (* 12 12) (g 1)\r")
    t.expect("\n144\r\n")
    t.child.sendintr()
    t.expect("interrupted", "∇")
    t.child.send("(half a line")
    t.expect("line")
    t.child.sendintr()  # drops the line
    t.expect("∇")
    t.child.send("\x1b[A\x1b[A")  # up, through history
    t.expect("(< 0 (val m))")
    t.say("", "\ntrue\r\n")
    t.say("(+ 1000 (f 3))", "\n1009\r\n")
    t.child.sendeof()
    seen, status = t.end()
    assert status == 0
    assert "Traceback" not in seen
    assert "(+ 1000 (f 3))" in (tmp_path / "nablisp" / "history").read_text("utf-8")


def test_after_a_script_and_its_mistakes(tmp_path: Path) -> None:
    if os.name != "posix":
        pytest.skip("pseudo-terminals are POSIX")
    t = Terminal(tmp_path, "-i", "-e", "(define k 41)", "-e", "(sine 1)")
    t.expect("did you mean sin?", "∇")
    t.say("(+ k 1)", "\n42\r\n")
    t.child.send("(exit)\r")
    assert t.end()[1] == 0


def test_no_colour_where_it_is_not_wanted(tmp_path: Path) -> None:
    if os.name != "posix":
        pytest.skip("pseudo-terminals are POSIX")
    t = Terminal(tmp_path, "--color", "never", "-e", '"\\u{9b}" (f 1)')
    printed = t.child.read()
    assert printed == (
        '"\\u{9b}"\r\nerror: there is no function or form called f\r\n  <text>:1:11\r\n'
        '  1 | "\\u{9b}" (f 1)\r\n                ^\r\n  define it: (define (f x) …)\r\n'
    )
    t.child.close()
    assert t.child.exitstatus == 1
    t = Terminal(tmp_path, "-e", "(f 1)")
    assert "\x1b[1;31merror:\x1b[0m" in t.child.read()
