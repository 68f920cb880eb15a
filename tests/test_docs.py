"""What the README, the docs and the examples show is what happens."""

from __future__ import annotations

import ast
import contextlib
import io
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from nablisp.elaborate import SPECIAL
from nablisp.reference import reference
from nablisp.transcript import Step, play, same

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "examples"
README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").glob("*.md"))]
SCRIPTS = sorted(EXAMPLES.glob("*.gd"))


def blocks(page: Path, language: str) -> str:
    """A page's code in a language, all else blank, so that lines keep their numbers."""
    inside = False
    lines = []
    for line in page.read_text("utf-8").splitlines():
        if line.startswith("```"):
            inside = line == f"```{language}"
            lines.append("")
        else:
            lines.append(line if inside else "")
    return "\n".join(lines)


def python_steps(text: str, name: str) -> Iterator[Step]:
    """Run Python statement by statement; what each prints or is, and what its `# =>` says."""
    lines = text.splitlines()
    names: dict[str, object] = {"__name__": name}
    for node in ast.parse(text, name).body:
        assert node.end_lineno is not None
        after = [lines[node.end_lineno - 1][node.end_col_offset :], *lines[node.end_lineno :]]
        found = re.match(r"\s*# => ?(.*(?:\n#    .*)*)", "\n".join(after))
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            if isinstance(node, ast.Expr):
                value = eval(compile(ast.Expression(node.value), name, "eval"), names)
                if found and value is not None:
                    print(value)
            else:
                exec(compile(ast.Module([node], []), name, "exec"), names)
        expected = re.sub(r"\n#    ", "\n", found[1]) if found else None
        yield Step(node.lineno, printed.getvalue().rstrip("\n"), expected, 0, 0)


def check(steps: Iterator[Step], name: str, *, complete: bool) -> int:
    """Every step against its comment; if complete, what shows must have one. How many had one."""
    wrong = []
    count = 0
    for step in steps:
        unsaid = complete or step.shown.startswith("error: ")
        if step.expected is None:
            right = not (step.shown and unsaid)
        else:
            right, count = same(step.expected, step.shown), count + 1
        if not right:
            wrong.append(f"{name}:{step.line}\n  says  {step.expected}\n  is    {step.shown}")
    assert not wrong, "\n".join(wrong)
    return count


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The examples' folder once more, for what they write."""
    return Path(shutil.copytree(EXAMPLES, tmp_path_factory.mktemp("copy") / "examples"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_scheme_blocks(page: Path, examples: Path) -> None:
    """The blocks of a page are one program, beside the examples' files."""
    check(play(blocks(page, "scheme"), page.name, examples), page.name, complete=False)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_blocks(page: Path) -> None:
    check(python_steps(blocks(page, "python"), page.name), page.name, complete=False)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_examples(script: Path, examples: Path) -> None:
    text = script.read_text("utf-8")
    assert text.startswith(f"; {script.name} — "), "an example opens with a sentence about itself"
    assert check(play(text, script.name, examples), script.name, complete=True)


def test_example_in_python() -> None:
    script = EXAMPLES / "python.py"
    assert check(python_steps(script.read_text("utf-8"), script.name), script.name, complete=True)


def test_reference_is_generated() -> None:
    kept = (ROOT / "docs" / "reference.md").read_text("utf-8")
    assert kept == reference(), "python -m nablisp.reference > docs/reference.md"


def test_rules_explain_every_keyword_of_train() -> None:
    rules = (ROOT / "docs" / "rules.md").read_text("utf-8")
    for keyword in SPECIAL["train"].keywords or ():
        assert f"`:{keyword}`" in rules, keyword


def test_links_lead_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text("utf-8")):
            assert "://" in target or (page.parent / target).exists(), f"{page.name}: {target}"


def test_data_files_are_named_in_an_example() -> None:
    texts = "".join(script.read_text("utf-8") for script in SCRIPTS)
    for file in EXAMPLES.glob("*.csv"):
        assert f'(data "{file.name}"' in texts
        assert f"; {file.name}: " in texts, "the source of the data is named"


def test_two_commands() -> None:
    """The README's commands make all they need, each on one line; .ci/run runs the second."""
    run, test = re.findall(r"^python3 .*$", README.read_text("utf-8"), re.MULTILINE)
    for command in (run, test):
        assert command.startswith("python3 -m venv .venv && .venv/bin/pip install -q ")
    assert run.endswith(" && .venv/bin/nablisp examples/line.gd")
    assert test.endswith(" && .venv/bin/python -m pytest -n auto")
    assert r"grep -m1 '^python3 .*-m pytest' README.md" in (ROOT / ".ci" / "run").read_text("utf-8")


def test_version_is_said_once() -> None:
    import nablisp

    assert f'version = "{nablisp.__version__}"' in (ROOT / "pyproject.toml").read_text("utf-8")
    assert f"## {nablisp.__version__}" in (ROOT / "CHANGELOG.md").read_text("utf-8")
