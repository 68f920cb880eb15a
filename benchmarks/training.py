"""Training speed beside C, JAX, PyTorch, numba and NumPy: microseconds of a step, all in one run.

    pip install -r benchmarks/requirements-training.txt
    python benchmarks/training.py [--quick] [--backend numpy] [--models line cubic]
                                  [--rows 1000 1000000] [--peers C JAX] [--threads 1 2]

A step is the loss over all rows, its gradient and the update, in binary64; the loss of every step
is kept. Each tool is a process of its own, all pinned to the same core (with two threads, the same
two); columns and starts are the same, and before anything is timed, parameters and losses after
some steps are compared. A tool with several ways to do it takes the fastest. Then the tools take
turns: a run of so many steps that it lasts a while, and its time divided by them; what a first run
compiles is outside. nablisp's time is what one `train` spends in its steps (`Result.work.ran`); the
others' is that of a loop of steps. C needs gcc. A cell is a median (least–most). Threads that wait
for each other suffer from other work on the machine: compare them where the load is their own.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from itertools import product
from math import prod
from os import getloadavg
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
from timing import Spread, table
from workers import Array, Given, Steps, Task, Worker, serve

Run = Callable[[int], tuple[float, Any, Any]]
"""Takes so many steps; seconds, parameters, losses."""

# ---- the models ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Model:
    """A loss in nablisp, where it starts, its rate, and what makes its columns."""

    loss: str
    start: dict[str, float]
    rate: float
    columns: Callable[[int], dict[str, Array]]


def points(rows: int) -> dict[str, Array]:
    """Noise about a line."""
    random = np.random.default_rng(1)
    x = random.uniform(-1, 1, rows)
    return {"x": x, "y": 2 * x + 1 + 0.1 * random.standard_normal(rows)}


def classes(rows: int) -> dict[str, Array]:
    """Ten features, and which of two classes they make likely."""
    random = np.random.default_rng(2)
    columns = {f"x{k}": random.standard_normal(rows) for k in range(10)}
    z = sum(w * x for w, x in zip(np.linspace(-1, 1, 10), columns.values(), strict=True))
    return columns | {"y": (random.random(rows) < 1 / (1 + np.exp(-z))).astype(float)}


def peaks(rows: int) -> dict[str, Array]:
    """Two peaks on a decay, like those of NIST's Gauss data."""
    x = np.linspace(0, 1, rows)
    y = np.exp(-x) + 0.8 * np.exp(-(((x - 0.3) / 0.1) ** 2))
    y += 0.6 * np.exp(-(((x - 0.7) / 0.12) ** 2))
    return {"x": x, "y": y + 0.01 * np.random.default_rng(3).standard_normal(rows)}


BUMPS = [f"b{k}" for k in range(1, 9)]
MODELS = {
    "line": Model("(mse (+ (* m x) b) y)", {"m": 0, "b": 0}, 0.1, points),
    "cubic": Model(
        "(mse (+ (* (+ (* (+ (* a x) b) x) c) x) d) y)", dict.fromkeys("abcd", 0), 0.1, points
    ),
    "logistic": Model(
        f"(bce (+ {' '.join(f'(* w{k} x{k})' for k in range(10))} b) y)",
        dict.fromkeys([*(f"w{k}" for k in range(10)), "b"], 0), 0.1, classes,
    ),
    "gaussians": Model(
        "(mse (+ (* b1 (exp (- (* b2 x))))"
        " (* b3 (exp (- (** (/ (- x b4) b5) 2)))) (* b6 (exp (- (** (/ (- x b7) b8) 2))))) y)",
        dict(zip(BUMPS, (0.9, 0.9, 0.9, 0.28, 0.11, 0.5, 0.72, 0.11), strict=True)), 0.005, peaks,
    ),
}  # fmt: skip
ROWS = (2, 1_000, 100_000, 1_000_000, 10_000_000)

# ---- the tools -----------------------------------------------------------------------------------

TOOLS = {
    "nablisp": ("", ("",)),
    "C": ("c", ("256 bits", "512 bits", "256 bits, unrolled", "512 bits, unrolled")),
    "JAX": ("jax", ("fori_loop", "step")),
    "PyTorch compiled": ("torch", ("compiled", "compiled, C++ wrapper")),
    "PyTorch eager": ("torch", ("eager",)),
    "numba": ("numba", ("loops",)),
    "NumPy": ("numpy", ("columns",)),
}
"""Whose module of peers, and the ways it knows."""
SINGLE = ("PyTorch eager", "NumPy")
"""Who are left out where threads are compared."""
MOST = 1_000_000
"""Steps of a run."""
MANY = 100_000
"""Rows from which threads are compared."""


def ours(model: Model, columns: dict[str, Array], backend: str, threads: int) -> Run:
    """nablisp, by its public functions."""
    import nablisp

    loss = nablisp.parse(model.loss)
    options: Task = {"backend": backend, "lr": model.rate}
    if backend == "native":
        options["threads"] = threads

    def run(steps: int) -> tuple[float, Any, Any]:
        found = nablisp.train(loss, model.start, data=columns, steps=steps, **options)
        if found.steps != steps:
            raise RuntimeError(f"{found.status} after {found.steps} steps")
        return found.work.ran, list(found.params.values()), found.history["loss"][:-1]

    return run


def clocked(run: Steps, steps: int) -> tuple[float, Any, Any]:
    """A peer's steps, and their seconds."""
    start = perf_counter()
    params, losses = run(steps)
    return perf_counter() - start, params, losses


def least(run: Run, steps: int) -> float:
    """Seconds of so many steps, of two runs, as the first may compile."""
    return min(run(steps)[0], run(steps)[0])


def whole(run: Run) -> float:
    """Seconds of a call that takes one step."""
    start = perf_counter()
    run(1)
    return perf_counter() - start


class Tool:
    """One tool in its process: answers what `main` asks."""

    def __init__(self, name: str, backend: str, threads: int) -> None:
        self.module, self.ways = TOOLS[name]
        self.backend, self.threads = backend, threads
        self.run: Run = lambda _: (0.0, [], [])

    def answer(self, request: Task) -> Task:
        """A request by its name."""
        found: Task = getattr(self, request.pop("do"))(**request)
        return found

    def make(self, name: str, columns: dict[str, Array], way: str) -> Run:
        """One way to train a model."""
        model = MODELS[name]
        if not self.module:
            return ours(model, columns, self.backend, self.threads)
        prepare = import_module(f"peers.training_{self.module}").prepare
        start = [float(value) for value in model.start.values()]
        given = Given(name, list(columns.values()), start, model.rate, self.threads)
        return partial(clocked, prepare(way, given))

    def prepare(self, model: str, rows: int, check: int, lasting: float) -> Task:
        """The fastest way, what it comes to, and how many steps last so many seconds."""
        self.run = lambda _: (0.0, [], [])  # forgets the columns of before
        columns = MODELS[model].columns(rows)
        found: Task = {}
        fastest = np.inf
        for way in self.ways:
            run = self.make(model, columns, way)
            _, params, losses = run(check)
            came = [[float(v) for v in params], [float(v) for v in losses]]
            if found and not np.allclose(came[0], found["params"], rtol=1e-9, atol=1e-12):
                raise ValueError(f"{way} ends at {came[0]}, not at {found['params']}")
            steps, taken = check, least(run, check)
            enough, long = max(lasting / 8, 2 * taken), 2 * lasting
            while taken < min(enough, long) and steps < MOST:
                steps = min(4 * steps, MOST)
                taken = least(run, steps)
            a_step = taken / steps
            if taken < long:  # without what a run costs at any length
                a_step = max((least(run, 4 * steps) - taken) / (3 * steps), a_step / 100)
            if a_step < fastest:
                fastest = a_step
                self.run, found = run, {"way": way, "params": came[0], "losses": came[1]}
        steps = max(1, min(MOST, int(lasting / fastest)))
        self.run(steps)
        return found | {"steps": steps}

    def time(self, steps: int) -> Task:
        """Seconds of one step."""
        return {"seconds": self.run(steps)[0] / steps}

    def first(self, model: str) -> Task:
        """Seconds that the first step of a model takes more than later ones, of 1,000 rows."""
        columns = MODELS[model].columns(1_000)
        start = perf_counter()
        run = self.make(model, columns, self.ways[0])
        run(1)
        taken = perf_counter() - start
        return {"seconds": taken - min(whole(run) for _ in range(5))}


# ---- the tables ----------------------------------------------------------------------------------

Case = tuple[int, str, int]
"""Threads, model, rows."""
Figures = dict[tuple[str, Case], float]
"""Seconds of a step, by tool and case."""
FIRST = "first, with imports"
"""In place of a model: whichever is first in its process."""
Firsts = dict[tuple[str, str], list[float]]
"""Seconds to compile, by tool and model."""


@dataclass(frozen=True)
class Goal:
    """So many times a tool's speed."""

    tool: str
    rows: int
    least: float
    threads: int = 1


GOALS = (
    *(Goal("C", rows, 0.9) for rows in ROWS[1:]),
    *(Goal("JAX", rows, least) for rows, least in zip(ROWS, (1.0, 2.5, 2.0, 2.5), strict=False)),
    Goal("PyTorch compiled", 1_000, 10),
    Goal("C", 1_000_000, 0.9, threads=2),
)
COMPILE = 0.035
"""Seconds that compiling a model may take."""


def compare(workers: dict[str, Worker], case: Case, rounds: int, lasting: float) -> dict[str, Task]:
    """Each tool's way, and seconds of a step; or why there are none."""
    _, model, rows = case
    check = 20 if rows <= 100_000 else 3
    found = {
        name: worker.ask(do="prepare", model=model, rows=rows, check=check, lasting=lasting)
        for name, worker in workers.items()
    }
    alive = {name: task for name, task in found.items() if "failed" not in task}
    for name, task in alive.items():
        for what in ("params", "losses"):
            expected = next(iter(alive.values()))[what]
            if not np.allclose(task[what], expected, rtol=1e-9, atol=1e-12):
                raise SystemExit(f"{name}, {model}: {what} are {task[what]}, not {expected}")
        task["seconds"] = []
    for _, name in product(range(rounds), alive):
        answer = workers[name].ask(do="time", steps=alive[name]["steps"])
        if "failed" in answer:
            found[name] = answer
        else:
            alive[name]["seconds"].append(answer["seconds"])
    return found


def show(case: Case, found: dict[str, Task]) -> Figures:
    """Print the table of one case; its medians."""
    threads, model, rows = case
    spreads = {
        name: Spread(tuple(task["seconds"])) for name, task in found.items() if "failed" not in task
    }
    lines = [[f"{model}, {rows:,} rows", "µs a step", "times nablisp", "way", "steps a run"]]
    for name, task in found.items():
        if name not in spreads:
            lines.append([name, "–", "–", task["failed"][:70], "–"])
            continue
        spread = spreads[name]
        ours = spreads.get("nablisp")
        ratio = f"{spread.median / ours.median:.3g}×" if ours else "–"
        digits = max(0, 3 - int(np.log10(spread.median * 1e6 + 1)))
        lines.append([name, spread.show(1e-6, digits), ratio, task["way"], f"{task['steps']:,}"])
    print(f"{threads} thread{'s' * (threads > 1)}, load average {getloadavg()[0]:.1f}")
    print(f"{table(lines)}\n", flush=True)
    return {(name, case): spread.median for name, spread in spreads.items()}


def first_calls(tools: Sequence[str], models: Sequence[str], backend: str, rounds: int) -> Firsts:
    """Seconds to compile each model, by tool and model; the first formula of a process apart."""
    found: Firsts = {}
    for turn, name in product(range(rounds), tools):
        worker = Worker(__file__, 1, name, backend)
        for place in range(len(models)):
            model = models[(turn + place) % len(models)]
            answer = worker.ask(do="first", model=model)
            if "failed" in answer:
                break
            key = (name, model if place else FIRST)
            found.setdefault(key, []).append(answer["seconds"])
        worker.close()
    head = ["ms until a model's first step, compiling", FIRST, *models]
    lines = [head]
    for name in tools:
        spreads = [Spread(tuple(found[name, m])) if (name, m) in found else None for m in head[1:]]
        lines.append([name, *(s.show(1e-3, 1) if s else "–" for s in spreads)])
    print(f"{table(lines)}\n", flush=True)
    return found


def judge(figures: Figures, firsts: Firsts) -> None:
    """Print the mean against C, and which goals were met."""

    def ratios(goal: Goal) -> dict[str, float]:
        cases = {model: (goal.threads, model, goal.rows) for model in MODELS}
        return {
            model: figures[goal.tool, case] / figures["nablisp", case]
            for model, case in cases.items()
            if (goal.tool, case) in figures and ("nablisp", case) in figures
        }

    lines = [["nablisp's speed, in times that of", "goal", "model by model", ""]]
    for goal in GOALS:
        if found := ratios(goal):
            where = f"{goal.rows:,} rows" + (", 2 threads" if goal.threads > 1 else "")
            met = min(found.values()) >= goal.least
            each = " ".join(f"{model} {ratio:.2f}" for model, ratio in found.items())
            lines.append([f"{goal.tool}, {where}", f"{goal.least}", each, verdict(met)])
    every = [ratio for goal in GOALS[:4] for ratio in ratios(goal).values()]
    if every:
        mean = prod(every) ** (1 / len(every))
        lines.append(["C, geometric mean from 1,000 rows", "1", f"{mean:.2f}", verdict(mean > 1)])
    if compiled := [
        median(firsts[key]) for key in firsts if key[0] == "nablisp" and key[1] in MODELS
    ]:
        worst = max(compiled)
        lines.append(["ms to compile", "35", f"{worst * 1e3:.1f}", verdict(worst <= COMPILE)])
    print(table(lines))


def verdict(met: bool) -> str:
    return "met" if met else "MISSED"


def main() -> None:
    """All cases asked for, the time to compile, and the goals."""
    parser = argparse.ArgumentParser(description="The speed of a training step, side by side.")
    parser.add_argument("--quick", action="store_true", help="3 short rounds, to 100,000 rows")
    parser.add_argument("--backend", default="native", help="nablisp's (native)")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--rows", nargs="+", type=int, help=" ".join(map(str, ROWS)))
    parser.add_argument("--peers", nargs="*", choices=[*TOOLS][1:], default=[*TOOLS][1:])
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--serve", nargs=3, help=argparse.SUPPRESS)
    o = parser.parse_args()
    if o.serve:
        threads, name, backend = o.serve
        serve(int(threads), Tool(name, backend, int(threads)).answer)
        return
    rounds, lasting = (3, 0.05) if o.quick else (9, 0.2)
    tools = ["nablisp", *o.peers]
    figures: Figures = {}
    for threads in o.threads:
        able = [name for name in tools if threads == 1 or name not in SINGLE]
        workers = {name: Worker(__file__, threads, name, o.backend) for name in able}
        for model, rows in product(o.models, o.rows or ROWS[: 3 if o.quick else None]):
            if threads == 1 or rows >= MANY:
                case = (threads, model, rows)
                figures |= show(case, compare(workers, case, rounds, lasting))
        for worker in workers.values():
            worker.close()
    judge(figures, first_calls(tools, o.models, o.backend, 2 if o.quick else 4))


if __name__ == "__main__":
    main()
