"""From an expression and an environment to a number or array: the reference meaning.

Arithmetic is IEEE-754 for numbers and arrays alike: nothing raises, nothing turns complex.
Integers stay exact up to 2^53. The same walk runs under a JAX trace with `xp=jax.numpy`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from . import shapes as sh
from .accurate import accurate
from .arrays import array_function
from .errors import NablispError, meant
from .expr import EXACT, Call, Const, Expr, Num, Op, Options, Sym, as_float, asked, names, postorder
from .ops import OPS

ROWS = "(rows)"
"""The key under which an environment holds the number of rows."""

BLOCK = 4096
"""Elements at a time of a row that is a formula: its hundred temporaries stay in the cache."""

FULL = 2**26
"""Bytes of values up to which all are kept until the end."""

Value = Any  # int | float | bool | ndarray, or what `xp` traces


def val(
    e: Any,
    env: Mapping[str, Any] | None = None,
    *,
    data: Mapping[str, Any] | None = None,
    bound: bool = False,
) -> Any:
    """The value of a formula, in its accurate form: a number, or an array where names are arrays.

    `env` maps names to numbers; an array given there maps elementwise. `data` maps names to whole
    arrays: columns, whose first axis is the rows, which reductions and `@` may consume.

    >>> x, y = params("x y")
    >>> val(x**2 + x * y, {"x": 2, "y": 3})
    10

    With `bound` it is a `rounding.Bounded`: `.value`, `.bound` of its error, correct `.digits`.

    Raises NablispError "unbound-name" for a name left over, "type" for a value that is no number,
    "shape" where shapes do not fit.
    """
    root = asked(e)
    env, data = env or {}, data or {}
    values = {name: as_value(value, name) for name, value in {**env, **data}.items()}
    mapped = {n for n in env if n not in data and isinstance(values[n], np.ndarray)}
    check_mapped(root, mapped)
    if ROWS not in values and (lengths := [len(v) for v in values.values() if np.ndim(v)]):
        values[ROWS] = lengths[0]
    if bound:
        from .rounding import bounded

        return bounded(root, values)
    return evaluate(accurate(root), values)[0]


def as_value(value: Any, name: str = "a value") -> Value:
    """A Python value as the language computes with it; NablispError "type" for anything else."""
    if isinstance(value, (bool, int)):
        return value if isinstance(value, bool) or abs(value) <= EXACT else as_float(value)
    if isinstance(value, float):
        return float(value)
    if type(value).__name__ == "MaskedArray" and value.mask.any():
        hint = "leave them out, or fill them"
        raise NablispError("type", f"{name} has masked entries", hint=hint)
    try:
        array = np.asarray(value)
    except ValueError:  # lists of several lengths
        array = np.empty(0, object)
    if array.dtype.kind not in "biuf":
        raise NablispError("type", f"{name} must be a number or an array of numbers")
    array = array if array.dtype.kind == "b" else array.astype(np.float64, copy=False)
    return array if array.ndim else array.item()


def check_mapped(root: Expr, mapped: set[str]) -> None:
    """Refuse an array given for a scalar name where it would meet a reduction or `@`."""
    if not mapped:
        return
    touched: dict[Expr, str] = {}
    for node in postorder(root):
        if isinstance(node, Sym) and node.name in mapped:
            touched[node] = node.name
        elif isinstance(node, Call):
            for arg in node.args:
                if arg in touched:
                    if node.op.shape not in (None, sh.stacked, sh.expanded, sh.filled):
                        raise NablispError(
                            "shape",
                            f"{touched[arg]} stands for a number here, so an array given for it "
                            f"maps elementwise and cannot meet {node.op.name}",
                            hint=f"declare {touched[arg]} as data or as a parameter (in Python: "
                            "give it in data=)",
                        )
                    touched[node] = touched[arg]
                    break


def evaluate(
    roots: Sequence[Expr], env: Mapping[str, Value], xp: Any = np, budget: Any = None
) -> list[Value]:
    """The values of several expressions, shared parts computed once.

    NablispError "unbound-name" names the first name the environment lacks.
    """
    values: dict[Expr, Value] = {}
    order = postorder(*roots)
    live, full = 0, FULL  # bytes of values, and where those no longer needed are dropped
    with np.errstate(all="ignore"):
        for at, node in enumerate(order):
            match node:
                case Call(op, args, options):
                    if op.array == "nablisp_rows":
                        values[node] = _lookup(ROWS, env)
                        continue
                    given = [values[arg] for arg in args]
                    if budget is not None:
                        shapes = [sh.of_value(v) for v in given]
                        shape = sh.call_shape(node, shapes)
                        budget.array(shape, live)
                        if op.name in sh.COSTLY:
                            budget.check("work", sh.operations(op, shapes, shape))
                    try:
                        values[node] = apply(op, given, options, xp)
                    except ValueError:
                        # NumPy's shape error, in our words
                        sh.call_shape(node, [sh.of_value(v) for v in given])
                        raise
                    live += _bytes(values[node])
                    if live > full:
                        values = _needed(values, order[at + 1 :], roots)
                        live = sum(_bytes(v) for n, v in values.items() if type(n) is Call)
                        full = 2 * live + FULL
                case Sym(name):
                    values[node] = _lookup(name, env)
                case Num(value) | Const(value):
                    values[node] = value
    return [values[root] for root in roots]


def _bytes(value: Value) -> int:
    return value.nbytes if type(value) is np.ndarray else 0


def _needed(
    values: dict[Expr, Value], order: Sequence[Expr], roots: Sequence[Expr]
) -> dict[Expr, Value]:
    """The values that the rest of the nodes, or the caller, will ask for."""
    needed = set(roots)
    for node in order:
        if type(node) is Call:
            needed.update(node.args)
    return {node: value for node, value in values.items() if node in needed}


def _lookup(name: str, env: Mapping[str, Value]) -> Value:
    try:
        return env[name]
    except KeyError:
        pass
    if name == ROWS:
        raise NablispError("unbound-name", "(rows) has no value: there are no columns")
    known = sorted(n for n in env if n != ROWS)
    raise NablispError(
        "unbound-name",
        f"{name} has no value" + (f"; given are {', '.join(known[:8])}" if known else ""),
        hint=meant(name, known, f"give it: (val … :{name} 1)"),
    )


def apply(op: Op, args: Sequence[Value], options: Options = (), xp: Any = np) -> Value:
    """One operation on numbers and arrays, computed at once."""
    scalar = all(isinstance(arg, (int, float)) for arg in args)
    if scalar and op.result == "choice":
        return args[1] if args[0] else args[2]
    given = [float(arg) if type(arg) is int else arg for arg in args]
    if not given:
        return op.identity
    if len(given) == 1 and op.arity[1] is None and op.shape is None:
        return args[0]
    with np.errstate(all="ignore"):
        out = array_function(op, xp)(*given, **dict(options))
    return as_number(out, op.exact and all(type(arg) is int for arg in args))


def as_number(out: Value, whole: bool = False) -> Value:
    """A result as a Python number if it has no axes, else as the array it is."""
    if isinstance(out, np.ndarray):
        if out.ndim:
            return out if out.dtype.kind in "bf" else out.astype(np.float64)
        out = out.item()
    elif isinstance(out, np.generic):
        out = out.item()
    if whole and isinstance(out, float) and abs(out) <= EXACT and out == int(out):
        return int(out)
    return out


def function_of(root: Expr, order: Sequence[str], xp: Any = np) -> Callable[..., Value]:
    """A function of arrays in a given order of names, for the inner use of rows."""
    syms = dict(names(root))
    steps = [
        (node, array_function(node.op, xp), node.args, dict(node.options))
        for node in postorder(root)
        if isinstance(node, Call)
    ]
    start: dict[Expr, Value] = {
        n: float(n.value) if type(n.value) is int else n.value
        for n in postorder(root)
        if isinstance(n, (Num, Const))
    }

    def function(*args: Value) -> Value:
        values = dict(start)
        values.update((syms[n], arg) for n, arg in zip(order, args, strict=True) if n in syms)
        for node, f, given, options in steps:
            values[node] = f(*[values[a] for a in given], **options)
        return values[root]

    def in_blocks(*args: Value) -> Value:
        shape = np.broadcast_shapes(*(np.shape(arg) for arg in args))
        size = int(np.prod(shape))
        if size <= BLOCK:
            return function(*args)
        flat = [np.broadcast_to(arg, shape).reshape(-1) for arg in args]
        out = np.empty(size)
        for i in range(0, size, BLOCK):
            out[i : i + BLOCK] = function(*(arg[i : i + BLOCK] for arg in flat))
        return out.reshape(shape)

    return in_blocks if xp is np else function


__all__ = ["OPS", "ROWS", "apply", "evaluate", "function_of", "val"]
