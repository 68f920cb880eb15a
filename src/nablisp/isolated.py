"""A program in a process of its own: turns a text into plain data, behind walls of the system.

The child evaluates under the same `Limits`; memory, processor time, files and processes are bounded
by the system besides, the wall clock and the length of the answer by the parent. What passes
between the two is JSON and the bytes of columns.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from math import ceil, inf, isfinite
from pathlib import Path
from typing import IO, Any

import numpy as np

from .errors import NablispError, visible
from .limits import USES, Limits

STARTING = 60.0
"""Seconds within which a child must be ready."""
GRACE = 1.0
"""Seconds beyond the limit after which a child that did not stop by itself is killed."""
BESIDE = 2**29
"""Bytes that a child may use beside its arrays: formulas, compilers."""
FILES = 64
"""Files that a child may have open."""
NO_MEMORY = 77
"""Status of a child whose memory is used up where nothing else can be said."""

_START = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from nablisp.isolated import answer; answer()"
)
_ALONE = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
_KEPT = ("LD_LIBRARY_PATH", "SYSTEMROOT")
"""What of the environment an interpreter may need to start."""


def run_isolated(
    text: str,
    *,
    limits: Limits | None = None,
    root: str | Path | None = None,
    data: Any = None,
    memory: float | None = None,
    seed: int = 0,
    name: str = "<input>",
) -> list[dict[str, Any]]:
    """Run a program in a process of its own; its values, output and error as `--json` shows them.

    `limits` are those for a stranger's text unless given; `root`, `data` and `seed` are those of
    `Session`. `memory` is how many bytes the process may use beyond what it starts with. A mistake
    in the program is the last object, of kind "error".

    >>> run_isolated("(d (** x 2) x)")
    [{'kind': 'expression', 'text': '(* 2 x)', 'line': 1}]

    Raises NablispError: "limit" where a wall was met and the process killed, "unavailable" where
    the system has no such walls (Windows).
    """
    if os.name != "posix":
        raise NablispError(
            "unavailable",
            "a process of its own with bounds needs Linux or macOS",
            hint="Session(limits=Limits.untrusted()) bounds a program within this process",
        )
    from .data import as_columns

    limits = limits or Limits.untrusted()
    columns = {} if data is None else as_columns(data)
    arrays = {n: np.ascontiguousarray(columns[n]) for n in columns}
    request = {
        "text": text,
        "name": name,
        "limits": asdict(limits),
        "root": None if root is None else str(Path(root).resolve()),
        "seed": seed,
        "memory": limits.bytes + BESIDE if memory is None else memory,
        "columns": [(n, a.dtype.str, a.shape) for n, a in arrays.items()],
    }
    with tempfile.TemporaryFile() as asked:
        asked.write(json.dumps(request).encode() + b"\n")
        for array in arrays.values():
            asked.write(array.tobytes())
        asked.seek(0)
        return _asked(asked, limits)


def _asked(request: IO[bytes], limits: Limits) -> list[dict[str, Any]]:
    """What a child answers to a request."""
    paths = [os.path.abspath(path) for path in sys.path if path]  # noqa: PTH100  # zip files, too
    child = subprocess.Popen(
        [sys.executable, "-I", "-c", _START, json.dumps(paths)],
        stdin=request,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd="/",
        env=dict.fromkeys(_ALONE, "1") | {n: os.environ[n] for n in _KEPT if n in os.environ},
        start_new_session=True,
    )
    try:
        found = _heard(child, limits)
        status = child.wait(GRACE)
    except subprocess.TimeoutExpired:
        raise _walled("seconds", limits.seconds) from None
    finally:
        _killed(child)
    if status:
        raise _ended(status, limits)
    return [json.loads(line) for line in found.splitlines()]


def _heard(child: subprocess.Popen[bytes], limits: Limits) -> bytes:
    """All that a child writes; NablispError "limit" where it is too much, or takes too long."""
    from selectors import EVENT_READ, DefaultSelector

    assert child.stdout is not None
    most = 8 * limits.output + 2**16  # JSON writes some characters as six
    heard = bytearray()
    ready = False
    deadline = time.monotonic() + STARTING
    with DefaultSelector() as selector:
        selector.register(child.stdout, EVENT_READ)
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                raise _walled("seconds", limits.seconds)
            if not selector.select(left if isfinite(left) else None):
                continue
            piece = os.read(child.stdout.fileno(), 2**16)
            if not piece:
                return bytes(heard)
            heard += piece
            if not ready and b"\n" in heard:
                ready = True
                del heard[: heard.index(b"\n") + 1]
                deadline = time.monotonic() + limits.seconds + GRACE
            if len(heard) > most:
                raise _walled("output", limits.output)


def _killed(child: subprocess.Popen[bytes]) -> None:
    """End a child and whatever it started."""
    with suppress(ProcessLookupError, PermissionError):  # it may be gone already
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    if child.stdout is not None:
        child.stdout.close()


def _walled(limit: str, allowed: float) -> NablispError:
    verb = {"seconds": "takes longer", "output": "writes more"}[limit]
    return NablispError(
        "limit",
        f"this {verb} than the limit of {allowed:,g} {USES[limit][0]}, and was killed",
        hint=f"the host sets it with Limits({limit}=…)",
    )


def _ended(status: int, limits: Limits) -> NablispError:
    """Which wall a child ran into, by its exit status."""
    if status == -signal.SIGXCPU:
        return _walled("seconds", limits.seconds)
    how = f"signal {signal.Signals(-status).name}" if status < 0 else f"status {status}"
    why = "ran out of memory" if status == NO_MEMORY else f"was ended by {how}"
    return NablispError(
        "limit",
        f"the process of this program {why}",
        hint="the host sets its memory with run_isolated(…, memory=…)",
    )


# ---- in the child --------------------------------------------------------------------------------


def answer() -> None:
    """Run the program that standard input asks for; its objects go to standard output."""
    out = sys.stdout.buffer
    try:
        _answer(out)
        out.flush()
    except MemoryError:
        os._exit(NO_MEMORY)
    os._exit(0)  # nothing need be collected


def _answer(out: IO[bytes]) -> None:
    from .backends.native.ticker import TICKER
    from .session import Session
    from .shown import error_object, value_object

    source = sys.stdin.buffer
    request = json.loads(source.readline())
    data = {}
    for name, kind, shape in request["columns"]:
        size = int(np.prod(shape)) * np.dtype(kind).itemsize
        data[name] = np.frombuffer(source.read(size), kind).reshape(shape)

    def say(found: Mapping[str, Any]) -> None:
        out.write(json.dumps(found, allow_nan=False).encode() + b"\n")

    limits = Limits(**request["limits"])
    session = Session(
        limits,
        request["root"],
        seed=request["seed"],
        threads=1,
        write=lambda line: say({"kind": "output", "text": visible(line)}),
    )
    with TICKER.watching(np.zeros(1)):  # its thread, while threads can be had
        pass
    _build_walls(request["memory"], limits, files=request["root"] is not None)
    say({"kind": "ready"})
    out.flush()
    try:
        if data:
            session.declare_columns(data)
        for form, value in session.values(request["text"], name=request["name"]):
            if value is None:
                continue
            found = value_object(session, value, form.span.line if form.span else None)
            session.budget.write(found["text"])
            if 8 * np.size(found.get("value", ())) > limits.output:
                del found["value"]  # its text is cut, too
            say(found)
    except NablispError as error:
        say(error_object(error))


def _build_walls(memory: float, limits: Limits, files: bool) -> None:
    """Bound this process, for good. A system that does not know a bound goes without it."""
    import resource

    used = resource.getrusage(resource.RUSAGE_SELF)
    seconds = used.ru_utime + used.ru_stime + limits.seconds + GRACE
    walls = {
        "RLIMIT_AS": _address_space() + memory,
        "RLIMIT_CPU": ceil(seconds) if isfinite(seconds) else inf,
        "RLIMIT_FSIZE": limits.bytes if files else 0,
        "RLIMIT_NOFILE": FILES,
        "RLIMIT_NPROC": 0,
        "RLIMIT_CORE": 0,
    }
    for name, most in walls.items():
        if not isfinite(most) or not hasattr(resource, name):
            continue
        which = getattr(resource, name)
        _, hard = resource.getrlimit(which)
        least = int(most) if hard == resource.RLIM_INFINITY else min(int(most), hard)
        with suppress(ValueError, OSError):
            resource.setrlimit(which, (least, least))


def _address_space() -> int:
    """Bytes of address space in use, where the system tells (Linux)."""
    try:
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
    except OSError:
        return 2**32
    return pages * os.sysconf("SC_PAGE_SIZE")
