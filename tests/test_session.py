"""A session: what it remembers, saves, loads and may do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nablisp import Limits, NablispError, Session


def lines(session: Session, program: str, **options: Any) -> list[str]:
    found = []
    for _, value in session.values(program, **options):
        if value is not None:
            found.append(session.text(value))
    return found


def test_run_gives_the_last_value() -> None:
    session = Session()
    assert session.run("(define x 2) (+ x 1)") == 3
    assert session.run("(+ x 1) (define y x)") is None
    assert session.run("") is None
    with pytest.raises(NablispError):
        session.run("(define z 5) (f 1) (define w 6)")
    assert session.run("z") == 5, "what came before a mistake stays"


def test_data_comes_from_python() -> None:
    session = Session()
    xs = np.array([1.0, 2.0, 3.0])
    assert session.run("(val (sum (* x y)))", data={"x": xs, "y": [1, 2, 3]}) == 14
    session.run("", data={"x": xs + 1, "y": xs})
    assert session.run("(val (sum x))") == 9
    assert xs.tolist() == [1, 2, 3]
    with pytest.raises(NablispError, match="z has 2 rows and x has 3"):
        session.run("", data={"z": [1, 2]})


def test_write_and_note_receive_lines() -> None:
    said: list[str] = []
    noted: list[str] = []
    session = Session(write=said.append, note=noted.append)
    session.run('(print "a\\nb" x 1.0) (define x 1) (define x 2)')
    assert said == ["a\nb x 1.0"]
    assert len(noted) == 1


def test_random_numbers_are_of_the_seed() -> None:
    program = "(params (w (normal 3))) (define v (he 2 2)) (val w)"
    first, again, other = (Session(seed=seed).run(program).tolist() for seed in (1, 1, 2))
    assert first == again != other
    twice = Session(seed=1)
    assert twice.run("(normal 3)").tolist() == first
    assert twice.run("(normal 3)").tolist() != first
    for seed in (-1, 1.5, "a", 2**60):
        with pytest.raises(NablispError, match="seed must be"):
            Session(seed=seed)  # type: ignore[arg-type]  # the point


SAVED = """
(params (m 2) (w [1 2.5])) (param q 1.5 :min 0 :max 2 :lr 0.1 :fixed true)
(data x [1 2 3]) (data X [x (* 2 x)])
(define e (* m (mean x) (** y 2))) (define g (+ e 1)) (define y 7) (define h (+ e 2))
(define (f a) ; doubled
  (* 2 a))
(define ff f) (define lam (lambda (a b) (+ a b m))) (define add2 ((lambda (n) (lambda (k) (+ k n))) 2))
(define (sq z) (* z z)) (define-derivative (sq z) (* 2 z)) (define s (sq y)) (define u (sq free))
(define k 3) (define name "q\\"\\n") (define ok true) (define a [[1 2] [3 4]]) (define key :lr)
(define sine sin) (define lossy mse) (define slope (d sin)) (define loop map)
(train (** (- m 1) 2) :lr 0.1 :steps 2)
"""  # noqa: E501  # a program, as people write them
PROBES = """
(val m) (val w) (val q) (val x) (val X) e g h (f 4) (ff 5) (lam 1 2) (add2 5) (sq 3) (d (sq t) t) s
(d u free) k name ok a key (sine 0) (lossy 3 1) (slope 0) (loop sq [1 2]) (train (* q m) :steps 1)
"""


def test_a_saved_session_runs_again(tmp_path: Path) -> None:
    first = Session(root=tmp_path)
    first.run(SAVED + '(save "one.gd")')
    second = Session(root=tmp_path)
    second.run('(load "one.gd") (save "two.gd")')
    results = [lines(session, PROBES) for session in (first, second)]
    tables = [result.pop().splitlines()[:-1] for result in results]
    assert results[0] == results[1]
    assert tables[0] == tables[1]
    assert (tmp_path / "two.gd").read_text() == (tmp_path / "one.gd").read_text()


def test_what_has_no_text_is_a_comment(tmp_path: Path) -> None:
    session = Session(root=tmp_path)
    session.run("""
        (params m) (define r (train (** m 2) :steps 1))
        (define made ((lambda (f) (lambda (x) (f x))) (lambda (x) x)))
        (save "one.gd")
    """)
    saved = (tmp_path / "one.gd").read_text()
    assert "; r was a result that has no text" in saved
    assert "; made was a function that has no text" in saved
    Session(root=tmp_path).run('(load "one.gd")')


def test_load_runs_another_script(tmp_path: Path) -> None:
    (tmp_path / "lib.gd").write_text("(define (twice x) (* 2 x)) (params m)", "utf-8")
    (tmp_path / "bad.gd").write_text('(define q\n  (+ 1 "a"))', "utf-8")
    (tmp_path / "self.gd").write_text('(load "other.gd")', "utf-8")
    (tmp_path / "other.gd").write_text('(load "self.gd")', "utf-8")
    session = Session(root=tmp_path)
    assert session.run('(load "lib.gd") (twice 4)') == 8
    for name, place, words in (
        ("bad.gd", ("bad.gd", 2, 8), "not a string"),
        ("self.gd", ("other.gd", 1, 7), "being loaded already"),
        ("lub.gd", ("<input>", 1, 7), 'did you mean "lib.gd"?'),
        ("../lib.gd", ("<input>", 1, 7), "leads upwards"),
    ):
        with pytest.raises(NablispError) as caught:
            session.run(f'(load "{name}")')
        span = caught.value.span
        assert span is not None
        assert (span.file, span.line, span.column) == place
        assert words in str(caught.value)
    assert session.run('(load "lib.gd") (twice 4)') == 8, "a load that failed leaves no trace"


def test_overrides_hold_whatever_the_program_says() -> None:
    session = Session()
    session.overrides = {"k": 3, "m": 5, "x": np.array([1.0, 2.0]), "free": 7}
    program = "(define k 1) (params m) (data x [5 6 7]) (* k (val (* m (sum x)))) (+ free 1)"
    assert lines(session, program) == ["45.0", "8"]
    session.overrides["p"] = "text"
    with pytest.raises(NablispError, match="p, given by -D, must be a number or an array"):
        session.run("(params p)")


STRANGERS = [
    # a stranger's program, and the limit it meets or None
    ("(+ 1 2)", None),
    ("(define (f n) (f n)) (f 1)", "seconds|steps"),
    ("(define (f n) (+ 1 (f n))) (f 1)", "seconds|depth"),
    ("(repeat 100000 (lambda (e) (sin e)) x)", "nodes|seconds"),
    ("(zeros 1e5 1e5)", "bytes"),
    ("(params m) (train (** m 2) :lr 0 :steps 1e15)", "work"),
    ("(" * 20_000 + ")" * 20_000, "depth"),
    (";" * 70_000, "source"),
    ("(params (w (zeros 20000))) (train (sum (@ (expand w 1) (expand w 0))))", "bytes"),
    ("(** 2 (** 10 9))", None),
    ("(repeat 60 (lambda (x) (* x x)) (+ x 1))", None),
]


@pytest.mark.parametrize(("program", "limit"), STRANGERS, ids=lambda p: str(p)[:40])
def test_a_stranger_is_bounded(program: str, limit: str | None) -> None:
    session = Session(limits=Limits.untrusted(), root=None)
    if limit is None:
        session.text(session.run(program))
        return
    with pytest.raises(NablispError, match=f"Limits\\(({limit})=") as caught:
        session.run(program)
    assert caught.value.kind == "limit"
    assert session.run("(+ 1 2)") == 3


def test_output_is_cut() -> None:
    session = Session(limits=Limits(output=100))
    text = session.text(session.run("(range 1000)"))
    assert text.startswith("[0 1 2 3")
    assert text.endswith(" characters)")
    assert len(text) < 140


@pytest.mark.parametrize(
    "program", ['(load "a.gd")', '(save "a.gd")', '(data "a.csv")', '(data "a.csv" :classes c)']
)
def test_no_root_no_files(program: str) -> None:
    with pytest.raises(NablispError, match="may not open files") as caught:
        Session().run(program)
    assert caught.value.kind == "file"


def test_sessions_share_nothing() -> None:
    one, two = Session(), Session()
    one.run("(params (x [1 2])) (define e (sum x))")
    two.run("(data x [1 2 3]) (define e (sum x))")
    assert (one.run("(val e)"), two.run("(val e)")) == (3, 6)
    assert one.run("(shape x)").tolist() == [2]
    assert two.text(two.run("(shape x)")) == "[(rows)]"


def test_declarations_one_by_one_cost_the_same_each() -> None:
    each = "(params p{0}) (data q{0} [1 2]) (* p{0} q{0}) "
    session = Session(Limits(seconds=10))
    session.run("".join(map(each.format, range(8000))))
    assert len(session.shapes) == 16_000
    session.run("(forget p1) (params (p1 [1 2 3]))")
    assert session.shapes["p1"] == (3,)
    session.run("(params (p1 [1 2]))")
    assert session.shapes["p1"] == (2,)
