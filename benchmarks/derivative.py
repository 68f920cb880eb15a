"""The derivative's cost beside CasADi, SymEngine and SymPy, all in one run.

    pip install -r benchmarks/requirements-derivative.txt
    python benchmarks/derivative.py [--quick] [speed tidy depth parameters squarings memory]

Every measurement is a process of its own, so a tool that dies of a formula costs one cell, and the
tools take turns. Formulas are built, and forgotten, outside the time; "operations" are nablisp's
distinct ones. A cell is the median, with (least–most) where it stands alone.
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from importlib import import_module
from itertools import product
from operator import add
from random import Random
from statistics import median
from time import perf_counter
from typing import Any

from timing import Spread, environment, table

TOOLS = ("nablisp", "casadi", "symengine", "sympy")
PARTS = ("load", "sweep", "make")
"""Of nablisp's gradient: Expr objects to lists, the sweep itself, lists to Expr objects."""
Task = dict[str, Any]

# ---- the tools -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Tool:
    """What a formula is made of, and its gradient."""

    symbol: Callable[[str], Any]
    sin: Callable[[Any], Any]
    exp: Callable[[Any], Any]
    gradient: Callable[[Any, list[Any]], Any]
    value: Callable[[Any, dict[Any, float]], list[float]] | None = None


def tool(name: str) -> Tool:
    """A tool by the name of its module."""
    if name == "nablisp":
        from nablisp import Expr, gradient, val
        from nablisp.expr import Call, row

        sin, exp = row("sin"), row("exp")
        return Tool(
            Expr.sym,
            lambda e: Call(sin, (e,)),
            lambda e: Call(exp, (e,)),
            gradient,
            lambda es, at: [val(e, {k.name: v for k, v in at.items()}) for e in es],
        )
    module = import_module(name)
    if name == "casadi":

        def value(e: Any, at: dict[Any, float]) -> list[float]:
            found = module.Function("f", [module.vertcat(*at)], [e])(list(at.values()))
            return [float(v) for v in found.full().ravel()]

        return Tool(
            module.SX.sym,
            module.sin,
            module.exp,
            lambda e, names: module.gradient(e, module.vertcat(*names)),
            value,
        )
    return Tool(
        module.Symbol, module.sin, module.exp, lambda e, names: [e.diff(name) for name in names]
    )


# ---- the formulas --------------------------------------------------------------------------------


def chain(t: Tool, names: Sequence[Any], n: int) -> Any:
    """Four operations a turn, each on the turn before: depth n/2."""
    x, y = names
    e = x
    for _ in range(n // 4):
        e = t.sin(e) * y + x * e
    return e


def loss(t: Tool, names: Sequence[Any], n: int) -> Any:
    """Squared residuals of x·exp(y·time) over n/6 points, summed."""
    x, y = names
    points = max(1, n // 6)
    return reduce(
        add,
        ((x * t.exp((i + 1) / points * y) - math.sin(i)) ** 2 for i in range(points)),
    )


def dag(t: Tool, names: Sequence[Any], n: int) -> Any:
    """Operations on any two of the last forty nodes; about two thirds reach the last."""
    random = Random(1)
    nodes = list(names)
    make: list[Callable[[Any, Any], Any]] = [
        lambda a, b: t.sin(a),
        lambda a, b: a * b,
        lambda a, b: a - 0.5 * b,
        lambda a, b: a / (2 + b * b),
    ]
    for _ in range(n):
        a, b = random.sample(nodes[-40:], 2)
        nodes.append(random.choice(make)(a, b))
    return nodes[-1]


def nested(t: Tool, names: Sequence[Any], n: int) -> Any:
    """sin(x·sin(x·…)), n deep."""
    x, _ = names
    return reduce(lambda e, _: t.sin(x * e), range(n // 2), x)


def layer(t: Tool, names: Sequence[Any], n: int) -> Any:
    """Squared residuals of sin(a·p) over 20 points a, for as many parameters p as there are."""
    random = Random(2)
    points = (reduce(add, (random.uniform(-1, 1) * p for p in names)) for _ in range(n))
    return reduce(add, ((t.sin(point) - 0.5) ** 2 for point in points))


def squarings(t: Tool, names: Sequence[Any], n: int) -> Any:
    """x squared n times: a tree of 2ⁿ leaves, a graph of n."""
    return reduce(lambda e, _: e * e, range(n), names[0])


FORMULAS = {f.__name__: f for f in (chain, loss, dag, nested, layer, squarings)}

# ---- one measurement, in a process of its own ----------------------------------------------------


def measure(tool: str, formula: str, n: int, names: int = 2, wrt: int = 1, route: str = "") -> Task:
    """Seconds of a gradient of one formula: the whole, and for nablisp its parts."""
    t = globals()["tool"](tool)
    make = FORMULAS[formula]
    symbols = [t.symbol(f"x{i}") for i in range(names)]
    t.gradient(make(t, symbols, 2), symbols[:wrt])  # tables are read when first used
    e = make(t, symbols, n)
    found: Task = {}
    spent: dict[str, float] = {}
    if tool == "nablisp":
        from nablisp import fast
        from nablisp.expr import size

        found["operations"] = size(e)
        if route == "tidy":
            fast.READABLE = sys.maxsize
    if t.value and n <= 1000 and names == 2:
        at = dict(zip(symbols, (0.3, 0.7), strict=True))
        found["value"] = t.value(t.gradient(e, symbols[:wrt]), at)
    if tool == "nablisp":
        spent = dict.fromkeys(PARTS, 0.0)
        watched(spent)
    times: list[dict[str, float]] = []
    turns = 1 if tool == "sympy" else 5  # it remembers what it differentiated
    while len(times) < turns and sum(time["whole"] for time in times) < 1:
        start = perf_counter()
        result = t.gradient(e, symbols[:wrt])
        times.append({"whole": perf_counter() - start} | spent)
        del result
        for part in spent:
            spent[part] = 0.0
    for part in times[0]:
        found[part] = median(time[part] for time in times)
    return found


def watched(seconds: dict[str, float]) -> None:
    """From now on, the parts of nablisp's gradient add their time to `seconds`."""
    from nablisp import derivative, fast, graph

    def watch(part: str, holder: Any, name: str) -> None:
        plain = getattr(holder, name)

        def timed(*args: Any, **options: Any) -> Any:
            start = perf_counter()
            result = plain(*args, **options)
            seconds[part] += perf_counter() - start
            return result

        setattr(holder, name, timed)

    watch("load", fast.Plain, "__init__")
    watch("sweep", fast.Plain, "sweep")
    watch("make", fast.Plain, "expressions")
    watch("load", graph.Graph, "load")
    watch("sweep", derivative, "sweep")
    watch("make", graph.Graph, "expr")


def remember(nodes: Sequence[int]) -> Task:
    """Peak memory in bytes of a session that makes and forgets formulas, after so many nodes."""
    from nablisp import Session

    session = Session()
    session.run("(params x y)")
    peaks: list[int] = []
    made = chunk = 0
    for goal in (0, *nodes):
        while made < goal:
            chunk += 1
            session.run(f"(d (repeat 2500 (lambda (e) (+ (* (sin e) y) (* x e))) (+ x {chunk})) x)")
            made += session.budget.nodes
        peaks.append(peak())
    return {"peaks": peaks, "made": made}


def peak() -> int:
    """The most memory this process ever held, in bytes."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def child(function: str, patience: float = 600, **given: Any) -> Task:
    """The answer of a function in a fresh process, or {"failed": why} after so many seconds."""
    command = [sys.executable, __file__, "--child", json.dumps([function, given])]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=patience, env=environment(),
            check=False)  # fmt: skip
    except subprocess.TimeoutExpired:
        return {"failed": f"over {patience:.0f} s"}
    if done.returncode == 0:
        return dict(json.loads(done.stdout))
    if done.returncode < 0:
        return {"failed": "crashed"}
    return {"failed": done.stderr.strip().splitlines()[-1].partition(":")[0]}


# ---- the tables ----------------------------------------------------------------------------------


class Bench:
    """Runs tasks in turns and keeps what fails from being tried at larger sizes."""

    def __init__(self, rounds: int, patience: float = 30) -> None:
        self.rounds, self.patience = rounds, patience
        self.dead: dict[tuple[str, str, int], str] = {}

    def turns(
        self, tools: Sequence[str], formula: str, wrt: int = 1, **given: Any
    ) -> dict[str, Task]:
        """Each tool's measurements, lists of one per round, by the tools in turn."""
        found: dict[str, Task] = {name: {} for name in tools}
        for _, name in product(range(self.rounds), tools):
            if (name, formula, wrt) in self.dead:
                continue
            given |= {"tool": name, "formula": formula, "wrt": wrt}
            patience = self.patience if name in TOOLS[2:] else 600
            answer = child("measure", patience, **given)
            if "failed" in answer:
                self.dead[name, formula, wrt] = answer["failed"]
                continue
            for part, seconds in answer.items():
                found[name].setdefault(part, []).append(seconds)
        self.agree(found)
        return found

    @staticmethod
    def agree(found: dict[str, Task]) -> None:
        """The gradients of the tools that gave values are the same."""
        values = [task["value"][0] for task in found.values() if "value" in task]
        for other in values[1:]:
            for ours, theirs in zip(values[0], other, strict=True):
                if not math.isclose(ours, theirs, rel_tol=1e-6, abs_tol=1e-12):
                    raise SystemExit(f"gradients differ: {ours!r} and {theirs!r}")

    def cell(self, task: Task, operations: int, *key: Any) -> str:
        """Microseconds per operation, or why there are none."""
        if "whole" in task:
            return Spread(tuple(task["whole"])).show(operations * 1e-6)
        return self.dead[key]


def ratio(over: Task, part: str, under: Task) -> str:
    """The quotient of two medians."""
    if part not in over or "whole" not in under:
        return "–"
    return f"{median(over[part]) / median(under['whole']):.2f}×"


def speed(quick: bool, route: str = "") -> None:
    """A gradient by one name and by two, of three families, at growing sizes."""
    print("µs per operation: the parts of nablisp's gradient, the whole, and the others'")
    sizes = (40, 100, 1_000, 10_000, 100_000, 1_000_000)[: 4 if quick else 5 if route else 6]
    tools = TOOLS[:2] if route else TOOLS
    head = ["formula", "operations", "by", *PARTS, "whole", *tools[1:],
            "sweep/casadi", "whole/casadi", *(f"{name}/whole" for name in tools[2:])]  # fmt: skip
    bench = Bench(2 if quick else 3, patience=10 if quick else 30)
    for formula, wrt in product(("chain", "loss", "dag"), (1, 2)):
        rows = [head]
        for n in sizes:
            found = bench.turns(tools, formula, n=n, wrt=wrt, route=route)
            ours, theirs = found["nablisp"], found["casadi"]
            if not ours:
                print(f"nablisp failed: {bench.dead}")
                continue
            operations = ours["operations"][0]
            rows.append([
                formula, f"{operations:,}", "x y"[: 2 * wrt - 1],
                *(f"{median(ours[part]) / operations * 1e6:.2f}" for part in PARTS),
                *(bench.cell(found[name], operations, name, formula, wrt) for name in tools),
                ratio(ours, "sweep", theirs), ratio(ours, "whole", theirs),
                *(ratio(found[name], "whole", ours) for name in tools[2:]),
            ])  # fmt: skip
        print(table(rows), flush=True)


def tidy(quick: bool) -> None:
    """The same through the tidying graph, which small formulas take."""
    speed(quick, "tidy")


def depth(quick: bool) -> None:
    """Time per operation as the depth, or the size, doubles."""
    print("µs per operation at doubling sizes: linear where a column stays level")
    rows = [["formula", "operations", "load", "sweep", "make", "whole"]]
    for formula, largest in (("nested", 200_000), ("chain", 1_000_000)):
        bench = Bench(1 if quick else 3)
        for n in (largest >> k for k in ((5, 4, 3) if quick else (4, 3, 2, 1, 0))):
            ours = bench.turns(["nablisp"], formula, n=n)["nablisp"]
            count = ours["operations"][0]
            unit = count * 1e-6
            rows.append([
                f"{formula}, {n if formula == 'nested' else n // 2:,} deep", f"{count:,}",
                *(f"{median(ours[part]) / unit:.2f}" for part in PARTS),
                Spread(tuple(ours["whole"])).show(unit),
            ])  # fmt: skip
    print(table(rows))


def parameters(quick: bool) -> None:
    """One sweep by many parameters."""
    print("ms for the gradient of a loss over 20 points by all its parameters")
    rows = [["parameters", "operations", "sweep", "nablisp", "casadi",
             "sweep/casadi", "whole/casadi"]]  # fmt: skip
    for count in (100,) if quick else (10, 100, 1_000):
        found = Bench(3).turns(TOOLS[:2], "layer", n=20, names=count, wrt=count)
        ours, theirs = found["nablisp"], found["casadi"]
        rows.append([
            f"{count:,}", f"{ours['operations'][0]:,}", f"{median(ours['sweep']) * 1e3:.1f}",
            Spread(tuple(ours["whole"])).show(1e-3), Spread(tuple(theirs["whole"])).show(1e-3),
            ratio(ours, "sweep", theirs), ratio(ours, "whole", theirs),
        ])  # fmt: skip
    print(table(rows))


def sixty(quick: bool) -> None:
    """x squared sixty times."""
    found = Bench(2 if quick else 5).turns(TOOLS[:2], "squarings", n=60, route="tidy")
    print("ms for the derivative of x squared sixty times")
    spreads = [Spread(tuple(task["whole"])) for task in found.values()]
    print(table([list(found), [spread.show(1e-3, 3) for spread in spreads]]))


def memory(quick: bool) -> None:
    """What a session holds that makes and forgets formulas."""
    nodes = (100_000, 1_000_000) if quick else (1_000_000, 10_000_000)
    found = child("remember", nodes=nodes)
    print("peak memory of a session that makes and forgets nodes")
    for count, held in zip((0, *nodes), found["peaks"], strict=True):
        print(f"  after {count:>10,}  {held / 2**20:6.1f} MiB")


SECTIONS = {"speed": speed, "tidy": tidy, "depth": depth, "parameters": parameters,
            "squarings": sixty, "memory": memory}  # fmt: skip


def main() -> None:
    """The sections asked for, or all."""
    parser = argparse.ArgumentParser(description="The cost of derivatives, side by side.")
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=" ".join(SECTIONS))
    parser.add_argument("--quick", action="store_true", help="small sizes, few rounds")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        function, given = json.loads(options.child)
        print(json.dumps(globals()[function](**given)))
        return
    for name in options.sections or SECTIONS:
        SECTIONS[name](options.quick)
        print(flush=True)


if __name__ == "__main__":
    main()
