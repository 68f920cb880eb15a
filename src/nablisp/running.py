"""The forms that declare parameters and columns and run training: rows of SPECIAL over train.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from . import data as table
from .elaborate import Machine, form_row
from .errors import NablispError
from .expr import as_expr, names
from .forms import Array, Form, List, String, Symbol
from .optimizers import OPTIMIZERS, SCHEDULES
from .printer import brief
from .train import Options, training
from .values import Arguments, Parameter, Value, a_kind, expect, kind_of

# ---- parameters ----------------------------------------------------------------------------------


@form_row("param", "(param m 0 :min … :max … :lr … :fixed true)", "a trainable name: its start (a "
          "number or array), bounds, and a learning rate of its own", (1, 2),
          keywords=("min", "max", "lr", "fixed"), raw=True, example="(param w (normal 3) :lr 0.01)")  # fmt: skip
def param(a: Arguments) -> Machine:
    target = _name(a.given[0], "param")
    start = (yield a.given[1], a.scope) if len(a.given) > 1 else 0
    found = {}
    for key, form in a.named.items():
        kind = "boolean" if key == "fixed" else "number"
        found[key] = expect((yield form, a.scope), (kind,), f":{key}")
    _declare(a, target, start, found)
    return None


@form_row("params", "(params m b (w 1))", "trainable names, starting at 0 or at the value given",
          (1, None), raw=True)  # fmt: skip
def params(a: Arguments) -> Machine:
    for form in a.given:
        match form:
            case List((Symbol() as target, value)):
                _declare(a, target, (yield value, a.scope), {})
            case _:
                _declare(a, _name(form, "params"), 0, {})
    return None


def _name(form: Form, what: str) -> Symbol:
    if not isinstance(form, Symbol):
        raise NablispError("syntax", f"{what} takes names, not {brief(form)}", span=form.span,
                           hint="(params m b (w 1))")  # fmt: skip
    return form


def _declare(a: Arguments, target: Symbol, start: Value, facts: Mapping[str, Value]) -> None:
    expect(start, ("number", "array"), f"the start of {target.name}")
    low, high = facts.get("min"), facts.get("max")
    if low is not None and high is not None and low > high:
        raise NablispError("value", f"the bounds of {target.name} are the wrong way round")
    if (low is not None and np.any(start < low)) or (high is not None and np.any(start > high)):
        raise NablispError("value", f"{target.name} starts outside its bounds", span=target.span)
    if isinstance(start, np.ndarray) and start.dtype == bool:
        start = start.astype(float)
    a.session.declare_parameter(
        target.name,
        Parameter(start, start, low, high, facts.get("lr"), bool(facts.get("fixed"))),
        target.span,
    )


@form_row("reset", "(reset)", "all parameters back to their starts", (0, 0))
def reset(a: Arguments) -> None:
    for parameter in a.session.parameters.values():
        parameter.value = parameter.start


@form_row("forget", "(forget name …)", "free names: definitions, parameters or columns", (1, None),
          raw=True)  # fmt: skip
def forget(a: Arguments) -> None:
    for form in a.given:
        a.session.forget(_name(form, "forget").name, form.span)


# ---- columns -------------------------------------------------------------------------------------


@form_row("data", '(data x [1 2 3]) or (data "points.csv" x y)', "columns: inline, computed from "
          "others, or from a file (.csv, .tsv, .npy, .npz), all of them or those named", (1, None),
          keywords=("classes", "missing"), raw=True, example='(data "iris.csv" :classes species)')  # fmt: skip
def data(a: Arguments) -> Machine:
    first, *rest = a.given
    if isinstance(first, String):
        _from_file(a, first, rest)
        return None
    if a.named:
        raise NablispError("keyword", f":{next(iter(a.named))} is for files", span=first.span)
    target = _name(first, "data")
    if len(rest) != 1:
        raise NablispError("arity", f"data {target.name} takes one column", span=target.span,
                           hint="(data x [1 2 3])")  # fmt: skip
    value = yield rest[0], a.scope
    expect(value, ("array", "expression"), f"the column {target.name}")
    if not isinstance(value, np.ndarray):
        value = _computed(a, target, value)
    if value.dtype == bool:
        raise NablispError("type", f"the column {target.name} holds true and false",
                           hint="make them numbers with where: (where c 1 0)")  # fmt: skip
    a.session.declare_columns({target.name: value}, target.span)
    return None


def _computed(a: Arguments, target: Symbol, root: Any) -> np.ndarray[Any, Any]:
    """A column made of others, by row."""
    session = a.session
    shape = session.shape(root)
    if shape[:1] != ("rows",):
        raise NablispError("shape", f"{brief(root)} is not one value per row", span=target.span,
                           hint="a column is an array, or made of columns: (data z (* 2 x))")  # fmt: skip
    for name in names(root):
        if name in session.parameters:
            raise NablispError("type", f"a column cannot depend on the parameter {name}",
                               span=target.span)  # fmt: skip
    value = session.value(as_expr(root))
    rows = len(next(iter(session.columns.values())))
    return np.broadcast_to(value, (rows, *value.shape[1:])).copy()


def _from_file(a: Arguments, file: String, rest: list[Form]) -> None:
    missing = _words(a.named["missing"]) if "missing" in a.named else ("refuse",)
    if missing not in (("drop",), ("refuse",)):
        raise NablispError("value", ":missing is drop or refuse", span=a.spans.get("missing"))
    found = table.read_table(
        a.session.root,
        file.value,
        select=tuple(_name(form, "data").name for form in rest) or None,
        classes=_words(a.named["classes"]) if "classes" in a.named else (),
        missing=missing[0],  # type: ignore[arg-type]  # one of the two, as checked
        budget=a.session.budget,
    )
    a.session.declare_columns(found.columns, file.span)
    a.session.classes.update(found.classes)
    for name, labels in found.classes.items():
        shown = ", ".join(f"{i} {label}" for i, label in enumerate(labels[:12]))
        a.session.note(f"{name}: {shown}{' …' if len(labels) > 12 else ''}")
    if found.dropped:
        a.session.note(f"{file.value}: {found.dropped} rows with missing cells were dropped")


def _words(form: Form) -> tuple[str, ...]:
    """A name, a string, or a list of them."""
    match form:
        case Symbol(name):
            return (name,)
        case String(value):
            return (value,)
        case List(items) | Array(items):
            return tuple(word for item in items for word in _words(item))
    raise NablispError("type", f"this takes a name, not {brief(form)}", span=form.span)


# ---- training ------------------------------------------------------------------------------------

_NUMBERS = ("steps", "epochs", "batch", "holdout", "patience", "seed", "tol", "seconds", "clip")
_SETTINGS = tuple(dict.fromkeys(s for row in OPTIMIZERS.values() for s in row.settings))
_LATER = ("checkpoint", "resume", "threads", "on", "watch")


@form_row("train", "(train loss :lr 0.1 :steps 20 …)", "move the parameters down the loss; :by "
          + " ".join(OPTIMIZERS), (1, 1), raw=True,
          keywords=("by", "lr", *_NUMBERS, "schedule", "weight-decay", "wrt", "until", "backend",
                    *_SETTINGS, *_LATER),
          example="(train loss :by adam :lr 0.01 :epochs 50 :batch 32 :holdout 0.2 :patience 5)")  # fmt: skip
def train(a: Arguments) -> Machine:
    session = a.session
    loss = yield a.given[0], a.scope
    if kind_of(loss) not in ("expression", "number", "array"):
        raise NablispError("type", f"train takes a loss, not {a_kind(loss)}: {brief(loss)}",
                           span=a.given[0].span)  # fmt: skip
    chosen: dict[str, Any] = {"seed": session.seed, "backend": session.backend}
    for key, form in a.named.items():
        if key in _LATER:
            raise NablispError("unavailable", f":{key} is not part of this version yet",
                               span=a.spans[key])  # fmt: skip
        if key in ("by", "backend"):
            chosen[key] = _words(form)[0]
        elif key == "wrt":
            chosen["wrt"] = _words(form)
        elif key == "schedule":
            chosen["schedule"] = yield from _schedule(a, form)
        elif key == "lr":
            chosen.update((yield from _rates(a, form)))
        elif key == "until":
            chosen["until"] = as_expr(
                expect((yield form, a.scope), ("expression", "boolean"), ":until"))  # fmt: skip
        else:
            value = expect((yield form, a.scope), ("number",), f":{key}")
            if key in _SETTINGS:
                chosen.setdefault("settings", {})[key] = value
            else:
                chosen[key.replace("-", "_")] = value
    return _trained(a, as_expr(loss), chosen)


def _rates(a: Arguments, form: Form) -> Machine:
    """`:lr 0.1`, or `:lr ((a 1e-4) (b 1e-2))`, or a mapping's worth of pairs."""
    if isinstance(form, Symbol) and form.name == "auto":
        raise NablispError("unavailable", ":lr auto is not part of this version yet",
                           span=form.span)  # fmt: skip
    if isinstance(form, List) and form.items and isinstance(form.items[0], List):
        rates = {}
        for pair in form.items:
            match pair:
                case List((Symbol(name), value)):
                    rates[name] = expect((yield value, a.scope), ("number",), f"the rate of {name}")
                case _:
                    raise NablispError("syntax", "a rate for each parameter is (name rate)",
                                       span=pair.span, hint=":lr ((a 1e-4) (b 1e-2))")  # fmt: skip
        return {"rates": rates}
    return {"lr": expect((yield form, a.scope), ("number",), ":lr")}


def _schedule(a: Arguments, form: Form) -> Machine:
    match form:
        case List((Symbol(kind), *rest)):
            found = []
            for item in rest:
                found.append(float(expect((yield item, a.scope), ("number",), f"a number of {kind}")))
            return kind, tuple(found)
    signatures = ", ".join(signature for signature, _ in SCHEDULES.values())
    raise NablispError("syntax", ":schedule takes a rule", span=form.span, hint=signatures)


def _trained(a: Arguments, loss: Any, chosen: dict[str, Any]) -> Value:
    """Run to the end, then move the session's parameters."""
    session = a.session
    for key in ("steps", "epochs", "batch", "patience", "seed"):
        if chosen.get(key) is not None:
            if chosen[key] != int(chosen[key]):
                raise NablispError("value", f":{key} must be a whole number, not {chosen[key]}",
                                   span=a.spans.get(key))  # fmt: skip
            chosen[key] = int(chosen[key])
    inside = names(loss)
    held = session.parameters
    free = {n for n, p in held.items() if not p.fixed}
    if chosen.get("wrt") is None and len(free) < len(held):
        chosen["wrt"] = tuple(n for n in held if n in free and n in inside)
    own = {n: p.rate for n, p in held.items() if p.rate is not None and n in inside and n in free}
    chosen["rates"] = {**own, **chosen.get("rates", {})}
    wrt = chosen.get("wrt")
    if wrt is not None:
        chosen["rates"] = {n: r for n, r in chosen["rates"].items() if n in wrt or n not in own}
    options = Options(
        bounds={n: (p.low, p.high) for n, p in held.items() if (p.low, p.high) != (None, None)},
        **chosen,
    )
    start = {n: p.value for n, p in held.items()}
    for n, p in held.items():
        if n in inside and not np.isfinite(p.value).all():
            raise NablispError("value", f"{n} is {brief(p.value)} now, which is not finite",
                               hint="(reset) puts parameters back to their starts")  # fmt: skip
    run = training(loss, start, session.columns, options, session.budget)
    while True:
        try:
            progress = next(run)
        except StopIteration as stop:
            result = stop.value
            break
        if session.watch is not None:
            session.watch(progress)
    for name, value in result.params.items():
        held[name].value = value
    if result.trouble is not None:
        span = session.origins.get(result.trouble)
        if span is not None:
            result.notes[0] += f" ({span.file}:{span.line}:{span.column})"
    return result


