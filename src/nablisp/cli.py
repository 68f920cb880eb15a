"""The command line: turns arguments into a session, scripts into printed values and a status."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TextIO

from . import __version__
from .errors import NablispError, Source, Span, draw, visible

FINE, MISTAKE, WRONG_USE, DIVERGED, INTERRUPTED, CLOSED = 0, 1, 2, 3, 130, 141


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    given = sys.argv[1:] if arguments is None else arguments
    try:
        status = _test(given[1:]) if given[:1] == ["test"] else _run(_parser().parse_args(given))
        sys.stdout.flush()
    except BrokenPipeError:
        # what is still in the buffer cannot be written; let the interpreter not try again
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return CLOSED
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except SystemExit as stop:  # argparse
        return int(stop.code or 0)
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="nablisp",
        description="A little Lisp for gradient descent.",
        epilog="Without files: a prompt on a terminal, else standard input is a script. "
        "nablisp test FILE… compares a script with its ; => comments.",
    )
    add = parser.add_argument
    add("files", nargs="*", metavar="FILE", help="scripts to run in turn; - is standard input")
    add("-e", dest="texts", action="append", default=[], metavar="TEXT", help="run this text")
    add("-i", dest="stay", action="store_true", help="stay at the prompt afterwards")
    add("-D", dest="defines", action="append", default=[], metavar="NAME=VALUE",
        help="define a name, over what the script says")  # fmt: skip
    add("--seed", type=int, default=0, help="of every random number (default 0)")
    add("--backend", help="what runs training (numpy)")
    add("--quiet", action="store_true", help="no remarks on standard error")
    add("--color", choices=("auto", "always", "never"), default="auto")
    add("--json", action="store_true", help="one JSON object a line for every value and error")
    add("--version", action="version", version=f"nablisp {__version__}")
    return parser


def _run(options: argparse.Namespace) -> int:
    if options.seed < 0:
        return _wrong_use("--seed is a whole number from 0")
    session = _session(options)
    shell = _Shell(session, options)
    try:
        for define in options.defines:
            name, sign, text = define.partition("=")
            if not sign:
                return _wrong_use(f"-D takes NAME=VALUE, not {define}")
            shell.override(name.strip(), text)
    except NablispError as error:
        shell.fail(error)
        return WRONG_USE
    on_terminal = sys.stdin.isatty() and sys.stdout.isatty()
    status = FINE
    for name, text, root in _sources(options, on_terminal):
        if text is None:
            return _wrong_use(name)
        session.root = root
        status = shell.script(text, name) or status
        if status not in (FINE, DIVERGED):
            return status
    if options.stay or (on_terminal and not options.files and not options.texts):
        from .repl import prompt

        prompt(session, color=options.color)
    return status


def _wrong_use(message: str) -> int:
    print(f"error: {visible(message)}", file=sys.stderr)
    return WRONG_USE


def _session(options: argparse.Namespace) -> Any:
    from .session import Session

    note = (lambda line: None) if options.quiet else _note
    return Session(root=Path.cwd(), seed=options.seed, backend=options.backend, note=note)


def _note(line: str) -> None:
    print(f"note: {visible(line)}", file=sys.stderr)


def _sources(
    options: argparse.Namespace, on_terminal: bool
) -> Iterator[tuple[str, str | None, Path | None]]:
    """Name, text and root folder of every script; without text, the name is what is wrong."""
    files: Iterable[str] = options.files
    if not options.files and not options.texts and not on_terminal and not options.stay:
        files = ["-"]
    for file in files:
        if file == "-":
            yield "<stdin>", *_decoded("<stdin>", sys.stdin.buffer.read(), Path.cwd())
            continue
        path = Path(file)
        try:
            data = path.read_bytes()
        except OSError as error:
            yield f"{file}: {(error.strerror or 'cannot be read').lower()}", None, None
            continue
        yield file, *_decoded(file, data, path.resolve().parent)
    for text in options.texts:
        yield "<text>", text, Path.cwd()


def _decoded(name: str, data: bytes, root: Path) -> tuple[str | None, Path]:
    try:
        return data.decode("utf-8-sig"), root
    except UnicodeDecodeError as error:
        # the reader refuses the character, with its place
        return data[: error.start].decode() + "\ufffe", root


class _Shell:
    """Runs scripts in one session and prints what they show."""

    def __init__(self, session: Any, options: argparse.Namespace) -> None:
        self.session, self.json, self.quiet = session, options.json, options.quiet
        if self.json:
            session.write = lambda line: self._object({"kind": "output", "text": line})
        else:
            session.write = lambda line: print(_for(sys.stdout, line))

    def override(self, name: str, text: str) -> None:
        """`-D name=value`: the value holds whatever the script says."""
        value = None
        for _, value in self.session.values(text, name=f"-D {name}"):
            pass
        self.session.refuse(name, Span(Source(f"-D {name}", text), 0, len(text)), "definition")
        self.session.overrides[name] = self.session.definitions[name] = value

    def script(self, text: str, name: str) -> int:
        """Run one script to its end or first mistake; its status."""
        status = FINE
        try:
            for form, value in self.session.values(text, name=name):
                if value is None:
                    continue
                self.show(value, form.span.line if form.span else None)
                state = getattr(value, "status", None)
                if state == "interrupted":
                    return INTERRUPTED
                if state == "diverged":
                    status = DIVERGED
        except NablispError as error:
            self.fail(error)
            return MISTAKE
        return status

    def show(self, value: Any, line: int | None) -> None:
        from .shown import value_object

        if self.json:
            self._object(value_object(self.session, value, line))
        else:
            print(_for(sys.stdout, self.session.text(value)))

    def fail(self, error: NablispError) -> None:
        from .shown import error_object

        if self.json:
            self._object(error_object(error))
        else:
            sys.stdout.flush()
            print(draw(error), file=sys.stderr)

    @staticmethod
    def _object(found: dict[str, Any]) -> None:
        import json

        print(json.dumps(found, allow_nan=False))


def _for(stream: TextIO, text: str) -> str:
    """Text for a stream: what reaches a terminal has its control characters escaped."""
    return visible(text) if stream.isatty() else text


def _test(arguments: list[str]) -> int:
    """`nablisp test FILE…`: every value against its `; =>` comment."""
    from .transcript import play, updated

    parser = argparse.ArgumentParser(
        prog="nablisp test", description="Run scripts and compare values with their ; => comments."
    )
    parser.add_argument("files", nargs="+", metavar="FILE")
    parser.add_argument("--update", action="store_true", help="rewrite the comments instead")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    passed = failed = 0
    for file in options.files:
        path = Path(file)
        try:
            text = path.read_text("utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            return _wrong_use(f"{file}: {error}")
        try:
            steps = list(play(text, file, path.resolve().parent, options.seed))
        except NablispError as error:
            print(draw(error), file=sys.stderr)
            return MISTAKE
        if options.update:
            path.write_text(updated(text, steps), "utf-8")
            continue
        for step in steps:
            if step.expected is None:
                failed += step.shown.startswith("error: ")
                wrong = step.shown.startswith("error: ")
            else:
                wrong = not step.right
                passed, failed = passed + (not wrong), failed + wrong
            if wrong:
                print(f"{file}:{step.line}")
                print(f"  expected  {step.expected if step.expected is not None else 'no error'}")
                print(f"  got       {step.shown}")
    if not options.update:
        print(f"{passed} passed, {failed} failed")
    return MISTAKE if failed else FINE
