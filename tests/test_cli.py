"""The command: what it prints where, and its exit status."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nablisp import __version__
from nablisp.cli import main

COMMAND = [sys.executable, "-m", "nablisp"]

Capture = pytest.CaptureFixture[str]
Patch = pytest.MonkeyPatch


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: Patch) -> Path:
    """A folder with a few scripts, and nothing on standard input."""
    for name, text in SCRIPTS.items():
        (tmp_path / name).write_bytes(text)
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.gd").write_text('(load "b.gd") (f 40)')
    (tmp_path / "sub" / "b.gd").write_text("(define (f x) (+ x 2)) (f 1)")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"")))
    return tmp_path


SCRIPTS = {
    "line.gd": b"(define x 2)\n(print x)\n(+ x 1)\n[x 1.5]\n",
    "bad.gd": b"(+ 1 2)\n(+ 1\n   (sine 1))\n(+ 3 4)\n",
    "open.gd": b"(+ 1 2)\n(+ 1\n",
    "bom.gd": b"\xef\xbb\xbf(+ 1 2)",
    "latin.gd": b'(+ 1 2)\n(print "caf\xe9")',
    "away.gd": b"(params (k 1))\n(train (sqrt k) :lr 1)\n(+ 1 1)",
    "right.gd": b"(+ 1 2) ; => 3\n(define x 1)\n(f 1)\n"
    b"; => error: there is no function or form called f",
    "wrong.gd": b"(+ 1 2) ; => 4\r\n(f 1)\r\n",
}

RUNS = [
    # arguments, status, standard output, the beginning of standard error
    ("line.gd", 0, "2\n3\n[2 1.5]\n", ""),
    ("line.gd line.gd", 0, "2\n3\n[2 1.5]\n" * 2, "note: x was redefined"),
    ("--quiet line.gd line.gd", 0, "2\n3\n[2 1.5]\n" * 2, ""),
    ("bad.gd", 1, "3\n", "error: there is no function or form called sine\n  bad.gd:3:5\n"),
    ("open.gd", 1, "", "error: the text ends before the `(` of line 2, column 1 is closed\n"),
    ("bom.gd", 0, "3\n", ""),
    ("latin.gd", 1, "", "error: byte 19 is not UTF-8 text\n  latin.gd:2:12\n"),
    ("sub/a.gd", 0, "42\n", ""),
    ("nope.gd", 2, "", "error: nope.gd: no such file or directory\n"),
    (".", 2, "", "error: .: is a directory\n"),
    ("line.gd nope.gd", 2, "2\n3\n[2 1.5]\n", "error: nope.gd"),
    ("--nope", 2, "", "usage: nablisp"),
    ("check line.gd", 0, "", "no problems in 1 file\n"),
    ("fmt --check line.gd", 0, "", "0 files would change, 1 as they were\n"),
    ("--threads 0 line.gd", 2, "", "error: threads must be a whole number from 1 to 1024, not 0"),
    ("--version", 0, f"nablisp {__version__}\n", ""),
    ("-e (+,1,2) -e (*,2,3)", 0, "3\n6\n", ""),
    ("-D x=7 line.gd", 0, "7\n8\n[7 1.5]\n", ""),
    ("-D x=(+,3,4) -D y=1 -e (+,x,y)", 0, "8\n", ""),
    ("-D m=5 -e (params,m),(val,m)", 0, "5\n", ""),
    ("-D x -e 1", 2, "", "error: -D takes NAME=VALUE\n"),
    ("-D 2=3 -e 1", 2, "", "error: -D takes NAME=VALUE\n"),
    ("-D x= -e 1", 2, "", "error: -D takes NAME=VALUE, one value\n"),
    ("-D x=( -e 1", 2, "", "error: the text ends before"),
    ("-D sin=1 -e 1", 2, "", "error: sin is built in"),
    ("--seed -3 -e 1", 2, "", "error: seed must be a whole number"),
    ("--backend nope -e (params,m),(train,(**,m,2))", 2, "", "error: there is no backend called"),
    ("--color always -e (f,1)", 1, "", "\x1b[1;31merror:\x1b[0m there is no function"),
    ("-e (f,1)", 1, "", "error: there is no function"),
    ("test right.gd", 0, "2 passed, 0 failed\n", ""),
    ("test nope.gd", 2, "", "error: nope.gd: no such file"),
    ("test open.gd", 1, "", "error: the text ends before"),
    ("test", 2, "", "usage: nablisp test"),
]


@pytest.mark.parametrize(("arguments", "status", "out", "err"), RUNS, ids=lambda v: str(v)[:40])
def test_runs(arguments: str, status: int, out: str, err: str, capsys: Capture) -> None:
    found = main([word.replace(",", " ") for word in arguments.split()])
    captured = capsys.readouterr()
    assert (found, captured.out) == (status, out), captured.err
    assert captured.err.startswith(err)
    assert bool(captured.err) == bool(err)


def test_a_run_that_diverged_is_status_3(capsys: Capture) -> None:
    assert main(["away.gd"]) == 3
    out = capsys.readouterr().out
    assert out.startswith("train by gd: diverged")
    assert out.endswith("\n2\n"), "the script goes on"
    assert main(["away.gd", "bad.gd"]) == 1, "a mistake is worse"


@pytest.mark.parametrize("arguments", [[], ["-"], ["-i"], ["-i", "-e", "(define x 2)"]])
def test_on_a_pipe_standard_input_is_a_script(
    arguments: list[str], capsys: Capture, monkeypatch: Patch
) -> None:
    text = io.TextIOWrapper(io.BytesIO(b"(+ 1 2)\n(f 1)\n(+ 3 4)"))
    monkeypatch.setattr(sys, "stdin", text)
    assert main(arguments) == 1
    captured = capsys.readouterr()
    assert captured.out == "3\n"
    assert captured.err.startswith("error: there is no function or form called f\n  <stdin>:2:2\n")


def test_seeds_decide_random_numbers(capsys: Capture) -> None:
    for seed in ("3", "3", "4"):
        main(["--seed", seed, "-e", "(normal 2)"])
    first, again, other = capsys.readouterr().out.splitlines()
    assert first == again != other


def test_transcripts(here: Path, capsys: Capture) -> None:
    assert main(["test", "wrong.gd", "right.gd"]) == 1
    assert capsys.readouterr().out == (
        "wrong.gd:1\n  expected  4\n  got       3\n"
        "wrong.gd:2\n  expected  no error\n"
        "  got       error: there is no function or form called f\n"
        "2 passed, 2 failed\n"
    )
    assert main(["test", "--update", "wrong.gd", "right.gd"]) == 0
    assert main(["test", "wrong.gd", "right.gd"]) == 0
    assert (here / "wrong.gd").read_bytes() == (
        b"(+ 1 2) ; => 3\r\n(f 1)  ; => error: there is no function or form called f\r\n"
    )
    assert (here / "right.gd").read_bytes() == SCRIPTS["right.gd"]


# ---- JSON ----------------------------------------------------------------------------------------

JSON = [
    ("(+ 3 4)", {"kind": "number", "value": 7, "text": "7", "line": 1}),
    ("\n (/ 1 0)", {"kind": "number", "value": "inf", "text": "inf", "line": 2}),
    ("nan", {"kind": "number", "value": "nan", "text": "nan", "line": 1}),
    ("(< 1 2)", {"kind": "boolean", "value": True, "text": "true", "line": 1}),
    ('"a\\n"', {"kind": "string", "value": "a\n", "text": '"a\\n"', "line": 1}),
    (
        "[[1 nan] [-inf 2.5]]",
        {
            "kind": "array",
            "value": [[1.0, "nan"], ["-inf", 2.5]],
            "text": "[[1 nan]\n [-inf 2.5]]",
            "line": 1,
        },
    ),
    ("(+ x 1)", {"kind": "expression", "text": "(+ x 1)", "line": 1}),
    ("sin", {"kind": "function", "text": "sin", "line": 1}),
    ("(print 1 2)", {"kind": "output", "text": "1 2"}),
    (
        "(+ 1\n (sine 1))",
        {
            "kind": "error",
            "error": "unbound-name",
            "message": "there is no function or form called sine",
            "hint": "did you mean sin?",
            "file": "<text>",
            "line": 2,
            "column": 3,
        },
    ),
]


@pytest.mark.parametrize(("text", "found"), JSON, ids=lambda v: str(v)[:30])
def test_json(text: str, found: dict[str, object], capsys: Capture) -> None:
    status = main(["--json", "-e", text])
    captured = capsys.readouterr()
    assert json.loads(captured.out) == found
    assert captured.out.count("\n") == 1
    assert captured.err == ""
    assert status == (found["kind"] == "error")


def test_json_of_a_run(capsys: Capture) -> None:
    program = "(params m (w [1 2]))\n(train (+ (** (- m 1) 2) (sum (** w 2))) :lr 0.5 :steps 1)"
    assert main(["--json", "-e", program]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["text"].startswith("train by gd: 1 step, ")
    assert found.pop("seconds") >= 0
    del found["text"]
    assert found == {
        "kind": "result",
        "run": "train",
        "status": "steps",
        "params": {"m": 1.0, "w": [0.0, 0.0]},
        "why": "train gives no standard errors",
        "loss": 0.0,
        "steps": 1,
        "line": 2,
    }


# ---- processes -----------------------------------------------------------------------------------


def run(*arguments: str, text: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments],
        input=text,
        capture_output=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONIOENCODING": "utf-8", **environment},
        check=False,
    )


def test_a_pipe_gets_no_colour_banner_or_traceback() -> None:
    ran = run(text='(+ 1 2)\n"\\u{1b}[31m"\n(f 1)', TERM="xterm", FORCE_COLOR="1")
    assert (ran.returncode, ran.stdout) == (1, '3\n"\\u{1b}[31m"\n')
    assert "\x1b" not in ran.stderr
    assert ran.stderr.startswith("error: ")


@pytest.mark.parametrize(
    "program", ["(define (go n) (print n) (go (+ n 1))) (go 0)", "(range 1000000)", "1 (f 1)"]
)
def test_a_closed_pipe_is_status_141(program: str) -> None:
    with subprocess.Popen(
        [*COMMAND, "-e", "(print 1)", "-e", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        assert process.stdout is not None
        process.stdout.read(1)
        process.stdout.close()
    assert process.returncode == 141


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full device")
def test_a_full_disk_is_said() -> None:
    with Path("/dev/full").open("w") as full:
        ran = subprocess.run(
            [*COMMAND, "-e", "1"],
            stdout=full,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            check=False,
        )
    assert ran.returncode == 1
    assert ran.stderr == "error: output cannot be written: no space left on device\n"


@pytest.mark.skipif(os.name != "posix", reason="file descriptors are closed by the shell")
@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-"])
def test_closed_streams_are_none(closed: str) -> None:
    ran = subprocess.run(
        ["bash", "-c", f"{' '.join(COMMAND)} -e '(define x 1)' {closed}"],
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")


@pytest.mark.parametrize(
    ("program", "shows"),
    [
        ("(params m) (train (** (- m 1) 2) :lr 1e-9 :steps 10000000000) (print 2)", "stopped from"),
        ("(define (f n) (f (+ n 1))) (f 0)", "interrupted\n"),
    ],
)
def test_an_interrupt_is_status_130(program: str, shows: str) -> None:
    with subprocess.Popen(
        [*COMMAND, "-e", "(print 1)", "-e", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "1\n"
        if "train" in program:
            assert process.stdout.readline().startswith("train step"), "it runs"
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()
    assert process.returncode == 130
    assert shows in rest
    assert "Traceback" not in rest
