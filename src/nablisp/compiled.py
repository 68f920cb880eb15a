"""From a formula to a Python function of numbers or arrays, through a backend."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .accurate import accurate
from .backends import named
from .errors import NablispError, meant
from .evaluate import as_number, as_value, check_mapped
from .expr import Call, Expr, asked, postorder
from .expr import names as names_in
from .shapes import ROWS, ShapeEnv, is_boolean
from .unroll import MOST

LARGE = 1024
"""Elements from which arrays repay compiling machine code: one pass, and no temporaries."""


def function(
    e: Any, names: Sequence[str], backend: str | None = None, threads: int | None = None
) -> Callable[..., Any]:
    """A function whose arguments are the names in order; see `nablisp.compile`."""
    order = names.split() if isinstance(names, str) else list(names)
    root = asked(e)
    if len(set(order)) < len(order):
        raise NablispError("name", f"a name is listed twice: {' '.join(order)}")
    for name in names_in(root):
        if name not in order:
            raise NablispError(
                "unbound-name",
                f"{name} occurs in the formula and not in the list of names",
                hint=meant(name, order, f"list it: [… {name!r}]"),
            )
    if any(isinstance(node, Call) and node.op.name == "rows" for node in postorder(root)):
        raise NablispError("unbound-name", "(rows) has no value: there are no columns")
    written, (root,) = root, accurate(root)
    if backend is not None:
        named(backend)
    program = named("numpy").compile([root], order, {}, MOST, None)
    maps = not any(isinstance(node, Call) and node.op.shape for node in postorder(root))
    suits = maps and not is_boolean(root)
    native = _Native(root, order, backend == "native", threads) if suits else None
    if backend == "native" and native is None:
        raise NablispError(
            "unavailable", "native compiles numbers that map elementwise over arrays"
        )

    def compiled(*args: Any, out: Any = None) -> Any:
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
            shape = np.broadcast_shapes(*(np.shape(value) for value in given)) if maps else ()
            found = None
            if native is not None and arrays and backend != "numpy":
                found = native(given, shape, out)
            if found is None:
                found = program(*[float(v) if type(v) is int else v for v in given])[0]
                # a formula that an array does not enter is constant along it
                if maps and arrays and np.shape(found) != shape:
                    found = np.broadcast_to(found, shape).copy()
                if out is not None:
                    _check_out(out, np.shape(found))[...] = found
                    found = out
        except ValueError:
            shapes = ", ".join(f"{n} {np.shape(v)}" for n, v in zip(order, given, strict=True))
            raise NablispError("shape", f"these arrays do not fit together: {shapes}") from None
        return as_number(found)

    compiled.__name__ = "compiled"
    compiled.__doc__ = f"({' '.join(order)}) → {written}" if len(str(written)) < 200 else None
    return compiled


class _Native:
    """Machine code for large arrays of one shape, made when such arrays first come."""

    def __init__(self, root: Expr, order: list[str], forced: bool, threads: int | None) -> None:
        self.root, self.order, self.forced, self.threads = root, order, forced, threads
        self.known: dict[tuple[bool, ...], Callable[..., Any] | None] = {}

    def __call__(self, given: list[Any], shape: tuple[int, ...], out: Any) -> Any:
        """The value, or None for what NumPy should do."""
        large = [np.shape(value) == shape for value in given]
        size = int(np.prod(shape))
        if not all(is_large or not np.ndim(v) for is_large, v in zip(large, given, strict=True)):
            return None
        inside = names_in(self.root)
        if not any(one for n, one in zip(self.order, large, strict=True) if n in inside):
            return None  # constant along the arrays
        if size < LARGE and not self.forced:
            return None
        key = tuple(large)
        if key not in self.known:
            self.known[key] = self._compiled(key)
        function = self.known[key]
        if function is None:
            return None
        into = np.empty(shape) if out is None else _check_out(out, shape)
        whole = into.flags.c_contiguous and not any(
            np.shares_memory(into, v) and v.ctypes.data != into.ctypes.data
            for is_large, v in zip(large, given, strict=True)
            if is_large
        )
        flat = into.reshape(-1) if whole else np.empty(size)
        rows = [np.ravel(v) if is_large else v for is_large, v in zip(large, given, strict=True)]
        function(*rows, into=[flat])
        if not whole:
            into[...] = flat.reshape(shape)
        return into

    def _compiled(self, large: tuple[bool, ...]) -> Callable[..., Any] | None:
        by_row: ShapeEnv = {n: (ROWS,) for n, one in zip(self.order, large, strict=True) if one}
        try:
            found = named("native").compile([self.root], self.order, by_row, MOST, self.threads)
        except (NablispError, ImportError):
            if self.forced:
                raise
            return None
        return found


def _check_out(out: Any, shape: tuple[int, ...]) -> Any:
    """An array to write into, or NablispError."""
    if not isinstance(out, np.ndarray) or out.dtype != np.float64 or out.shape != shape:
        raise NablispError("shape", f"out must be an array of float64 of shape {shape}")
    if not out.flags.writeable:
        raise NablispError("value", "out is read only")
    return out
