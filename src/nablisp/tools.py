"""The forms that show, load and save: rows of SPECIAL over the session."""

from __future__ import annotations

import sys
from typing import Any

from .elaborate import Machine, form_row
from .errors import NablispError
from .files import open_file, write_file
from .forms import Keyword, String, Symbol
from .help import contents, help_text
from .printer import brief, text
from .reader import read
from .saved import script
from .shapes import show
from .values import Arguments, expect, kind_of


@form_row("help", "(help) or (help name)", "what a name is and does", (0, 1), raw=True)
def help_(a: Arguments) -> None:
    if not a.given:
        a.session.write(contents(a.session))
        return
    match a.given[0]:
        case Symbol(name) | String(name) | Keyword(name) as word:
            mark = ":" if isinstance(word, Keyword) else ""
            try:
                a.session.write(help_text(a.session, mark + name))
            except NablispError as error:
                raise error.at(a.at(0)) from None
        case other:
            raise NablispError(
                "type",
                f"help takes a name, not {brief(other)}",
                span=other.span,
                hint="(help) lists what there is",
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
            if a.session.interrupted:
                break
    finally:
        loading.remove(name)
    return None


def source_text(session: Any, name: str) -> str:
    """The text of a script under the session's root."""
    with open_file(session.root, name, "rb") as file:
        data: bytes = file.read(int(min(session.budget.limits.source, sys.maxsize - 1)) + 1)
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
)
def save(a: Arguments) -> None:
    name = expect(a.given[0], ("string",), "what save writes", a.at(0))
    a.session.budget.begin()
    write_file(a.session.root, name, script(a.session).encode(), a.at(0))
