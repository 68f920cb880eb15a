"""From the description of an Arrow record batch to its rows and bytes, without decoding it."""

from __future__ import annotations

import struct


class Flat:
    """A flatbuffer: a table's fields are found by the offsets that stand before it."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.root = self.at("I", 0)

    def at(self, kind: str, place: int) -> int:
        return int(struct.unpack_from(f"<{kind}", self.data, place)[0])

    def field(self, table: int, number: int) -> int:
        """Where a field is, or 0 where it is left out."""
        places = table - self.at("i", table)
        inside = 4 + 2 * number < self.at("H", places)
        offset = self.at("H", places + 4 + 2 * number) if inside else 0
        return table + offset if offset else 0

    def vector(self, table: int, number: int) -> tuple[int, int] | None:
        """Where the elements of a field begin, and how many there are."""
        place = self.field(table, number)
        if not place:
            return None
        place += self.at("I", place)
        return place + 4, self.at("I", place)


def extent(message: Flat, body: bytes | memoryview) -> tuple[int, int]:
    """How many rows a record batch has, and its bytes once decompressed (Arrow's Message.fbs).

    A compressed buffer begins with the length that it will have.
    """
    header = message.field(message.root, 2)
    batch = header + message.at("I", header)
    length = message.field(batch, 0)
    compressed, size = message.field(batch, 3), 0
    place, count = message.vector(batch, 2) or (0, 0)
    for i in range(count):
        start, stored = struct.unpack_from("<qq", message.data, place + 16 * i)
        whole = struct.unpack_from("<q", body, start)[0] if compressed and stored else stored
        size += max(whole, stored)
    rows = message.at("q", length) if length else 0
    if rows < 0:
        raise ValueError(f"{rows} rows")
    return rows, size
