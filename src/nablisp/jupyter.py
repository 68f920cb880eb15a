"""Notebooks: turns `%nablisp (form)` and cells under `%%nablisp` into values shown in order."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from .commands import note
from .data import as_columns
from .errors import NablispError, draw, visible
from .session import Session
from .shown import painted
from .values import Value

USAGE = """\
%nablisp FORM             run it; its value is Python's, as in r = %nablisp (train loss)
session = %nablisp        the session, for Python
%%nablisp [-n] [--data NAME]…
FORMS                     run them, and show each value; -n begins anew, --data makes columns of
                          a Python variable: of a frame or mapping all, an array by its name"""


class NotebookError(NablispError):
    """A mistake in a cell, drawn as in scripts: a Python traceback would say nothing."""

    def _render_traceback_(self) -> list[str]:
        return painted(draw(self)).splitlines()


class Notebook:
    """One session for the cells of one notebook."""

    def __init__(self, shell: Any) -> None:
        self.shell = shell
        self.session = _session()

    def magic(self, line: str, cell: str | None = None) -> Value:
        """What `%nablisp` and `%%nablisp` do."""
        self.session.root = Path.cwd()
        try:
            if cell is not None:
                self._cell(line, cell)
                return None
            return self._last(line) if line.strip() else self.session
        except NablispError as error:
            raise NotebookError(
                error.kind, error.message, span=error.span, hint=error.hint
            ) from None

    def _cell(self, line: str, cell: str) -> None:
        options = _options(line)
        if options.new:
            self.session = _session()
            self.session.root = Path.cwd()
        for name in options.data:
            self.session.declare_columns(self._columns(name))
        for value in self._values(cell):
            self._show(value)

    def _last(self, line: str) -> Value:
        """The value of the last form; those before it are shown."""
        *before, last = [None, *self._values(line)]
        for value in before[1:]:
            self._show(value)
        return last

    def _values(self, text: str) -> Iterator[Value]:
        """What the forms show, as they are run."""
        for _, value in self.session.values(text, name="<cell>"):
            if value is not None:
                yield value

    def _show(self, value: Value) -> None:
        from IPython.display import display

        bundle = {"text/plain": visible(self.session.text(value))}
        for kind, method in (("text/html", "_repr_html_"), ("text/latex", "_repr_latex_")):
            if hasattr(value, method):
                bundle[kind] = getattr(value, method)()
        show: Any = display  # untyped there
        show(bundle, raw=True)

    def _columns(self, name: str) -> Any:
        if name not in self.shell.user_ns:
            raise NablispError("unbound-name", f"Python has no variable {name}")
        found = self.shell.user_ns[name]
        named = {name: found} if isinstance(found, list | tuple | np.ndarray) else found
        return as_columns(named, budget=self.session.budget)


def _session() -> Session:
    session = Session(note=note)
    session.undoes = True
    session.watches = True  # for pictures of what moved
    return session


def _options(line: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="%%nablisp", add_help=False, exit_on_error=False)
    parser.add_argument("-n", dest="new", action="store_true")
    parser.add_argument("--data", action="append", default=[])
    try:
        found, unknown = parser.parse_known_args(shlex.split(line))
    except (argparse.ArgumentError, ValueError) as error:
        raise NablispError("keyword", str(error), hint=USAGE) from None
    if unknown:
        raise NablispError("keyword", f"%%nablisp takes no {' '.join(unknown)}", hint=USAGE)
    return found


def load_ipython_extension(ipython: Any) -> None:
    """`%load_ext nablisp`."""
    ipython.register_magic_function(Notebook(ipython).magic, "line_cell", "nablisp")


def unload_ipython_extension(ipython: Any) -> None:
    """`%unload_ext nablisp`."""
    for kind in ("line", "cell"):
        ipython.magics_manager.magics[kind].pop("nablisp", None)
