"""From formulas that are not finite somewhere to the part, the row and the words that say where."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .accurate import accurate
from .evaluate import evaluate
from .expr import Call, Expr, Sym, postorder
from .printer import brief, number


def first_not_finite(
    roots: Sequence[Expr], env: Mapping[str, Any]
) -> tuple[Expr, int | None, float] | None:
    """The first operation whose value is not finite though its arguments are; row and value."""
    order = postorder(*roots)
    values = dict(zip(order, evaluate(accurate(*order), env), strict=True))
    for node in order:
        if not isinstance(node, Call) and not isinstance(node, Sym):
            continue
        value = np.asarray(values[node], dtype=float)
        bad = ~np.isfinite(value)
        if bad.any():
            at = np.argwhere(bad)[0]
            row = int(at[0]) if value.ndim else None
            return node, row, float(value[tuple(at)])
    return None


def trouble(
    when: str, roots: Sequence[Expr], env: Mapping[str, Any], rows: Any = None
) -> tuple[str, Expr] | None:
    """`at step 3, row 7: (log m) became nan`, and the part; None where all is finite.

    `rows` gives the numbers of the rows in `env`, where they are not counted from 0.
    """
    found = first_not_finite(roots, env)
    if found is None:
        return None
    node, row, value = found
    where = "" if row is None else f", row {row if rows is None else rows[row]}"
    return f"{when}{where}: {brief(node)} became {number(value)}", node
