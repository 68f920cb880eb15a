"""From a plan to LLVM's text: for every pass a stage before it and a block of rows; a last stage.

All that is not by row lives in cells, an array of numbers: inputs first, then outputs, then what
one function leaves for another. A block goes through some rows, eight at a time, and leaves one
accumulator for each reduction and lane, which the driver takes together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from ...expr import OPS, Call, Expr, Num, Sym, as_float, postorder
from ...plan import LONG, REDUCTIONS, Plan, is_reduction
from ...shapes import is_boolean
from .emit import LANES, Code, Module, Value, number_text
from .rows import Block


@dataclass(slots=True)
class Layout:
    """Where things lie: cells of scalars, the order of columns, outputs that differ by row."""

    cells: dict[Expr, int] = field(default_factory=dict)
    columns: dict[Expr, int] = field(default_factory=dict)
    """pointers of columns, then of outputs by row"""
    constants: dict[Expr, int] = field(default_factory=dict)
    """in a long program: the first of eight cells that hold a number"""
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
    the outputs that are no rows follow. Of a step, the outputs are so many reasons to stop, then so
    many numbers for the record, then the next state: the last stage writes the record, returns the
    number of the first reason that holds, counted from 1, or else moves the inputs and returns 0.
    """

    def __init__(
        self, plan: Plan, inputs: Sequence[Expr], step: tuple[int, int] | None = None
    ) -> None:
        self.plan, self.step = plan, step
        short = len(plan.level) <= LONG
        self.module = Module(short)
        self.layout = Layout()
        self.layout.cell(Call(OPS["rows"], ()))  # the first, where the driver puts it
        self.first_input = self.layout.size
        for leaf in inputs:
            self.layout.cell(leaf)
        self.first_output = self.layout.size
        if step is None:
            self.layout.size += sum(o not in plan.rows for o in plan.outputs)
        columns = [n for n in plan.level if n in plan.rows and isinstance(n, Sym)]
        self.layout.columns = {node: i for i, node in enumerate(columns)}
        self.stored = {
            o: len(columns) + i
            for i, o in enumerate(dict.fromkeys(o for o in plan.outputs if o in plan.rows))
        }
        """outputs by row, each with its pointer: these come after the columns'"""
        self.optimise = short
        """LLVM's time grows faster than a function: a long one it is told to take as it is"""
        self.uses = Counter(plan.outputs)
        self.uses.update(a for n in plan.level if type(n) is Call for a in n.key[1])
        needs = [self._row_nodes(p) for p in range(plan.passes)]
        self._give_cells(needs)
        for p in range(plan.passes):
            self._stage(p)
            self._block(p, needs[p])
        self._stage(plan.passes)
        self.text = self.module.text()

    def constants(self) -> dict[int, float]:
        """What cells hold from the beginning."""
        return {
            cell + lane: as_float(node.value)
            for node, cell in self.layout.constants.items()
            if isinstance(node, Num)
            for lane in range(LANES)
        }

    # ---- which function needs what ---------------------------------------------------------------

    def _roots(self, p: int) -> list[Expr]:
        """What pass p is for: the arguments of its reductions, and outputs by row."""
        plan = self.plan
        found = [r.args[0] for r in self._reductions(p)]
        return found + [o for o in self.stored if plan.level[o] == p]

    def facts(self, p: int) -> tuple[int, ...]:
        """What the driver must know of the reductions of pass p: see its REDUCTIONS."""
        found = self._reductions(p)
        kinds = [r.op.name for r in found]
        cell = self.layout.cells[found[0]] if found else 0
        return len(found), kinds.count("sum"), len(found) - kinds.count("amax"), cell

    def _reductions(self, p: int) -> list[Call]:
        found = self.plan.reductions[p] if p < len(self.plan.reductions) else []
        return sorted(found, key=lambda r: list(REDUCTIONS).index(r.op.name))

    def _row_nodes(self, p: int) -> list[Expr]:
        """The nodes by row that pass p computes, in order."""
        rows = self.plan.rows
        if self.plan.passes == 1:
            return [n for n in self.plan.level if n in rows]
        roots = self._roots(p)
        return [n for n in postorder(*roots) if n in rows] if roots else []

    def _give_cells(self, needs: list[list[Expr]]) -> None:
        """A cell for every scalar that one function leaves for another."""
        plan, cell = self.plan, self.layout.cell
        for p in range(plan.passes):
            for reduction in self._reductions(p):
                cell(reduction)
        rows, level = plan.rows, plan.level
        for nodes in needs:
            for node in nodes:
                if type(node) is Call and not rows.issuperset(node.key[1]):
                    for arg in node.key[1]:
                        if arg not in rows and type(arg) is Call:
                            cell(arg)
        for node, at in level.items():
            if at and type(node) is Call and node not in rows and not is_reduction(node):
                for arg in node.key[1]:
                    if level[arg] < at and type(arg) is Call:
                        cell(arg)
        for output in plan.outputs:
            early = plan.level[output] < plan.passes
            if early and output not in plan.rows and isinstance(output, Call):
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

    def _store(self, code: Code, value: Value, cell: int, base: str = "%cells") -> None:
        if value.kind == "boolean":
            one, zero = number_text(1.0), number_text(0.0)
            text = f"select i1 {value.text}, double {one}, double {zero}"
            value = code.line(text, "number")
        at = code.name()
        code.lines.append(f"{at} = getelementptr double, ptr {base}, i64 {cell}")
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
        if p < plan.passes:
            self.module.function(f"define void @stage{p}(ptr %cells)", [*code.lines, "ret void"])
            return
        found = [value(output) for output in plan.outputs if output not in plan.rows]
        stops, emits = self.step or (0, 0)
        for i, number in enumerate(found[stops : stops + emits]):
            self._store(code, number, i, "%record")
        reason = Value("0", "bits")
        for i in range(stops, 0, -1):
            text = f"select i1 {found[i - 1].text}, i64 {i}, i64 {reason.text}"
            reason = code.line(text, "bits")
        if stops:
            holds = code.line(f"icmp ne i64 {reason.text}, 0", "boolean")
            code.lines.append(f"br i1 {holds.text}, label %end, label %move\nmove:")
        first = self.first_output if self.step is None else self.first_input
        for cell, number in enumerate(found[stops + emits :], first):
            self._store(code, number, cell)
        lines = [*code.lines, "br label %end\nend:", f"ret i64 {reason.text}"]
        self.module.function("define i64 @last(ptr %cells, ptr %record)", lines)

    # ---- what rows change ------------------------------------------------------------------------

    def _block(self, p: int, nodes: list[Expr]) -> None:
        """A function of some rows, from pointers to columns to accumulators."""
        scalars: dict[Expr, Value] = {}
        code = Code(self.module, 1, "s")
        for node in nodes:
            for arg in node.args if isinstance(node, Call) else ():
                if arg in self.plan.rows or arg in scalars or arg in self.layout.constants:
                    continue
                if type(arg) is Num and not self.optimise and type(arg.value) is not bool:
                    self.layout.constants[arg] = self.layout.size
                    self.layout.size += LANES
                else:
                    scalars[arg] = self._splat(code, arg)
        block = Block(
            self.module,
            nodes,
            {n: self.layout.columns[n] for n in nodes if isinstance(n, Sym)},
            {o: k for o, k in self.stored.items() if self.plan.level[o] == p},
            self._reductions(p),
            self.uses,
            self.layout.constants,
        )
        lines = block.write(code.lines, scalars)
        head = f"define void @block{p}(ptr noalias %columns, i64 %row, i64 %n, "
        self.module.function(head + "ptr noalias %cells, ptr noalias %out)", lines)

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
