"""From an expression to what other programs read: LaTeX, MathML, C and Python."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..errors import NablispError, meant
from ..expr import Expr, Sym, names
from ..shapes import ShapeEnv
from .markup import mathml
from .tex import latex

__all__ = ["ENDINGS", "LANGUAGES", "latex", "mathml", "variables", "written"]

ENDINGS = {".tex": "latex", ".mml": "mathml", ".xml": "mathml", ".c": "c", ".py": "python"}
"""The language of a file, by its ending."""


def written(
    e: Expr,
    to: str,
    by: Sequence[str | Sym] | None = None,
    shapes: ShapeEnv | None = None,
    name: str = "formula",
) -> str:
    """The formula in a language of `LANGUAGES`; given names `by`, its derivatives by them too."""
    if to not in LANGUAGES:
        raise NablispError(
            "value",
            f"there is no language {to} to export to",
            hint=meant(to, LANGUAGES, f":to takes {', '.join(LANGUAGES)}"),
        )
    symbols = [Sym(n) if isinstance(n, str) else n for n in by or ()]
    slopes: list[Expr] = []
    if symbols:
        from ..derivative import gradient

        slopes = gradient(e, symbols, shapes, look_inside=to in ("latex", "mathml"))
    return LANGUAGES[to](e, symbols, slopes, shapes or {}, name)


def _tex(e: Expr, by: Sequence[Sym], slopes: Sequence[Expr], *_: Any) -> str:
    """The formula, and under it each derivative, as lines that KaTeX and LaTeX align."""
    if not slopes:
        return latex(e)
    lines = [rf"f &= {latex(e)}"]
    lines += [
        rf"\frac{{\partial f}}{{\partial {latex(symbol)}}} &= {latex(slope)}"
        for symbol, slope in zip(by, slopes, strict=True)
    ]
    return "\\begin{aligned}\n" + " \\\\\n".join(lines) + "\n\\end{aligned}"


def _markup(e: Expr, by: Sequence[Sym], slopes: Sequence[Expr], *_: Any) -> str:
    """One element for the formula, and one for each derivative, in order."""
    return "\n".join(map(mathml, (e, *slopes)))


def _c(*given: Any) -> str:
    from .c import c

    return c(*given)


def _python(*given: Any) -> str:
    from .python import python

    return python(*given)


LANGUAGES: dict[str, Callable[..., str]] = {
    "latex": _tex,
    "mathml": _markup,
    "c": _c,
    "python": _python,
}
"""What writes each language, from an expression, names, the derivatives by them, shapes, a name."""


def variables(e: Expr, parameters: Sequence[str] | None = None) -> list[Sym]:
    """What a gradient is by: the parameters in `e`, else all its names; in order of appearance."""
    inside = names(e)
    return [inside[n] for n in inside if n in (parameters or ())] or list(inside.values())
