"""From a plan to LLVM's text: for every pass a stage before it, a block of rows, and its end.

All that is not by row lives in cells, an array of numbers: inputs first, then outputs, then what
one function leaves for another. A block goes through some rows, eight at a time, and leaves one
accumulator for each reduction and lane; `combine` joins two blocks, `finish` the lanes. The order
of all this depends on the number of rows alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf

from ...expr import OPS, Call, Expr, Sym, postorder
from ...plan import FMA, REDUCTIONS, Plan, is_reduction, product
from ...shapes import is_boolean
from .emit import LANES, Code, Module, Value, number_text

IDENTITY = {"sum": 0.0, "amin": inf, "amax": -inf}
WIDE = f"<{LANES} x double>"
FEW = 4
"""Up to this many columns a block takes sixteen rows a turn: loads, not registers, are scarce."""
SHORT, LONG = 300, 1500
"""Operations up to which whole turns have code of their own, and from which LLVM, whose time grows
faster than the program, is told not to optimise."""


@dataclass(slots=True)
class Layout:
    """Where things lie: cells of scalars, the order of columns, outputs that differ by row."""

    cells: dict[Expr, int] = field(default_factory=dict)
    columns: dict[Expr, int] = field(default_factory=dict)
    """pointers of columns, then of outputs by row"""
    size: int = 0

    def cell(self, node: Expr) -> int:
        """The cell of a scalar, a new one if it has none."""
        if node not in self.cells:
            self.cells[node] = self.size
            self.size += 1
        return self.cells[node]


class Writer:
    """Writes a program's functions.

    `inputs` are the scalar leaves in the order of their cells, after the number of rows in cell 0;
    the outputs that are no rows follow. The first `stops` outputs are conditions: the last stage
    returns the number of the first that holds, counted from 1, or 0.
    """

    def __init__(self, plan: Plan, inputs: Sequence[Expr], stops: int = 0) -> None:
        self.plan, self.stops = plan, stops
        self.module = Module()
        self.layout = Layout()
        self.rows_cell = self.layout.cell(Call(OPS["rows"], ()))
        self.first_input = self.layout.size
        for leaf in inputs:
            self.layout.cell(leaf)
        self.first_output = self.layout.size
        scalars = [o for o in plan.outputs[stops:] if o not in plan.rows]
        self.layout.size += len(scalars)
        columns = [n for n in plan.level if n in plan.rows and isinstance(n, Sym)]
        self.layout.columns = {node: i for i, node in enumerate(columns)}
        self.stored = {
            o: len(columns) + i
            for i, o in enumerate(dict.fromkeys(o for o in plan.outputs if o in plan.rows))
        }
        """outputs by row, each with its pointer: these come after the columns'"""
        self.short = len(plan.level) <= SHORT
        self.optimise = len(plan.level) <= LONG
        self.unroll = [2 if len(columns) <= FEW and self.short else 1] * plan.passes
        self.uses = Counter(
            arg for n in plan.level if isinstance(n, Call) for arg in n.args
        ) + Counter(plan.outputs)
        needs = [self._row_nodes(p) for p in range(plan.passes)]
        self._give_cells(needs)
        for p in range(plan.passes):
            self._stage(p)
            self._block(p, needs[p])
        self._stage(plan.passes)
        self.text = self.module.text()

    # ---- which function needs what ---------------------------------------------------------------

    def _roots(self, p: int) -> list[Expr]:
        """What pass p is for: the arguments of its reductions, and outputs by row."""
        plan = self.plan
        found = [r.args[0] for r in self._reductions(p)]
        return found + [o for o in self.stored if plan.level[o] == p]

    def facts(self, p: int) -> tuple[int, ...]:
        """What the driver must know of the reductions of pass p: see its REDUCTIONS."""
        found, sets = self._reductions(p), self.unroll[p]
        kinds = [r.op.name for r in found]
        sums, least = kinds.count("sum"), kinds.count("sum") + kinds.count("amin")
        cell = self.layout.cells[found[0]] if found else 0
        return len(found) * sets, sums * sets, least * sets, sets, cell

    def _reductions(self, p: int) -> list[Call]:
        found = self.plan.reductions[p] if p < len(self.plan.reductions) else []
        return sorted(found, key=lambda r: list(REDUCTIONS).index(r.op.name))

    def _row_nodes(self, p: int) -> list[Expr]:
        """The nodes by row that pass p computes, in order."""
        rows = self.plan.rows
        return [n for n in postorder(*self._roots(p)) if n in rows] if self._roots(p) else []

    def _give_cells(self, needs: list[list[Expr]]) -> None:
        """A cell for every scalar that one function leaves for another."""
        plan, cell = self.plan, self.layout.cell
        for p in range(plan.passes):
            for node in self._reductions(p):
                cell(node)
        for nodes in needs:
            for node in nodes:
                if isinstance(node, Call):
                    for arg in node.args:
                        if arg not in plan.rows and isinstance(arg, Call):
                            cell(arg)
        for node, at in plan.level.items():
            if isinstance(node, Call) and node not in plan.rows and not is_reduction(node):
                for arg in node.args:
                    if plan.level[arg] < at and isinstance(arg, Call):
                        cell(arg)
        for output in plan.outputs:
            if output not in plan.rows and plan.level[output] < plan.passes:
                if isinstance(output, Call):
                    cell(output)

    # ---- what no row changes ---------------------------------------------------------------------

    def _load(self, code: Code, node: Expr) -> Value:
        """A scalar from its cell."""
        at = code.name()
        code.lines.append(f"{at} = getelementptr double, ptr %cells, i64 {self.layout.cell(node)}")
        value = code.line(f"load double, ptr {at}", "number")
        if is_boolean(node):
            return code.line(f"fcmp une double {value.text}, {number_text(0.0)}", "boolean")
        return value

    def _store(self, code: Code, value: Value, cell: int) -> None:
        if value.kind == "boolean":
            one, zero = number_text(1.0), number_text(0.0)
            text = f"select i1 {value.text}, double {one}, double {zero}"
            value = code.line(text, "number")
        at = code.name()
        code.lines.append(f"{at} = getelementptr double, ptr %cells, i64 {cell}")
        code.lines.append(f"store double {value.text}, ptr {at}")

    def _stage(self, p: int) -> None:
        """What is known after p passes: computed at one lane."""
        plan = self.plan
        code = Code(self.module, 1)
        values: dict[Expr, Value] = {}

        def value(node: Expr) -> Value:
            if node not in values:
                if isinstance(node, (Call, Sym)):
                    values[node] = self._load(code, node)
                else:
                    values[node] = code.leaf(node)
            return values[node]

        for node in plan.stage(p):
            if isinstance(node, Call) and node.args:
                given = [value(arg) for arg in node.args]
                values[node] = code.call(node.op, given, node.options)
                if node in self.layout.cells:
                    self._store(code, values[node], self.layout.cells[node])
        if p == plan.passes:
            cell = self.first_output
            for output in plan.outputs[self.stops :]:
                if output not in plan.rows:
                    self._store(code, value(output), cell)
                    cell += 1
            out = Value("0", "bits")
            for i in range(self.stops, 0, -1):
                stop = value(plan.outputs[i - 1])
                out = code.line(f"select i1 {stop.text}, i64 {i}, i64 {out.text}", "bits")
            code.lines.append(f"ret i64 {out.text}")
            self.module.function("define i64 @last(ptr %cells)", code.lines)
        else:
            self.module.function(f"define void @stage{p}(ptr %cells)", [*code.lines, "ret void"])

    # ---- what rows change ------------------------------------------------------------------------

    def _block(self, p: int, nodes: list[Expr]) -> None:
        """Some rows: whole turns first, then what is left, eight at a time and masked."""
        plan, unroll = self.plan, self.unroll[p]
        reductions = self._reductions(p)
        lines: list[str] = []
        columns = {n: self.layout.columns[n] for n in nodes if isinstance(n, Sym)}
        outputs = {o: k for o, k in self.stored.items() if plan.level[o] == p}
        for k in (*columns.values(), *outputs.values()):
            lines += [
                f"%c{k}.at = getelementptr ptr, ptr %columns, i64 {k}",
                f"%c{k} = load ptr, ptr %c{k}.at",
                f"%p{k} = getelementptr double, ptr %c{k}, i64 %row",
            ]
        base: dict[Expr, Value] = {}
        scalar = Code(self.module, 1, "s")
        for node in nodes:
            for arg in node.args if isinstance(node, Call) else ():
                if arg not in plan.rows and arg not in base:
                    base[arg] = self._splat(scalar, arg)
        lines += scalar.lines
        sets = [(r, u) for r in range(len(reductions)) for u in range(unroll)]
        empty = [f"splat (double {number_text(IDENTITY[r.op.name])})" for r in reductions]
        before, start = "%0", "0"
        if self.short:
            before, start = "%turn", "%i"
            step = LANES * unroll
            lines += [f"%whole = and i64 %n, {-step}", "br label %turn", "turn:"]
            lines.append("%i = phi i64 [ 0, %0 ], [ %i.next, %turn.end ]")
            lines += [
                f"%a{r}.{u} = phi {WIDE} [ {empty[r]}, %0 ], [ %a{r}.{u}.next, %turn.end ]"
                for r, u in sets
            ]
            lines += [
                "%more = icmp ult i64 %i, %whole",
                "br i1 %more, label %turn.body, label %rest",
                "turn.body:",
            ]
            code = Code(self.module, LANES, "v")
            for u in range(unroll):
                self._turn(code, p, nodes, dict(base), "%i", u)
            lines += [
                *code.lines,
                "br label %turn.end",
                "turn.end:",
                f"%i.next = add i64 %i, {step}",
                "br label %turn",
            ]
        else:
            lines.append("br label %rest")
        lines += ["rest:", f"%j = phi i64 [ {start}, {before} ], [ %j.next, %rest.end ]"]
        for r in range(len(reductions)):
            first = f"%a{r}.0" if self.short else empty[r]
            lines.append(f"%b{r}.0 = phi {WIDE} [ {first}, {before} ], [ %b{r}.0.next, %rest.end ]")
        lines += ["%yet = icmp ult i64 %j, %n", "br i1 %yet, label %rest.body, label %exit"]
        lines += ["rest.body:", *_mask()]
        code = Code(self.module, LANES, "w")
        self._turn(code, p, nodes, dict(base), "%j", 0, masked=True)
        lines += [
            *code.lines,
            "br label %rest.end",
            "rest.end:",
            f"%j.next = add i64 %j, {LANES}",
            "br label %rest",
            "exit:",
        ]
        for r, u in sets:
            value = f"%a{r}.{u}" if u else f"%b{r}.0"
            lines += [
                f"%o{r}.{u} = getelementptr {WIDE}, ptr %out, i64 {r * unroll + u}",
                f"store {WIDE} {value}, ptr %o{r}.{u}, align 8",
            ]
        head = f"define void @block{p}(ptr noalias %columns, i64 %row, i64 %n, "
        head += "ptr noalias %cells, ptr noalias %out)"
        self.module.function(head, [*lines, "ret void"])

    def _splat(self, code: Code, node: Expr) -> Value:
        """A scalar in every lane."""
        if not isinstance(node, (Call, Sym)):
            return Code(self.module, LANES).leaf(node)
        one = self._load(code, node)
        t = "i1" if one.kind == "boolean" else "double"
        wide = f"<{LANES} x {t}>"
        a = code.line(f"insertelement {wide} poison, {t} {one.text}, i64 0", one.kind)
        text = f"shufflevector {wide} {a.text}, {wide} poison, <{LANES} x i32> zeroinitializer"
        return code.line(text, one.kind)

    def _turn(
        self,
        code: Code,
        p: int,
        nodes: Sequence[Expr],
        values: dict[Expr, Value],
        row: str,
        u: int,
        masked: bool = False,
    ) -> None:
        """Eight rows: loads, formulas, stores and accumulators."""
        at = code.line(f"add i64 {row}, {LANES * u}", "bits").text if u else row
        reductions = self._reductions(p)
        joined = {r.args[0] for r in reductions if r.op.name == "sum"}
        once = {n for n in joined if self.uses[n] == 1 and product(n)}
        for node in nodes:
            if isinstance(node, Sym):
                values[node] = self._column(code, self.layout.columns[node], at, masked)
            elif isinstance(node, Call) and node not in once:
                given = [values[arg] for arg in node.args]
                values[node] = code.call(node.op, given, node.options)
        for node, pointer in self.stored.items():
            if self.plan.level[node] == p:
                self._put(code, values[node], pointer, at, masked)
        for r, node in enumerate(reductions):
            old = Value(f"%{'b' if masked else 'a'}{r}.{u}", "number")
            arg = node.args[0]
            if arg in once:
                factors = list(arg.args)
                *head, last = [values[f] for f in factors]
                left = code.call(OPS["*"], head) if len(head) > 1 else head[0]
                new = code.call(FMA, (left, last, old))
            else:
                new = code.call(OPS[REDUCTIONS[node.op.name]], (old, values[arg]))
            mask = f"<{LANES} x i1> {'%mask' if masked else f'splat (i1 true)'}"
            if masked:
                code.lines.append(
                    f"{old.text}.next = select {mask}, {WIDE} {new.text}, {WIDE} {old.text}"
                )
            else:
                code.lines.append(f"{old.text}.next = bitcast {WIDE} {new.text} to {WIDE}")

    def _column(self, code: Code, pointer: int, at: str, masked: bool) -> Value:
        """Eight rows of a column; the missing ones are 0."""
        place = code.name()
        code.lines.append(f"{place} = getelementptr double, ptr %p{pointer}, i64 {at}")
        if not masked:
            return code.line(f"load {WIDE}, ptr {place}, align 8", "number")
        name = f"@llvm.masked.load.v{LANES}f64.p0"
        ones = f"<{LANES} x i1>"
        self.module.declared[f"declare {WIDE} {name}(ptr, i32, {ones}, {WIDE})"] = None
        text = f"call {WIDE} {name}(ptr {place}, i32 8, {ones} %mask, {WIDE} zeroinitializer)"
        return code.line(text, "number")

    def _put(self, code: Code, value: Value, pointer: int, at: str, masked: bool) -> None:
        """Eight rows of an output."""
        place = code.name()
        code.lines.append(f"{place} = getelementptr double, ptr %p{pointer}, i64 {at}")
        if value.kind == "boolean":
            one, zero = code.constant(1.0, "number").text, code.constant(0.0, "number").text
            text = f"select <{LANES} x i1> {value.text}, {WIDE} {one}, {WIDE} {zero}"
            value = code.line(text, "number")
        if not masked:
            code.lines.append(f"store {WIDE} {value.text}, ptr {place}, align 8")
            return
        name = f"@llvm.masked.store.v{LANES}f64.p0"
        ones = f"<{LANES} x i1>"
        self.module.declared[f"declare void {name}({WIDE}, ptr, i32, {ones})"] = None
        code.lines.append(
            f"call void {name}({WIDE} {value.text}, ptr {place}, i32 8, {ones} %mask)"
        )


def _mask() -> list[str]:
    """Which lanes hold rows that there are."""
    lanes = ", ".join(f"i64 {i}" for i in range(LANES))
    ints = f"<{LANES} x i64>"
    return [
        "%left = sub i64 %n, %j",
        f"%left.one = insertelement {ints} poison, i64 %left, i64 0",
        f"%left.all = shufflevector {ints} %left.one, {ints} poison, "
        f"<{LANES} x i32> zeroinitializer",
        f"%mask = icmp ult {ints} <{lanes}>, %left.all",
    ]
