"""Two verbs that run expressions: `compile`, a function; `iterate`, a step taken many times.

A backend knows no training and no names of operations. A step is a bundle of expressions: *next*
state, reasons to *stop* (judged before the update), and what to *emit* into the record.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Protocol

from ..errors import NablispError, nearest
from ..expr import Expr

Window = tuple[int, int]
"""A range of rows, `start` to `stop` (exclusive)."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a run, as expressions of the state's names and the columns."""

    next: Mapping[str, Expr]
    stop: Mapping[str, Expr] = field(default_factory=dict)
    emit: Mapping[str, Expr] = field(default_factory=dict)


@dataclass(slots=True)
class Ran:
    """What iterating came to: the state, the records, and the reason it stopped early, if any.

    A step that gives a reason to stop is not taken: `state` is the one that was judged.
    """

    state: dict[str, Any]
    records: dict[str, list[Any]]
    stop: str | None
    steps: int


class Backend(Protocol):
    def compile(self, outputs: Sequence[Expr], inputs: Sequence[str]) -> Callable[..., list[Any]]:
        """A function of the inputs, in order, to the outputs' values."""

    def iterate(
        self,
        step: Step,
        state: Mapping[str, Any],
        columns: Mapping[str, Any],
        windows: Sequence[Window],
    ) -> Ran:
        """Take the step once per window of rows, until a reason to stop."""


BACKENDS = {"numpy": "straight-line programs over whole arrays; the reference"}
LATER = ("native", "jax")


def backend(name: str | None = None) -> Backend:
    """The backend of a name; the default is numpy. NablispError for one there is not."""
    name = name or "numpy"
    if name in LATER:
        raise NablispError("unavailable", f"the {name} backend is not part of this version yet")
    if name not in BACKENDS:
        close = nearest(name, BACKENDS)
        raise NablispError(
            "value",
            f"there is no backend called {name}",
            hint=f"did you mean {close}?" if close else f"there are {', '.join(BACKENDS)}",
        )
    found: Backend = import_module(f"{__name__}.{name}")
    return found
