"""From an expression to presentation MathML, by way of its LaTeX: one template serves both.

What is read here is only what tex.py writes: names and words in braces, groups, pairs of brackets,
`^` and `_`, two environments, and the signs in the tables below.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from .tex import LETTERS, latex

DEEP = 100
"""Groups inside groups from which dots stand for the rest: browsers stop nesting at some depth."""

_XMLNS = "http://www.w3.org/1998/Math/MathML"
_DOTS = "<mo>⋯</mo>"

_WORDS = "sin cos tan sinh cosh tanh arcsin arccos arctan ln log min max"
_SIGNS = {
    "le": "≤", "ge": "≥", "ne": "≠", "land": "∧", "lor": "∨", "lnot": "¬", "cdot": "⋅", "mid": "∣",
    "sum": "∑", "lfloor": "⌊", "rfloor": "⌋", "lceil": "⌈", "rceil": "⌉", "cdots": "⋯", "-": "−",
}  # fmt: skip


def _identifier(shown: str, upright: bool) -> str:
    """A name; MathML slants one letter, and none of more, unless told."""
    told = ' mathvariant="normal"' if upright and len(shown) == 1 else ""
    return f"<mi{told}>{shown}</mi>"


_ATOMS = (
    {f"\\{name}": _identifier(letter, letter.isupper()) for name, letter in LETTERS.items()}
    | {f"\\{word}": f"<mi>{word}</mi>" for word in _WORDS.split()}
    | {f"\\{name}": f"<mo>{sign}</mo>" for name, sign in _SIGNS.items()}
    | {
        "-": "<mo>−</mo>",
        r"\infty": "<mi>∞</mi>",
        r"\mathsf T": "<mi>𝖳</mi>",
        r"\mathbf 1": "<mn>𝟏</mn>",
        r"\,": '<mspace width="0.17em"/>',
    }
)
_SPELT = {r"\backslash ": "\\", r"\hat{}": "^", r"\sim ": "~"}
"""What tex.py writes for a character that LaTeX takes for itself; before others a backslash."""

_TABLES = {
    "cases": ('<mtd style="text-align: left">', "<mo>{</mo>", ""),
    "bmatrix": ("<mtd>", "<mo>[</mo>", "<mo>]</mo>"),
}
"""Of each environment how a cell begins, and what stands before and after them all."""

_WAITING: dict[str, tuple[int, Callable[..., str]]] = {
    "^": (2, lambda base, above: f"<msup>{base}{above}</msup>"),
    "_": (2, lambda base, below: f"<msub>{base}{below}</msub>"),
    r"\frac": (2, lambda over, under: f"<mfrac>{over}{under}</mfrac>"),
    r"\sqrt": (1, lambda inside: f"<msqrt>{inside}</msqrt>"),
    r"\sqrt[3]": (1, lambda inside: f"<mroot>{inside}<mn>3</mn></mroot>"),
}
"""Signs that take what stands beside them: how many parts, and the element these make."""

_TOKEN = re.compile(
    r"""\s+
    | \\(?P<word>mathrm|operatorname|text)\{(?P<text>(?:\\hat\{\}|\\.|[^\\{}])*)\}
    | \\(?P<edge>left|right)(?P<bracket>\\[a-z]+|.)
    | \\(?P<bound>begin|end)\{(?P<table>\w+)\}
    | (?P<number>\d+(?:\.\d+)?)
    | (?P<sign>\\mathsf\ T | \\mathbf\ 1 | \\sqrt\[3\] | \\backslash\ | \\hat\{\} | \\sim[ ]
        | \\[A-Za-z]+ | \\. | .)""",
    re.VERBOSE | re.DOTALL,
)


@dataclass(slots=True)
class _Row:
    """What stands in one group so far, and the signs in it that wait for their parts."""

    before: str = ""
    items: list[str] = field(default_factory=list)
    waiting: list[tuple[str, list[str]]] = field(default_factory=list)
    cells: list[list[str]] = field(default_factory=lambda: [[]])

    def add(self, atom: str) -> None:
        while self.waiting:
            sign, parts = self.waiting[-1]
            parts.append(atom)
            needed, element = _WAITING[sign]
            if len(parts) < needed:
                return
            self.waiting.pop()
            atom = element(*parts)
        self.items.append(atom)

    def wait(self, sign: str) -> None:
        beside = [self.items.pop() if self.items else "<mrow/>"] if sign in "^_" else []
        self.waiting.append((sign, beside))

    def end_cell(self) -> None:
        self.cells[-1].append(_row(self.items))
        self.items = []


def mathml(e: Any) -> str:
    """The formula as one `<math>` element, set as a block."""
    return f'<math xmlns="{_XMLNS}" display="block">{_row(_items(latex(e)))}</math>'


def _items(text: str) -> Sequence[str]:
    rows = [_Row()]

    def close(made: str) -> None:
        rows.pop()
        rows[-1].add(made if len(rows) < DEEP else _DOTS)

    for token in _TOKEN.finditer(text):
        row = rows[-1]
        match token.groupdict():
            case {"word": str(word), "text": inside}:
                row.add(_word(word, inside))
            case {"edge": "left", "bracket": str(bracket)} | {"bound": "begin", "table": bracket}:
                rows.append(_Row(bracket))
            case {"edge": "right", "bracket": str(bracket)}:
                close(_row([_atom(row.before), *row.items, _atom(bracket)]))
            case {"bound": "end"}:
                row.end_cell()
                close(_table(row))
            case {"number": str(number)}:
                row.add(f"<mn>{number}</mn>")
            case {"sign": "{"}:
                rows.append(_Row())
            case {"sign": "}"}:
                close(_row(row.items))
            case {"sign": "&"}:
                row.end_cell()
            case {"sign": r"\\"}:
                row.end_cell()
                row.cells.append([])
            case {"sign": str(sign)} if sign in _WAITING:
                row.wait(sign)
            case {"sign": str(sign)}:
                row.add(_atom(sign))
    return rows[0].items


def _row(items: Sequence[str]) -> str:
    return items[0] if len(items) == 1 else f"<mrow>{''.join(items)}</mrow>"


def _atom(sign: str) -> str:
    if sign in _ATOMS:
        return _ATOMS[sign]
    shown = _SPELT.get(sign) or (sign[1:] if len(sign) == 2 and sign[0] == "\\" else sign)
    kind = "mi" if shown.isalpha() else "mo"
    return f"<{kind}>{_escaped(shown)}</{kind}>"


def _word(word: str, inside: str) -> str:
    for spelt, meant in _SPELT.items():
        inside = inside.replace(spelt, "\\" + meant)
    shown = _escaped(re.sub(r"\\(.)", r"\1", inside, flags=re.DOTALL))
    if word == "text":
        spaced = shown.replace(" ", "&#160;")
        return f"<mtext>{spaced}</mtext>"
    return _identifier(shown, upright=True)


def _table(row: _Row) -> str:
    cell, before, after = _TABLES[row.before]
    lines = "".join(
        f"<mtr>{''.join(f'{cell}{made}</mtd>' for made in line)}</mtr>" for line in row.cells
    )
    return f"<mrow>{before}<mtable>{lines}</mtable>{after}</mrow>"


def _escaped(text: str) -> str:
    """Text for XML, which has no room for control characters and lone surrogates."""
    safe = re.sub(r"[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "\ufffd", text)
    return safe.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
