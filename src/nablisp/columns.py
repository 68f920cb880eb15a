"""Columns by name: turns arrays, and columns left in files, into wholes, blocks and samples.

All columns have one number of rows, the first axis. A column in a file is read when it is asked for
by name, and then kept; blocks and samples read it afresh, in constant memory.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from .errors import NablispError, meant
from .forms import Symbol
from .limits import Budget
from .orders import sampled
from .reader import read

Column = np.ndarray[Any, np.dtype[np.float64]]
Block = dict[str, Column]

KINDS = {
    ".parquet": "Parquet",
    ".pq": "Parquet",
    ".arrow": "Arrow",
    ".feather": "Arrow",
    ".ipc": "Arrow",
}
"""Files whose columns are left in them until they are needed, by the ending of their names."""

BLOCK = 131_072
"""Rows of a block when nothing says: a megabyte a column."""


@dataclass(frozen=True, slots=True)
class Request:
    """What to read from the file or folder `name` under `root`, as `read_table` is asked."""

    root: Path | None
    name: str
    select: tuple[str, ...]
    classes: tuple[str, ...]
    drop: bool
    budget: Budget

    def error(self, where: str, what: str, hint: str = "") -> NablispError:
        return NablispError("data", f"{self.name}{where}: {what}", hint=hint)

    def unknown(self, name: str, known: Sequence[str]) -> NablispError:
        hint = meant(name, known, "its columns: " + " ".join(known[:12]))
        return self.error("", f"there is no column {name}", hint)


class Source(Protocol):
    """Where columns lie that are not in memory."""

    @property
    def request(self) -> Request: ...

    @property
    def names(self) -> tuple[str, ...]:
        """All columns that were asked for."""
        ...

    @property
    def rows(self) -> int: ...

    def pieces(self, names: Sequence[str]) -> Iterator[Block]:
        """The rows of these columns in order, each time afresh, some at a time."""
        ...


@dataclass(slots=True)
class Stored:
    """A column in a file: its rows are counted, its numbers read when they are first asked for."""

    source: Source
    name: str
    array: Column | None = field(default=None, repr=False)

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.source.rows,)

    def read(self) -> Column:
        """The whole column, kept from now on; NablispError "limit" where that is too much."""
        if self.array is None:
            self.source.request.budget.array(self.shape)
            whole, at = np.empty(self.shape), 0
            for piece in self.source.pieces([self.name]):
                part = piece[self.name]
                whole[at : at + len(part)] = part
                at += len(part)
            whole.flags.writeable = False
            self.array = whole
        return self.array


class Columns(MutableMapping[str, Column]):
    """Named columns of one number of rows; what lies in files is read when it is needed.

    `columns[name]` is the whole column, which then stays in memory; `rows`, `shape_of`, `in` and
    the names read nothing.

    >>> for block in columns.blocks(["x", "y"]):
    ...     total += block["x"] @ block["y"]
    """

    __slots__ = ("_held",)

    def __init__(self, columns: Mapping[str, Column | Stored] | None = None) -> None:
        self._held: dict[str, Column | Stored] = {}
        self.add(columns or {})

    def __getitem__(self, name: str) -> Column:
        found = self._held[name]
        return found.read() if isinstance(found, Stored) else found

    def __setitem__(self, name: str, column: Column) -> None:
        self._held[name] = column

    def __delitem__(self, name: str) -> None:
        del self._held[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._held)

    def __len__(self) -> int:
        return len(self._held)

    def __contains__(self, name: object) -> bool:
        return name in self._held

    def __copy__(self) -> Columns:
        return Columns(self)

    def __repr__(self) -> str:
        return f"Columns({' '.join(self)}; {self.rows} rows)"

    def add(self, columns: Mapping[str, Column | Stored]) -> None:
        """Take over columns, those in files without reading them."""
        self._held.update(columns._held if isinstance(columns, Columns) else columns)

    @property
    def rows(self) -> int:
        """The number of rows; 0 where there are no columns."""
        return next((column.shape[0] for column in self._held.values()), 0)

    @property
    def streamed(self) -> bool:
        """Is any column in a file and not in memory yet?"""
        return any(isinstance(c, Stored) and c.array is None for c in self._held.values())

    def shape_of(self, name: str) -> tuple[int, ...]:
        """The shape of a column, rows first, without reading it."""
        return self._held[name].shape

    def source_of(self, name: str) -> Source | None:
        """The file that a column was declared from and need not be read of."""
        found = self._held[name]
        return found.source if isinstance(found, Stored) else None

    def blocks(self, names: Sequence[str], size: int = BLOCK) -> Iterator[Block]:
        """These columns in order, `size` rows at a time, the last block shorter.

        The blocks are the same wherever the columns lie. What is in files is read afresh, the next
        block while this one is used.
        """
        names = tuple(dict.fromkeys(names))
        memory: Block = {}
        files: dict[Source, list[str]] = {}
        for name in names:
            found = self._held[name]
            if isinstance(found, Stored) and found.array is None:
                files.setdefault(found.source, []).append(name)
            else:
                memory[name] = self[name]
        streams = [_ahead(_cut(source, own, size)) for source, own in files.items()]
        if memory:
            streams.append(_slices(memory, size))
        return _beside(streams, names)

    def sample(self, names: Sequence[str], count: int, seed: int) -> Block:
        """`count` rows of these columns, or all, drawn without replacement, in order of the rows.

        Which, depends on the number of rows and the seed alone. One pass over what is in files, in
        the memory of a block and the sample.
        """
        chosen = sampled(self.rows, count, seed)
        parts: dict[str, list[Column]] = {name: [] for name in names}
        at = 0
        for block in self.blocks(names):
            rows = len(next(iter(block.values())))
            low, high = np.searchsorted(chosen, [at, at + rows])
            for name, column in block.items():
                parts[name].append(column[chosen[low:high] - at])
            at += rows
        return {name: np.concatenate(part) for name, part in parts.items()}


@dataclass(frozen=True, slots=True)
class Table:
    """The columns of a file, each with the row axis first.

    `classes` maps the name of a text column to its distinct texts: the text `classes[name][k]` is
    the number k in the column. `dropped` counts the rows left out for a missing cell.
    """

    columns: Columns
    classes: dict[str, tuple[str, ...]]
    dropped: int


# ---- blocks --------------------------------------------------------------------------------------


def _slices(columns: Block, size: int) -> Generator[Block]:
    for start in range(0, len(next(iter(columns.values()))), size):
        yield {name: column[start : start + size] for name, column in columns.items()}


def _cut(source: Source, names: Sequence[str], size: int) -> Generator[Block]:
    """The pieces of a file, which have any length, as blocks of one."""
    size = min(size, source.rows)
    block: Block = {}
    filled = 0
    for piece in source.pieces(names):
        at, rows = 0, len(piece[names[0]])
        while at < rows:
            if not block:
                block, filled = {name: np.empty(size) for name in names}, 0
            count = min(size - filled, rows - at)
            for name, column in block.items():
                column[filled : filled + count] = piece[name][at : at + count]
            filled += count
            at += count
            if filled == size:
                yield block
                block = {}
    if block:
        yield {name: column[:filled] for name, column in block.items()}


def _ahead(blocks: Generator[Block]) -> Generator[Block]:
    """The same blocks, each made while the one before it is used."""
    from concurrent.futures import ThreadPoolExecutor

    with closing(blocks), ThreadPoolExecutor(1, "nablisp-data") as pool:
        coming = pool.submit(next, blocks, None)
        while (block := coming.result()) is not None:
            coming = pool.submit(next, blocks, None)
            yield block


def _beside(streams: Sequence[Generator[Block]], names: Sequence[str]) -> Iterator[Block]:
    """Blocks of several streams side by side, their columns in the order asked for."""
    with ExitStack() as stack:
        for stream in streams:
            stack.enter_context(closing(stream))
        for parts in zip(*streams, strict=True):
            found = {name: column for part in parts for name, column in part.items()}
            yield {name: found[name] for name in names}


# ---- names and arrays ----------------------------------------------------------------------------


def symbol(text: object) -> str | None:
    """The name that a text is in a program, in normal form; None where it is no symbol."""
    return _symbol(text) if isinstance(text, str) else None


@lru_cache(1024)
def _symbol(text: str) -> str | None:
    try:
        forms = read(text)
    except NablispError:
        return None
    match forms:
        case [Symbol(name, span)] if span and span.text == text:
            return name
    return None


def class_order(text: str) -> tuple[bool, float, str]:
    """Texts in the order of their class numbers: numbers by size, before others."""
    number = decimal(text)
    return (True, 0, text) if number is None or math.isnan(number) else (False, number, text)


def decimal(cell: str) -> float | None:
    """A decimal number, inf or nan in ASCII, correctly rounded: what NumPy's reader takes, too."""
    try:
        number = float(cell)
    except ValueError:
        return None
    return number if cell.isascii() and "_" not in cell else None


def named(where: str, items: Iterable[tuple[Any, Any]], budget: Budget) -> Columns:
    """Columns of whatever NumPy makes arrays of numbers of, by name; `where` opens each error."""
    columns: Block = {}
    for key, value in items:
        if (name := symbol(key)) is None:
            what = f"{where}{key!r} cannot name a column"
            raise NablispError("data", what, hint="a name is a text like x, y2 or petal-length")
        if name in columns:
            raise NablispError("data", f"{where}two columns are named {name}")
        columns[name] = column = _column(f"{where}column {name}", value, budget)
        first, rows = next((name, len(column)) for name, column in columns.items())
        if len(column) != rows:
            raise NablispError(
                "data",
                f"{where}column {first} has {rows} rows, and column {name} has {len(column)}",
                hint="all columns have one number of rows",
            )
    return Columns(columns)


WORDS = {
    "O": "Python objects",
    "U": "text",
    "T": "text",
    "S": "bytes",
    "c": "complex numbers",
    "M": "dates",
    "m": "time spans",
    "V": "records",
}
"""What arrays of other kinds hold, by NumPy's letter for them."""

_HIDDEN = {
    "categor": ("categories", "give their codes, or one column for each"),
    "enum": ("categories", "give their codes, or one column for each"),
    "decimal": ("decimal numbers", "convert it to binary64 first"),
    "list": ("lists", "give each entry a column of its own"),
    "struct": ("records", "give each field a column of its own"),
}
"""What `__array__` of a frame's column would pass off as numbers or objects, by its dtype."""


def _column(where: str, value: Any, budget: Budget) -> Column:
    _refuse_hidden(where, value)
    try:
        array = np.asarray(value)
    except Exception as error:  # whatever the value's own conversion raises
        why = str(error).partition("\n")[0]
        if "inhomogeneous" in why:
            why = "its entries differ in shape"
        raise NablispError("data", f"{where} is no array of numbers: {why}") from None
    if (kind := array.dtype.kind) not in "buif":
        holds, hint = _content(array) if kind == "O" else (WORDS.get(kind, str(array.dtype)), "")
        raise NablispError(
            "data",
            f"{where} holds {holds}, not numbers",
            hint=hint or "convert it to numbers first",
        )
    if array.ndim == 0:
        raise NablispError("data", f"{where} is one number: a column has one for each row")
    budget.array(array.shape)
    column = np.ascontiguousarray(array, dtype=np.float64).view()
    column.flags.writeable = False
    return column


def _refuse_hidden(where: str, value: Any) -> None:
    """NablispError for what NumPy would turn into numbers without a word."""
    if type(value).__name__ == "MaskedArray" and value.mask.any():
        hint = "leave out their rows, or fill them"
        raise NablispError("data", f"{where} has masked entries", hint=hint)
    dtype = getattr(value, "dtype", None)
    for start, (words, hint) in _HIDDEN.items():
        if dtype is not None and str(dtype).lower().startswith(start):
            raise NablispError("data", f"{where} holds {words}, not numbers", hint=hint)
    missing = getattr(value, "null_count", 0)  # polars has a method, Arrow a number
    if callable(missing):
        missing = missing()
    elif dtype is not None and not isinstance(dtype, np.dtype) and hasattr(value, "isna"):
        missing = int(value.isna().sum())  # pandas, where nan of binary64 is a number
    if missing:
        hint = "leave out their rows, or fill them"
        raise NablispError("data", f"{where} has {missing} missing entries", hint=hint)


def _content(array: np.ndarray[Any, Any]) -> tuple[str, str]:
    """What the first entry that is no number is, of an array of objects; and the cure."""
    for row, entry in enumerate(array.flat):
        match entry:
            case bool() | int() | float():
                continue
            case None:
                return f"nothing in row {row}", "leave out the rows where an entry is missing"
            case str():
                return "text", ""
            case bytes():
                return "bytes", ""
        kind = type(entry).__name__
        if kind == "Decimal":
            return _HIDDEN["decimal"]
        if kind in ("list", "tuple", "dict", "ndarray", "set"):
            return _HIDDEN["list"]
        if kind in ("date", "datetime", "time", "Timestamp"):
            return "dates", ""
        return f"Python objects ({kind} in row {row})", ""
    return "Python objects", ""
