"""The checker: every problem of a script in one go, nothing run, no false alarms."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from test_docs import EXAMPLES, PAGES, SCRIPTS, blocks

from nablisp.checker import problems
from nablisp.cli import main
from nablisp.elaborate import SPECIAL
from nablisp.errors import NablispError
from nablisp.limits import Limits
from nablisp.transcript import play

LINE = "(params m b) (data x [1 2]) (define loss (mse (+ (* m x) b) x)) "

PROBLEMS = [
    # a script, and the beginning of every message, in order
    ("", []),
    (LINE + "(train loss) (val m) (get (train loss) :loss)", []),
    ("(sine 1) (tanh 1 2)", ["there is no function or form called sine", "tanh takes 1"]),
    ("(define (f a) (sine a) (mse a))", ["there is no function", "mse takes 2 arguments, not 1"]),
    ("(define (f a) (- a 1 2) (ref a 0 1) (min a) (expand a 0) (+))", []),
    ("(define (f a) (ref) (sum a :axs 0))", ["ref takes at least 1", "sum has no keyword :axs"]),
    ("(define (f a) (train a :lrr 1))", ["train has no keyword :lrr"]),
    ("(define (f a) a) (define (g) (f))", ["f takes 1 argument, not 0"]),
    ("(define (f a) a) (define (f) 1) (f)", []),
    ("(define (g f) (f 1 2)) (lambda (sin) (sin))", []),
    ("(define (even n) (odd n)) (define (odd n) (even n))", []),
    ("(f 1) (define (f x) x)", ["there is no function or form called f"]),
    # what is read goes on after what is not
    ("(define x (+ 1)\n(y)", ["the next form begins before", "there is no function"]),
    ("(f]\n(+ 1 2))\n(tanh)", ["`]` cannot close", "`)` closes nothing", "tanh takes 1"]),
    ("(params m\n(train (** m 2))", ["the next form begins before"]),
    # runs are asked whether they could begin
    (LINE + "(train loss :by adm)", ["there is no optimizer called adm"]),
    (LINE + "(train loss :schedule (cosin 1 2) :steps 3)", ["there is no schedule called cosin"]),
    (LINE + "(train loss :lr auto :schedule (cosine 1 2))", [":schedule gives the rate"]),
    (LINE + "(train (* m x))", ["the loss has shape [rows]"]),
    (LINE + "(minimize loss :by adam)", ["there is no method called adam"]),
    (LINE + "(minimize (* q q))", ["q has no value"]),
    (LINE + "(fit x (* q m)) (advise x)", ["q has no value", "the loss does not depend"]),
    (LINE + "(val (* m q)) (val loss :mm 1)", ["q has no value", "there is no mm"]),
    (LINE + "(train loss :batch 0)", [":batch must be a whole number from 1"]),
    (LINE + '(data y [1]) (data "nope.csv")', ["y has 1 row and x has 2", "this session may not"]),
    # nothing follows from what is unknown
    ("(define a (sine 1)) (+ a 1) (a 2) (define b a) b (range b)", ["there is no function"]),
    (LINE + "(define r (train loss)) (range (get r :loss)) (if (< (val m) 1) x y)", []),
    ("(params (m (sine 1))) (define e (* m m)) (train e) (val e)", ["there is no function"]),
    ("(define e (* q q)) (params (q (tanh))) (val e)", ["tanh takes 1"]),
    ('(data "nope.csv") (train (mse p q)) (sine 1)', ["this session may", "there is no function"]),
    ('(load "nope.gd") (f 1) (train (* p p))', ["this session may not open files"]),
    ("(define a (tanh)) (define a 1) (a)", ["tanh takes 1", "1 is a number, not a function"]),
    (LINE + "(train loss :backend cuda)", ["there is no backend called cuda"]),
    (LINE + "(minimize loss :backend nativ)", ["there is no backend called nativ"]),
    ("(save 3)", ["what save writes must be a string"]),
    # names that can be none, also where nothing is called
    ("(define (f z) (+ z 2x)) (define (g -z) -z)", ["2x begins like a number"]),
    ("(lambda (z) [-z (if true 1 1/2)])", ["-z is one name", "1/2 begins like a number"]),
    ("(params 2x) (define (f) (* 2x 3x)) (params 3x) (forget 3x)", []),
    ("(assert (= 1 2))", ["this does not hold"]),
    (LINE + "(assert (< (val loss) 0))", []),
]


@pytest.mark.parametrize(("text", "messages"), PROBLEMS)
def test_problems(text: str, messages: list[str]) -> None:
    found = problems(text)
    assert len(found) == len(messages), [error.message for error in found]
    for error, message in zip(found, messages, strict=True):
        assert error.message.startswith(message)


@pytest.mark.parametrize("path", [*SCRIPTS, *PAGES], ids=lambda path: path.name)
def test_what_runs_is_clean(path: Path) -> None:
    text = path.read_text("utf-8") if path.suffix == ".gd" else blocks(path, "scheme")
    found = [error.message for error in problems(text, root=EXAMPLES)]
    met = [step.shown for step in play(text, path.name, EXAMPLES)] if found else []
    assert [f"error: {message}" for message in found] == [s for s in met if s.startswith("error: ")]


def test_nothing_is_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (
        LINE + '(print 1) (help) (env) (save "x.gd") (train loss :steps 1e15) (time (train loss))'
        '(export loss :to "x.c") (report loss :to "x.html")'
        '(plot loss :over ((m 0 1) (b 0 1)) :to "x.png") (animate (train loss) :to "x.gif")'
    )
    assert not problems(text, root=tmp_path)
    assert not list(tmp_path.iterdir())
    assert capsys.readouterr() == ("", "")
    writers = {row.name for row in SPECIAL.values() if ":to" in row.signature}
    assert writers <= set(re.findall(r"[a-z]+", text)), "every form that acts is tried here"


@pytest.mark.parametrize("text", ["(define (f x) (f x)) (f 1)", "(range 1e12)"])
def test_budgets_hold(text: str) -> None:
    assert [error.kind for error in problems(text, limits=Limits.untrusted())] == ["limit"]


def test_deep_nesting() -> None:
    assert not problems("(abs " * 20_000 + "x" + ")" * 20_000)


def test_loaded_scripts_are_followed(tmp_path: Path) -> None:
    (tmp_path / "a.gd").write_text("(define (f x) (sine x)) (tanh)")
    found = problems('(load "a.gd") (f) (load "a.gd")', name="sub/main.gd", root=tmp_path)
    places = [(e.span.file, e.message.split()[0]) for e in found if e.span]
    assert places == [("sub/main.gd", "f"), ("sub/a.gd", "there"), ("sub/a.gd", "tanh")]
    (tmp_path / "b.gd").write_text('(load "b.gd")')
    errors: list[NablispError] = problems('(load "b.gd")', root=tmp_path)
    assert [error.message for error in errors] == ["b.gd is being loaded already"]


def test_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("good.gd").write_text("(+ 1 2)")
    Path("bad.gd").write_text("(sine 1)\n(tanh)")
    Path("latin.gd").write_bytes(b"\xe9")

    def run(*arguments: str) -> tuple[int, str, str]:
        return main(["check", *arguments]), *capsys.readouterr()

    assert run("good.gd") == (0, "", "no problems in 1 file\n")
    status, out, err = run(".")
    assert (status, err) == (1, "3 problems in 3 files\n")
    assert out.startswith("error: there is no function or form called sine\n  bad.gd:1:2\n")
    objects = [json.loads(line) for line in run("--json", "bad.gd")[1].splitlines()]
    assert [(o["error"], o["file"], o["line"]) for o in objects] == [
        ("unbound-name", "bad.gd", 1),
        ("arity", "bad.gd", 2),
    ]
    assert run("nope.gd")[0] == 2
