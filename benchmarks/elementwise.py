"""One expression over 1,000,000 elements beside C, JAX, numexpr, numba and NumPy, on one core.

    pip install -r benchmarks/requirements-training.txt
    python benchmarks/elementwise.py [--quick] [--elements 1000000] [--peers C JAX]

Each tool is a process of its own, pinned to one core; values are compared before anything is
timed; then the tools take turns. C needs gcc: a loop that calls libmvec, in vectors of 256 and 512
bits, of which the faster counts. It writes into an array that it keeps; "C, new array" gets one
from malloc each time, as every other tool does. A cell is a median (least–most).
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from importlib import import_module
from itertools import product
from time import perf_counter
from typing import Any

import numpy as np
from timing import Spread, table
from workers import Task, Worker, serve


@dataclass(frozen=True)
class Expression:
    """One formula in three languages; x and y are arrays, a and k numbers."""

    lisp: str
    python: str
    c: str


EXPRESSIONS = (
    Expression("(* a (exp (* k x)))", "a * exp(k * x)", "a * exp(k * x[i])"),
    Expression("(+ (** x 2) (* x y))", "x**2 + x * y", "x[i] * x[i] + x[i] * y[i]"),
    Expression(
        "(/ (sin x) (+ 1 (exp (- y))))", "sin(x) / (1 + exp(-y))", "sin(x[i]) / (1 + exp(-y[i]))"
    ),
    Expression("(log (+ 1 (* x x)))", "log(1 + x * x)", "log(1 + x[i] * x[i])"),
)
TOOLS: dict[str, list[Task]] = {
    "nablisp": [{}],
    "C": [{"width": width, "fresh": False} for width in (256, 512)],
    "C, new array": [{"width": width, "fresh": True} for width in (256, 512)],
    "JAX": [{}],
    "numexpr": [{}],
    "numba": [{}],
    "NumPy": [{}],
}
"""The ways of each, of which the fastest counts."""
GOALS = {"C": 1 / 1.15, "JAX": 8.0, "numexpr": 8.0}
"""How many times a tool's speed is asked for, on every expression."""


class Tool:
    """One tool in its process: answers what `main` asks."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.evaluate: Any = None

    def answer(self, request: Task) -> Task:
        """Seconds of some calls, or, for a new expression, values and how many calls last."""
        return self.time(**request) if "calls" in request else self.prepare(**request)

    def make(self, expression: Expression, values: Task, way: Task) -> Any:
        """One way to evaluate an expression."""
        if self.name == "nablisp":
            import nablisp

            function = nablisp.compile(nablisp.parse(expression.lisp), list(values))
            return lambda: function(*values.values())
        module = import_module("peers.expressions")
        text = expression.c if way else expression.python
        return getattr(module, self.name.partition(",")[0].lower())(text, values, **way)

    def prepare(self, expression: int, elements: int, lasting: float) -> Task:
        """The fastest way: values here and there, and how many calls last so many seconds."""
        random = np.random.default_rng(1)
        values = {"x": random.uniform(-3, 3, elements), "y": random.uniform(-3, 3, elements)}
        found, fastest = [], np.inf
        for way in TOOLS[self.name]:
            evaluate = self.make(EXPRESSIONS[expression], values | {"a": 1.5, "k": 0.7}, way)
            found = [float(v) for v in np.asarray(evaluate())[:: max(1, elements // 100)]]
            seconds = min(self.seconds(evaluate) for _ in range(5))
            if seconds < fastest:
                self.evaluate, fastest = evaluate, seconds
        return {"values": found, "calls": max(1, int(lasting / fastest))}

    @staticmethod
    def seconds(evaluate: Any) -> float:
        """Seconds of one call, its result included and not yet freed."""
        start = perf_counter()
        result = evaluate()
        taken = perf_counter() - start
        del result
        return taken

    def time(self, calls: int) -> Task:
        """Seconds of one call among so many."""
        return {"seconds": sum(self.seconds(self.evaluate) for _ in range(calls)) / calls}


def compare(workers: dict[str, Worker], given: Task, rounds: int) -> dict[str, Spread | str]:
    """Seconds of each tool, or why there are none."""
    asked = {name: worker.ask(**given) for name, worker in workers.items()}
    found: dict[str, Spread | str] = {n: t["failed"] for n, t in asked.items() if "failed" in t}
    alive = [name for name in asked if name not in found]
    for name in alive:
        if not np.allclose(asked[name]["values"], asked[alive[0]]["values"], 1e-12, 1e-15):
            raise SystemExit(f"{name} differs: {asked[name]['values']}")
    taken: dict[str, list[float]] = {name: [] for name in alive}
    for _, name in product(range(rounds), alive):
        answer = workers[name].ask(calls=asked[name]["calls"])
        if "failed" in answer:
            raise SystemExit(f"{name} failed: {answer['failed']}")
        taken[name].append(answer["seconds"])
    return {name: found.get(name) or Spread(tuple(taken[name])) for name in workers}


def main() -> None:
    """A table for each expression, and the goals."""
    peers = [*TOOLS][1:]
    parser = argparse.ArgumentParser(description="An expression over arrays, side by side.")
    parser.add_argument("--quick", action="store_true", help="5 short rounds instead of 15")
    parser.add_argument("--elements", type=int, default=1_000_000)
    parser.add_argument("--peers", nargs="*", choices=peers, default=peers)
    parser.add_argument("--serve", nargs=2, help=argparse.SUPPRESS)
    o = parser.parse_args()
    if o.serve:
        serve(int(o.serve[0]), Tool(o.serve[1]).answer)
        return
    workers = {name: Worker(__file__, 1, name) for name in ("nablisp", *o.peers)}
    ratios: dict[str, list[float]] = {}
    for index, expression in enumerate(EXPRESSIONS):
        given = {"expression": index, "elements": o.elements, "lasting": 0.02 if o.quick else 0.1}
        found = compare(workers, given, 5 if o.quick else 15)
        lines = [[f"{expression.lisp}, {o.elements:,} elements", "ms", "times nablisp"]]
        ours = found["nablisp"]
        for name, spread in found.items():
            if isinstance(spread, str):
                lines.append([name, spread[:60], "–"])
                continue
            ratio = spread.median / ours.median if isinstance(ours, Spread) else np.nan
            ratios.setdefault(name, []).append(ratio)
            lines.append([name, spread.show(1e-3, 3), f"{ratio:.3g}×"])
        print(f"{table(lines)}\n", flush=True)
    lines = [["nablisp's speed, in times that of", "goal", "expression by expression", ""]]
    for name, least in GOALS.items():
        if each := ratios.get(name):
            verdict = "met" if min(each) >= least else "MISSED"
            shown = " ".join(f"{ratio:.2f}" for ratio in each)
            lines.append([name, f"{least:.2f}", shown, verdict])
    print(table(lines))
    for worker in workers.values():
        worker.close()


if __name__ == "__main__":
    main()
