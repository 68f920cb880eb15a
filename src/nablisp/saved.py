"""The session as a program: turns columns, parameters and definitions into a script.

Where a text cannot say what a value is (a function made inside another that it calls), a comment
says so in its place.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from .expr import OPS, Call, Expr, Op, Sym, names, postorder, substitute
from .forms import Array, Form, List, Symbol
from .printer import text
from .values import Closure, Formula, Parameter, Primitive, Value, a_kind, kind_of


def script(session: Any) -> str:
    """Columns in full, parameters at their current values, definitions, and the last fit."""
    given = {n: v for n, v in session.overrides.items() if n not in session.shapes}
    held = {**given, **session.definitions}
    own = {n: v for n, v in held.items() if isinstance(v, Op) and v.name == n}
    lines = list(_columns(session))
    lines += [_parameter(name, parameter) for name, parameter in session.parameters.items()]
    for name, op in own.items():
        lines.append(f"(define ({name} x) {_spelt(op.meaning, own)})")
        lines.append(f"(define-derivative ({name} x) {_spelt(op.slopes[0], own)})")
    lines += [_definition(session, n, held[n], own) for n in _in_order(held) if n not in own]
    if session.fits is not None:
        lines.append(text(session.fits))
    return "".join(f"{line}\n" for line in lines)


def _columns(session: Any) -> Iterator[str]:
    """Columns as declarations: those that are left in a file of the session by its name."""
    columns, sources = session.columns, []
    for name in columns:
        source = columns.source_of(name)
        if source is None or not _is_below(source.request.root, session.root):
            yield f"(data {name} {text(columns[name])})"
        elif source not in sources:
            sources.append(source)
            asked = source.request
            held = [n for n in source.names if n in columns and columns.source_of(n) is source]
            named = source.names if asked.drop else held  # a column forgotten drops rows, too
            line = " ".join((f"(data {text(asked.name)}", *named))
            if classes := [n for n in asked.classes if n in named]:
                line += f" :classes ({' '.join(classes)})"
            yield line + (" :missing drop)" if asked.drop else ")")
            if gone := [n for n in named if n not in held]:
                yield f"(forget {' '.join(gone)})"


def _is_below(root: Path | None, own: Path | None) -> bool:
    """Does the session open files under its root by the same names?"""
    return root is not None and own is not None and root.resolve() == own.resolve()


def _parameter(name: str, parameter: Parameter) -> str:
    facts = {
        "min": parameter.low,
        "max": parameter.high,
        "lr": parameter.rate,
        "fixed": parameter.fixed or None,
    }
    shown = "".join(f" :{key} {text(fact)}" for key, fact in facts.items() if fact is not None)
    return f"(param {name} {text(parameter.value)}{shown})"


def _in_order(held: Mapping[str, Value]) -> list[str]:
    """The names, an expression before the definitions of what it holds as free symbols."""
    users: dict[str, list[str]] = {}
    for name, value in held.items():
        for inside in names(value) if isinstance(value, Expr) else ():
            users.setdefault(inside, []).append(name)
    order: dict[str, None] = {}
    entered: set[str] = set()
    stack = list(held)[::-1]
    while stack:
        name = stack[-1]
        waiting = [n for n in users.get(name, ()) if n not in entered]
        if name in entered or not waiting:
            order.setdefault(stack.pop())
        entered.add(name)
        stack += waiting
    return list(order)


def _definition(session: Any, name: str, value: Value, own: Mapping[str, Op]) -> str:
    found: str | None = None
    match value:
        case Expr():
            found = _spelt(value, own)
        case Op() | Primitive():
            found = value.name
        case Closure(name=called) if session.prelude().get(called) is value:
            found = called
        case Closure() if value.scope is None and value.name == name and value.source:
            return value.source
        case Closure():
            found = _function(value)
        case Formula(parameters=parameters, body=body):
            return f"(define ({name} {' '.join(map(str, parameters))}) {_spelt(body, own)})"
        case _ if kind_of(value) in ("number", "boolean", "string", "keyword", "array"):
            found = text(value)
    if found is None:
        return f"; {name} was {a_kind(value)} that has no text"
    return f"(define {name} {found})"


def _spelt(root: Expr | None, own: Mapping[str, Op]) -> str:
    """An expression as text; operations that the program has replaced, by what they meant."""
    assert root is not None
    new: dict[Expr, Expr] = {}
    for node in postorder(root):
        new[node] = node
        if isinstance(node, Call):
            args = tuple([new[arg] for arg in node.args])
            new[node] = Call(node.op, args, node.options)
            name = node.op.name
            if node.op not in (OPS.get(name), own.get(name)) and node.op.meaning is not None:
                new[node] = substitute([node.op.meaning], {Sym("x"): args[0]})[0]
    return text(new[root])


def _function(function: Closure) -> str | None:
    """A function as a lambda, inside a let of the values it took along."""
    needed = {name for form in function.body for name in _symbols(form)} - {*function.parameters}
    scope = function.scope
    found = {} if scope is None else {name: scope.find(name) for name in needed}
    taken = {name: local[0] for name, local in found.items() if local is not None}
    if any(kind_of(value) == "function" for value in taken.values()):
        return None
    body = " ".join(form.span.text if form.span else text(form) for form in function.body)
    whole = f"(lambda ({' '.join(function.parameters)}) {body})"
    bound = " ".join(f"({name} {text(value)})" for name, value in sorted(taken.items()))
    return f"(let ({bound}) {whole})" if bound else whole


def _symbols(form: Form) -> Iterator[str]:
    stack: list[Form] = [form]
    while stack:
        match stack.pop():
            case Symbol(name):
                yield name
            case List(items) | Array(items):
                stack += items
