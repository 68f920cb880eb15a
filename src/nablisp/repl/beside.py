"""A formula's value here: turns an expression into a short text, where that costs little."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from ..errors import NablispError
from ..expr import Call, Expr, Sym, postorder
from ..printer import text
from ..values import Value

NODES, ENTRIES = 2_000, 200_000
"""Most operations, and most numbers computed on the way."""
SHORT, WIDTH = 8, 60
"""Most numbers shown, and most characters."""


def beside(session: Any, value: Value) -> str:
    """`3.5`, or nothing: where a name has no value, or the value is long or takes long."""
    if not isinstance(value, Expr):
        return ""
    order = postorder(value)
    if len(order) > NODES or not all(_is_known(session, n) for n in order if isinstance(n, Sym)):
        return ""
    rows = session.columns.rows if session.columns else 1
    try:
        shapes = [session.shape(node) for node in order if isinstance(node, Call)]
        if sum(prod(rows if n == "rows" else n for n in shape) for shape in shapes) > ENTRIES:
            return ""
        found = session.value(value)
    except NablispError:
        return ""
    shown = text(found) if np.size(found) <= SHORT and np.ndim(found) <= 1 else ""
    return shown if len(shown) <= WIDTH else ""


def _is_known(session: Any, symbol: Sym) -> bool:
    """Does a name have a value in memory? Columns left in files are not read for this."""
    name, columns = symbol.name, session.columns
    return name in session.parameters or (name in columns and columns.source_of(name) is None)
