"""How to train: turns options and a loss into what may be run, or says what is wrong with them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from math import inf, isfinite
from pathlib import Path
from types import NoneType
from typing import Any

import numpy as np

from .errors import NablispError, meant, no_such
from .evaluate import as_value, evaluate
from .expr import Expr, Num, Sym, as_expr, asked, call, formula, names, substitute
from .optimizers import METHODS, OPTIMIZERS, SCHEDULES, Optimizer
from .printer import brief
from .shapes import ShapeEnv, is_boolean, shape_of, show

RANGES: dict[str, tuple[Callable[[float], bool], str]] = {
    "lr": (lambda v: 0 <= v < inf, "a number from 0"),
    "steps": (lambda v: 0 <= v < inf and v == int(v), "a whole number from 0"),
    "epochs": (lambda v: 0 <= v < inf and v == int(v), "a whole number from 0"),
    "batch": (lambda v: 1 <= v < inf and v == int(v), "a whole number from 1"),
    "holdout": (lambda v: 0 < v < 1, "a fraction between 0 and 1"),
    "patience": (lambda v: 1 <= v < inf and v == int(v), "a whole number from 1"),
    "seed": (lambda v: 0 <= v <= 2**53 and v == int(v), "a whole number from 0 to 2^53"),
    "tol": (lambda v: 0 <= v < inf, "a number from 0"),
    "seconds": (lambda v: v >= 0, "a number from 0"),
    "clip": (lambda v: v > 0, "a positive number"),
    "weight-decay": (lambda v: 0 <= v < inf, "a number from 0"),
    "every": (lambda v: 1 <= v < inf and v == int(v), "a whole number from 1"),
    "every-seconds": (lambda v: v >= 0, "a number from 0"),
    "threads": (lambda v: 1 <= v <= 1024 and v == int(v), "a whole number from 1 to 1024"),
}
"""What the options that are numbers may be."""

SETTINGS: dict[str, tuple[Callable[[float], bool], str]] = {
    **dict.fromkeys(("beta", "beta1", "beta2", "rho"), (lambda v: 0 <= v < 1, "from 0 to below 1")),
    "eps": RANGES["lr"],
}
"""And the settings of optimizers; others are any finite number."""


def in_range(name: str, value: Any, what: str = "") -> Any:
    """The value of an option, or NablispError "value" that says what it may be."""
    value = as_value(value, what or f":{name}")
    fits, words = RANGES.get(name, (isfinite, "a finite number"))
    if isinstance(value, (bool, np.ndarray)) or not fits(value):
        raise NablispError("value", f"{what or f':{name}'} must be {words}, not {brief(value)}")
    return int(value) if words.startswith("a whole") else value


@dataclass(frozen=True, slots=True)
class Options:
    """How to train; see `train`."""

    by: str = "gd"
    lr: float | None = None
    rates: Mapping[str, float] = field(default_factory=dict)
    auto: bool = False
    """are the rates to be read off the curvature?"""
    steps: int | None = None
    epochs: int | None = None
    batch: int | None = None
    holdout: float | None = None
    patience: int | None = None
    seed: int = 0
    wrt: tuple[str, ...] | None = None
    tol: float | None = None
    until: Expr | None = None
    seconds: float | None = None
    schedule: tuple[str, tuple[float, ...]] | None = None
    clip: float | None = None
    weight_decay: float | None = None
    bounds: Mapping[str, tuple[float | None, float | None]] = field(default_factory=dict)
    backend: str | None = None
    threads: int | None = None
    watch: bool = False
    """are the parameters to be kept along the way, for whoever watches?"""
    settings: Mapping[str, float] = field(default_factory=dict)
    checkpoint: str | None = None
    """the name, below `root`, of the file that the run is kept in"""
    root: Path | None = None
    every: int | None = None
    every_seconds: float | None = None
    """steps, and seconds, from one writing to the next"""
    resume: bool | str = False
    """go on from the checkpoint; "force": also from one of another program or other data"""
    script: str = ""
    """the file that the program stands in, which a checkpoint names"""


def chosen_options(
    lr: Any, schedule: Any, until: Any, wrt: Any, options: dict[str, Any]
) -> Options:
    """Options as Python gives them; NablispError for a name or a value that is none."""
    settings = {}
    for name in ("by", "backend"):
        if not isinstance(options.get(name), (str, NoneType)):
            raise NablispError("type", f":{name} takes a name, not {options[name]!r}")
    for name in list(options):
        word = name.replace("_", "-")
        if any(name in row.settings for row in OPTIMIZERS.values()):
            settings[name] = in_range(name, options.pop(name))
        elif name not in Options.__dataclass_fields__:
            raise NablispError(
                "keyword",
                f"train has no option {name}",
                hint=meant(name, Options.__dataclass_fields__),
            )
        elif word in RANGES and options[name] is not None:
            options[name] = in_range(word, options[name])
    rates = lr if isinstance(lr, Mapping) else {}
    auto = isinstance(lr, str) and lr == "auto"
    return Options(
        lr=None if lr is None or auto or isinstance(lr, Mapping) else in_range("lr", lr),
        auto=auto,
        rates={name: in_range("lr", rate, f"the rate of {name}") for name, rate in rates.items()},
        schedule=_rule(schedule),
        until=None if until is None else asked(until),
        wrt=several(wrt, ":wrt"),
        settings=settings,
        **options,
    )


def several(given: Any, what: str) -> tuple[str, ...] | None:
    """Names as Python gives them, one or a sequence; NablispError "type" for anything else."""
    if given is None or isinstance(given, str):
        return None if given is None else (given,)
    if isinstance(given, Iterable):
        found = tuple(given)
        if all(isinstance(name, str) for name in found):
            return found
    raise NablispError("type", f"{what} takes names of parameters, not {given!r}")


def starts_of(params: Any) -> dict[str, Any]:
    """Starts by name, as Python gives them; NablispError "type" for anything else."""
    if not isinstance(params, Mapping):
        raise NablispError("type", "params map names to starts", hint='{"a": 1, "k": 0}')
    return {name: as_value(value, str(name)) for name, value in params.items()}


def _rule(schedule: Any) -> tuple[str, tuple[float, ...]] | None:
    """A schedule's name and numbers."""
    match schedule:
        case None:
            return None
        case str():
            return schedule, ()
        case [str(kind), *rest]:
            return kind, tuple(in_range("", v, f"a number of {kind}") for v in rest)
    raise no_rule()


def no_rule() -> NablispError:
    """What is no schedule."""
    signatures = ", ".join(signature for signature, _ in SCHEDULES.values())
    return NablispError("syntax", ":schedule takes a rule", hint=signatures)


# ---- what may be trained -----------------------------------------------------------------------


BARRED = (
    "lr",
    "rates",
    "auto",
    "epochs",
    "batch",
    "holdout",
    "patience",
    "schedule",
    "clip",
    "weight_decay",
    "settings",
    "checkpoint",
    "every",
    "every_seconds",
    "resume",
)
"""Options that say how rules take a step, and mean nothing to a method."""


def method_of(options: Options) -> str:
    """The name of the method, "" for the choice by size; NablispError for what it cannot take."""
    if options.by and options.by not in METHODS:
        raise no_such("method", options.by, METHODS)
    for name in BARRED:
        if getattr(options, name):
            word = {"rates": "lr", "auto": "lr"}.get(name, name.replace("_", "-"))
            word = next(iter(options.settings)) if name == "settings" else word
            raise NablispError(
                "keyword",
                f"{options.by or 'minimize'} takes no :{word}: it finds its own steps, "
                "over all rows",
                hint="it takes :wrt, :steps, :seconds, :tol and :until",
            )
    return options.by


def optimizer_of(options: Options) -> Optimizer:
    """The row of the optimizer; NablispError where there is none, or not such a setting."""
    row = OPTIMIZERS.get(options.by)
    if row is None:
        raise no_such("optimizer", options.by, [*OPTIMIZERS, *METHODS])
    if options.auto and row.name not in ("gd", "momentum"):
        raise NablispError(
            "value",
            f":lr auto reads rates off the curvature for gd and momentum, not for {row.name}",
            hint=f"(train loss :lr auto), or a rate: :by {row.name} :lr {row.rate:g}",
        )
    if options.auto and options.schedule is not None:
        raise _two_rates()
    for name, value in options.settings.items():
        fits, words = SETTINGS.get(name, (isfinite, "finite"))
        if name not in row.settings:
            raise NablispError(
                "keyword",
                f"{row.name} has no setting :{name}",
                hint=f"it has {', '.join(f':{n}' for n in row.settings) or 'none'}",
            )
        if not fits(value):
            raise NablispError("value", f":{name} must be {words}, not {brief(value)}")
    return row


def _two_rates() -> NablispError:
    return NablispError(
        "value",
        ":schedule gives the rate of every step, and :lr another",
        hint="leave one of them out",
    )


def moving(inside: Mapping[str, Sym], params: Mapping[str, Any], options: Options) -> list[str]:
    """The names to train, in order of declaration."""
    if options.wrt is not None:
        for name in options.wrt:
            if name not in params:
                raise NablispError(
                    "unbound-name",
                    f":wrt names {name}, which is no parameter",
                    hint=meant(name, params),
                )
    held = [n for n in params if n in inside]
    found = [n for n in held if options.wrt is None or n in options.wrt]
    if not found:
        raise nothing_moves("the loss", held, inside, params)
    return found


def nothing_moves(
    what: str, held: Sequence[str], inside: Iterable[str], params: Collection[str]
) -> NablispError:
    """A formula that no parameter moves, though it may hold some of them."""
    if held:
        which = f"the parameters in {what} are all held fixed: {', '.join(held)}"
        return NablispError("value", which, hint="(param m 0) declares one that moves")
    if not params:
        none = f"{what} does not depend on any parameter: none is declared"
        return NablispError("value", none, hint="declare one: (params m b)")
    return NablispError(
        "value",
        f"{what} does not depend on any parameter",
        hint=f"the parameters are {_some(params)}; {what} holds {_some(inside)}",
    )


def _some(names: Iterable[str], most: int = 12) -> str:
    """The first names of many."""
    shown = [str(name) for name in islice(names, most + 1)]
    return ", ".join([*shown[:most], *(["…"] if shown[most:] else [])]) or "no name"


def refuse_unknown(inside: Iterable[str], known: Collection[str]) -> None:
    """NablispError for a name that is neither parameter nor column."""
    for name in inside:
        if name not in known:
            raise NablispError(
                "unbound-name",
                f"{name} has no value: it is neither parameter nor column",
                hint=meant(name, known, f"declare it: (params {name})"),
            )


def check_loss(loss: Expr, shapes: ShapeEnv, params: Mapping[str, Any], options: Options) -> None:
    """Refuse a loss or an end that has no value, or is no number or no condition."""
    inside = names(loss)
    refuse_unknown(inside if options.until is None else {**inside, **names(options.until)}, shapes)
    if is_boolean(loss):
        raise NablispError(
            "type",
            f"the loss is a number, and {brief(loss)} is true or false",
            hint="choose numbers with where: (where c 1 0)",
        )
    if options.until is not None and not is_boolean(options.until):
        raise NablispError(
            "type",
            f":until takes a condition, not {brief(options.until)}",
            hint="a condition is a comparison: (< loss 1e-6)",
        )
    for what, expr in (("the loss", loss), (":until", options.until)):
        if expr is not None and (shape := shape_of(expr, shapes)):
            raise NablispError(
                "shape",
                f"{what} has shape {show(shape)}: one value per row or element, not a single one",
                hint="wrap it in mean or sum" if expr is loss else "reduce it: (< (amax e) 1)",
            )
    for name, start in params.items():
        if name in inside and not np.isfinite(start).all():
            raise NablispError("value", f"{name} starts at {brief(start)}, which is not finite")


def used(options: Options, name: str) -> bool:
    """Does the condition of `:until` use this name?"""
    return options.until is not None and name in names(options.until)


# ---- rates ---------------------------------------------------------------------------------------


def rates_over_time(
    options: Options,
    row: Optimizer,
    moving: Sequence[str],
    total: int | None,
    tick: Expr,
    first: Expr,
) -> dict[str, Expr]:
    """The learning rate of every parameter, as an expression of the step number `tick`.

    `first` is what that is in the first step, `total` how many steps there are at most.
    """
    for name in options.rates:
        if name not in moving:
            raise NablispError(
                "unbound-name",
                f":lr names {name}, which is not trained here",
                hint=meant(name, moving),
            )
    base = row.rate if options.lr is None else options.lr
    if options.schedule is None:
        return {n: Num(options.rates.get(n, base)) for n in moving}
    if options.lr is not None:
        raise _two_rates()
    kind, args = options.schedule
    if kind not in SCHEDULES:
        raise no_such("schedule", kind, SCHEDULES)
    signature, text = SCHEDULES[kind]
    if len(args) != signature.count(" "):
        raise NablispError(
            "arity",
            f"{kind} takes {signature.count(' ')} numbers, not {len(args)}",
            hint=signature,
        )
    if total is None:
        raise NablispError("value", "a schedule needs :steps or :epochs", hint=signature)
    words = signature.strip("()").split()[1:]
    args = tuple(
        in_range(word if word in RANGES else "lr", value, f"{word}, a number of {kind},")
        for word, value in zip(words, args, strict=True)
    )
    numbers: dict[Expr, Expr] = {
        **{Sym(n): as_expr(float(v)) for n, v in zip("abc", args, strict=False)},
        Sym("total"): as_expr(float(max(total, 1))),
    }
    rule, at_first = (
        substitute([formula(text)], {**numbers, Sym("t"): t})[0] for t in (tick, first)
    )
    start = evaluate([at_first], {})[0] or 1.0
    return {
        n: call("*", options.rates[n] / start, rule) if n in options.rates else rule for n in moving
    }
