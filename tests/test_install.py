"""A wheel, built and installed elsewhere: the grammar and the prelude travel with it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def ran(*command: str | Path, cwd: Path) -> str:
    """What a command prints, run without this checkout's environment; a failure shows all of it."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    found = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**clean, "PYTHONIOENCODING": "utf-8", "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    assert found.returncode == 0, f"{command}\n{found.stdout}{found.stderr}"
    return found.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    options = ("--wheel", "--no-isolation", "--outdir", folder)
    ran(sys.executable, "-m", "build", *options, ROOT, cwd=folder)
    (found,) = folder.glob("nablisp-*-py3-none-any.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of a fresh environment with the wheel; its dependencies are those found here."""
    folder = tmp_path_factory.mktemp("elsewhere")
    venv.create(folder, with_pip=False)
    paths = {"base": str(folder), "platbase": str(folder)}
    scripts = Path(sysconfig.get_path("scripts", "venv", paths))
    packages = Path(sysconfig.get_path("purelib", "venv", paths))
    (packages / "here.pth").write_text(sysconfig.get_path("purelib") + "\n")
    python = next(scripts.glob("python*"))
    options = ("--quiet", "--no-deps", "--no-index")
    ran(sys.executable, "-m", "pip", "--python", python, "install", *options, wheel, cwd=folder)
    return scripts


def test_script_runs_from_a_wheel(installed: Path, tmp_path: Path) -> None:
    """The article's example, from a folder that knows nothing of the checkout."""
    shutil.copy(ROOT / "examples" / "line.gd", tmp_path)
    assert "\n2.0010576248168945\n" in ran(installed / "nablisp", "line.gd", cwd=tmp_path)
    assert "failed" in ran(installed / "nablisp", "test", "line.gd", cwd=tmp_path)


def test_what_travels(installed: Path, tmp_path: Path) -> None:
    code = (
        "import nablisp.reader as r, pathlib; here = pathlib.Path(r.__file__).parent;"
        "print(here, *[(here / n).is_file() for n in "
        "('grammar/nablisp.lark', 'prelude.gd', 'py.typed')], r._grammar()[:20])"
    )
    shown = ran(installed / "python", "-c", code, cwd=tmp_path)
    assert shown.startswith(str(installed.parent)), "not the checkout"
    assert " True True True // The whole syntax" in shown
    help_ = ran(installed / "nablisp", "-e", "(help mse)", cwd=tmp_path)
    assert "(define (mse p y) (mean (** (- p y) 2)))" in help_


def test_module_runs_as_the_command(installed: Path, tmp_path: Path) -> None:
    assert ran(installed / "python", "-m", "nablisp", "-e", "(+ 1 2)", cwd=tmp_path) == "3\n"


def test_wheel_runs_as_a_zip(wheel: Path, tmp_path: Path) -> None:
    """Not unpacked: as a program packed into one file carries it."""
    code = f"import sys; sys.path.insert(0, {str(wheel)!r}); from nablisp.cli import main; "
    code += "main(['-e', '(mse [1 3] [0 0])'])"
    assert ran(sys.executable, "-c", code, cwd=tmp_path) == "5.0\n"


def test_wheel_holds_the_package_alone(wheel: Path) -> None:
    from zipfile import ZipFile

    names = ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"nablisp"}
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)
