"""What every name is and does: turns the tables and the session into pages of help and searches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .backends import BACKENDS
from .elaborate import CONSTANTS, FUNCTIONS, LATER, SPECIAL
from .errors import NablispError, meant
from .expr import OPS, Op
from .operations import usage
from .optimizers import METHODS, OPTIMIZERS, SCHEDULES, Optimizer
from .printer import brief, text
from .results import STATUS
from .shapes import show
from .values import Closure, Formula, Primitive, Value, kind_of

FOUND = 30
"""Most lines that a search shows."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A name in one of its meanings: its kind, how it is written, one line of doc, more lines."""

    name: str
    kind: str
    signature: str
    doc: str
    row: Any = None

    @property
    def is_callable(self) -> bool:
        return isinstance(self.row, Op | Primitive | Closure | Formula)


# ---- names ---------------------------------------------------------------------------------------


def entries(session: Any) -> Iterator[Entry]:
    """Every name there is: those of the session first, then forms and whatever is built in."""
    for name, parameter in session.parameters.items():
        yield Entry(name, "parameter", name, f"a parameter, now {brief(parameter.value)}")
    for name in session.columns:
        yield Entry(name, "column", name, f"a column of shape {show(session.shapes[name])}")
    for name, value in session.definitions.items():
        yield _entry(name, "definition", value)
    for name, row in SPECIAL.items():
        yield _entry(name, "form", row)
    for name, row in FUNCTIONS.items():
        yield _entry(name, "function", row)
    for name, op in OPS.items():
        yield _entry(name, "operation", op)
    for name, value in session.prelude().items():
        if name not in session.definitions:
            yield _entry(name, "prelude", value)
    for name, value in CONSTANTS.items():
        yield Entry(name, "constant", name, f"a constant, {str(value).lower()}")
    for name, optimizer in OPTIMIZERS.items():
        yield Entry(name, "optimizer", f":by {name}", optimizer.doc, optimizer)
    for name, doc in METHODS.items():
        yield Entry(name, "method", f":by {name}", doc)
    for name, (signature, rate) in SCHEDULES.items():
        yield Entry(name, "schedule", f":schedule {signature}", f"the rate at step t is {rate}")
    for name, doc in BACKENDS.items():
        yield Entry(name, "backend", f":backend {name}", doc)
    for name, doc in STATUS.items():
        yield Entry(name, "status", f"status {name}", doc)


def names_of(session: Any) -> set[str]:
    """Every name that has a page."""
    return {entry.name for entry in entries(session)}


def _entry(name: str, kind: str, value: Value) -> Entry:
    """A name that is bound to a value."""
    match value:
        case Op():
            return Entry(name, kind, usage(value), value.doc, value)
        case Primitive():
            return Entry(name, kind, value.signature, value.doc, value)
        case Closure():
            return Entry(name, kind, value.signature, value.doc or _remark(value), value)
        case Formula():
            return Entry(name, kind, value.signature, brief(value.body), value)
    return Entry(name, kind, name, f"{kind_of(value)}: {brief(value)}")


def _remark(function: Closure) -> str:
    """The comment line above a definition, which says what it does."""
    span = function.body[0].span if function.body else None
    if span is None or not function.source:
        return ""
    text = span.source.text
    start = max(text.rfind(function.source, 0, span.start + len(function.source)), 0)
    line = text.rfind("\n", 0, start) + 1
    above = text[text.rfind("\n", 0, max(line - 1, 0)) + 1 : max(line - 1, 0)].strip()
    alone = not text[line:start].strip() and above.startswith(";")
    return above.lstrip(";").strip() if alone else ""


def called(session: Any, name: str) -> Entry | None:
    """What a name at the head of a list is, if anything there."""
    if name in SPECIAL:
        return _entry(name, "form", SPECIAL[name])
    own = session.definitions.get(name)
    for kind, value in (
        ("definition", own),
        ("function", FUNCTIONS.get(name)),
        ("operation", OPS.get(name)),
        ("prelude", session.prelude().get(name)),
    ):
        if value is not None:
            found = _entry(name, kind, value)
            return found if found.is_callable else None
    return None


def keywords(entry: Entry | None) -> tuple[str, ...]:
    """The keywords that a form or operation takes."""
    match entry.row if entry else None:
        case Primitive(keywords=known):
            return known or ()
        case Op() as op:
            return tuple(name for name in op.options if name not in op.trailing)
    return ()


# ---- pages ---------------------------------------------------------------------------------------


def help_text(session: Any, name: str) -> str:
    """Signature, doc, derivative, formula, example and source of a name, as far as it has them."""
    pages = [_page(entry) for entry in entries(session) if entry.name == name]
    if name.startswith(":"):
        takers = [e.name for e in entries(session) if name[1:] in keywords(e)]
        pages += [_lines(name, f"a keyword of {', '.join(takers)}")] if takers else []
    if not pages:
        raise _unknown(session, name)
    return "\n".join(pages)


def _page(entry: Entry) -> str:
    match entry.row:
        case Op() as op:
            return _lines(entry.signature, entry.doc, *_operation(op), _example(op.example))
        case Primitive() as row:
            return _lines(entry.signature, entry.doc, _example(row.example), _rows_of(row))
        case Closure() as function:
            return _lines(entry.signature, entry.doc, function.source.strip())
        case Optimizer() as rule:
            return _lines(entry.signature, entry.doc, *_updates(rule))
    if entry.signature == entry.name:
        return f"{entry.name}  {entry.doc}"
    return _lines(entry.signature, entry.doc)


def _operation(op: Op) -> Iterator[str]:
    """Its derivatives, and what it means in simpler ones."""
    variables = ["x"] if op.arity == (1, 1) else ["x", "y", "z"]
    for variable, partial in zip(variables, map(text, op.slopes), strict=False):
        yield f"d/d{variable}  {partial}"
    if op.meaning is not None and len(text(op.meaning)) < 200:
        yield f"means  {text(op.meaning)}"


def _updates(rule: Optimizer) -> Iterator[str]:
    """How an optimizer moves, and what can be set."""
    yield from (f"{name} ← {formula}" for name, formula in rule.update.items())
    settings = {"lr": rule.rate, **rule.settings}
    yield " ".join(f":{name} {text(value)}" for name, value in settings.items())


def _rows_of(row: Primitive) -> str:
    """What else a form takes: its keywords, and the rows of its own table."""
    lines = []
    if "by" in (row.keywords or ()):
        ways = {} if row.name != "train" else {r.name: r.doc for r in OPTIMIZERS.values()}
        lines += [f":by {name}  {doc}" for name, doc in (ways | METHODS).items()]
    if "schedule" in (row.keywords or ()):
        lines += [f":schedule {signature}" for signature, _ in SCHEDULES.values()]
    lines.append(" ".join(f":{key}" for key in row.keywords or ()))
    return "\n".join(lines)


def _example(example: str) -> str:
    return f"e.g. {example}" if example else ""


def _lines(first: str, *rest: str) -> str:
    return "\n".join([first, *(f"  {line}" for part in rest if part for line in part.splitlines())])


def _unknown(session: Any, name: str) -> NablispError:
    if name in LATER:
        return NablispError("unavailable", f"({name} …) {LATER[name]}")
    return NablispError(
        "unbound-name",
        f"nothing is called {name}",
        hint=meant(name, names_of(session), "(help) lists what there is"),
    )


def contents(session: Any) -> str:
    """The names of the language, by what they are."""

    def listed(names: Any) -> str:
        return " ".join(names)

    return "\n".join(
        (
            "forms:      " + listed(SPECIAL),
            "functions:  " + listed(FUNCTIONS),
            "operations: " + listed(OPS),
            "prelude:    " + listed(session.prelude()),
            "(help name) says more",
        )
    )


# ---- searching -----------------------------------------------------------------------------------


def search(session: Any, words: str) -> str:
    """Names that hold all the words, then those whose docs do, a line each; or NablispError."""
    wanted = words.lower().split()
    if not wanted:
        raise NablispError("arity", "a search wants a word", hint="??mean")
    named, told = [], []
    for entry in entries(session):
        line = f"{entry.signature}  {entry.doc}"
        if all(word in entry.name.lower() for word in wanted):
            named.append(line)
        elif all(word in line.lower() for word in wanted):
            told.append(line)
    found = named + told
    if not found:
        raise NablispError(
            "unbound-name",
            f"nothing is called {words}, or speaks of it",
            hint=meant(words, names_of(session), "(help) lists what there is"),
        )
    more = [f"… and {len(found) - FOUND} more"] if len(found) > FOUND else []
    return "\n".join(found[:FOUND] + more)
