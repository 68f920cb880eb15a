"""The native backend's kernels: their errors against MPFR, and their speed beside C and NumPy.

    pip install -r benchmarks/requirements-kernels.txt
    python benchmarks/kernels.py [ulp|speed] [--points 1000000] [exp log …]

Errors are in units of the last place, the largest for each kind of point: any bits, any exponent
from 2^-60 to 2^10, the intervals of the table below, and the neighbours of its seams, a quarter of
the points each. Speed is nanoseconds for each of 4096 numbers in the nearest cache, the least of
many rounds in which the peers take turns; C is a loop of its own, `gcc -O3 -march=native
-ffast-math`, which calls the vector functions of glibc.
"""

from __future__ import annotations

import argparse
import ctypes
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import gmpy2
import numpy as np
from gmpy2 import mpfr

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from kernel_loop import Array, Loop, loops, text_of, ulps, unit
from timing import table

from nablisp.kernels import KERNELS

CHUNK = 50_000
COUNT = 4096
INF = float("inf")
Interval = tuple[float, float]


@dataclass(frozen=True)
class Row:
    """How a kernel is measured."""

    truth: Callable[..., Any]
    ordinary: tuple[Interval, ...]
    """an interval per argument, for the speed"""
    more: tuple[Interval, ...] = ()
    """other intervals of the (first) argument"""
    seams: tuple[float, ...] = ()
    inside: Interval = (-INF, INF)
    c: str = ""
    """its name in C, if it has one"""
    array: str = ""
    """its name in numpy, if it has one"""


def sigmoid(x: Any) -> Any:
    return 1 / (1 + gmpy2.exp(-x))


def softplus(x: Any) -> Any:
    return gmpy2.maxnum(x, 0) + gmpy2.log1p(gmpy2.exp(-abs(x)))


def lgamma(x: Any) -> Any:
    return gmpy2.lgamma(x)[0]


def sinc(x: Any) -> Any:
    near = gmpy2.rint(x)
    sign = -1 if gmpy2.fmod(near, 2) else 1
    return sign * gmpy2.sin(gmpy2.const_pi() * (x - near)) / (gmpy2.const_pi() * x)


def power(x: Any, y: Any) -> Any:
    return x**y


def _row(name: str, *ordinary: Interval, array: str | None = None, c: str | None = None,
         truth: Callable[..., Any] | None = None, **facts: Any) -> Row:  # fmt: skip
    truth = truth or getattr(gmpy2, name)
    c, array = (name if v is None else v for v in (c, array))
    return Row(truth, ordinary, c=c, array=array, **facts)


ROOT, LN2, TINY = 2**0.5, float(np.log(2)), 2.2250738585072014e-308
LOGARITHM: dict[str, Any] = {
    "more": ((0.5, 2), (0.7, 1.42)), "seams": (ROOT, 1 / ROOT, 1, TINY), "inside": (0, INF),
}  # fmt: skip
CIRCLE: dict[str, Any] = {
    "more": ((-1, 1), (-100, 100), (-1e6, 1e6)),
    "seams": (2.0**20, *(float(k * np.pi / 4) for k in (1, 2, 3, 4, 6, 8, 100, 1000))),
}
EXTREMES = 708, 709.782712893384, -745.1332191019412

ROWS = {
    "exp": _row("exp", (-15, 15), more=((-1, 1), (-745, 709)), seams=(LN2 / 2, -708, *EXTREMES)),
    "expm1": _row("expm1", (-3, 3), more=((-1, 1), (-40, 709)), seams=(LN2 / 2, *EXTREMES)),
    "log": _row("log", (0.1, 9), **LOGARITHM),
    "log2": _row("log2", (0.1, 9), **LOGARITHM),
    "log10": _row("log10", (0.1, 9), **LOGARITHM),
    "log1p": _row("log1p", (-0.9, 3), more=((-0.4, 0.5), (0, 100)),
                  seams=(ROOT - 1, 1 / ROOT - 1, -1, 2.0**53), inside=(-1, INF)),
    "pow": _row("pow", (0.1, 9), (-9, 9), truth=power, array="power",
                more=((0.9, 1.1), (0, 2), (0, 1e3)), inside=(0, INF)),
    "cbrt": _row("cbrt", (-9, 9), more=((1, 8),), seams=(1, 8, TINY, 2.0**-960)),
    "hypot": _row("hypot", (-9, 9), (-9, 9), more=((1, 2), (-1e3, 1e3))),
    "sinh": _row("sinh", (-3, 3), more=((-1, 1), (-40, 40), (-711, 711)),
                 seams=(LN2 / 2, 708, 710.4758600739439)),
    "cosh": _row("cosh", (-3, 3), more=((-1, 1), (-40, 40), (-711, 711)),
                 seams=(LN2 / 2, 708, 710.4758600739439)),
    "tanh": _row("tanh", (-3, 3), more=((-1, 1), (-20, 20), (17, 19.1)), seams=(LN2 / 2, 19)),
    "asinh": _row("asinh", (-3, 3), more=((-0.5, 0.5), (-50, 50)),
                  seams=(8**-0.5, -(8**-0.5), 2.0**500)),
    "acosh": _row("acosh", (1.1, 9), more=((1, 1.1), (1, 2), (1, 100)),
                  seams=(1, 3 * 8**-0.5, 2.0**500), inside=(1, INF)),
    "atanh": _row("atanh", (-0.9, 0.9), more=((-0.2, 0.2), (0.9, 1)), seams=(1 / 6, 0.5, 1),
                  inside=(-1, 1)),
    "sigmoid": _row("sigmoid", (-6, 6), truth=sigmoid, c="", array="",
                    more=((-1, 1), (-40, 40), (-745, 10)), seams=(670, -670, -708)),
    "softplus": _row("softplus", (-6, 6), truth=softplus, c="", array="",
                     more=((-1, 1), (-40, 40), (-745, 10)), seams=(670, -670, -708)),
    "sin": _row("sin", (-3, 3), **CIRCLE),
    "cos": _row("cos", (-3, 3), **CIRCLE),
    "tan": _row("tan", (-3, 3), **CIRCLE),
    "sinc": _row("sinc", (-3, 3), truth=sinc, c="", more=((-1, 1), (-100, 100)),
                 seams=(0.25, 0.5, 1, 2, 2.0**20)),
    "asin": _row("asin", (-0.9, 0.9), more=((-1, 1), (0.9, 1)), seams=(0.5, 1), inside=(-1, 1)),
    "acos": _row("acos", (-0.9, 0.9), more=((-1, 1), (0.9, 1)), seams=(0.5, 1), inside=(-1, 1)),
    "atan": _row("atan", (-3, 3), more=((-1, 1), (-100, 100)), seams=(7 / 16, 11 / 16, 1, 39 / 16)),
    "atan2": _row("atan2", (-3, 3), (-3, 3), more=((-1, 1), (-1e3, 1e3)), array="arctan2"),
    "erf": _row("erf", (-3, 3), more=((-1, 1), (-6, 6)), seams=(0.84375, 1.25), array=""),
    "erfc": _row("erfc", (-3, 3), more=((-1, 1), (-6, 27.3)), seams=(0.25, 0.84375, 1.25),
                 array=""),
    "lgamma": _row("lgamma", (0.1, 9), more=((0, 3), (3, 100)), seams=(1, 2), truth=lgamma, c="",
                   array="", inside=(0, INF)),
    "digamma": _row("digamma", (0.1, 9), more=((0, 3), (3, 100)), seams=(1, 2), c="", array="",
                    inside=(0, INF)),
}  # fmt: skip
"""By the names of kernels."""
INVERSE = {"asin": "arcsin", "acos": "arccos", "atan": "arctan"}
INVERSE |= {f"{name}h": f"{array}h" for name, array in INVERSE.items()}

# ---- errors --------------------------------------------------------------------------------------


def second_argument(name: str, x: Array, rng: np.random.Generator, low: float) -> Array:
    """A second argument for a first: for pow, one that makes use of the range of results."""
    with np.errstate(all="ignore"):
        if name != "pow":
            return x[rng.permutation(len(x))] * np.exp2(rng.uniform(low, 1, len(x)))
        small = np.exp2(rng.uniform(-30, 0, len(x)))
        scale = np.where(rng.random(len(x)) < 0.5, small, 1)
        return rng.uniform(-760, 720, len(x)) * scale / np.log(x)


def samples(name: str, count: int, rng: np.random.Generator) -> dict[str, list[Array]]:
    """The points, by kind."""
    row = ROWS[name]
    count //= 4
    bits = rng.integers(-(2**63), 2**63 - 1, count).view(float)
    exponents = np.exp2(rng.uniform(-60, 10, count)) * rng.choice([-1, 1], count)
    ends = np.array([*row.ordinary[:1], *row.more])[rng.integers(0, 1 + len(row.more), count)]
    inside = rng.uniform(ends[:, 0], ends[:, 1])
    kinds = {"bits": bits, "exponents": exponents, "intervals": inside}
    if row.seams:
        seams = rng.choice(np.array(row.seams, float), count)
        shift = rng.integers(-2000, 2001, count) >> rng.integers(0, 12, count)
        kinds["seams"] = (seams.view(np.int64) + shift).view(float)
    low, high = row.inside
    out = {}
    for kind, x in kinds.items():
        args = [np.abs(x) if low >= 0 else x]
        if len(row.ordinary) > 1:
            args.append(second_argument(name, args[0], rng, -3 if kind == "intervals" else -30))
        keep = np.all([np.isfinite(v) & (v != 0) for v in args], axis=0)
        keep &= (args[0] >= low) & (args[0] <= high)
        out[kind] = [v[keep] for v in args]
    return out


def errors(loop: Loop, truth: Callable[..., Any], args: list[Array]) -> Array:
    """Of a kernel, in ulp."""
    exact = [truth(*map(mpfr, given)) for given in zip(*map(np.ndarray.tolist, args), strict=True)]
    nearest = np.array([float(v) for v in exact])
    known = zip(exact, nearest.tolist(), unit(nearest).tolist(), strict=True)
    rest = [float((v - n) / u) for v, n, u in known]
    return ulps(loop(*args), nearest, rest)


def measure_errors(names: list[str], count: int) -> None:
    """Print the largest error of each kind of point, and where the largest of all is."""
    context = gmpy2.get_context()
    context.precision, context.emax, context.emin = 140, 2**30, -(2**30)
    compiled = loops({name: len(ROWS[name].ordinary) for name in names})
    for name in names:
        worst, cells, points = (0.0, ()), [], 0
        for kind, args in samples(name, count, np.random.default_rng(1)).items():
            largest = 0.0
            for start in range(0, len(args[0]), CHUNK):
                part = [x[start : start + CHUNK] for x in args]
                found = errors(compiled[name], ROWS[name].truth, part)
                at = int(np.argmax(found))
                largest = max(largest, found[at])
                worst = max(worst, (float(found[at]), tuple(float(x[at]) for x in part)))
            points += len(args[0])
            cells.append(f"{kind} {largest:.3f}")
        print(
            f"{name:9}{worst[0]:.3f} at {worst[1]}: {', '.join(cells)}; {points} points", flush=True
        )


# ---- speed ---------------------------------------------------------------------------------------


def c_loops(names: list[str], folder: str) -> dict[str, Any]:
    """Loops around the functions of C, where there is a compiler."""
    compiler = shutil.which("gcc")
    named = {name: ROWS[name] for name in names if ROWS[name].c}
    if not (compiler and named):
        return {}
    text = ["#include <math.h>"]
    for name, row in named.items():
        letters = "xy"[: len(row.ordinary)]
        given = "".join(f", const double *restrict {v}" for v in letters)
        value = f"{row.c}({', '.join(f'{v}[i]' for v in letters)})"
        text.append(
            f"void f_{name}(long n, double *restrict out{given})"
            f" {{ for (long i = 0; i < n; i++) out[i] = {value}; }}"
        )
    source, library = Path(folder) / "loops.c", Path(folder) / "loops.so"
    source.write_text("\n".join(text) + "\n")
    fast = "-O3", "-march=native", "-mprefer-vector-width=512", "-ffast-math"
    subprocess.run(
        [compiler, *fast, "-shared", "-fPIC", source, "-o", library, "-lmvec", "-lm"], check=True
    )
    loaded = ctypes.CDLL(str(library))
    return {name: getattr(loaded, f"f_{name}") for name in named}


def least(runs: list[Callable[[], Any] | None], rounds: int = 40, repeats: int = 20) -> list[str]:
    """The least time of each, in ns an element."""
    best = [INF] * len(runs)
    for _ in range(rounds):
        for i, run in enumerate(runs):
            if run:
                start = perf_counter()
                for _ in range(repeats):
                    run()
                best[i] = min(best[i], perf_counter() - start)
    return [f"{b / repeats / COUNT * 1e9:.2f}" if b < INF else "–" for b in best]


def measure_speed(names: list[str]) -> None:
    """Print a table of nanoseconds an element, and what it takes to compile one kernel."""
    rng = np.random.default_rng(1)
    rows = [["kernel", "ns", "C", "NumPy", "instructions", "compile ms"]]
    with TemporaryDirectory() as folder:
        peers = c_loops(names, folder)
        for name in names:
            row = ROWS[name]
            args = [rng.uniform(*ends, COUNT) for ends in row.ordinary]
            out = np.empty(COUNT)
            addresses = [ctypes.c_void_p(x.ctypes.data) for x in (out, *args)]
            arity = {name: len(args)}
            loops(arity)
            start = perf_counter()
            loop = loops(arity)[name]
            compiling = perf_counter() - start
            array = getattr(np, INVERSE.get(row.array, row.array), None) if row.array else None
            peer = peers.get(name)
            cells = least(
                [
                    lambda f=loop.raw, a=addresses: f(COUNT, *a),
                    peer and (lambda f=peer, a=addresses: f(ctypes.c_long(COUNT), *a)),
                    array and (lambda f=array, a=args, o=out: f(*a, out=o)),
                ]
            )
            usual = text_of(arity).split(f"@loop.{name}")[1].split("\n}")[0]
            size = sum(" = " in line and "phi" not in line for line in usual.splitlines())
            rows.append([name, *cells, str(size), f"{compiling * 1e3:.1f}"])
    print(table(rows))


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="?", choices=("ulp", "speed", "both"), default="both")
    parser.add_argument("names", nargs="*", metavar="name")
    parser.add_argument("--points", type=int, default=1_000_000)
    asked = parser.parse_intermixed_args()
    names = asked.names or [name for name in ROWS if name in KERNELS]
    if asked.what != "speed":
        measure_errors(names, asked.points)
    if asked.what != "ulp":
        measure_speed(names)


if __name__ == "__main__":
    main()
