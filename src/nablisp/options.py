"""How to train: turns options and a loss into what may be run, or says what is wrong with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import inf, isfinite
from typing import Any

import numpy as np

from .errors import NablispError, nearest
from .evaluate import as_value
from .expr import Expr, Sym, names
from .optimizers import OPTIMIZERS, Optimizer
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
    "threads": (lambda v: 1 <= v <= 1024 and v == int(v), "a whole number from 1 to 1024"),
}
"""What the options that are numbers may be."""


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
    settings: Mapping[str, float] = field(default_factory=dict)


# ---- what may be trained -----------------------------------------------------------------------


def optimizer_of(options: Options) -> Optimizer:
    """The row of the optimizer; NablispError where there is none, or not such a setting."""
    if options.by in ("newton", "lbfgs"):
        raise NablispError("unavailable", f":by {options.by} is not part of this version yet")
    row = OPTIMIZERS.get(options.by)
    if row is None:
        close = nearest(options.by, OPTIMIZERS)
        raise NablispError(
            "value",
            f"there is no optimizer called {options.by}",
            hint=f"did you mean {close}?" if close else f"there are {', '.join(OPTIMIZERS)}",
        )
    for name in options.settings:
        if name not in row.settings:
            raise NablispError(
                "keyword",
                f"{row.name} has no setting :{name}",
                hint=f"it has {', '.join(f':{n}' for n in row.settings) or 'none'}",
            )
    return row


def moving(inside: Mapping[str, Sym], params: Mapping[str, Any], options: Options) -> list[str]:
    """The names to train, in order of declaration."""
    if options.wrt is not None:
        for name in options.wrt:
            if name not in params:
                close = nearest(name, params)
                raise NablispError(
                    "unbound-name",
                    f":wrt names {name}, which is no parameter",
                    hint=f"did you mean {close}?" if close else "",
                )
    found = [n for n in params if n in inside and (options.wrt is None or n in options.wrt)]
    if not found:
        which = "any of the parameters to train" if options.wrt is not None else "any parameter"
        raise NablispError(
            "value",
            f"the loss does not depend on {which}" + ("" if params else ": none is declared"),
            hint=f"it depends on {', '.join(inside)}"
            if options.wrt is not None
            else "declare one: (params m b)",
        )
    return found


def check_loss(loss: Expr, shapes: ShapeEnv, params: Mapping[str, Any], options: Options) -> None:
    """Refuse a loss or an end that has no value, or is no number or no condition."""
    inside = names(loss)
    for name in inside if options.until is None else {**inside, **names(options.until)}:
        if name not in shapes:
            close = nearest(name, shapes)
            raise NablispError(
                "unbound-name",
                f"{name} has no value: it is neither parameter nor column",
                hint=f"did you mean {close}?" if close else f"declare it: (params {name})",
            )
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
