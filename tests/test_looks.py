"""Names that look alike are remarked on; names that a formula wants side by side are not."""

from __future__ import annotations

import pytest

from nablisp import NablispError, Session
from nablisp.looks import skeleton

REMARKS = [
    ("(param a) (param \u0430)", "\u0430 looks like a", "U+0430, cyrillic small letter a"),
    ("(param \u0430) (define a 1)", "a looks like \u0430", "U+0430"),
    ("(define \u0455in 3)", "\u0455in looks like sin", "U+0455"),
    ("(define loss 1) (define l\u043ess 2) l\u043ess", "l\u043ess looks like loss", "U+043E"),
    ("(param x) (* 2 \u0445)", "\u0445 looks like x", "U+0445"),  # a free symbol
    ("(param x) (define (f \u0445) (* 2 x))", "\u0445 looks like x", "U+0445"),
    ("(let ((\u0445 1) (x 2)) x)", "x looks like \u0445", "U+0445"),
    ("(params \u0391 \u0410)", "\u0410 looks like \u0391", "U+0410"),
    ("(params \u00b5 \u03bc)", "\u03bc looks like \u00b5", "U+00B5, micro sign"),
    ("(params m \uff4d)", "\uff4d looks like m", "U+FF4D, fullwidth"),
    ("(params x \U0001d465)", "\U0001d465 looks like x", "U+1D465"),
    ("(params \u00eb \u0451)", "\u0451 looks like \u00eb", "U+0451"),
    ("(params v \u03bd)", "\u03bd looks like v", "U+03BD"),
]


@pytest.mark.parametrize(("text", "words", "which"), REMARKS)
def test_remarks(text: str, words: str, which: str) -> None:
    notes: list[str] = []
    Session(note=notes.append).run(text)
    assert [words in note and which in note for note in notes] == [True], notes


def test_columns_from_python() -> None:
    notes: list[str] = []
    Session(note=notes.append).run("1", data={"x": [1.0], "\u0445": [2.0]})
    assert len(notes) == 1


@pytest.mark.parametrize(
    "names",
    [
        "x x\u2081 x\u00b2 \u0394x \u03c3 s o \u03b1 a \u03c1 p \u03b3 y \u03b2 B \u00e9 e l I O",
        "масса время длина t_вх v_вх",
        "\u03bb \u03b8 \u03c6 \u03c8 \u03c9 w \u03a9 \u03a3 E",
        "\u540d \u524d \u4e00 \u4e8c",
    ],
)
def test_wanted_side_by_side(names: str) -> None:
    notes: list[str] = []
    Session(note=notes.append).run(f"(params {names})")
    assert not notes


def test_names_in_normal_form_are_one() -> None:
    notes: list[str] = []
    session = Session(note=notes.append)
    assert session.run("(param e\u0301) (val \u00e9)") == 0
    assert session.run("(param \u2126) (val \u03a9)") == 0
    assert not notes


@pytest.mark.parametrize(
    "c", "\u200b\u200c\u200d\u2060\ufeff\u00ad\u034f\u3164\ufe0f\U000e0061\u202e"
)
def test_what_cannot_be_seen_is_in_no_name(c: str) -> None:
    with pytest.raises(NablispError) as caught:
        Session().run(f"(param x{c})")
    assert caught.value.kind == "syntax"


@pytest.mark.parametrize("text", ["\uff13", "\u0663", "\U0001d7dbx", "-\uff13"])
def test_digits_of_other_scripts_are_no_names(text: str) -> None:
    """They would be free symbols, and read as numbers."""
    with pytest.raises(NablispError, match="begins like a number"):
        Session().run(f"(+ {text} 4)")


def test_skeletons_settle() -> None:
    for code in range(0x80, 0x20000):
        if (c := chr(code)).isalpha():
            assert skeleton(skeleton(c)) == skeleton(c), c
