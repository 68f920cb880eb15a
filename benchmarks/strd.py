"""NIST's reference problems of nonlinear regression, from the files that lmfit's source carries.

The models are written here in the language; data, starts and certified values come from the files:
`pip download --no-deps --no-binary lmfit lmfit==1.3.4` and unpack it, or `fetch()` does both.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

_GAUSSIANS = """(+ (* b1 (exp (- (* b2 x)))) (* b3 (exp (- (/ (** (- x b4) 2) (** b5 2)))))
                   (* b6 (exp (- (/ (** (- x b7) 2) (** b8 2))))))"""
_CUBICS = """(/ (+ b1 (* b2 x) (* b3 (** x 2)) (* b4 (** x 3)))
                (+ 1 (* b5 x) (* b6 (** x 2)) (* b7 (** x 3))))"""
_EXPONENTIALS = "(+ (* b1 (exp (- (* b2 x)))) (* b3 (exp (- (* b4 x)))) (* b5 (exp (- (* b6 x)))))"
_CHWIRUT = "(/ (exp (- (* b1 x))) (+ b2 (* b3 x)))"

MODELS = {
    "Bennett5": "(* b1 (** (+ b2 x) (/ -1 b3)))",
    "BoxBOD": "(* b1 (- 1 (exp (- (* b2 x)))))",
    "Chwirut1": _CHWIRUT,
    "Chwirut2": _CHWIRUT,
    "DanWood": "(* b1 (** x b2))",
    "ENSO": """(+ b1 (* b2 (cos (/ (* 2 pi x) 12))) (* b3 (sin (/ (* 2 pi x) 12)))
                  (* b5 (cos (/ (* 2 pi x) b4))) (* b6 (sin (/ (* 2 pi x) b4)))
                  (* b8 (cos (/ (* 2 pi x) b7))) (* b9 (sin (/ (* 2 pi x) b7))))""",
    "Eckerle4": "(* (/ b1 b2) (exp (* -0.5 (** (/ (- x b3) b2) 2))))",
    "Gauss1": _GAUSSIANS,
    "Gauss2": _GAUSSIANS,
    "Gauss3": _GAUSSIANS,
    "Hahn1": _CUBICS,
    "Kirby2": "(/ (+ b1 (* b2 x) (* b3 (** x 2))) (+ 1 (* b4 x) (* b5 (** x 2))))",
    "Lanczos1": _EXPONENTIALS,
    "Lanczos2": _EXPONENTIALS,
    "Lanczos3": _EXPONENTIALS,
    "MGH09": "(/ (* b1 (+ (** x 2) (* x b2))) (+ (** x 2) (* x b3) b4))",
    "MGH10": "(* b1 (exp (/ b2 (+ x b3))))",
    "MGH17": "(+ b1 (* b2 (exp (- (* x b4)))) (* b3 (exp (- (* x b5)))))",
    "Misra1a": "(* b1 (- 1 (exp (- (* b2 x)))))",
    "Misra1b": "(* b1 (- 1 (** (+ 1 (/ (* b2 x) 2)) -2)))",
    "Misra1c": "(* b1 (- 1 (** (+ 1 (* 2 b2 x)) -0.5)))",
    "Misra1d": "(/ (* b1 b2 x) (+ 1 (* b2 x)))",
    "Nelson": "(- b1 (* b2 x1 (exp (- (* b3 x2)))))",
    "Rat42": "(/ b1 (+ 1 (exp (- b2 (* b3 x)))))",
    "Rat43": "(/ b1 (** (+ 1 (exp (- b2 (* b3 x)))) (/ 1 b4)))",
    "Roszman1": "(- b1 (* b2 x) (/ (atan (/ b3 (- x b4))) pi))",
    "Thurber": _CUBICS,
}


@dataclass(frozen=True, slots=True)
class Problem:
    """One set of data, with NIST's two starts and its certified answers."""

    name: str
    model: str
    response: str
    columns: dict[str, np.ndarray]
    starts: list[dict[str, float]]
    certified: dict[str, float]
    deviations: dict[str, float]
    squares: float
    """the certified residual sum of squares"""


def fetch() -> Path:
    """The folder of the files, from lmfit's source distribution."""
    place = Path(tempfile.gettempdir()) / "nablisp-strd"
    if not (place / "NIST_STRD").is_dir():
        place.mkdir(exist_ok=True)
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "-q",
            "--no-deps",
            "--no-binary",
            "lmfit",
        ]
        subprocess.run([*command, "-d", str(place), "lmfit==1.3.4"], check=True)
        with tarfile.open(next(place.glob("lmfit-*.tar.gz"))) as archive:
            for member in archive.getmembers():
                if "/NIST_STRD/" in member.name and member.isfile():
                    member.name = member.name.split("/", 1)[1]
                    archive.extract(member, place, filter="data")
    return place / "NIST_STRD"


def problems(folder: Path | None = None) -> list[Problem]:
    """All of them, by name."""
    return [_read(name, (folder or fetch()) / f"{name}.dat") for name in MODELS]


def _read(name: str, path: Path) -> Problem:
    text = path.read_text()
    found = re.findall(r"^ +(b\d) = +(\S+) +(\S+) +(\S+) +(\S+) *$", text, re.MULTILINE)
    rows = text[text.rindex("Data:") :].splitlines()
    names = rows[0].split()[1:]
    table = np.array([[float(cell) for cell in row.split()] for row in rows[1:] if row.strip()])
    return Problem(
        name,
        MODELS[name],
        "(log y)" if name == "Nelson" else "y",
        dict(zip(names, table.T, strict=True)),
        [{row[0]: float(row[1 + k]) for row in found} for k in range(2)],
        {row[0]: float(row[3]) for row in found},
        {row[0]: float(row[4]) for row in found},
        float(re.search(r"Residual Sum of Squares: +(\S+)", text)[1]),
    )
