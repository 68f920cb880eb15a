"""From programs and what they showed to one HTML document that needs nothing else.

It works without a network and without scripts, in light and dark, on a phone and on paper.
Whatever it shows is a stranger's text: it is escaped, and a policy forbids all but its own style.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from string import Template
from typing import Any

from pygments import highlight
from pygments.formatters import HtmlFormatter

from ..certificate import FitResult
from ..errors import Source, visible
from ..highlight import NablispLexer
from ..results import Result
from .fragments import fragment
from .style import sheet


@dataclass(frozen=True, slots=True)
class Shown:
    """A form of a program, and what it showed: lines that it printed, runs it made, its value."""

    form: str
    printed: Sequence[str] = ()
    values: Sequence[Any] = ()


@dataclass(frozen=True, slots=True)
class Page:
    """What a page tells: the programs, and what they showed in order."""

    title: str
    programs: Sequence[Source]
    shown: Sequence[Shown]

    def html(self) -> str:
        """The whole document."""
        several = len(self.programs) > 1
        filled = _DOCUMENT.substitute(
            title=escape(self.title),
            style=sheet("fragments", "figure", "page"),
            programs="".join(_program(source, several) for source in self.programs),
            shown="".join(_items(self.shown)),
        )
        return visible(filled)


def _program(source: Source, named: bool) -> str:
    name = f"<h2>{escape(source.name)}</h2>" if named else ""
    return f'{name}<pre class="program" tabindex="0"><code>{_colored(source.text)}</code></pre>'


def _colored(text: str) -> str:
    """A program as highlighted HTML."""
    plain = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").strip("\n")
    formatter = HtmlFormatter(nowrap=True)  # type: ignore[type-arg,unused-ignore]  # generic in some stubs
    colored: str = highlight(visible(plain), NablispLexer(stripnl=False), formatter)
    return colored.rstrip("\n")


def _items(shown: Sequence[Shown]) -> Iterator[str]:
    """What each form showed; a result that was on the page already is not shown again."""
    seen: set[int] = set()
    for item in shown:
        fresh = [v for v in item.values if not (_is_run(v) and id(v) in seen)]
        seen |= {id(v) for v in item.values}
        if not (item.printed or fresh):
            continue
        form = f'<pre class="form"><code>{_colored(item.form)}</code></pre>' if item.form else ""
        printed = f"<pre>{escape(chr(10).join(item.printed))}</pre>" if item.printed else ""
        drawn = "".join(f'<div class="value">{fragment(value)}</div>' for value in fresh)
        run = " run" if any(map(_is_run, fresh)) else ""
        yield f'<section class="shown{run}">{form}{printed}{drawn}</section>\n'


def _is_run(value: Any) -> bool:
    return isinstance(value, Result | FitResult)


def size_words(count: int) -> str:
    """Bytes as people say them."""
    return f"{count / 1000:,.0f} KB" if count >= 10_000 else f"{count:,} bytes"


_DOCUMENT = Template("""\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="generator" content="nablisp">
<title>$title</title>
<style>
$style</style>
</head>
<body class="nablisp">
<header><h1>$title</h1></header>
<main>
$programs
$shown</main>
</body>
</html>
""")
