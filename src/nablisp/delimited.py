"""CSV and TSV: turns the text of a file into named columns of numbers, block by block.

Every line is as strict as the first: an error says the line and the column.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from io import StringIO
from itertools import chain, islice, repeat
from typing import IO, Any
from unicodedata import normalize

import numpy as np

from .columns import Block, Column, Columns, Request, Table, class_order, decimal, symbol
from .errors import NablispError

_BOM = b"\xef\xbb\xbf"
_BLOCK = 2**20  # bytes read at a time
_LINE = 2**24  # bytes of the longest line
_CHUNK = 4096  # rows looked at one by one before they are packed
_MISSING = {"", "na", "n/a", "null", "none"}


def read_csv(delimiter: str, request: Request, file: IO[bytes]) -> Table:
    """The wanted columns of a file whose cells this separates; errors of kind `data`, `limit`."""
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

    columns: Block = {}
    classes: dict[str, tuple[str, ...]] = {}
    for i, place in enumerate(plan.wanted):
        name = plan.header[place]
        columns[name] = np.concatenate([part[:, i] for part in parts])
        if (codes := plan.texts.get(i)) is not None:
            classes[name] = texts = tuple(sorted(codes, key=class_order))
            ranks = np.argsort([codes[text] for text in texts]).astype(np.float64)
            columns[name] = ranks[columns[name].astype(np.intp)]
    return Table(Columns(columns), classes, plan.dropped)


@dataclass(slots=True)
class _Csv:
    """How the rows of one file are read, and what was met in them."""

    request: Request
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
        if not text and (number := decimal(cell)) is not None:
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


def _plan(request: Request, delimiter: str, head: str) -> _Csv:
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
    if all(cell == "" or decimal(cell) is not None for cell in header):
        hint = "the first line names the columns: " + delimiter.join("xyzuvw"[: len(header)])
        raise request.error(" line 1", "numbers, where a header with names is needed", hint)

    asked = tuple(dict.fromkeys(request.select + request.classes))
    for name in asked:
        if name not in header:
            raise request.unknown(name, header)
    wanted = [header.index(name) for name in asked] if request.select else [*range(len(header))]
    counts = Counter(header)
    for place in wanted:
        request.budget.step()
        name, where = header[place], f" line 1, column {place + 1}"
        if not name:
            hint = "name it, or say which columns to read, each by its name"
            raise request.error(where, "a column without a name", hint)
        if symbol(name) is None:
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


def _blocks(request: Request, file: IO[bytes]) -> Iterator[tuple[int, str]]:
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
