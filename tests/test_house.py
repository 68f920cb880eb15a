"""The house in order: lint, layout, types and floors, so that pytest is the whole check."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LINT_IMPORTS = str(Path(sysconfig.get_path("scripts")) / "lint-imports")


@pytest.mark.parametrize(
    "command",
    [
        pytest.param([sys.executable, "-m", "ruff", "check", "--quiet"], id="lint"),
        pytest.param([sys.executable, "-m", "ruff", "format", "--check"], id="layout"),
        pytest.param([sys.executable, "-m", "mypy"], id="types"),
        pytest.param([LINT_IMPORTS], id="floors"),
    ],
)
def test_house(command: list[str]) -> None:
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.parametrize(
    ("code", "heavy"),
    [
        ("import nablisp", "prompt_toolkit pygments lark argparse"),
        ("from nablisp.cli import main; main(['-e', '(+ 1 2)'])", "prompt_toolkit pygments lark"),
    ],
)
def test_heavy_imports_are_lazy(code: str, heavy: str) -> None:
    """A script that draws nothing starts in a blink: what it does not need is not imported."""
    code += f"; import sys; print([name for name in {heavy.split()} if name in sys.modules])"
    ran = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
    )
    assert ran.stdout.splitlines()[-1] == "[]"
