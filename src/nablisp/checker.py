"""Turns the text of a script into every problem that can be seen in it without running it.

A session on a dry budget evaluates the forms one by one: they declare, build formulas and look at
what they are asked to do, and end as unknown where they would train, write or draw. What a form
leaves unknown makes unknown all that depends on it, and is never a problem. A second pass looks at
every list as it is written, for mistakes in functions that nothing calls.
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import takewhile
from pathlib import Path

from .commands import (
    FINE,
    MISTAKE,
    Parser,
    decoded,
    os_words,
    script_bytes,
    script_files,
    wrong_use,
)
from .elaborate import (
    SPECIAL,
    _split,
    check_arguments,
    check_count,
    lookup,
    unknown_function,
)
from .errors import NablispError, Span, draw
from .expr import Op
from .forms import Array, Form, Keyword, List, String, Symbol
from .limits import Limits, Unknown
from .operations import check_call
from .reader import recovered, tokens
from .session import Session
from .shown import error_object, painted, wants_color
from .tools import source_text
from .values import Closure, Formula, Primitive, Value


def problems(
    text: str,
    *,
    name: str = "<input>",
    root: str | Path | None = None,
    limits: Limits | None = None,
) -> list[NablispError]:
    """Every problem of a script, and of the scripts it loads, from the top.

    `root` is the folder whose files it may read (none: no files); `limits` bounds the work. Of very
    many it says some `MOST`.
    """
    check = _Check(limits, root)
    check.script(text, name)
    check.lists()
    return check.found()


MOST = 500
"""Problems of one script after which the rest are left for another time."""
_COLUMNS, _ANYTHING = "any column", "anything"
"""Stand among unknown names for all those of a file that could not be read."""


class _Dry(Session):
    """A session in which names may be unknown."""

    def __init__(self, limits: Limits | None, root: str | Path | None) -> None:
        super().__init__(limits, root, write=lambda line: None)
        self.budget.dry = True
        self.unknown: set[str] = set()

    def find(self, name: str) -> tuple[Value] | None:
        if name in self.unknown:
            raise Unknown
        found = super().find(name)
        if found is None and not self.unknown.isdisjoint((_COLUMNS, _ANYTHING)):
            raise Unknown
        return found

    def follows(self, error: NablispError) -> bool:
        """Does a name have no meaning here only because of another mistake?"""
        said = {_COLUMNS, _ANYTHING, *re.findall(r"[^\s()\[\]\",:;`]+", error.message)}
        return error.kind == "unbound-name" and not self.unknown.isdisjoint(said)


class _Check:
    """The problems of a script and of those it loads."""

    def __init__(self, limits: Limits | None, root: str | Path | None) -> None:
        self.session = _Dry(limits, root)
        self.forms: list[Form] = []
        self.files: list[str] = []
        self.errors: dict[tuple[int, int, str], NablispError] = {}

    def found(self) -> list[NablispError]:
        """The problems, file by file, from the top."""
        return [self.errors[key] for key in sorted(self.errors)]

    def add(self, error: NablispError, span: Span | None = None) -> None:
        """A problem, unless it is known."""
        place = error.at(span).span
        if place and place.file not in self.files:
            self.files.append(place.file)
        key = (self.files.index(place.file), place.start) if place else (0, 0)
        self.errors.setdefault((*key, error.message), error)

    # ---- evaluating ------------------------------------------------------------------------------

    def script(self, text: str, name: str) -> None:
        """Evaluate the forms of a script, as far as there is budget."""
        session = self.session
        self.files.append(name)
        forms, wrong = recovered(text, name=name, budget=session.budget)
        self.forms += forms
        for error, spoilt in wrong:
            self.add(error)
            session.unknown |= _read_in_vain(spoilt)
        for form in forms:
            try:
                match form:
                    case List((Symbol("load"), String(other))) if other not in session.loading:
                        self.loaded(other, form)
                    case _:
                        session.value_of(form)
            except Unknown:
                session.unknown |= _declared(form)
            except NablispError as error:
                if not session.follows(error):
                    self.add(error, form.span)
                session.unknown |= _declared(form)
                if error.kind == "limit" or len(self.errors) >= MOST:
                    break
            else:
                if session.unknown:
                    session.unknown -= _declared(form) - {_COLUMNS, _ANYTHING}

    def loaded(self, other: str, form: List) -> None:
        """Follow `(load "other.gd")`."""
        try:
            text = source_text(self.session, other)
        except NablispError as error:
            raise error.at(form.items[1].span) from None
        self.session.loading.append(other)
        self.script(text, str(Path(self.files[0]).parent / other))
        self.session.loading.remove(other)

    # ---- reading ---------------------------------------------------------------------------------

    def lists(self) -> None:
        """Look at all lists as they are written, with all definitions known."""
        own = Counter(name for form in self.forms for name in _declared(form))
        for form in self.forms:
            local = _bound(form)
            stack = [form]
            while stack and len(self.errors) < MOST:
                inner = stack.pop()
                if isinstance(inner, Symbol) and inner.name not in own and inner.name not in local:
                    self.word(inner)
                elif isinstance(inner, Array):
                    stack += inner.items
                elif isinstance(inner, List) and inner.items:
                    head = inner.items[0]
                    if isinstance(head, Symbol) and head.name not in local:
                        stack += _evaluated(inner, head.name)
                        self.look(inner, head, own)
                    else:
                        stack += inner.items

    def word(self, symbol: Symbol) -> None:
        """Is this a name that nothing declares, and that can be none?"""
        if symbol.name[0] in "+-.0123456789":
            try:
                lookup(self.session, symbol.name, None)
            except Unknown:
                pass
            except NablispError as error:
                self.add(error, symbol.span)

    def look(self, form: List, head: Symbol, own: Counter[str]) -> None:
        """Can a list be evaluated, whatever its arguments are?"""
        session, name = self.session, head.name
        try:
            if name in SPECIAL:
                _check_form(SPECIAL[name], form)
            elif name in session.unknown:
                return
            elif found := Session.find(session, name):
                if own[name] <= (name not in session.prelude()):
                    _check_function(found[0], form)
            elif name not in own and _ANYTHING not in session.unknown:
                raise unknown_function(session, head)
        except NablispError as error:
            self.add(error, form.span)


def _check_form(row: Primitive, form: List) -> None:
    """Refuse arguments that a form cannot take."""
    whole = row.raw and not row.keywords  # keywords are arguments like others
    count, named = (len(form.items) - 1, {}) if whole else _counted(form)
    check_arguments(row, count, named, form)


def _counted(form: List) -> tuple[int, dict[str, Form]]:
    given, named = _split(form)
    return len(given), named


def _check_function(function: Value, form: List) -> None:
    """Refuse arguments that a function cannot take, whatever their values are."""
    count, named = _counted(form)
    match function:
        case Op():
            check_call(function, count, named, form)
        case Primitive():
            check_arguments(function, count, named, form)
        case Closure() | Formula():
            check_count(function, count, named, form)


# ---- what forms declare and evaluate -------------------------------------------------------------

_Part = Callable[[Sequence[Form]], Sequence[Form]]


def _none(rest: Sequence[Form]) -> Sequence[Form]:
    return ()


def _all(rest: Sequence[Form]) -> Sequence[Form]:
    return rest


def _after_first(rest: Sequence[Form]) -> Sequence[Form]:
    return rest[1:]


def _positional(rest: Sequence[Form]) -> Sequence[Form]:
    return list(takewhile(lambda form: not isinstance(form, Keyword), rest))


def _pairs(rest: Sequence[Form]) -> Sequence[Form]:
    """The values of `(name value)` pairs."""
    lists = (form.items for form in rest if isinstance(form, List))
    return [items[1] for items in lists if len(items) == 2]


def _bindings(rest: Sequence[Form]) -> Sequence[Form]:
    match rest:
        case [List(pairs), *body]:
            return [*_pairs(pairs), *body]
    return ()


_EVALUATED: dict[str, _Part] = {
    **dict.fromkeys(("if", "and", "or", "assert", "time", "kind", "get"), _all),
    **dict.fromkeys(("define", "define-derivative", "lambda"), _after_first),
    **dict.fromkeys(("train", "minimize", "fit", "advise"), _positional),
    "let": _bindings,
    "params": _pairs,
}
"""By form with raw arguments, those that it evaluates; the others' are not looked at."""


def _evaluated(form: List, name: str) -> Sequence[Form]:
    """The arguments of a list that are evaluated."""
    rest = form.items[1:]
    return _EVALUATED.get(name, _none)(rest) if name in SPECIAL and SPECIAL[name].raw else rest


def _names(forms: Sequence[Form]) -> set[str]:
    """The names among forms, and those that lists among them begin with."""
    firsts = (f.items[0] if isinstance(f, List) and f.items else f for f in forms)
    return {form.name for form in firsts if isinstance(form, Symbol)}


def _arguments(target: Form) -> set[str]:
    return _names(target.items[1:]) if isinstance(target, List) else set()


def _lists(form: Form) -> Iterator[tuple[str, Sequence[Form]]]:
    """The lists in a form that begin with a name and hold more: the name, and the rest."""
    stack = [form]
    while stack:
        inner = stack.pop()
        if isinstance(inner, (List, Array)):
            stack += inner.items
        match inner:
            case List((Symbol(name), _, *_)):
                yield name, inner.items[1:]


def _bound(form: Form) -> set[str]:
    """The names that functions and `let` bind in a form."""
    found: set[str] = set()
    for name, (first, *_) in _lists(form):
        if name in ("define", "define-derivative"):
            found |= _arguments(first)
        elif name in ("lambda", "let") and isinstance(first, List):
            found |= _names(first.items)
    return found


def _declared(form: Form) -> set[str]:
    """The names that a form declares; those of a file stand for themselves only if named."""
    found: set[str] = set()
    for name, rest in _lists(form):
        match name:
            case "define" | "param" | "define-derivative":
                found |= _names(rest[:1])
            case "params":
                found |= _names(rest)
            case "data" if isinstance(rest[0], String):
                found |= _names(_positional(rest[1:])) or {_COLUMNS}
            case "data":
                found |= _names(rest[:1])
            case "load":
                found.add(_ANYTHING)
    return found


def _read_in_vain(spoilt: str) -> set[str]:
    """What a text that does not read would declare."""
    words = [(t.lastgroup, t[t.lastgroup]) for t in tokens(spoilt) if t.lastgroup]
    file = any(kind == "STRING" for kind, _ in words)
    match [word for kind, word in words if kind == "SYMBOL"]:
        case ["define" | "define-derivative", name, *_]:
            return {name}
        case ["params" | "param" | "data", *names]:
            return set(names) if names or not file else {_COLUMNS}
        case ["load", *_]:
            return {_ANYTHING}
    return set()


# ---- the command ---------------------------------------------------------------------------------


def main(arguments: list[str]) -> int:
    """`nablisp check FILE…`: every problem of scripts that are not run."""
    parser = Parser(
        prog="nablisp check",
        description="Read scripts, resolve names and shapes, say every problem. Nothing is run.",
    )
    add = parser.add_argument
    add("files", nargs="+", metavar="FILE", help="scripts, and folders of .gd files")
    add("--json", action="store_true", help="one JSON object a line for every problem")
    add("--color", choices=("auto", "always", "never"), default="auto")
    options = parser.parse_args(arguments)
    count = files = 0
    for path in script_files(options.files):
        name, root = str(path), path.resolve().parent
        try:
            found = problems(decoded(script_bytes(path), name), name=name, root=root)
        except OSError as error:
            return wrong_use(f"{name}: {os_words(error)}")
        except NablispError as undecodable:
            found = [undecodable]
        files += 1
        count += len(found)
        for problem in found:
            if options.json:
                print(json.dumps(error_object(problem), allow_nan=False))
            else:
                text = draw(problem)
                print(painted(text) if wants_color(options.color, sys.stdout) else text)
    what = f"{count or 'no'} problem{'' if count == 1 else 's'}"
    print(f"{what} in {files} file{'' if files == 1 else 's'}", file=sys.stderr)
    return MISTAKE if count else FINE
