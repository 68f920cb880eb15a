"""`nablisp report FILE…`: turns scripts, run in turn, into one page of all that they showed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .commands import (
    DIVERGED,
    FINE,
    MISTAKE,
    Parser,
    decoded,
    note,
    os_words,
    replace_file,
    say,
    wrong_use,
)
from .errors import NablispError, Source, draw
from .pictures.page import Page, Shown, size_words
from .reader import read
from .session import Session


def main(arguments: list[str]) -> int:
    """Write the page; the status is that of running, and after a mistake there is no page."""
    parser = Parser(
        prog="nablisp report",
        description="Run scripts, and write one page of what they show, with their pictures. "
        "It needs no network and no scripts.",
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help="- is standard input")
    parser.add_argument(
        "-o", dest="out", metavar="PAGE", help="default: FILE with .html; - is standard output"
    )
    parser.add_argument("--title", help="default: the name of the first file")
    parser.add_argument("--seed", type=int, default=0, help="of every random number (default 0)")
    options = parser.parse_args(arguments)
    first = Path(options.files[0])
    out = options.out or ("-" if options.files[0] == "-" else str(first.with_suffix(".html")))
    if any(Path(out) == Path(file) != Path("-") for file in options.files):
        return wrong_use(f"{out} is a program: -o names the page")
    status = FINE
    programs: list[Source] = []
    shown: list[Shown] = []
    session = Session(root=Path.cwd(), seed=options.seed, note=note)
    session.watches = True
    for file in options.files:
        try:
            data = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
        except OSError as error:
            return wrong_use(f"{file}: {os_words(error)}")
        session.root = Path.cwd() if file == "-" else Path(file).resolve().parent
        name = "<stdin>" if file == "-" else file
        try:
            text = decoded(data, name)
            programs.append(Source(Path(name).name, text))
            shown += steps(session, text, name)
        except NablispError as error:
            print(draw(error), file=sys.stderr)
            return MISTAKE
        ends = [getattr(value, "status", "") for item in shown for value in item.values]
        status = DIVERGED if "diverged" in ends else FINE
    page = Page(options.title or programs[0].name, programs, shown).html()
    return _written(out, page) or status


def steps(session: Session, text: str, name: str) -> Iterator[Shown]:
    """What the forms of a program show, as they are run; runs that no form shows, too."""
    printed: list[str] = []
    before: set[int] = {id(run) for run in session.runs}
    session.write = printed.append
    session.budget.restart()
    for form in read(text, name=name, budget=session.budget):
        printed.clear()
        value = session.value_of(form)
        values: list[Any] = [run for run in session.runs if id(run) not in before]
        before |= {id(run) for run in values}
        if value is not None and not any(value is run for run in values):
            values.append(value)
        if session.interrupted:
            raise KeyboardInterrupt
        yield Shown(form.span.text if form.span else "", tuple(printed), values)


def _written(out: str, page: str) -> int:
    if out == "-":
        say(page, end="")
        return FINE
    data = page.encode()
    try:
        replace_file(Path(out), data)
    except OSError as error:
        wrong_use(f"{out} cannot be written: {os_words(error)}")
        return MISTAKE
    note(f"{out}: {size_words(len(data))}")
    return FINE
