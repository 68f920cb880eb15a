"""From a formula to a Python function of numbers or arrays, through a backend."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .backends import named
from .errors import NablispError, nearest
from .evaluate import as_number, as_value, check_mapped
from .expr import Call, asked, postorder
from .expr import names as names_in


def function(e: Any, names: Sequence[str]) -> Callable[..., Any]:
    """A function whose arguments are the names in order; see `nablisp.compile`."""
    order = names.split() if isinstance(names, str) else list(names)
    root = asked(e)
    if len(set(order)) < len(order):
        raise NablispError("name", f"a name is listed twice: {' '.join(order)}")
    for name in names_in(root):
        if name not in order:
            close = nearest(name, order)
            raise NablispError(
                "unbound-name",
                f"{name} occurs in the formula and not in the list of names",
                hint=f"did you mean {close}?" if close else f"list it: [… {name!r}]",
            )
    program = named("numpy").compile([root], order, {}, 0, None)
    maps = not any(isinstance(node, Call) and node.op.shape for node in postorder(root))

    def compiled(*args: Any) -> Any:
        if len(args) != len(order):
            count = f"{len(order)} argument{'' if len(order) == 1 else 's'}"
            raise NablispError(
                "arity",
                f"this function takes {count}, not {len(args)}",
                hint=f"({' '.join(order)})",
            )
        given = [as_value(arg, name) for name, arg in zip(order, args, strict=True)]
        arrays = {name for name, value in zip(order, given, strict=True) if np.ndim(value)}
        if not maps:
            check_mapped(root, arrays)
        try:
            found = program(*[float(value) if type(value) is int else value for value in given])[0]
            if maps and arrays:  # a formula that an array does not enter is constant along it
                shape = np.broadcast_shapes(*(np.shape(value) for value in given))
                found = found if np.shape(found) == shape else np.broadcast_to(found, shape).copy()
        except ValueError:
            shapes = ", ".join(f"{n} {np.shape(v)}" for n, v in zip(order, given, strict=True))
            raise NablispError("shape", f"these arrays do not fit together: {shapes}") from None
        return as_number(found)

    compiled.__name__ = "compiled"
    compiled.__doc__ = f"({' '.join(order)}) → {root}" if len(str(root)) < 200 else None
    return compiled
