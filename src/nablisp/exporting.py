"""The form that writes formulas for other programs: a row of SPECIAL over notation."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import PurePosixPath

from .elaborate import Machine, form_row
from .errors import NablispError
from .expr import as_expr, names
from .files import write_file
from .forms import String, Symbol
from .notation import ENDINGS, LANGUAGES, variables, written
from .printer import brief
from .values import Arguments, expect


@dataclass(frozen=True, slots=True)
class Code:
    """A formula in another language; it shows as its text."""

    language: str
    text: str = field(repr=False)


@form_row(
    "export",
    "(export e :to c :grad true :name my_loss)",
    "the formula in latex, mathml, c or python, with :grad true its gradient too, by the "
    'parameters in it, else by all its names; :to "loss.c" writes a file (.tex .mml .xml .c .py)',
    (1, 1),
    keywords=("to", "grad", "name"),
    raw=True,
    example="(export (* a (exp (* k x))) :to c :grad true)",
)
def export(a: Arguments) -> Machine:
    e = as_expr(
        expect((yield a.given[0], a.scope), ("number", "array", "expression"), "what export writes",
               a.at(0))
    )  # fmt: skip
    grad = False
    if "grad" in a.named:
        found = yield a.named["grad"], a.scope
        grad = expect(found, ("boolean",), ":grad", a.at("grad"))
    language, file = _language(a)
    name = a.named.get("name", Symbol("formula"))
    if not isinstance(name, (Symbol, String)):
        raise NablispError("type", f":name takes a name, not {brief(name)}", span=a.at("name"))
    called = name.name if isinstance(name, Symbol) else name.value
    by = None
    if grad:
        inside = [n for n in a.session.parameters if n in names(e)]
        by = [s for s in variables(e, inside) if s.name not in a.session.columns]
    text = written(e, language, by, a.session.shapes, called)
    a.session.budget.write(text)
    if not file:
        return Code(language, text)
    a.session.budget.begin()
    whole = text if text.endswith("\n") else f"{text}\n"
    write_file(a.session.root, file, whole.encode(errors="replace"), a.at("to"))
    return None


def _language(a: Arguments) -> tuple[str, str]:
    """The language asked for, and the file, if there is one."""
    match a.named.get("to", Symbol("latex")):
        case Symbol(word):
            return word, ""
        case String(name):
            ending = PurePosixPath(name).suffix
            if ending in ENDINGS:
                return ENDINGS[ending], name
            raise NablispError(
                "value",
                f"the ending {ending or 'of ' + name} names no language",
                span=a.at("to"),
                hint=f"known endings: {', '.join(ENDINGS)}",
            )
        case other:
            raise NablispError(
                "type",
                f":to takes a language or a file, not {brief(other)}",
                span=a.at("to"),
                hint=f"the languages: {', '.join(LANGUAGES)}",
            )
