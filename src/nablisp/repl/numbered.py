"""Values shown: turns `_`, `__` and `_3` into the last one, the one before, number 3."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from ..errors import NablispError
from ..values import Value

_NAME = re.compile(r"_(_|[0-9]{1,9})?")


class Numbered(Mapping[str, Value]):
    """Values by number, from 1. A name of this sort without a value yet is an error, no symbol."""

    def __init__(self) -> None:
        self._values: list[Value] = []

    def add(self, value: Value) -> None:
        self._values.append(value)

    @property
    def following(self) -> str:
        """The name that the next value will have."""
        return f"_{len(self._values) + 1}"

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and _NAME.fullmatch(name) is not None

    def __getitem__(self, name: str) -> Value:
        count = len(self._values)
        number = {"_": count, "__": count - 1}.get(name) or int(name.strip("_") or 0)
        if not 0 < number <= count:
            raise NablispError(
                "unbound-name",
                f"{name} has no value: {count or 'no'} value{'' if count == 1 else 's'} so far",
                hint="_ is the last value shown, __ the one before, _3 number 3",
            )
        return self._values[number - 1]

    def __iter__(self) -> Iterator[str]:
        return (f"_{number}" for number in range(1, len(self._values) + 1))

    def __len__(self) -> int:
        return len(self._values)
