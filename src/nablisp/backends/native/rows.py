"""The function that goes through a block of rows: loads, formulas, and one accumulator per lane.

A light program takes whole turns of sixteen or eight rows and then masks what is left. A heavy one
has its formulas once, with branches around the masks: half the code to compile.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf

from ...expr import OPS, Call, Expr
from ...plan import FMA, REDUCTIONS
from .emit import LANES, Code, Module, Value, number_text

IDENTITY = {"sum": 0.0, "amin": inf, "amax": -inf}
WIDE = f"<{LANES} x double>"
ZERO = "zeroinitializer"
ONES = f"<{LANES} x i1>"
LIGHT = 40
"""Lines up to which a program is light."""
PART = 200
"""Nodes in a basic block."""
FEW = 4
"""Up to this many columns a light one takes sixteen rows a turn, for registers are enough."""


@dataclass(slots=True)
class Block:
    """What one pass does with a row.

    `nodes` are what it computes, in order; `columns` and `outputs` the places of pointers;
    `reductions` take their arguments from the nodes; `uses` counts how often a node is used;
    `constants` are the cells of numbers that are not written into the code.
    """

    module: Module
    nodes: Sequence[Expr]
    columns: Mapping[Expr, int]
    outputs: Mapping[Expr, int]
    reductions: Sequence[Call]
    uses: Counter[Expr]
    constants: Mapping[Expr, int]

    def write(self, setup: Sequence[str], scalars: Mapping[Expr, Value]) -> list[str]:
        """The function's lines; `setup` are those that load `scalars`."""
        lines = [*setup]
        for k in (*self.columns.values(), *self.outputs.values()):
            lines += [
                f"%c{k}.at = getelementptr ptr, ptr %columns, i64 {k}",
                f"%c{k} = load ptr, ptr %c{k}.at",
                f"%p{k} = getelementptr double, ptr %c{k}, i64 %row",
            ]
        light = self._is_light(scalars)
        sets = 2 if light and len(self.columns) <= FEW else 1
        empty = [f"splat (double {number_text(IDENTITY[r.op.name])})" for r in self.reductions]
        if light:
            lines += self._light(scalars, empty, sets)
        else:
            lines += self._heavy(scalars, empty)
        code = Code(self.module, LANES, "z")
        for r, node in enumerate(self.reductions):
            out = Value(f"%b{r}", "number")
            for u in range(1, sets):
                out = code.call(OPS[REDUCTIONS[node.op.name]], (out, Value(f"%a{r}.{u}", "number")))
            place = code.name()
            code.lines += [
                f"{place} = getelementptr {WIDE}, ptr %out, i64 {r}",
                f"store {WIDE} {out.text}, ptr {place}, align 8",
            ]
        return [*lines, *code.lines, "ret void"]

    def _is_light(self, scalars: Mapping[Expr, Value]) -> bool:
        if len(self.nodes) > LIGHT:
            return False
        trial = Code(self.module, LANES)
        self._formulas(trial, dict(scalars) | self._loads(trial, "%j", False))
        return len(trial.lines) <= LIGHT

    # ---- the two shapes of the loop --------------------------------------------------------------

    def _light(self, scalars: Mapping[Expr, Value], empty: list[str], sets: int) -> list[str]:
        step = LANES * sets
        code = Code(self.module, LANES)
        following: list[list[Value]] = []
        for u in range(sets):
            at = code.line(f"add i64 %i, {LANES * u}", "bits").text if u else "%i"
            values = dict(scalars) | self._loads(code, at, False)
            self._formulas(code, values)
            self._puts(code, values, at, False)
            following.append(self._joins(code, values, [f"%a{r}.{u}" for r in range(len(empty))]))
        lines = [
            f"%whole = and i64 %n, {-step}",
            "br label %turn",
            "turn:",
            "%i = phi i64 [ 0, %0 ], [ %i.next, %turn.end ]",
        ]
        lines += [
            f"%a{r}.{u} = phi {WIDE} [ {first}, %0 ], [ {following[u][r].text}, %turn.end ]"
            for r, first in enumerate(empty)
            for u in range(sets)
        ]
        lines += [
            "%more = icmp ult i64 %i, %whole",
            "br i1 %more, label %turn.body, label %rest",
            "turn.body:",
            *code.lines,
            "br label %turn.end",
            "turn.end:",
            f"%i.next = add i64 %i, {step}",
            "br label %turn",
        ]
        code = Code(self.module, LANES, "w")
        values = dict(scalars) | self._loads(code, "%j", True)
        self._formulas(code, values)
        self._puts(code, values, "%j", True)
        old = [f"%b{r}" for r in range(len(empty))]
        joined = self._masked(code, self._joins(code, values, old))
        starts = [f"[ %a{r}.0, %turn ]" for r in range(len(empty))]
        return lines + _rest("[ %i, %turn ]", starts, code.lines, joined)

    def _heavy(self, scalars: Mapping[Expr, Value], empty: list[str]) -> list[str]:
        old = [f"%b{r}" for r in range(len(empty))]
        whole, part = (Code(self.module, LANES, prefix) for prefix in ("x", "y"))
        loads, masked = self._loads(whole, "%j", False), self._loads(part, "%j", True)
        code = Code(self.module, LANES)
        values = dict(scalars)
        for node, value in loads.items():
            pair = f"[ {value.text}, %loads.whole ], [ {masked[node].text}, %loads.part ]"
            values[node] = code.line(f"phi {WIDE} {pair}", "number")
        self._formulas(code, values)
        lines = [
            f"%full = icmp uge i64 %left, {LANES}",
            "br i1 %full, label %loads.whole, label %loads.part",
            "loads.whole:",
            *whole.lines,
            "br label %formulas",
            "loads.part:",
            *part.lines,
            "br label %formulas",
            "formulas:",
            *code.lines,
            "br i1 %full, label %joins.whole, label %joins.part",
        ]
        ends: list[list[Value]] = []
        for name, prefix in (("whole", "q"), ("part", "r")):
            end = Code(self.module, LANES, prefix)
            self._puts(end, values, "%j", name == "part")
            here = values
            if len(self.columns) > FEW:  # loaded again, rather than kept while registers are scarce
                here = values | self._loads(end, "%j", name == "part")
            new = self._joins(end, here, old)
            ends.append(self._masked(end, new) if name == "part" else new)
            lines += [f"joins.{name}:", *end.lines, "br label %joined"]
        lines.append("joined:")
        joined = []
        for r, (a, b) in enumerate(zip(*ends, strict=True)):
            lines.append(
                f"%n{r} = phi {WIDE} [ {a.text}, %joins.whole ], [ {b.text}, %joins.part ]"
            )
            joined.append(Value(f"%n{r}", "number"))
        starts = [f"[ {first}, %0 ]" for first in empty]
        return ["br label %rest", *_rest("[ 0, %0 ]", starts, lines, joined)]

    # ---- the parts of a turn ---------------------------------------------------------------------

    def _loads(self, code: Code, at: str, masked: bool) -> dict[Expr, Value]:
        """Eight rows of every column; rows that there are not count as 0."""
        found = {}
        for node, k in self.columns.items():
            place = code.name()
            code.lines.append(f"{place} = getelementptr double, ptr %p{k}, i64 {at}")
            if masked:
                name = f"@llvm.masked.load.v{LANES}f64.p0"
                self.module.declared[f"declare {WIDE} {name}(ptr, i32, {ONES}, {WIDE})"] = None
                text = f"call {WIDE} {name}(ptr {place}, i32 8, {ONES} %mask, {WIDE} {ZERO})"
            else:
                text = f"load {WIDE}, ptr {place}, align 8"
            found[node] = code.line(text, "number")
        return found

    @property
    def _fused(self) -> set[Expr]:
        """Products that are only summed: computed with the sum."""
        found = {r.args[0] for r in self.reductions if r.op.name == "sum"}
        return {
            node
            for node in found
            if self.uses[node] == 1
            and type(node) is Call
            and node.op.name == "*"
            and len(node.args) == 2
        }

    def _formulas(self, code: Code, values: dict[Expr, Value]) -> None:
        """What is computed of a row, added to the values."""
        fused = self._fused
        call, lines, of = code.call, code.lines, self._value
        for i, node in enumerate(self.nodes, 1):
            if type(node) is Call and node not in fused:
                op, args, options = node.key
                values[node] = call(op, [of(code, values, arg) for arg in args], options)
            if not i % PART:  # LLVM's time grows faster than a basic block
                lines.append(f"br label %part{i}\npart{i}:")

    def _value(self, code: Code, values: Mapping[Expr, Value], node: Expr) -> Value:
        """What is computed; numbers come from cells in a long program: quicker to compile."""
        if node not in self.constants:
            return values[node]
        place = code.name()
        code.lines.append(f"{place} = getelementptr double, ptr %cells, i64 {self.constants[node]}")
        return code.line(f"load {WIDE}, ptr {place}, align 8", "number")

    def _joins(self, code: Code, values: Mapping[Expr, Value], old: Sequence[str]) -> list[Value]:
        """The accumulators with this turn's rows."""
        found = []
        fused = self._fused
        for node, name in zip(self.reductions, old, strict=True):
            (arg,), so_far = node.args, Value(name, "number")
            if arg in fused:
                assert isinstance(arg, Call)
                a, b = [self._value(code, values, part) for part in arg.args]
                found.append(code.call(FMA, (a, b, so_far)))
            else:
                found.append(code.call(OPS[REDUCTIONS[node.op.name]], (so_far, values[arg])))
        return found

    def _masked(self, code: Code, new: Sequence[Value]) -> list[Value]:
        """The accumulators, but the old ones in lanes without a row."""
        return [
            code.line(f"select {ONES} %mask, {WIDE} {value.text}, {WIDE} %b{r}", "number")
            for r, value in enumerate(new)
        ]

    def _puts(self, code: Code, values: Mapping[Expr, Value], at: str, masked: bool) -> None:
        """Eight rows of every output."""
        for node, k in self.outputs.items():
            value = values[node]
            place = code.name()
            code.lines.append(f"{place} = getelementptr double, ptr %p{k}, i64 {at}")
            if value.kind == "boolean":
                one, zero = code.constant(1.0, "number").text, code.constant(0.0, "number").text
                text = f"select {ONES} {value.text}, {WIDE} {one}, {WIDE} {zero}"
                value = code.line(text, "number")
            if masked:
                name = f"@llvm.masked.store.v{LANES}f64.p0"
                self.module.declared[f"declare void {name}({WIDE}, ptr, i32, {ONES})"] = None
                code.lines.append(
                    f"call void {name}({WIDE} {value.text}, ptr {place}, i32 8, {ONES} %mask)"
                )
            else:
                code.lines.append(f"store {WIDE} {value.text}, ptr {place}, align 8")


def _rest(start: str, starts: Sequence[str], body: list[str], joined: Sequence[Value]) -> list[str]:
    """The loop over turns of eight rows, of which the last may be short."""
    lanes = ", ".join(f"i64 {i}" for i in range(LANES))
    ints = f"<{LANES} x i64>"
    none = f"{ints} poison, <{LANES} x i32> zeroinitializer"
    return [
        "rest:",
        f"%j = phi i64 {start}, [ %j.next, %rest.end ]",
        *(
            f"%b{r} = phi {WIDE} {first}, [ {new.text}, %rest.end ]"
            for r, (first, new) in enumerate(zip(starts, joined, strict=True))
        ),
        "%yet = icmp ult i64 %j, %n",
        "br i1 %yet, label %rest.body, label %exit",
        "rest.body:",
        "%left = sub i64 %n, %j",
        f"%left.one = insertelement {ints} poison, i64 %left, i64 0",
        f"%left.all = shufflevector {ints} %left.one, {none}",
        f"%mask = icmp ult {ints} <{lanes}>, %left.all",
        *body,
        "br label %rest.end",
        "rest.end:",
        f"%j.next = add i64 %j, {LANES}",
        "br label %rest",
        "exit:",
    ]
