"""Two verbs that run expressions: `compile`, a function; `iterate`, a step taken many times.

A backend knows no training and no names of operations. A step is a bundle of expressions: *next*
state, reasons to *stop* (judged before the update), and what to *emit* into the record. Which
backend runs is chosen by the shape of the program and the work ahead, unless it is named.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from math import inf
from typing import Any, Protocol

from ..accurate import accurate
from ..errors import NablispError, no_such
from ..expr import Expr, size
from ..limits import in_force
from ..shapes import ShapeEnv
from ..unroll import MOST

Window = tuple[int, int]
"""A range of rows, `start` to `stop` (exclusive)."""
TICK = 0.05
"""Seconds after which a stepper returns at the end of a step: for signals and whoever watches."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a run, as expressions of the state's names and the columns."""

    next: Mapping[str, Expr]
    stop: Mapping[str, Expr] = field(default_factory=dict)
    emit: Mapping[str, Expr] = field(default_factory=dict)


@dataclass(slots=True)
class Ran:
    """What some steps came to: the state, the records, and the reason to stop, if any.

    A step that gives a reason to stop is not taken: `state` is the one that was judged.
    """

    state: dict[str, Any]
    records: dict[str, Any]
    stop: str | None
    steps: int
    every: int = 1
    """steps from one record to the next"""


class Stepper(Protocol):
    """A step compiled. `seconds` is how long that took, `text` what came out, for reading."""

    backend: str
    seconds: float
    text: str
    threads: int
    why: str
    """why it is not native, where that would have paid"""

    def __call__(
        self,
        state: Mapping[str, Any],
        columns: Mapping[str, Any],
        windows: Sequence[Window],
        steps: int,
    ) -> Ran:
        """Take the step up to `steps` times, on windows of rows in turn, for 50 ms or so."""


Function = Callable[..., list[Any]]


class Backend(Protocol):
    """`shapes` gives the shapes of inputs, the state and the columns; a name it lacks is scalar."""

    def compile(
        self,
        outputs: Sequence[Expr],
        inputs: Sequence[str],
        shapes: ShapeEnv,
        most: int,
        threads: int | None,
    ) -> Function:
        """A function of the inputs, in order, to the outputs' values."""

    def iterate(
        self,
        step: Step,
        columns: Sequence[str],
        shapes: ShapeEnv,
        most: int,
        threads: int | None,
        rows: int | None,
    ) -> Stepper:
        """The step as a function that takes it many times; with always so many rows, if given."""


BACKENDS = {
    "numpy": "straight-line programs over whole arrays; the reference",
    "native": "machine code, where a program is elementwise over rows with reductions",
}
LATER = ("jax",)

THREADED = 100_000
"""Rows from which a native run has helpers."""
COMPILING = 20e-6
"""Seconds that machine code takes to make, for each operation."""
COLD, WARM = 0.25, 0.03
"""Seconds of NumPy's time above which it pays besides; with and without importing the compiler."""
FEW = 3_000
"""Operations, where arrays must be written out by element, up to which it is chosen: BLAS is good
at matrices."""


def check_name(name: str) -> None:
    """NablispError for the name of a backend that there is not."""
    if name in LATER:
        raise NablispError("unavailable", f"the {name} backend is not part of this version yet")
    if name not in BACKENDS:
        raise no_such("backend", name, BACKENDS)


def named(name: str) -> Backend:
    """The backend of a name; NablispError for one there is not."""
    check_name(name)
    found: Backend = import_module(f"{__name__}.{name}")
    return found


def compile(  # noqa: A001
    outputs: Sequence[Expr],
    inputs: Sequence[str],
    shapes: ShapeEnv,
    *,
    rows: int,
    calls: int = 1,
    backend: str | None = None,
    threads: int | None = None,
    warm: bool = False,
) -> Function:
    """A function of the inputs, in order, to the outputs' values, by the backend that suits.

    `warm` says that the compiler is at hand already.
    """
    outputs = accurate(*outputs)
    args = outputs, inputs, shapes
    pays = WARM if warm else COLD
    found: Function = _chosen("compile", outputs, rows, calls, backend, args, threads, pays)[0]
    return found


def iterate(
    step: Step,
    columns: Sequence[str],
    shapes: ShapeEnv,
    *,
    rows: int,
    steps: int,
    steady: bool = False,
    backend: str | None = None,
    threads: int | None = None,
) -> Stepper:
    """A step as a function that takes it many times, by the backend that suits.

    `steady` promises that every step takes all rows of the columns.
    """
    step = _rounded_well(step)
    outputs = [*step.stop.values(), *step.emit.values(), *step.next.values()]
    args = step, columns, shapes
    found: Stepper
    fixed = (rows if steady else None,)
    found, found.why = _chosen("iterate", outputs, rows, steps, backend, args, threads, COLD, fixed)
    return found


def _rounded_well(step: Step) -> Step:
    """The step in its accurate form."""
    parts = step.next, step.stop, step.emit
    made = iter(accurate(*(e for part in parts for e in part.values())))
    return Step(*({name: next(made) for name in part} for part in parts))


def _chosen(
    verb: str,
    outputs: Sequence[Expr],
    rows: int,
    times: int,
    backend: str | None,
    args: tuple[Any, ...],
    threads: int | None,
    pays: float,
    more: tuple[Any, ...] = (),
) -> tuple[Any, str]:
    """The verb of the backend that is named, or else pays; and why it is not native."""
    operations = size(*outputs)
    budget = in_force()
    room = inf if budget is None else budget.left
    if backend is not None:
        if budget is not None and backend == "native":
            budget.check("seconds", operations * COMPILING)
        return getattr(named(backend), verb)(*args, MOST, threads, *more), ""
    seconds = operations * (1e-6 + rows * 2e-9) * times  # NumPy's, about
    why = ""
    if seconds > pays + operations * COMPILING < room:
        try:
            return getattr(named("native"), verb)(*args, FEW, threads, *more), why
        except NablispError as error:
            if error.kind != "unavailable":
                raise
            why = error.message
        except ImportError as error:  # llvmlite, where it is not to be had
            why = str(error)
    return getattr(named("numpy"), verb)(*args, MOST, threads, *more), why
