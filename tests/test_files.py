"""What may be opened under a root, and the words for what may not."""

import os
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nablisp.errors import NablispError
from nablisp.files import open_file, replace_file, resolve, write_file

MODES = ("reads", "writes")
posix = pytest.mark.skipif(os.name != "posix", reason="links, pipes and devices as POSIX has them")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with a file, a folder and links in it, and a file outside it."""
    folder = tmp_path / "root"
    (folder / "data").mkdir(parents=True)
    (folder / "points.csv").write_bytes(b"\xef\xbb\xbfx\n1\n")
    (folder / "data" / "deep.csv").write_text("y\n2\n")
    (tmp_path / "secret.csv").write_text("z\n3\n")
    return folder


def refusal(root: Path | None, name: str, mode: str = "reads") -> NablispError:
    with pytest.raises(NablispError) as caught:
        if mode == "reads":
            open_file(root, name, "rb").close()
        else:
            write_file(root, name, b"stolen", None)
    assert caught.value.kind == "file"
    return caught.value


def test_reads(root: Path) -> None:
    with open_file(root, "points.csv", "rb") as file:
        assert file.read() == b"\xef\xbb\xbfx\n1\n"
        assert not os.get_inheritable(file.fileno())
    with open_file(root, "points.csv", "r") as file:
        assert file.read() == "x\n1\n"
    with open_file(root, "data/deep.csv", "r") as file:
        assert file.read() == "y\n2\n"
    assert resolve(root, "data/new.csv") == root.resolve() / "data" / "new.csv"


def test_writes(root: Path) -> None:
    for data in (b"a long line\n", b"ab\n", b""):
        write_file(root, "data/out.gd", data, None)
        assert (root / "data" / "out.gd").read_bytes() == data
    assert sorted(path.name for path in (root / "data").iterdir()) == ["deep.csv", "out.gd"]


@posix
def test_writing_keeps_permissions_and_parts_from_other_names(root: Path) -> None:
    own = root / "points.csv"
    own.chmod(0o640)
    (root.parent / "same.csv").hardlink_to(own)
    write_file(root, "points.csv", b"x\n2\n", None)
    assert stat.S_IMODE(own.stat().st_mode) == 0o640
    assert (root.parent / "same.csv").read_bytes() == b"\xef\xbb\xbfx\n1\n"


@posix
def test_what_is_half_written_stays_where_its_writer_lives(root: Path) -> None:
    """A part of a process that was killed is swept; one that is being written is not."""
    (root / f"a.ckpt.{'0' * 16}.part").write_bytes(b"of one killed")
    (root / f"a.ckpt.{'1' * 16}.part").symlink_to("points.csv")  # never one of ours

    def pieces() -> Iterator[bytes]:
        yield b"half "
        code = f"from nablisp.files import sweep, Path; sweep(Path({str(root)!r}), 'a.ckpt')"
        subprocess.run([sys.executable, "-c", code], check=True)
        assert len(list(root.glob("a.ckpt.*.part"))) == 2
        yield b"and half"

    replace_file(root, "a.ckpt", pieces())
    assert (root / "a.ckpt").read_bytes() == b"half and half"


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("../secret.csv", "leads upwards by .."),
        ("data/../../secret.csv", "leads upwards by .."),
        ("data\\..\\..\\secret.csv", "leads upwards by .."),
        ("/points.csv", "is an absolute path"),
        ("\\\\host\\share\\x.csv", "is an absolute path"),
        ("C:x.csv", "is an absolute path"),
        ("https://example.org/x.csv", "is an address"),
        ("file:/points.csv", "is an address"),
        ("", "is no name"),
        ("x\0.csv", "is no name"),
        ("x\n.csv", "is no name"),
        ("\x1b[31m.csv", "is no name"),
        ("\u2028", "is no name"),
        ("\ud800.csv", "is no name"),
        ("x" * 5000, "too long"),
        ("points.csv/x", "not a directory"),
        ("data", "is a folder"),
        (".", "is a folder"),
        ("dat/deep.csv", 'there is no folder "dat"'),
    ],
)
def test_refused(root: Path, name: str, words: str, mode: str) -> None:
    assert words in refusal(root, name, mode).message
    assert (root.parent / "secret.csv").read_text() == "z\n3\n"


def test_no_root() -> None:
    assert "may not open files" in refusal(None, "points.csv").message


def test_root_gone(root: Path) -> None:
    assert "folder" in refusal(root / "none", "points.csv").message


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("pionts.csv", 'did you mean "points.csv"?'),
        ("data/depe.csv", 'did you mean "deep.csv"?'),
        ("dta/deep.csv", 'did you mean "data"?'),
        ("qqq", "data/points.csv"),
    ],
)
def test_missing_names_the_nearest(root: Path, name: str, hint: str) -> None:
    assert hint in refusal(root, name).hint


@posix
def test_links(root: Path) -> None:
    (root / "inside.csv").symlink_to("data/deep.csv")
    with open_file(root, "inside.csv", "r") as file:
        assert file.read() == "y\n2\n"
    links = {"out.csv": "../secret.csv", "new.csv": "../new.csv", "up": "..", "circle": "circle"}
    for name, target in links.items():
        (root / name).symlink_to(target)
    for mode in MODES:
        for name in ("out.csv", "new.csv", "up/secret.csv"):
            assert "leads out" in refusal(root, name, mode).message
        refusal(root, "circle", mode)
    assert not (root.parent / "new.csv").exists()
    linked = root.parent / "linked"
    linked.symlink_to(root)
    open_file(linked, "points.csv", "r").close()  # the root itself may be a link


@posix
def test_pipes_and_sockets(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(root / "pipe.csv")
    monkeypatch.chdir(root)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("plug")
        for mode in MODES:
            assert "is a pipe" in refusal(root, "pipe.csv", mode).message
            assert "is a socket" in refusal(root, "plug", mode).message


@posix
def test_what_changes_between_the_check_and_the_opening(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(root / "pipe.csv")
    (root / "way.csv").symlink_to("../secret.csv")
    (root / "up").symlink_to("..")
    resolved, regular = Path.resolve, (root / "points.csv").lstat()

    def before(path: Path, strict: bool = False) -> Path:
        return resolved(path, strict) if path == root else path

    monkeypatch.setattr(Path, "resolve", before)
    monkeypatch.setattr(Path, "lstat", lambda _: regular)
    for mode in MODES:
        for name in ("way.csv", "up/secret.csv", "pipe.csv"):
            refusal(root, name, mode)
    assert (root.parent / "secret.csv").read_text() == "z\n3\n"


@posix
def test_devices() -> None:
    assert "is a device" in refusal(Path("/dev"), "null").message
    assert "is a device" in refusal(Path("/dev"), "zero", "writes").message


@posix
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read all")
def test_no_permission(root: Path) -> None:
    (root / "points.csv").chmod(stat.S_IWUSR)
    assert "permission denied" in refusal(root, "points.csv").message
