"""Names that look alike: turns a name into what an eye makes of it, after Unicode's UTS #39.

Names are told apart by their characters, readers by their shapes. Greek letters are wanted, and a
letter of its own shape is itself: `α` is no `a`, though the tables of Unicode have it so.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from unicodedata import decomposition, name, normalize

_SHAPES = """
    Аа Aa Вв Bв Сс Cc Ее Ee Ԍ G Нн Hн Һһ Hh Іі Ii Јј Jj Кк Kк Ӏӏ Il Мм Mм Оо Oo Рр Pp Ԛԛ Qq Ѕѕ Ss
    Тт Tт Ѵѵ Vv Ԝԝ Ww Хх Xx Уу Yy Үү Yү Ԁԁ Ԁd
    Α A Β B Ε E Ζ Z Η H Ι I Κ K Μ M Ν N ν v Ο O ο o Ρ P Τ T Υ Y Χ X ϲ c ϳ j
    ı i ɡ g ɑ a
"""
_LATIN = {
    ord(own): latin
    for group, shape in zip(_SHAPES.split()[::2], _SHAPES.split()[1::2], strict=True)
    for own, latin in zip(group, shape, strict=True)
    if own != latin
}
"""Cyrillic, Greek and further Latin letters with the shape of a letter of ASCII: those of Unicode's
confusables.txt that fonts draw alike."""
_SAME = ("<font>", "<wide>", "<narrow>", "<compat>")
"""Another way to write the same letter; raised and lowered ones (x², x₁) are seen to differ."""


@lru_cache(1024)
def skeleton(text: str) -> str:
    """What a name looks like: two names that look the same have the same skeleton."""
    if text.isascii():
        return text
    plain = (
        normalize("NFKD", c) if decomposition(c).startswith(_SAME) else c
        for c in normalize("NFD", text)
    )
    return normalize("NFC", "".join(plain).translate(_LATIN))


class Looks:
    """The names met, and a remark, once, on each that cannot be told from another."""

    def __init__(self) -> None:
        self._others: dict[str, str] = {}
        """names beyond ASCII, by how they look"""
        self._told: set[str] = set()

    def remark(self, met: str, known: Callable[[str], bool]) -> str:
        """What there is to say about a name that is met; mostly nothing."""
        if (met.isascii() and met not in self._others) or met in self._told:
            return ""
        look = skeleton(met)
        other = self._others.setdefault(look, met)
        if other == met and look != met and known(look):
            other = look
        if other == met:
            return ""
        self._told |= {met, other}
        odd = next(c for c in met + other if skeleton(c) != c)
        which = f"{odd} is U+{ord(odd):04X}, {name(odd, 'unnamed').lower()}"
        return f"{met} looks like {other}, and is another name: {which}"
