"""Tricks against the walls around files, played in a process whose every step is audited.

Run as a program with a folder to play in, it prints one JSON object for each trick: what became of
it, and what the process did beyond its walls. `test_walls.py` reads them.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import sys
import sysconfig
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from nablisp import Limits, NablispError, Session
from nablisp.printer import string

SECRET = 7771
Setup = Callable[[Path], object]

# ---- the ways a program touches a file -----------------------------------------------------------

READS = {
    "data.csv": '(data "NAME") (val (sum x))',
    "data.npz": '(data "NAME") (val (sum x))',
    "data.parquet": '(data "NAME") (val (sum x))',
    "load.gd": '(load "NAME")',
}
WRITES = {
    "save.gd": '(param x 1) (save "NAME")',
    "export.py": '(export x :to "NAME")',
    "plot.svg": '(plot (sin x) :over (x 0 1) :to "NAME")',
    "animate.gif": '(param x 1) (animate (train (* x x) :steps 3) :to "NAME")',
    "report.html": '(report (sin x) :to "NAME")',
    "checkpoint.ckpt": '(param x 1) (train (* x x) :steps 3 :checkpoint "NAME")',
}
WAYS = READS | WRITES


def ending(way: str) -> str:
    return way[way.index(".") :]


def program(way: str, name: str) -> str:
    return WAYS[way].replace('"NAME"', string(name))


def fill(folder: Path, stem: str, number: int) -> None:
    """A file for each way, that a program could read or write over."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    (folder / f"{stem}.csv").write_text(f"x\n{number}\n")
    np.savez(folder / f"{stem}.npz", x=np.array([number], float))
    pq.write_table(pa.table({"x": [float(number)]}), folder / f"{stem}.parquet")
    (folder / f"{stem}.gd").write_text(f"(define leaked {number}) leaked")
    for way in WRITES:
        if ending(way) != ".gd":
            (folder / f"{stem}{ending(way)}").write_text(f"{number}")


# ---- names ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Name:
    """A name with `*` for the ending of each way; what is made ready; may it be read or written?"""

    text: str
    ready: Callable[[Path, str], object] = lambda root, e: None
    reads: bool = False
    writes: bool | None = False
    """None: where it can be, the file is inside"""


def linked(text: str, target: str) -> Callable[[Path, str], object]:
    def ready(root: Path, e: str) -> None:
        path = root / text.replace("*", e)
        path.parent.mkdir(exist_ok=True)
        path.symlink_to(target.replace("*", e))

    return ready


def both(*parts: Callable[[Path, str], object]) -> Callable[[Path, str], object]:
    return lambda root, e: [part(root, e) for part in parts]


def plug(root: Path, e: str) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        here = Path.cwd()
        os.chdir(root)  # its name may have a hundred characters
        server.bind(f"plug{e}")
        os.chdir(here)


def device(root: Path, e: str) -> None:
    import stat

    try:
        os.mknod(root / f"null{e}", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    except OSError:  # not for everyone: a name that is not there then
        (root / f"null{e}").mkdir()


NAMES = {
    "upwards": Name("../outside/secret*"),
    "down and up": Name("data/../../outside/secret*"),
    "up to the root itself": Name("data/../inside*"),
    "absolute": Name("{outside}/secret*"),
    "two slashes": Name("//{outside}/secret*"),
    "home": Name("~/secret*"),
    "variable": Name("$HOME/secret*"),
    "percent": Name("%2e%2e/outside/secret*"),
    "backslashes": Name("..\\outside\\secret*"),
    "drive": Name("C:secret*"),
    "drive, absolute": Name("C:\\outside\\secret*"),
    "share": Name("\\\\host\\share\\secret*"),
    "long path of Windows": Name("\\\\?\\C:\\secret*"),
    "file address": Name("file://{outside}/secret*"),
    "web address": Name("http://127.0.0.1:9/secret*"),
    "address of another kind": Name("s3://bucket/secret*"),
    "NUL": Name("inside*\0.csv"),
    "NUL and an ending": Name("../outside/secret\0*"),
    "line": Name("new\nline*"),
    "escape": Name("\x1b]0;title\x07*"),
    "right to left": Name("gpj.\u202e*", writes=None),
    "points after dots": Name(".../secret*"),
    "dots and a blank": Name(".. /outside/secret*"),
    "dots in full width": Name("\uff0e\uff0e/outside/secret*"),
    "slash in full width": Name("..\uff0foutside\uff0fsecret*", writes=None),
    "blank after": Name("inside* ", writes=None),
    "point after": Name("inside*.", writes=None),
    "long": Name("x" * 5000 + "*"),
    "deep": Name("d/" * 2000 + "x*"),
    "empty": Name(""),
    "point": Name("."),
    "slash": Name("/"),
    "folder": Name("data"),
    "folder with an ending": Name("like*", lambda root, e: (root / f"like{e}").mkdir()),
    "in a file": Name("inside*/x*"),
    "other case": Name("INSIDE*", writes=None),
    "memory": Name("/proc/self/mem"),
    "root of the process": Name("/proc/self/root{outside}/secret*"),
    "standard input": Name("/dev/stdin"),
    "descriptor": Name("/dev/fd/0"),
    "link out": Name("way*", linked("way*", "../outside/secret*")),
    "absolute link out": Name("way*", lambda root, e: (root / f"way{e}").symlink_to(
        root.parent / "outside" / f"secret{e}")),
    "link to a folder": Name("up/secret*", linked("up", "../outside")),
    "link on the way": Name("data/up/outside/secret*", linked("data/up", "../..")),
    "chain of links": Name("a*", both(
        linked("a*", "b*"), linked("b*", "c*"), linked("c*", "../outside/secret*"))),
    "loop of links": Name("a*", both(linked("a*", "b*"), linked("b*", "a*"))),
    "link to nothing outside": Name("way*", linked("way*", "../outside/new*")),
    "link to nothing inside": Name("way*", linked("way*", "new*"), writes=True),
    "link inside": Name("way*", linked("way*", "inside*"), reads=True, writes=True),
    "link to the memory": Name("way*", linked("way*", "/proc/self/mem")),
    "link to the process": Name("self/root/etc/passwd", linked("self", "/proc/self")),
    "link to standard input": Name("way*", linked("way*", "/dev/stdin")),
    "hard link": Name("same*", lambda root, e: (root / f"same{e}").hardlink_to(
        root.parent / "outside" / f"secret{e}"), reads=True, writes=True),
    "pipe": Name("pipe*", lambda root, e: os.mkfifo(root / f"pipe{e}")),
    "link to a pipe": Name("way*", both(
        lambda root, e: os.mkfifo(root / f"pipe{e}"), linked("way*", "pipe*"))),
    "socket": Name("plug*", plug),
    "device": Name("null*", device),
}  # fmt: skip

QUICK = ("data.csv", "load.gd", "save.gd", "export.py", "checkpoint.ckpt")
EVERYWHERE = ("upwards", "link out", "link to a folder", "link inside")
"""Names that are tried in every way, those that draw included; others in the quick ones."""


# ---- what is played ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Trick:
    """A program in a folder made ready, and what may come of it: `refused`, `done`, or either."""

    name: str
    text: str
    may: str
    ready: Setup = field(default=lambda root: None, repr=False)
    swap: Setup | None = field(default=None, repr=False)
    """done by somebody else when the root is opened: after every check, before every use"""
    root: str | None = "root"
    tells: bool = False
    """may it show the secret? a hard link is the file"""


def by_name(way: str, label: str, name: Name, outside: Path) -> Trick:
    text = name.text.replace("{outside}", str(outside)).replace("*", ending(way))
    reads = way in READS
    fine = name.reads if reads else name.writes
    may = "either" if fine is None else "done" if fine else "refused"
    if way == "checkpoint.ckpt" and may == "done" and not label.endswith("nothing inside"):
        may = "refused"  # what lies there is no checkpoint
    ready: Setup = lambda root: name.ready(root, ending(way))  # noqa: E731
    return Trick(f"{label}, {way}", program(way, text), may, ready, tells=label == "hard link")


def swapped(way: str) -> Iterable[Trick]:
    e = ending(way)

    def file(root: Path) -> None:
        (root / f"inside{e}").unlink()
        (root / f"inside{e}").symlink_to(f"../outside/secret{e}")

    def folder(root: Path) -> None:
        shutil.rmtree(root / "data")
        (root / "data").symlink_to("../outside")

    yield Trick(f"file swapped, {way}", program(way, f"inside{e}"), "either", swap=file)
    yield Trick(f"folder swapped, {way}", program(way, f"data/secret{e}"), "either", swap=folder)


def others() -> Iterable[Trick]:
    def write(name: str, data: str | bytes) -> Setup:
        def ready(root: Path) -> None:
            (root / name).parent.mkdir(exist_ok=True)
            (root / name).write_bytes(data.encode() if isinstance(data, str) else data)

        return ready

    def external(root: Path) -> None:
        import pyarrow.parquet as pq

        known = pq.read_metadata(root.parent / "outside" / "secret.parquet")
        known.set_file_path("../outside/secret.parquet")
        known.write_metadata_file(root / "meta.parquet")

    def objects(root: Path) -> None:
        np.save(root / "objects.npy", np.array([partial(os.system, "true")], object))

    def huge(root: Path) -> None:
        head = np.lib.format.magic(1, 0) + b"\x76\x00"
        fields = "{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }"
        (root / "huge.npy").write_bytes(head + fields.ljust(117).encode() + b"\n")

    def zipped(root: Path) -> None:
        import zipfile

        with zipfile.ZipFile(root / "z.npz", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.write(root.parent / "outside" / "secret.npz", "../outside/x.npy")

    def bomb(root: Path) -> None:
        import zipfile

        with zipfile.ZipFile(root / "z.npz", "w", zipfile.ZIP_DEFLATED) as archive:
            np.save(root / "x.npy", np.zeros(1))
            data = (root / "x.npy").read_bytes().replace(b"(1,)", b"(99999999,)")
            archive.writestr("x.npy", data[:128] + bytes(40_000_000))

    def dataset(root: Path) -> None:
        (root / "set").mkdir()
        (root / "set" / "a.parquet").symlink_to("../../outside/secret.parquet")

    def modules(root: Path) -> None:
        for name in ("numpy", "pyarrow", "matplotlib", "sitecustomize", "nablisp"):
            (root / f"{name}.py").write_text("raise SystemExit('imported')")
        (root / "matplotlibrc").write_text("backend: module://evil")

    def old(root: Path) -> None:
        (root / "run.ckpt.old").symlink_to("../outside/secret.ckpt")

    def part(root: Path) -> None:
        (root / f"run.ckpt.{'0' * 16}.part").symlink_to("../outside/secret.ckpt")

    train = '(param x 1) (train (* x x) :steps 3 :checkpoint "run.ckpt")'
    twice = train + ' (reset) (train (* x x) :steps 3 :checkpoint "run.ckpt")'
    yield Trick("no root", '(data "inside.csv")', "refused", root=None)
    yield Trick("no root to write", '(save "inside.gd")', "refused", root=None)
    yield Trick("the root is a link", '(data "inside.csv") (val (sum x))', "done", root="linked")
    yield Trick("the root is gone", '(data "inside.csv")', "refused", root="gone")
    yield Trick("the root is a file", '(data "inside.csv")', "refused", root="outside/secret.csv")
    yield Trick("the root vanishes", '(data "inside.csv")', "refused", swap=shutil.rmtree)
    yield Trick("the root vanishes, written", '(save "x.gd")', "refused", swap=shutil.rmtree)
    yield Trick("loads itself", '(load "a.gd")', "refused", write("a.gd", '(load "a.gd")'))
    yield Trick(
        "loads itself by another name", '(load "a.gd")', "refused", write("a.gd", '(load "./a.gd")')
    )
    yield Trick(
        "loaded from a folder",
        '(load "s/a.gd")',
        "refused",
        write("s/a.gd", '(load "../outside/secret.gd")'),
    )
    yield Trick(
        "loaded, then upwards",
        '(load "s/a.gd")',
        "refused",
        write("s/a.gd", '(load "../../outside/secret.gd")'),
    )
    yield Trick("load of what is no text", '(load "a.gd")', "refused", write("a.gd", b"\xff\xfe("))
    yield Trick("plot with a strange ending", '(plot (sin x) :over (x 0 1) :to "a.sh")', "refused")
    yield Trick("plot with two endings", '(plot (sin x) :over (x 0 1) :to "a.svg.exe")', "refused")
    yield Trick("export with a strange ending", '(export x :to "a.sh")', "refused")
    yield Trick("compressed", '(data "a.csv.gz")', "refused", write("a.csv.gz", b"\x1f\x8b"))
    yield Trick(
        "named like a pickle", '(data "a.pkl")', "refused", write("a.pkl", b"cos\nsystem\n")
    )
    yield Trick(
        "a pickle that is named npz",
        '(data "a.npz")',
        "refused",
        write("a.npz", b"cos\nsystem\n(S'true'\ntR."),
    )
    yield Trick("objects in an array", '(data "objects.npy")', "refused", objects)
    yield Trick("an array that says it is huge", '(data "huge.npy")', "refused", huge)
    yield Trick("upwards in an archive", '(data "z.npz")', "refused", zipped)
    yield Trick("a bomb in an archive", '(data "z.npz")', "refused", bomb)
    yield Trick(
        "Parquet that lies elsewhere", '(data "meta.parquet") (val (sum x))', "refused", external
    )
    yield Trick("a folder with a link out", '(data "set") (val (sum x))', "refused", dataset)
    yield Trick(
        "modules in the folder",
        READS["data.parquet"].replace("NAME", "inside.parquet")
        + ' (plot (sin u) :over (u 0 1) :to "a.svg")',
        "done",
        modules,
    )
    yield Trick("a link in the place of .old", train, "refused", old)
    yield Trick("a link in the place of .old, later", twice, "either", swap=old)
    yield Trick("a link in the place of .part", train, "done", part)
    yield Trick(
        "a line of 20 MB", '(data "a.csv")', "refused", write("a.csv", "x\n" + 20_000_000 * "1")
    )
    for name in (
        "__import__",
        "eval",
        "exec",
        "open",
        "getattr",
        "globals",
        "os.system",
        "__builtins__",
        "import",
        "__class__",
        "subprocess",
    ):
        yield Trick(f"calls {name}", f'({name} "os")', "refused")
    yield Trick("attributes", "(get (lambda (x) x) :__globals__)", "refused")
    yield Trick(
        "attributes of a result", "(param x 1) (get (train (* x x) :steps 1) :__class__)", "refused"
    )
    yield Trick("attributes as a backend", "(param x 1) (train (* x x) :backend os)", "refused")
    yield Trick(
        "attributes as an optimizer", "(param x 1) (train (* x x) :by __class__)", "refused"
    )
    yield Trick("fields in a title", '(print "{0.__class__} %s") (plot (sin u) :over (u 0 1) '
                ':title "{0.__class__} %(x)s $\\\\input{x}$" :to "a.svg")', "done")  # fmt: skip


# ---- the audit -----------------------------------------------------------------------------------

_NEVER = (
    "subprocess", "socket", "ctypes.dlopen", "os.system", "os.exec", "os.posix_spawn", "os.spawn",
    "os.fork", "pty.", "shutil.", "tempfile.", "glob.", "webbrowser", "urllib", "http.", "ftplib",
    "smtplib", "os.kill", "os.chdir", "os.putenv", "os.link", "os.symlink", "os.mkdir", "os.rmdir",
    "os.chown", "os.chflags", "pickle.", "code.", "builtins.input",
)  # fmt: skip
_INSTALLED = tuple(
    os.path.realpath(path)
    for path in {*sysconfig.get_paths().values(), sys.base_prefix, sys.prefix,
                 str(Path(sys.modules["nablisp"].__file__ or "").parent)}
)  # fmt: skip
_KNOWN = sys.stdlib_module_names | {
    "nablisp", "numpy", "pyarrow", "matplotlib", "mpl_toolkits", "PIL", "pygments", "llvmlite",
    "plotext", "cycler", "kiwisolver", "contourpy", "packaging", "dateutil", "fontTools",
    "pyparsing", "pandas", "cramjam",
}  # fmt: skip


class Audit:
    """Notes what the process does while a trick is played that a session may not."""

    def __init__(self) -> None:
        self.root: Path | None = None
        self.found: list[str] = []
        self.swap: Setup | None = None
        self.swaps = 0
        sys.addaudithook(self.heard)

    def heard(self, event: str, given: tuple[Any, ...]) -> None:
        if (root := self.root) is None:
            return
        if self.swap is not None and event == "open" and given[0] == str(root):
            self.root, swap, self.swap = None, self.swap, None
            swap(root)
            self.swaps += 1
            self.root = root
        if not self.allowed(event, given, str(root)):
            self.found.append(f"{event} {given[:3]!r}"[:300])

    def allowed(self, event: str, given: tuple[Any, ...], root: str) -> bool:
        match event, given:
            case "open", (path, _, flags):
                return self.opened(path, flags or 0, root)
            case (("os.listdir" | "os.scandir"), (path,)):
                return isinstance(path, int) or self.within(path, root)
            case "os.rename", (old, new, a, b):
                return all(self.beside(*pair) for pair in ((old, a), (new, b)))
            case (("os.remove" | "os.truncate" | "os.chmod" | "os.utime"), (path, *_, number)):
                return isinstance(path, int) or self.beside(path, number)
            case "import", (name, *_):
                return str(name).partition(".")[0] in _KNOWN
        return not event.startswith(_NEVER)

    def opened(self, path: object, flags: int, root: str) -> bool:
        """By number; step by step from the root on, past no link; or what is installed, to read."""
        if isinstance(path, int):
            return True
        if self.within(path, root):
            return bool(flags & os.O_NOFOLLOW) or os.fspath(path) == root  # type: ignore[call-overload]
        if not flags & (os.O_WRONLY | os.O_RDWR) and any(self.within(path, p) for p in _INSTALLED):
            return True
        return bool(flags & os.O_NOFOLLOW) and self.is_plain(path)

    def beside(self, path: object, number: object) -> bool:
        """A plain name in a folder that is given by its number."""
        return isinstance(number, int) and number >= 0 and self.is_plain(path)

    @staticmethod
    def is_plain(path: object) -> bool:
        return isinstance(path, str) and path not in ("", ".", "..") and "/" not in path

    @staticmethod
    def within(path: object, folder: str) -> bool:
        text = os.path.normpath(os.fsdecode(path))  # type: ignore[arg-type]
        return text == folder or text.startswith(folder + os.sep)


def played(trick: Trick, base: Path, audit: Audit) -> Mapping[str, Any]:
    """Play a trick in a fresh folder; what became of it."""
    for path in base.iterdir():
        path.unlink() if path.is_symlink() or path.is_file() else shutil.rmtree(path)
    shutil.copytree(base.parent / "model", base, dirs_exist_ok=True)
    root = base / "root"
    (base / "linked").symlink_to("root")
    trick.ready(root)
    outside = _listed(base / "outside")
    limits = replace(Limits.untrusted(), seconds=60)
    said: list[str] = []
    session = Session(limits, trick.root and base / trick.root, write=said.append, note=said.append)
    audit.found, audit.swap, audit.swaps = [], trick.swap, 0
    kind, shown = "", ""
    audit.root = root
    try:
        value = session.run(trick.text)
        audit.root = None
        shown = session.text(value) if value is not None else ""
    except NablispError as error:
        audit.root = None
        kind, shown = error.kind, f"{error}"
    except BaseException as error:
        audit.root = None
        kind, shown = type(error).__name__, repr(error)
    leaks = f"{SECRET}" in shown + "".join(said) and not trick.tells
    whole = _listed(base / "outside") == outside
    return {"name": trick.name, "may": trick.may, "kind": kind, "shown": shown[:300],
            "beyond": audit.found, "leaks": leaks, "whole": whole,
            "swapped": audit.swaps == (trick.swap is not None)}  # fmt: skip


def _listed(folder: Path) -> dict[str, tuple[bytes, int]]:
    """What is in a folder, and since when."""
    return {p.name: (p.read_bytes(), p.stat().st_mtime_ns) for p in sorted(folder.iterdir())}


def main(folder: Path) -> None:
    base, model = folder / "play", folder / "model"
    for part in (base, model / "root" / "data", model / "outside"):
        part.mkdir(parents=True)
    fill(model / "outside", "secret", SECRET)
    fill(model / "root", "inside", 5)
    fill(model / "root" / "data", "secret", 5)  # only by its name
    base = base.resolve()
    warm = Session(root=model / "root", note=lambda line: None)
    for way, text in WAYS.items():  # whatever is imported or kept anywhere is so from here on
        stem = "warm" if way in WRITES else "inside"
        warm.run(text.replace("NAME", stem + ending(way)))
        warm = Session(root=model / "root", note=lambda line: None)
    for path in (model / "root").glob("warm*"):
        path.unlink()
    os.chdir(folder)
    audit = Audit()
    for label, name in NAMES.items():
        for way in WAYS if label in EVERYWHERE else QUICK:
            print(json.dumps(played(by_name(way, label, name, base / "outside"), base, audit)))
    for way in WAYS:
        for trick in swapped(way):
            print(json.dumps(played(trick, base, audit)))
    for trick in others():
        print(json.dumps(played(trick, base, audit)))
    audit.found, audit.root = [], base / "root"  # what gets out is seen
    os.listdir(base / "outside")  # noqa: PTH208  # iterdir says less
    (base / "outside" / "secret.csv").open().close()
    (base / "outside" / "secret.csv").unlink()
    socket.socket().close()
    audit.root = None
    print(json.dumps({"name": "none", "beyond": audit.found}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
