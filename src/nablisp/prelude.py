"""The prelude: prelude.gd as definitions, each with the comment above it as its one-line doc."""

from __future__ import annotations

import re
from functools import cache
from pkgutil import get_data

from .elaborate import CONSTANTS, FUNCTIONS, PRELUDE
from .expr import OPS
from .forms import List, Symbol
from .reader import read
from .scope import Scope
from .values import Closure


@cache
def definitions() -> dict[str, Closure]:
    """The functions of the prelude by name; they see each other, whatever a session defines."""
    data = get_data(__package__, PRELUDE)  # from a zip, too
    assert data is not None
    text = data.decode()
    names: dict[str, object] = {**CONSTANTS, **OPS, **FUNCTIONS}
    scope = Scope(names)
    found: dict[str, Closure] = {}
    for form in read(text, name=PRELUDE):
        match form:
            case List((Symbol("define"), List((Symbol(name), *rest)), *body)) if form.span:
                above = re.search(r"; ([^\n]*)\n$", text[: form.span.start])
                doc = above[1] if above else ""
                parameters = tuple(item.name for item in rest if isinstance(item, Symbol))
                found[name] = Closure(name, parameters, tuple(body), scope, doc, form.span.text)
    names.update(found)
    return found
