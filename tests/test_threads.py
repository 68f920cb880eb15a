"""Threads and forks: sessions of their own are independent, one session takes one thread at a time,
compiled functions any number.
"""

from __future__ import annotations

import copy
import gc
import os
import pickle
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nablisp import NablispError, Session, parse
from nablisp import compile as compiled
from nablisp.expr import sweep
from nablisp.limits import no_collection

THREADS = 8


@pytest.fixture
def restless() -> Iterator[None]:
    """Threads take turns at almost every instruction."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def same_from_many(
    function: Callable[..., Any], given: Sequence[tuple[Any, ...]], times: int = 3
) -> None:
    """Is what a function comes to the same from several threads at once as alone?"""
    alone = [function(*args) for args in given]
    with ThreadPoolExecutor(THREADS) as pool:
        found = list(pool.map(lambda args: function(*args), [*given] * times))
    assert found == alone * times


PROGRAM = """
(params (m 0.5) (b 0.25)) (data x [1 2 3 4 5]) (data y [2 3 5 4 6])
(define f (+ (* m (sin (* {0} x))) (exp (* -{0} b x)) (/ x {0})))
(define loss (mse f y))
(print (d f m b)) (print (simplify (* f f))) (print (grad loss)) (print (hessian loss))
(print (val loss) (export loss :to c :grad true))
(print (get (train loss :lr 0.001 :steps 20 :by adam :batch 2) :history))
(print (get (train loss :lr 0.001 :steps 20 :backend native) :history))
(print (get (minimize (+ loss (** m 2))) :loss))
(print (get (fit y f) :se) (help mse))
"""


def shown(number: int) -> list[str]:
    lines: list[str] = []
    Session(write=lines.append).run(PROGRAM.format(number))
    sweep()
    return lines


@pytest.mark.usefixtures("restless")
def test_sessions_of_their_own_are_independent() -> None:
    same_from_many(shown, [(i,) for i in range(1, 5)], 2)
    assert gc.isenabled()


def test_a_session_takes_one_thread_at_a_time() -> None:
    inside, go_on = threading.Event(), threading.Event()

    def write(line: str) -> None:
        inside.set()
        assert go_on.wait(10)

    session = Session(write=write)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(session.run, '(define a 1) (print "x") (+ a 1)')
        assert inside.wait(10)
        for use in (
            lambda: session.run("(define a 5)"),
            lambda: session.run("", data={"x": [1]}),
            lambda: list(session.values("(define a 5)")),
        ):
            with pytest.raises(NablispError, match="in another thread") as caught:
                use()
            assert caught.value.kind == "busy"
        go_on.set()
        assert running.result() == 2
    assert session.run("a") == 1
    assert not session.columns


@pytest.mark.usefixtures("restless")
def test_a_session_of_many_is_refused_or_right() -> None:
    session = Session()
    session.run("(define count 0)")
    done = []

    def one() -> None:
        try:
            session.run("(let ((before count)) (define seen before)) (define more (+ count 1))"
                        "(forget count) (define count more) (forget more)")  # fmt: skip
            done.append(1)
        except NablispError as error:
            assert error.kind == "busy", error  # either way is right

    with ThreadPoolExecutor(THREADS) as pool:
        for asked in [pool.submit(one) for _ in range(200)]:
            asked.result()
    assert session.run("count") == len(done) > 0


def test_a_callback_may_use_the_session() -> None:
    session = Session(write=lambda line: session.run(f"(define seen {line})"))
    assert session.run("(print 7) seen") == 7


def test_forms_that_nobody_asks_for_hold_nothing() -> None:
    session = Session()
    begun = session.values("(define a 1) (define b 2)")
    next(begun)
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(session.run, "(+ a 1)").result() == 2
    next(begun)
    assert session.run("b") == 2


def test_an_error_frees_the_session() -> None:
    session = Session()
    with pytest.raises(NablispError):
        session.run("(car 1)")
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(session.run, "(+ 1 1)").result() == 2


@pytest.mark.parametrize("take", [copy.copy, copy.deepcopy, pickle.dumps])
def test_a_session_is_not_copied(take: Callable[[Session], object]) -> None:
    with pytest.raises(NablispError, match="cannot be copied"):
        take(Session())


FORMULA = "(+ (* a (exp (* k x))) (sin (* x 3)))"


@pytest.mark.usefixtures("restless")
def test_compiled_functions_take_many_threads() -> None:
    """One function, different arrays: memory to work in is each caller's own."""
    columns = [np.random.default_rng(i).normal(size=n) for i, n in enumerate((3, 2000, 150_000))]
    for backend, threads in (("native", 1), ("native", 4), ("numpy", None), (None, None)):
        function = compiled(parse(FORMULA), ["a", "k", "x"], backend=backend, threads=threads)

        def call(rate: float, x: Any, f: Any = function) -> bytes:
            out = np.empty_like(x)
            assert f(2.0, rate, x, out=out) is out
            found: bytes = f(2.0, rate, x).tobytes()
            assert found == out.tobytes()
            return found

        same_from_many(call, [*product((0.1, 0.2), columns)])


@pytest.mark.usefixtures("restless")
def test_functions_are_compiled_in_many_threads() -> None:
    x = np.linspace(-1, 1, 1500)

    def made(number: int) -> bytes:
        formula = parse(f"(* {number} (cos (* {number} x)))")
        found: bytes = compiled(formula, ["x"], backend="native")(x).tobytes()
        return found

    same_from_many(made, [(i,) for i in range(6)])


def test_pictures_from_many_threads(tmp_path: Path) -> None:
    matplotlib = pytest.importorskip("matplotlib")

    def drawn(number: int) -> bytes:
        folder = tmp_path / f"{threading.get_ident()}"
        folder.mkdir(exist_ok=True)
        session = Session(root=folder)
        session.run(f'(plot (sin (* {number} x)) :over (x 0 4) :to "a.png")')
        return (folder / "a.png").read_bytes()

    with matplotlib.rc_context({"lines.linewidth": 7.5}):
        same_from_many(drawn, [(1,), (2,)], 1)
        assert matplotlib.rcParams["lines.linewidth"] == 7.5


def test_the_collector_is_left_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever finds it off does not turn it off once more when it is on again."""
    is_on = gc.isenabled
    with no_collection():
        assert not is_on()
    monkeypatch.setattr(gc, "isenabled", lambda: False)  # and in that moment another turns it on
    with no_collection():
        assert is_on()
    assert is_on()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
@pytest.mark.usefixtures("restless")
def test_a_forked_process_goes_on() -> None:
    """Also one forked while other threads compile and run."""
    x = np.arange(150_000.0)
    function = compiled(parse(FORMULA), ["a", "k", "x"], backend="native", threads=2)
    expected, stop = function(1.0, 1e-5, x).tobytes(), threading.Event()

    def busy(number: int) -> None:
        while not stop.is_set():
            number += THREADS
            compiled(parse(f"(+ {number} (exp x))"), ["x"], backend="native")(x)

    workers = [threading.Thread(target=busy, args=(i,)) for i in range(2)]
    for worker in workers:
        worker.start()
    try:
        for _ in range(3):
            child = os.fork()
            if not child:
                right = function(1.0, 1e-5, x).tobytes() == expected
                fresh = compiled(parse("(+ 0.5 (cos x))"), ["x"], backend="native")(x)
                os._exit(not (right and fresh[0] == 1.5))
            assert _status(child) == 0
    finally:
        stop.set()
        for worker in workers:
            worker.join()


def _status(child: int) -> int | None:
    """How a process ended; None for one that hung, which is killed."""
    for _ in range(3000):
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None
