"""The forms that draw: rows of SPECIAL that turn formulas, data and results into figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from .certificate import FitResult
from .curves import Curves, Drawn, Range, surface
from .elaborate import Application, Machine, form_row
from .errors import NablispError
from .expr import Expr, Sym, as_expr, names
from .figure import COUNTS, LARGEST, Band, Contours, Figure, Line, Movie, Series, least_range
from .files import write_file
from .forms import Form, List, Symbol
from .pictures.scenes import fitted
from .printer import brief
from .results import Result
from .values import Arguments, Value, described, expect, kind_of
from .views import LABEL, descent, labelled, moments, states

FRAMES = 48
"""Pictures of a movie, at most."""
RATE = 8.0
"""Pictures a second."""
GROWN = 10
"""How many times its start a loss may have grown on a path that is shown whole."""
AROUND = 1.3
"""How far contours go beyond a path of descent, as a share of its length."""


@form_row(
    "plot",
    '(plot e … :over (x -4 4) :to "file.png")',
    "a picture: formulas over a column or a range, a model with its data; columns; a result: loss "
    "curve, or fit with bands; (plot loss r): contours and the path; :to a png, svg or pdf file",
    (1, None),
    raw=True,
    keywords=("over", "to", "title", "log"),
    example="(plot (sin x) (cos x) :over (x -4 4))",
)
def plot(a: Arguments) -> Machine:
    from .pictures.files import ENDINGS, picture

    ending = _ending(a, ENDINGS, "picture")
    options = yield from _options(a)
    over = yield from _over(a)
    values = yield from _values(a, over)
    figure = _figure(a, values, over)
    a.session.budget.begin()
    if options.get("title"):
        figure = replace(figure, title=options["title"])
    if options.get("log"):
        figure = replace(figure, y_log=True, y_range=None)
    _check_visible(a, figure)
    return figure if ending is None else _written(a, picture(figure, ending))


@form_row(
    "animate",
    '(animate r e … :over (x -4 4) :to "line.gif")',
    "a run of train or minimize as it went: the formulas given, else the model and its target in "
    "the loss; :to a gif or mp4 file",
    (1, None),
    raw=True,
    keywords=("over", "to", "title"),
    example='(animate r (target x) (model x) :to "line.gif")',
)
def animate(a: Arguments) -> Machine:
    from .pictures.movie import ENDINGS, film

    ending = _ending(a, ENDINGS, "movie")
    options = yield from _options(a)
    over = yield from _over(a)
    result = yield a.given[0], a.scope
    if not isinstance(result, Result):
        raise NablispError(
            "type",
            f"animate shows a run of train or minimize, not {described(result)}",
            span=a.at(0),
            hint="(define r (train loss)) (animate r)",
        )
    values = (yield from _values(a, over, 1))[1:]
    a.session.budget.begin()
    movie = Movie(tuple(_frames(a, result, values, over, options.get("title", ""))), RATE)
    return movie if ending is None else _written(a, film(movie, ending, a.session.budget))


# ---- what is asked for ---------------------------------------------------------------------------


def _ending(a: Arguments, endings: Sequence[str], what: str) -> str | None:
    """The kind of file that `:to` names, before any work is done; None without it."""
    if "to" not in a.named:
        return None
    form = a.named["to"]
    name = getattr(form, "value", None)
    if not isinstance(name, str):
        raise NablispError(
            "type",
            f":to takes the name of a file, not {brief(form)}",
            span=form.span,
            hint=f':to "file.{endings[0]}"',
        )
    path = PurePosixPath(name)
    ending = path.suffix.lower().removeprefix(".")
    if ending not in endings:
        raise NablispError(
            "value",
            f'a {what} is a {", ".join(endings[:-1])} or {endings[-1]} file, not "{name}"',
            span=form.span,
            hint=f':to "{path.stem.strip(".") if path.suffix else "file"}.{endings[0]}"',
        )
    return ending


def _written(a: Arguments, data: bytes) -> None:
    """Write a file, and say so."""
    session, name = a.session, a.named["to"].value
    write_file(session.root, name, data, a.at("to"))
    session.note(f"{name} is written: {len(data) / 1e3:,.0f} kB")


def _options(a: Arguments) -> Machine:
    found = {}
    for key, kind in (("title", "string"), ("log", "boolean")):
        if key in a.named:
            form = a.named[key]
            found[key] = expect((yield form, a.scope), (kind,), f":{key}", form.span)
    return found


def _over(a: Arguments) -> Machine:
    """The ranges of `:over`: none, one, or two."""
    match form := a.named.get("over"):
        case None:
            return []
        case Symbol(name):
            if name not in a.session.columns:
                raise NablispError(
                    "value",
                    f"{name} is no column, so it needs a range",
                    span=form.span,
                    hint=f":over ({name} -4 4)",
                )
            return [Range(name)]
        case List((List(), List())):
            ranges = []
            for part in form.items:
                ranges.append((yield from _range(a, part)))  # noqa: PERF401  # it yields
            if ranges[0].name == ranges[1].name:
                raise NablispError("name", f"{ranges[0].name} is given two ranges", span=form.span)
            return ranges
    return [(yield from _range(a, form))]


def _range(a: Arguments, form: Form) -> Machine:
    """`(x -4 4)`"""
    match form:
        case List((Symbol(name), *ends)) if len(ends) == 2:
            pass
        case _:
            raise NablispError(
                "syntax",
                ":over takes a name and its range",
                span=form.span,
                hint=":over (x -4 4); contours: :over ((m -4 4) (b -4 4))",
            )
    found = []
    for end in ends:
        value = expect((yield end, a.scope), ("number",), f"an end of {name}", end.span)
        found.append(float(value))
    low, high = found
    if not least_range(low, high) < high - low <= LARGEST:
        raise NablispError(
            "value",
            f"the range of {name} goes from {low:g} to {high:g}",
            span=form.span,
            hint="the lower end comes first, both are finite, and there are numbers between them",
        )
    session = a.session
    known = session.find(name)
    if known is not None and not isinstance(known[0], Sym):
        raise NablispError(
            "name",
            f"{name} stands for {described(known[0])}",
            span=form.span,
            hint="a range is for a column, a parameter or a free name",
        )
    if session.shapes.get(name, ()) not in ((), ("rows",)):
        raise NablispError(
            "shape", f"{name} is an array, and a range is for a number", span=form.span
        )
    return Range(name, low, high)


def _values(a: Arguments, over: Sequence[Range], first: int = 0) -> Machine:
    """The values of the arguments, functions applied to the axis, each with a label."""
    found: list[Any] = []
    for form in a.given:
        value = yield form, a.scope
        found.append(value)
    for k, value in enumerate(found):
        if k < first or isinstance(value, Result | FitResult):
            continue
        if kind_of(value) == "function":
            axis = _axis(a, [v for v in found[first:] if kind_of(v) != "function"], over)
            if axis is None:
                raise _no_axis(a, "a function")
            found[k] = yield Application(value, (Sym(axis.name),))
        expect(found[k], ("number", "array", "expression"), "what is drawn", a.at(k))
    return found


def _axis(a: Arguments, values: Sequence[Value], over: Sequence[Range]) -> Range | None:
    """What curves run over: as said, else the only column there is; None for rows by number.

    Functions, which hold no column yet, go over that of the last run's models.
    """
    if over:
        return over[0]
    session = a.session
    formulas = [as_expr(v) for v in values if kind_of(v) in ("number", "expression")]
    bare = {e.name for e in formulas if isinstance(e, Sym) and e.name in session.columns}
    formulas = [e for e in formulas if not (isinstance(e, Sym) and e.name in bare)]
    if values and not formulas:
        return None
    single = [n for n in session.columns if len(session.columns.shape_of(n)) == 1]
    models = [model for model, _ in session.compared()]
    used = set(names(*(formulas or models))) or set(() if formulas else single)
    found = [n for n in single if n in used]
    found = [n for n in found if n not in bare] or found  # what is drawn itself is a response
    if len(found) == 1:
        return Range(found[0])
    if found:
        raise NablispError(
            "value",
            f"there are several columns to draw over: {', '.join(found)}",
            span=a.form.span,
            hint=f"say which: :over {found[0]}",
        )
    inside = names(*formulas)
    free = [*(n for n in inside if n not in session.shapes), *inside]
    raise _no_axis(a, brief(formulas[0]) if formulas else "a function", *free[:1])


def _no_axis(a: Arguments, what: str, name: str = "x") -> NablispError:
    return NablispError(
        "value",
        f"there is no column to draw {what} over",
        span=a.form.span,
        hint=f"give a range: :over ({name} -4 4)",
    )


def _check_visible(a: Arguments, figure: Figure) -> None:
    """Refuse a picture of nothing."""
    drawn = [part for part in figure.series if not isinstance(part, Band)]
    heights = [np.ravel(part.z if isinstance(part, Contours) else part.y) for part in drawn]
    every = np.concatenate(heights)
    if np.any(np.isfinite(every) & ((every > 0) | (not figure.y_log))):
        return
    raise NablispError(
        "value",
        "there is nothing to draw: no value is finite" + (" and positive" if figure.y_log else ""),
        span=a.form.span,
        hint="" if figure.x_label in COUNTS else "where is it defined? :over (x 0.1 4)",
    )


# ---- figures -------------------------------------------------------------------------------------


def _figure(a: Arguments, values: Sequence[Value], over: Sequence[Range]) -> Figure:
    """The picture of some values, by what they are."""
    runs = [value for value in values if isinstance(value, Result)]
    fits = [value for value in values if isinstance(value, FitResult)]
    if len(fits) == len(values) == 1:
        return fitted(fits[0])
    if len(runs) == len(values):
        return _losses(a, runs)
    formulas = [v for v in values if isinstance(v, Expr)]
    if len(runs) + len(formulas) == len(values) and len(formulas) == 1 and (runs or len(over) == 2):
        return _contours(a, formulas[0], values, over)
    if runs or fits or len(over) == 2:
        raise NablispError(
            "type",
            "contours are of one formula" if len(over) == 2 else "a result is drawn by itself",
            span=a.form.span,
            hint="(plot loss r) draws the path of a run over the contours of its loss",
        )
    return _curves(a, values, over).figure({})


def _losses(a: Arguments, runs: Sequence[Result]) -> Figure:
    """Loss curves, one over the other."""
    curves = [descent(run) for run in runs]
    if len(runs) == 1:
        return curves[0]
    series = []
    for k, (form, curve) in enumerate(zip(a.given, curves, strict=True)):
        line = _line(curve)
        series.append(replace(line, label=_source(form, f"run {k + 1}"), color=k))
    return replace(curves[0], series=tuple(series), y_log=any(curve.y_log for curve in curves))


def _line(curve: Figure) -> Line:
    (line,) = (part for part in curve.series if isinstance(part, Line))
    return line


def _source(form: Form, role: str) -> str:
    """What was written, where it is short."""
    text = form.span.text if form.span else ""
    return text if text and len(text) <= LABEL and "\n" not in text else role


MOST = 32
"""Lines in a picture: no eye tells more apart."""


def _curves(a: Arguments, values: Sequence[Value], over: Sequence[Range]) -> Curves:
    """Formulas and columns over an axis, in colours; models with what they were compared with."""
    session = a.session
    axis = _axis(a, values, over)
    moving = set(session.parameters) - {axis.name if axis else ""}
    if len(values) > MOST:
        raise NablispError("value", f"a picture shows {MOST} lines at most, not {len(values)}")
    even, odd = iter(range(0, 2 * MOST, 2)), iter(range(1, 2 * MOST, 2))
    parts: list[Drawn] = []
    for k, value in enumerate(values):
        form = a.given[k + len(a.given) - len(values)]
        if isinstance(value, np.ndarray):
            _check_rows(a, value, axis, form)
            parts.append(Drawn(value, _source(form, "values"), next(even)))
            continue
        e = as_expr(value)
        models = bool(moving & set(names(e)))
        label = labelled(e, _source(form, "model" if models else "target"))
        parts.append(Drawn(e, label, next(odd if models else even)))
    held = {n: p.value for n, p in session.parameters.items()}
    if axis is not None and axis.name in session.columns:
        parts += _data(session, parts, axis)
    return Curves(parts, axis, held, session.columns, session.budget)


def _data(session: Any, parts: Sequence[Drawn], axis: Range) -> list[Drawn]:
    """What the last run compared these formulas with, by row: points in the colour of its curve."""
    compared: dict[Expr, Expr] = dict(session.compared())
    shown = {part.value: part.color for part in parts if isinstance(part.value, Expr)}
    found: dict[Expr, Drawn] = {}
    for part in parts:
        y = compared.get(part.value) if isinstance(part.value, Expr) else None
        if y is None or y in found or any(n not in session.shapes for n in names(y)):
            continue
        if session.shape(y) != ("rows",) or (y in shown and not _is_curve(session, y, axis)):
            continue
        label = "" if y in shown else labelled(y, "data")
        found[y] = Drawn(y, label, shown.get(y, part.color - 1), by_row=True)
    return list(found.values())


def _is_curve(session: Any, e: Expr, axis: Range) -> bool:
    return not any(n in session.columns and n != axis.name for n in names(e))


def _check_rows(a: Arguments, value: Any, axis: Range | None, form: Form) -> None:
    """Refuse arrays that are no list of numbers, or not as long as the columns."""
    wanted = a.session.columns.rows if axis is not None and axis.name in a.session.columns else None
    if value.ndim != 1:
        what = f"has shape ({' '.join(map(str, value.shape))}), and a curve is a list of numbers"
        hint = "(ref v 0) is the first row of a matrix v"
    elif axis is not None and len(value) != wanted:
        rows = f"{axis.name} has {wanted} rows" if wanted else f"{axis.name} is no column"
        what = f"has {len(value)} numbers, and {rows}"
        hint = "an array is drawn against a column of its length, or by itself"
    else:
        return
    raise NablispError("shape", f"{_source(form, 'this array')} {what}", span=form.span, hint=hint)


# ---- descent -------------------------------------------------------------------------------------


def _contours(a: Arguments, loss: Expr, values: Sequence[Value], over: Sequence[Range]) -> Figure:
    """Contours of a formula over two names, and on them the ways of runs."""
    session = a.session
    runs = [value for value in values if isinstance(value, Result)]
    forms = [a.given[k] for k, value in enumerate(values) if isinstance(value, Result)]
    paths = [states(run)[1] for run in runs]
    x, y = over if len(over) == 2 else _around(a, runs)
    for path in paths:
        for name in (x.name, y.name):
            if name not in path[0]:
                raise NablispError(
                    "value",
                    f"{name} did not move in this run",
                    span=a.form.span,
                    hint=f"it moved {', '.join(path[0])}",
                )
    held = {n: p.value for n, p in session.parameters.items()}
    for run in runs:
        held.update(run.params)
    series: list[Series] = [surface(loss, x, y, held, session.columns, session.budget)]
    for k, path in enumerate(paths):
        at = np.array([[state[x.name], state[y.name]] for state in path], float)
        at = at[np.isfinite(at).all(1)]
        label = _source(forms[k], f"run {k + 1}") if len(paths) > 1 else ""
        series.append(Line(at[:, 0], at[:, 1], label, (1, 2, 3, 0)[k % 4], marked=True))
    return Figure(
        tuple(series),
        labelled(loss, "loss"),
        x.name,
        y.name,
        (x.low or 0.0, x.high or 0.0),
        (y.low or 0.0, y.high or 0.0),
    )


def _around(a: Arguments, runs: Sequence[Result]) -> list[Range]:
    """The two names that moved, and ranges around where they ended that hold their ways.

    Beyond the end they go half as far as the way, so that the basin shows.

    Of a run that diverged, the way as long as the loss had not grown much.
    """
    moved = list(dict.fromkeys(name for run in runs for name in run.params))
    if len(moved) != 2 or any(np.ndim(run.params.get(n, 0)) for run in runs for n in moved):
        raise NablispError(
            "value",
            f"contours are over two numbers, and {len(moved)} parameters moved: {', '.join(moved)}",
            span=a.form.span,
            hint=f":over (({moved[0]} -4 4) ({moved[-1]} -4 4))",
        )
    seen = [
        state
        for run in runs
        for step, state in zip(*states(run), strict=True)
        if run.history["loss"][run.history.place(step)] <= GROWN * run.first_loss
    ]
    found = []
    for name in moved:
        way = np.array([state[name] for state in seen], float)
        end = float(runs[-1].params[name])
        before, beyond = end - np.min(way, initial=end), np.max(way, initial=end) - end
        far = float(max(before, beyond)) or 0.4 * abs(end) or 0.4
        sides = (AROUND * max(side, 0.5 * far) for side in (before, beyond))
        low, high = (float(side) for side in sides)
        found.append(Range(name, end - low, end + high))
    return found


# ---- movies --------------------------------------------------------------------------------------


def _frames(
    a: Arguments, result: Result, values: Sequence[Value], over: Sequence[Range], title: str
) -> list[Figure]:
    """Figures of a run, where enough was seen to move, each with its step and loss."""
    losses = result.history["loss"]
    if values:
        scene: Any = _curves(a, values, over)
        steps, path = states(result)
        scene.fix(path[0], result.params)
    else:
        scene = result.view.scene if result.view else None
        if scene is None:
            return _falling(descent(result, title))
        steps, path = states(result)
    start = f"{title}   " if title else ""
    return [
        scene.figure(
            path[k],
            f"{start}step {steps[k]:,}   loss {losses[result.history.place(steps[k])]:.3g}",
        )
        for k in moments(scene, path, FRAMES)
    ]


def _falling(whole: Figure) -> list[Figure]:
    """A loss curve as it is drawn, for a run whose model cannot be."""
    x, y = whole.axes()
    line = _line(whole)
    ends = np.unique(np.linspace(1, len(line.x), FRAMES).astype(int))
    frame = replace(whole, x_range=(x.low, x.high), y_range=(y.low, y.high))
    return [replace(frame, series=(replace(line, x=line.x[:end], y=line.y[:end]),)) for end in ends]
