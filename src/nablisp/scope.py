"""Names inside functions and `let`: turns a name into what the innermost scope binds it to.

A few scopes inside each other are looked through one by one. Deeper ones keep a map of all the
names around them, which shares its parts with the maps of the scopes further out, so that a name is
found in logarithmic time however deep a program nests.
"""

from __future__ import annotations

from typing import Any

NEAR = 32
"""Scopes inside each other up to which they are looked through one by one."""

Names = dict[str, Any]
Map = Any
"""None, a leaf (hash, name → names that bind it), or a list of maps by the hash's next bits."""
_BITS = 4
_MASK = 2**_BITS - 1


class Scope:
    """Names bound by a function or `let`, inside the scope they were written in."""

    __slots__ = ("_late", "_map", "depth", "names", "outer")

    def __init__(self, names: Names, outer: Scope | None = None) -> None:
        self.names = names
        self.outer = outer
        self.depth: int = 0 if outer is None else outer.depth + 1
        self._map: Map = None
        self._late: set[str] | None = None
        """names bound after maps were made, by any scope inside the same outermost one"""

    def find(self, name: str) -> tuple[Any] | None:
        """What the name is bound to here or further out."""
        scope: Scope | None = self
        if self.depth > NEAR and name not in self.names:
            assert self.outer is not None
            late = self.outer._mapped()
            if name not in late:
                names = _binding(self.outer._map, name)
                return None if names is None else (names[name],)
        while scope is not None:
            if name in scope.names:
                return (scope.names[name],)
            scope = scope.outer
        return None

    def bind(self, name: str, value: Any) -> None:
        """Bind one more name."""
        if self._late is not None and name not in self.names:
            self._late.add(name)
        self.names[name] = value

    @property
    def cost(self) -> int:
        """Expansion steps that looking for a name may be worth."""
        return 1 + (self.depth >> 6) if self._late else 1

    def _mapped(self) -> set[str]:
        """Make the maps from the outermost scope to this one that are not yet made."""
        if self._late is not None:
            return self._late
        new = [self]
        while (outer := new[-1].outer) is not None and outer._late is None:
            new.append(outer)
        names, late = None, set[str]()
        if outer is not None and outer._late is not None:
            names, late = outer._map, outer._late
        for scope in reversed(new):
            for name in scope.names:
                names = _with(names, hash(name), name, scope.names)
            scope._map, scope._late = names, late
        return late


def _with(node: Map, key: int, name: str, names: Names, level: int = 0) -> Map:
    """The map with one more name, or a new binding of one; the old map stays as it was."""
    if node is None:
        return key, {name: names}
    if type(node) is tuple:
        other, held = node
        if other == key:
            return key, {**held, name: names}
        branch: list[Map] = [None] * (_MASK + 1)
        branch[other >> level & _MASK] = node
    else:
        branch = node.copy()
    at = key >> level & _MASK
    branch[at] = _with(branch[at], key, name, names, level + _BITS)
    return branch


def _binding(node: Map, name: str) -> Names | None:
    """The names among which the map has this one."""
    key = bits = hash(name)
    while type(node) is list:
        node = node[bits & _MASK]
        bits >>= _BITS
    if node is None or node[0] != key:
        return None
    found: Names | None = node[1].get(name)
    return found
