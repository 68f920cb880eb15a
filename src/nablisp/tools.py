"""The forms that show, load and save: rows of SPECIAL over the session."""

from __future__ import annotations

from typing import Any

from .elaborate import FUNCTIONS, LATER, SPECIAL, Machine, form_row
from .errors import NablispError, nearest
from .expr import OPS, Op
from .files import open_file
from .forms import String, Symbol
from .operations import usage
from .optimizers import METHODS, OPTIMIZERS, SCHEDULES
from .printer import brief, text
from .reader import read
from .saved import script
from .shapes import show
from .values import Arguments, Closure, Primitive, Value, expect, kind_of


@form_row("help", "(help) or (help name)", "what a name is and does", (0, 1), raw=True)
def help_(a: Arguments) -> None:
    if not a.given:
        a.session.write(_contents(a.session))
        return
    match a.given[0]:
        case Symbol(name) | String(name):
            try:
                a.session.write(help_text(a.session, name))
            except NablispError as error:
                raise error.at(a.at(0)) from None
        case other:
            raise NablispError(
                "type",
                f"help takes a name, not {brief(other)}",
                span=other.span,
                hint="(help) lists what there is",
            )


def help_text(session: Any, name: str) -> str:
    """Signature, doc, derivative, formula, example and source of a name, as far as it has them."""
    found: Value = SPECIAL.get(name)
    if name in session.definitions:
        found = session.definitions[name]
    if found is None:
        held = session.find(name)
        found = held[0] if held else None
    match found:
        case Op():
            return _operation(found)
        case Primitive():
            return _lines(found.signature, found.doc, _example(found.example), _rows_of(name))
        case Closure():
            return _lines(found.signature, found.doc, found.source.strip())
        case None:
            return _unknown(session, name)
    if name in session.parameters:
        return f"{name}  a parameter, now {brief(session.parameters[name].value)}"
    if name in session.columns:
        return f"{name}  a column of shape {show(session.shapes[name])}"
    return f"{name}  {kind_of(found)}: {brief(found)}"


def _operation(op: Op) -> str:
    lines = [usage(op), op.doc]
    partials = [text(slope) for slope in op.slopes]
    variables = ["x"] if op.arity == (1, 1) else ["x", "y", "z"]
    for variable, partial in zip(variables, partials, strict=False):
        lines.append(f"d/d{variable}  {partial}")
    if op.meaning is not None and len(text(op.meaning)) < 200:
        lines.append(f"means  {text(op.meaning)}")
    return _lines(*lines, _example(op.example))


def _rows_of(name: str) -> str:
    """What else a form takes: the rows of its own table."""
    methods = [f":by {method}  {doc}" for method, doc in METHODS.items()]
    if name != "train":
        return "\n".join(methods) if name == "minimize" else ""
    lines = [f":by {row.name}  {row.doc}" for row in OPTIMIZERS.values()] + methods
    lines += [f":schedule {signature}" for signature, _ in SCHEDULES.values()]
    lines.append(" ".join(f":{key}" for key in SPECIAL[name].keywords or ()))
    return "\n".join(lines)


def _example(example: str) -> str:
    return f"e.g. {example}" if example else ""


def _lines(first: str, *rest: str) -> str:
    return "\n".join([first, *(f"  {line}" for part in rest if part for line in part.splitlines())])


def _unknown(session: Any, name: str) -> str:
    if name in LATER:
        raise NablispError("unavailable", f"({name} …) {LATER[name]}")
    close = nearest(name, [*session.callable_names(), *session.parameters, *session.columns])
    raise NablispError(
        "unbound-name",
        f"nothing is called {name}",
        hint=f"did you mean {close}?" if close else "(help) lists what there is",
    )


def _contents(session: Any) -> str:
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


@form_row("env", "(env)", "what is declared, with shapes and values", (0, 0))
def env(a: Arguments) -> None:
    session = a.session
    for name, parameter in session.parameters.items():
        facts = [f"{name}  parameter  {brief(parameter.value)}"]
        if parameter.low is not None or parameter.high is not None:
            low = "-inf" if parameter.low is None else text(parameter.low)
            high = "inf" if parameter.high is None else text(parameter.high)
            facts.append(f"within {low} … {high}")
        if parameter.rate is not None:
            facts.append(f"rate {text(parameter.rate)}")
        if parameter.fixed:
            facts.append("fixed")
        session.write("  ".join(facts))
    for name in session.columns:
        shape = show(session.shapes[name])
        session.write(f"{name}  column  {shape}, {session.columns.rows} rows")
    for name, value in session.definitions.items():
        session.write(f"{name}  {kind_of(value)}  {brief(value)}")


@form_row("load", '(load "other.gd")', "run another script in this session", (1, 1))
def load(a: Arguments) -> Machine:
    name = expect(a.given[0], ("string",), "what load opens", a.at(0))
    loading = a.session.loading
    if name in loading:
        raise NablispError(
            "file",
            f"{name} is being loaded already",
            span=a.at(0),
            hint="a script cannot load itself",
        )
    try:
        forms = read(source_text(a.session, name), name=name, budget=a.session.budget)
    except NablispError as error:
        raise error.at(a.at(0)) from None
    loading.append(name)
    try:
        for form in forms:
            yield form, None
    finally:
        loading.remove(name)
    return None


def source_text(session: Any, name: str) -> str:
    """The text of a script under the session's root."""
    with open_file(session.root, name, "rb") as file:
        data: bytes = file.read()
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise NablispError(
            "file", f"{name} is not UTF-8 text (byte {error.start})", hint="save it as UTF-8"
        ) from None


@form_row(
    "save",
    '(save "session.gd")',
    "write the session as a script that runs again: "
    "parameters at their current values, columns in full, those of Parquet and Arrow by their file",
    (1, 1),
    acts=True,
)
def save(a: Arguments) -> None:
    name = expect(a.given[0], ("string",), "what save writes", a.at(0))
    whole = script(a.session)
    try:
        with open_file(a.session.root, name, "w") as file:
            file.write(whole)
    except NablispError as error:
        raise error.at(a.at(0)) from None
    except OSError as error:
        raise NablispError(
            "file", f'"{name}" cannot be written: {error.strerror}', span=a.at(0)
        ) from None
