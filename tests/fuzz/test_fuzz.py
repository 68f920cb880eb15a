"""Some of what `run.py` tries at length: texts and files of every kind, and what once broke.

NABLISP_EXAMPLES sets how many are tried of each kind; unset, the same few hundred every time.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import oracle
import pytest
import run
import texts
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nablisp import NablispError, Session, gradient, parse
from nablisp import compile as compile_formula
from nablisp.elaborate import FUNCTIONS, SPECIAL
from nablisp.errors import Source, Span
from nablisp.expr import OPS

tried = settings(
    max_examples=int(os.environ.get("NABLISP_EXAMPLES", "250")),
    derandomize="NABLISP_EXAMPLES" not in os.environ,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
CHOICES = st.randoms(use_true_random=False)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> oracle.Bench:
    return oracle.Bench(tmp_path_factory.mktemp("fuzz"))


@pytest.mark.parametrize("kind", texts.KINDS)
@tried
@given(by=CHOICES)
def test_texts(kind: str, by: random.Random, bench: oracle.Bench) -> None:
    oracle.check_text(texts.KINDS[kind](by), bench)


@tried
@given(by=CHOICES)
def test_data(by: random.Random, bench: oracle.Bench) -> None:
    name, data = texts.data_file(by)
    oracle.check_data(name, data, bench)


CORPUS = [
    ("(zeros 0 3)", "(zeros 0 3)"),
    ("(zeros 2 0)", "[[]\n []]"),
    ('(assert (< 2 1) "")', "assertion"),
    ("nan [nan inf]", "[nan inf]"),
    ("(define (f z) (f z)) (f 1)", "limit"),
    ("(fold (lambda (v k) (stack v)) [] (range 60))", "shape"),
    ("(range -7e37)", "[]"),
    ("(data x [1 2 3]) (params a) (fit x (where (> x 2) (* a x) false))", "type"),
    (
        "(params a m) (jacobian (finite? [a m]) a) (stack (fill 0 (finite? [a m])) :axis 1)",
        "(stack (fill 0 (finite? [a m])) :axis 1)",
    ),
    ("(params m) (data x [1 2 1e300]) (kind (predict (fit x (+ m 1))))", '"result"'),
    ("(grad (and (> x 0) (> x 1) (> x 2)) x)", "0"),
    ("-1%7e999", "slip"),
    ('(print "a")\n;    b\n(+ 1 2)\n;    c', "3"),
    ("(kind (simplify (repeat 60 (lambda (z) (* z z)) (/ x 3))))", '"expression"'),
    ("(val (simplify (repeat 3000 (lambda (z) (+ z z)) x)) :x 0)", "0.0"),
    ("(params m) (data x [5e-324]) (kind (fit x (* m 2)))", '"result"'),
    ("(jacobian (* a [1 2]) a b)", "[[1 0]\n [2 0]]"),
    ("(jacobian (* a a [1 2]) a b)", "(stack (* 2 a [1 2]) [0 0] :axis 1)"),
]
"""Texts that once broke a promise: what they show now, or the kind of their error."""


@pytest.mark.parametrize(("text", "wanted"), CORPUS)
def test_what_once_broke(text: str, wanted: str, tmp_path: Path) -> None:
    session = Session(replace(oracle.LIMITS, seconds=60))
    try:
        assert session.text(session.run(text)) == wanted
    except NablispError as error:
        assert error.kind == wanted, str(error)
    everything = {name: oracle.Way(way.check, 1) for name, way in oracle.WAYS.items()}
    oracle.check_text(text, oracle.Bench(tmp_path), everything)


HERE = Span(Source("<input>", "(+ 1 2)"), 0, 7)


@pytest.mark.parametrize(
    "error",
    [
        NablispError("type", "no place"),
        NablispError("sort", "no such kind", span=HERE),
        NablispError("type", " ", span=HERE),
        NablispError("type", "takes no <object object at 0x7f>", span=HERE),
        NablispError("type", "outside", span=HERE._replace(end=8)),
        NablispError("incomplete", "no Incomplete", span=HERE),
        NablispError("type", "of another text", span=Span(Source("<input>", "x"), 0, 1)),
    ],
    ids=lambda error: error.message,
)
def test_the_oracle_sees(error: NablispError) -> None:
    with pytest.raises(oracle.Broken):
        oracle.check_own(error, "(+ 1 2)")


def test_the_grammar_knows_the_tables() -> None:
    holes = {
        hole for rules in texts.GRAMMAR.values() for t in rules for hole in texts.HOLE.findall(t)
    }
    assert holes <= texts.GRAMMAR.keys()
    generic = " ".join(texts.GRAMMAR["generic"])
    for name in (*OPS, *SPECIAL, *FUNCTIONS):
        assert f"({name}" in generic
    for row in (*SPECIAL.values(), *FUNCTIONS.values()):
        assert all(f":{key} " in generic for key in row.keywords or ())


def test_smaller() -> None:
    assert run.smaller("(+ 1 (train x) 2)", lambda text: "train" in text) == "train"


@pytest.mark.parametrize(
    ("options", "status", "said"),
    [("--inputs 30 --workers 1", 0, "30 inputs"), ("--inputs 1 --hang 1e-9", 1, "would not")],
)
def test_the_long_command(options: str, status: int, said: str) -> None:
    command = [sys.executable, run.__file__, *options.split()]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ran.returncode, said in ran.stdout) == (status, True), ran.stdout + ran.stderr


def test_rows_without_columns() -> None:
    with pytest.raises(NablispError, match="there are no columns"):
        compile_formula(parse("(* x (rows))"), ["x"])


def test_a_gradient_by_nothing() -> None:
    assert gradient(parse("(** x 2)"), []) == gradient(parse("(rows)"), []) == []
