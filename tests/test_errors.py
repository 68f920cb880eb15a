"""What a mistake looks like once drawn, and the name that was most likely meant."""

from __future__ import annotations

import pickle

import pytest

from nablisp import Incomplete, NablispError, Session, draw, read
from nablisp.errors import KINDS, nearest, visible

DRAWN = [
    (
        "(params m b)\n\n(- y (tanh m b))",
        """
error: tanh takes 1 argument, not 2
  line.gd:3:6
  3 | (- y (tanh m b))
           ^^^^^^^^^^
  (tanh x)  hyperbolic tangent
""",
    ),
    (
        '(+ "名前" 1)',
        """
error: + takes numbers, not a string: "名前"
  line.gd:1:4
  1 | (+ "名前" 1)
         ^^^^^^
  (+ x …)  sum of any number of terms
""",
    ),
    (
        "(define (f x)\n\t(* x\n\t\t(sine x)))\n(f 2)",
        """
error: there is no function or form called sine
  line.gd:3:4
  3 |   (sine x)))
         ^^^^
  did you mean sin?
""",
    ),
    (
        "(params (w [1 2]))\n(sum\n  (+ w\n     [1 2 3]))",
        """
error: these shapes do not fit together: [2] and [3]
  line.gd:3:3
  3 |   (+ w
        ^^^^
  w has shape [2]
  [1 2 3] has shape [3]
""",
    ),
    (
        '(assert false "\\u{1b}[31mred\\u{7}")',
        """
error: \\u{1b}[31mred\\u{7}
  line.gd:1:9
  1 | (assert false "\\u{1b}[31mred\\u{7}")
              ^^^^^
""",
    ),
    (
        "(let ((a 1)\n      (b [2 3))\n  a)",
        """
error: `)` cannot close the `[` of line 2, column 10
  line.gd:2:14
  2 |       (b [2 3))
                   ^
  that wants `]` first
""",
    ),
    (
        "(+ 1 (* 2\n   3)",
        """
error: the text ends before the `(` of line 1, column 1 is closed
  line.gd:1:1
  1 | (+ 1 (* 2
      ^
""",
    ),
]


def mistake(program: str) -> NablispError:
    with pytest.raises(NablispError) as caught:
        list(Session().values(program, name="line.gd"))
    return caught.value


@pytest.mark.parametrize(("program", "drawn"), DRAWN)
def test_drawn(program: str, drawn: str) -> None:
    error = mistake(program)
    assert draw(error) == str(error) == drawn.strip("\n")


def test_a_long_line_is_cut_around_the_place() -> None:
    lines = draw(mistake("(print" + " 1" * 100 + " (sine 1)" + " 2" * 100 + ")")).splitlines()
    source, carets = lines[2:4]
    assert len(source) < 110
    assert source.startswith("  1 | … ")
    assert source.endswith(" …")
    start = carets.index("^")
    assert source[start : start + carets.count("^")] == "sine"


def test_errors_travel() -> None:
    """Between processes, with their kind, place and cure."""
    for text in ("(sine 1)", "(+ 1"):
        error = mistake(text)
        again = pickle.loads(pickle.dumps(error))
        assert type(again) is type(error)
        assert str(again) == str(error)
        assert (again.kind, again.hint, again.span) == (error.kind, error.hint, error.span)
    with pytest.raises(Incomplete):
        read("(+ 1")


def test_kinds_are_words() -> None:
    with pytest.raises(NablispError) as caught:
        Session().run("(sine 1)")
    assert caught.value.kind in KINDS
    assert all(kind == kind.lower() and " " not in kind for kind in KINDS)


NEAREST = [
    ("sine", "sin asin sinh mean", "sin"),
    ("Loss", "loss lots", "loss"),
    ("learning_rate", "learning-rate", "learning-rate"),
    ("lrr", "lr steps", "lr"),
    ("f", "if fit", None),
    ("zzz", "sin cos", None),
]


@pytest.mark.parametrize(("name", "known", "meant"), NEAREST)
def test_nearest(name: str, known: str, meant: str | None) -> None:
    assert nearest(name, known.split()) == meant


def test_visible() -> None:
    """Nothing that a terminal obeys, or an eye misses, stays itself."""
    assert visible("a\tb\n\x1b[31m\u202e\u200b\x9b é 名") == (
        "a b\n\\u{1b}[31m\\u{202e}\\u{200b}\\u{9b} é 名"
    )
