"""nablisp: a little Lisp for gradient descent.

Formulas as text or Python expressions, their derivatives as formulas, and training.

>>> from nablisp import params, d, val
>>> x, y = params("x y")
>>> print(d(x**2 + x * y, "x"))
(+ (* 2 x) y)
"""

from __future__ import annotations

import sys
from types import ModuleType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from . import forms
    from .advice import advise
    from .certificate import FitResult
    from .data import open_data
    from .derivative import d, gradient
    from .errors import Incomplete, NablispError, draw
    from .evaluate import val
    from .expr import Expr, params
    from .fitter import fit
    from .isolated import run_isolated
    from .limits import Limits
    from .minimizer import minimize
    from .reader import read
    from .results import Result
    from .session import Session
    from .train import train

__version__ = "0.1.0"
__all__ = [
    "Expr",
    "FitResult",
    "Incomplete",
    "Limits",
    "NablispError",
    "Result",
    "Session",
    "advise",
    "compile",
    "d",
    "draw",
    "export",
    "fit",
    "forms",
    "gradient",
    "minimize",
    "open_data",
    "params",
    "parse",
    "read",
    "run_isolated",
    "simplify",
    "train",
    "val",
]

_LAZY = {
    "Expr": "expr",
    "FitResult": "certificate",
    "Incomplete": "errors",
    "Limits": "limits",
    "NablispError": "errors",
    "Result": "results",
    "Session": "session",
    "advise": "advice",
    "d": "derivative",
    "draw": "errors",
    "fit": "fitter",
    "gradient": "derivative",
    "load_ipython_extension": "jupyter",
    "minimize": "minimizer",
    "open_data": "data",
    "params": "expr",
    "read": "reader",
    "run_isolated": "isolated",
    "train": "train",
    "unload_ipython_extension": "jupyter",
    "val": "evaluate",
}
"""Where each name is found when it is first asked for: what is not used is not imported."""


class _Package(ModuleType):
    """The package; a submodule does not take the name of a function."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in ("simplify", "train") or not isinstance(value, ModuleType):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name == "forms":
        return import_module(f"{__name__}.forms")
    if name not in _LAZY:
        raise AttributeError(f"module nablisp has no attribute {name}")
    import_module(f"{__name__}.quick")  # before anything imports numpy
    import_module(f"{__name__}.ops")  # formulas are made from its rows, whoever makes them
    found = getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def parse(text: str) -> Any:
    """One expression, or a number, from text; names are free symbols.

    >>> print(parse("(* a (exp (* k x)))"))
    (* a (exp (* k x)))

    NablispError for text that is not exactly one formula.
    """
    from .reader import read
    from .session import Session

    found = read(text)
    if len(found) != 1:
        from .errors import NablispError

        raise NablispError(
            "syntax",
            f"parse takes one expression, not {len(found)}",
            hint="Session().run(text) runs a whole program",
        )
    from .values import expect

    value = Session().value_of(found[0])
    return expect(value, ("number", "array", "expression"), "what parse reads", found[0].span)


def simplify(e: Any) -> Any:
    """The formula, tidied; equal to it wherever both are finite."""
    from .expr import asked, plain
    from .simplify import simplify

    return plain(simplify(asked(e)))


def export(e: Any, to: str = "latex", *, grad: bool = False, name: str = "formula") -> str:
    r"""The formula in "latex", "mathml", "c" or "python"; with `grad` its gradient by all names.

    >>> x, y = params("x y")
    >>> print(export(x / y))
    \frac{x}{y}

    The C is one C99 function, the Python one function that needs NumPy; NablispError "unavailable"
    for what C has no form for.
    """
    from .expr import asked
    from .notation import variables, written

    root = asked(e)
    return written(root, to, variables(root) if grad else None, name=name)


def compile(  # noqa: A001  # the field's word
    e: Any, names: Sequence[str], *, backend: str | None = None, threads: int | None = None
) -> Callable[..., Any]:
    """A fast function of numbers or arrays from a formula and the order of its names.

    >>> f = compile(parse("(* a (exp (* k x)))"), ["a", "k", "x"])
    >>> f(2.0, 0.5, [0.0, 1.0])
    array([2.        , 3.29744254])

    Arrays map elementwise and broadcast; `f(…, out=array)` writes into an array of the result's
    shape. Large arrays of one shape go through machine code in one pass, on all cores or as many
    `threads`; `backend` forces "native" or "numpy". NablispError "unbound-name" for a name the
    formula holds and the list lacks, "shape" where an array would meet a reduction, "unavailable"
    for what native does not know.
    """
    from .compiled import function
    from .options import in_range

    threads = None if threads is None else in_range("threads", threads, "threads")
    return function(e, names, backend, threads)
