"""From a row to an array function: NumPy's or jax.numpy's own, or one of the few written here.

Each function here takes the array module `xp` first, so that the same lines run on NumPy and under
a JAX trace. None raises or turns complex: what is undefined is nan.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial, reduce
from typing import Any

import numpy as np

from .errors import NablispError
from .expr import Op

Array = Any


@cache
def array_function(op: Op, xp: Any = np) -> Callable[..., Array]:
    """The function of a row on arrays of a module, options as keywords."""
    if op.array.startswith("nablisp_"):
        return partial(_OWN[op.array.removeprefix("nablisp_")], xp)
    if not op.array:
        from .evaluate import function_of

        assert op.meaning is not None
        return function_of(op.meaning, ("x", "y", "z")[: op.arity[0]], xp)
    function: Callable[..., Array] = getattr(xp, op.array)
    if op.arity[1] is None:
        return partial(_folded, function)
    if "keep" in op.options:
        return partial(_reduction, function)
    return function


def _folded(function: Callable[..., Array], *args: Array) -> Array:
    return reduce(function, args)


def _reduction(
    function: Callable[..., Array], x: Array, *, axis: int | None = None, keep: bool = False
) -> Array:
    if getattr(x, "ndim", 0) == 0:
        axis = None
    elif getattr(x, "size", 1) == 0 and function in (np.min, np.max, np.argmax, np.mean):
        return np.sum(x, axis=axis, keepdims=keep) + np.nan
    return function(x, axis=axis, keepdims=keep)


def _argmax(xp: Any, x: Array, *, axis: int | None = None, keep: bool = False) -> Array:
    """As a number like any other: NumPy's integers have no negative powers, and overflow."""
    return _reduction(xp.argmax, x, axis=axis, keep=keep) + 0.0


def _power(xp: Any, x: Array, y: Array) -> Array:
    """Squares and roots without a logarithm: faster, and correctly rounded."""
    if isinstance(y, float) and y == 2:
        return xp.multiply(x, x)
    if isinstance(y, float) and y == 0.5:  # a power of -inf is inf, of -0.0 is 0.0; a root is not
        return xp.sqrt(xp.where(xp.isneginf(x), xp.inf, xp.add(x, 0.0)))
    return xp.power(x, y)


def _clip(xp: Any, x: Array, low: Array, high: Array) -> Array:
    return xp.minimum(xp.maximum(x, low), high)


def _logsumexp(xp: Any, x: Array, *, axis: int | None = None, keep: bool = False) -> Array:
    x = xp.asarray(x)
    if x.size == 0:
        return xp.log(_reduction(xp.sum, x, axis=axis, keep=keep))
    axis = axis if x.ndim else None
    top = xp.max(x, axis=axis, keepdims=True)
    top = xp.where(xp.isfinite(top), top, 0.0)
    out = top + xp.log(xp.sum(xp.exp(x - top), axis=axis, keepdims=True))
    if keep:
        return out
    return xp.squeeze(out, axis=axis)


def _dot(xp: Any, a: Array, b: Array) -> Array:
    a, b = xp.asarray(a), xp.asarray(b)
    if a.ndim and b.ndim and min(a.ndim, b.ndim) == 1 and a.shape[-1] == b.shape[-1]:
        return a @ b if b.ndim == 1 else b @ a
    return xp.sum(a * b, axis=-1)


def _solve(xp: Any, a: Array, b: Array) -> Array:
    try:
        return xp.linalg.solve(a, b)
    except np.linalg.LinAlgError:
        return xp.full(xp.shape(b), xp.nan)


def _ref(xp: Any, x: Array, *, index: tuple[int, ...] = (), axis: int | None = None) -> Array:
    x = xp.asarray(x)
    first = (axis or 0) % max(x.ndim, 1)
    return x[(slice(None),) * first + index]


def _slice(xp: Any, x: Array, *, axis: int = 0, start: int = 0, stop: int | None = None) -> Array:
    x = xp.asarray(x)
    return x[(slice(None),) * (axis % x.ndim) + (slice(start, stop),)]


def _pad(xp: Any, x: Array, *, axis: int = 0, before: int = 0, after: int = 0) -> Array:
    widths = [(0, 0)] * x.ndim
    widths[axis] = (before, after)
    return xp.pad(x, widths)


def whole(xp: Any, index: Array, length: int, what: str) -> Array:
    """Class numbers as integers; NablispError "value" for one outside 0 … length - 1."""
    index = xp.asarray(index)
    if xp is np:
        wrong = ~((index == np.floor(index)) & (index >= 0) & (index < length))
        if wrong.any():
            raise NablispError(
                "value",
                f"{what} was given the class number {index[wrong].flat[0]:g}, "
                f"which is none of 0 … {length - 1}",
            )
    return index.astype(int)


def _pick(xp: Any, values: Array, index: Array) -> Array:
    values = xp.asarray(values)
    at = whole(xp, index, values.shape[-1], "pick")
    lead = np.broadcast_shapes(values.shape[:-1], at.shape)
    values = xp.broadcast_to(values, (*lead, values.shape[-1]))
    at = xp.broadcast_to(at, lead)[..., None]
    return xp.take_along_axis(values, at, axis=-1)[..., 0]


def _one_hot(xp: Any, index: Array, *, length: int = 1) -> Array:
    at = whole(xp, index, length, "one-hot")
    return (at[..., None] == xp.arange(length)).astype(float)


def _fill(xp: Any, x: Array, like: Array) -> Array:
    shape = np.broadcast_shapes(xp.shape(x), xp.shape(like))
    return xp.broadcast_to(xp.asarray(x), shape)


def _stack(xp: Any, *args: Array, axis: int = 0) -> Array:
    return xp.stack(xp.broadcast_arrays(*args), axis=axis)


def _concat(xp: Any, *args: Array, axis: int = 0) -> Array:
    return xp.concatenate(args, axis=axis)


_OWN: dict[str, Callable[..., Array]] = {
    "argmax": _argmax,
    "power": _power,
    "clip": _clip,
    "logsumexp": _logsumexp,
    "dot": _dot,
    "solve": _solve,
    "ref": _ref,
    "slice": _slice,
    "pad": _pad,
    "pick": _pick,
    "one_hot": _one_hot,
    "fill": _fill,
    "stack": _stack,
    "concat": _concat,
}
