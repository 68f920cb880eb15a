"""A program's memory: turns text into values, keeping definitions, parameters and columns."""

from __future__ import annotations

from collections import ChainMap, deque
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from copy import copy
from pathlib import Path
from threading import RLock
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from . import calculus, core, drawing, exporting, fitting, minimizing, reporting, running, tools
from . import data as table
from .accurate import accurate
from .backends import check_name
from .columns import Columns
from .elaborate import CONSTANTS, FUNCTIONS, PRELUDE, SPECIAL, run
from .errors import NablispError, Span, meant, visible
from .evaluate import ROWS, _lookup, check_mapped, evaluate
from .expr import OPS, Expr, Sym, names
from .forms import Form, Number
from .limits import Budget, Limits
from .looks import Looks
from .options import in_range
from .printer import counted
from .printer import text as print_text
from .process import check, whole
from .reader import read
from .shapes import Shape, shape_of, show
from .values import Current, Parameter, Value, expect, kind_of
from .views import Pair

Watch = Callable[[bool], AbstractContextManager[Callable[[Any], None]]]

FORMS = (core, calculus, running, fitting, minimizing, drawing, exporting, reporting, tools)
"""The modules whose import enters the rows of SPECIAL and FUNCTIONS."""
CHANGED = ("definitions", "columns", "fits", "runs", "compared", "classes", "loading", "_drawn")
"""What forms change of a session, beside its parameters and their values."""


class Session:
    """What a program declares, and what it may do.

    `limits` bounds its work; `root` is the folder whose files it may open (none: no files); `seed`
    decides every random number. `write` receives what `print` writes, `note` remarks about the
    program; both take one line of text.

    Sessions share nothing: each thread may have its own. One that runs something refuses other
    threads meanwhile, by a NablispError "busy".

    >>> s = Session()
    >>> s.run("(params m b) (d (* m x) m)")
    x
    """

    def __init__(
        self,
        limits: Limits | None = None,
        root: str | Path | None = None,
        *,
        seed: int = 0,
        backend: str | None = None,
        threads: int | None = None,
        write: Callable[[str], None] | None = None,
        note: Callable[[str], None] | None = None,
    ) -> None:
        self.budget = Budget(limits)
        self.root = None if root is None else Path(root)
        self.seed = in_range("seed", seed, "seed")
        if backend is not None:
            check_name(backend)
        self.backend = backend
        self.threads = None if threads is None else in_range("threads", threads, "threads")
        self.explain = 0
        """1: runs say which backend ran and how fast; 2: they show the compiled step"""
        self.write: Callable[[str], None] = write or _print
        self.note: Callable[[str], None] = note or (lambda line: None)
        self.script = ""
        """the name of the script that is run, in its own folder; checkpoints hold it"""
        self.resumes = False
        """does every run with a checkpoint go on from it?"""
        self.interrupted = False
        """was a run of the text that is run?"""
        self.undoes = False
        """is a form that is interrupted undone? So it is where a conversation goes on"""
        self.watch: Watch | None = None
        """who looks at runs: entered for each, told whether it was asked for, gives what is shown
        every `Progress` and at the end the result"""
        self.watches = False
        """is every run to be watched?"""
        self.definitions: dict[str, Value] = {}
        self.parameters: dict[str, Parameter] = {}
        self.columns = Columns()
        self.fits: Form | None = None
        """the last fit, which a saved script ends with"""
        self.runs: deque[Any] = deque(maxlen=8)
        """the results of the last runs"""
        self.compared: Callable[[], Sequence[Pair]] = tuple
        """the models of the last run with what they were compared with: pictures show both"""
        self.classes: dict[str, tuple[str, ...]] = {}
        self.overrides: dict[str, Value] = {}
        """what names mean whatever the program says"""
        self.results: Mapping[str, Value] = {}
        """what a shell has shown, under names that everything declared comes before"""
        self.looks = Looks()
        self.loading: list[str] = []
        self.origins: WeakKeyDictionary[Expr, Span] = WeakKeyDictionary()
        self.truths: WeakKeyDictionary[Expr, bool] = WeakKeyDictionary()
        """whether choices are truth values"""
        self._shapes: dict[str, Shape] | None = None
        self._memo: dict[Expr, Shape] = {}
        """the shapes of what the form under way is made of"""
        self._known: dict[str, Shape] = {}
        """the shapes of definitions, by name, so that no form looks into those before it"""
        self._met: set[str] = set()
        """the symbols that were met on the way to them"""
        self._most = 100_000
        self._prelude: dict[str, Value] | None = None
        self._drawn = 0
        self._used = RLock()

    def __reduce__(self) -> tuple[object, ...]:
        raise NablispError(
            "type",
            "a session cannot be copied or sent to another process",
            hint='(save "fit.gd") writes it as a script, which another session runs',
        )

    # ---- running ---------------------------------------------------------------------------------

    def run(self, text: str, *, data: Any = None, name: str = "<input>") -> Value:
        """Run a program; the value of its last form (None for definitions and declarations).

        `data` is a mapping of names to columns (arrays, row axis first), a frame, or what
        `open_data` gives. Raises NablispError for every mistake in the program, and leaves what
        came before it in place.
        """
        with self._alone():
            if data is not None:
                self.declare_columns(table.as_columns(data, budget=self.budget))
            value = None
            for _, found in self.values(text, name=name):
                value = found
            return value

    def values(self, text: str, *, name: str = "<input>") -> Iterator[tuple[Form, Value]]:
        """The forms of a program, each with its value, as they are run; to a run interrupted.

        Between two of them the session is free for others.
        """
        with self._alone():
            self.budget.restart()
            self.interrupted = False
            forms = read(text, name=name, budget=self.budget)
        for form in forms:
            yield form, self.value_of(form)
            if self.interrupted:
                return

    def value_of(self, form: Form) -> Value:
        """The value of one form."""
        check()
        with self._alone():
            self._let_go()
            before = self._kept() if self.undoes else None
            try:
                return run(self, form)
            except KeyboardInterrupt:
                if before is not None:
                    self._undo(before)
                raise

    def _kept(self) -> dict[str, Any]:
        """What forms change."""
        held = {name: copy(getattr(self, name)) for name in CHANGED}
        return held | {"parameters": {n: copy(p) for n, p in self.parameters.items()}}

    @whole
    def _undo(self, before: dict[str, Any]) -> None:
        """Be as before a form."""
        vars(self).update(before)
        self._shapes = None
        self._known.clear()
        self._met.clear()
        self._memo.clear()

    @contextmanager
    @whole
    def _alone(self) -> Iterator[None]:
        """While the block runs, no other thread evaluates here; a callback of it may."""
        if not self._used.acquire(blocking=False):
            raise NablispError(
                "busy",
                "this session is running something in another thread",
                hint="give each thread a session of its own, or wait for the other",
            )
        try:
            yield
        finally:
            self._used.release()

    # ---- names -----------------------------------------------------------------------------------

    def find(self, name: str) -> tuple[Value] | None:
        """What a name means here, in a tuple, or None for a name nothing declares."""
        if name in self.definitions:
            value = self.definitions[name]
            if name in self._known:
                self._memo.setdefault(value, self._known[name])
            return (value,)
        if name in self.parameters or name in self.columns:
            return (Sym(name),)
        if name in self.overrides:
            return (self.overrides[name],)
        for known in (CONSTANTS, OPS, FUNCTIONS):
            if name in known:
                return (known[name],)
        for more in (self.prelude(), self.results):
            if name in more:
                return (more[name],)
        return None

    def callable_names(self) -> list[str]:
        """Every name that may stand at the head of a list."""
        own = [n for n, v in self.definitions.items() if kind_of(v) == "function"]
        return [*OPS, *SPECIAL, *FUNCTIONS, *self.prelude(), *own]

    def prelude(self) -> dict[str, Value]:
        """Losses and models written in the language, read when first looked for."""
        if self._prelude is None:
            from .prelude import definitions

            self._prelude = definitions()
        return self._prelude

    def define(self, name: str, value: Value, span: Span | None, *, quiet: bool = False) -> None:
        """Bind a name; NablispError "name" where it is built in, a parameter or a column."""
        self.refuse(name, span, "definition")
        value = self.overrides.get(name, value)
        if not quiet and (name in self.definitions or name in self.prelude()):
            self.note(f"{name} was redefined; expressions made before keep its old meaning")
        self.definitions[name] = value
        self._known.pop(name, None)
        if isinstance(value, Expr) and value in self._memo:
            self._known[name] = self._memo[value]

    def meet(self, name: str) -> None:
        """Remark on a name that looks like another, which is declared, built in or was met."""
        known = self.looks.remark(name, lambda n: n in SPECIAL or self.find(n) is not None)
        if known:
            self.note(known)

    def refuse(self, name: str, span: Span | None, kind: str) -> None:
        """NablispError "name" if a name cannot be declared as this kind of thing."""
        self.meet(name)
        if (
            name in CONSTANTS
            or name in OPS
            or (kind == "definition" and (name in SPECIAL or name in FUNCTIONS))
        ):
            raise NablispError(
                "name",
                f"{name} is built in and cannot be declared",
                span=span,
                hint="choose another name",
            )
        holders: tuple[tuple[str, Mapping[str, Any]], ...] = (
            ("definition", self.definitions),
            ("parameter", self.parameters),
            ("column", self.columns),
        )
        for other, held in holders:
            if other != kind and name in held:
                raise NablispError(
                    "name",
                    f"{name} is already a {other}",
                    span=span,
                    hint=f"(forget {name}) frees the name",
                )

    def declare_columns(
        self, columns: Mapping[str, np.ndarray[Any, Any]], span: Span | None = None
    ) -> None:
        """Columns by name; all columns of a session have one number of rows."""
        new = Columns(columns)
        for name in [n for n in new if n in self.overrides]:
            new[name] = self._overridden(name, None, ("array",), span)
        kept = next((n for n in self.columns if n not in new), None)
        other, held = (next(iter(new), ""), new) if kept is None else (kept, self.columns)
        for name in new:
            self.refuse(name, span, "column")
            rows, known = new.shape_of(name)[0], held.shape_of(other)[0]
            if rows != known:
                raise NablispError(
                    "data",
                    f"{name} has {counted(rows, 'row')} and {other} has {known:,}",
                    span=span,
                    hint=f"all columns have one number of rows; (forget {other}) drops one",
                )
        for name in new:
            self._shaped(name, ("rows", *new.shape_of(name)[1:]))
        self.columns.add(new)
        for name in new:
            self.meet(name)

    def declare_parameter(self, name: str, parameter: Parameter, span: Span | None) -> None:
        self.refuse(name, span, "parameter")
        value = self._overridden(name, parameter.value, ("number", "array"), span)
        parameter.start = parameter.value = value
        self._shaped(name, parameter.shape)
        self.parameters[name] = parameter

    def _shaped(self, name: str, shape: Shape) -> None:
        """Take up the shape of a name; one that had another may be in use, and stays as it is."""
        if self.shapes.get(name, ()) != shape:
            self._forget_shapes(name)
        if self.shapes.setdefault(name, shape) != shape:
            self._shapes = None

    def _let_go(self) -> None:
        """Hold no formulas but those that are defined."""
        self._met.update([node.name for node in self._memo if isinstance(node, Sym)])
        self._memo.clear()

    def _forget_shapes(self, name: str) -> None:
        """Find the shapes of formulas anew, if any may hold this name."""
        self._let_go()
        if name in self._met:
            self._known.clear()
            self._met.clear()

    def _overridden(
        self, name: str, value: Value, kinds: tuple[str, ...], span: Span | None
    ) -> Value:
        """What the command line says instead of the program, if it does."""
        return expect(self.overrides.get(name, value), kinds, f"{name}, given by -D,", span)

    def forget(self, name: str, span: Span | None) -> None:
        """Free a name; NablispError "unbound-name" if nothing holds it."""
        known: list[MutableMapping[str, Any]] = [self.definitions, self.parameters, self.columns]
        for held in known:
            if name in held:
                if self.shapes.get(name):
                    self._forget_shapes(name)
                if held is not self.definitions:
                    self._shapes = None
                self._known.pop(name, None)
                del held[name]
                return
        raise NablispError(
            "unbound-name",
            f"{name} is not declared",
            span=span,
            hint=meant(name, [*self.definitions, *self.parameters, *self.columns]),
        )

    # ---- facts about expressions -----------------------------------------------------------------

    @property
    def shapes(self) -> dict[str, Shape]:
        """The shapes of parameters and columns."""
        if self._shapes is None:
            found: dict[str, Shape] = {n: p.shape for n, p in self.parameters.items()}
            found.update((n, ("rows", *self.columns.shape_of(n)[1:])) for n in self.columns)
            self._shapes = found
        return self._shapes

    def shape(self, node: Expr) -> Shape:
        """The shape of an expression here; NablispError "shape" where parts do not fit."""
        if len(self._memo) > self._most:
            self._let_go()
            shape_of(node, self.shapes, self._memo)
            self._most = max(100_000, 2 * len(self._memo))  # a deep formula is not walked each time
        return shape_of(node, self.shapes, self._memo)

    def remember(self, value: Expr, form: Form) -> None:
        """Where an expression was first written, for errors while it runs."""
        if form.span is not None and form.span.file != PRELUDE and not isinstance(form, Number):
            self.origins.setdefault(value, form.span)

    def value(
        self, root: Expr, given: Mapping[str, Value] | None = None, *, bound: bool = False
    ) -> Value:
        """The value of an expression: names given first, then parameters and columns.

        Given one column, all columns come from the call. With `bound` a `rounding.Bounded`. In a
        check it is Unknown where a parameter occurs, which a run may have moved.
        """
        given = dict(given or {})
        env: dict[str, Any] = {}
        own_columns = not any(name in self.columns for name in given)
        own_rows = self.columns.rows if self.columns else None
        rows = own_rows if own_columns else self._fitted(given)
        for name, value in given.items():
            shape = self.shapes.get(name, ())
            if name in self.parameters and shape and np.ndim(value) != len(shape):
                raise NablispError(
                    "shape",
                    f"{name} has shape {show(shape)}, and was given {show(np.shape(value))}",
                )
        env.update(given)
        mapped = {
            n
            for n, v in given.items()
            if np.ndim(v) and n not in self.columns and not self.shapes.get(n)
        }
        check_mapped(root, mapped)
        if rows is not None:
            env[ROWS] = rows
        try:
            current: Any = Current(self.parameters)
            known = ChainMap(env, current, self.columns if own_columns else {})
            if self.budget.dry and any(name in self.parameters for name in names(root)):
                if not given:
                    self.shape(root)
                for name in names(root):
                    _lookup(name, known)
                self.budget.begin()
            if bound:
                from .rounding import bounded

                return bounded(root, known, self.budget)
            return evaluate(accurate(root), known, budget=self.budget)[0]
        except NablispError as error:
            if error.kind == "unbound-name" and not own_columns:
                error.hint = "given one column, all columns come from the call"
            raise

    def _fitted(self, given: dict[str, Value]) -> int:
        """The number of rows of the columns given in a call; numbers stand for all rows."""
        columns = {name: value for name, value in given.items() if name in self.columns}
        lengths = {name: len(value) for name, value in columns.items() if np.ndim(value)}
        if len(set(lengths.values())) > 1:
            raise NablispError(
                "shape",
                "columns have one number of rows, and these differ: "
                + ", ".join(f"{name} has {n}" for name, n in lengths.items()),
            )
        for name, value in columns.items():
            own = self.columns.shape_of(name)[1:]
            if np.shape(value)[1:] != own or (own and not np.ndim(value)):
                raise NablispError(
                    "shape",
                    f"{name} has shape {show(self.shapes[name])}, and was given "
                    f"{show(np.shape(value))}",
                )
            if lengths and not np.ndim(value):
                given[name] = np.full(next(iter(lengths.values())), float(value))
        return next(iter(lengths.values()), 1)

    def random(self) -> np.random.Generator:
        """The next stream of random numbers: a function of the seed and how many came before."""
        self._drawn += 1
        return np.random.Generator(np.random.Philox(key=[self.seed, self._drawn]))

    def text(self, value: Value) -> str:
        """A value as the prompt prints it."""
        return print_text(value, self.budget.limits.output)


__all__ = ["Limits", "Session"]


def _print(line: str) -> None:
    """What `print` writes where the host takes no lines: it may come to a terminal."""
    print(visible(line))
