"""The prompt: its pure functions, and one conversation on a real pseudo-terminal."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pygments.token import Token

from nablisp import Session
from nablisp.repl import _depth, finished
from nablisp.repl.complete import suggestions
from nablisp.repl.lexer import NablispLexer

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
    ("(si", "sigmoid sign simplify sin sinc sinh"),
    ("(define-d", "define-derivative"),
    ("(+ lo", "log log-softmax log10 log1p log2 logistic logsumexp loss"),
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
    kinds = {value: kind for kind, value in tokens}
    assert kinds["define"] in Token.Keyword
    assert kinds["sin"] in Token.Name.Builtin
    assert kinds["pi"] in Token.Keyword.Constant
    assert kinds["1e-3"] in Token.Literal.Number
    assert kinds["-x"] is Token.Name
    assert kinds["; done"] in Token.Comment


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

    def expect(self, *words: str) -> None:
        for text in words:
            self.child.expect_exact(text)

    def say(self, text: str, *words: str) -> None:
        """Type a line, and wait for what it shows."""
        self.child.send(f"{text}\r")
        self.expect(*words)

    def end(self) -> tuple[str, int]:
        rest = re.sub(r"\x1b(\[[0-9;?]*[A-Za-z]|.)", "", self.child.read())
        self.child.close()
        return rest, self.child.exitstatus


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
    t.say("(+ 40 2)", "\r\n42\r\n", "∇")
    t.say("(define (f x)", "·")  # the second line is indented
    t.say("(* x x))", "∇")
    t.say("(f 12)", "\r\n144\r\n", "∇")
    t.say("(f 1 2)", "error", "f takes 1 argument, not 2", "<4>:1:1", "^^^^^^^", "∇")
    t.say('(print "\\u{1b}[35mpurple")', "\r\n\\u{1b}[35mpurple\r\n", "∇")
    t.say("(params m) (train (** (- m 1) 2) :lr 1e-9 :steps 1000000000)", "1000000000)", "\r\n")
    t.child.expect(r".{0,40}", timeout=1)
    import time

    time.sleep(0.5)
    t.child.sendintr()
    t.expect("interrupted after", "stopped from the keyboard", "∇")
    t.say("(< 0 (val m) 1)", "< takes 2 arguments", "∇")
    t.say("(< 0 (val m))", "\r\ntrue\r\n", "∇")
    t.say("(define (g n) (g n)) (g 1)", "(g 1)", "\r\n")
    time.sleep(0.5)
    t.child.sendintr()
    t.expect("interrupted", "∇")
    t.child.send("(half a line")
    t.child.sendintr()  # drops the line
    t.expect("∇")
    t.child.send("\x1b[A\x1b[A\x1b[A\x1b[A\r")  # up, through history
    t.expect("∇")
    t.say("(+ 1000 (f 3))", "\r\n1009\r\n", "∇")
    t.child.sendeof()
    rest, status = t.end()
    assert status == 0
    assert "Traceback" not in rest
    assert "(+ 1000 (f 3))" in (tmp_path / "nablisp" / "history").read_text("utf-8")


def test_after_a_script_and_its_mistakes(tmp_path: Path) -> None:
    if os.name != "posix":
        pytest.skip("pseudo-terminals are POSIX")
    t = Terminal(tmp_path, "-i", "-e", "(define k 41)", "-e", "(sine 1)")
    t.expect("did you mean sin?", "∇")
    t.say("(+ k 1)", "\r\n42\r\n", "∇")
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
