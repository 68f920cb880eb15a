"""The prompt: its pure functions, its keys through a pipe, and conversations on a real terminal."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from prompt_toolkit.application import create_app_session
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput

from nablisp import NablispError, Session
from nablisp.help import entries, help_text, search
from nablisp.highlight import NablispLexer
from nablisp.repl import Prompt
from nablisp.repl.beside import beside
from nablisp.repl.brackets import finished, nesting
from nablisp.repl.commands import COMMANDS, page
from nablisp.repl.complete import suggestions
from nablisp.repl.indent import indentation
from nablisp.repl.numbered import Numbered
from nablisp.repl.pasted import pasted, unprompted
from nablisp.repl.settings import SETTINGS, read_settings, write_setting
from nablisp.repl.signature import REMINDER, cut, signature
from nablisp.repl.wrapped import wrapped
from nablisp.results import Progress

FINISHED = [
    ("", True, 0),
    ("(+ 1 2)", True, 0),
    ("(+ 1", False, 1),
    ("(f [1 2", False, 2),
    ('(f "a)', False, 1),
    ('(f "a)\\"" ', False, 1),
    ("(f ; )\n", False, 1),
    ("(f))", True, 0),  # a mistake to be told, not a wish for more
    ("(f ×", True, 1),
]


@pytest.mark.parametrize(("text", "done", "depth"), FINISHED)
def test_enter_runs_what_is_finished(text: str, done: bool, depth: int) -> None:
    assert (finished(text), len(nesting(text).open)) == (done, depth)


@pytest.mark.parametrize(
    "lines",
    [
        "(define (f x)\n  (* x x))",
        "(define\n  x",
        "(let ((a 1)\n      (b 2))\n  (+ a\n     b))",
        "(map (lambda (x)\n       (* x x))\n     [1 2])",
        "(train loss :lr 0.1\n       :steps 20)",
        "(train\n loss)",
        "(train ; hm\n loss)",
        "[[1 2]\n [3 4]]",
        "(data x [1 2\n         3])",
        "((lambda (x)\n   x)\n 3)",
        '(print "a (\nb"\n       2)',
        "(+ 1 2)\nx",
    ],
)
def test_indentation(lines: str) -> None:
    """Each line stands where Enter at the end of the one before would have put it."""
    at = 0
    while (at := lines.find("\n", at) + 1) > 0:
        following = lines[at:].split("\n", maxsplit=1)[0]
        assert indentation(lines[: at - 1]) == len(following) - len(following.lstrip()), following


SUGGESTED = [
    ("(sig", "sigmoid sign"),
    ("(define-d", "define-derivative"),
    ("(+ log1", "log10 log1p"),
    ("my-", "my-column my-parameter"),
    ("(get r :se", ":seconds"),
    ("(get 1 :se", ""),
    ("(export x :to p", "python"),
    ("(train loss :w", ":watch :weight-decay :wrt"),
    ("(sum X :", ":axis :keep"),
    ("(f :", ""),
    ("(train (f x) :sch", ":schedule"),
    ("(train loss :by ada", "adagrad adam adamw"),
    ("(train loss :schedule (c", "cosine"),
    ("(fit y m :loss ", "cauchy huber soft-l1"),
    ("(fit y m :backend n", "native numpy"),
    ("(-entropy", "cross-entropy"),  # inside, where nothing begins so
    ("(trai", "train"),
    ("(+ trai", ""),  # a form is no value
    ("(help trai", "train"),
    ("(define (f width) (+ wid", "width"),
    ('(data "', "folder/ points.csv"),
    ('(data "fol', "folder/"),
    ('(data "folder/', "folder/inner.csv"),
    ('(data "../', ""),
    ("(f ; sig", ""),
    ("\\nab", "∇"),
    ("(param \\alp", "α"),
    ("\\Del", "Δ"),
    ("\\nu", "ν"),
    ("\\the", "θ"),
    ("\\lambda", "λ"),
    (",re", "reload reset"),
    (",load po", "points.csv"),
    (",set k", "keys"),
    (",set keys ", "emacs vi"),
    (",time (sig", "sigmoid sign"),
    (",help ,q", ",quit"),
    ("?ada", "adagrad adam adamw"),
    (",nothing ", ""),
]


@pytest.mark.parametrize(("before", "names"), SUGGESTED)
def test_suggestions(before: str, names: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for name in ("points.csv", ".hidden.csv", "folder/inner.csv"):
        (tmp_path / name).touch()
    session = Session(root=tmp_path)
    session.run("(define loss 1) (data my-column [1]) (params my-parameter)")
    session.run("(define r (train (** my-parameter 2) :steps 1))")
    found = suggestions(before, session)
    assert [s.text for s in found] == names.split()
    assert all(before.endswith(before[len(before) - s.length :]) for s in found)


def test_suggestions_say_what_they_are() -> None:
    session = Session()
    session.run("; twice\n(define (two x) (* 2 x)) (params m)")
    told = {s.text: (s.kind, s.doc) for text in ("(t", "m") for s in suggestions(text, session)}
    assert told["two"] == ("definition", "twice")
    assert told["tan"] == ("operation", "tangent")
    assert told["m"] == ("parameter", "a parameter, now 0")


SIGNED = [
    ("(sin ", "(sin x)"),
    ("(sin (+ 1 2) ", "(sin x)"),
    ("(train loss :lr (f", "(train loss :lr 0.1 :steps 20 …)"),
    ("(let ((a 1", "(let ((a 1) (b 2)) e …)"),
    ("(two [1 (unknown ", "(two x)"),
    ('(load "', '(load "other.gd")'),
    ("(sin 1)", REMINDER[0]),
    ("", REMINDER[0]),
    (",load x", ",load FILE"),
    (",set keys", ",set keys emacs|vi"),
    (",time (sin ", "(sin x)"),
]


@pytest.mark.parametrize(("before", "shown"), SIGNED)
def test_the_bottom_line(before: str, shown: str) -> None:
    session = Session()
    session.run("(define (two x) (* 2 x))")
    assert signature(before, session)[0] == shown


def test_the_bottom_line_is_cut() -> None:
    assert cut("(f x)", "what it does", 80) == ("(f x)", "what it does")
    assert cut("(f x)", "what it does", 14) == ("(f x)", "what i…")
    assert cut("(f 漢字)", "\x1b", 8) == ("(f 漢字)", "")
    assert cut("(f x)", "", 3) == ("(f…", "")


def test_long_lines_wrap_below_their_last_column() -> None:
    assert wrapped(",load F  run a script here", 20) == ",load F  run a\n         script here"
    assert wrapped("  (+ aaaaaaaa bbbbbbbbb cccc)", 22) == "  (+ aaaaaaaa\n      bbbbbbbbb cccc)"
    assert wrapped("a\n\nb", 20) == "a\n\nb"


PASTED = [
    ("(+ 1 2)\r\n", "(+ 1 2)"),
    ("∇ (+ 1 2)      _1\n3\n", "(+ 1 2)"),
    ("∇ (define (f x)\n·   (* x x))\n∇ (f 2)\n4\n", "(define (f x)\n  (* x x))\n(f 2)"),
    ("∇ (f\n·\n·  2)", "(f\n\n 2)"),
    ("(+ 1 2)  ; => 3\n(f)\n; => train\n;      m\n(g)", "(+ 1 2)\n(f)\n(g)"),
    ('(print "a\r\nb") ; done', '(print "a\nb") ; done'),
    ('(print "  ; => 3") ; => 3', '(print "  ; => 3")'),
]


@pytest.mark.parametrize(("text", "typed"), PASTED)
def test_pasted_text_loses_prompts_and_output(text: str, typed: str) -> None:
    assert pasted(text) == typed


def test_values_by_number() -> None:
    session = Session()
    values = Numbered()
    session.results = values
    with pytest.raises(NablispError, match="_ has no value: no values so far"):
        session.run("(+ _ 1)")
    values.add(3)
    values.add(session.run("(* u v)"))
    assert str(session.run("[_1 __ (+ _ _2)]")) == "[3 3 (+ (* u v) (* u v))]"
    assert session.run("((lambda (_) (* 2 _)) 4)") == 8
    for name in ("_3", "_0"):
        with pytest.raises(NablispError, match=f"{name} has no value: 2 values so far"):
            session.run(name)
    assert "_" not in session.definitions
    assert session.run("(define _ 7) _") == 7  # what is declared comes first
    assert str(session.run("_x")) == "_x"


BESIDE = [
    ("(* m 3)", "6"),
    ("m", "2"),
    ("(< m 3)", "true"),
    ("(* m x)", "[2 4]"),
    ("(* m free)", ""),
    ("(mean (* m long))", ""),  # takes long
    ("w", ""),  # is long
    ("(+ 1 2)", ""),
    ('"m"', ""),
]


@pytest.mark.parametrize(("text", "value"), BESIDE)
def test_a_formula_has_its_value_beside_it(text: str, value: str) -> None:
    session = Session()
    session.run("(params (m 2) (w (zeros 9))) (data x [1 2])")
    if "long" in text:
        session.run("(forget x) (data long (range 300000))")
    assert beside(session, session.run(text)) == value


# ---- help ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("tanh", ["(tanh x)", "hyperbolic tangent", "d/dx"]),
        ("softplus", ["means"]),
        ("train", [":by adam", ":schedule (cosine", ":lr"]),
        ("mse", ["mean of squared errors", "(define (mse p y)"]),
        ("two", ["(two x)\n  twice what it gets\n  (define (two x)"]),
        ("adam", [":by adam", "Kingma", "p ← (- p", ":beta1 0.9"]),
        ("lbfgs", ["Liu and Nocedal"]),
        ("cosine", [":schedule (cosine high low)"]),
        ("stalled", ["no progress"]),
        ("pi", ["constant"]),
        (":lr", ["a keyword of param, train"]),
        ("m", ["a parameter, now 1"]),
        (",load", [",load FILE"]),
        ("load", ['(load "other.gd")', ",load FILE"]),
        ("keys", [",set keys emacs|vi"]),
        ("", ["Alt-Enter", ",reload"]),
    ],
)
def test_help(name: str, words: list[str], shell: Prompt) -> None:
    shell.session.run("; twice what it gets\n(define (two x) (* 2 x)) (params (m 1))")
    found = page(shell, name)
    assert all(word in found for word in words), found


def test_every_name_has_a_page() -> None:
    session = Session()
    for entry in entries(session):
        assert entry.signature in help_text(session, entry.name)


def test_search() -> None:
    session = Session()
    assert search(session, "entropy").splitlines()[0].startswith("(cross-entropy z y)")
    assert "(bce z y)" in search(session, "Logits binary")
    assert "… and" in search(session, "e")
    with pytest.raises(NablispError, match="or speaks of it"):
        search(session, "zzz")


# ---- settings ------------------------------------------------------------------------------------


def test_settings_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "nablisp" / "config.toml"
    defaults = {name: row.choices[0] for name, row in SETTINGS.items()}
    assert read_settings(None) == read_settings(path) == (defaults, [])
    write_setting(path, "keys", "vi")
    write_setting(path, "menu", True)
    assert read_settings(path) == (defaults | {"keys": "vi", "menu": True}, [])
    path.write_text("# mine\n" + path.read_text("utf-8"), "utf-8")
    write_setting(path, "keys", "emacs")
    assert read_settings(path)[0]["keys"] == "emacs"
    text = path.read_text("utf-8")
    assert text.startswith("# mine")
    assert all(f"# {row.doc}" in text for row in SETTINGS.values())


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('keys = "vim"', "keys is emacs or vi, not vim"),
        ('key = "vi"', "did you mean keys?"),
        ("menu = [1]", "menu is false or true"),
        ("keys = ", "cannot be read"),
        ("\xff", "cannot be read"),
    ],
)
def test_settings_that_are_wrong(text: str, problem: str, tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(text, "latin-1")
    values, problems = read_settings(path)
    assert values == read_settings(None)[0]
    assert len(problems) == 1
    assert problem in problems[0]


# ---- highlighting --------------------------------------------------------------------------------


def test_lexer_loses_nothing() -> None:
    text = '(define (f x) "a\\"b" [1e-3 -x :lr]) ; done\n(sin pi) "open'
    tokens = list(NablispLexer().get_tokens(text))
    assert "".join(value for _, value in tokens).strip() == text.strip()
    kinds = {value: str(kind) for kind, value in tokens}
    for word, kind in LEXED.items():
        assert kinds[word].startswith(f"Token.{kind}")


LEXED = {
    "define": "Keyword", "sin": "Name.Builtin", "pi": "Keyword.Constant", "1e-3": "Literal.Number",
    "-x": "Name", ":lr": "Name.Attribute", "; done": "Comment", '"a\\"b"': "Literal.String",
}  # fmt: skip


# ---- commands, and what they show ----------------------------------------------------------------


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Prompt:
    """A conversation without a terminal, with folders of its own."""
    for variable in ("XDG_STATE_HOME", "XDG_CONFIG_HOME", "HOME"):
        monkeypatch.setenv(variable, str(tmp_path / variable))
    with create_app_session(output=DummyOutput()):
        return Prompt(Session(root=tmp_path))


SAID = [
    (["(+ 1 2)", "(* _ 2)", "(+ _1 __ _)"], "3\n6\n12\n"),
    (["(params (m 2)) (* m 3)", "(forget m)", "_"], "(* m 3)  ; 6\n(* m 3)\n"),
    (["∇ (+ 1 2)      _1\n3"], "3\n"),
    ([",time (+ 1 2)"], "3\n; 0"),
    (
        ["(params m) (define k 3) (data x [1 2])", ",reset all", ",env"],
        "all is forgotten\nnothing is declared yet\n",
    ),
    ([",set values false", "(params m) m"], "m\n"),
    ([',load "a.gd"', ",reload", "k"], "; a.gd: k x\n; a.gd: k x\n5\n"),
    (["(define k 1)", ",save s.gd", ",load s.gd"], "saved in s.gd\n; s.gd: nothing new\n"),
    (["  ", "; nothing"], ""),
]


@pytest.mark.parametrize(("lines", "said"), SAID)
def test_what_is_said(
    lines: list[str], said: str, shell: Prompt, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.gd").write_text("(define k 5) (data x [1 2])", "utf-8")
    for line in lines:
        assert shell.entry(unprompted(line))
    out, error = capsys.readouterr()
    assert out.startswith(said), out + error
    assert (not error) or "s.gd" in lines[-1]  # k was redefined


FAILED = [
    ("_4", "_4 has no value"),
    (",lod x", "did you mean ,load?"),
    (",load", ",load wants a file"),
    (",load nope.gd", "there is no file"),
    (",reload", "nothing was loaded yet"),
    (",save ../x", "error:"),
    (",set", ""),
    (",set keyz vi", "did you mean keys?"),
    (",set keys", "emacs or vi"),
    (",set keys vim", "keys is emacs or vi, not vim"),
    (",set a b c", "takes a name and a value"),
    (",env now", ",env takes nothing"),
    ("?nothing-like-it", "nothing is called"),
    ("??", "wants a word"),
    ("(f 1", "the text ends before"),
    ("(sine 1)", "did you mean sin?"),
]


@pytest.mark.parametrize(("line", "problem"), FAILED)
def test_mistakes_are_told(
    line: str, problem: str, shell: Prompt, capsys: pytest.CaptureFixture[str]
) -> None:
    assert shell.entry(line)
    assert problem in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (RuntimeError("\x1b[31m oh"), "this is a bug of nablisp: RuntimeError: \\u{1b}[31m oh"),
        (RecursionError("deep"), "this is a bug of nablisp: RecursionError"),
        (MemoryError(), "this needs more memory than there is"),
        (KeyboardInterrupt(), "interrupted"),
    ],
)
def test_the_session_survives(
    error: BaseException,
    words: str,
    shell: Prompt,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fails(text: str, *, name: str) -> None:
        raise error

    monkeypatch.setattr(shell.session, "values", fails)
    assert shell.entry("(+ 1 2)")
    told = capsys.readouterr().err
    assert words in told
    assert "Traceback" not in told
    if "bug" in words:
        kept = tmp_path / "XDG_STATE_HOME" / "nablisp" / "bug.txt"
        assert str(kept) in told.replace("\n", "")
        assert "Traceback" in kept.read_text("utf-8")


def test_a_stopped_run_stops_the_line(
    shell: Prompt, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(seen: object) -> None:
        if isinstance(seen, Progress):
            raise KeyboardInterrupt

    monkeypatch.setattr(shell.session, "watch", lambda asked: nullcontext(interrupt))
    assert shell.entry("(params m) (train (** (- m 1) 2) :steps 9) (+ 1 1)")
    out, _ = capsys.readouterr()
    assert "the best parameters so far are kept" in out
    assert "\n2\n" not in out


def test_every_command_says_what_it_does() -> None:
    for name, row in COMMANDS.items():
        assert row.signature.startswith(f",{name}")
        assert row.doc


# ---- keys, through a pipe ------------------------------------------------------------------------

Typist = Callable[..., list[str]]


@pytest.fixture
def typist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Typist:
    """Types keys, a string for each prompt, and gives the entries that they made."""
    for variable in ("XDG_STATE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(variable, str(tmp_path / variable))

    def entries_of(*keys: str, **settings: str) -> list[str]:
        found: list[str] = []
        with create_pipe_input() as pipe, create_app_session(input=pipe, output=DummyOutput()):
            shell = Prompt(Session())
            for name, choice in settings.items():
                shell.choose(name, choice)
            for typed in keys:

                def begin(typed: str = typed) -> None:
                    loop = asyncio.get_running_loop()
                    for i, part in enumerate(typed.split(THEN)):
                        loop.call_later(0.02 + 0.2 * i, pipe.send_text, part)
                    loop.call_later(5, pipe.send_text, "\x03")

                try:
                    found.append(shell.typed.prompt(pre_run=begin))
                except KeyboardInterrupt:
                    found.append("^C")
                except EOFError:
                    found.append("^D")
        return found

    return entries_of


THEN = "\0"
"""Time for the history to be read, for completions to be found."""
UP, RIGHT, LEFT, HOME = "\x1b[A", "\x1b[C", "\x1b[D", "\x01"
TYPED = [
    (["(+ 1 2)\r"], ["(+ 1 2)"]),
    (["(define (f x)\r(* x x))\r"], ["(define (f x)\n  (* x x))"]),
    (["(+ 1\r2)\r"], ["(+ 1\n   2)"]),
    (['(f "a \r b")\r'], ['(f "a \n b")']),
    (["(+ 1 2)\x1b\r3\r"], ["(+ 1 2)\n3"]),  # Alt-Enter
    (["(f a)" + LEFT * 2 + "\x1b\r\r"], ["(f\n a)"]),
    (["(f\r" + HOME + "\tx)\r"], ["(f\n x)"]),  # Tab brings a line to its column
    (["(half\x03", "(+ 1 2)\r", "\x04"], ["^C", "(+ 1 2)", "^D"]),
    (["(a)\r", "(b)\r", UP + UP + "\r"], ["(a)", "(b)", "(a)"]),
    (["(a 1)\r", "(b)\r", "(a" + UP + "\r"], ["(a 1)", "(b)", "(a 1)"]),  # by how it begins
    (["(f\r1)\r", "(b)\r", "(f" + UP + "\r"], ["(f\n 1)", "(b)", "(f\n 1)"]),  # whole
    (["(a 1)\r", "(b)\r", "\x12a 1\r\r"], ["(a 1)", "(b)", "(a 1)"]),  # Ctrl-R
    (["\x1b[200~∇ (f   \n·  1)\n3\x1b[201~\r"], ["(f   \n 1)"]),
    ([",time (+ 1\r2)\r"], [",time (+ 1\n         2)"]),
    (["?sin\r", ",set (\r"], ["?sin", ",set ("]),
    (["(arg\t" + THEN + " v)\r"], ["(argmax v)"]),
    (["(log1\t" + THEN + "\t" + THEN + "\r1)\r"], ["(log101)"]),  # Enter takes it
    (["\\nabla\t" + THEN + "\r"], ["∇"]),
    (["(a 1)\r", "(a" + THEN + RIGHT + "\r"], ["(a 1)", "(a 1)"]),  # the suggestion
]


@pytest.mark.parametrize(("keys", "found"), TYPED)
def test_keys(keys: list[str], found: list[str], typist: Typist) -> None:
    assert typist(*keys) == found


def test_vi_keys(typist: Typist) -> None:
    assert typist("(f 1)\x1bhi2\r", "(\x1b\r)\r", keys="vi") == ["(f 21)", "(\n )"]


@pytest.mark.parametrize(
    ("text", "doc"),
    [
        ("; doubles\n(define (f x) (* 2 x))", "doubles"),
        (";;  doubles \r\n  (define (f x) (* 2 x))", "doubles"),
        ("; other\n\n(define (f x) (* 2 x))", ""),
        ("; other\n1 (define (f x) (* 2 x))", ""),
        ("1 ; other\n(define (f x) (* 2 x))", ""),
        (";" * 60_000 + "\n1\n(define (f x) (* 2 x))", ""),  # read once, not from each sign on
    ],
)
def test_the_comment_above_is_the_doc(text: str, doc: str) -> None:
    session = Session()
    session.run(text)
    assert {entry.name: entry.doc for entry in entries(session)}["f"] == doc


# ---- on a terminal -------------------------------------------------------------------------------


class Terminal:
    """nablisp on a pseudo-terminal, seen without the control sequences."""

    def __init__(self, home: Path, *arguments: str, size: tuple[int, int] = (40, 120)) -> None:
        pexpect = pytest.importorskip("pexpect")
        self.child: Any = pexpect.spawn(
            sys.executable,
            ["-m", "nablisp", *arguments],
            env={**os.environ, "TERM": "xterm", "PROMPT_TOOLKIT_NO_CPR": "1",
                 "XDG_STATE_HOME": str(home), "XDG_CONFIG_HOME": str(home)},
            encoding="utf-8", timeout=30, dimensions=size,
        )  # fmt: skip

        self.raw, self.at = "", 0

    @property
    def seen(self) -> str:
        """What the terminal was sent, without control sequences."""
        return re.sub(r"\x1b(\[[0-9;? ]*[A-Za-z]|[^\[])", "", self.raw)

    def expect(self, *words: str) -> None:
        """Wait until the words have appeared, one after the other."""
        for text in words:
            end = time.monotonic() + 30
            while (found := self.seen.find(text, self.at)) < 0:
                assert time.monotonic() < end, f"no {text!r} after {self.seen[self.at :]!r}"
                self.raw += self.child.read_nonblocking(10_000, timeout=30)
            self.at = found + len(text)

    def say(self, text: str, *words: str) -> None:
        """Type a line, and wait for what it shows and the next prompt."""
        self.child.send(f"{text}\r")
        self.expect(*words, "∇")

    def end(self) -> tuple[str, int]:
        self.raw += self.child.read()
        self.child.close()
        return self.seen, self.child.exitstatus


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    if os.name != "posix":
        pytest.skip("pseudo-terminals are POSIX")
    found = Terminal(tmp_path)
    yield found
    found.child.close(force=True)


def test_a_conversation(terminal: Terminal, tmp_path: Path) -> None:
    t = terminal
    t.expect("nablisp", "Ctrl-D leaves", "∇")
    t.say("(+ 40 2)", "\n42\r\n")
    t.child.send("(define (f x)\r")  # an unfinished form goes on
    t.expect("(f x)", "·")
    t.say("(* x x))")
    t.say("(f 12)", "\n144\r\n")
    t.say("(f 1 2)", "error: f takes 1 argument, not 2", "<4>:1:1", "^^^^^^^")
    t.say('(print "\\u{1b}[35mpurple")', "\n\\u{1b}[35mpurple\r\n")
    t.child.send("(params m) (* 11 11) (train (** (- m 1) 2) :lr 1e-9 :steps 1000000000)\r")
    t.expect("\n121\r\n")
    time.sleep(0.5)
    t.child.sendintr()
    t.expect("interrupted after", "stopped from the keyboard", "best parameters", "∇")
    t.say("(< 0 (val m))", "\ntrue\r\n")
    t.child.send("(define (g n) (g n)) (* 12 12) (g 1)\r")
    t.expect("\n144\r\n")
    t.child.sendintr()
    t.expect("interrupted", "∇")
    t.child.send("(half a line")
    t.expect("line")
    t.child.sendintr()  # drops the line
    t.expect("∇")
    t.child.send("\x1b[A\x1b[A")  # up, through history
    t.expect("(< 0 (val m))")
    t.say("", "\ntrue\r\n")
    t.say("(+ 1000 (f 3))", "\n1009\r\n")
    t.child.sendeof()
    seen, status = t.end()
    assert status == 0
    assert "Traceback" not in seen
    assert "(+ 1000 (f 3))" in (tmp_path / "nablisp" / "history").read_text("utf-8")


def test_ctrl_c_right_after_enter_is_not_lost(terminal: Terminal) -> None:
    """While the terminal still takes it for a key, and a moment later."""
    t = terminal
    t.expect("∇")
    t.say("(define (g n) (g n))")
    for pause in (0, 0, 0.002, 0.01, 0.03):
        t.child.send("(g 1)\r")
        time.sleep(pause)
        t.child.send("\x03")
        t.expect("∇")
        t.say("(+ 40 2)", "42")
    t.child.sendeof()
    assert t.end()[1] == 0


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
@pytest.mark.parametrize("entry", ["(half an ent", "(define (g n) (g n)) (g 1)\r"])
def test_a_signal_ends_it_and_leaves_the_terminal(
    entry: str, name: str, terminal: Terminal
) -> None:
    import termios

    t, number = terminal, getattr(signal, name)
    t.expect("∇")
    t.child.send(entry)
    t.expect("(half an ent" if "half" in entry else "(g 1)")
    t.child.kill(number)
    t.child.read()
    modes = termios.tcgetattr(t.child.child_fd)[3]
    t.child.close()
    assert t.child.exitstatus == 128 + number
    assert modes & termios.ECHO and modes & termios.ICANON and modes & termios.ISIG


def test_what_helps_while_typing(tmp_path: Path) -> None:
    if os.name != "posix":
        pytest.skip("pseudo-terminals are POSIX")
    t = Terminal(tmp_path, size=(24, 80))
    t.expect("∇")
    t.child.send("(train (si\t")
    t.expect("sigmoid", "sign", "sine")
    t.child.sendintr()
    t.expect("∇")
    t.say("\x1b[200~∇ (define (f x)     _1\r·   (* 2 x))\r∇ (f 4)\r8\x1b[201~", "\n8\r\n")
    t.say("(params (m 2)) (* m _)", "\n(* m 8)  ; 16\r\n")
    t.say("?tanh", "hyperbolic tangent", "d/dx")
    t.say(",set keys vi")
    t.say("(+ 1 1)", "\n2\r\n")
    assert 'keys = "vi"' in (tmp_path / "nablisp" / "config.toml").read_text("utf-8")
    t.child.send(",quit\r")
    seen, status = t.end()
    assert status == 0
    assert "Traceback" not in seen


def test_after_a_script_and_its_mistakes(tmp_path: Path) -> None:
    if os.name != "posix":
        pytest.skip("pseudo-terminals are POSIX")
    t = Terminal(tmp_path, "-i", "-e", "(define k 41)", "-e", "(sine 1)")
    t.expect("did you mean sin?", "∇")
    t.say("(+ k 1)", "\n42\r\n")
    t.child.send("(exit)\r")
    assert t.end()[1] == 0


def test_no_colour_where_it_is_not_wanted(tmp_path: Path) -> None:
    if os.name != "posix":
        pytest.skip("pseudo-terminals are POSIX")
    t = Terminal(tmp_path, "--color", "never", "-e", '"\\u{9b}" (f 1)')
    printed = t.child.read()
    assert printed == (
        '"\\u{9b}"\r\nerror: there is no function or form called f\r\n  <text>:1:11\r\n'
        '  1 | "\\u{9b}" (f 1)\r\n                ^\r\n  define it: (define (f x) …)\r\n'
    )
    t.child.close()
    assert t.child.exitstatus == 1
    t = Terminal(tmp_path, "-e", "(f 1)")
    assert "\x1b[1;31merror:\x1b[0m" in t.child.read()
