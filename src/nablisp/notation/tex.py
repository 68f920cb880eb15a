"""From an expression to LaTeX, by the templates in the rows."""

from __future__ import annotations

import math
import re
from functools import cache
from typing import Any

import numpy as np

from ..expr import Call, Const, Expr, Num, Sym, asked, postorder

LONG = 20_000
"""Characters of LaTeX that a formula may take before shared parts are left as names."""

_GREEK = """
    alpha α beta β gamma γ delta δ epsilon ϵ zeta ζ eta η theta θ iota ι kappa κ lambda λ
    mu μ nu ν xi ξ rho ρ sigma σ tau τ upsilon υ phi ϕ chi χ psi ψ omega ω pi π Gamma Γ
    Delta Δ Theta Θ Lambda Λ Xi Ξ Pi Π Sigma Σ Upsilon Υ Phi Φ Psi Ψ Omega Ω
"""
LETTERS = dict(zip(_GREEK.split()[::2], _GREEK.split()[1::2], strict=True))
"""Greek letters by their names, the same in a program and in LaTeX."""


def latex(e: Any) -> str:
    """The formula in LaTeX mathematics, without dollar signs."""
    made: dict[Expr, tuple[str, int]] = {}
    root = asked(e)
    for node in postorder(root):
        made[node] = _call(node, made) if isinstance(node, Call) else _leaf(node)
        if len(made[node][0]) > LONG:
            made[node] = (r"\cdots", 9)
    return made[root][0]


def _leaf(node: Expr) -> tuple[str, int]:
    match node:
        case Num(bool() as value):
            return rf"\text{{{str(value).lower()}}}", 9
        case Num(value):
            return _number(value)
        case Sym(name):
            return _name(name), 9
        case Const(value):
            return _array(value), 9
    raise TypeError(node)


def _number(value: float) -> tuple[str, int]:
    if value == math.pi:
        return r"\pi", 9
    if math.isnan(value):
        return r"\text{nan}", 9
    if math.isinf(value):
        return (r"\infty", 9) if value > 0 else (r"-\infty", 1)
    text = repr(value)
    if "e" in text:
        digits, power = text.split("e")
        head = "" if digits == "1" else "-" if digits == "-1" else rf"{digits} \cdot "
        return rf"{head}10^{{{int(power)}}}", 1 if value < 0 else 2
    return text, 1 if value < 0 else 9


def _name(name: str) -> str:
    """One letter as it is, Greek by name, more letters upright, a number at the end below."""
    match = re.fullmatch(r"([^\W\d_]+?)_?(\d+)", name)
    stem, below = (match[1], match[2]) if match else (name, "")
    if stem in LETTERS:
        stem = f"\\{stem}"
    elif len(stem) > 1:
        stem = rf"\mathrm{{{_escaped(stem)}}}"
    elif not stem.isalpha():
        stem = _escaped(stem)
    return f"{stem}_{{{below}}}" if below else stem


def _escaped(text: str) -> str:
    words = {"\\": r"\backslash ", "^": r"\hat{}", "~": r"\sim "}
    return "".join(words.get(c, f"\\{c}" if c in "_%&#${}" else c) for c in text)


def _array(value: np.ndarray[Any, Any]) -> str:
    rows = value if value.ndim == 2 else [np.atleast_1d(value).ravel()]
    shown = [" & ".join(_number(float(v))[0] for v in row[:8]) for row in rows[:8]]
    return r"\begin{bmatrix}" + r" \\ ".join(shown) + r"\end{bmatrix}"


def _call(node: Call, made: dict[Expr, tuple[str, int]]) -> tuple[str, int]:
    op = node.op
    template = op.latex or _named(op.name)
    parts = [made[arg] for arg in node.args]
    if template == "{x}":
        return parts[0]
    filled = []
    for i, (arg, (text, binds)) in enumerate(zip(node.args, parts, strict=True)):
        needed = _needs(template, op.binds, i)
        leads = i == 0 and needed == op.binds and isinstance(arg, Num)  # -2 x
        filled.append(text if binds >= needed or leads else _closed(text))
    names = dict(zip("xyz", filled, strict=False))
    names.update((k, _static(v)) for k, v in node.options)
    joined = _JOINED.search(template)
    if joined:
        template = template.replace(joined[0], "{args}")
        names["args"] = joined[1].join(filled).replace(" + -", " - ")
        if op.name == "*":  # a number after a factor needs a dot
            names["args"] = re.sub(r" \\, (?=[\d-])", r" \\cdot ", names["args"])
    out = template.format(**dict.fromkeys(op.options, "") | names)
    return out, min(op.binds, 1) if out.startswith("-") else op.binds


def _named(name: str) -> str:
    """The template of an operation that has none: the program's own may have any name."""
    spelt = _escaped(name).replace("{", "{{").replace("}", "}}")
    return rf"\operatorname{{{{{spelt}}}}}\left({{args|, }}\right)"


_JOINED = re.compile(r"\{args\|([^}]*)\}")


@cache
def _needs(template: str, binds: int, i: int) -> int:
    """How tightly an argument must hold to stand in this template without brackets.

    Anything may where the template sets it apart, by braces, brackets or an environment. What is
    raised or has an index must be closed; else the first, and any of a list, holds at least as
    tightly as the operation, and a later one more.
    """
    place = template.find("{args|")
    listed = place >= 0
    if not listed:
        place = template.find("{" + "xyz"[i] + "}")
    before = template[:place]
    opened = sum(before.count(mark) for mark in ("{{", r"\left", r"\begin"))
    if opened > sum(before.count(mark) for mark in ("}}", r"\right", r"\end")):
        return -9
    if template[place + 3 :].startswith(("^", "_")):
        return 9
    return binds if listed or place == 0 else binds + 1


def _static(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _closed(text: str) -> str:
    return rf"\left({text}\right)"
