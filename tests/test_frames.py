"""Frames of pandas, polars and Arrow as columns, and the words for columns that hold no numbers."""

from __future__ import annotations

import datetime
import decimal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from nablisp import Session, parse, train
from nablisp.data import as_columns
from nablisp.errors import NablispError
from nablisp.limits import Budget, Limits

GOOD = {"x": [1.5, 2.0, 3.0], "n": [1, 2, 3], "t": [True, False, True]}
DAY = datetime.date(2020, 1, 1)


class Stream:
    """What has nothing but a stream of Arrow."""

    def __init__(self, table: pa.Table) -> None:
        self.table = table

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        return self.table.__arrow_c_stream__(requested_schema)


class Batch:
    """What has nothing but one array of Arrow."""

    def __init__(self, table: pa.Table) -> None:
        self.batch = table.to_batches()[0]

    def __arrow_c_array__(self, requested_schema: Any = None) -> Any:
        return self.batch.__arrow_c_array__(requested_schema)


class Column:
    def __init__(self, entries: Any) -> None:
        self.entries = entries

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        return np.array(self.entries, dtype=dtype)


class Frame:
    """What has columns with `__array__`, and nothing else."""

    def __init__(self, columns: dict[str, Any]) -> None:
        self.columns = list(columns)
        self.held = columns

    def __getitem__(self, name: str) -> Column:
        return Column(self.held[name])


def reader(table: pa.Table) -> Any:
    return pa.RecordBatchReader.from_batches(table.schema, table.to_batches(max_chunksize=2))


FRAMES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "mapping": dict,
    "plain": Frame,
    "pandas": pd.DataFrame,
    "pandas, nullable": lambda d: pd.DataFrame(d).convert_dtypes(),
    "pandas, of Arrow": lambda d: pd.DataFrame(d).convert_dtypes(dtype_backend="pyarrow"),
    "polars": pl.DataFrame,
    "table": pa.table,
    "batches": lambda d: pa.concat_tables([pa.table(d).slice(0, 1), pa.table(d).slice(1)]),
    "record batch": lambda d: pa.table(d).to_batches()[0],
    "reader": lambda d: reader(pa.table(d)),
    "stream": lambda d: Stream(pa.table(d)),
    "array": lambda d: Batch(pa.table(d)),
}


@pytest.mark.parametrize("make", FRAMES.values(), ids=FRAMES)
def test_frames(make: Callable[[dict[str, Any]], Any]) -> None:
    columns = as_columns(make(GOOD))
    assert list(columns) == list(GOOD)
    assert columns.rows == 3
    assert not columns.streamed
    for name, entries in GOOD.items():
        column = columns[name]
        assert column.dtype == np.float64
        assert column.flags.c_contiguous
        assert not column.flags.writeable
        assert columns.shape_of(name) == (3,)
        np.testing.assert_array_equal(column, np.array(entries, dtype=float), strict=True)


def test_numbers_of_a_frame_are_not_copied() -> None:
    x = np.arange(3.0)
    assert np.shares_memory(as_columns({"x": x})["x"], x)
    series = pl.Series("x", x)
    assert np.shares_memory(as_columns(pl.DataFrame([series]))["x"], series.to_numpy())


def test_nan_is_a_number() -> None:
    for frame in (pd.DataFrame({"x": [1, np.nan]}), pl.DataFrame({"x": [1.0, np.nan]})):
        assert np.isnan(as_columns(frame)["x"][1])


def series(entries: list[Any], dtype: Any = None) -> Callable[[], Any]:
    return lambda: pl.DataFrame([pl.Series("x", entries, dtype=dtype)])


def panda(entries: list[Any], dtype: Any = None) -> Callable[[], Any]:
    return lambda: pd.DataFrame({"x": pd.Series(entries, dtype=dtype)})


def table(entries: list[Any], dtype: Any = None) -> Callable[[], Any]:
    return lambda: pa.table({"x": pa.array(entries, dtype)})


BAD: list[tuple[Callable[[], Any], str]] = [
    # missing
    (series([1, None]), "column x has 1 missing entries"),
    (series([True, None, None]), "column x has 2 missing entries"),
    (series([None]), "column x has 1 missing entries"),
    (panda([1, None], "Int64"), "column x has 1 missing entries"),
    (panda([1, None], "Float64"), "column x has 1 missing entries"),
    (panda([1, None], "int64[pyarrow]"), "column x has 1 missing entries"),
    (panda([1, None], object), "column x holds nothing in row 1"),
    (table([1, None]), "column x has 1 missing entries"),
    (table([None]), "holds nothing but missing values"),
    # text
    (series(["a"]), "column x holds text"),
    (panda(["a"]), "column x holds text"),
    (panda(["a"], object), "column x holds text"),
    (table(["a"]), "column x holds text"),
    (table(["a"], pa.large_string()), "column x holds text"),
    (table(["a"], pa.string_view()), "column x holds text"),
    (table([b"a"]), "column x holds bytes"),
    # categories, also of numbers
    (series(["a"], pl.Categorical), "column x holds categories"),
    (series(["a"], pl.Enum(["a"])), "column x holds categories"),
    (panda([1, 2], "category"), "column x holds categories"),
    (lambda: pa.table({"x": pa.array([1, 2]).dictionary_encode()}), "column x holds categories"),
    # times
    (series([DAY]), "column x holds dates"),
    (series([datetime.time(1)]), "column x holds dates"),
    (panda([pd.Timestamp(DAY)]), "column x holds dates"),
    (panda([DAY], object), "column x holds dates"),
    (table([DAY]), "column x holds dates"),
    (series([datetime.timedelta(1)]), "column x holds time spans"),
    (table([datetime.timedelta(1)]), "column x holds time spans"),
    # decimals
    (series([decimal.Decimal("1.5")]), "column x holds decimal numbers"),
    (panda([decimal.Decimal("1.5")], object), "column x holds decimal numbers"),
    (table([decimal.Decimal("1.5")]), "column x holds decimal numbers"),
    # nested
    (series([[1], [2, 3]]), "column x holds lists"),
    (series([{"a": 1}]), "column x holds records"),
    (panda([[1], [2, 3]], object), "column x holds lists"),
    (table([[1], [2, 3]]), "column x holds nested values"),
    (table([{"a": 1}]), "column x holds nested values"),
    # objects
    (panda([object()], object), "column x holds Python objects (object in row 0)"),
    # names
    (lambda: pd.DataFrame([[1, 2]], columns=["x", "x"]), "two columns are named x"),
    (lambda: pa.table([[1], [2]], names=["x", "x"]), "two columns are named x"),
    (lambda: pl.DataFrame({"é": [1], "e\u0301": [1]}), "two columns are named é"),
    (lambda: pd.DataFrame([[1, 2]]), "0 cannot name a column"),
    (lambda: pd.DataFrame([[1]], columns=pd.MultiIndex.from_tuples([("a", "b")])), "('a', 'b')"),
    (lambda: pl.DataFrame({"petal length": [1]}), "'petal length' cannot name a column"),
    (lambda: pa.table({"petal length": [1]}), "'petal length' cannot name a column"),
    # no frames
    (lambda: pd.Series([1]), "Series is no table of columns"),
    (lambda: pl.Series([1]), "Series is no table of columns"),
    (lambda: pl.LazyFrame({"x": [1]}), "not as LazyFrame"),
    (lambda: pa.array([1]), "no table of columns"),
    (lambda: 5, "not as int"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "words"), BAD)
def test_no_frames(make: Callable[[], Any], words: str) -> None:
    with pytest.raises(NablispError) as caught:
        as_columns(make())
    assert caught.value.kind == "data"
    assert words in caught.value.message


def test_a_lazy_frame_is_collected_by_its_owner() -> None:
    with pytest.raises(NablispError) as caught:
        as_columns(pl.LazyFrame({"x": [1]}))
    assert "collect()" in caught.value.hint


def test_limits() -> None:
    budget = Budget(Limits(bytes=1000))
    for make in FRAMES.values():
        with pytest.raises(NablispError, match="over the limit of 1,000") as caught:
            as_columns(make({"x": [1] * 126}), budget=budget)
        assert caught.value.kind == "limit"


def test_sessions_and_runs_take_frames() -> None:
    for frame in (pd.DataFrame(GOOD), pl.DataFrame(GOOD), pa.table(GOOD)):
        assert Session().run("(val (sum (* x n)))", data=frame) == 14.5
        found = train(parse("(mse (* m x) n)"), {"m": 0}, data=frame, steps=3)
        assert found.steps == 3


def test_without_pyarrow(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Stream(pa.table(GOOD))
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(NablispError) as caught:
        as_columns(stream)
    assert caught.value.kind == "unavailable"
    assert 'pip install "nablisp[data]"' in caught.value.hint
    assert as_columns(pl.DataFrame(GOOD)).rows == 3


def test_frames_are_no_dependency() -> None:
    code = (
        "import sys; from nablisp import Session; "
        "Session().run('(data x [1 2]) (val (sum x))', data={'y': [1, 2]}); "
        "print([n for n in ('pyarrow', 'pandas', 'polars', 'sklearn') if n in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
