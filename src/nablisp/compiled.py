"""From a formula to a Python function of numbers or arrays, through a backend."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .backends import backend
from .errors import NablispError, nearest
from .evaluate import as_number, as_value, check_mapped
from .expr import as_expr
from .expr import names as names_in


def function(e: Any, order: Sequence[str]) -> Callable[..., Any]:
    """A function whose arguments are the names in order; see `nablisp.compile`."""
    root = as_expr(e)
    inside = names_in(root)
    if len(set(order)) < len(order):
        raise NablispError("name", f"a name is listed twice: {' '.join(order)}")
    for name in inside:
        if name not in order:
            close = nearest(name, order)
            raise NablispError(
                "unbound-name",
                f"{name} occurs in the formula and not in the list of names",
                hint=f"did you mean {close}?" if close else f"list it: [… {name!r}]",
            )
    program = backend().compile([root], list(order))
    elementwise: list[bool] = []

    def compiled(*args: Any) -> Any:
        if len(args) != len(order):
            raise NablispError(
                "arity",
                f"this function takes {len(order)} arguments, not {len(args)}",
                hint=f"({' '.join(order)})",
            )
        given = [as_value(arg, name) for name, arg in zip(order, args, strict=True)]
        arrays = {n for n, v in zip(order, given, strict=True) if isinstance(v, np.ndarray)}
        if arrays and not elementwise:
            check_mapped(root, arrays)
            elementwise.append(True)
        try:
            found = program(*[float(v) if type(v) is int else v for v in given])[0]
        except ValueError:
            shapes = ", ".join(f"{n} {np.shape(v)}" for n, v in zip(order, given, strict=True))
            raise NablispError("shape", f"these arrays do not fit together: {shapes}") from None
        shape = np.broadcast_shapes(*(np.shape(v) for v in given))
        if shape and np.shape(found) != shape and not root_has_arrays:
            found = np.broadcast_to(found, shape).copy()
        return as_number(found)

    root_has_arrays = any(getattr(node, "op", None) and node.op.shape for node in _calls(root))
    compiled.__name__ = "compiled"
    compiled.__doc__ = f"({' '.join(order)}) → {root}" if len(str(root)) < 200 else None
    return compiled


def _calls(root: Any) -> list[Any]:
    from .expr import Call, postorder

    return [node for node in postorder(root) if isinstance(node, Call)]
