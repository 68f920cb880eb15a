"""Where columns come from: turns files, folders, frames and mappings into tables of named columns.

All columns of a table have one number of rows, and nothing is guessed: what is no number, not
there, or there twice is an error that says where.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path, PurePath
from typing import IO, Any, Literal

import numpy as np

from .columns import KINDS, Columns, Request, Table, named
from .delimited import read_csv
from .errors import NablispError
from .files import folder_names, open_file, rooted
from .limits import Budget


def open_data(
    path: str | Path,
    *names: str,
    classes: Sequence[str] = (),
    missing: Literal["refuse", "drop"] = "refuse",
) -> Columns:
    """The columns of a file or folder, all or those named, for `data=` of `train` or `Session.run`.

    Those of Parquet and Arrow files are read when they are needed, and in constant memory where a
    pass over blocks of rows will do. `classes` names columns of text to read as class numbers;
    `missing="drop"` leaves out the rows where a value is missing.

    >>> r = fit("y", model, {"a": 1, "k": 0}, data=open_data("points.parquet"))

    Raises NablispError: `file`, `data`, `limit`, `value`, `unavailable`.
    """
    root, name = rooted(path)
    return read_table(root, name, select=names, classes=tuple(classes), missing=missing).columns


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
    * `.parquet`, `.pq`, `.arrow`, `.feather`, `.ipc` — through pyarrow; the columns stay in the
      file until they are needed. A null is missing.

    A folder holds Parquet or Arrow files with the same columns, which follow one another sorted by
    their names; names that begin with a point or an underscore do not count.

    Raises NablispError: `file`, `data`, `limit`, `value`, or `unavailable` without pyarrow.
    """
    if missing not in ("refuse", "drop"):
        raise NablispError("value", f":missing is refuse or drop, not {missing}")
    request = Request(
        root, name, tuple(select or ()), classes, missing == "drop", budget or Budget()
    )
    ending = PurePath(name).suffix.lower()
    if (inside := folder_names(root, name)) is not None:
        table = _left_in_files(request, _files(name, inside))
    elif ending not in ENDINGS:
        raise NablispError(
            "file",
            f"{name} is no kind of file that data is read from",
            hint=f"the name of a data file ends in {' '.join(ENDINGS)}",
        )
    elif ending in KINDS:
        table = _left_in_files(request, [name])
    else:
        with open_file(root, name, "rb") as file:
            table = _READERS[ending](request, file)
    if not table.columns.rows:
        why = "each of its rows has a missing cell" if table.dropped else "it has no rows"
        raise request.error("", why)
    return table


def as_columns(data: Any, *, budget: Budget | None = None) -> Columns:
    """The columns of a mapping from names to arrays, or of a frame (pandas, polars, Arrow).

    Each is what `numpy.asarray` takes, of numbers or booleans, the row axis first; or the whole is
    an Arrow stream (`__arrow_c_stream__`), which pyarrow reads. What is a contiguous binary64 array
    already is not copied: the column is a read-only view of it. Columns stay what they are, those
    in files unread. Raises NablispError of kind `data`, `limit`, or `unavailable`.
    """
    columns = _columns_of(data, budget or Budget())
    for name in columns:
        if not columns.rows:
            raise NablispError("data", f"column {name} has no rows")
    return columns


def _columns_of(data: Any, budget: Budget) -> Columns:
    if isinstance(data, Columns):
        return data
    if isinstance(data, Mapping):
        return named("", data.items(), budget)
    names = _frame_names(data)
    if names is not None:
        return named("", ((name, _taken(data, name)) for name in names), budget)
    if hasattr(data, "__arrow_c_stream__") or hasattr(data, "__arrow_c_array__"):
        from .arrow import read_stream

        return read_stream(data, budget)
    kind = type(data).__name__
    lazy = hasattr(data, "collect")
    raise NablispError(
        "data",
        f"columns come as a mapping from names to arrays, or as a frame, not as {kind}",
        hint="collect() makes a frame of it" if lazy else 'like {"x": [1, 2, 3], "y": [2, 4, 6]}',
    )


def _taken(data: Any, name: Any) -> Any:
    """A column of a frame; NablispError for whatever the frame raises."""
    try:
        return data[name]
    except Exception as error:
        what = f"column {name} cannot be had: {type(error).__name__}: {error}"
        raise NablispError("data", what) from None


def _frame_names(data: Any) -> list[Any] | None:
    """The names of the columns of a frame that gives them one by one, as arrays."""
    arrow_made = type(data).__module__.partition(".")[0] == "pyarrow"
    if arrow_made or hasattr(data, "collect") or not hasattr(data, "__getitem__"):
        return None
    columns = getattr(data, "columns", None)
    if columns is None:
        return None
    names = list(columns)
    for name in names:
        if names.count(name) > 1:  # by its name alone neither can be had
            raise NablispError("data", f"two columns are named {name}", hint="rename one of them")
    if hasattr(data, "__arrow_c_stream__") and not all(
        hasattr(_taken(data, name), "__array__") for name in names
    ):
        return None
    return names


def _files(folder: str, inside: list[str]) -> list[str]:
    """The data files of a folder; NablispError unless they are of one kind that is read so."""
    names = [f"{folder.rstrip('/')}/{name}" for name in inside if not name.startswith((".", "_"))]
    kinds = [KINDS.get(PurePath(name).suffix.lower()) for name in names]
    for name, kind in zip(names, kinds, strict=True):
        if kind is None or kind != kinds[0]:
            wrong = f"{kinds[0]} file, as {names[0]} is" if kinds[0] else "Parquet or Arrow file"
            hint = "a folder of data holds such files of one kind, and nothing else"
            raise NablispError("file", f"{name} is no {wrong}", hint=hint)
    if not names:
        raise NablispError("file", f"there are no data files in the folder {folder}")
    return names


# ---- .npy and .npz -------------------------------------------------------------------------------


def _read_npy(request: Request, file: IO[bytes]) -> Table:
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


def _read_npz(request: Request, file: IO[bytes]) -> Table:
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
    request: Request, column: Callable[[str], np.ndarray[Any, Any]], known: tuple[str, ...]
) -> Table:
    """The table of an array file: the wanted ones of its `known` columns."""
    if request.classes:
        raise request.error("", "only a CSV file has text columns, as :classes names them")
    for name in request.select:
        if name not in known:
            raise request.unknown(name, known)
    items = ((name, column(name)) for name in request.select or known)
    return Table(named(f"{request.name}: ", items, request.budget), {}, 0)


def _array(request: Request, file: IO[bytes], size: int) -> np.ndarray[Any, Any]:
    request.budget.check("bytes", size)
    try:
        array: np.ndarray[Any, Any] = np.lib.format.read_array(file, allow_pickle=False)
    except Exception:  # whatever a damaged file makes NumPy raise
        raise _damaged(request) from None
    return array


def _left_in_files(request: Request, names: list[str]) -> Table:
    """Columns that are read when they are needed, through pyarrow."""
    from .arrow import read_files

    return read_files(request, names)


def _damaged(request: Request) -> NablispError:
    return request.error(
        "",
        "a damaged file, or one of Python objects rather than numbers",
        "numpy.save and numpy.savez write arrays of numbers that can be read",
    )


_READERS: dict[str, Callable[[Request, IO[bytes]], Table]] = {
    ".csv": partial(read_csv, ","),
    ".tsv": partial(read_csv, "\t"),
    ".npy": _read_npy,
    ".npz": _read_npz,
}
ENDINGS = (*_READERS, *KINDS)
"""How the names of data files end."""
