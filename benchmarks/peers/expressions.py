"""One expression over arrays, in C, JAX, numexpr, numba and NumPy: how each makes a function."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from workers import Array, library

Evaluate = Callable[[], Any]
"""The values; those of arrays that are reused are lost at the next call."""
Values = dict[str, Any]
"""Arrays x and y, numbers a and k."""


def c(text: str, values: Values, width: int, fresh: bool) -> Evaluate:
    """C, into its own array, or into a new one, freed before the next call."""
    file = Path(__file__).with_name("elementwise.c")
    built = library(file, f"-DEXPRESSION={text}", f"-mprefer-vector-width={width}")
    built.fresh.restype = ctypes.c_void_p
    x, y = values["x"], values["y"]
    out = np.empty_like(x)
    free = ctypes.CDLL(None).free
    given = (
        x.ctypes.data_as(ctypes.c_void_p), y.ctypes.data_as(ctypes.c_void_p),  # which keep them
        ctypes.c_double(values["a"]), ctypes.c_double(values["k"]), ctypes.c_long(len(x)),
    )  # fmt: skip
    made: list[int] = []

    def into() -> Any:
        built.into(*given, ctypes.c_void_p(out.ctypes.data))
        return out

    def anew() -> Any:
        if made:
            free(ctypes.c_void_p(made.pop()))
        made.append(built.fresh(*given))
        return np.ctypeslib.as_array((ctypes.c_double * len(x)).from_address(made[0]))

    return anew if fresh else into


def jax(text: str, values: Values) -> Evaluate:
    """JAX, compiled."""
    import jax

    jax.config.update("jax_enable_x64", True)
    function = jax.jit(eval(f"lambda {', '.join(values)}: {text}", dict(vars(jax.numpy))))
    given = [jax.numpy.asarray(value) for value in values.values()]
    return lambda: jax.block_until_ready(function(*given))


def numexpr(text: str, values: Values) -> Evaluate:
    """numexpr, one thread."""
    import numexpr

    numexpr.set_num_threads(1)
    numexpr.evaluate(text, values)
    return lambda: numexpr.re_evaluate(values)


def numba(text: str, values: Values) -> Evaluate:
    """numba, a loop with fast mathematics."""
    import math

    from numba import njit

    one = njit(fastmath=True)(eval(f"lambda x, y, a, k: {text}", dict(vars(math))))

    @njit(fastmath=True)
    def function(x: Array, y: Array, a: float, k: float) -> Array:
        out = np.empty_like(x)
        for i in range(len(x)):
            out[i] = one(x[i], y[i], a, k)
        return out

    return lambda: function(*values.values())


def numpy(text: str, values: Values) -> Evaluate:
    """NumPy, operation by operation."""
    function = eval(f"lambda {', '.join(values)}: {text}", dict(vars(np)))
    return lambda: function(*values.values())
