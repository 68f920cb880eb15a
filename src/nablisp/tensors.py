"""Named arrays and texts into one file in the safetensors format with a checksum, and back.

Eight bytes give the length of a header in JSON, the header the shape and place of every array and
our own texts, and the arrays follow. The checksum covers every byte but its own, and stands first:
nothing of a file is parsed that is not as it was written.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from math import prod
from typing import Any

import numpy as np

from .errors import NablispError

Array = np.ndarray[Any, np.dtype[np.float64]]

MARK = b'{"__metadata__":{"checksum":"'
"""How the header of a file of ours begins; the checksum follows."""
HEADER = 1 << 26
"""Bytes that a header has at most."""
_START = 8 + len(MARK)
_END = _START + 64


def packed(texts: Mapping[str, str], arrays: Mapping[str, Any]) -> list[Any]:
    """The bytes of a file, in pieces: a header, and the arrays as they lie in memory."""
    held = {n: np.ascontiguousarray(a, "<f8").reshape(np.shape(a)) for n, a in arrays.items()}
    header: dict[str, Any] = {"__metadata__": {"checksum": "0" * 64, **texts}}
    end = 0
    for name, array in held.items():
        start, end = end, end + array.nbytes
        header[name] = {"dtype": "F64", "shape": array.shape, "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":"), allow_nan=False).encode("ascii")
    text += b" " * (-len(text) % 8)
    head = bytearray(len(text).to_bytes(8, "little") + text)
    data = [array.reshape(-1).view(np.uint8).data for array in held.values() if array.size]
    head[_START:_END] = _checksum([memoryview(head), *data]).encode("ascii")
    return [head, *data]


def unpacked(data: bytes) -> tuple[dict[str, str], dict[str, Array]]:
    """The texts and arrays of a file; NablispError "data" for anything but what `packed` writes.

    The arrays are views of `data`: nothing is allocated by what a header claims.
    """
    whole = memoryview(data)
    size = int.from_bytes(whole[:8], "little")
    if not is_ours(data) or size > min(HEADER, len(data) - 8):
        raise _wrong("it does not begin like one, or ends too early")
    if _checksum([whole]).encode("ascii") != bytes(whole[_START:_END]):
        raise _wrong("its bytes are not those of its checksum")
    try:
        header = json.loads(
            bytes(whole[8 : 8 + size]),
            object_pairs_hook=_once,
            parse_constant=_refuse,
            parse_float=_refuse,
        )
    except (ValueError, RecursionError) as error:
        raise _wrong(f"its header is no JSON: {error}") from None
    texts = header.pop("__metadata__")
    if not isinstance(texts, dict) or not all(isinstance(v, str) for v in texts.values()):
        raise _wrong("its texts are none")
    arrays, end = {}, 8 + size
    for name, facts in header.items():
        shape = _shape(facts, end - 8 - size)
        start, end = end, end + 8 * prod(shape)
        if end > len(data):
            raise _wrong(f"{name!r} reaches beyond its end")
        arrays[name] = np.frombuffer(whole[start:end], "<f8").reshape(shape)
    if end != len(data):
        raise _wrong("it holds more than its header says")
    return texts, arrays


def is_ours(data: bytes) -> bool:
    """Does a file begin like one of these, damaged or not?"""
    return data[8:_START] == MARK and len(data) >= _END


def _shape(facts: Any, start: int) -> Sequence[int]:
    """The shape of an array that begins at `start`, checked against its place."""
    match facts:
        case {"dtype": "F64", "shape": list(shape), "data_offsets": [int(first), int(last)]}:
            whole = all(type(n) is int and 0 <= n < 2**53 for n in shape) and len(shape) <= 32
            if len(facts) == 3 and whole and first == start and last == start + 8 * prod(shape):
                return shape
    raise _wrong("an array is not where its header says")


def _checksum(pieces: Sequence[memoryview]) -> str:
    """Of all bytes but those of the checksum."""
    first, *others = pieces
    found = sha256(first[:_START])
    found.update(first[_END:])
    for piece in others:
        found.update(piece)
    return found.hexdigest()


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name stands twice")
    return found


def _refuse(text: str) -> None:
    raise ValueError(f"{text} is no whole number")


def _wrong(why: str) -> NablispError:
    return NablispError("data", why)
