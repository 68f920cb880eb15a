"""What a run came to: turns its parameters, record and reason to stop into parts and text."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from .expr import Expr
from .printer import columns_of, element
from .recording import History
from .views import View

STATUS = {
    "converged": "the gradient is zero within the tolerance, at a minimum",
    "exact": "the data are met exactly",
    "steps": "all steps were taken",
    "until": "the condition came true",
    "patience": "no better for too long; the best parameters are kept",
    "time": "the time was up",
    "stalled": "no progress, and not a minimum that stands alone",
    "interrupted": "stopped from the keyboard; the best parameters so far are kept",
    "diverged": "the loss left all bounds; the best parameters are kept",
}

_CUT_SHORT = ("diverged", "interrupted", "stalled")


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run is, for whoever watches."""

    step: int
    total: int | None
    loss: float
    """nan where it is not known"""
    seconds: float
    params: Mapping[str, Any] = field(default_factory=dict)
    view: View | None = None
    limit: float | None = None
    """seconds after which the run ends"""
    run: str = "train"
    news: str = ""
    """what went wrong beside the run, for whoever watches"""


@dataclass(frozen=True, slots=True)
class Work:
    """What ran the steps: the backend, its threads, how long compiling took, the rows of a step."""

    backend: str
    threads: int
    compiled: float
    rows: int
    ran: float
    """seconds spent in steps"""
    why: str
    """why it was not native, where that would have paid"""
    text: str = field(repr=False)
    """the compiled step, for reading: LLVM's text, or a list of instructions"""

    def words(self, steps: int) -> str:
        """Which backend ran, and how fast."""
        threads = f", up to {self.threads} threads" if self.threads > 1 else ""
        rows = f" of {self.rows} rows" if self.rows else ""
        passed = steps * self.rows
        speed = f", {passed / self.ran:.3g} rows a second" if passed and self.ran else ""
        why = f" ({self.why})" if self.why else ""
        return (
            f"{self.backend}{why}{threads}: compiled in {self.compiled * 1e3:.3g} ms; "
            f"{steps} steps{rows} in {self.ran:.3g} s{speed}"
        )


def outcome(run: Generator[Progress, None, Result]) -> Result:
    """The result of a run that nobody watches."""
    while True:
        try:
            next(run)
        except StopIteration as stop:
            found: Result = stop.value
            return found


@dataclass(slots=True)
class Result:
    """The outcome of a run.

    `params` maps names to numbers or arrays; `history` maps "loss" and the scalar parameters to
    their values before each step (above a million steps, before every second, fourth, …), and
    last at the end: `history.steps` says when; `gradient` is of the loss over all rows.
    """

    run: str
    status: str
    params: dict[str, Any]
    start: dict[str, Any]
    loss: float
    first_loss: float
    gradient: dict[str, Any]
    steps: int
    seconds: float
    history: History = field(repr=False)
    method: str = ""
    remarks: list[str] = field(default_factory=list)
    """what was noticed while it ran; `notes` are these and what the curvature advises"""
    held_loss: float | None = None
    se: dict[str, float] | None = None
    cov: np.ndarray[Any, Any] | None = None
    why: str = "train gives no standard errors"
    trouble: Expr | None = None
    """the sub-expression that stopped being finite"""
    work: Work | None = None
    advise: Callable[[], list[str]] | None = field(default=None, repr=False)
    """makes the advice, when somebody first asks for it: it may take as long as some steps"""
    curvature: str = ""
    """what the point is, by the Hessian there, if the method looked: `a minimum: curvature 2`"""
    evaluations: int | None = None
    """how often a method asked for the loss with its gradient"""
    gradient_norm: float | None = None
    """the length of the gradient but for entries that it holds at a bound, if a method ran"""
    view: View | None = field(default=None, repr=False)
    """what it worked on, for pictures"""
    snapshots: list[tuple[int, dict[str, Any]]] = field(default_factory=list, repr=False)
    """steps, and what the parameters were before them, if it was watched"""

    @property
    def more(self) -> dict[str, Any]:
        """What `--json` prints of no other kind of run."""
        return {}

    @property
    def notes(self) -> list[str]:
        """Remarks about the run, and advice for the next."""
        if self.advise is not None:
            self.remarks += self.advise()
            self.advise = None
        return self.remarks

    def __reduce__(self) -> tuple[object, ...]:
        _ = self.notes  # the advice itself, not what makes it
        return Result, tuple(getattr(self, field.name) for field in fields(self))

    def parts(self) -> dict[str, Any]:
        """What `(get r :key)` finds, by key."""
        found: dict[str, Any] = {
            "status": self.status,
            "loss": self.loss,
            "steps": self.steps,
            "seconds": self.seconds,
            "history": self.history["loss"],
        }
        if self.held_loss is not None:
            found["holdout"] = self.held_loss
        if self.evaluations is not None:
            found |= {
                "gradient": self.gradient_norm,
                "curvature": self.curvature,
                "evaluations": self.evaluations,
            }
        found.update({name: self.params[name] for name in self.params if name not in found})
        return found

    @property
    def text(self) -> str:
        """The result as a short table."""
        moved = f"loss {element(self.first_loss)} → {element(self.loss)}"
        count = f"{self.steps:,} step{'' if self.steps == 1 else 's'}"
        went = f"{self.status} after {count}" if self.status in _CUT_SHORT else count
        lines = [f"{self.run} by {self.method}: {went}, {moved}"]
        rows = [("", "from", "to", "gradient")]
        for name, value in self.params.items():
            rows.append(
                (name, _cell(self.start[name]), _cell(value), _cell(self.gradient.get(name), 6))
            )
        lines += [f"  {line}" for line in columns_of(rows)]
        if self.held_loss is not None:
            lines.append(f"  loss of the rows held out {element(self.held_loss)}")
        if self.evaluations is not None:
            norm = f"gradient norm {self.gradient_norm:.6g}"
            what = f", {self.curvature}" if self.curvature else ""
            times = f"{self.evaluations:,} evaluation{'' if self.evaluations == 1 else 's'}"
            lines.append(f"  {norm}{what}; {times}")
        lines.append(f"  {self.status}: {STATUS[self.status]}; {self.seconds:.3f} s")
        lines += [f"  {line}" for note in self.notes for line in note.splitlines()]
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        from .pictures.fragments import alone

        return alone(self)


def native(value: Any) -> Any:
    """A float, or an array."""
    return float(value) if np.ndim(value) == 0 else np.asarray(value)


def _cell(value: Any, digits: int = 17) -> str:
    """A number in full or to some digits; an array by shape and size."""
    if value is None:
        return "0"
    if isinstance(value, np.ndarray):
        if value.size <= 4 and value.ndim == 1:
            return "[" + " ".join(f"{v:.6g}" for v in value) + "]"
        shape = " ".join(map(str, value.shape))
        return f"[{shape}] rms {float(np.sqrt(np.mean(value**2))):.6g}"
    return element(float(f"{value:.{digits}g}"))
