"""The command line: turns arguments into a session, scripts into printed values and a status."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from . import __version__
from .commands import (
    DIVERGED,
    FINE,
    MISTAKE,
    WRONG_USE,
    Parser,
    decoded,
    os_words,
    say,
    wrong_use,
)
from .commands import note as note_aloud
from .errors import NablispError, Source, Span, draw
from .forms import Symbol
from .process import CLOSED, INTERRUPTED, PROCESS, command

COMMANDS = {
    "check": ("checker", "say every problem, without running"),
    "fmt": ("formatter", "lay out, in place"),
    "test": ("transcript", "compare each value with its ; => comment"),
    "report": ("report_command", "write a page of what they show"),
    "resume": ("resume", "run again, every run with a checkpoint from there on"),
}
"""Words that may come first: the module whose `main` runs them, and what they do to FILE…."""


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit status. KeyboardInterrupt passes through.

    Without arguments those of the process are meant, and it ends with the status.
    """
    if arguments is None:
        command(partial(main, sys.argv[1:]))
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        named = arguments and arguments[0] in COMMANDS
        try:
            status = _command(arguments) if named else _run(arguments)
        except SystemExit as stop:  # argparse
            status = int(stop.code or 0)
        sys.stdout.flush()
    except BrokenPipeError:
        _drop_output()
        return CLOSED
    except OSError as error:
        _drop_output()
        print(f"error: output cannot be written: {os_words(error)}", file=sys.stderr)
        return MISTAKE
    return status


def _command(given: list[str]) -> int:
    """One of COMMANDS, by the `main` of its module."""
    word, *arguments = given
    module = import_module(f".{COMMANDS[word][0]}", __package__)
    status: int = module.main(arguments)
    return status


def _drop_output() -> None:
    """What is still in the buffers cannot be written; let the interpreter not try again."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="nablisp",
        formatter_class=lambda prog: argparse.HelpFormatter(prog, width=98),
        description="A little Lisp for gradient descent.",
        epilog="Without files: a prompt on a terminal, else standard input is a script. "
        + " ".join(f"nablisp {word} FILE…: {doc}." for word, (_, doc) in COMMANDS.items()),
    )
    add = parser.add_argument
    add("files", nargs="*", metavar="FILE", help="scripts to run in turn; - is standard input")
    add("-e", dest="texts", action="append", default=[], metavar="TEXT", help="run this text")
    add("-i", dest="stay", action="store_true", help="stay at the prompt afterwards")
    add(
        "-D",
        dest="defines",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="define a name, over what the script says",
    )
    add("--seed", type=int, default=0, help="of every random number (default 0)")
    add("--backend", help="what runs training: native or numpy (default: what pays)")
    add("--threads", type=int, help="at most so many for native runs (default: all cores)")
    add("--explain", action="store_true", help="say which backend ran each run, and how fast")
    add("-v", dest="verbose", action="store_true", help="with --explain: show the compiled step")
    add("--watch", action="store_true", help="show the model moving over its data while it trains")
    add("--resume", action="store_true", help="every run with a :checkpoint goes on from it")
    add("--quiet", action="store_true", help="no remarks on standard error")
    add("--color", choices=("auto", "always", "never"), default="auto", help="of errors")
    add("--json", action="store_true", help="one JSON object a line for every value and error")
    add("--version", action="version", version=f"nablisp {__version__}")
    return parser


def _run(given: list[str]) -> int:
    options, unknown = _parser().parse_known_args(given)
    if unknown:
        _parser().error(f"unrecognized arguments: {' '.join(unknown)}")
    try:
        session = _session(options)
        shell = _Shell(session, options)
        for define in options.defines:
            shell.override(define)
    except NablispError as error:
        print(draw(error), file=sys.stderr)
        return WRONG_USE
    on_terminal = sys.stdin.isatty() and sys.stdout.isatty()
    prompts = on_terminal and (options.stay or not (options.files or options.texts))
    status = FINE
    for name, text, root in _sources(options, prompts):
        if text is None:
            return wrong_use(name)
        session.root, session.script = root, Path(name).resolve().name
        status = shell.script(text, name) or status
        if status not in (FINE, DIVERGED) and not prompts:
            return status
    if prompts:
        from .repl import prompt

        PROCESS.converse()
        prompt(session, color=options.color, files=options.files)
        return FINE
    return status


def _session(options: argparse.Namespace) -> Any:
    from .session import Session

    note = (lambda line: None) if options.quiet else note_aloud
    session = Session(
        root=Path.cwd(),
        seed=options.seed,
        backend=options.backend,
        threads=options.threads,
        note=note,
    )
    if not options.quiet:
        session.watch = partial(_watching, options.color)
    session.watches, session.resumes = options.watch, options.resume
    session.explain = options.explain + options.verbose if options.explain else 0
    return session


def _watching(color: str, asked: bool) -> Any:
    """Who looks at the runs of the command line."""
    from .live import watching
    from .shown import wants_color

    return watching(asked, sys.stderr, wants_color(color, sys.stderr))


def _sources(
    options: argparse.Namespace, prompts: bool
) -> Iterator[tuple[str, bytes | None, Path]]:
    """Name, text and root folder of every script; without text, the name is what is wrong."""
    for file in options.files:
        if file == "-":
            yield "<stdin>", sys.stdin.buffer.read(), Path.cwd()
            continue
        path = Path(file)
        try:
            yield file, path.read_bytes(), path.resolve().parent
        except OSError as error:
            yield f"{file}: {os_words(error)}", None, path
    for text in options.texts:
        yield "<text>", text.encode("utf-8", "surrogatepass"), Path.cwd()
    if not prompts and (options.stay or not (options.files or options.texts)):
        yield "<stdin>", sys.stdin.buffer.read(), Path.cwd()


class _Shell:
    """Runs scripts in one session and prints what they show."""

    def __init__(self, session: Any, options: argparse.Namespace) -> None:
        self.session, self.json, self.color = session, options.json, options.color
        session.write = self._write

    def override(self, define: str) -> None:
        """`-D name=value`: the value holds whatever the script says."""
        from .reader import read

        name, sign, text = define.partition("=")
        source = Source("-D", define)
        match read(name) if sign else []:
            case [Symbol(name)]:
                pass
            case _:
                raise NablispError("syntax", "-D takes NAME=VALUE", span=Span(source, 0, len(name)))
        self.session.refuse(name, Span(source, 0, len(name)), "definition")
        found = list(self.session.values(text, name=f"-D {name}"))
        if len(found) != 1 or found[0][1] is None:
            raise NablispError(
                "syntax",
                "-D takes NAME=VALUE, one value",
                span=Span(source, len(name) + 1, len(define)),
            )
        self.session.overrides[name] = found[0][1]

    def script(self, data: bytes, name: str) -> int:
        """Run one script to its end or first mistake; its status."""
        status = FINE
        try:
            for form, value in self.session.values(decoded(data, name), name=name):
                if value is not None:
                    self.show(value, form.span.line if form.span else None)
                if getattr(value, "status", None) == "diverged":
                    status = DIVERGED
        except NablispError as error:
            self.fail(error)
            return MISTAKE
        return INTERRUPTED if self.session.interrupted else status

    def show(self, value: Any, line: int | None) -> None:
        from .figure import Figure, Movie
        from .showing import show_picture
        from .shown import value_object, wants_color

        if self.json:
            self._object(value_object(self.session, value, line))
        elif isinstance(value, Figure | Movie):
            show_picture(value, sys.stdout, wants_color(self.color, sys.stdout))
        else:
            say(self.session.text(value))

    def fail(self, error: NablispError) -> None:
        from .shown import error_object, painted, wants_color

        if self.json:
            self._object(error_object(error))
        else:
            text = draw(error)
            print(painted(text) if wants_color(self.color, sys.stderr) else text, file=sys.stderr)

    def _write(self, line: str) -> None:
        """What the program prints."""
        if self.json:
            self._object({"kind": "output", "text": line})
        else:
            say(line)

    @staticmethod
    def _object(found: dict[str, Any]) -> None:
        import json

        print(json.dumps(found, allow_nan=False), flush=True)
