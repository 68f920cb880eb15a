"""The command: what goes where, exit statuses, JSON, transcripts; each in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from nablisp.transcript import play, same, updated

DIVERGES = "(params m) (data x [1 2]) (train (mse (* m x) x) :lr 10 :steps 2000)"


def nablisp(
    *arguments: str, text: str | None = None, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "nablisp", *arguments],
        input="" if text is None else text,
        text=True,
        capture_output=True,
        timeout=60,
        cwd=cwd,
        check=False,
    )


@pytest.mark.parametrize(
    ("arguments", "text", "status", "out", "err"),
    [
        (["-e", "(+ 1 2)"], None, 0, "3\n", ""),
        (["-e", "(define x 1)", "-e", "(+ x 2)"], None, 0, "3\n", ""),
        ([], "(+ 1 2)\n(* 2 3)", 0, "3\n6\n", ""),
        (["-"], '(print "a" 1) "b"', 0, 'a 1\n"b"\n', ""),
        (["-D", "n=4", "-e", "(** n 2)"], None, 0, "16\n", ""),
        (["-D", "n=4", "-e", "(define n 2) (** n 2)"], None, 0, "16\n", ""),
        (["-D", "m=3", "-e", "(params m) (val (* 2 m))"], None, 0, "6\n", ""),
        ([], "1\n(tanh m b)\n2", 1, "1\n", "error: tanh takes 1 argument, not 2\n  <stdin>:2:1\n"),
        ([], "(+ 1", 1, "", "error: "),
        (["nosuch.gd"], None, 2, "", "nosuch.gd"),
        (["--nosuch"], None, 2, "", "nosuch"),
        (["-e", DIVERGES], None, 3, "train by gd: diverged", ""),
        (["--version"], None, 0, "nablisp ", ""),
        (["--quiet", "-e", "(define x 1) (define x 2)"], None, 0, "", ""),
        (["-e", "(define x 1) (define x 2)"], None, 0, "", "note: x was redefined"),
        (["-e", "(fit y x)"], None, 1, "", "is not part of this version yet"),
    ],
)
def test_runs(arguments: list[str], text: str | None, status: int, out: str, err: str) -> None:
    done = nablisp(*arguments, text=text)
    assert done.returncode == status, done.stderr
    assert done.stdout == out if out.endswith("\n") or not out else done.stdout.startswith(out)
    assert err in done.stderr if err else done.stderr == ""
    assert "Traceback" not in done.stderr and "\x1b" not in done.stdout + done.stderr


def test_json_is_one_object_a_line() -> None:
    done = nablisp(
        "--json",
        text='(params m)\n(+ 1 2)\n(/ 1 0)\n[1 nan]\n(* 2 m)\n(< 1 2)\n"é"\n'
        "(train (** (- m 1) 2) :steps 3)\n(tanh 1 2)",
    )
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 1 and done.stderr == ""
    assert lines[0] == {"kind": "number", "value": 3, "text": "3", "line": 2}
    assert lines[1]["value"] == "inf" and lines[2]["value"] == [1.0, "nan"]
    assert lines[3] == {"kind": "expression", "text": "(* 2 m)", "line": 5}
    assert lines[4]["value"] is True and lines[5]["value"] == "é"
    run = lines[6]
    assert (run["kind"], run["run"], run["status"], run["steps"]) == ("result", "train", "steps", 3)
    assert run["params"]["m"] == pytest.approx(1 - 0.8**3) and "why" in run and "se" not in run
    assert lines[7]["kind"] == "error" and lines[7]["error"] == "arity"
    assert (lines[7]["line"], lines[7]["column"], lines[7]["file"]) == (9, 1, "<stdin>")


def test_a_closed_pipe_is_silent() -> None:
    done = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m nablisp | head -c 10; echo ${{PIPESTATUS[0]}}"],
        input="(range 1000)\n" * 2000,
        text=True,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.stdout.endswith("141\n") and done.stderr == ""


def test_files_are_opened_beside_the_script(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.csv").write_text("x,y\n1,2\n3,4\n")
    (tmp_path / "sub" / "other.gd").write_text("(define two 2)")
    script = tmp_path / "sub" / "a.gd"
    script.write_text('(data "a.csv")\n(load "other.gd")\n(val (* two (sum x)))\n')
    done = nablisp(str(script), cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "8.0\n"), done.stderr
    script.write_text('(data "../b.csv")')
    assert nablisp(str(script), cwd=tmp_path).returncode == 1


def test_a_script_imports_nothing_heavy() -> None:
    code = (
        "import sys; from nablisp.cli import main; main(['-e', '(+ 1 2)']);"
        "print([m for m in ('lark', 'prompt_toolkit', 'pygments', 'rich', 'matplotlib', 'csv')"
        " if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], text=True, capture_output=True, timeout=60, check=True
    )
    assert done.stdout == "3\n[]\n"


def test_transcripts_compare_and_update(tmp_path: Path) -> None:
    text = "(+ 1 2)  ; => 4\n(/ 1 3)\n(tanh 1 2)  ; => error: tanh takes 1 argument, not 2\n"
    steps = list(play(text, "t.gd", None))
    assert [step.right for step in steps] == [False, True, True]
    new = updated(text, steps)
    assert new.splitlines()[:2] == ["(+ 1 2)  ; => 3", "(/ 1 3)  ; => 0.3333333333333333"]
    assert updated(new, list(play(new, "t.gd", None))) == new
    script = tmp_path / "t.gd"
    script.write_text(text)
    done = nablisp("test", str(script))
    assert done.returncode == 1 and "1 passed, 1 failed" in done.stdout
    assert nablisp("test", "--update", str(script)).returncode == 0
    assert script.read_text() == new
    assert nablisp("test", str(script)).returncode == 0


def test_numbers_agree_to_nine_digits_and_seconds_do_not_matter() -> None:
    assert same("a 1.0000000001 b; 0.2 s", "a  1.0000000002\n b; 17.25 s")
    assert not same("a 1.00000001", "a 1.00000002")
    assert not same("a 1", "b 1")
