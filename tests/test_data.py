"""Tables as files and mappings give them, and the words for those that are none."""

import csv
import io
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nablisp import delimited
from nablisp.columns import Table
from nablisp.data import as_columns, read_table
from nablisp.errors import NablispError
from nablisp.limits import Budget, Limits
from nablisp.orders import row_order, split

nan, inf = np.nan, np.inf


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(params=[2**20, 4, 1], ids=["whole", "some lines", "line by line"])
def block(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are read in one block, in some, and in as many as they have lines."""
    monkeypatch.setattr(delimited, "_BLOCK", request.param)
    monkeypatch.setattr(delimited, "_CHUNK", request.param)


def table(root: Path, content: bytes, name: str = "points.csv", **options: Any) -> Table:
    (root / name).write_bytes(content)
    return read_table(root, name, **options)


def same(columns: Mapping[str, np.ndarray[Any, Any]], expected: dict[str, Any]) -> None:
    assert list(columns) == list(expected)
    for name, column in columns.items():
        assert column.dtype == np.float64
        assert column.flags.c_contiguous
        np.testing.assert_array_equal(column, np.array(expected[name], dtype=float), strict=True)


GOOD: list[tuple[bytes, dict[str, Any], dict[str, Any]]] = [
    (b"x,y\n1,2\n3,4\n", {}, {"x": [1, 3], "y": [2, 4]}),
    (b"x,y\n1,2\n3,4", {"select": ("y",)}, {"y": [2, 4]}),
    (b"x,y\n1,2", {"select": ("y", "x")}, {"y": [2], "x": [1]}),
    (b"\xef\xbb\xbfx,y\r\n1,2\r\n3,4\r\n", {}, {"x": [1, 3], "y": [2, 4]}),
    (b"x,y\r1,2\r3,4\r", {}, {"x": [1, 3], "y": [2, 4]}),
    (b"x\n1\n2\n\n\r\n\n", {}, {"x": [1, 2]}),
    (b" x ,\ty\n 1 , 2e3\t\n", {}, {"x": [1], "y": [2000]}),
    (b"x\n.5\n-1.\n+1E-3\n-0\n007\n", {}, {"x": [0.5, -1, 1e-3, -0.0, 7]}),
    (b"x\nnan\n-inf\nInfinity\n1e999\n4.9e-324\n", {}, {"x": [nan, -inf, inf, inf, 5e-324]}),
    (b'"x","y"\n"1", "2"\n3,4\n', {}, {"x": [1, 3], "y": [2, 4]}),
    ("σ,é\n1,2\n".encode(), {}, {"σ": [1], "é": [2]}),
    ("e\u0301\n1\n".encode(), {"select": ("é",)}, {"é": [1]}),
    (b"petal-length,2x,a.b\n1,2,3\n", {}, {"petal-length": [1], "2x": [2], "a.b": [3]}),
    # Of columns that are not read, only the number of cells counts.
    (b",x,x y,z,z\n0,1,a,,1_0\n1,2,\xc3\xa9,,\n", {"select": ("x",)}, {"x": [1, 2]}),
    (b'x,s\n1,"a, b"\n2,"c\r\nd\n\n"\n3,"say ""hi"""\n', {"select": ("x",)}, {"x": [1, 2, 3]}),
    (b"x,note\n1,5\" pipe\n2,b\n", {"select": ("x",)}, {"x": [1, 2]}),
]  # fmt: skip


@pytest.mark.usefixtures("block")
@pytest.mark.parametrize(("content", "options", "expected"), GOOD)
def test_csv(root: Path, content: bytes, options: dict[str, Any], expected: dict[str, Any]) -> None:
    read = table(root, content, **options)
    same(read.columns, expected)
    assert read.classes == {}
    assert read.dropped == 0


def test_tsv(root: Path) -> None:
    read = table(root, b"x\ty\ts\n1\t2\ta,b\n3\t4\t\n", "points.tsv", select=("x", "y"))
    same(read.columns, {"x": [1, 3], "y": [2, 4]})
    with pytest.raises(NablispError, match="line 3, column s: the cell is empty"):
        table(root, b"x\ts\n1\t2\n3\t\n\n", "points.tsv")


BAD: list[tuple[bytes, dict[str, Any], str, str]] = [
    # what a number is
    (b"x,y\n1,2\n3,abc\n", {}, 'points.csv line 3, column y: "abc" is not a number', ":classes y"),
    (b"x,y\n1,2\n1_0,3\n", {}, 'line 3, column x: "1_0" is not a number', "written like"),
    (b"x\n0x1f\n", {}, '"0x1f" is not a number', "written like"),
    ("x\n١\n".encode(), {}, '"١" is not a number', "written like"),
    (b'x\n"1,5"\n', {}, '"1,5" is not a number', "written like"),
    (b"x\n1 2\n", {}, '"1 2" is not a number', "written like"),
    (b"x\n" + b"1" * 99 + b"a\n", {}, '"' + "1" * 39 + '…" is not', ""),
    # what is missing
    (b"x,y\n1,\n", {}, "line 2, column y: the cell is empty", ":missing drop"),
    (b"x,y\n1,2\n n/A ,1\n", {}, 'line 3, column x: "n/A" is a missing value', ":missing drop"),
    (b"x,s\n1,\n", {"classes": ("s",)}, "line 2, column s: the cell is empty", ":missing drop"),
    (b"x\n1\n\n2\n", {}, "line 3, column x: the cell is empty", ":missing drop"),
    (b"x,y\n1,2\nNA,abc\n", {"missing": "drop"}, 'line 3, column y: "abc" is not', ""),
    # what a row is
    (b"x,y\n1,2\n3\n", {}, "line 3: 1 cell, where the header names 2", "quoted"),
    (b"x,y\n1,2\n3,4,5\n", {"select": ("x",)}, "line 3: 3 cells, where", "quoted"),
    (b"x,y\n1,2,3\n4\n", {}, "line 2: 3 cells, where", ""),
    (b"x,y\n1,2\n\n3,4\n", {}, "line 3: the line is blank", "delete"),
    (b"x,y\n1,2\n  \n", {}, "line 3", ""),
    (b'x,s\n1,"a\n\n"\n2,"b\n3,c\n', {"select": ("x",)}, "line 5: a quoted cell does not end", ""),
    (b'x,s\n1,"a" b\n', {"select": ("x",)}, "line 2: a quoted cell does not end, or goes on", ""),
    (b'x,s\n1,"a\nb"\n2\n', {"select": ("x",)}, "line 4: 1 cell, where the header names 2", ""),
    # what a header is
    (b"", {}, "line 1: there is no header", ""),
    (b"\n1,2\n", {}, "line 1: there is no header", ""),
    (b"1,2\n3,4\n", {}, "line 1: numbers, where a header", "x,y"),
    (b"x,y\n", {}, "points.csv: it has no rows", ""),
    (b"x,y\n\n\n", {}, "points.csv: it has no rows", ""),
    (b"x,,y\n1,2,3\n", {}, "column 2: a column without a name", "columns to read"),
    (b"x,y,x\n1,2,3\n", {}, "another column is named x", "rename"),
    ("é,e\u0301\n1,2\n".encode(), {}, "another column is named é", "rename"),
    (b"x,petal length\n1,2\n", {}, 'line 1, column 2: "petal length" cannot name', "rename"),
    (b"x,inf\n1,2\n", {}, 'column 2: "inf" cannot name', "rename"),
    (b"x,y;z\n1,2\n", {}, 'column 2: "y;z" cannot name', "separated by commas"),
    (b"x,(d x)\n1,2\n", {}, '"(d x)" cannot name', "rename"),
    (b'"x\ny",z\n1,2\n', {}, "line 1: a quoted name does not end", ""),
    (b"x,y\n1,2\n", {"select": ("Y",)}, "points.csv: there is no column Y", "did you mean y?"),
    (b"x,y\n1,2\n", {"classes": ("qqqqq",)}, "there is no column qqqqq", "its columns: x y"),
    # what a text is
    (b"x\n1\n\xff\n", {}, "line 3: bytes that are no UTF-8", "UTF-8"),
    (b"x,s\r1,\xe9\r", {"select": ("x",)}, "line 2: bytes that are no UTF-8", "UTF-8"),
    ("x\n1\n".encode("utf-16"), {}, "line 1: bytes that are no UTF-8", "UTF-16"),
    (b"x,s\n1,a\n2,\0\n", {"select": ("x",)}, "line 3: bytes that are no UTF-8", "UTF-16"),
]  # fmt: skip


@pytest.mark.usefixtures("block")
@pytest.mark.parametrize(("content", "options", "words", "hint"), BAD)
def test_no_csv(root: Path, content: bytes, options: dict[str, Any], words: str, hint: str) -> None:
    with pytest.raises(NablispError) as caught:
        table(root, content, **options)
    assert caught.value.kind == "data"
    assert words in caught.value.message
    assert hint in caught.value.hint


@pytest.mark.usefixtures("block")
def test_dropped(root: Path) -> None:
    content = b"x,s,note\n1,b,\nNA,z,1\n2,None,1\n,,\n3,a,\n\n4, b ,\n"
    read = table(
        root, content.replace(b"\n\n", b"\n"), select=("x",), classes=("s",), missing="drop"
    )
    same(read.columns, {"x": [1, 3, 4], "s": [1, 0, 1]})
    assert read.classes == {"s": ("a", "b")}  # z stands in a dropped row only
    assert read.dropped == 3
    read = table(root, b"x\n1\n\n2\n", missing="drop")
    same(read.columns, {"x": [1, 2]})
    assert read.dropped == 1
    with pytest.raises(NablispError, match="each of its rows"):
        table(root, b"x\nNA\n", missing="drop")


@pytest.mark.usefixtures("block")
def test_classes(root: Path) -> None:
    content = 'x,species,k\n1,"virginica",10\n2,setosa,b\n3,É,9\n4,setosa,9\n'.encode()
    read = table(root, content, classes=("species", "k"))
    same(read.columns, {"x": [1, 2, 3, 4], "species": [1, 0, 2, 0], "k": [1, 2, 0, 0]})
    assert read.classes == {"species": ("setosa", "virginica", "É"), "k": ("9", "10", "b")}


numbers = st.floats(allow_nan=True, allow_infinity=True)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(numbers, st.text(st.sampled_from('ab,"\n é')), numbers), min_size=1),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
    st.sampled_from(["\n", "\r\n"]),
    st.integers(1, 80),
)
def test_written_csv_reads_back_bit_for_bit(
    root: Path, rows: list[tuple[float, str, float]], quoting: Any, end: str, block: int
) -> None:
    text = io.StringIO()
    csv.writer(text, quoting=quoting, lineterminator=end).writerows([("x", "s", "y"), *rows])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(delimited, "_BLOCK", block)
        patch.setattr(delimited, "_CHUNK", block)
        read = table(root, text.getvalue().encode(), select=("x", "y"))
    for name, i in (("x", 0), ("y", 2)):
        expected = np.array([float(repr(row[i])) for row in rows])
        assert read.columns[name].tobytes() == expected.tobytes()


cells = st.text(st.sampled_from("0123456789.-+eE_ \t\xa0\x1c\v'#x²naif")) | numbers.map(repr)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(cells, cells), min_size=1, max_size=3), st.sampled_from([None, ("y",)]))
def test_both_readers_agree(root: Path, rows: list[tuple[str, str]], select: Any) -> None:
    content = "x,y\n" + "".join(f"{x},{y}\n" for x, y in rows)

    def outcome() -> Any:
        try:
            columns = table(root, content.encode(), select=select).columns
        except NablispError as error:
            return str(error)
        return [(name, column.tobytes()) for name, column in columns.items()]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(delimited._Csv, "packed", lambda *_: None)
        closely = outcome()
    assert outcome() == closely


def npy(array: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def npz(**arrays: Any) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


MATRIX = np.arange(6).reshape(3, 2)
RECORDS = np.array([(1, 2.5), (3, 4.5)], dtype=[("x", "i4"), ("y", ">f4")])


@pytest.mark.parametrize(
    ("name", "content", "select", "expected"),
    [
        ("xs.npy", npy([1.5, 2]), None, {"xs": [1.5, 2]}),
        ("xs.npy", npy([True, False]), ("x",), {"x": [1, 0]}),
        ("xs.npy", npy(np.array([1, 2], ">i2")), None, {"xs": [1, 2]}),
        ("xs.npy", npy(MATRIX), None, {"xs": MATRIX}),
        ("xs.npy", npy(MATRIX), ("x",), {"x": MATRIX}),
        ("xs.npy", npy(np.asfortranarray(MATRIX)), ("x", "y"), {"x": [0, 2, 4], "y": [1, 3, 5]}),
        ("xs.npy", npy([[1], [2]]), ("x",), {"x": [1, 2]}),
        ("xs.npy", npy(np.zeros((2, 3, 4))), None, {"xs": np.zeros((2, 3, 4))}),
        ("xs.npy", npy(RECORDS), None, {"x": [1, 3], "y": [2.5, 4.5]}),
        ("xs.npy", npy(RECORDS), ("y",), {"y": [2.5, 4.5]}),
        ("d.npz", npz(x=[1, 2, 3], X=MATRIX), None, {"x": [1, 2, 3], "X": MATRIX}),
        ("d.npz", npz(x=[1, 2], s=["a", "b"], z=[1]), ("x",), {"x": [1, 2]}),
    ],
)
def test_numpy_files(root: Path, name: str, content: bytes, select: Any, expected: Any) -> None:
    same(table(root, content, name, select=select).columns, expected)


@pytest.mark.parametrize(
    ("name", "content", "options", "words"),
    [
        ("xs.npy", npy(MATRIX), {"select": ("x", "y", "z")}, "3 names for an array of shape"),
        ("xs.npy", npy(RECORDS), {"select": ("z",)}, "there is no column z"),
        ("xs.npy", npy(5.0), {}, "column xs is one number"),
        ("xs.npy", npy([]), {}, "it has no rows"),
        ("xs.npy", npy([1j]), {}, "column xs holds complex numbers, not numbers"),
        ("xs.npy", npy(["a"]), {}, "holds text"),
        ("xs.npy", npy(np.array([{}])), {}, "damaged file, or one of Python objects"),
        ("xs.npy", npy([1.0]), {"classes": ("xs",)}, "only a CSV file has text columns"),
        ("2 x.npy", npy([1.0]), {}, "'2 x' cannot name a column"),
        ("xs.npy", b"no such thing", {}, "damaged"),
        ("d.npz", b"no such thing", {}, "damaged"),
        ("d.npz", npz(), {}, "it has no rows"),
        ("d.npz", npz(x=[1], y=[1, 2]), {}, "d.npz: column x has 1 rows, and column y has 2"),
        ("d.npz", npz(x=[1]), {"select": ("X",)}, "there is no column X"),
    ],
)  # fmt: skip
def test_no_numpy_file(root: Path, name: str, content: bytes, options: Any, words: str) -> None:
    with pytest.raises(NablispError) as caught:
        table(root, content, name, **options)
    assert words in caught.value.message


def test_damaged_numpy_files_are_errors(root: Path) -> None:
    whole = {"d.npz": npz(x=[1.0, 2]), "d.npy": npy([1.0, 2])}
    for name, content in whole.items():
        for end in range(0, len(content), 3):
            with pytest.raises(NablispError):
                table(root, content[:end], name)
    huge = npy([1.0, 2]).replace(b"(2,)", b"(9999999999,)").replace(b" " * 10 + b"\n", b"\n")
    with pytest.raises(NablispError, match="damaged"):
        table(root, huge[:8] + struct.pack("<H", huge.index(b"\n") - 9) + huge[10:], "d.npy")


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("points.parquet", "file", "there is no file"),
        ("points.arrow", "file", "there is no file"),
        ("points.xlsx", "file", ".csv .tsv .npy .npz"),
        ("points", "file", ".csv .tsv .npy .npz"),
        ("../points.csv", "file", "leads upwards"),
    ],
)
def test_other_files(root: Path, name: str, kind: str, words: str) -> None:
    with pytest.raises(NablispError) as caught:
        read_table(root, name)
    assert caught.value.kind == kind
    assert words in str(caught.value)


def test_budget(root: Path) -> None:
    def budget() -> Budget:
        return Budget(Limits(bytes=1000))

    for name, content in (
        ("x.csv", b"x,y\n" + b"1,2\n" * 63),
        ("x.npz", npz(x=np.zeros(126, np.int8))),
        ("x.npy", npy(np.zeros(126))),
    ):
        with pytest.raises(NablispError, match="over the limit of 1,000") as caught:
            table(root, content, name, budget=budget())
        assert caught.value.kind == "limit"
    with pytest.raises(NablispError, match="1,000,128 bytes"):  # before it is unpacked
        table(root, npz(x=np.zeros(10**6, np.int8)), "x.npz", budget=budget())
    with pytest.raises(NablispError, match="over the limit of 1,000"):
        as_columns({"x": np.zeros(126, np.int8)}, budget=budget())
    same(
        table(root, b"x,y\n" + b"1,2\n" * 62, budget=budget()).columns,
        {"x": [1] * 62, "y": [2] * 62},
    )


class Frame:
    """What pandas and polars have in common."""

    columns = ("x", "y")

    def __getitem__(self, name: str) -> Any:
        return {"x": [1, 2], "y": range(2)}[name]


def test_as_columns() -> None:
    given = np.array([1.5, 2])
    columns = as_columns({"x": given, "e\u0301": (True, False), "X": [[1, 2], [3, 4]]})
    same(columns, {"x": [1.5, 2], "é": [1, 0], "X": [[1, 2], [3, 4]]})
    assert np.shares_memory(columns["x"], given)
    assert not columns["x"].flags.writeable
    assert given.flags.writeable
    same(as_columns(Frame()), {"x": [1, 2], "y": [0, 1]})
    same(as_columns({"x": np.arange(6)[::2]}), {"x": [0, 2, 4]})


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"x": 1.0}, "column x is one number"),
        ({"x": [[1], [1, 2]]}, "column x is no array of numbers: its entries differ in shape"),
        ({"x": ["a"]}, "column x holds text, not numbers"),
        ({"x": [1j]}, "holds complex numbers"),
        ({"x": [1, None]}, "column x holds nothing in row 1, not numbers"),
        ({"x": np.array(["2020-01-01"], "M8[D]")}, "holds dates"),
        ({"x": np.ma.array([1, 2], mask=[False, True])}, "column x has masked entries"),
        ({"x": [1, 2], "y": [1]}, "column x has 2 rows, and column y has 1"),
        ({1: [1]}, "1 cannot name a column"),
        ({"a b": [1]}, "'a b' cannot name a column"),
        ({"": [1]}, "'' cannot name a column"),
        ({"x;": [1]}, "cannot name a column"),
        ({"3": [1]}, "cannot name a column"),
        ({"\ufeffx": [1]}, "cannot name a column"),
        ({"é": [1], "e\u0301": [1]}, "two columns are named é"),
        ([1, 2], "not as list"),
    ],
)
def test_no_columns(columns: Any, words: str) -> None:
    with pytest.raises(NablispError) as caught:
        as_columns(columns)
    assert caught.value.kind == "data"
    assert words in caught.value.message


def test_row_order() -> None:
    assert row_order(8, 1, 0).tolist() == [3, 5, 2, 7, 0, 6, 1, 4]
    assert row_order(8, 1, 1).tolist() == [0, 6, 5, 3, 4, 7, 2, 1]
    for rows in (0, 1, 2, 3, 1000, 1025):
        assert sorted(row_order(rows, 7, 3)) == list(range(rows))
    keys = [(seed, epoch) for seed in (0, 1, 9, 2**64 - 1) for epoch in (0, 1, 9)]
    assert len({tuple(row_order(9, *key)) for key in keys}) == len(keys)
    # Each of the 6 orders of 3 rows comes in one epoch of 6: a chi-squared of 5 degrees of freedom.
    orders = [row_order(3, 5, epoch) for epoch in range(1200)]
    counts = np.unique(orders, axis=0, return_counts=True)[1]
    assert ((counts - 200) ** 2 / 200).sum() < 20


def test_split() -> None:
    train, held = split(10, 0.25, seed=1)
    assert held.tolist() == [3, 6]
    assert sorted([*train, *held]) == list(range(10))
    assert train.tolist() == sorted(train)
    assert split(2, 0.5, seed=0)[0].shape == (1,)
    for rows, fraction in ((10, 0.04), (10, 0.96), (1, 0.5), (0, 0.5), (9, nan), (9, -1), (9, 2)):
        with pytest.raises(NablispError, match="each side needs a row"):
            split(rows, fraction, seed=1)
