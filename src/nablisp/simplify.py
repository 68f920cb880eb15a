"""From a formula to a smaller one that means the same: constants, the rows' rules, like terms."""

from __future__ import annotations

from .expr import Expr
from .graph import Graph
from .shapes import ShapeEnv


def simplify(root: Expr, shapes: ShapeEnv | None = None) -> Expr:
    """The formula rebuilt from its leaves by the constructors that also build derivatives.

    Equal to the formula wherever both are finite.
    """
    g = Graph(shapes, look_inside=True)
    return g.expr(*g.tidied(root))[0]
