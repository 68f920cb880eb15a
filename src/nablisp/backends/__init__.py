"""Two verbs that run expressions: `compile`, a function; `iterate`, a step taken many times.

A backend knows no training and no names of operations. A step is a bundle of expressions: *next*
state, reasons to *stop* (judged before the update), and what to *emit* into the record. Which
backend runs is chosen by the shape of the program and the work ahead, unless it is named.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Protocol

from ..errors import NablispError, nearest
from ..expr import Expr, size
from ..shapes import ShapeEnv

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


class Stepper(Protocol):
    """A step compiled. `seconds` is how long that took, `text` what came out, for reading."""

    backend: str
    seconds: float
    text: str
    threads: int

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
        """A function of the inputs, in order, to the outputs' values."""  # fmt: skip

    def iterate(
        self,
        step: Step,
        columns: Sequence[str],
        shapes: ShapeEnv,
        most: int,
        threads: int | None,
    ) -> Stepper:
        """The step as a function that takes it many times."""  # fmt: skip


BACKENDS = {
    "numpy": "straight-line programs over whole arrays; the reference",
    "native": "machine code, where a program is elementwise over rows with reductions",
}
LATER = ("jax",)

PAYS = 0.25
"""Seconds of NumPy's time above which machine code repays its import and compilation."""
MOST = 100_000
"""Operations, written out by element, that native takes when it is asked to."""
FEW = 3_000
"""Operations up to which it is chosen: beyond, compiling is slow and BLAS is good at matrices."""


def named(name: str) -> Backend:
    """The backend of a name; NablispError for one there is not."""
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


def compile(  # noqa: A001
    outputs: Sequence[Expr],
    inputs: Sequence[str],
    shapes: ShapeEnv,
    *,
    rows: int,
    calls: int = 1,
    backend: str | None = None,
    threads: int | None = None,
) -> Function:
    """A function of the inputs, in order, to the outputs' values, by the backend that suits."""
    args = outputs, inputs, shapes
    found: Function = _chosen("compile", outputs, rows, calls, backend, args, threads)
    return found


def iterate(
    step: Step,
    columns: Sequence[str],
    shapes: ShapeEnv,
    *,
    rows: int,
    steps: int,
    backend: str | None = None,
    threads: int | None = None,
) -> Stepper:
    """A step as a function that takes it many times, by the backend that suits."""
    outputs = [*step.stop.values(), *step.emit.values(), *step.next.values()]
    args = step, columns, shapes
    found: Stepper = _chosen("iterate", outputs, rows, steps, backend, args, threads)
    return found


def _chosen(
    verb: str,
    outputs: Sequence[Expr],
    rows: int,
    times: int,
    backend: str | None,
    args: tuple[Any, ...],
    threads: int | None,
) -> Any:
    """The verb of the backend that is named, or else pays."""
    if backend is not None:
        return getattr(named(backend), verb)(*args, MOST, threads)
    if numpy_seconds(outputs, rows) * times > PAYS:
        try:
            return getattr(named("native"), verb)(*args, FEW, threads)
        except NablispError as error:
            if error.kind != "unavailable":
                raise
        except ImportError:  # llvmlite, where it is not to be had
            pass
    return getattr(named("numpy"), verb)(*args, MOST, threads)


def numpy_seconds(outputs: Sequence[Expr], rows: int) -> float:
    """About how long NumPy takes for the outputs once."""
    return size(*outputs) * (1e-6 + rows * 2e-9)
