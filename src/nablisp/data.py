"""Columns: turns files, frames and mappings into named binary64 arrays, the row axis first.

All columns of a table have one number of rows, and nothing is guessed: what is no number, not
there, or there twice is an error that says where. Row orders depend on seed and epoch alone.
"""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from io import StringIO
from itertools import chain, islice, repeat
from pathlib import Path, PurePath
from typing import IO, Any, Literal
from unicodedata import normalize

import numpy as np
from numpy.typing import NDArray

from .errors import NablispError, nearest
from .files import open_file
from .forms import Symbol
from .limits import Budget
from .reader import read

Column = NDArray[np.float64]
Columns = dict[str, Column]
Rows = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Table:
    """The columns of a file, each with the row axis first.

    `classes` maps the name of a text column to its distinct texts: the text `classes[name][k]` is
    the number k in the column. `dropped` counts the rows left out for a missing cell.
    """

    columns: Columns
    classes: dict[str, tuple[str, ...]]
    dropped: int


@dataclass(frozen=True, slots=True)
class _Request:
    """What to read from the file `name`, as `read_table` is asked."""

    name: str
    select: tuple[str, ...]
    classes: tuple[str, ...]
    drop: bool
    budget: Budget

    def error(self, where: str, what: str, hint: str = "") -> NablispError:
        return NablispError("data", f"{self.name}{where}: {what}", hint=hint)


def read_table(
    root: Path | None,
    name: str,
    *,
    select: tuple[str, ...] | None = None,
    classes: tuple[str, ...] = (),
    missing: Literal["refuse", "drop"] = "refuse",
    budget: Budget | None = None,
) -> Table:
    """The columns of a file under `root`: all, or those in `select` and `classes`, in this order.

    Only the columns that are read need be in order. By the ending of the name:

    * `.csv`, `.tsv` — UTF-8, a header line of names, one number a cell (RFC 4180 quotes allowed).
      A column in `classes` is text: it becomes the class numbers 0, 1, … of its sorted distinct
      texts; texts that are numbers sort as numbers, before others. A cell that is empty, `NA`,
      `N/A`, `null` or `None` is missing: an error, or its row is dropped if `missing` is `drop`.
    * `.npy` — one column, named like the file or by the one name in `select`; or as many names in
      `select` as a matrix has columns. The fields of a structured array are columns.
    * `.npz` — each array is a column.

    Raises NablispError: `file`, `data`, `limit`, `value`, or `unavailable` for Parquet and Arrow.
    """
    if missing not in ("refuse", "drop"):
        raise NablispError("value", f":missing is refuse or drop, not {missing}")
    request = _Request(name, tuple(select or ()), classes, missing == "drop", budget or Budget())
    ending = PurePath(name).suffix.lower()
    if ending in _LATER:
        raise NablispError(
            "unavailable",
            f"{name}: Parquet and Arrow files are not read by this version",
            hint="save it as CSV, or its columns with numpy.savez as .npz",
        )
    if ending not in _READERS:
        raise NablispError(
            "file",
            f"{name} is no kind of file that data is read from",
            hint=f"the name of a data file ends in {' '.join(_READERS)}",
        )
    with open_file(root, name, "rb") as file:
        table = _READERS[ending](request, file)
    if not table.columns or not len(next(iter(table.columns.values()))):
        why = "each of its rows has a missing cell" if table.dropped else "it has no rows"
        raise request.error("", why)
    return table


def as_columns(data: Any, *, budget: Budget | None = None) -> Columns:
    """The columns of a mapping from names to arrays, or of a frame (pandas, polars, Arrow).

    Each is what `numpy.asarray` takes, of numbers or booleans, the row axis first. What is a
    contiguous binary64 array already is not copied: the column is a read-only view of it.
    Raises NablispError of kind `data`, or `limit`.
    """
    if isinstance(data, Mapping):
        items: Iterable[tuple[Any, Any]] = data.items()
    else:
        names = getattr(data, "column_names", None)  # Arrow: its `columns` are the arrays
        names = getattr(data, "columns", None) if names is None else names
        if names is None or not hasattr(data, "__getitem__"):
            raise NablispError(
                "data",
                f"columns come as a mapping from names to arrays, not as {type(data).__name__}",
                hint='like {"x": [1, 2, 3], "y": [2, 4, 6]}, or as a frame',
            )
        items = ((name, data[name]) for name in names)
    return _columns("", items, budget or Budget())


def row_order(rows: int, seed: int, epoch: int) -> Rows:
    """The rows 0 … rows-1 in the order of one epoch: of (seed, epoch) alone, whatever came before.

    Random bits of Philox, a counter-based generator (Salmon et al., 2011) keyed by both, are sorted
    with the row's own number as their lowest bits: the same on every machine and NumPy.
    """
    random = np.random.Philox(key=(epoch % 2**64 << 64) | seed % 2**64).random_raw(rows)
    low = np.uint64(2 ** max(rows - 1, 0).bit_length() - 1)
    keys = np.sort(random & ~low | np.arange(rows, dtype=np.uint64))
    return (keys & low).astype(np.intp)


def split(rows: int, fraction: float, seed: int) -> tuple[Rows, Rows]:
    """The rows to train on and `round(fraction * rows)` rows held out, both ascending.

    Raises NablispError of kind `value` unless both have at least one row.
    """
    held = round(fraction * rows) if math.isfinite(fraction) else 0
    if not 0 < held < rows:
        raise NablispError(
            "value",
            f"{fraction} of {rows} rows held out leaves {rows - held} to train on, {held} to test",
            hint="each side needs a row: a fraction between 0 and 1, and rows enough",
        )
    order = row_order(rows, seed, -1)  # an epoch that no training has
    return np.sort(order[held:]), np.sort(order[:held])


# ── names and arrays ──────────────────────────────────────────────────────────────────────────────


def _symbol(text: object) -> str | None:
    """The name that a text is in a program, in normal form; None where it is no symbol."""
    if not isinstance(text, str):
        return None
    try:
        forms = read(text)
    except NablispError:
        return None
    match forms:
        case [Symbol(name, span)] if span and span.text == text:
            return name
    return None


_DTYPES = {
    "O": "Python objects",
    "U": "text",
    "T": "text",
    "S": "bytes",
    "c": "complex numbers",
    "M": "dates",
    "m": "time spans",
    "V": "records",
}


def _columns(where: str, items: Iterable[tuple[Any, Any]], budget: Budget) -> Columns:
    columns: Columns = {}
    for key, value in items:
        if (name := _symbol(key)) is None:
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
    return columns


def _column(where: str, value: Any, budget: Budget) -> Column:
    if np.ma.is_masked(value):
        hint = "leave out their rows, or fill them"
        raise NablispError("data", f"{where} has masked entries", hint=hint)
    try:
        array = np.asarray(value)
    except Exception as error:  # whatever the value's own conversion raises
        why = str(error).partition("\n")[0]
        if "inhomogeneous" in why:
            why = "its entries differ in shape"
        raise NablispError("data", f"{where} is no array of numbers: {why}") from None
    if (kind := array.dtype.kind) not in "buif":
        raise NablispError(
            "data",
            f"{where} holds {_DTYPES.get(kind, array.dtype)}, not numbers",
            hint="convert it to numbers first" + ("; are entries missing?" if kind == "O" else ""),
        )
    if array.ndim == 0:
        raise NablispError("data", f"{where} is one number: a column has one for each row")
    budget.array(array.shape)
    column = np.ascontiguousarray(array, dtype=np.float64).view()
    column.flags.writeable = False
    return column


# ── .npy and .npz ─────────────────────────────────────────────────────────────────────────────────


def _read_npy(request: _Request, file: IO[bytes]) -> Table:
    array = _array(request, file, os.fstat(file.fileno()).st_size)
    names = request.select or (PurePath(request.name).stem,)
    if fields := array.dtype.names:
        return _table(request, lambda name: array[name], fields)
    if array.ndim == 2 and request.select and len(names) == array.shape[1]:
        return _table(request, lambda name: array[:, names.index(name)], names)
    if len(names) == 1:
        return _table(request, lambda _: array, names)
    raise request.error(
        "",
        f"{len(names)} names for an array of shape {list(array.shape)}",
        "give one name for the whole, or one for each column of a matrix",
    )


def _read_npz(request: _Request, file: IO[bytes]) -> Table:
    import zipfile

    try:
        archive = zipfile.ZipFile(file)
    except Exception:
        raise _damaged(request) from None
    members = {
        member.filename.removesuffix(".npy"): member
        for member in archive.infolist()
        if member.filename.endswith(".npy")
    }

    def column(name: str) -> np.ndarray[Any, Any]:
        try:
            part = archive.open(members[name])
        except Exception:
            raise _damaged(request) from None
        with part:
            return _array(request, part, members[name].file_size)

    return _table(request, column, tuple(members))


def _table(
    request: _Request, column: Callable[[str], np.ndarray[Any, Any]], known: tuple[str, ...]
) -> Table:
    """The table of an array file: the wanted ones of its `known` columns."""
    if request.classes:
        raise request.error("", "only a CSV file has text columns, as :classes names them")
    for name in request.select:
        if name not in known:
            raise _unknown(request, name, known)
    items = ((name, column(name)) for name in request.select or known)
    return Table(_columns(f"{request.name}: ", items, request.budget), {}, 0)


def _array(request: _Request, file: IO[bytes], size: int) -> np.ndarray[Any, Any]:
    request.budget.check("bytes", size)
    try:
        array: np.ndarray[Any, Any] = np.lib.format.read_array(file, allow_pickle=False)
    except Exception:  # whatever a damaged file makes NumPy raise
        raise _damaged(request) from None
    return array


def _damaged(request: _Request) -> NablispError:
    return request.error(
        "",
        "a damaged file, or one of Python objects rather than numbers",
        "numpy.save and numpy.savez write arrays of numbers that can be read",
    )


# ── .csv and .tsv ─────────────────────────────────────────────────────────────────────────────────

_BOM = b"\xef\xbb\xbf"
_BLOCK = 2**20  # bytes read at a time
_LINE = 2**24  # bytes of the longest line
_CHUNK = 4096  # rows looked at one by one before they are packed
_MISSING = {"", "na", "n/a", "null", "none"}


@dataclass(slots=True)
class _Csv:
    """How the rows of one file are read, and what was met in them."""

    request: _Request
    delimiter: str
    header: list[str]
    wanted: list[int]
    """places in the header of the columns to read"""
    texts: dict[int, dict[str, int]]
    """place among `wanted` of each text column, to its texts so far, numbered as they came"""
    dropped: int = 0

    def parts(self, blocks: Iterator[tuple[int, str]]) -> Iterator[Column]:
        """The wanted cells [rows, wanted] of a file, some rows at a time."""
        for line, block in blocks:
            if (part := self.packed(block)) is not None:
                yield part
                continue
            text: Iterable[str] = [block]
            if '"' in block:  # a quoted cell may go on into the next: from here on, all is one text
                text = chain(text, (block for _, block in blocks))
            rows = self.rows(line, chain.from_iterable(map(StringIO, text)))
            while chunk := list(islice(rows, _CHUNK)):
                yield np.array(chunk)

    def packed(self, block: str) -> Column | None:
        """The wanted cells [rows, wanted] of whole lines; None where they want a closer look."""
        lines = block.split("\n")[:-1]
        if self.texts or '"' in block or "" in lines:
            return None
        if set(map(str.count, lines, repeat(self.delimiter))) != {len(self.header) - 1}:
            return None
        try:
            return np.loadtxt(
                lines, delimiter=self.delimiter, comments=None, usecols=self.wanted, ndmin=2
            )
        except ValueError:
            return None

    def rows(self, line: int, text: Iterable[str]) -> Iterator[list[float]]:
        """The wanted cells of each row of a text whose first line has this number."""
        import csv

        reader = csv.reader(text, delimiter=self.delimiter, skipinitialspace=True, strict=True)
        while True:
            at = line + reader.line_num
            try:
                row = next(reader)
            except StopIteration:
                return
            except csv.Error:
                raise self.request.error(
                    f" line {at}",
                    "a quoted cell does not end, or goes on after its quote",
                    'a quote inside a quoted cell is doubled: "say ""hi"""',
                ) from None
            if len(row) != len(self.header):
                row = row or [""]  # a blank line
                if len(row) != len(self.header):
                    raise self._ragged(at, row)
            values: list[Any] = [
                self._value(at, i, row[place].strip()) for i, place in enumerate(self.wanted)
            ]
            if None in values:
                self.dropped += 1
                continue
            for i, codes in self.texts.items():
                values[i] = codes.setdefault(values[i], len(codes))
            yield values

    def _value(self, line: int, i: int, cell: str) -> float | str | None:
        """The number in a cell of wanted column i, or its text; None where its row is dropped."""
        text = i in self.texts
        if not text and (number := _number(cell)) is not None:
            return number
        missing = cell.lower() in _MISSING
        if text and not missing:
            return cell
        if missing and self.request.drop:
            return None
        name = self.header[self.wanted[i]]
        if missing:
            what = f'"{cell}" is a missing value' if cell else "the cell is empty"
            hint = ":missing drop leaves out the rows where a value is missing"
        else:
            what = f'"{cell if len(cell) <= 40 else cell[:39] + "…"}" is not a number'
            hint = f":classes {name} reads a column of text as class numbers"
            if any(map(str.isdigit, cell)):
                hint = "a number is written like -1234.5 or 1e-3, and nothing else"
        raise self.request.error(f" line {line}, column {name}", what, hint)

    def _ragged(self, line: int, row: list[str]) -> NablispError:
        if row == [""]:
            return self.request.error(f" line {line}", "the line is blank", "delete it")
        cells = "1 cell" if len(row) == 1 else f"{len(row)} cells"
        return self.request.error(
            f" line {line}",
            f"{cells}, where the header names {len(self.header)} columns",
            'a cell that holds the separator itself is quoted: "a, b"',
        )


def _number(cell: str) -> float | None:
    """A decimal number, inf or nan in ASCII, correctly rounded: what NumPy's reader takes, too."""
    try:
        number = float(cell)
    except ValueError:
        return None
    return number if cell.isascii() and "_" not in cell else None


def _read_csv(delimiter: str, request: _Request, file: IO[bytes]) -> Table:
    blocks = _blocks(request, file)
    line, text = next(blocks, (1, ""))
    head, _, text = text.partition("\n")
    plan = _plan(request, delimiter, head)

    rows, parts = 0, [np.empty((0, len(plan.wanted)))]
    for part in plan.parts(chain([(line + 1, text)] if text else [], blocks)):
        rows += len(part)
        request.budget.array((rows, len(plan.wanted)))
        request.budget.clock()
        parts.append(part)

    columns: Columns = {}
    classes: dict[str, tuple[str, ...]] = {}
    for i, place in enumerate(plan.wanted):
        name = plan.header[place]
        columns[name] = np.concatenate([part[:, i] for part in parts])
        if (codes := plan.texts.get(i)) is not None:
            classes[name] = texts = tuple(sorted(codes, key=_class_order))
            ranks = np.argsort([codes[text] for text in texts]).astype(np.float64)
            columns[name] = ranks[columns[name].astype(np.intp)]
    return Table(columns, classes, plan.dropped)


def _class_order(text: str) -> tuple[bool, float, str]:
    """Numbers by size, before other texts."""
    number = _number(text)
    return (True, 0, text) if number is None or math.isnan(number) else (False, number, text)


def _plan(request: _Request, delimiter: str, head: str) -> _Csv:
    """How to read a file with this first line; an error where its names do not serve."""
    import csv

    try:
        cells = next(
            csv.reader([head], delimiter=delimiter, skipinitialspace=True, strict=True), []
        )
    except csv.Error:
        raise request.error(" line 1", "a quoted name does not end, or not at its quote") from None
    header = [normalize("NFC", cell.strip()) for cell in cells]
    if not any(header):
        raise request.error(" line 1", "there is no header", "it names the columns: x,y")
    if all(cell == "" or _number(cell) is not None for cell in header):
        hint = "the first line names the columns: " + delimiter.join("xyzuvw"[: len(header)])
        raise request.error(" line 1", "numbers, where a header with names is needed", hint)

    asked = tuple(dict.fromkeys(request.select + request.classes))
    for name in asked:
        if name not in header:
            raise _unknown(request, name, header)
    wanted = [header.index(name) for name in asked] if request.select else [*range(len(header))]
    counts = Counter(header)
    for place in wanted:
        name, where = header[place], f" line 1, column {place + 1}"
        if not name:
            hint = "name it, or say which columns to read, each by its name"
            raise request.error(where, "a column without a name", hint)
        if _symbol(name) is None:
            hint = "rename it, like x, y2 or petal-length"
            if any(other in name for other in ";\t|" if other != delimiter):
                hint = "cells are separated by commas in .csv files, by tabs in .tsv files"
            raise request.error(where, f'"{name}" cannot name a column', hint)
        if counts[name] > 1:
            raise request.error(where, f"another column is named {name}, too", "rename one of them")
    texts: dict[int, dict[str, int]] = {
        i: {} for i, place in enumerate(wanted) if header[place] in request.classes
    }
    return _Csv(request, delimiter, header, wanted, texts)


def _blocks(request: _Request, file: IO[bytes]) -> Iterator[tuple[int, str]]:
    r"""The text of a UTF-8 file in blocks of whole lines, each with the number of its first line.

    Each line ends in `\n`, whatever it ended in; blank lines at the end of the file are left out.
    """
    line, held = 1, ""
    if file.read(len(_BOM)) != _BOM:
        file.seek(0)
    while data := file.read(_BLOCK):
        data += file.readline(_LINE)
        if len(data) >= _LINE and not data.endswith(b"\n"):
            at = line + held.count("\n") + data.count(b"\n")
            raise request.error(f" line {at}", f"a line of more than {_LINE:,} bytes")
        try:
            text = held + _decoded(data)
        except UnicodeDecodeError as error:
            at = line + held.count("\n") + len(data[: error.start + 1].splitlines()) - 1
            hint = "save the file as UTF-8" + (", not UTF-16" if b"\0" in data else "")
            raise request.error(f" line {at}", "bytes that are no UTF-8 text", hint) from None
        body = text.rstrip("\n")
        if body:
            yield line, body + "\n"
            line += body.count("\n") + 1
            held = text[len(body) + 1 :]
        else:
            held = text


def _decoded(data: bytes) -> str:
    r"""Text with `\n` at the end of each line; a NUL is no text."""
    if (nul := data.find(b"\0")) >= 0:
        raise UnicodeDecodeError("utf-8", data, nul, nul + 1, "NUL")
    return data.decode().replace("\r\n", "\n").replace("\r", "\n")


def _unknown(request: _Request, name: str, known: Iterable[str]) -> NablispError:
    close = nearest(name, known)
    hint = f"did you mean {close}?" if close else "its columns: " + " ".join(islice(known, 12))
    return request.error("", f"there is no column {name}", hint)


_READERS: dict[str, Callable[[_Request, IO[bytes]], Table]] = {
    ".csv": partial(_read_csv, ","),
    ".tsv": partial(_read_csv, "\t"),
    ".npy": _read_npy,
    ".npz": _read_npz,
}
_LATER = {".parquet", ".pq", ".arrow", ".feather", ".ipc"}
