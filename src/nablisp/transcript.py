"""Scripts that hold their own output: turns a text into forms with what each said and should say.

What a form shows stands after it, on its line or on the next ones:

    (val m)                       ; => 2.0010576248168945
    (train loss :lr 0.1)          ; any other comment of its own comes before
    ; => train by gd: …
    ;         from   to

Numbers agree to a relative 1e-9, blanks are as one, seconds are ignored. An error that is expected
is its first line, `; => error: …`, and the script goes on after it.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .commands import FINE, MISTAKE, Parser, decoded, os_words, replace_file, say, wrong_use
from .errors import NablispError, draw
from .limits import Limits
from .reader import read
from .session import Session

ARROW = "; =>"
_NUMBER = re.compile(r"(?<![\w.])-?(?:\d[\d,]*\.?\d*(?:e[+-]?\d+)?)(?![\w])")
_SECONDS = re.compile(r"\d[\d.]*(e-?\d+)? s\b")


@dataclass(frozen=True, slots=True)
class Step:
    """A form of a script: the line it begins on, what it showed, and what its comment says.

    `start` and `end` are the offsets of the comment, or both where it would stand if it has none;
    `bare` says that no other comment stands before it.
    """

    line: int
    shown: str
    expected: str | None
    start: int
    end: int
    bare: bool = True

    @property
    def right(self) -> bool:
        if self.expected is None:
            return not self.shown.startswith("error: ")
        return same(self.expected, self.shown)


def play(text: str, name: str, root: Path | None, seed: int = 0) -> Iterator[Step]:
    """Run a script form by form, errors included; NablispError for text that is no script."""
    said: list[str] = []
    session = Session(Limits.trusted(), root, seed=seed, write=said.append)
    forms = read(text, name=name)
    for form in forms:
        said.clear()
        span = form.span
        assert span is not None
        try:
            value = session.value_of(form)
            if value is not None:
                said.append(session.text(value))
        except NablispError as error:
            said.append(f"error: {error.message}")
        if session.interrupted:
            raise KeyboardInterrupt
        start, end, expected = _comment(span.source.text, span.end)
        bare = start == span.end
        yield Step(span.line, "\n".join(said), expected, start, end, bare)


def _comment(text: str, at: int) -> tuple[int, int, str | None]:
    """Where the `; =>` comment after an offset is, or would stand, and what it says."""
    if own := re.compile(r"[ \t]*;(?! =>)[^\n]*").match(text, at):
        at = own.end()
    match = re.compile(r"[ \t]*\n?[ \t]*; =>").match(text, at)
    if match is None:
        return at, at, None
    lines = []
    line = re.compile(r"[^\n]*").match(text, match.end())
    assert line is not None
    lines.append(line[0].removeprefix(" "))
    end = line.end()
    more = re.compile(r"\n[ \t]*;   (?P<rest>[^\n]*)")
    while following := more.match(text, end):
        lines.append(following["rest"])
        end = following.end()
    return at, end, "\n".join(lines)


def same(expected: str, shown: str) -> bool:
    """Do two texts agree, numbers to 1e-9, blanks as one, seconds ignored?"""
    a, b = (_SECONDS.sub("_ s", text) for text in (expected, shown))
    if " ".join(_NUMBER.sub("#", a).split()) != " ".join(_NUMBER.sub("#", b).split()):
        return False
    pairs = zip(_NUMBER.findall(a), _NUMBER.findall(b), strict=True)
    return all(_close(float(x.replace(",", "")), float(y.replace(",", ""))) for x, y in pairs)


def _close(x: float, y: float) -> bool:
    return x == y or abs(x - y) <= 1e-9 * max(abs(x), abs(y)) + 1e-15


def updated(text: str, steps: list[Step]) -> str:
    """The script with every comment saying what its form shows now."""
    out, at = [], 0
    for step in steps:
        out.append(text[at : step.start])
        if step.right and step.expected is not None:
            out.append(text[step.start : step.end])
        elif step.shown:
            out.append(_written(text, step))
        at = step.end
    out.append(text[at:])
    return "".join(out)


def _written(text: str, step: Step) -> str:
    """A comment for what a form showed: on its line if both are short, else below it."""
    lines = step.shown.split("\n")
    old = text[step.start : step.end]
    here = step.start - (text.rfind("\n", 0, step.start) + 1)
    ends_line = text[step.end : step.end + 1] in ("", "\n")
    # a comment of the author's that would be taken for more of ours stands apart
    apart = "\n" if re.match(r"\n[ \t]*;   ", text[step.end :][:200]) else ""
    if len(lines) == 1 and "\n" not in old and step.bare and ends_line:
        gap = re.match(r"[ \t]*", old)
        blank = gap[0] if gap and gap[0] else "  "
        if here + len(blank) + len(lines[0]) + 5 <= 100:
            return f"{blank}{ARROW} {lines[0]}{apart}"
    rest = "".join(f"\n;   {line}".rstrip() if line else "\n;   " for line in lines[1:])
    return f"\n{ARROW} {lines[0]}{rest}" + (apart if ends_line else "\n")


def main(arguments: list[str]) -> int:
    """`nablisp test FILE…`: every value against its `; =>` comment."""
    parser = Parser(
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
            data = path.read_bytes()
        except OSError as error:
            return wrong_use(f"{file}: {os_words(error)}")
        try:
            text = decoded(data, file).removeprefix("\ufeff").replace("\r\n", "\n")
            steps = list(play(text, file, path.resolve().parent, options.seed))
        except NablispError as error:
            print(draw(error), file=sys.stderr)
            return MISTAKE
        if options.update:
            end = "\r\n" if b"\r\n" in data else "\n"
            replace_file(path, updated(text, steps).replace("\n", end).encode())
            continue
        for step in steps:
            passed += step.right and step.expected is not None
            failed += not step.right
            if not step.right:
                say(f"{file}:{step.line}")
                say(f"  expected  {step.expected if step.expected is not None else 'no error'}")
                say(f"  got       {step.shown}")
    if not options.update:
        print(f"{passed} passed, {failed} failed")
    return MISTAKE if failed else FINE
