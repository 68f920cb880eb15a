"""The reference: turns the tables into Markdown, after the rules in docs/rules.md.

`python -m nablisp.reference > docs/reference.md` writes it; a test says when it must be.
"""

from __future__ import annotations

import sys
from argparse import Action
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from math import inf
from pathlib import Path
from typing import Any

from . import __version__, cli, commands, process
from .backends import BACKENDS
from .data import ENDINGS
from .elaborate import CONSTANTS, FUNCTIONS, LATER, SPECIAL
from .errors import KINDS
from .expr import OPS, Op
from .limits import USES, Limits
from .operations import usage
from .optimizers import METHODS, OPTIMIZERS, SCHEDULES, Optimizer
from .prelude import definitions
from .printer import text
from .repl.commands import COMMANDS
from .repl.settings import SETTINGS
from .results import STATUS
from .session import Session
from .values import Primitive

LONG = 100
"""Characters of a formula that is shown in a table."""

EXITS = {
    commands.FINE: "fine",
    commands.MISTAKE: "an error in the program, or a comparison that failed",
    commands.WRONG_USE: "wrong use, or no such file",
    commands.DIVERGED: "a run diverged",
    129: "the terminal was closed",
    process.INTERRUPTED: "interrupted",
    process.CLOSED: "whoever read the output closed it",
    143: "terminated",
}


def reference() -> str:
    """The whole page."""
    Session()  # its modules fill the tables
    return "\n".join((*_head(), *_rules(), *_language(), *_runs(), *_outside())) + "\n"


def _head() -> Iterator[str]:
    yield "# Reference"
    yield ""
    yield f"nablisp {__version__}: the rules in prose, then every name there is. Made by"
    yield "`python -m nablisp.reference > docs/reference.md` from the tables and `docs/rules.md`."


def _rules() -> Iterator[str]:
    """The hand-written part, one heading lower; nothing where the checkout is not at hand."""
    path = Path(__file__).resolve().parents[2] / "docs" / "rules.md"
    if path.is_file():
        yield from path.read_text("utf-8").splitlines()[1:]


def _language() -> Iterator[str]:
    """Everything a program can name."""
    yield from _section("Forms", "Names with a meaning at the head of a list, and only there.")
    yield from _table(("form", "what it does", "keywords"), map(_form, SPECIAL.values()))
    yield from _section("Functions", "Their arguments are values, and they are computed at once.")
    yield from _table(("function", "what it gives", "keywords"), map(_form, FUNCTIONS.values()))
    yield ""
    yield f"Constants: {' '.join(map(_code, CONSTANTS))}."
    yield from _section(
        "Operations",
        "Of values a value; of expressions an expression. Partials are over the arguments `x y z` "
        "and the result `out`; long ones are left out, `(help name)` has them.",
    )
    head = ("operation", "value", "partials")
    yield from _table(head, (_operation(op) for op in OPS.values() if op.shape is None))
    yield from _section("Operations on arrays")
    rows = ((_code(usage(op)), op.doc) for op in OPS.values() if op.shape is not None)
    yield from _table(("operation", "value"), rows)
    yield from _section(
        "The prelude", "Written in the language; a definition of your own is first."
    )
    yield ""
    yield "```scheme"
    for function in definitions().values():
        yield f"; {function.doc}"
        yield function.source
    yield "```"
    yield from _section(
        "Not yet",
        "The language has these words, and this version not yet what "
        f"they do: {' '.join(map(_code, LATER))}.",
    )


def _runs() -> Iterator[str]:
    """What train takes and gives."""
    yield from _section(
        "Optimizers",
        "`(train loss :by …)`. Formulas in order, each sees those before it: `p` the parameter, "
        "`g` its gradient, `lr` its rate, `t` the step from 1, and the row's settings and state.",
    )
    head = ("`:by`", "what it is", "`:lr`", "settings", "update")
    yield from _table(head, map(_optimizer, OPTIMIZERS.values()))
    yield from _section("Methods", "Of `(minimize e :by …)`, and of `train`.")
    rows = ((_code(name), doc) for name, doc in METHODS.items())
    yield from _table(("`:by`", "what it is"), rows)
    yield from _section(
        "Schedules", "`:schedule (cosine 0.1 0.001)`: the rate at step `t` of `total`, from 1 on."
    )
    rows = (
        (_code(signature), _code(_argued(signature, rate)))
        for signature, rate in SCHEDULES.values()
    )
    yield from _table(("rule", "rate"), rows)
    yield from _section("Why a run stopped", "`(get r :status)`")
    yield from _table(("status", "meaning"), ((_code(name), doc) for name, doc in STATUS.items()))
    yield from _section("Backends", "`:backend`, and `--backend`")
    yield from _table(("name", "what it is"), ((_code(n), doc) for n, doc in BACKENDS.items()))


def _amount(limit: float) -> str:
    """A limit as it reads best: `inf` is none."""
    return "none" if limit == inf else f"{limit:,.0f}"


def _outside() -> Iterator[str]:
    """What is around the language."""
    yield from _section("Errors", "`kind` of a `NablispError`, and `error` under `--json`.")
    yield from _table(("kind", "a mistake of this sort"), ((_code(k), w) for k, w in KINDS.items()))
    yield from _section(
        "Limits", "`Session(limits=Limits(nodes=…))`: what one run of a text may use."
    )
    both = Limits.trusted(), Limits.untrusted()
    yield from _table(
        ("limit", "counts", "`Limits()`", "`Limits.untrusted()`"),
        (
            (_code(f.name), USES[f.name][1], *(_amount(getattr(of, f.name)) for of in both))
            for f in fields(Limits)
        ),
    )
    yield from _section("Files of data", f"By ending: {' '.join(map(_code, ENDINGS))}.")
    yield from _section("Command line", "`nablisp [options] [FILE…]`")
    yield from _table(("argument", "what it does"), map(_argument, cli._parser()._actions))
    yield ""
    yield "Or a word first; `nablisp WORD --help` lists what it takes."
    rows = ((_code(f"nablisp {word} FILE…"), doc) for word, (_, doc) in cli.COMMANDS.items())
    yield from _table(("command", "what it does"), rows)
    yield from _section("Commands of the prompt", "`,help` lists them; some take a name or a file.")
    commands_ = ((_code(row.signature), row.doc) for row in COMMANDS.values())
    yield from _table(("command", "what it does"), commands_)
    yield from _section("Settings of the prompt", "`,set` lists them; the default comes first.")
    settings = ((_code(row.signature), row.doc) for row in SETTINGS.values())
    yield from _table(("setting", "what it chooses"), settings)
    yield from _section("Exit status")
    yield from _table(("status", "when"), ((_code(n), words) for n, words in EXITS.items()))


# ---- rows ----------------------------------------------------------------------------------------


def _form(row: Primitive) -> tuple[str, ...]:
    what = row.doc + (f", e.g. {_code(row.example)}" if row.example else "")
    keys = "any name" if row.keywords is None else " ".join(_code(f":{k}") for k in row.keywords)
    return _code(row.signature), what, keys


def _operation(op: Op) -> tuple[str, ...]:
    shown = [text(slope) for slope in op.slopes]
    partials = " ".join(_code(slope) for slope in shown if len(slope) <= LONG)
    return _code(usage(op)), op.doc, partials


def _argument(action: Action) -> tuple[str, ...]:
    words = " ".join(action.option_strings)
    value = "|".join(action.choices or ()) or action.metavar or action.dest.upper()
    takes = "" if action.option_strings and action.nargs == 0 else f" {value}"
    return _code((words + takes).strip()), action.help or ""


def _optimizer(row: Optimizer) -> tuple[str, ...]:
    settings = " ".join(_code(f":{name} {value:g}") for name, value in row.settings.items())
    update = " ".join(_code(f"{name} ← {rule}") for name, rule in row.update.items())
    return _code(row.name), row.doc, f"{row.rate:g}", settings, update


def _argued(signature: str, rate: str) -> str:
    """A schedule's formula with its arguments called as in its signature."""
    words = dict(zip("abc", signature.strip("()").split()[1:], strict=False))
    spaced = rate.replace("(", "( ").replace(")", " )").split(" ")
    named = " ".join(words.get(word, word) for word in spaced)
    return named.replace("( ", "(").replace(" )", ")")


# ---- Markdown ------------------------------------------------------------------------------------


def _section(title: str, *prose: str) -> Iterator[str]:
    yield ""
    yield f"## {title}"
    for paragraph in prose:
        yield ""
        yield paragraph


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield ""
    for row in (head, ["---"] * len(head), *rows):
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |"


def _code(value: Any) -> str:
    return f"`{value}`"


if __name__ == "__main__":
    sys.stdout.write(reference())
