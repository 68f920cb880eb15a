"""The forms that declare parameters and columns and run training: rows of SPECIAL over train.py."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np

from . import data as table
from .backends import check_name
from .elaborate import SPECIAL, Machine, form_row
from .errors import NablispError, Span
from .expr import Expr, as_expr, names
from .forms import Array, Form, List, Number, String, Symbol
from .optimizers import METHODS, OPTIMIZERS
from .options import RANGES, Options, in_range, no_rule
from .printer import brief
from .process import check, patient
from .results import Progress, Result
from .shapes import is_boolean
from .train import training
from .values import Arguments, Parameter, Value, expect

# ---- parameters ----------------------------------------------------------------------------------


@form_row(
    "param",
    "(param m 0 :min … :max … :lr … :fixed true)",
    "a trainable name: its start (a number or array), bounds, and a learning rate of its own",
    (1, 2),
    keywords=("min", "max", "lr", "fixed"),
    raw=True,
    example="(param w (normal 3) :lr 0.01)",
)
def param(a: Arguments) -> Machine:
    target = _name(a.given[0], "param")
    start, span = ((yield a.given[1], a.scope), a.at(1)) if len(a.given) > 1 else (0, None)
    found = {}
    for key, form in a.named.items():
        value = yield form, a.scope
        kind = "boolean" if key == "fixed" else "number"
        found[key] = expect(value, (kind,), f":{key}", form.span)
        if np.isnan(value) or (key == "lr" and not 0 <= value < np.inf):
            raise NablispError("value", f":{key} cannot be {brief(value)}", span=form.span)
    _declare(a, target, _start(target, start, span), found)
    return None


@form_row(
    "params",
    "(params m b (w 1))",
    "trainable names, starting at 0 or at the value given",
    (1, None),
    raw=True,
)
def params(a: Arguments) -> Machine:
    for form in a.given:
        match form:
            case List((Symbol() as target, value)):
                _declare(a, target, _start(target, (yield value, a.scope), value.span), {})
            case _:
                _declare(a, _name(form, "params"), 0, {})
    return None


def _name(form: Form, what: str) -> Symbol:
    if not isinstance(form, Symbol):
        raise NablispError(
            "syntax",
            f"{what} takes names, not {brief(form)}",
            span=form.span,
            hint=SPECIAL[what].signature,
        )
    return form


def _start(target: Symbol, value: Value, span: Span | None) -> Value:
    """A number or array to start from."""
    expect(value, ("number", "array"), f"the start of {target.name}", span)
    if is_boolean(value):
        raise NablispError(
            "type",
            f"{target.name} starts at true and false",
            span=span,
            hint="choose numbers with where: (where c 1 0)",
        )
    if not np.size(value):
        raise NablispError("value", f"{target.name} has no elements", span=span)
    if not np.isfinite(value).all():
        raise NablispError(
            "value", f"{target.name} starts at {brief(value)}, which is not finite", span=span
        )
    return value


def _declare(a: Arguments, target: Symbol, start: Value, facts: Mapping[str, Value]) -> None:
    low, high = facts.get("min"), facts.get("max")
    if low is not None and high is not None and low > high:
        raise NablispError(
            "value", f"the bounds of {target.name} are the wrong way round", span=a.at("min")
        )
    if (low is not None and np.any(start < low)) or (high is not None and np.any(start > high)):
        raise NablispError(
            "value",
            f"{target.name} starts outside its bounds",
            span=target.span,
            hint="a start goes after the name: (param m 1 :min 1)",
        )
    a.session.declare_parameter(
        target.name,
        Parameter(start, start, low, high, facts.get("lr"), bool(facts.get("fixed"))),
        target.span,
    )


@form_row("reset", "(reset)", "all parameters back to their starts", (0, 0))
def reset(a: Arguments) -> None:
    for parameter in a.session.parameters.values():
        parameter.value = parameter.start


@form_row(
    "forget",
    "(forget name …)",
    "free names: definitions, parameters or columns",
    (1, None),
    raw=True,
)
def forget(a: Arguments) -> None:
    for form in a.given:
        a.session.forget(_name(form, "forget").name, form.span)


# ---- columns -------------------------------------------------------------------------------------


@form_row(
    "data",
    '(data x [1 2 3]) or (data "points.csv" x y)',
    "columns: inline, computed from others, or from a file (.csv, .tsv, .npy, .npz, .parquet, "
    ".arrow, .feather) or a folder of Parquet or Arrow files, all of them or those named",
    (1, None),
    keywords=("classes", "missing"),
    raw=True,
    example='(data "iris.csv" :classes species)',
)
def data(a: Arguments) -> Machine:
    first, *rest = a.given
    if isinstance(first, String):
        _from_file(a, first, rest)
        return None
    if a.named:
        key = next(iter(a.named))
        raise NablispError(
            "keyword",
            f":{key} is for files",
            span=a.key(key),
            hint='(data "points.csv" :missing drop)',
        )
    target = _name(first, "data")
    if len(rest) != 1:
        raise NablispError(
            "arity",
            f"data {target.name} takes one column",
            span=target.span,
            hint="(data x [1 2 3])",
        )
    value = yield rest[0], a.scope
    span = rest[0].span
    expect(value, ("array", "expression"), f"the column {target.name}", span)
    if is_boolean(value):
        raise NablispError(
            "type",
            f"the column {target.name} holds true and false",
            span=span,
            hint="make them numbers with where: (where c 1 0)",
        )
    if not isinstance(value, np.ndarray):
        value = _computed(a, span, value)
    if not len(value):
        raise NablispError("data", f"the column {target.name} has no rows", span=span)
    a.session.declare_columns({target.name: value}, target.span)
    return None


def _computed(a: Arguments, span: Span | None, root: Expr) -> np.ndarray[Any, Any]:
    """A column made of others, by row."""
    session = a.session
    for name in names(root):
        if name in session.parameters:
            raise NablispError(
                "type",
                f"a column cannot depend on the parameter {name}",
                span=span,
                hint="a formula of it can: (define z …)",
            )
    if session.shape(root)[:1] != ("rows",):
        raise NablispError(
            "shape",
            f"{brief(root)} is not one value per row",
            span=span,
            hint="a column is an array, or made of columns: (data z (* 2 x))",
        )
    value = session.value(root)
    rows = session.columns.rows
    return np.broadcast_to(value, (rows, *value.shape[1:])).copy()


def _from_file(a: Arguments, file: String, rest: list[Form]) -> None:
    missing = words(a.named["missing"]) if "missing" in a.named else ("refuse",)
    if missing not in (("drop",), ("refuse",)):
        raise NablispError("value", ":missing is drop or refuse", span=a.at("missing"))
    found = table.read_table(
        a.session.root,
        file.value,
        select=tuple(_name(form, "data").name for form in rest) or None,
        classes=words(a.named["classes"]) if "classes" in a.named else (),
        missing="drop" if "drop" in missing else "refuse",
        budget=a.session.budget,
    )
    a.session.declare_columns(found.columns, file.span)
    a.session.classes.update(found.classes)
    for name, labels in found.classes.items():
        shown = ", ".join(f"{i} {label}" for i, label in enumerate(labels[:12]))
        a.session.note(f"{name}: {shown}{' …' if len(labels) > 12 else ''}")
    if found.dropped:
        a.session.note(f"{file.value}: {found.dropped} rows with missing cells were dropped")


def word(form: Form) -> str:
    match form:
        case Symbol(word) | String(word):
            return word
    raise NablispError("type", f"this takes a name, not {brief(form)}", span=form.span)


def backend(form: Form) -> str:
    """The name of a backend that there is."""
    name = word(form)
    try:
        check_name(name)
    except NablispError as error:
        raise error.at(form.span) from None
    return name


def words(form: Form) -> tuple[str, ...]:
    """A name, a string, or a list of them."""
    return tuple(map(word, form.items if isinstance(form, (List, Array)) else (form,)))


# ---- training ------------------------------------------------------------------------------------

_SETTINGS = tuple(dict.fromkeys(s for row in OPTIMIZERS.values() for s in row.settings))


@form_row(
    "train",
    "(train loss :lr 0.1 :steps 20 …)",
    "move the parameters down the loss; :by " + " ".join((*OPTIMIZERS, *METHODS)),
    (1, 1),
    raw=True,
    keywords=(
        *("by", *RANGES, "schedule", "wrt", "until", "backend", "watch"),
        *("checkpoint", "resume", *_SETTINGS),
    ),
    later=("on",),
    example="(train loss :by adam :lr 0.01 :epochs 50 :batch 32 :holdout 0.2 :patience 5)",
)
def train(a: Arguments) -> Machine:
    session = a.session
    loss = yield a.given[0], a.scope
    loss = as_expr(expect(loss, ("number", "array", "expression"), "the loss", a.at(0)))
    chosen: dict[str, Any] = {
        "seed": session.seed,
        "backend": session.backend,
        "threads": session.threads,
        "settings": {},
    }
    for key, form in a.named.items():
        match key:
            case "by":
                chosen[key] = word(form)
            case "backend":
                chosen[key] = backend(form)
            case "wrt":
                chosen[key] = words(form)
            case "lr":
                chosen.update((yield from _rates(a, form)))
            case "schedule":
                chosen[key] = yield from _schedule(a, form)
            case "watch":
                value = yield form, a.scope
                chosen[key] = expect(value, ("boolean",), ":watch", form.span)
            case "checkpoint":
                value = expect((yield form, a.scope), ("string",), ":checkpoint", form.span)
                chosen |= {key: value, "root": session.root, "script": session.script}
                chosen.setdefault("resume", session.resumes)
            case "resume":
                chosen[key] = yield from _resumed(a, form)
            case "until":
                value = yield form, a.scope
                chosen[key] = as_expr(expect(value, ("boolean", "expression"), ":until", form.span))
            case _:
                value = yield from setting(a, form, key, f":{key}")
                where = chosen["settings"] if key in _SETTINGS else chosen
                where[key.replace("-", "_")] = value
    return trained(a, loss, chosen)


def _resumed(a: Arguments, form: Form) -> Machine:
    """`:resume true`, `false` or `force`."""
    if form == Symbol("force"):
        return "force"
    return expect((yield form, a.scope), ("boolean",), ":resume", form.span)


def setting(a: Arguments, form: Form, key: str, what: str) -> Machine:
    """A number in its range."""
    value = expect((yield form, a.scope), ("number",), what, form.span)
    try:
        return in_range(key, value, what)
    except NablispError as error:
        raise error.at(form.span) from None


def _rates(a: Arguments, form: Form) -> Machine:
    """`:lr 0.1`, or `:lr ((a 1e-4) (b 1e-2))`."""
    match form:
        case Symbol("auto"):
            return {"auto": True}
        case List((List(), *_)) | List((Symbol(), Number())):
            pass
        case _:
            return {"lr": (yield from setting(a, form, "lr", ":lr"))}
    rates: dict[str, float] = {}
    for pair in form.items:
        match pair:
            case List((Symbol(name), rate)) if name not in rates:
                rates[name] = yield from setting(a, rate, "lr", f"the rate of {name}")
            case List((Symbol(name), _)):
                raise NablispError("name", f"{name} has two rates", span=pair.span)
            case _:
                raise NablispError(
                    "syntax",
                    "a rate for each parameter is (name rate)",
                    span=pair.span,
                    hint=":lr ((a 1e-4) (b 1e-2))",
                )
    return {"rates": rates}


def _schedule(a: Arguments, form: Form) -> Machine:
    match form:
        case List((Symbol(kind), *rest)):
            found = []
            for item in rest:
                value = expect((yield item, a.scope), ("number",), f"a number of {kind}", item.span)
                found.append(float(value))
            return kind, tuple(found)
    raise no_rule().at(form.span)


@patient
def watched(run: Generator[Progress, None, Result], session: Any, asked: bool = False) -> Result:
    """The result of a run; an interrupt that meets the watcher is one of the run.

    `asked` says that the program itself wants it watched.
    """
    result: Result | None = None
    try:
        with watcher(session, asked) as see:
            try:
                progress = next(run)
                while True:
                    try:
                        if progress.news:
                            session.note(progress.news)
                        see(progress)
                    except KeyboardInterrupt as interrupt:
                        progress = run.throw(interrupt)
                    else:
                        progress = next(run)
            except StopIteration as stop:
                result = stop.value
            see(result)
    except KeyboardInterrupt:  # enough seen
        if result is None:
            raise
        check()
    assert result is not None
    session.interrupted = result.status == "interrupted"
    session.runs.append(result)
    return result


def watcher(session: Any, asked: bool) -> AbstractContextManager[Callable[[Any], None]]:
    """Who looks at a run, if anybody does. After a run interrupted there is no other."""
    if session.interrupted:
        raise KeyboardInterrupt
    found: AbstractContextManager[Callable[[Any], None]]
    found = nullcontext(_unseen) if session.watch is None else session.watch(asked)
    return found


def _unseen(seen: Progress | Result) -> None:
    """What a watcher does where nobody watches."""


def trained(
    a: Arguments, loss: Any, chosen: dict[str, Any], run: Callable[..., Any] = training
) -> Value:
    """Run to the end, then move the session's parameters."""
    session = a.session
    inside = names(loss)
    held = session.parameters
    free = {n for n, p in held.items() if not p.fixed}
    if chosen.get("wrt") is None and any(n not in free for n in held if n in inside):
        chosen["wrt"] = tuple(n for n in held if n in free and n in inside)
    own = {n: p.rate for n, p in held.items() if p.rate is not None and n in inside and n in free}
    if chosen.get("auto") or chosen.get("by", "gd") not in OPTIMIZERS:
        own = {}
    chosen["rates"] = {**own, **chosen.get("rates", {})}
    wrt = chosen.get("wrt")
    if wrt is not None:
        chosen["rates"] = {n: r for n, r in chosen["rates"].items() if n in wrt or n not in own}
    chosen.setdefault("watch", session.watches)
    options = Options(
        bounds={n: (p.low, p.high) for n, p in held.items() if (p.low, p.high) != (None, None)},
        **chosen,
    )
    start = {n: p.value for n, p in held.items()}
    going = run(loss, start, session.columns, options, session.budget)
    result = watched(going, session, options.watch)
    if session.explain and result.work is not None:
        session.note(result.work.words(result.steps))
        if session.explain > 1:
            session.note(result.work.text)
    for name, value in result.params.items():
        held[name].value = value
    session.compared = lambda: result.view.pairs if result.view else ()
    if result.trouble is not None:
        span = session.origins.get(result.trouble)
        if span is not None:
            result.remarks[0] += f" ({span.file}:{span.line}:{span.column})"
    return result
