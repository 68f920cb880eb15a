"""The prompt: what it completes and when it runs as pure functions, the rest in a real terminal."""

from __future__ import annotations

import sys
from pathlib import Path

import pexpect
import pytest

from nablisp import Session
from nablisp.repl import finished
from nablisp.repl.complete import suggestions


@pytest.mark.parametrize(
    ("before", "has", "has_not"),
    [
        ("(si", ["sin", "sinc", "sigmoid", "simplify"], ["cos"]),
        ("(train loss :ba", [":batch"], [":lr"]),
        ("(train (mse p y) :", [":lr", ":by", ":steps"], [":axis"]),
        ("(sum A :", [":axis", ":keep"], [":lr"]),
        ("(+ mod", ["mod", "model"], ["mse"]),
        ("(m", ["mse", "map", "max"], ["sin"]),
    ],
)
def test_suggestions(before: str, has: list[str], has_not: list[str]) -> None:
    session = Session()
    session.run("(define model 1)")
    found = suggestions(before, session)
    assert set(has) <= set(found) and not set(has_not) & set(found)


def test_enter_runs_what_is_whole() -> None:
    assert finished("(+ 1 2)") and finished("") and finished("x)") and finished("; only a comment")
    assert not finished("(+ 1") and not finished('"abc') and not finished("[1 2")


@pytest.mark.skipif(sys.platform == "win32", reason="a pseudo-terminal is of POSIX")
def test_a_conversation(tmp_path: Path) -> None:
    terminal = pexpect.spawn(
        sys.executable,
        ["-m", "nablisp", "--color", "never"],
        env={
            "XDG_STATE_HOME": str(tmp_path),
            "TERM": "xterm",
            "LANG": "C.UTF-8",
            "PROMPT_TOOLKIT_NO_CPR": "1",
        },
        encoding="utf-8",
        timeout=30,
        dimensions=(24, 80),
    )

    def say(text: str, answer: str) -> None:
        terminal.send(f"{text}\r")
        terminal.expect_exact(answer)
        terminal.expect_exact("∇")

    terminal.expect_exact("Ctrl-D leaves")
    terminal.expect_exact("∇")
    say("(+ 1\r2 3)", "6")
    say("(tanh 1 2)", "error: tanh takes 1 argument, not 2")
    say("(params m)\r(d (* m m) m)", "(* 2 m)")
    terminal.send("(never closed")
    terminal.sendcontrol("c")  # clears the line, and leaves the session
    terminal.expect_exact("∇")
    say("(* 6 7)", "42")
    terminal.sendcontrol("d")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 0
    kept = (tmp_path / "nablisp" / "history").read_text("utf-8")
    assert "(* 6 7)" in kept and "+(+ 1\n" in kept
