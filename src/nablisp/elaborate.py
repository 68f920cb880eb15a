"""From forms to values: names are resolved, functions applied, loops expanded into expressions.

Forms run as generators on a stack of this module's own, so a program may nest and recurse as deep
as its budget allows: `value = yield (form, scope)` evaluates a form, and a form that ends in
another returns `Tail(form, scope)`, which costs no depth.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterable, Sequence
from types import GeneratorType
from typing import Any, NamedTuple

import numpy as np

from .errors import NablispError, meant
from .expr import (
    Expr,
    Op,
    Sym,
)
from .forms import Array, Form, Keyword, List, Number, String, Symbol
from .looks import skeleton
from .operations import arity_words, array_of, call_op, formula_of, simplest, unknown_keyword
from .printer import brief
from .scope import Scope
from .values import (
    Arguments,
    Closure,
    Formula,
    Primitive,
    Value,
    a_kind,
    key_span,
    kind_of,
)

Machine = Generator[Any, Any, Any]

CONSTANTS: dict[str, Value] = {
    "pi": float(np.pi),
    "true": True,
    "false": False,
    "inf": float("inf"),
    "nan": float("nan"),
}

SPECIAL: dict[str, Primitive] = {}
"""Forms: names with a meaning only at the head of a list."""
FUNCTIONS: dict[str, Primitive] = {}
"""Functions that are not operations on expressions: their arguments are values."""
LATER: dict[str, str] = {}
"""Forms of the language that this version does not have yet, and what to say of them."""


class Tail(NamedTuple):
    """What a form ends in: evaluated in its place."""

    form: Form
    scope: Scope | None


class Application(NamedTuple):
    """A request to apply a function to values."""

    function: Value
    args: Sequence[Value]


def run(session: Any, form: Form, scope: Scope | None = None) -> Value:
    """The value of a form; errors carry the span of the innermost form under way."""
    with session.budget.in_force():
        return _run(session, form, scope)


def _run(session: Any, form: Form, scope: Scope | None) -> Value:
    budget = session.budget
    stack: list[tuple[Machine, Form]] = []
    value: Any = None
    request: Any = (form, scope)
    current = caller = form
    deepest = budget.limits.depth
    try:
        while True:
            if type(request) is Application:
                value = _apply(session, request.function, request.args, {})
            else:
                current, scope = request
                value = _start(session, current, scope)
            while True:
                if type(value) is Tail:
                    budget.step()
                    if _in_prelude(value.form) and not _in_prelude(current):
                        caller = current
                    current, scope = value
                    value = _start(session, current, scope)
                    continue
                if type(value) is GeneratorType:
                    stack.append((value, current))
                    if len(stack) > deepest:
                        budget.check("depth", len(stack))
                    value = None
                elif type(value) is np.ndarray:
                    budget.hold(value)
                if not stack:
                    return value
                machine, current = stack[-1]
                try:
                    request = machine.send(value)
                    break
                except StopIteration as stop:
                    value = stop.value
                    if isinstance(value, Expr):
                        session.remember(value, current)
                    stack.pop()
    except NablispError as error:
        error.at(current.span)
        if error.span and error.span.file == PRELUDE:
            error.span = caller.span  # where the user called the prelude
        raise error from None
    except RecursionError:
        raise NablispError("limit", "this nests too deeply", span=current.span) from None
    except MemoryError as error:  # NumPy says how much it asked for
        asked = re.search(r"allocate ([\d.]+ [KMGTPE]?i?[Bb]\w*)", str(error))
        raise NablispError(
            "limit",
            f"this needs {f'{asked[1]}, ' if asked else ''}more memory than there is",
            span=current.span,
            hint="the host refuses such work before it begins with Limits(bytes=…, nodes=…)",
        ) from None
    finally:
        for machine, _ in reversed(stack):
            machine.close()


PRELUDE = "prelude.gd"


def _in_prelude(form: Form) -> bool:
    return form.span is not None and form.span.file == PRELUDE


def _start(session: Any, form: Form, scope: Scope | None) -> Any:
    """The value of a form, or the machine that will find it."""
    if not isinstance(form, List):
        match form:
            case Number(value) | String(value):
                return value
            case Symbol(name):
                return lookup(session, name, scope)
            case Keyword():
                return form
            case Array():
                return _array(session, form, scope)
    if not form.items:
        raise NablispError("type", "() is no value", hint="an empty array is []")
    head = form.items[0]
    session.budget.step(1 if scope is None else scope.cost)
    if isinstance(head, Symbol):
        name = head.name
        if scope is not None and (local := scope.find(name)) is not None:
            return _application(session, local[0], form, scope)
        special = SPECIAL.get(name)
        if special is not None:
            return _special(session, special, form, scope)
        return _application(session, _head(session, head), form, scope)
    return _computed_head(session, form, scope)


def _computed_head(session: Any, form: List, scope: Scope | None) -> Machine:
    function = yield form.items[0], scope
    value = _application(session, function, form, scope)
    return (yield from value) if type(value) is GeneratorType else value


# ---- names ---------------------------------------------------------------------------------------


def lookup(session: Any, name: str, scope: Scope | None) -> Value:
    """What a name means: a local, what the session declares, a built-in, else itself."""
    if scope is not None and (local := scope.find(name)) is not None:
        return local[0]
    found = session.find(name)
    if found is not None:
        return found[0]
    _refuse_slip(session, name, scope)
    session.meet(name)
    return Sym(name)


_OPERATORS = re.compile(r"(\*\*|[+\-*/^])")


def _refuse_slip(session: Any, name: str, scope: Scope | None) -> None:
    """An infix formula typed without blanks reads as a name; it is none."""
    if re.match(r"[+-]?\.?\d", skeleton(name)):
        raise NablispError(
            "slip",
            f"{name} begins like a number and is neither number nor name",
            hint=_prefix(name),
        )
    if re.match(r"[+-][^\W\d]", name):
        raise NablispError(
            "slip", f"{name} is one name, sign and all", hint=f"write ({name[0]} {name[1:]})"
        )
    parts = _OPERATORS.split(name)
    operands = parts[::2]
    if len(parts) < 3 or not all(operands):
        return
    if all(
        re.fullmatch(r"[0-9.]+", part) or (scope and scope.find(part)) or session.find(part)
        for part in operands
    ):
        raise NablispError("slip", f"{name} is one name, operator and all", hint=_prefix(name))


def _prefix(name: str) -> str:
    parts = _OPERATORS.split(name)
    if len(parts) >= 3 and all(parts[::2]):
        for tier in (("**", "^"), ("*", "/"), ("+", "-")):
            folded = parts[:1]
            for sign, right in zip(parts[1::2], parts[2::2], strict=True):
                if sign in tier:
                    folded[-1] = f"({'**' if sign == '^' else sign} {folded[-1]} {right})"
                else:
                    folded += [sign, right]
            parts = folded
        return f"write {parts[0]}"
    if match := re.match(r"([+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?)([^\W\d]\w*)$", name):
        return f"write (* {match[1]} {match[2]})"
    return "put blanks around numbers, and the operation first: (* 2 x)"


def _head(session: Any, head: Symbol) -> Value:
    """The function a name at the head of a list stands for; never a silent symbol."""
    found = session.find(head.name)
    if found is None:
        raise unknown_function(session, head)
    return found[0]


def unknown_function(session: Any, head: Symbol) -> NablispError:
    name = head.name
    if name in LATER:
        return NablispError("unavailable", f"({name} …) {LATER[name]}", span=head.span)
    argument = "y" if name == "x" else "x"
    hint = meant(name, session.callable_names(), f"define it: (define ({name} {argument}) …)")
    if re.match(r"\*+[0-9.]", name):
        hint = "put a blank after the operation: (* 2 x)"
    return NablispError(
        "unbound-name", f"there is no function or form called {name}", span=head.span, hint=hint
    )


# ---- application ---------------------------------------------------------------------------------


def _split(form: List) -> tuple[list[Form], dict[str, Form]]:
    """Positional arguments and keyword → value form; keywords follow the positional arguments."""
    items = form.items
    given: list[Form] = []
    named: dict[str, Form] = {}
    at = 1
    while at < len(items):
        item = items[at]
        if isinstance(item, Keyword):
            if item.name in named:
                raise NablispError("keyword", f":{item.name} is given twice", span=item.span)
            if at + 1 == len(items) or isinstance(items[at + 1], Keyword):
                raise NablispError("keyword", f":{item.name} has no value", span=item.span)
            named[item.name] = items[at + 1]
            at += 2
        elif named:
            raise NablispError(
                "keyword", "positional arguments come before keywords", span=item.span
            )
        else:
            given.append(item)
            at += 1
    return given, named


def _application(session: Any, function: Value, form: List, scope: Scope | None) -> Any:
    """A function applied to the forms after it: at once if all are names or numbers."""
    if type(function) not in _APPLICABLE and kind_of(function) != "function":
        raise _no_function(session, function).at(form.items[0].span)
    args = []
    for item in form.items[1:]:
        if isinstance(item, Symbol):
            try:
                args.append(lookup(session, item.name, scope))
            except NablispError as error:
                raise error.at(item.span) from None
        elif isinstance(item, (Number, String)):
            args.append(item.value)
        else:
            return _gradual(session, function, form, scope)
    value = _apply(session, function, args, {}, form)
    if isinstance(value, Expr):
        session.remember(value, form)
    return value


_APPLICABLE = frozenset((Op, Closure, Formula, Primitive))


def _no_function(session: Any, value: Value) -> NablispError:
    """What to say of a value that is applied and is no function."""
    if not isinstance(value, Sym) or session.find(value.name) is not None:
        return NablispError(
            "type",
            f"{brief(value)} is {a_kind(value)}, not a function",
            hint="the first thing in a list is the function to apply",
        )
    if value.name in SPECIAL:
        return NablispError(
            "type",
            f"{value.name} is a form: it works at the head of a list, and is no value",
            hint=SPECIAL[value.name].signature,
        )
    return unknown_function(session, Symbol(value.name))


def _gradual(session: Any, function: Value, form: List, scope: Scope | None) -> Machine:
    def finish(args: list[Value], options: dict[str, Value]) -> Any:
        return _apply(session, function, args, options, form)

    return _finished(form, scope, finish)


def _finished(
    form: List, scope: Scope | None, finish: Callable[[list[Value], dict[str, Value]], Any]
) -> Machine:
    """What becomes of the values of a form's arguments: positional ones, and keyword → value."""
    given, named = _split(form)
    args = []
    for item in given:
        value = yield item, scope
        args.append(value)
    options = {}
    for name, item in named.items():
        options[name] = yield item, scope
    value = finish(args, options)
    return (yield from value) if type(value) is GeneratorType else value


def _apply(
    session: Any,
    function: Value,
    args: Sequence[Value],
    options: dict[str, Value],
    form: List | None = None,
) -> Any:
    """A function applied to values: a value, a Tail or a machine."""
    match function:
        case Op():
            return call_op(session, function, args, options, form)
        case Closure(_, parameters, body, scope):
            check_count(function, len(args), options, form)
            session.budget.step()
            inner = Scope(dict(zip(parameters, args, strict=True)), scope)
            return Tail(body[0], inner) if len(body) == 1 else _sequence(body, inner)
        case Formula(name):
            check_count(function, len(args), options, form)
            root = function(*(formula_of(arg, f"an argument of {name}") for arg in args))
            session.shape(root)
            return simplest(session, root)
        case Primitive():
            check_arguments(function, len(args), options, form)
            return function.run(
                Arguments(form or List(()), list(args), dict(options), session, None)
            )
    raise _no_function(session, function)


def check_count(
    function: Closure | Formula, given: int, options: Iterable[str], form: List | None
) -> None:
    """Refuse keywords and wrong counts for a function written in the language."""
    name = function.name or "this function"
    hint = f"{function.signature}  {getattr(function, 'doc', '')}".rstrip()
    for key in options:
        raise NablispError(
            "keyword", f"{name} takes no keywords", span=key_span(form, key), hint=hint
        )
    wanted = len(function.parameters)
    if given != wanted:
        raise NablispError("arity", arity_words(name, wanted, wanted, given), hint=hint)


def _sequence(body: Sequence[Form], scope: Scope | None) -> Machine:
    for form in body[:-1]:
        yield form, scope
    return Tail(body[-1], scope)


def _special(session: Any, row: Primitive, form: List, scope: Scope | None) -> Any:
    """A form of SPECIAL: its arguments as forms if it is raw, else evaluated first."""
    given: list[Form]
    named: dict[str, Form]
    if row.raw and not row.keywords:  # keywords are arguments like others
        given, named = list(form.items[1:]), {}
    else:
        given, named = _split(form)
    check_arguments(row, len(given), named, form)
    if row.raw:
        return row.run(Arguments(form, given, named, session, scope))
    return _finished(
        form, scope, lambda args, options: row.run(Arguments(form, args, options, session, scope))
    )


def check_arguments(
    row: Primitive, count: int, named: Iterable[str], form: List | None = None
) -> None:
    """Refuse wrong counts and unknown keywords, with the form's signature."""
    least, most = row.arity
    if count < least or (most is not None and count > most):
        raise NablispError(
            "arity", arity_words(row.name, least, most, count), hint=f"{row.signature}  {row.doc}"
        )
    if row.keywords is None:
        return
    for name in named:
        if name in row.later:
            raise NablispError(
                "unavailable", f":{name} is not part of this version yet", span=key_span(form, name)
            )
        if name not in row.keywords:
            raise unknown_keyword(name, row.name, row.keywords, key_span(form, name))


def _array(session: Any, form: Array, scope: Scope | None) -> Any:
    """`[…]`: an array of values, or a stack of expressions, the new axis last for columns."""
    values = []
    for item in form.items:
        if isinstance(item, Number):
            values.append(item.value)
        else:
            return _array_of_forms(session, form, scope)
    session.budget.array((len(values),))
    return np.array(values, dtype=np.float64)


def _array_of_forms(session: Any, form: Array, scope: Scope | None) -> Machine:
    values = []
    for item in form.items:
        value = yield item, scope
        values.append(value)
    return array_of(session, values)


def form_row(
    name: str,
    signature: str,
    doc: str,
    arity: tuple[int, int | None],
    *,
    keywords: tuple[str, ...] | None = (),
    raw: bool = False,
    example: str = "",
    later: tuple[str, ...] = (),
    table: dict[str, Primitive] | None = None,
) -> Callable[[Callable[[Arguments], Any]], Callable[[Arguments], Any]]:
    """Enter a Python function as a row of SPECIAL (or of FUNCTIONS)."""

    def enter(function: Callable[[Arguments], Any]) -> Callable[[Arguments], Any]:
        rows = SPECIAL if table is None else table
        rows[name] = Primitive(name, signature, doc, function, arity, keywords, raw, example, later)
        return function

    return enter
