"""Parquet and Arrow: turns files, folders of files and streams into columns, some rows at a time.

Of a file only names, types and the number of rows are read at first, and its texts and missing
cells where they matter. pyarrow reads, and is imported when it is needed.
"""

from __future__ import annotations

import os
import struct
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import reduce
from pathlib import PurePath
from typing import IO, Any
from unicodedata import normalize

import numpy as np

from .columns import (
    KINDS,
    Block,
    Column,
    Columns,
    Request,
    Stored,
    Table,
    class_order,
    symbol,
)
from .errors import NablispError
from .files import open_file
from .flatbuffer import Flat, extent
from .limits import Budget

_PIECE = 65_536  # rows decoded at a time
_BUFFER = 2**20  # bytes of a column chunk read at a time
_DROP = ":missing drop leaves out the rows where a value is missing"


def read_files(request: Request, names: Sequence[str]) -> Table:
    """The columns of one file, or of several of one kind and schema, end to end.

    They stay in the files. Raises NablispError: `file`, `data`, `limit`, or `unavailable`.
    """
    _pyarrow()
    files: list[_File] = []
    wanted: dict[str, Any] = {}
    for name in names:
        with _opened(request, name) as file:
            reader = _READERS[KINDS[PurePath(name).suffix.lower()]](file, request.budget)
            if files:
                _check_same(request, names[0], wanted, name, reader.schema)
            else:
                wanted = _wanted(request, name, reader.schema)
            files.append(_File(name, reader.rows, _stamp(file)))
    raw = {name: found.name for name, found in wanted.items()}
    source = _Files(request, tuple(files), raw)
    dropped = source.survey()
    columns = {name: Stored(source, name) for name in raw}
    return Table(Columns(columns), source.classes, dropped)


def read_stream(data: Any, budget: Budget) -> Columns:
    """The columns of an object with `__arrow_c_stream__` or `__arrow_c_array__`, in memory."""
    pa = _pyarrow()
    try:
        if hasattr(data, "__arrow_c_stream__"):
            reader = pa.RecordBatchReader.from_stream(data)
        else:
            reader = pa.Table.from_batches([pa.record_batch(data)]).to_reader()
        schema, batches = reader.schema, list(reader)
    except Exception as error:  # whatever the object's own methods raise
        what = f"{type(data).__name__} is no table of columns: {_first_line(error)}"
        hint = 'a single column needs a name, like {"x": column}'
        raise NablispError("data", what, hint=hint) from None
    rows = sum(len(batch) for batch in batches)
    columns: Block = {}
    for i, found in enumerate(schema):
        if (name := symbol(found.name)) is None:
            what = f"{found.name!r} cannot name a column"
            raise NablispError("data", what, hint="a name is a text like x, y2 or petal-length")
        if name in columns:
            raise NablispError("data", f"two columns are named {name}")
        if refused := _refused(found.type):
            what = f"column {name} holds {refused}, not numbers"
            raise NablispError("data", what, hint="convert it to numbers first")
        if missing := sum(batch.column(i).null_count for batch in batches):
            what = f"column {name} has {missing} missing entries"
            raise NablispError("data", what, hint="leave out their rows, or fill them")
        budget.array((rows,))
        parts = [_numbers(batch.column(i)) for batch in batches]
        columns[name] = np.concatenate([np.empty(0), *parts])
        columns[name].flags.writeable = False
    return Columns(columns)


def _pyarrow() -> Any:
    try:
        import pyarrow
    except ImportError:
        raise NablispError(
            "unavailable",
            "Parquet, Arrow and streams of Arrow are read by pyarrow, which is not installed",
            hint='pip install "nablisp[data]"',
        ) from None
    return pyarrow


# ---- what a file holds ---------------------------------------------------------------------------


class _Parquet:
    """The schema of an open Parquet file and its rows."""

    def __init__(self, file: IO[bytes], budget: Budget) -> None:
        import pyarrow.parquet as pq

        self.file = pq.ParquetFile(file, buffer_size=_BUFFER, pre_buffer=False)
        self.schema = self.file.schema_arrow
        self.rows: int = self.file.metadata.num_rows
        self.room = budget.limits.bytes

    def batches(self, names: Sequence[str]) -> Iterator[Any]:
        """The rows, so many at a time that what a piece says it comes to has room."""
        metadata = self.file.metadata
        widest = 8.0
        for group in map(metadata.row_group, range(metadata.num_row_groups)):
            # all columns: pyarrow ends the process when asked about one of a damaged file
            widest = max(widest, group.total_byte_size / max(group.num_rows, 1))
        most = int(min(_PIECE, max(self.room / 8 / widest, 1)))
        yield from self.file.iter_batches(most, columns=list(names))


class _Arrow:
    """The schema of an open Arrow file, or of a stream kept in one, and its rows."""

    def __init__(self, file: IO[bytes], budget: Budget) -> None:
        self.file = file
        self.seekable = file.read(6) == b"ARROW1"
        self.schema = self._reader(None).schema
        self.rows = 0
        for rows, size in self._batches():
            budget.check("bytes", size)
            self.rows += rows

    def _batches(self) -> Iterator[tuple[int, int]]:
        """The rows of each batch and the bytes that it comes to, without decoding any."""
        import pyarrow as pa

        try:
            yield from self._in_file() if self.seekable else self._in_stream()
        except (struct.error, IndexError, OverflowError, ValueError) as error:
            raise pa.ArrowInvalid(f"a batch is described wrongly: {error}") from None

    def _in_file(self) -> Iterator[tuple[int, int]]:
        """By the footer, which says where each batch begins."""
        end = self.file.seek(-10, os.SEEK_END)
        (length,) = struct.unpack("<I", self.file.read(4))
        self.file.seek(end - length)
        footer = Flat(self.file.read(length))
        place, count = footer.vector(footer.root, 3) or (0, 0)
        for k in range(count):
            start, head, body = struct.unpack_from("<qi4xq", footer.data, place + 24 * k)
            self.file.seek(start)
            message = self.file.read(head)
            marked = message[:4] == b"\xff\xff\xff\xff"  # older files lack the mark
            yield extent(Flat(message[8 if marked else 4 :]), self.file.read(body))

    def _in_stream(self) -> Iterator[tuple[int, int]]:
        import pyarrow.ipc

        self.file.seek(0)
        messages = pyarrow.ipc.MessageReader.open_stream(self.file)
        try:
            while True:
                message = messages.read_next_message()
                if message.type == "record batch":
                    yield extent(Flat(message.metadata.to_pybytes()), memoryview(message.body))
        except StopIteration:
            pass

    def _reader(self, names: Sequence[str] | None) -> Any:
        import pyarrow.ipc

        places = None if names is None else [self.schema.names.index(name) for name in names]
        options = pyarrow.ipc.IpcReadOptions(included_fields=places, use_threads=False)
        self.file.seek(0)
        opened = pyarrow.ipc.open_file if self.seekable else pyarrow.ipc.open_stream
        return opened(self.file, options=options)

    def batches(self, names: Sequence[str]) -> Iterator[Any]:
        reader = self._reader(names)
        places = range(reader.num_record_batches) if self.seekable else None
        for batch in reader if places is None else map(reader.get_batch, places):
            batch.validate(full=True)  # lengths and offsets are the file's own, unlike Parquet's
            yield batch


_READERS: dict[str, Callable[[IO[bytes], Budget], _Parquet | _Arrow]] = {
    "Parquet": _Parquet,
    "Arrow": _Arrow,
}


def _wanted(request: Request, file: str, schema: Any) -> dict[str, Any]:
    """The fields of the columns to read, by their names in a program, in the order asked for."""
    known = [normalize("NFC", name) for name in schema.names]
    counts, places = Counter(known), {name: i for i, name in enumerate(known)}
    asked = tuple(dict.fromkeys(request.select + request.classes))
    for name in asked:
        if name not in known:
            raise request.unknown(name, known)
    wanted: dict[str, Any] = {}
    for name in asked if request.select else known:
        request.budget.step()
        if symbol(name) is None:
            raise request.error(
                "", f'"{name}" cannot name a column', "say which columns to read, each by its name"
            )
        if counts[name] > 1:
            raise request.error("", f"two columns are named {name}", "rename one of them")
        wanted[name] = found = schema.field(places[name])
        refused = _refused(found.type)
        if name in request.classes:
            refused = refused if refused in _NO_CLASSES else ""
        if refused:
            hint = "convert it to numbers, or say which columns to read, each by its name"
            if refused in ("text", "categories"):
                hint = f":classes {name} reads a column of text as class numbers"
            raise request.error("", f"column {name} holds {refused}, not numbers", hint)
    return wanted


def _check_same(
    request: Request, first: str, wanted: Mapping[str, Any], file: str, schema: Any
) -> None:
    """NablispError unless another file of the folder has the same columns as the first."""
    hint = "the files of a folder have the same columns, of the same types"
    names = [normalize("NFC", name) for name in schema.names]
    for name, found in wanted.items():
        if name not in names:
            what = f"{file}: there is no column {name}, as there is in {first}"
            raise NablispError("data", what, hint=hint)
        other = schema.field(names.index(name))
        if (other.name, other.type) != (found.name, found.type):
            what = f"{file}: column {name} is of type {other.type}, and {found.type} in {first}"
            raise NablispError("data", what, hint=hint)
    if not request.select and (more := [name for name in names if name not in wanted]):
        what = f"{file}: there is a column {more[0]}, which {first} has not"
        raise NablispError("data", what, hint=hint)


_NO_CLASSES = ("nothing but missing values", "nested values", "bytes")


def _refused(kind: Any) -> str:
    """What a column of this type holds that is no number; empty for numbers and booleans."""
    import pyarrow.types as t

    rows: tuple[tuple[Callable[[Any], bool], str], ...] = (
        (lambda k: t.is_integer(k) or t.is_floating(k) or t.is_boolean(k), ""),
        (t.is_dictionary, "categories"),
        (lambda k: t.is_string(k) or t.is_large_string(k) or t.is_string_view(k), "text"),
        (t.is_null, "nothing but missing values"),
        (t.is_decimal, "decimal numbers"),
        (t.is_duration, "time spans"),
        (t.is_temporal, "dates"),
        (t.is_nested, "nested values"),
    )
    return next((words for is_kind, words in rows if is_kind(kind)), "bytes")


# ---- what is in it -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _File:
    """A file as it was found."""

    name: str
    rows: int
    stamp: tuple[int, ...]


@dataclass(slots=True, eq=False)
class _Files:
    """Files end to end, as a source of columns; `raw` maps the names to those in the files."""

    request: Request
    files: tuple[_File, ...]
    raw: dict[str, str]
    rows: int = 0
    watched: tuple[str, ...] = ()
    """the columns whose missing cells drop rows"""
    classes: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.raw)

    def survey(self) -> int:
        """Count the rows to come and collect the texts of classes; the number of rows dropped."""
        total = self.rows = sum(file.rows for file in self.files)
        texts: dict[str, set[str]] = {name: set() for name in self.request.classes}
        if self.request.drop or texts:
            self.rows, self.watched = 0, self.names if self.request.drop else ()
            holey: set[str] = set()
            for rows, columns in self._arrays(self.request.classes, holey):
                self.rows += rows
                for name, found in texts.items():
                    found.update(columns[name].unique().to_pylist())
                    self.request.budget.check("bytes", sum(map(len, found)))
            self.watched = tuple(name for name in self.watched if name in holey)
        self.classes = {n: tuple(sorted(found, key=class_order)) for n, found in texts.items()}
        return total - self.rows

    def pieces(self, names: Sequence[str]) -> Iterator[Block]:
        """The numbers of these columns in order, read afresh."""
        import pyarrow as pa
        import pyarrow.compute as pc

        values = {name: pa.array(self.classes[name]) for name in names if name in self.classes}
        for _, columns in self._arrays(names):
            for name, known in values.items():
                columns[name] = pc.index_in(columns[name], value_set=known)
            yield {name: _numbers(columns[name]) for name in names}

    def _arrays(
        self, names: Sequence[str], holey: set[str] | None = None
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        """Rows of these columns as arrays of Arrow, without a missing cell; how many, and they.

        `holey` receives the names of the columns where cells were missing.
        """
        needed = tuple(dict.fromkeys((*names, *self.watched)))
        for file in self.files:
            with _opened(self.request, file.name) as handle:
                if _stamp(handle) != file.stamp:
                    hint = f'(data "{self.request.name}") reads it as it is now'
                    raise NablispError("data", f"{file.name} has changed since", hint=hint)
                row = 0
                kind = KINDS[PurePath(file.name).suffix.lower()]
                reader = _READERS[kind](handle, self.request.budget)
                for batch in reader.batches([self.raw[name] for name in needed]):
                    self.request.budget.clock()
                    columns = {name: batch.column(self.raw[name]) for name in needed}
                    for name in self.request.classes:
                        if name in columns:
                            columns[name] = _texts(columns[name])
                    missing = [name for name, column in columns.items() if column.null_count]
                    if holey is not None:
                        holey.update(missing)
                    self._check(f"{file.name} row ", row, columns, missing)
                    yield _whole(columns, missing, len(batch))
                    row += len(batch)

    def _check(
        self, where: str, row: int, columns: Mapping[str, Any], missing: Sequence[str]
    ) -> None:
        """NablispError where a cell is missing that may not."""
        for name in missing:
            if name not in self.watched:
                at = row + columns[name].is_null().index(True).as_py()
                what = f"{where}{at}, column {name}: the cell is missing"
                raise NablispError("data", what, hint=_DROP)


def _whole(
    columns: dict[str, Any], missing: Sequence[str], rows: int
) -> tuple[int, dict[str, Any]]:
    """The rows where nothing is missing."""
    import pyarrow.compute as pc

    if not missing:
        return rows, columns
    kept = reduce(pc.and_, [columns[name].is_valid() for name in missing])
    return kept.true_count, {name: column.filter(kept) for name, column in columns.items()}


def _numbers(array: Any) -> Column:
    numbers: Column = array.to_numpy(zero_copy_only=False).astype(np.float64, copy=False)
    return numbers


def _texts(array: Any) -> Any:
    """A column as text; a dictionary's indices and a view's missing entries are not trusted."""
    import pyarrow as pa

    if pa.types.is_dictionary(array.type):
        return _texts(array.dictionary).take(array.indices)
    if pa.types.is_string_view(array.type) and array.null_count:
        valid, views, *texts = array.buffers()
        entries = np.frombuffer(views, dtype=np.uint64).reshape(-1, 2).copy()
        own = slice(array.offset, array.offset + len(array))
        entries[own][array.is_null().to_numpy(zero_copy_only=False)] = 0
        array = pa.Array.from_buffers(
            array.type, len(array), [valid, pa.py_buffer(entries), *texts], offset=array.offset
        )
    return array.cast(pa.string())


@contextmanager
def _opened(request: Request, name: str) -> Iterator[IO[bytes]]:
    """A file of data; what pyarrow says of it while it is open becomes an error of ours."""
    import pyarrow as pa

    with open_file(request.root, name, "rb") as file:
        try:
            yield file
        except (pa.ArrowException, OSError, UnicodeError, MemoryError) as error:
            kind = KINDS[PurePath(name).suffix.lower()]
            what = f"{name}: no {kind} file, or a damaged one: {_first_line(error)}"
            raise NablispError("data", what) from None


def _stamp(file: IO[bytes]) -> tuple[int, ...]:
    """What changes when a file does."""
    status = os.fstat(file.fileno())
    return status.st_ino, status.st_size, status.st_mtime_ns


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
