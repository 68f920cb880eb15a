"""Values and errors as a shell shows them: turns each into text, or into one JSON object."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .errors import NablispError
from .results import Result
from .session import Session
from .values import Value, kind_of


def value_object(session: Session, value: Value, line: int | None) -> dict[str, Any]:
    """One value as `--json` prints it."""
    if isinstance(value, Result):
        found: dict[str, Any] = {
            "kind": "result",
            "run": value.run,
            "status": value.status,
            "params": {name: jsonable(v) for name, v in value.params.items()},
        }
        if value.se is None:
            found["why"] = value.why
        else:
            found["se"] = {name: jsonable(v) for name, v in value.se.items()}
        found |= {"loss": jsonable(value.loss), "steps": value.steps,
                  "seconds": round(value.seconds, 6)}  # fmt: skip
        return found | {"text": value.text, "line": line}
    kind = kind_of(value)
    found = {"kind": kind}
    if kind in ("number", "boolean", "string", "array"):
        found["value"] = jsonable(value)
    return found | {"text": session.text(value), "line": line}


def jsonable(value: Any) -> Any:
    """A value as JSON has it; numbers that are not finite are strings."""
    if isinstance(value, np.ndarray):
        return [jsonable(part) for part in value.tolist()]
    if isinstance(value, list):
        return [jsonable(part) for part in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"
    return value


def error_object(error: NablispError) -> dict[str, Any]:
    """One error as `--json` prints it."""
    found: dict[str, Any] = {"kind": "error", "error": error.kind, "message": error.message}
    if error.hint:
        found["hint"] = error.hint
    if error.span is not None:
        found |= {"file": error.span.file, "line": error.span.line, "column": error.span.column}
    return found
