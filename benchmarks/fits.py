"""How right and how fast fits are: NIST's problems, bad starts, Longley, and a Gaussian by size.

`python benchmarks/fits.py nist | starts | longley | gaussian` prints a line or a table each; peers
run in the same process, in turn. `pip install -r benchmarks/requirements-fits.txt` for the peers.
"""

from __future__ import annotations

import argparse
import math
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import strd

import nablisp

GAUSSIAN = "(+ (* a (exp (* -0.5 (** (/ (- x m) s) 2)))) c)"
START = {"a": 1.0, "m": 0.0, "s": 1.0, "c": 0.0}


def digits(got: dict[str, float], want: dict[str, float]) -> float:
    """Correct digits of the worst value (NIST's LRE), at most 11."""
    worst = 11.0
    for name, value in want.items():
        error = abs(got.get(name, math.inf) - value) / abs(value)
        worst = min(worst, -math.log10(error) if error else 11.0)
    return max(worst, 0.0)


def solve(problem: strd.Problem, start: dict[str, float]) -> Any:
    """The result of nablisp, or the error it gives."""
    try:
        return nablisp.fit(
            nablisp.parse(problem.response),
            nablisp.parse(problem.model),
            start,
            data=problem.columns,
        )
    except nablisp.NablispError as error:
        return error


def nist() -> None:
    """All 54 fits from NIST's own starts."""
    six = nine = errors = false = 0
    took = []
    for problem in strd.problems():
        for start in problem.starts:
            before = time.perf_counter()
            result = solve(problem, start)
            took.append(time.perf_counter() - before)
            found = digits(result.params, problem.certified)
            six, nine = six + (found >= 6), nine + (found >= 9)
            errors += digits(result.se or {}, problem.deviations) >= 4
            if result.status in ("converged", "exact") and found < 4:
                false += 1
            if found < 9:
                print(f"{problem.name}: {found:.1f} digits, {result.status}")
    print(
        f"{len(took)} fits: to 6 digits {six}, to 9 digits {nine}, standard errors to 4 digits "
        f"{errors}, wrong yet converged {false}; median {1e3 * np.median(took):.0f} ms, "
        f"most {1e3 * max(took):.0f} ms"
    )


def bad_starts(each: int) -> list[tuple[strd.Problem, dict[str, float]]]:
    """NIST's starts, ten times too large or small, negated, and off by 10^±3 with random signs."""
    random = np.random.default_rng(20)
    out = []
    for problem in strd.problems():
        for start in problem.starts:
            values = np.array(list(start.values()))
            found = [10 * values, 0.1 * values, -values]
            while len(found) < each:
                sign = random.choice([-1, 1], len(values))
                found.append(values * sign * 10 ** random.uniform(-3, 3, len(values)))
            out += [(problem, dict(zip(start, map(float, v), strict=True))) for v in found]
    return out


def starts(each: int) -> None:
    """Fits from bad starts: right, refused, false; a symmetric image of the answer is right."""
    right = false = refused = 0
    took = []
    for problem, start in bad_starts(each):
        before = time.perf_counter()
        result = solve(problem, start)
        took.append(time.perf_counter() - before)
        if getattr(result, "status", "") not in ("converged", "exact"):
            refused += 1
        elif abs(result.rss - problem.squares) <= 1e-6 * problem.squares:
            right += 1
        else:
            false += 1
            print(f"{problem.name}: {result.rss:.8g}, not {problem.squares:.8g}, from {start}")
    print(
        f"{len(took)} bad starts: right {right}, refused {refused}, wrong yet converged {false}; "
        f"median {1e3 * np.median(took):.0f} ms, most {1e3 * max(took):.0f} ms"
    )


def longley() -> None:
    """Longley's regression: correct digits, beside QR and normal equations."""
    from statsmodels.datasets.longley import load_pandas

    frame = load_pandas().data
    names = [str(name) for name in frame.columns[1:]]
    certified = {
        "b": -3482258.63459582, "GNPDEFL": 15.0618722713733, "GNP": -0.358191792925910e-01,
        "UNEMP": -2.02022980381683, "ARMED": -1.03322686717359, "POP": -0.511041056535807e-01,
        "YEAR": 1829.15146461355,
    }  # fmt: skip
    terms = " ".join(f"(* w{i} {name})" for i, name in enumerate(names))
    columns = {str(name): frame[name].to_numpy(dtype=float) for name in frame.columns}
    start = {**{f"w{i}": 0.0 for i in range(len(names))}, "b": 0.0}
    result = nablisp.fit("TOTEMP", nablisp.parse(f"(+ {terms} b)"), start, data=columns)
    matrix = np.column_stack([*(columns[name] for name in names), np.ones(len(frame))])
    y, order = columns["TOTEMP"], [*names, "b"]
    exact = _exactly(matrix, y)
    basis, triangle = np.linalg.qr(matrix)
    answers = {
        "nablisp": list(result.params.values()),
        "QR": np.linalg.solve(triangle, basis.T @ y),
        "SVD (numpy.linalg.lstsq)": np.linalg.lstsq(matrix, y, rcond=None)[0],
        "normal equations": np.linalg.solve(matrix.T @ matrix, matrix.T @ y),
    }
    for name, got in answers.items():
        errors = [abs((float(g) - e) / e) for g, e in zip(got, exact, strict=True)]
        worst = float(max(errors))
        print(f"{name}: {-math.log10(worst) if worst else 17:.1f} digits")
    worst = max(
        abs(exact[i] - certified[name]) / abs(certified[name]) for i, name in enumerate(order)
    )
    print(f"the exact solution agrees with NIST's 15 digits to {-math.log10(float(worst)):.1f}")


def _exactly(matrix: np.ndarray, y: np.ndarray) -> list[Any]:
    """Least squares in rational arithmetic, of the decimals in the table."""
    from fractions import Fraction

    rows = [[Fraction(repr(float(v))) for v in (*row, t)] for row, t in zip(matrix, y, strict=True)]
    p = matrix.shape[1]
    a = [[sum(r[i] * r[j] for r in rows) for j in range(p + 1)] for i in range(p)]
    for i in range(p):
        pivot = a[i][i]
        a[i] = [v / pivot for v in a[i]]
        for k in range(p):
            if k != i:
                a[k] = [v - a[k][i] * w for v, w in zip(a[k], a[i], strict=True)]
    return [float(a[i][p]) for i in range(p)]


def gaussian(sizes: list[int], rounds: int) -> None:
    """A Gaussian on a floor, by number of rows: nablisp, SciPy and lmfit with exact Jacobians."""
    import lmfit
    from scipy.optimize import curve_fit

    def model(x: np.ndarray, a: float, m: float, s: float, c: float) -> np.ndarray:
        return a * np.exp(-0.5 * ((x - m) / s) ** 2) + c

    def jacobian(x: np.ndarray, a: float, m: float, s: float, c: float) -> np.ndarray:
        z = (x - m) / s
        e = np.exp(-0.5 * z * z)
        out = np.empty((len(x), 4))
        out[:, 0], out[:, 1], out[:, 2], out[:, 3] = e, a * e * z / s, a * e * z * z / s, 1
        return out

    formula = nablisp.parse(GAUSSIAN)
    for rows in sizes:
        random = np.random.default_rng(0)
        x = np.linspace(-5, 5, rows)
        y = model(x, 3, 0.7, 1.2, 0.5) + 0.1 * random.normal(size=rows)

        def by_lmfit(x: np.ndarray = x, y: np.ndarray = y) -> Any:
            given = lmfit.create_params(**START)
            return lmfit.minimize(
                lambda p: model(x, **p.valuesdict()) - y,
                given,
                Dfun=lambda p: jacobian(x, **p.valuesdict()),
            )

        tools: dict[str, Callable[[], Any]] = {
            "nablisp": lambda x=x, y=y: nablisp.fit("y", formula, START, data={"x": x, "y": y}),
            "SciPy": lambda x=x, y=y: curve_fit(model, x, y, list(START.values()), jac=jacobian),
            "lmfit": by_lmfit,
        }
        took: dict[str, list[float]] = {name: [] for name in tools}
        for run in tools.values():  # a second of each first: what is met often is compiled
            began = time.perf_counter()
            while time.perf_counter() - began < 1:
                run()
        for _ in range(rounds):
            for name, run in tools.items():
                before = time.perf_counter()
                run()
                took[name].append(time.perf_counter() - before)
        middle = {name: float(np.median(seconds)) for name, seconds in took.items()}
        shown = ", ".join(
            f"{name} {1e3 * seconds:.3g} ms ({seconds / middle['nablisp']:.3g})"
            for name, seconds in middle.items()
        )
        print(f"{rows:,} rows: {shown}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("nist", "starts", "longley", "gaussian"))
    parser.add_argument("--each", type=int, default=10, help="bad starts for each of NIST's 54")
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000, 100_000, 1_000_000])
    parser.add_argument("--rounds", type=int, default=9)
    chosen = parser.parse_args()
    warnings.simplefilter("ignore")
    match chosen.what:
        case "nist":
            nist()
        case "starts":
            starts(chosen.each)
        case "longley":
            longley()
        case "gaussian":
            gaussian(chosen.rows, chosen.rounds)
