"""The form that writes a page about a program: a row of SPECIAL over pictures."""

from __future__ import annotations

from .elaborate import form_row
from .errors import NablispError
from .files import write_file
from .printer import text
from .values import Arguments, expect


@form_row(
    "report",
    '(report … :to "page.html")',
    "write a page that needs no network and no scripts: the program, and the results, formulas and "
    "pictures given, or the last runs",
    (0, None),
    keywords=("to", "title"),
    example='(report r :to "page.html" :title "A line")',
)
def report(a: Arguments) -> None:
    from .pictures.page import Page, Shown, size_words

    name = expect(a.named.get("to", "report.html"), ("string",), ":to", a.at("to"))
    title = expect(a.named.get("title", name), ("string",), ":title", a.at("title"))
    a.session.budget.begin()
    if not a.given and not a.session.runs:
        raise NablispError(
            "value",
            "there is nothing to report: no run was made, and no value is given",
            span=a.form.span,
            hint="(report r) shows a result, a formula or a picture",
        )
    shown = [Shown(_written(a, k), (), [value]) for k, value in enumerate(a.given)]
    programs = [a.form.span.source] if a.form.span is not None else []
    page = Page(title, programs, shown or [Shown("", (), [run]) for run in a.session.runs])
    data = page.html().encode()
    write_file(a.session.root, name, data, a.at("to"))
    a.session.note(f"{name}: {size_words(len(data))}")


def _written(a: Arguments, which: int) -> str:
    """An argument as it was written."""
    span = a.at(which)
    return span.text if span is not None else text(a.given[which])
