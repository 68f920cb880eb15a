"""The prompt: turns typed lines into forms, and shows their values; it survives any mistake."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any

from .. import __version__
from ..errors import Incomplete, NablispError, draw, visible
from ..shown import painted, wants_color


def prompt(session: Any, *, color: str = "auto") -> None:
    """Read, evaluate and print until end of input."""
    from prompt_toolkit import PromptSession
    from prompt_toolkit.history import FileHistory, InMemoryHistory
    from prompt_toolkit.key_binding import KeyBindings
    from prompt_toolkit.lexers import PygmentsLexer
    from prompt_toolkit.output import ColorDepth

    from ..highlight import NablispLexer
    from .complete import SessionCompleter

    keys = KeyBindings()

    @keys.add("enter")
    def _(event: Any) -> None:
        """Run when the brackets balance, else begin a line, indented."""
        text = event.current_buffer.text
        if finished(text):
            event.current_buffer.validate_and_handle()
        else:
            event.current_buffer.insert_text("\n" + "  " * _depth(text))

    @keys.add("escape", "enter")
    def _(event: Any) -> None:
        event.current_buffer.insert_text("\n")

    history = _history_file()
    colored = wants_color(color, sys.stdout)
    typed: PromptSession[str] = PromptSession(
        message="∇ ",
        multiline=True,
        lexer=PygmentsLexer(NablispLexer),
        completer=SessionCompleter(session),
        complete_while_typing=False,
        history=FileHistory(str(history)) if history else InMemoryHistory(),
        key_bindings=keys,
        prompt_continuation=lambda width, line, wrapped: "· ".rjust(width),
        color_depth=None if colored else ColorDepth.DEPTH_1_BIT,
    )
    print(f"nablisp {__version__}   (help) lists what there is, Ctrl-D leaves")
    count, running = 0, False
    while True:
        try:
            running = False
            text = typed.prompt()
            running = True
            if re.fullmatch(r"\(?\s*(exit|quit)\s*\)?", text.strip()):
                return
            count += 1
            _show(session, text, f"<{count}>", colored=colored)
        except EOFError:
            return
        except KeyboardInterrupt:  # at the prompt it drops the line
            if running:
                print("interrupted", file=sys.stderr)


def _show(session: Any, text: str, name: str, *, colored: bool) -> None:
    """Run what was typed, and print its values or its first mistake."""
    try:
        for _, value in session.values(text, name=name):
            if value is not None:
                print(visible(session.text(value)))
    except NablispError as error:
        drawn = draw(error)
        print(painted(drawn) if colored else drawn, file=sys.stderr)


def finished(text: str) -> bool:
    """Does the text end with its forms, so that Enter should run it?"""
    from ..reader import read

    try:
        read(text)
    except Incomplete:
        return False
    except NablispError:
        return True
    return True


def _depth(text: str) -> int:
    """How many brackets are open, outside strings and comments."""
    depth, quoted, comment, escaped = 0, False, False, False
    for c in text:
        if comment:
            comment = c != "\n"
        elif quoted:
            quoted, escaped = escaped or c != '"', c == "\\" and not escaped
        elif c == '"':
            quoted = True
        elif c == ";":
            comment = True
        else:
            depth += (c in "([") - (c in ")]")
    return max(depth, 0)


def _history_file() -> Path | None:
    """Where typed lines are kept, or None where no file can be."""
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    folder = Path(base) / "nablisp"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "history").touch()
    except OSError:
        return None
    return folder / "history"
