"""Orders of rows: turns a seed and an epoch into shuffles, rows held out and samples.

Each is a function of its arguments alone, whatever was drawn before: the same on every machine and
NumPy.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from .errors import NablispError
from .printer import counted

Rows = np.ndarray[Any, np.dtype[np.intp]]
Keys = np.ndarray[Any, np.dtype[np.uint64]]

_HELD_OUT, _SAMPLED = -1, -2
"""Epochs that no training has."""
_BLOCK = 131_072


def row_order(rows: int, seed: int, epoch: int) -> Rows:
    """The rows 0 … rows-1 in the order of one epoch: of (seed, epoch) alone."""
    return _rows_of(np.sort(np.concatenate(list(_keys(rows, seed, epoch)))), rows)


def split(rows: int, fraction: float, seed: int) -> tuple[Rows, Rows]:
    """The rows to train on and `round(fraction * rows)` rows held out, both ascending.

    Raises NablispError of kind `value` unless both have at least one row.
    """
    held = round(fraction * rows) if math.isfinite(fraction) else 0
    if not 0 < held < rows:
        raise NablispError(
            "value",
            f"{fraction:g} of {counted(rows, 'row')} held out leaves {rows - held} to train on, "
            f"{held} to test",
            hint="each side needs a row: a fraction between 0 and 1, and rows enough",
        )
    order = row_order(rows, seed, _HELD_OUT)
    return np.sort(order[held:]), np.sort(order[:held])


def sampled(rows: int, count: int, seed: int) -> Rows:
    """`count` of the rows 0 … rows-1, or all where there are fewer, ascending.

    One of each of `count` equal parts, at random: evenly over the rows, and in step with nothing.
    """
    if count >= rows:
        return np.arange(rows, dtype=np.intp)
    ends = np.arange(count + 1, dtype=np.int64) * rows // max(count, 1)
    bits = np.random.Philox(key=(_SAMPLED % 2**64 << 64) | seed % 2**64).random_raw(count)
    shares = (bits >> np.uint64(11)) * 2.0**-53
    return (ends[:-1] + (shares * np.diff(ends)).astype(np.int64)).astype(np.intp)


def _keys(rows: int, seed: int, epoch: int) -> Iterator[Keys]:
    """A random number for each row, some rows at a time: their order is that of the epoch.

    Random bits of Philox, a counter-based generator (Salmon et al., 2011) keyed by (seed, epoch),
    with the row's own number as their lowest bits.
    """
    random = np.random.Philox(key=(epoch % 2**64 << 64) | seed % 2**64)
    low = np.uint64(_mask(rows))
    for start in range(0, max(rows, 1), _BLOCK):
        stop = min(start + _BLOCK, rows)
        yield random.random_raw(stop - start) & ~low | np.arange(start, stop, dtype=np.uint64)


def _rows_of(keys: Keys, rows: int) -> Rows:
    return (keys & np.uint64(_mask(rows))).astype(np.intp)


def _mask(rows: int) -> int:
    """The bits of a key that hold its row."""
    return int(2 ** max(rows - 1, 0).bit_length() - 1)
