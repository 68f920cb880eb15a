"""From values to pieces of HTML that pages and notebooks share: formulas, tables, films.

Nothing here needs a script. A film is a row of radio buttons that looks like a slider: each button
shows its frame by a rule of the sheet `fragments`, and the keyboard moves through them as
through any such row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from html import escape
from typing import Any

import numpy as np

from ..certificate import DIGITS, MEANING, FitResult
from ..derivative import gradient
from ..errors import NablispError, visible
from ..expr import Expr, Sym, call, postorder
from ..figure import Figure, Movie
from ..notation import mathml
from ..printer import element, text
from ..problem import Problem
from ..results import STATUS, Result
from . import svg
from .scenes import fitted, movies
from .style import FRAMES, sheet

FOLDED, LONG = 2_500, 60_000
"""Characters of MathML from which a formula is folded away, and from which it is left out."""
LARGE = 3_000
"""Operations of a loss from which derivatives are not written out."""
MANY = 12
"""Parameters that have a line of their own, and rows of a matrix."""


def fragment(value: Any) -> str:
    """A value as HTML; control, bidirectional and invisible characters as escapes."""
    draw = next((draw for kind, draw in _DRAWN.items() if isinstance(value, kind)), _plain)
    return visible(draw(value))


def alone(value: Any) -> str:
    """A value as HTML with the style that it needs, for a notebook's cell."""
    return (
        f'<div class="nablisp"><style>{sheet("fragments", "figure")}</style>{fragment(value)}</div>'
    )


def _plain(value: Any) -> str:
    return f"<pre>{escape(text(value, 20_000))}</pre>"


# ---- formulas ------------------------------------------------------------------------------------


def _formula(e: Expr) -> str:
    return _equation("", e)


def _equation(left: str, right: Expr) -> str:
    """`left = right` as a block of mathematics; folded away, or left out, if it is long."""
    whole = _inner(right)
    if len(whole) > LONG:
        count = len(postorder(right))
        whole = f"<mtext>a formula of {count:,} operations</mtext>"
    equals = f"{left}<mo>=</mo>" if left else ""
    block = f'<div class="math"><math display="block"><mrow>{equals}{whole}</mrow></math></div>'
    if len(whole) <= FOLDED:
        return block
    head = f"<math><mrow>{left or '<mtext>a long formula</mtext>'}</mrow></math>"
    return f"<details><summary>{head}</summary>{block}</details>"


def _inner(e: Any) -> str:
    """The formula without the element around it."""
    return mathml(e).partition(">")[2].removesuffix("</math>")


def _slope(of: str, name: str) -> str:
    return f"<mfrac><mrow><mo>∂</mo>{of}</mrow><mrow><mo>∂</mo>{_inner(Sym(name))}</mrow></mfrac>"


def _slopes(of: str, e: Expr, by: Sequence[str], shapes: dict[str, Any]) -> Iterable[str]:
    """The derivatives by some names, one equation each."""
    try:
        if len(postorder(e)) <= LARGE:
            found = gradient(e, by[:MANY], shapes, look_inside=True)
            for name, slope in zip(by, found, strict=False):
                yield _equation(_slope(of, name), slope)
    except NablispError:  # no derivative by this shape
        return
    if len(by) > MANY:
        yield f"<p>… and {len(by) - MANY} more</p>"


# ---- tables --------------------------------------------------------------------------------------


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], caption: str = "") -> str:
    """A table that scrolls by itself where it is too wide; the first cell of a row heads it."""
    named = f"<caption>{caption}</caption>" if caption else ""
    heads = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in head)
    body = "".join(
        f'<tr><th scope="row">{escape(first)}</th>'
        + "".join(f"<td>{escape(cell)}</td>" for cell in rest)
        + "</tr>"
        for first, *rest in rows
    )
    return (
        f'<div class="wide" tabindex="0" role="region" aria-label="{caption or "parameters"}">'
        f"<table>{named}<thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _cell(value: Any, digits: int = DIGITS) -> str:
    """A number to some digits; an array by its shape and size."""
    if value is None:
        return "0"
    if np.ndim(value):
        shape = " × ".join(map(str, np.shape(value)))
        return f"{shape}, rms {float(np.sqrt(np.mean(np.square(value)))):.4g}"
    return element(float(f"{value:.{digits}g}") + 0.0).replace("-", "−")


def _remarks(lines: Iterable[str]) -> str:
    return "".join(f'<p class="remark">{escape(line)}</p>' for line in lines)


def _ended(status: str, meaning: str, seconds: float) -> str:
    return f'<p><strong class="status">{status}</strong>: {escape(meaning)}; {seconds:.3f} s</p>'


# ---- results -------------------------------------------------------------------------------------


def _result(result: Result) -> str:
    first = result.text.partition("\n")[0]
    parts = [f"<h2>{escape(first)}</h2>", *_minimised(result)]
    rows = [
        (name, _cell(result.start[name]), _cell(value), _cell(result.gradient.get(name), 4))
        for name, value in result.params.items()
    ]
    parts.append(_table(("", "from", "to", "gradient"), rows))
    parts.append(_ended(result.status, STATUS[result.status], result.seconds))
    parts += [_remarks([note]) for note in result.notes]
    if result.held_loss is not None:
        parts.append(_remarks([f"loss of the rows held out {element(result.held_loss)}"]))
    if result.curvature:
        parts.append(_remarks([f"gradient norm {result.gradient_norm:.6g}, {result.curvature}"]))
    parts.append(film(movies(result)))
    return "".join(parts)


def _minimised(result: Result) -> Iterable[str]:
    view = result.view
    if view is None:
        return
    yield _equation("<mi>loss</mi>", view.loss)
    shapes: dict[str, Any] = {n: ("rows", *np.shape(c)[1:]) for n, c in view.columns.items()}
    shapes |= {n: np.shape(v) for n, v in view.params.items()}
    yield from _slopes("<mi>loss</mi>", view.loss, list(result.params), shapes)


def _fit(result: FitResult) -> str:
    problem = result.known
    parts = [f"<h2>{escape(result.first)}</h2>"]
    if problem.options.loss is None:
        parts.append(_equation("<mi>loss</mi>", _squares(problem)))
    for title, model in zip(result.responses, problem.models, strict=True):
        parts += _slopes(_inner(Sym(title)), model, problem.scalars, {})
    rows = [
        (name, _cell(value), result.error(name))
        for name, value in zip(result.names, result.estimates.tolist(), strict=True)
    ]
    parts.append(_table(("", "estimate", "± standard error"), rows))
    parts.append(_remarks(result.summary()))
    parts.append(_correlations(result))
    meaning = MEANING.get(result.status, STATUS[result.status])
    parts.append(_ended(result.status, meaning, result.seconds))
    parts += [_remarks([note]) for note in result.remarks]
    parts.append(_figure(fitted(result)))
    return "".join(parts)


def _squares(problem: Problem) -> Expr:
    """What a fit minimises: the sum of the squares of residuals, as they are weighted."""
    terms = []
    for k, (given, model) in enumerate(zip(problem.responses, problem.models, strict=True)):
        apart, weight = given - model, problem.weights[k] if problem.weights else None
        if problem.options.sigma is not None:
            apart, weight = call("/", apart, weight), None
        square = call("**", apart, 2)
        terms.append(square if weight is None else call("*", weight, square))
    return call("sum", call("+", *terms) if len(terms) > 1 else terms[0])


def _correlations(result: FitResult) -> str:
    found = result.correlation
    if found is None or not 2 <= len(result.names) <= MANY or not np.isfinite(found).all():
        return ""
    rows = [
        (name, *(f"{v:.3f}".replace("-", "−") if j <= i else "" for j, v in enumerate(row)))
        for i, (name, row) in enumerate(zip(result.names, found.tolist(), strict=True))
    ]
    return _table(("", *result.names), rows, "correlations")


# ---- pictures ------------------------------------------------------------------------------------


def _figure(figure: Figure) -> str:
    return f"<figure>{svg.svg(figure)}</figure>"


def _movie(movie: Movie) -> str:
    return film([movie])


def film(shown: Sequence[Movie]) -> str:
    """Movies of as many frames, one under the other, moved by one slider; it stands at the end.

    What is the same object in all frames is drawn once.
    """
    if not shown:
        return ""
    shown = [_thinned(movie) for movie in shown]
    pictures = [_frames(movie, svg.HIGH if k == 0 else svg.LOW) for k, movie in enumerate(shown)]
    titles = [escape(frame.title) for frame in shown[0].frames]
    if len(titles) == 1:
        return f"<figure>{''.join(pictures)}</figure>"
    buttons = "".join(
        f'<input type="radio" name="frame" aria-label="{title}"'
        f"{' checked' if k == len(titles) - 1 else ''}>"
        for k, title in enumerate(titles)
    )
    captions = "".join(f"<span>{title}</span>" for title in titles)
    return (
        '<form class="film" method="dialog" role="radiogroup" aria-label="moments of the run">'
        f'{buttons}<p class="moves" aria-hidden="true">{captions}</p>{"".join(pictures)}</form>'
    )


def _thinned(movie: Movie) -> Movie:
    count = len(movie.frames)
    kept = np.linspace(0, count - 1, min(count, FRAMES)).astype(int)
    return Movie(tuple(movie.frames[k] for k in kept))


def _frames(movie: Movie, high: int) -> str:
    first, *others = movie.frames
    if not others:
        return svg.svg(first, high=high)
    always = set.intersection(*({id(part) for part in frame.series} for frame in movie.frames))
    still = tuple(part for part in first.series if id(part) in always)
    moves = [[part for part in f.series if id(part) not in always] for f in movie.frames]
    fixed = replace(first, series=still, title="")
    return svg.svg(fixed, moves, high)


_DRAWN: dict[type, Callable[[Any], str]] = {
    Expr: _formula,
    Result: _result,
    FitResult: _fit,
    Figure: _figure,
    Movie: _movie,
}
