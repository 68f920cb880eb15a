"""Texts and the forms they are, or the mistakes and where."""

from __future__ import annotations

import contextlib
import gc
import json
import re
import subprocess
import sys
import time
import unicodedata
from collections.abc import Callable
from math import inf, nan
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lark import Lark, Transformer, UnexpectedInput

from nablisp import reader, reader_table
from nablisp.errors import Incomplete, NablispError
from nablisp.forms import Array, Form, Keyword, List, Number, String, Symbol
from nablisp.limits import Budget, Limits
from nablisp.reader import read


def names(text: str) -> list[Form]:
    return [Symbol(name) for name in text.split()]


READS: list[tuple[str, list[Form]]] = [
    ("", []),
    (" \t\n\v\f\r\r\n", []),
    ("; only a comment", []),
    ("a;b\rc;d\ne;f\u2028g", names("a c e")),
    ("0 42 -3 +7 010 -0", [Number(n) for n in (0, 42, -3, 7, 10, 0)]),
    ("1. .5 -.5 +.5 1e3 1.E-3 2e+2", [Number(x) for x in (1.0, 0.5, -0.5, 0.5, 1e3, 1e-3, 200.0)]),
    ("inf +inf -inf nan 1e400", [Number(x) for x in (inf, inf, -inf, nan, inf)]),
    ("9007199254740992 -9007199254740992", [Number(2**53), Number(-(2**53))]),
    ("9007199254740993 " + "9" * 5000, [Number(float(2**53)), Number(inf)]),
    ("0" * 5000 + "7 0." + "0" * 5000 + "7", [Number(7), Number(0.0)]),
    ("- + -x +x -- ... - 1", [*names("- + -x +x -- ... -"), Number(1)]),
    ("2x 1/2 1.2.3 1e 1e+ 0x10 +inf. infx -nan", names("2x 1/2 1.2.3 1e 1e+ 0x10 +inf. infx -nan")),
    ("a!b?c_d%e&f^g~h.i@j*k<l>m=n", names("a!b?c_d%e&f^g~h.i@j*k<l>m=n")),
    ("λ 名前 σ² Ⅷ ½ हिन्दी ٣", names("λ 名前 σ² Ⅷ ½ हिन्दी ٣")),
    ("e\u0301 \u212b", names("\u00e9 \u00c5")),
    (":lr :e\u0301 :2", [Keyword("lr"), Keyword("\u00e9"), Keyword("2")]),
    ("(train loss:lr 1)", [List((*names("train loss"), Keyword("lr"), Number(1)))]),
    (
        "(+1 -x[2]a)b",
        [List((Number(1), Symbol("-x"), Array((Number(2),)), *names("a"))), *names("b")],
    ),
    ("()[] [ ( ) ; ]\n]", [List(()), Array(()), Array((List(()),))]),
    (r'"" "a\"b\\n" "\n\t"', [String(""), String('a"b\\n'), String("\n\t")]),
    (r'"\u{41}\u{1f600}\u{00000a}\u{202e}"', [String("A\U0001f600\n\u202e")]),
    ('"a;b\n\r\0\u200b(×"c', [String("a;b\n\r\0\u200b(×"), Symbol("c")]),
    ("\ufeffa ;\ufeff×", names("a")),
]


@pytest.mark.parametrize(("text", "forms"), READS)
def test_reads(text: str, forms: list[Form]) -> None:
    assert List(tuple(read(text))) == List(tuple(forms))  # where 1 and 1.0 differ


MISTAKES = [
    # text, kind, the offset the error points at, words of its message or cure
    ("(a", "incomplete", 0, "the `(` of line 1, column 1"),
    ("(a\r\n [b (c) ; )]\n", "incomplete", 5, "the `[` of line 2, column 2"),
    ('(foo "bar)', "incomplete", 5, '`"` of line 1, column 6'),
    ('"a\\', "incomplete", 0, "ends before"),
    ('"a\\"', "incomplete", 0, "ends before"),
    ("a) (b", "syntax", 1, "closes nothing"),
    ("(]", "syntax", 1, "`)` first"),
    ("\n(f [a b) c]", "syntax", 8, "`)` cannot close the `[` of line 2, column 4"),
    ("(a 'x)", "syntax", 3, "unquoted"),
    ("`x", "syntax", 0, "unquoted"),
    ("(f a, b)", "syntax", 4, "separated by blanks"),
    ("{1}", "syntax", 0, "an array is [1 2 3]"),
    ("#t", "syntax", 0, "comment begins with ;"),
    ("|x|", "syntax", 0, "(abs x)"),
    ("\\x", "syntax", 0, "(lambda (x) …)"),
    ("a$b", "syntax", 1, "a name is made of"),
    ("a: b", "syntax", 1, ":lr"),
    ("(+ a 2×b)", "syntax", 6, "U+00D7 (multiplication sign) has no meaning here"),
    ("（a）", "syntax", 0, "write ("),
    ("a，b", "syntax", 1, "separated by blanks"),
    ("∇f", "syntax", 0, "(grad e)"),
    ("a\u00a0b", "syntax", 1, "U+00A0 (no-break space) is no blank here"),
    ("a\u2028b", "syntax", 1, "put a plain blank"),
    ("a\u200bb", "syntax", 1, "U+200B (zero width space) cannot be seen"),
    ("a\ufe0f", "syntax", 1, "cannot be seen"),
    ("a\u3164", "syntax", 1, "cannot be seen"),
    ("a\0", "syntax", 1, "U+0000 (control character) cannot be seen"),
    ("a \ue000", "syntax", 2, "private use"),
    (":a\u0378", "syntax", 2, "unassigned"),
    ("\u037e", "syntax", 0, "greek question mark"),  # its normal form is ;
    ("=\u0338", "syntax", 1, "needs a letter"),  # its normal form is ≠
    ("(\u0301)", "syntax", 1, "needs a letter"),
    ("; \u202e", "syntax", 2, "U+202E (right-to-left override) disguises text"),
    ('"\u2066"', "syntax", 1, r"write \u{2066} in a string"),
    ('"\ud800"', "syntax", 1, "half of a surrogate pair"),
    (r'(a "b\q")', "syntax", 5, r"before `q`"),
    (r'"\\\x41;"', "syntax", 3, r"the escapes are \n \t"),
    (r'"\u41"', "syntax", 1, r"\u{1f600}"),
    (r'"a\u{d800}"', "syntax", 2, r"`\u{d800}` is no character"),
    (r'"\u{110000}"', "syntax", 1, "up to 10ffff"),
]


@pytest.mark.parametrize(("text", "kind", "offset", "words"), MISTAKES)
def test_mistakes(text: str, kind: str, offset: int, words: str) -> None:
    with pytest.raises(NablispError) as caught:
        read(text, name="a.gd")
    error = caught.value
    assert (error.kind, error.span and error.span.start) == (kind, offset)
    assert isinstance(error, Incomplete) == (kind == "incomplete")
    assert words in f"{error.message}\n{error.hint}"
    assert str(error).encode() and gc.isenabled()


def test_spans_hold_the_text_of_forms() -> None:
    text = '\ufeff(f\r\n  -1 x\u0301 [:a "\\n"])'
    form = read(text, name="a.gd")[0]
    assert isinstance(form, List) and form.span
    assert form.span.text == text[1:] and form.span.file == "a.gd"
    spans = [item.span for item in form.items if item.span]
    assert [span.text for span in spans] == ["f", "-1", "x\u0301", '[:a "\\n"]']
    assert [(span.line, span.column) for span in spans] == [(1, 2), (2, 3), (2, 6), (2, 9)]


# ---- any forms, written and read -----------------------------------------------------------------


def written(form: Form) -> str:
    match form:
        case List(items):
            return f"({' '.join(map(written, items))})"
        case Array(items):
            return f"[{' '.join(map(written, items))}]"
        case Keyword(name):
            return f":{name}"
        case String(value):
            return '"' + re.sub(r'[\\"\u2066\u202e]|[^\w ]', escaped, value) + '"'
        case Symbol(name):
            return name
        case Number(value):
            return repr(value)


def escaped(sign: re.Match[str]) -> str:
    return f"\\{sign[0]}" if sign[0] in '\\"' else f"\\u{{{ord(sign[0]):x}}}"


SIGNS = [*"abcéλσ名²١+-*/<>=!?_%&^~.@012", "ह\u093f"]
NAMES = st.lists(st.sampled_from(SIGNS)).map(lambda signs: "x" + "".join(signs))
ATOMS = (
    st.integers(-(2**53), 2**53).map(Number)
    | st.floats().map(Number)
    | NAMES.map(Symbol)
    | NAMES.map(Keyword)
    | st.text().map(String)
)


def nested(parts: list[Any]) -> list[Form]:
    """Forms from atoms, `List` and `Array` where one begins, and None where the last one ends."""
    open_ones: list[tuple[type[List | Array], list[Form]]] = [(List, [])]
    for part in [*parts, *[None] * len(parts)]:
        if part in (List, Array):
            open_ones.append((part, []))
        elif part:
            open_ones[-1][1].append(part)
        elif len(open_ones) > 1:
            kind, items = open_ones.pop()
            open_ones[-1][1].append(kind(tuple(items)))
    return open_ones[0][1]


FORMS = st.lists(ATOMS | st.sampled_from([List, Array, None])).map(nested)


@settings(max_examples=100, deadline=None)
@given(FORMS, st.sampled_from([" ", "\n", "\r\n\t", " ; x\n", ";)\r"]))
def test_forms_are_read_as_they_were_written(forms: list[Form], blank: str) -> None:
    assert List(tuple(read(blank.join(map(written, forms))))) == List(tuple(forms))


@settings(max_examples=200, deadline=None)
@given(st.text(st.sampled_from("()[]\";:'\\ \n-+.e01axλ\u0301×\u202e\ud800") | st.characters()))
def test_any_text_is_read_or_refused_in_place(text: str) -> None:
    try:
        read(text)
    except NablispError as error:
        assert error.span and str(error)


# ---- the grammar ---------------------------------------------------------------------------------

GRAMMAR = Path(__file__).parents[1] / "grammar" / "nablisp.lark"


def test_the_table_is_the_grammar_s() -> None:
    kept = Path(reader_table.__file__).read_text(encoding="utf-8")
    assert kept == reader.table_module(), (
        'python -c "from nablisp import reader; reader.keep_table()"'
    )


def test_a_changed_grammar_counts_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    changed = GRAMMAR.read_text(encoding="utf-8").replace('LPAR: "("', 'LPAR: "{"')
    monkeypatch.setattr(reader, "_grammar", lambda: changed)
    reader._machine.cache_clear()
    try:
        assert read("{a)") == [List((Symbol("a"),))]
    finally:
        reader._machine.cache_clear()


def test_reading_imports_no_lark() -> None:
    code = (
        "import sys; from nablisp.reader import read; read('(a)'); sys.exit('lark' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_grammar_s_examples() -> None:
    lines = GRAMMAR.read_text(encoding="utf-8").splitlines()
    rules = [re.search(r"-> (\w+) +// (.+)", line) for line in lines]
    for rule in filter(None, rules):
        assert [type(form).__name__.lower() for form in read(rule[2])] == [
            {"integer": "number", "float": "number"}.get(rule[1], rule[1])
        ]
    examples = {m[1]: m[2] for line in lines if (m := re.match(r"([A-Z]+).* // (.+)", line))}
    for name, regex in reader_table.TERMINALS:
        assert re.fullmatch(regex, examples[name])


MEANINGS: dict[str, Callable[..., Any]] = {
    "integer": lambda token: Number(int(token)),
    "float": lambda token: Number(float(token)),
    "symbol": lambda token: Symbol(unicodedata.normalize("NFC", token)),
    "keyword": lambda token: Keyword(unicodedata.normalize("NFC", token[1:])),
    "string": lambda token: String(json.loads(token, strict=False)),
    "list": lambda opener, items, closer: List(tuple(items)),
    "array": lambda opener, items, closer: Array(tuple(items)),
}


def test_lark_itself_reads_the_same() -> None:
    stock: Any = Transformer()
    stock.start = lambda parts: parts[0]
    stock.forms = lambda parts: []
    for name, made in MEANINGS.items():
        setattr(stock, name, lambda parts, made=made: [*parts[0], made(*parts[1:])])
    lark = Lark(GRAMMAR.read_text(encoding="utf-8"), parser="lalr", transformer=stock)
    texts = [text for text, _ in READS if "9007199254740993" not in text and "000" not in text]
    for text in [*texts, "(define (f x) (+ x 1)) ; one more\n" * 30, "([" * 3000 + "])" * 3000]:
        if "\\u" not in text and "\ufeff" not in text:  # beyond JSON, and beyond the grammar
            forms: Any = lark.parse(text)
            assert List(tuple(forms)) == List(tuple(read(text)))
    for text, kind, _, _ in MISTAKES:
        if kind == "incomplete":
            with pytest.raises(UnexpectedInput):
                lark.parse(text)


# ---- size ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "(" * 100_000 + "x" + "]",
        "([" * 50_000 + "])" * 50_000,
        "(+ 1 " * 50_000 + "1" + ")" * 50_000,
        "(" * 100_000,
        "[" + "1 " * 100_000 + "]",
        "9" * 1_000_000 + "x",
        "." + "9" * 1_000_000 + "e-1000000x",
        "x\u03b1" * 100_000,
        "a" + "\u0301\u0327" * 100_000,  # normal form would take minutes
        '"' + r"\n" * 200_000,
        '"' + "a" * 1_000_000 + '"',
        " " * 1_000_000 + ";" * 1_000_000,
        ";\n" * 100_000 + ")",
    ],
    ids=lambda text: ascii(text[:12]),
)
def test_large_texts_take_linear_time(text: str) -> None:
    began = time.process_time()
    with contextlib.suppress(NablispError):
        read(text)
    assert time.process_time() - began < 5


def test_limits() -> None:
    budget = Budget(Limits(depth=3, source=20))
    assert read("((())) [[(a)]]", budget=budget)
    for text, words, offset in [
        ("a (([( ) ]))", "4 levels of nesting", 5),
        ("((((", "the text ends", 3),
        (";" * 21, "21 bytes of source", 0),
        ("λ" * 10 + "a", "21 bytes of source", 0),
    ]:
        with pytest.raises(NablispError, match=words) as caught:
            read(text, budget=budget)
        assert (caught.value.span and caught.value.span.start) == offset
