"""The elementary functions as formulas over primitives, for the native backend.

A row of `OPS` names its kernel. Every kernel is branch-free (`rarely` apart), has no error above
2 ulp, and is right at ±0, subnormals, ±inf and nan.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import exponential

KERNELS: dict[str, Callable[..., Any]] = {
    f.__name__: f for f in (exponential.exp,)
}
TABLES: dict[str, Any] = {}
