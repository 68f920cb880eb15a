"""Parquet and Arrow files and folders of them: columns that are read when they are needed."""

from __future__ import annotations

import datetime
import decimal
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.feather
import pyarrow.ipc
import pyarrow.parquet as pq
import pytest

from nablisp import Session, open_data, parse, train
from nablisp.columns import Columns
from nablisp.data import read_table
from nablisp.errors import NablispError
from nablisp.limits import Budget, Limits

ROWS = 1000
RANDOM = np.random.default_rng(0)
MEMORY: dict[str, np.ndarray[Any, Any]] = {
    "x": RANDOM.normal(size=ROWS),
    "y": RANDOM.normal(size=ROWS).astype(np.float32),
    "k": np.arange(ROWS),
    "t": RANDOM.random(ROWS) < 0.5,
}
TABLE = pa.table(MEMORY)


def parquet(table: pa.Table, path: Path) -> None:
    pq.write_table(table, path, row_group_size=300)


def bare(table: pa.Table, path: Path) -> None:
    pq.write_table(table, path, row_group_size=300, write_statistics=False)


def arrow(table: pa.Table, path: Path) -> None:
    with pa.ipc.new_file(path, table.schema) as file:
        file.write_table(table, max_chunksize=300)


def stream(table: pa.Table, path: Path) -> None:
    with pa.ipc.new_stream(path, table.schema) as file:
        file.write_table(table, max_chunksize=300)


def feather(table: pa.Table, path: Path) -> None:
    pa.feather.write_feather(table, path, compression="lz4", chunksize=300)


def polars_ipc(table: pa.Table, path: Path) -> None:
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    frame.write_ipc(path)


Write = Callable[[pa.Table, Path], None]
WRITERS: dict[str, tuple[str, Write]] = {
    "parquet": ("p.parquet", parquet),
    "parquet without statistics": ("p.pq", bare),
    "arrow": ("p.arrow", arrow),
    "arrow stream": ("p.ipc", stream),
    "feather": ("p.feather", feather),
    "polars": ("p.arrow", polars_ipc),
}
every_kind = pytest.mark.parametrize(("name", "write"), WRITERS.values(), ids=WRITERS)


def joined(blocks: Iterator[dict[str, Any]], size: int) -> dict[str, np.ndarray[Any, Any]]:
    """The blocks end to end; all but the last have this size."""
    found = list(blocks)
    assert {len(c) for block in found[:-1] for c in block.values()} <= {size}
    assert all(0 < len(c) <= size for c in found[-1].values())
    return {name: np.concatenate([block[name] for block in found]) for name in found[0]}


def same(columns: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    assert list(columns) == list(expected)
    for name, column in columns.items():
        assert column.dtype == np.float64
        assert column.flags.c_contiguous
        np.testing.assert_array_equal(column, np.array(expected[name], dtype=float), strict=True)


# ---- files ---------------------------------------------------------------------------------------


@every_kind
def test_a_file_is_what_was_written(tmp_path: Path, name: str, write: Write) -> None:
    write(TABLE, tmp_path / name)
    columns = open_data(tmp_path / name)
    assert columns.streamed
    assert columns.rows == ROWS
    assert len(columns) == 4
    assert "x" in columns
    assert "z" not in columns
    assert columns.shape_of("x") == (ROWS,)
    assert columns.streamed, "none of this reads a column"
    same(columns, MEMORY)
    assert not columns.streamed
    assert columns["x"] is columns["x"]


@every_kind
def test_blocks_are_those_of_memory(tmp_path: Path, name: str, write: Write) -> None:
    write(TABLE, tmp_path / name)
    stored, memory = open_data(tmp_path / name), Columns(read_columns(MEMORY))
    for size in (1, 7, 300, 999, 1000, 131_072):
        for names in (["x"], ["k", "x"], ["t", "y", "k", "x"]):
            if size == 1 and len(names) > 1:
                continue
            for _ in range(2):
                found = joined(stored.blocks(names, size), size)
                same(found, joined(memory.blocks(names, size), size))
                assert list(found) == names
    assert stored.streamed
    for count in (0, 1, 10, ROWS, 2 * ROWS):
        same(stored.sample(["k", "x"], count, 3), memory.sample(["k", "x"], count, 3))
    assert stored.streamed


def read_columns(columns: Mapping[str, Any]) -> dict[str, np.ndarray[Any, Any]]:
    return {name: np.asarray(column, dtype=float) for name, column in columns.items()}


def test_memory_and_files_side_by_side(tmp_path: Path) -> None:
    parquet(TABLE, tmp_path / "a.parquet")
    arrow(TABLE.rename_columns(["x2", "y2", "k2", "t2"]), tmp_path / "b.arrow")
    columns = open_data(tmp_path / "a.parquet", "x", "k")
    columns.add(open_data(tmp_path / "b.arrow"))
    columns["m"] = np.arange(float(ROWS))
    assert columns["k2"][5] == 5
    names = ["m", "x2", "k", "k2", "x"]
    found = joined(columns.blocks(names, 128), 128)
    assert list(found) == names
    np.testing.assert_array_equal(found["m"], found["k"])
    np.testing.assert_array_equal(found["x"], found["x2"])
    assert columns.streamed


def test_samples() -> None:
    columns = Columns({"k": np.arange(300_000.0)})
    found = columns.sample(["k"], 50, 1)["k"]
    assert len(set(found)) == 50
    assert found.tolist() == sorted(found)
    assert found.tolist() == columns.sample(["k"], 50, 1)["k"].tolist()
    assert found.tolist() != columns.sample(["k"], 50, 2)["k"].tolist()
    # One of each of the equal parts, anywhere in it: a mean of 30 places, with deviations.
    many = columns.sample(["k"], 10_000, 7)["k"]
    assert (many // 30).tolist() == list(range(10_000))
    assert abs(np.mean(many % 30) - 14.5) < 4 * 30 / 12**0.5 / 100


@pytest.mark.parametrize("ending", ["arrow", "feather", "ipc"])
def test_a_batch_that_swells_is_refused_before_it_is_decoded(tmp_path: Path, ending: str) -> None:
    """A million zeros come to some kilobytes in the file."""
    table = pa.table({"x": np.zeros(1_000_000)})
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    path = tmp_path / f"zeros.{ending}"
    make = pa.ipc.new_stream if ending == "ipc" else pa.ipc.new_file
    with make(str(path), table.schema, options=options) as writer:
        writer.write_table(table)
    assert path.stat().st_size < 20_000
    with pytest.raises(NablispError, match="over the limit"):
        Session(root=tmp_path, limits=Limits(bytes=2_000_000)).run(f'(data "zeros.{ending}")')
    session = Session(root=tmp_path)
    session.run(f'(data "zeros.{ending}")')
    assert session.columns.rows == 1_000_000


def test_a_pass_left_early_leaves_nothing_behind(tmp_path: Path) -> None:
    parquet(TABLE, tmp_path / "p.parquet")
    for size in (1, 300):
        blocks = open_data(tmp_path / "p.parquet").blocks(["x"], size)
        next(blocks)
        del blocks
    assert not [thread for thread in threading.enumerate() if "nablisp-data" in thread.name]


def test_selection_and_names(tmp_path: Path) -> None:
    table = pa.table({"x": [1, 2], "two words": ["a", "b"], "e\u0301": [3, 4], "a.b": [5, 6]})
    parquet(table, tmp_path / "p.parquet")
    same(open_data(tmp_path / "p.parquet", "é", "x"), {"é": [3, 4], "x": [1, 2]})
    same(open_data(tmp_path / "p.parquet", "a.b"), {"a.b": [5, 6]})
    for names, words in (
        ((), '"two words" cannot name a column'),
        (("X",), "there is no column X"),
    ):
        with pytest.raises(NablispError, match=words):
            open_data(tmp_path / "p.parquet", *names)


@every_kind
def test_missing(tmp_path: Path, name: str, write: Write) -> None:
    y = [None if i % 7 == 3 else i for i in range(ROWS)]
    z = [None if i % 400 == 0 else bool(i % 2) for i in range(ROWS)]
    write(pa.table({"x": range(ROWS), "y": y, "z": z}), tmp_path / name)
    same(open_data(tmp_path / name, "x"), {"x": range(ROWS)})
    found = read_table(tmp_path, name, missing="drop")
    kept = [i for i in range(ROWS) if i % 7 != 3 and i % 400]
    assert found.dropped == ROWS - len(kept)
    assert found.columns.rows == len(kept)
    assert found.columns.streamed
    same(joined(found.columns.blocks(["x"], 100), 100), {"x": kept})
    same(found.columns, {"x": kept, "y": kept, "z": [i % 2 for i in kept]})
    with pytest.raises(NablispError) as caught:
        dict(open_data(tmp_path / name, "x", "y"))
    assert caught.value.kind == "data"
    assert ":missing drop" in caught.value.hint
    assert f"{name} row 3, column y: the cell is missing" in caught.value.message
    write(pa.table({"x": pa.array([None, None], pa.int64())}), tmp_path / name)
    with pytest.raises(NablispError, match="each of its rows has a missing cell"):
        open_data(tmp_path / name, missing="drop")


@every_kind
def test_classes(tmp_path: Path, name: str, write: Write) -> None:
    texts = ["b", "10", None, "é", "9", "b"]
    table = pa.table({"x": range(6), "s": texts, "c": pa.array(texts).dictionary_encode()})
    write(table, tmp_path / name)
    found = read_table(tmp_path, name, select=("x",), classes=("s", "c"), missing="drop")
    assert found.classes["s"] == ("9", "10", "b", "é")
    assert found.dropped == 1
    assert found.columns.streamed
    codes = [2, 1, 3, 0, 2]
    same(dict(found.columns), {"x": [0, 1, 3, 4, 5], "s": codes, "c": codes})


BAD_TYPES: list[tuple[Any, str, str]] = [
    (pa.array(["a", "b"]), "column x holds text", ":classes x"),
    (pa.array(["a", "b"]).dictionary_encode(), "column x holds categories", ":classes x"),
    (pa.array([b"a", b"b"]), "column x holds bytes", "say which columns"),
    (pa.array([datetime.date(2020, 1, 1)] * 2), "column x holds dates", "say which columns"),
    (pa.array([datetime.timedelta(1)] * 2), "column x holds time spans", ""),
    (pa.array([decimal.Decimal("1.5")] * 2), "column x holds decimal numbers", ""),
    (pa.array([[1], [2]]), "column x holds nested values", ""),
    (pa.array([{"a": 1}] * 2), "column x holds nested values", ""),
    (pa.array([None, None]), "column x holds nothing but missing values", ""),
]


@pytest.mark.parametrize(("column", "words", "hint"), BAD_TYPES)
def test_types_that_are_no_numbers(tmp_path: Path, column: Any, words: str, hint: str) -> None:
    table = pa.table({"k": [1, 2], "x": column})
    for name, write in (("p.parquet", parquet), ("p.arrow", arrow)):
        write(table, tmp_path / name)
        same(open_data(tmp_path / name, "k"), {"k": [1, 2]})
        with pytest.raises(NablispError) as caught:
            open_data(tmp_path / name)
        assert caught.value.kind == "data"
        assert f"{name}: {words}" in caught.value.message
        assert hint in caught.value.hint


def test_number_types(tmp_path: Path) -> None:
    kinds = (
        pa.int8(),
        pa.uint8(),
        pa.int16(),
        pa.uint32(),
        pa.uint64(),
        pa.float16(),
        pa.float32(),
    )
    table = pa.table(
        {
            f"c{i}": pa.array(np.array([1, 2], kind.to_pandas_dtype()))
            for i, kind in enumerate(kinds)
        }
    )
    for name, write in (("p.parquet", parquet), ("p.arrow", arrow)):
        write(table, tmp_path / name)
        same(open_data(tmp_path / name), {f"c{i}": [1, 2] for i in range(len(kinds))})


def test_damaged_files(tmp_path: Path) -> None:
    for name, write in WRITERS.values():
        write(TABLE, tmp_path / name)
        whole = (tmp_path / name).read_bytes()
        for end in range(0, len(whole) - 9, len(whole) // 12):
            (tmp_path / name).write_bytes(whole[:end])
            with pytest.raises(NablispError) as caught:
                columns = open_data(tmp_path / name)
                assert columns.rows == ROWS
                dict(columns)
            assert caught.value.kind == "data"
            assert name in caught.value.message
    (tmp_path / "p.parquet").write_bytes(b"x,y\n1,2\n")
    with pytest.raises(NablispError, match=r"p.parquet: no Parquet file, or a damaged one"):
        open_data(tmp_path / "p.parquet")
    parquet(TABLE, tmp_path / "p.parquet")
    whole = (tmp_path / "p.parquet").read_bytes()
    twisted = whole.replace(b"\x25\x02\x18\x01x", b"\x25\x22\x18\x01x")  # optional, to no such
    assert twisted != whole
    (tmp_path / "p.parquet").write_bytes(twisted)
    with pytest.raises(NablispError, match=r"p.parquet"):
        dict(open_data(tmp_path / "p.parquet"))
    parquet(TABLE.slice(0, 0), tmp_path / "p.parquet")
    with pytest.raises(NablispError, match=r"p.parquet: it has no rows"):
        open_data(tmp_path / "p.parquet")


def test_a_file_that_changes_is_noticed(tmp_path: Path) -> None:
    parquet(TABLE, tmp_path / "p.parquet")
    columns = open_data(tmp_path / "p.parquet")
    parquet(TABLE.slice(0, 10), tmp_path / "p.parquet")
    with pytest.raises(NablispError, match=r"p.parquet has changed since"):
        columns["x"]
    with pytest.raises(NablispError, match=r"p.parquet has changed since"):
        next(columns.blocks(["x"]))


def test_without_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parquet(TABLE, tmp_path / "p.parquet")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(NablispError) as caught:
        open_data(tmp_path / "p.parquet")
    assert caught.value.kind == "unavailable"
    assert 'pip install "nablisp[data]"' in caught.value.hint


def test_limits(tmp_path: Path) -> None:
    parquet(TABLE, tmp_path / "p.parquet")
    found = read_table(tmp_path, "p.parquet", budget=Budget(Limits(bytes=8 * ROWS - 1)))
    with pytest.raises(NablispError, match="8,000 bytes"):
        found.columns["x"]
    same(joined(found.columns.blocks(["k"], 100), 100), {"k": range(ROWS)})  # needs no such array
    late = read_table(tmp_path, "p.parquet", budget=Budget(Limits(seconds=0)))
    with pytest.raises(NablispError, match="takes longer than the limit"):
        next(late.columns.blocks(["x"]))


def test_python_opens_any_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    parquet(TABLE, tmp_path / "a" / "blob")
    parquet(TABLE, tmp_path / "a" / "b" / "p.parquet")
    (tmp_path / "f").mkdir()
    parquet(TABLE, tmp_path / "f" / "p.parquet")
    (tmp_path / "a" / "b" / "link.parquet").symlink_to(tmp_path / "a" / "blob")
    monkeypatch.chdir(tmp_path / "a" / "b")
    for path in ("p.parquet", "link.parquet", "../b/p.parquet", Path("p.parquet"), "../../f"):
        same(open_data(path, "k"), {"k": MEMORY["k"]})
    monkeypatch.chdir(tmp_path / "f")
    same(open_data(".", "k"), {"k": MEMORY["k"]})


# ---- folders -------------------------------------------------------------------------------------


def test_folders(tmp_path: Path) -> None:
    for kind, write in ((".parquet", parquet), (".arrow", arrow)):
        folder = tmp_path / f"points{kind}"
        folder.mkdir()
        for i in (2, 0, 1):
            write(TABLE.slice(400 * i, 400), folder / f"part-{i}{kind}")
        (folder / "_SUCCESS").touch()
        (folder / ".hidden").mkdir()
        columns = open_data(folder)
        assert columns.rows == ROWS
        assert columns.streamed
        same(joined(columns.blocks(["k", "x"], 333), 333), {n: MEMORY[n] for n in ("k", "x")})
        same(columns, MEMORY)
        same(open_data(f"{folder}/", "k"), {"k": MEMORY["k"]})


FOLDERS: list[tuple[dict[str, dict[str, Any] | None], str]] = [
    ({"a.parquet": {"x": [1]}, "b.parquet": {"y": [1]}}, "f/b.parquet: there is no column x"),
    ({"a.parquet": {"x": [1]}, "b.parquet": {"x": [1.5]}},
     "f/b.parquet: column x is of type double, and int64 in f/a.parquet"),
    ({"a.parquet": {"x": [1]}, "b.parquet": {"x": [1], "y": [2]}},
     "f/b.parquet: there is a column y, which f/a.parquet has not"),
    ({"a.parquet": {"x": [1]}, "b.arrow": {"x": [1]}}, "f/b.arrow is no Parquet file"),
    ({"a.parquet": {"x": [1]}, "b.csv": None}, "f/b.csv is no Parquet file"),
    ({"a.csv": None}, "f/a.csv is no Parquet or Arrow file"),
    ({}, "no data files in the folder f"),
    ({"a.parquet": {"x": [1]}, "b.parquet": {"x": [None]}}, "column x is of type null"),
]  # fmt: skip


@pytest.mark.parametrize(("files", "words"), FOLDERS)
def test_no_folders(tmp_path: Path, files: dict[str, Any], words: str) -> None:
    (tmp_path / "f").mkdir()
    for name, content in files.items():
        path = tmp_path / "f" / name
        if content is None:
            path.touch()
        else:
            (parquet if name.endswith("parquet") else arrow)(pa.table(content), path)
    with pytest.raises(NablispError) as caught:
        read_table(tmp_path, "f")
    assert words in caught.value.message


def test_files_and_folders_stay_below_the_root(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "f").mkdir(parents=True)
    (tmp_path / "out").mkdir()
    for path in (root / "p.parquet", root / "f" / "a.parquet", tmp_path / "out" / "a.parquet"):
        parquet(TABLE, path)
    (root / "away").symlink_to(tmp_path / "out")
    (root / "within").symlink_to(root / "f")
    (root / "link.parquet").symlink_to(tmp_path / "out" / "a.parquet")
    os.mkfifo(root / "pipe.parquet")
    session = Session(root=root)
    assert session.run('(data "f" k) (forget k) (data "within" k) (val (sum (* 0 k)))') == 0
    for name, words in (
        ("away", "leads out"),
        ("away/a.parquet", "leads out"),
        ("link.parquet", "leads out"),
        ("../out", "leads upwards"),
        (str(root), "absolute path"),
        ("pipe.parquet", "is a pipe"),
        ("nowhere", "no kind of file"),
        ("nowhere.parquet", "there is no file"),
    ):
        with pytest.raises(NablispError) as caught:
            Session(root=root).run(f'(data "{name}")')
        assert words in caught.value.message
    (root / "f" / "b.parquet").symlink_to(tmp_path / "out" / "a.parquet")
    with pytest.raises(NablispError, match="leads out"):
        Session(root=root).run('(data "f")')
    with pytest.raises(NablispError, match="may not open files"):
        Session().run('(data "p.parquet")')


# ---- sessions and runs ---------------------------------------------------------------------------


def test_sessions_read_what_they_use(tmp_path: Path) -> None:
    parquet(TABLE, tmp_path / "p.parquet")
    shown: list[str] = []
    session = Session(root=tmp_path, write=shown.append)
    session.run(
        '(data "p.parquet") (env) (shape x) (help x) (define e (mse x y)) (d (mean (* x y)) x)'
    )
    assert f"x  column  [rows], {ROWS} rows" in shown
    assert session.columns.streamed
    assert session.run("(val (sum k))") == ROWS * (ROWS - 1) / 2
    assert session.columns.blocks(["k"]) is not None
    assert session.columns.streamed, "the other columns are in the file"
    with pytest.raises(NablispError, match="z has 2 rows and x has 1,000"):
        session.run("(data z [1 2])")
    session.run("(data z (* 2 k)) (param m) (forget x y t)")
    assert not session.columns.streamed
    assert session.run("(val (sum z))") == ROWS * (ROWS - 1)
    with pytest.raises(NablispError, match="k is already a column"):
        session.run("(define k 1)")


def test_training_reads_what_it_uses(tmp_path: Path) -> None:
    parquet(TABLE, tmp_path / "p.parquet")
    loss = "(mse (+ (* m x) b) y)"
    options: dict[str, Any] = {"lr": 0.1, "steps": 20, "batch": 64, "seed": 1}
    columns = open_data(tmp_path / "p.parquet")
    found = train(parse(loss), {"m": 0, "b": 0}, data=columns, **options)
    expected = train(parse(loss), {"m": 0, "b": 0}, data=MEMORY, **options)
    assert found.params == expected.params
    assert columns.streamed
    session = Session(root=tmp_path, seed=1)
    session.run(f'(params m b) (data "p.parquet") (train {loss} :lr 0.1 :steps 20 :batch 64)')
    assert session.parameters["m"].value == expected.params["m"]
    session = Session(seed=1)
    session.run(f"(params m b) (train {loss} :lr 0.1 :steps 20 :batch 64)", data=columns)
    assert session.parameters["m"].value == expected.params["m"]


def test_saved_sessions_name_the_file(tmp_path: Path) -> None:
    table = pa.table({"x": [1, None, 3], "s": ["b", "c", "a"], "y": [4, 5, 6], "u": [1.5, 2, 3]})
    parquet(table, tmp_path / "p q.parquet")
    run = '(data "p q.parquet" x y :classes s :missing drop) (data z [7 8])'
    session = Session(root=tmp_path)
    session.run(f'{run} (forget x) (param x 2) (save "s.gd")')
    text = (tmp_path / "s.gd").read_text().splitlines()
    assert text[:2] == ['(data "p q.parquet" x y s :classes (s) :missing drop)', "(forget x)"]
    again = Session(root=tmp_path)
    again.run('(load "s.gd")')
    same(again.columns, {"y": [4, 6], "s": [1, 0], "z": [7, 8]})
    session.run('(forget x y s z) (data "p q.parquet" y u) (forget y) (save "s.gd")')
    assert (tmp_path / "s.gd").read_text() == '(data "p q.parquet" u)\n'
    given = Session(root=tmp_path / "..")
    (tmp_path.parent / "given.gd").unlink(missing_ok=True)
    given.run('(save "given.gd")', data=open_data(tmp_path / "p q.parquet", "y"))
    assert (tmp_path.parent / "given.gd").read_text() == "(data y [4 5 6])\n"
