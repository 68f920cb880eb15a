"""Interruptions: at any moment a process ends quietly and soon, and a conversation goes on.

NABLISP_SIGNALS sets how many signals each program gets; unset, one or two, and ten times the time
that is promised: 250 ms, and 2 s while LLVM compiles, on a machine that does nothing else.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext, suppress
from functools import partial
from math import inf
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from nablisp import NablispError, Session
from nablisp.checkpoint import kept
from nablisp.process import PROCESS, Process, whole

if os.name != "posix":
    pytest.skip("signals as POSIX has them", allow_module_level=True)

SIGNALS = int(os.environ.get("NABLISP_SIGNALS", "0"))
SOON = 0.25 if SIGNALS else 2.5
COMMAND = [sys.executable, "-m", "nablisp"]
BUFFERED = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
ENDS = {signal.SIGINT: b"interrupted\n", signal.SIGTERM: b"terminated\n", signal.SIGHUP: b""}


@pytest.fixture(autouse=True, scope="module")
def heard() -> Iterator[None]:
    """The tests may run behind nohup, whose children ignore what it ignores."""
    before = {number: signal.getsignal(number) for number in ENDS}
    for number in ENDS:
        if before[number] is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


# ---- a process -----------------------------------------------------------------------------------

LINE = "(params m b) (data x (linspace 0 1 1000)) (define loss (mse (+ (* m x) b) (* 3 x)))"
ROUND = "(define (again n) %s (again (+ n 1))) (again 0)"
SUM = "(define e (fold (lambda (a i) (+ a (* (sin x) (cos (+ y i))))) x (range %d)))"
FOREVER = f"{LINE} (train loss :lr 1e-9 :steps 100000000000 %s) (print 1)"
PROGRAMS = {
    "parse": "\n".join(f"(define v{k} (+ {k} (* x 2.5)))" for k in range(100_000)),
    "expand": "(define (f n) (f (+ n 1))) (f 0)",
    "derive": f"{SUM % 300} {ROUND % '(d e x y x)'}",
    "compile": f"{SUM % 3000} {LINE} (params x y) (train e :steps 10 :backend native)",
    "native": FOREVER % ":backend native",
    "numpy": FOREVER % ":backend numpy",
    "batches": FOREVER % ":by adam :batch 32 :holdout 0.2",
    "checkpoint": FOREVER % ':checkpoint "run.ckpt" :every-seconds 0.02 :resume true',
    "fit": f"{LINE} {ROUND % '(let ((r (fit (exp x) (exp (* m x)) :starts 9))) 0)'}",
    "minimize": ROUND % "(let ((r (minimize (** (- x 1) 4) :from ((x 9))))) 0)",
    "print": f"{SUM % 30_000} {ROUND % '(print e)'}",
    "save": "(data x (linspace 0 1 200000)) " + ROUND % '(save "saved.gd")',
    "export": f"{SUM % 300} {ROUND % '(export e :to c :grad true)'}",
    "plot": ROUND % '(plot (sin x) :to "picture.svg")',
    "product": f"(define a (normal 3000 3000)) {ROUND % '(let ((b (@ a a))) 0)'}",
}
WORDS = [[], ["--json"], ["test"], ["check"], ["fmt"], ["report"]]


def ended(
    arguments: list[str], number: signal.Signals, delay: float, folder: Path
) -> tuple[int, float, bytes]:
    """Status, seconds from the signal on, and what was said, of a command that gets a signal."""
    child = subprocess.Popen(
        [*COMMAND, *arguments],
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=BUFFERED,
    )
    with child:
        try:
            child.wait(delay)
        except subprocess.TimeoutExpired:
            began = time.monotonic()
            child.send_signal(number)
            child.wait(60)
        else:
            pytest.skip("it was over")
        assert child.stderr is not None
        return child.returncode, time.monotonic() - began, child.stderr.read()


def cases() -> Iterator[Any]:
    """Programs under commands, each with signals at moments of its own."""
    draw = random.Random(SIGNALS)
    for name in PROGRAMS:
        numbers = [signal.SIGINT, signal.SIGTERM] if name in ("native", "checkpoint") else [None]
        for number in numbers * max(SIGNALS, 1):
            chosen = number or draw.choice(list(ENDS))
            yield pytest.param([f"{name}.gd"], chosen, 0.6 + draw.random(), id=name)
    for words in WORDS[1:]:
        for _ in range(SIGNALS or 1):
            file = "parse.gd" if words[0] in ("check", "fmt") else "native.gd"
            yield [*words, file], draw.choice(list(ENDS)), 0.6 + draw.random()


@pytest.mark.parametrize(("arguments", "number", "delay"), list(cases()))
def test_a_signal_ends_it(
    arguments: list[str], number: signal.Signals, delay: float, tmp_path: Path
) -> None:
    file = tmp_path / arguments[-1]
    file.write_text(PROGRAMS[file.stem])
    status, seconds, said = ended(arguments, number, delay, tmp_path)
    assert (status, seconds < (8 * SOON if file.stem == "compile" else SOON)) == (
        128 + number,
        True,
    ), (seconds, said)
    shown = b"".join(line for line in said.splitlines(True) if b" step " not in line)
    assert shown in (ENDS[number], b""), "one line; none where a run says it"
    left = {path.name for path in tmp_path.iterdir()} - {file.name, "saved.gd", "picture.svg"}
    assert left <= {"run.ckpt", "run.ckpt.old"}
    if "run.ckpt" in left:
        assert kept((tmp_path / "run.ckpt").read_bytes()).place.done > 0
    assert file.read_text() == PROGRAMS[file.stem]


def test_what_is_ignored_stays_so(tmp_path: Path) -> None:
    """As under nohup, or behind `&` in a script."""
    shell = f'trap "" INT HUP; exec {" ".join(COMMAND)} -e "{PROGRAMS["expand"]}"'
    with subprocess.Popen(["bash", "-c", shell], stderr=subprocess.PIPE) as child:
        time.sleep(1.5)
        child.send_signal(signal.SIGHUP)
        child.send_signal(signal.SIGINT)
        time.sleep(0.3)
        assert child.poll() is None
        child.terminate()
        assert child.wait() == 143


# ---- pipes ---------------------------------------------------------------------------------------


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A script that every command has something to say about."""
    file = tmp_path / "program.gd"
    file.write_text("(print   1) (+ 1 1) ; => 2\n(if true 3 (f 1))\n")
    return file


SAYING = [
    ["--quiet"],
    ["--json"],
    ["--version"],
    ["test"],
    ["check"],
    ["fmt", "--diff"],
    ["resume"],
]
SAYING += [["report", "-o", "-"]]
FULL = "error: output cannot be written: no space left on device\n"


@pytest.mark.parametrize("words", SAYING, ids=" ".join)
@pytest.mark.parametrize(
    ("output", "status", "said"),
    [("pipe", 141, ""), ("closed", 141, ""), ("/dev/full", 1, FULL)],
)
def test_output_that_nobody_takes(
    words: list[str], output: str, status: int, said: str, program: Path
) -> None:
    reads, writes = os.pipe()
    os.close(reads)
    command = [*COMMAND, *words, str(program)]
    if output == "closed":
        command = ["bash", "-c", 'exec "$@" >&-', "", *command]
    with Path("/dev/full").open("w") as full:
        taken = {"pipe": writes, "closed": None, "/dev/full": full}[output]
        ran = subprocess.run(
            command, stdout=taken, stderr=subprocess.PIPE, text=True, check=False, env=BUFFERED
        )
    os.close(writes)
    lines = [line for line in ran.stderr.splitlines(True) if " in 1 file" not in line]
    lines = [line for line in lines if not line.startswith("1 file would change")]
    assert (ran.returncode, "".join(lines)) == (status, said)


@pytest.mark.parametrize("words", SAYING, ids=" ".join)
def test_remarks_that_nobody_hears(words: list[str], program: Path) -> None:
    program.write_text("(print   1) (define mse 2) (f 1)\n")
    reads, writes = os.pipe()
    os.close(reads)
    command = [*COMMAND, *words, str(program)]
    ran = subprocess.run(command, stdout=subprocess.PIPE, stderr=writes, check=False, env=BUFFERED)
    os.close(writes)
    assert ran.returncode in (0, 1, 141)
    assert b"Traceback" not in ran.stdout


# ---- where an interrupt comes --------------------------------------------------------------------


def test_what_is_whole_is_not_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    process, done = Process(), []
    process.converses = True
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    before = signal.getsignal(signal.SIGALRM)
    signal.signal(signal.SIGALRM, process._again)

    @whole
    def change() -> None:
        process._come(signal.SIGINT, sys._getframe())
        time.sleep(0.02)
        done.append(1)

    class Swallows:
        def __del__(self) -> None:
            raise KeyboardInterrupt

    try:
        with pytest.raises(KeyboardInterrupt):
            change()
            time.sleep(1)
        assert done == [1], "to its end"
        sys.unraisablehook = process._swallowed
        with pytest.raises(KeyboardInterrupt):
            Swallows()
            time.sleep(1)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


SHARED = (
    "(params a (b 2)) (data x [1 2 3]) (data y [2 4 7]) (define k 3) "
    "(define e (* a x)) (define loss (mse (+ (* a x) b) y))"
)
FORMS = {
    "params": "(params p1 p2 (p3 4))",
    "param": "(param a 5 :min 0)",
    "data": '(data "four.csv")',
    "computed": "(data z (* 2 x))",
    "define": "(define (f v) (* v k))",
    "load": '(load "lib.gd")',
    "forget": "(forget k)",
    "reset": "(reset)",
    "fit": "(fit y (+ (* a x) b))",
    "random": "(define r (normal 2 2))",
    "derivative": "(define q (d (exp (* e e)) a a))",
    "report": '(save "saved.gd")',
}


def facts(session: Session) -> Any:
    """All that a session holds, in words."""
    held = {n: repr((p.start, p.value, p.low, p.rate)) for n, p in session.parameters.items()}
    columns = {n: session.columns[n].tolist() for n in session.columns}
    definitions = {n: session.text(v) for n, v in session.definitions.items()}
    shapes = {n: session.shape(Session().run(n)) for n in (*held, *columns)}
    return held, columns, definitions, dict(session.classes), session._drawn, shapes, session.fits


def lines(work: Callable[[], object], most: float = inf) -> float:
    """How many lines some work takes; it is interrupted before one more than `most`."""
    taken = 0

    def trace(frame: FrameType, event: str, found: object) -> Any:
        nonlocal taken
        if "nablisp" not in frame.f_code.co_filename:
            return None
        taken += event == "line"
        if taken > most and frame.f_code.co_name not in ("_undo", "_alone"):
            raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        with suppress(KeyboardInterrupt, NablispError):
            work()
    finally:
        sys.settrace(before)
    return taken


@pytest.mark.filterwarnings(  # a file opened at that very moment is closed when it is collected
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)
@pytest.mark.parametrize("form", FORMS)
def test_a_form_is_undone_or_done(form: str, tmp_path: Path) -> None:
    """Wherever it is interrupted, the session is as before it or as after it, and goes on."""
    (tmp_path / "four.csv").write_text("u,v\n1,2\n3,4\n5,6\n")
    (tmp_path / "lib.gd").write_text("(define l1 1) (params l2) (define l3 (* l2 k)) (forget k)")

    def fresh() -> Session:
        session = Session(root=tmp_path)
        session.undoes = True
        session.run(SHARED)
        return session

    before, done = facts(fresh()), fresh()
    total = int(lines(partial(done.run, FORMS[form])))
    after = facts(done)
    assert total > 20
    for at in range(0, total, total // (SIGNALS or 1) // 20 or 1):
        session = fresh()
        lines(partial(session.run, FORMS[form]), at)
        assert facts(session) in (before, after), at
        session.run("(define k 3) (params b) (define z2 (* b x))")
        assert session.run("(val (sum z2) :b 2)") == 12


@pytest.mark.parametrize("moment", [1, 3, 30, 100])
def test_no_other_fit_begins_after_an_interrupt(moment: int) -> None:
    """Also where the point that was found by then is a minimum to rely on."""
    session, seen = Session(), []

    def see(progress: object) -> None:
        seen.append(progress)
        if len(seen) == moment:
            raise KeyboardInterrupt

    session.watch = lambda asked: nullcontext(see)
    with pytest.raises(KeyboardInterrupt):
        session.run(f"{LINE} {ROUND % '(let ((r (fit (exp x) (exp (* m x)) :starts 9))) 0)'}")
    assert len(seen) < 2 * moment + 10


def test_who_goes_on_after_an_interrupt_does_not_where_the_process_must_end() -> None:
    session = Session()
    PROCESS.leaves = True
    try:
        with pytest.raises(KeyboardInterrupt):
            session.run("(+ 1 2)")
    finally:
        PROCESS.leaves = False
    assert session.run("(+ 1 2)") == 3
