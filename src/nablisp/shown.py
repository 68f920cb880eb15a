"""Values and errors as a shell shows them: turns each into text, or into one JSON object."""

from __future__ import annotations

import math
import os
import re
from typing import Any, TextIO

import numpy as np

from .errors import NablispError
from .results import STATUS
from .session import Session
from .values import Value, kind_of


def value_object(session: Session, value: Value, line: int | None) -> dict[str, Any]:
    """One value as `--json` prints it."""
    if getattr(value, "status", None) in STATUS:
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
        found["loss"] = jsonable(value.loss)
        found |= {key: jsonable(v) for key, v in value.more.items()}
        found |= {
            "steps": value.steps,
            "seconds": round(value.seconds, 6),
        }
        return found | {"text": value.text, "line": line}
    kind = kind_of(value)
    found = {"kind": kind}
    if kind in ("number", "boolean", "string", "array"):
        found["value"] = jsonable(value)
    return found | {"text": session.text(value), "line": line}


def wants_color(choice: str, stream: TextIO) -> bool:
    """Does a stream get colour: `always`, `never`, or on a terminal that NO_COLOR does not bar?"""
    barred = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return choice == "always" or (choice == "auto" and stream.isatty() and not barred)


def painted(drawn: str) -> str:
    """A drawn error with its first word and its carets in red."""
    first = re.sub(r"^error:", "\x1b[1;31merror:\x1b[0m", drawn)
    return re.sub(r"(?m)^( +)(\^+)$", "\\1\x1b[31m\\2\x1b[0m", first, count=1)


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
