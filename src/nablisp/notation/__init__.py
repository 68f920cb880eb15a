"""From an expression to what other programs read: LaTeX and MathML."""

from .markup import mathml
from .tex import latex

__all__ = ["latex", "mathml"]
