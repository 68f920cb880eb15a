"""Gradient descent in C: training.c, compiled when first used for a model."""

from __future__ import annotations

import ctypes
from pathlib import Path

import numpy as np
from workers import Array, Given, Steps, library

UNROLLED = ("-funroll-loops", "-fvariable-expansion-in-unroller",
            "--param=max-variable-expansions-in-unroller=4")  # fmt: skip
FLAGS: dict[str, tuple[str, ...]] = {
    "256 bits": ("-mprefer-vector-width=256",),
    "512 bits": ("-mprefer-vector-width=512",),
    "256 bits, unrolled": ("-mprefer-vector-width=256", *UNROLLED),
    "512 bits, unrolled": ("-mprefer-vector-width=512", *UNROLLED),
}
CACHE_LINE = 64


def prepare(way: str, given: Given) -> Steps:
    """One way to train what is given."""
    file = Path(__file__).with_name("training.c")
    descend = library(
        file, f"-DMODEL={given.model}", f"-DPARAMS={len(given.start)}", *FLAGS[way]
    ).descend
    held = [aligned(column) for column in given.columns]
    pointers = (ctypes.c_void_p * len(held))(*[column.ctypes.data for column in held])

    def run(steps: int) -> tuple[Array, Array]:
        params, losses = np.array(given.start), np.empty(steps)
        descend(
            pointers, ctypes.c_long(len(held[0])), ctypes.c_void_p(params.ctypes.data),
            ctypes.c_double(given.rate), ctypes.c_long(steps), ctypes.c_void_p(losses.ctypes.data),
            ctypes.c_int(given.threads))  # fmt: skip
        return params, losses

    return run


def aligned(column: Array) -> Array:
    """A copy that begins with a cache line, as C's own arrays would."""
    room = np.empty(len(column) + CACHE_LINE // 8)
    first = -room.ctypes.data % CACHE_LINE // 8
    copy = room[first : first + len(column)]
    copy[:] = column
    return copy
