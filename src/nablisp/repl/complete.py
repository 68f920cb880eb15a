"""What could be typed next: turns the text before the cursor into names with a word about each."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from ..backends import BACKENDS
from ..elaborate import SPECIAL
from ..errors import NablispError
from ..files import folder_names
from ..help import Entry, called, entries, keywords
from ..model import ROBUST
from ..notation import LANGUAGES
from ..optimizers import METHODS, OPTIMIZERS, SCHEDULES
from ..printer import string
from .brackets import Nesting, head, nesting
from .commands import COMMANDS
from .settings import SETTINGS, shown

_WORD = re.compile(r"""[^\s()\[\];"]*$""")
_LINE = re.compile(r"\s*(?:(?P<ask>\?+)\s*|,(?P<command>[^\s,]*)(?P<blank>\s+)?)(?P<rest>[\s\S]*)")
_BEFORE = re.compile(r"(?P<name>[^\s()\[\];\"]+)\s+(?P<opens>\()?$")
_TYPED = re.compile(r"""(?<![^\s()\[\]])[^\W\d][^\s()\[\];":]*""")
FILES, NEAR = 200, 400
"""Most file names offered, and how far before the cursor a word may begin."""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A text to take the place of `length` characters before the cursor, its kind and doc."""

    text: str
    length: int
    kind: str
    doc: str = ""


def suggestions(before: str, session: Any) -> list[Suggestion]:
    """What may stand where the text ends, by how it begins; else what has the word inside."""
    match = _WORD.search(before, max(0, len(before) - NEAR))
    word = match[0] if match else ""
    if word.startswith("\\"):
        return _signs(word)
    line = _LINE.match(before)
    if line and (found := _of_line(line, session)) is not None:
        return found
    place = nesting(before)
    if place.inside == '"':
        return _files(before[place.start + 1 :], session)
    return [] if place.inside else _fitting(word, _of_form(before, word, place, session))


def _fitting(word: str, known: Iterable[tuple[str, str, str]]) -> list[Suggestion]:
    """Of names with kind and doc those that begin as the word does, else those that hold it."""
    found: dict[str, Suggestion] = {}
    for name, kind, doc in known:
        found.setdefault(name, Suggestion(name, len(word), kind, doc))
    for fits in (str.startswith, str.__contains__):
        fitting = sorted((s for s in found.values() if fits(s.text, word)), key=lambda s: s.text)
        if fitting or len(word.strip(":")) < 2:
            return fitting
    return []


# ---- lines for the prompt itself -----------------------------------------------------------------


def _of_line(line: re.Match[str], session: Any) -> list[Suggestion] | None:
    """For a question or a command; None where its rest is a form."""
    rest = line["rest"]
    if line["ask"]:
        return _fitting(rest, _pages(session))
    row = COMMANDS.get(line["command"])
    if not line["blank"]:
        rows = ((name, "command", row.doc) for name, row in COMMANDS.items())
        return _fitting(line["command"], rows)
    match row.takes if row else "":
        case "file":
            return _files(rest.removeprefix('"'), session)
        case "name":
            return _fitting(rest, _pages(session))
        case "setting":
            name, blank, word = rest.partition(" ")
            if not blank:
                return _fitting(name, ((s.name, "setting", s.doc) for s in SETTINGS.values()))
            choices = SETTINGS[name].choices if name in SETTINGS else ()
            return _fitting(word.strip(), ((shown(c), "choice", "") for c in choices))
        case "form":
            return None
    return []


def _pages(session: Any) -> Iterator[tuple[str, str, str]]:
    """All that has a page of help."""
    yield from ((e.name, e.kind, e.doc) for e in entries(session))
    yield from ((f",{row.name}", "command", row.doc) for row in COMMANDS.values())


# ---- signs and files -----------------------------------------------------------------------------


@cache
def _letters() -> Mapping[str, str]:
    """The name of each sign that a backslash and Tab make."""
    found = {"nabla": "∇"}
    for code in (*range(0x391, 0x3AA), *range(0x3B1, 0x3CA)):
        if (name := unicodedata.name(chr(code), "")) and "FINAL" not in name:
            size, letter = name.removeprefix("GREEK ").replace("LAMDA", "LAMBDA").split(" LETTER ")
            found[letter.lower() if size == "SMALL" else letter.capitalize()] = chr(code)
    return found


def _signs(word: str) -> list[Suggestion]:
    r"""`\nabla` as ∇, `\alpha` as α, `\Delta` as Δ."""
    name = word[1:]
    known = _letters()
    names = [name] if name in known else [n for n in known if n.startswith(name)]
    return [Suggestion(known[n], len(word), "sign", f"\\{n}") for n in names]


def _files(typed: str, session: Any) -> list[Suggestion]:
    """Files and folders under the session's root that begin as a path does."""
    folder, slash, begin = typed.rpartition("/")
    if session.root is None:
        return []
    try:
        inside = folder_names(session.root, folder or ".") or []
        # what a string would have to spell is not offered: it would be inserted as it is
        plain = [n for n in inside if string(n) == f'"{n}"']
        names = [n for n in plain if n.startswith(begin) and (begin or not n.startswith("."))]
    except NablispError:
        return []
    found = []
    for name in names[:FILES]:
        whole = folder + slash + name
        mark = "/" if (session.root / whole).is_dir() else ""
        found.append(Suggestion(whole + mark, len(typed), "folder" if mark else "file"))
    return found


# ---- forms ---------------------------------------------------------------------------------------


def _of_form(
    before: str, word: str, place: Nesting, session: Any
) -> Iterator[tuple[str, str, str]]:
    """Names with kind and doc that fit the form being typed: its keywords, their values, names."""
    at = place.open[-1] if place.open else None
    owner = called(session, head(before, at)) if at is not None else None
    taken = keywords(owner)
    ahead = before[: len(before) - len(word)]
    if word.startswith(":"):
        yield from ((f":{k}", "keyword", f"of {owner.name}") for k in taken if owner)
        yield from ((f":{k}", "part", "") for k in _parts(ahead, at, session))
        return
    key = _BEFORE.search(ahead, max(0, len(ahead) - NEAR))
    if key and key["name"].startswith(":"):
        values = dict(_values(key["name"][1:], key["opens"] is not None, owner))
        if values:
            yield from ((name, "value", doc) for name, doc in values.items())
            return
    heads = ahead.endswith("(")
    yield from ((e.name, e.kind, e.doc) for e in entries(session) if _may_stand(e, heads, owner))
    if not heads:
        yield from ((n, "typed", "") for n in _TYPED.findall(ahead) if n not in SPECIAL)
        yield from ((f":{k}", "keyword", f"of {owner.name}") for k in taken if owner)


def _parts(ahead: str, at: int | None, session: Any) -> Iterable[str]:
    """What `(get r :…)` finds in a result."""
    asked = re.fullmatch(r"\(get\s+(\S+)\s+", ahead[at:]) if at is not None else None
    found = session.find(asked[1]) if asked else None
    return found[0].parts() if found and hasattr(found[0], "parts") else ()


def _values(key: str, opens: bool, owner: Entry | None) -> Iterable[tuple[str, str]]:
    """The words that may follow a keyword, with their docs."""
    if opens:
        return ((n, s) for n, (s, _) in SCHEDULES.items()) if key == "schedule" else ()
    match key:
        case "by":
            return [*((row.name, row.doc) for row in OPTIMIZERS.values()), *METHODS.items()]
        case "to" if owner is not None and owner.name == "export":
            return [(name, "") for name in LANGUAGES]
        case "backend":
            return BACKENDS.items()
        case "loss":
            return [(name, row[-1]) for name, row in ROBUST.items()]
    return ()


def _may_stand(entry: Entry, heads: bool, owner: Entry | None) -> bool:
    """At the head of a list stands what can be called, elsewhere what is a value."""
    if heads:
        return entry.is_callable
    if owner is not None and owner.name == "help":
        return True
    return entry.kind in _VALUES


_VALUES = ("parameter", "column", "definition", "function", "operation", "prelude", "constant")
