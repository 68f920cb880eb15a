"""What holds of every text: turns a text into nothing, or into the first promise that it breaks.

Each of WAYS takes a text through one public door. Whatever leaves a door that is no NablispError is
a mistake of ours and passes through here as it is; `Broken` says which other promise does not hold.
Every error of a program has a span: only what Python is given beside a text (an array, a frame, the
name of a file for `open_data`) may be wrong without a place.
"""

from __future__ import annotations

import contextlib
import io
import json
import random
import re
import time
import zlib
from collections import Counter
from collections.abc import Callable, Container, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from pygments.token import Error

from nablisp import Limits, NablispError, Session, draw, gradient, parse, read
from nablisp import compile as compile_formula
from nablisp.checker import problems
from nablisp.cli import main
from nablisp.errors import KINDS, Incomplete
from nablisp.expr import Expr, names, postorder
from nablisp.figure import Figure, Movie
from nablisp.formatter import formatted
from nablisp.forms import Form
from nablisp.highlight import NablispLexer
from nablisp.operations import simplest
from nablisp.pictures.fragments import fragment
from nablisp.printer import text as printed
from nablisp.reader import recovered
from nablisp.repl.beside import beside
from nablisp.repl.brackets import finished, nesting
from nablisp.repl.complete import suggestions
from nablisp.repl.indent import indentation
from nablisp.repl.pasted import pasted, unprompted
from nablisp.repl.signature import cut, signature
from nablisp.repl.wrapped import wrapped
from nablisp.saved import script
from nablisp.showing import show_picture
from nablisp.shown import error_object, value_object
from nablisp.transcript import play, same, updated
from nablisp.values import kind_of

SECONDS = 0.1
LIMITS = replace(
    Limits.untrusted(),
    seconds=SECONDS,
    nodes=20_000,
    depth=2_000,
    steps=100_000,
    bytes=2**24,
    work=1e7,
)
LONG = 100_000
"""Characters of a saved session that is not run again: it would take long."""
LARGE = 10_000
"""Elements of an array that is not made into JSON: that is for shells, and has no clock."""
LATE = 1.0
"""Seconds of processor time after which a program that had SECONDS is too late."""


class Broken(AssertionError):  # noqa: N818  # said of a promise
    """A promise that does not hold."""


def hold(promise: bool, words: str, *what: object) -> None:
    if not promise:
        raise Broken(": ".join((words, *map(repr, what))))


# ---- errors --------------------------------------------------------------------------------------

_INTERNAL = re.compile(
    r"object at 0x|Traceback|<(?:class|function|bound method|built-in|module) |\bnablisp\.[a-z_]+\."
    r"|dtype=|NoneType|mappingproxy|'[a-z]+' object"
)


def check_words(words: str, given: str) -> None:
    """Words for the user have nothing of Python's in them that the user did not write."""
    found = _INTERNAL.search(words)
    hold(found is None or found[0] in given, "words with our internals in them", words)


def check_error(error: NablispError, text: str, *, placed: bool = True) -> None:
    """An error of a kind there is, in words, with a place inside its source."""
    hold(error.kind in KINDS, "a kind of error that there is not", error.kind)
    hold(bool(error.message.strip()), "an error without words", error.kind)
    hold((error.kind == "incomplete") == isinstance(error, Incomplete), "incomplete, or not", error)
    check_words(f"{error.message}\n{error.hint}", text)
    drawn = draw(error)
    hold(all(c == "\n" or c.isprintable() for c in drawn), "control characters drawn", drawn)
    json.dumps(error_object(error), allow_nan=False)
    if error.span is None:
        hold(not placed, "an error without a place", error.kind, error.message)
        return
    source, start, end = error.span
    hold(source.name != "prelude.gd", "an error in the prelude", error.message)
    hold(0 <= start <= end <= len(source.text), "a span outside of its source", error.span)
    before = re.split(r"\r\n|\r|\n", source.text[:start] + "|")
    if source.text[start - 1 : start + 1] != "\r\n":
        place = (error.span.line, error.span.column)
        hold(place == (len(before), len(before[-1])), "another line and column", place)


def check_own(error: NablispError, text: str, others: Container[str] = ()) -> None:
    """An error of this text, or of one that it may call or load."""
    check_error(error, text)
    assert error.span is not None
    said = error.span.source.text
    plain = text.removeprefix("\ufeff")
    own = said in (plain, plain[:100]) or said in others or error.span.file == "a.gd"
    hold(own, "a span in another text", said[:200])


# ---- doors ---------------------------------------------------------------------------------------


class Bench:
    """What inputs are tried on: a session for many of them, a folder for their files."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.texts: set[str] = set()
        """what the session was given: errors in a function point to where it was written"""
        self.met: Counter[str] = Counter()
        """how often forms had a value, and errors of each kind"""
        self.begin()

    def begin(self) -> None:
        """A new session, an empty folder."""
        for path in self.root.iterdir():
            path.unlink()
        self.session = fresh(self.root)
        self.texts.clear()


def fresh(root: Path | None = None) -> Session:
    return Session(LIMITS, root, threads=1, write=lambda line: None)


def chooser(text: str) -> random.Random:
    """What decides how a text is tried: the same each time."""
    return random.Random(zlib.crc32(text.encode("utf-8", "surrogatepass")))


@contextlib.contextmanager
def in_time(what: str, seconds: float = SECONDS) -> Iterator[None]:
    began = time.process_time()
    yield
    took = time.process_time() - began
    hold(took < seconds + LATE, f"{what} takes {took:.2f} s")


def by_reading(text: str, bench: Bench) -> None:
    """Forms print as text that reads as the same forms, and so does each one's own text."""
    try:
        forms = read(text)
    except NablispError as error:
        check_own(error, text)
        mistakes = recovered(text)[1]
        hold(bool(mistakes), "nothing wrong with a text that does not read")
        for mistake, _ in mistakes:
            check_own(mistake, text)
        return
    hold(repr(recovered(text)) == repr((forms, [])), "recovered differs from read")
    again = " ".join(map(printed, forms))
    hold(same_forms(read(again), forms), "forms read back as others", again)
    for form in forms[-3:]:
        assert form.span is not None
        own = read(form.span.text)
        hold(same_forms(own, [form]), "the text of a span reads as another form", form)


def same_forms(some: list[Form], others: list[Form]) -> bool:
    """Are these the same but for their places? nan, which no number equals, is by its text."""
    return list(map(repr, some)) == list(map(repr, others))


def by_layout(text: str, bench: Bench) -> None:
    """The layout changes no form, and is its own layout."""
    try:
        forms = read(text)
    except NablispError:
        with contextlib.suppress(NablispError):
            formatted(text)
            raise Broken("a text that does not read has a layout") from None
        return
    new = formatted(text)
    hold(same_forms(read(new), forms), "the layout changes a form", new)
    hold(formatted(new) == new, "the layout has another layout", new)


def by_running(text: str, bench: Bench, session: Session) -> bool:
    """Each form in turn, after mistakes too: values are shown in every way there is.

    Did it keep clear of all limits, so that it may run without any?
    """
    by = chooser(text)
    bench.texts.add(text.removeprefix("\ufeff"))
    session.budget.restart()
    try:
        forms = read(text, budget=session.budget)
    except NablispError as error:
        bench.met[error.kind] += 1
        check_own(error, text)
        return False
    easy = True
    with in_time("a program", SECONDS * (1 + len(forms))):
        for form in forms:
            session.budget.restart()
            try:
                value = session.value_of(form)
            except NablispError as error:
                bench.met[error.kind] += 1
                easy = easy and error.kind != "limit"
                check_own(error, text, bench.texts)
            else:
                bench.met["value"] += 1
                show(session, value, by, bench.texts)
    session.budget.restart()
    hold(session.value_of(_SUM) == 3, "the session is spoilt")
    hold(session.budget.held >= 0, "arrays held", session.budget.held)
    return easy


def runs_through(text: str, bench: Bench) -> bool:
    return by_running(text, bench, fresh())


_SUM = read("(+ 1 2)")[0]


def show(session: Session, value: Any, by: random.Random, texts: Container[str]) -> None:
    """A value as shells show it; what is text reads back, what is a formula goes further."""
    if value is None:
        return
    shown = session.text(value)
    check_words(shown.partition("import numpy as np\n")[0], "")
    kind = kind_of(value)
    if np.size(value) < LARGE:
        json.dumps(value_object(session, value, 1), allow_nan=False)
    if by.random() < 0.1:
        fragment(value)
        beside(session, value)
    if isinstance(value, Figure | Movie):
        stream = io.StringIO()
        show_picture(value, stream, by.random() < 0.5)
        hold(bool(stream.getvalue().strip()), "an empty picture")
    whole = len(shown) < 3000 and "…" not in shown
    inside = list(names(value)) if isinstance(value, Expr) else []
    if whole and kind in READABLE and session.definitions.keys().isdisjoint(inside):
        session.budget.restart()
        try:
            again = session.value_of(read(shown)[0])
        except NablispError as error:
            hold(error.kind == "limit", "a value does not read back", shown, error.message)
        else:
            hold(same_value(session, again, value), "a value reads back as another", shown, again)
    if isinstance(value, Expr) and whole and by.random() < 0.3:
        further(session, value, inside, by, texts)


READABLE = ("number", "boolean", "string", "array", "expression")


def same_value(session: Session, again: Any, value: Any) -> bool:
    """What is read back: of a formula, what has no names in it may be computed, and nan is nan."""
    if not isinstance(value, Expr):
        return alike(again, value)
    folded = re.search(r"\bnan\b|\b(and|or|not) ", str(value)) is not None
    if folded or again is value or again is simplest(session, value):
        return True
    return not names(value) and alike(again, session.value(value))


def alike(a: Any, b: Any) -> bool:
    """The same value of the same sort, bit by bit but for the sign of nan."""
    if isinstance(a, float) or isinstance(b, float):
        return type(a) is type(b) and repr(a) == repr(b)
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return (
            type(a) is type(b)
            and a.shape == b.shape
            and (a.dtype == b.dtype or not a.size)
            and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
        )
    return type(a) is type(b) and a == b


FURTHER = [
    "(simplify #)",
    "(d # %)",
    "(d # % %)",
    "(d # % :raw true)",
    "(grad #)",
    "(grad # %)",
    "(hessian #)",
    "(jacobian [# (* 2 #)])",
    "(check-grad #)",
    "(val # :% 0.5)",
    "(val # :% [0.5 1.5])",
    "(val # :bound true)",
    "(subst # :% (+ % 1))",
    "(latex #)",
    "(export # :to latex :grad true)",
    "(export # :to mathml :grad true)",
    "(export # :to c :grad true)",
    "(export # :to python :grad true)",
    "(plot # :over (% -1 1))",
    "(minimize # :from ((% 0.5)) :steps 3)",
    "(advise #)",
    "(train # :steps 3 :lr 0.01)",
    "(fit # (* m %))",
    "(where (> # 0) # 1)",
    "(shape #)",
]
"""What may be done with a formula `#` and one of its names `%`."""


def further(
    session: Session, value: Expr, inside: list[str], by: random.Random, texts: Container[str]
) -> None:
    """One more form around a formula; now and then the functions that Python has for it."""
    name = by.choice(inside) if inside else "a"
    asked = by.choice(FURTHER).replace("%", name).replace("#", str(value))
    session.budget.restart()
    try:
        result = session.value_of(read(asked)[0])
        if not asked.startswith("(export"):
            check_words(session.text(result), asked)
        if np.size(result) < LARGE:
            json.dumps(value_object(session, result, 1), allow_nan=False)
    except NablispError as error:
        check_own(error, asked, texts)
    if by.random() < 0.1 and len(postorder(value)) < 200:
        with contextlib.suppress(NablispError):
            from_python(value, inside)


def from_python(value: Expr, inside: list[str]) -> None:
    """The same formula without a session: its names are numbers."""
    for root in (parse(str(value)), *gradient(value, inside)):
        f = compile_formula(root, inside)
        one = f(*[0.5] * len(inside))
        many = f(*[np.full(3, 0.5)] * len(inside))
        hold(
            np.array_equal(many, np.full(3, one), equal_nan=True), "compiled", str(root), one, many
        )


def by_checking(text: str, bench: Bench) -> None:
    """`nablisp check` says problems that have a place, in the order of the text."""
    with in_time("check", 2 * SECONDS):
        found = problems(text, root=bench.root, limits=LIMITS)
    for error in found:
        check_own(error, text)
    places = [e.span.start for e in found if e.span and e.span.file == "<input>"]
    hold(places == sorted(places), "problems out of order", places)


def by_colouring(text: str, bench: Bench) -> None:
    """The colours cover the text, and nothing is outside of the lexer's table."""
    tokens = list(NablispLexer(stripnl=False, ensurenl=False).get_tokens_unprocessed(text))
    hold("".join(part for _, _, part in tokens) == text, "colours lose text")
    hold(all(token is not Error for _, token, _ in tokens), "a token without colour")


def by_typing(text: str, bench: Bench) -> None:
    """What the prompt says at places of the text: pure functions of what stands before them."""
    by = chooser(text)
    session = bench.session
    unprompted(pasted(text))
    finished(text)
    for at in (by.randint(0, len(text)), len(text)):
        before = text[:at]
        nest = nesting(before)
        hold(all(before[i] in "([" for i in nest.open), "an open bracket that is none", nest)
        hold(0 <= indentation(before) <= max(2, 2 * len(before)), "indentation", before)
        for word in suggestions(before, session)[:20]:
            hold(0 <= word.length <= len(before), "a suggestion for more than there is", word)
        first, doc = cut(*signature(before, session), 60)
        check_words(first + doc, text)
        for line in wrapped(first, 40).splitlines():
            hold(len(line) <= 60, "a line that is not wrapped", line)


def by_transcript(text: str, bench: Bench) -> None:
    """A script with its output written into it says what it shows, and once more."""
    if re.search("time|seconds|\r", text) or not runs_through(text, bench):
        return
    text = text.removeprefix("\ufeff")  # as the command does
    try:
        steps = list(play(text, "<input>", None))
    except NablispError as error:
        check_own(error, text)
        return
    if any(len(step.shown) > LONG for step in steps):
        return
    new = updated(text, steps)
    try:
        again = list(play(new, "<input>", None))
    except NablispError as error:
        raise Broken(f"a transcript that does not read: {error.message}") from None
    for step in again:
        hold(step.expected is None or same(step.expected, step.shown), "a transcript", step)


def by_command(text: str, bench: Bench) -> None:
    """The command line: values as JSON on one stream, no traceback on the other."""
    if not runs_through(text, bench):
        return
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main(["--json", "--threads", "1", "-e", text])
    hold(status in (0, 1, 2, 3), "an exit status", status)
    hold("Traceback" not in err.getvalue(), "a traceback", err.getvalue())
    for line in out.getvalue().splitlines():
        json.loads(line)


def by_saving(text: str, bench: Bench) -> None:
    """A session saved as a script runs again, and is saved as the same script."""
    session = fresh(None)
    with contextlib.suppress(NablispError):
        for form in read(text, budget=session.budget):
            with contextlib.suppress(NablispError):
                session.value_of(form)
    session.fits = None  # it is run again, and moves
    saved = _without_remarks(script(session))
    if len(saved) > LONG:
        return
    other = fresh(None)
    other.budget = type(other.budget)(replace(LIMITS, seconds=60, source=2 * LONG))
    try:
        other.run(saved)
    except NablispError as error:
        raise Broken(f"what is saved does not run: {error.message}: {saved[:2000]}") from None
    again = _without_remarks(script(other))
    hold(again == saved, "what is saved is saved otherwise", saved[:2000], again[:2000])


def _without_remarks(saved: str) -> str:
    """Without the comments that stand for what has no text."""
    return re.sub(r"(?m)^; .*\n", "", saved)


class Way(NamedTuple):
    """A door: what goes through it, and the share of texts that do."""

    check: Callable[[str, Bench], None]
    share: float


def _shared(text: str, bench: Bench) -> None:
    by_running(text, bench, bench.session)


def _fresh(text: str, bench: Bench) -> None:
    by_running(text, bench, fresh(bench.root))


WAYS: dict[str, Way] = {
    "read": Way(by_reading, 0.4),
    "layout": Way(by_layout, 0.2),
    "run": Way(_shared, 0.5),
    "run afresh": Way(_fresh, 0.3),
    "check": Way(by_checking, 0.1),
    "colour": Way(by_colouring, 0.2),
    "type": Way(by_typing, 0.05),
    "save": Way(by_saving, 0.05),
    "transcript": Way(by_transcript, 0.02),
    "command": Way(by_command, 0.02),
}


def check_text(text: str, bench: Bench, ways: dict[str, Way] = WAYS) -> None:
    """Take a text through the doors that its hash chooses."""
    by = chooser(text)
    for name, way in ways.items():
        if by.random() < way.share:
            try:
                way.check(text, bench)
            except Exception as error:
                error.add_note(name)
                raise


def check_data(name: str, data: bytes, bench: Bench) -> None:
    """A file of bytes is columns, or an error that has a place in the form that asked for it."""
    (bench.root / name).write_bytes(data)
    text = f'(data "{name}")'
    by = random.Random(zlib.crc32(data))
    if by.random() < 0.3:
        text = f'(data "{name}" {by.choice(("x", "y x", "x :classes s", ":missing drop"))})'
    session = fresh(bench.root)
    with in_time("a file"):
        try:
            session.run(text)
            for column in session.columns:
                session.run(f"(val (sum {column}))")
                session.run(f"(val (mean (* {column} {column})))")
            script(session)
        except NablispError as error:
            check_error(error, text + data.decode("utf-8", "replace"))
    (bench.root / name).unlink()
