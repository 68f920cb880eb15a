"""The result of a fit: estimates, their errors, what the data leave open, as parts and as text."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from .expr import Expr, Sym, as_expr, substitute
from .least_squares import STATIONARY
from .printer import brief, columns_of, counted, element, formula
from .results import STATUS

if TYPE_CHECKING:
    from .intervals import Interval, Prediction

Vector = np.ndarray[Any, Any]

STRONG = 0.95
"""Correlations from this size on are shown."""
DIGITS = 10
"""Significant digits of an estimate in the table; `(get r :b)` has all."""
MEANING = {
    "converged": "a strict minimum: the gradient is zero to rounding, the curvature positive",
    "stalled": "no minimum that can be vouched for",
}
"""What a status means for a fit, where it is more than for other runs."""


@dataclass(slots=True)
class FitResult:
    """The outcome of a fit.

    `params` maps names to numbers or arrays; `se` names of scalars (`w[0]` for an element) to
    standard errors, in the order of `names` as `cov` and `correlation`: inf where the data do not
    determine a parameter, nan at a bound. `se` is None where there are none, and `why` says so.
    """

    status: str
    params: dict[str, Any]
    start: dict[str, Any]
    names: tuple[str, ...]
    estimates: Vector
    rss: float
    """the sum of squared residuals, weighted; of a robust loss, its sum"""
    dof: int
    sd: float | None
    """residual standard deviation; with `sigma` given, the root of the reduced chi square"""
    r2: float | None
    se: dict[str, float] | None
    cov: Vector | None
    why: str
    """why there are no standard errors"""
    gradient_norm: float
    """|Qᵀr|/|r|: how far the residuals lean towards the slopes; 0 at a minimum"""
    condition: float
    """of the Jacobian with columns scaled to length 1"""
    bounds: dict[str, float]
    """parameters at a bound"""
    undetermined: list[str]
    """combinations of parameters that the data leave open, in words"""
    first: str
    """the first line: what came out"""
    models: tuple[Expr, ...]
    responses: tuple[str, ...]
    steps: int
    evaluations: int
    seconds: float
    rows: int
    how: str
    """what computed residuals and slopes"""
    remarks: list[str] = field(default_factory=list)
    known: Any = field(default=None, repr=False)
    """the problem, for predictions and profiles"""
    interrupted: bool = False
    """was it stopped from the keyboard, whatever the point is worth that it had found by then?"""
    run: str = "fit"

    @property
    def loss(self) -> float:
        """What was minimised: the sum of squares."""
        return self.rss

    @property
    def more(self) -> dict[str, Any]:
        """What `--json` prints of a fit alone."""
        return {"rss": self.rss, "dof": self.dof}

    @property
    def work(self) -> str:
        """What computed it, and how much."""
        count = f"{self.evaluations} passes over {self.rows:,} rows"
        return f"{self.how}: {count}, {self.steps} steps, {self.seconds:.3g} s"

    @property
    def correlation(self) -> Vector | None:
        """The correlations of the estimates."""
        if self.cov is None:
            return None
        scale = np.sqrt(np.diag(self.cov))
        with np.errstate(all="ignore"):
            return np.clip(self.cov / np.outer(scale, scale), -1, 1)

    def predict(self, data: Any = None, level: float = 0.95) -> Prediction:
        """The model at other rows, with standard errors and a prediction band."""
        from .intervals import predict

        return predict(self, data, level)

    def confidence(self, level: float = 0.95) -> dict[str, Interval]:
        """Confidence intervals by profiling: other parameters are fitted anew on the way out."""
        from .intervals import confidence

        return confidence(self, level)

    def parts(self) -> dict[str, Any]:
        """What `(get r :key)` finds, by key."""
        found: dict[str, Any] = {
            "status": self.status,
            "loss": self.rss,
            "rss": self.rss,
            "dof": self.dof,
            "steps": self.steps,
            "evaluations": self.evaluations,
            "seconds": self.seconds,
            "gradient": self.gradient_norm,
            "condition": self.condition,
        }
        if self.sd is not None:
            found["sd"] = self.sd
        if self.r2 is not None:
            found["r2"] = self.r2
        if self.se is not None and self.cov is not None:
            found |= {
                "se": np.array([self.se[name] for name in self.names]),
                "covariance": self.cov,
                "correlation": self.correlation,
            }
        found.update({name: self.params[name] for name in self.params if name not in found})
        return found

    # ---- words -----------------------------------------------------------------------------------

    @property
    def formulas(self) -> list[str]:
        """The models at the estimates, six digits each."""
        values: dict[Expr, Expr] = {
            Sym(name): _rounded(value, 6)
            for name, value in zip(self.known.scalars, self.estimates.tolist(), strict=True)
        }
        shown = substitute(self.models, values)
        return [
            f"{response} = {_one_line(model)}"
            for response, model in zip(self.responses, shown, strict=True)
        ]

    @property
    def text(self) -> str:
        """The result as a short table."""
        lines = [self.first, *(f"  {line}" for line in self.formulas)]
        rows = [("", "estimate", "± standard error")]
        for i, name in enumerate(self.names):
            shown = element(float(f"{self.estimates[i]:.{DIGITS}g}") + 0.0)
            rows.append((name, shown, self.error(name)))
        lines += [f"  {line}" for line in columns_of(rows)]
        lines += [f"  {line}" for line in self.summary()]
        lines += [f"  {line}" for note in self.remarks for line in note.splitlines()]
        meaning = MEANING.get(self.status, STATUS[self.status])
        lines.append(f"  {self.status}: {meaning}; {self.seconds:.3f} s")
        return "\n".join(lines)

    def error(self, name: str) -> str:
        """The standard error of a parameter in digits, or why it has none."""
        if name in self.bounds:
            return "at its bound"
        if self.se is None:
            return ""
        return "not determined" if np.isinf(self.se[name]) else f"{self.se[name]:.5g}"

    def summary(self) -> list[str]:
        """How well it fits, what hangs together, and how good the point is: a line each."""
        free = f"{counted(self.dof, 'degree')} of freedom"
        parts = [f"{self.known.measure} {self.sd:.6g}"] if self.sd is not None else []
        if self.r2 is not None:
            parts.append(f"R² {self.r2:.6g}")
        out = [", ".join([*parts, free])]
        if self.se is None:
            out.append(f"no standard errors: {self.why}")
        strong = self._strong()
        if strong:
            out.append(f"correlations: {strong}")
        zero = self.gradient_norm <= STATIONARY
        slope = "zero to rounding" if zero else f"{self.gradient_norm:.1g}"
        out.append(f"relative gradient {slope}, condition {self.condition:.3g}")
        return out

    def _strong(self) -> str:
        found = self.correlation
        if found is None:
            return ""
        pairs = [
            (abs(found[i, j]), f"{a} and {b} {found[i, j]:.4f}")
            for j, b in enumerate(self.names)
            for i, a in enumerate(self.names[:j])
            if abs(found[i, j]) >= STRONG
        ]
        pairs.sort(reverse=True)
        more = f", and {len(pairs) - 4} more" if len(pairs) > 4 else ""
        return ", ".join(text for _, text in pairs[:4]) + more

    def __str__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        from .pictures.fragments import alone

        return alone(self)


def _rounded(value: float, figures: int) -> Expr:
    short = float(f"{value:.{figures}g}") + 0.0
    return as_expr(int(short) if short.is_integer() and abs(short) < 1e15 else short)


def _one_line(model: Expr) -> str:
    text = re.sub(r"#(\d+)", r"[\1]", formula(model))
    return text if len(text) <= 300 else brief(model)
