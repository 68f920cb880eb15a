"""From formulas to LLVM's text: one generic emitter, which knows no operation by name.

A row's `native` is an instruction, an intrinsic, or a kernel, which is a formula itself. Values are
numbered: what was computed is not computed again, so kernels share their parts. Code comes in two
widths, eight lanes for rows and one for what no row changes; both compute the same bits.
"""

from __future__ import annotations

import platform
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from ...errors import NablispError
from ...expr import Call, Expr, Num, Op, Options, Sym, as_float, postorder
from ...kernels import KERNELS, TABLES
from ...ops import OPS

LANES = 8
_TYPES = {"number": "double", "bits": "i64", "boolean": "i1"}
CONVENTION = (
    "aarch64_vector_pcs" if platform.machine() in ("aarch64", "arm64") else "intel_ocl_bicc"
)
"""How kernels are called: so that half of the vector registers keep what they hold."""
_PLAIN = frozenset(("fadd", "fsub", "fmul", "fdiv"))
FEW = 12
"""Nodes of a kernel that is always written out: it is shorter than a call."""
_SUFFIX = {"number": "f64", "bits": "i64", "boolean": "i1"}


class Value(NamedTuple):
    """A register or constant, and its kind: number, bits or boolean."""

    text: str
    kind: str


@cache
def kernel_formula(name: str, count: int) -> tuple[Expr, tuple[Sym, ...], list[Expr]]:
    """A kernel as a formula, traced once: root, arguments, and the nodes in order.

    A row that is defined by simpler rows is a kernel by its own name.
    """
    if name in KERNELS:
        given = tuple(Sym(f"a{i}") for i in range(count))
        root = KERNELS[name](*given)
    else:
        given = tuple(Sym(argument) for argument in "xyz"[:count])
        meaning = OPS[name].meaning if name in OPS else None
        if meaning is None:
            raise NablispError("unavailable", f"native has no {name}")
        root = meaning
    return root, given, [node for node in postorder(root) if node not in given]


@cache
def table_address(name: str) -> int:
    """Where a table of numbers lies; it lives as long as the process."""
    table = np.ascontiguousarray(TABLES[name]() if callable(TABLES[name]) else TABLES[name])
    _KEPT.append(table)
    return int(table.ctypes.data)


_KEPT: list[Any] = []


def number_text(value: float) -> str:
    """A binary64 constant, bit for bit."""
    return f"0x{struct.unpack('<Q', struct.pack('<d', value))[0]:016X}"


class Module:
    """A module's functions, declarations, and the kernels that are called and not written out."""

    def __init__(self, inline: bool = True) -> None:
        self.inline = inline
        self.functions: list[str] = []
        self.declared: dict[str, None] = {}
        self.called: dict[tuple[str, int, int], None] = {}
        self.written: set[tuple[str, int, int]] = set()

    def text(self) -> str:
        """The module, with every kernel that is called."""
        while todo := [key for key in self.called if key not in self.written]:
            for key in todo:
                self.written.add(key)
                self._kernel(*key)
        return "\n".join([*self.declared, *self.functions])

    def _kernel(self, name: str, count: int, lanes: int) -> None:
        code = Code(self, lanes)
        t = code.type("number")
        given = [Value(f"%a{i}", "number") for i in range(count)]
        out = code.kernel(name, given)
        params = ", ".join(f"{t} {v.text}" for v in given)
        self.function(
            f"define internal {CONVENTION} {t} @kernel.{name}.{count}.{lanes}({params}) noinline",
            [*code.lines, f"ret {t} {out.text}"],
        )

    def function(self, head: str, lines: Sequence[str]) -> None:
        """Add a function: its head and its lines."""
        self.functions.append("\n  ".join([f"{head} #0 {{", *lines]) + "\n}")


class Code:
    """The straight-line part of a function, at one width."""

    def __init__(self, module: Module, lanes: int, prefix: str = "v") -> None:
        self.module, self.lanes, self.prefix = module, lanes, prefix
        self.lines: list[str] = []
        self.types = {k: t if lanes == 1 else f"<{lanes} x {t}>" for k, t in _TYPES.items()}
        self.known: dict[Any, Value] = {}
        self.negated: dict[Value, Value] = {}
        self.count = 0

    def type(self, kind: str) -> str:
        """The type of a kind of value at this width."""
        return self.types[kind]

    def name(self) -> str:
        """A register that is not taken yet."""
        self.count += 1
        return f"%{self.prefix}{self.count}"

    def line(self, text: str, kind: str) -> Value:
        """An instruction with a result."""
        self.count += 1
        out = f"%{self.prefix}{self.count}"
        self.lines.append(f"{out} = {text}")
        return Value(out, kind)

    def constant(self, value: float | bool | int, kind: str) -> Value:
        """A constant in every lane."""
        if kind == "boolean":
            text = "true" if value else "false"
        else:
            text = number_text(as_float(value)) if kind == "number" else str(value)
        return Value(text if self.lanes == 1 else f"splat ({_TYPES[kind]} {text})", kind)

    def leaf(self, node: Expr) -> Value:
        """A number or truth value."""
        assert isinstance(node, Num)
        kind = "boolean" if isinstance(node.value, bool) else "number"
        return self.constant(node.value, kind)

    def call(self, op: Op, args: Sequence[Value], options: Options = ()) -> Value:
        """The value of an operation."""
        native = op.native
        if native in _PLAIN and len(args) == 2:  # what most of a long program is
            a, b = args
            same = (op, a.text, b.text)
            found = self.known.get(same)
            if found is None:
                self.count += 1
                found = self.known[same] = Value(f"%{self.prefix}{self.count}", "number")
                number = self.types["number"]
                self.lines.append(f"{found.text} = {native} {number} {a.text}, {b.text}")
            return found
        if op.arity[1] is None and native != "rarely" and len(args) != 2:
            if not args:
                assert op.identity is not None
                return self.leaf(Num(op.identity))
            out = args[0]
            for arg in args[1:]:
                out = self.call(op, (out, arg))
            return out
        return self._once(op, native, tuple(args), options)

    def _once(self, op: Op, native: str, args: tuple[Value, ...], options: Options) -> Value:
        if native == "llvm.fabs":  # of a negative: so that f(x) and f(-x) share what is even
            args = (self.negated.get(args[0], args[0]),)
        key = (op, args, options)
        found = self.known.get(key)
        if found is None:
            found = self.known[key] = self._written(op, native, args, options)
            if native == "fneg":
                self.negated[found] = args[0]
        return found

    def _written(self, op: Op, native: str, args: tuple[Value, ...], options: Options) -> Value:
        kind = op.result
        if not native or native in KERNELS:
            name = native or op.name
            if self.module.inline or len(kernel_formula(name, len(args))[2]) <= FEW:
                return self.kernel(name, args)
            return self.called(name, args)
        if special := _SPECIAL.get(native):
            return special(self, args, dict(options))
        if native.startswith("llvm."):
            t = self.type(kind)
            name = f"@{native}.{'' if self.lanes == 1 else f'v{self.lanes}'}{_SUFFIX[kind]}"
            self.module.declared[f"declare {t} {name}({', '.join(t for _ in args)})"] = None
            return self.line(f"call {t} {name}({', '.join(f'{t} {a.text}' for a in args)})", kind)
        texts = ", ".join([a.text for a in args])
        return self.line(f"{native} {self.type(args[0].kind)} {texts}", kind)

    def formula(self, order: Iterable[Expr], values: dict[Expr, Value]) -> None:
        """The values of nodes in order, added to those of their leaves."""
        for node in order:
            if isinstance(node, Call):
                op, args, options = node.key
                values[node] = self.call(op, [values[arg] for arg in args], options)
            else:
                values[node] = self.leaf(node)

    def kernel(self, name: str, args: Sequence[Value]) -> Value:
        """A kernel's formula, written out."""
        root, given, order = kernel_formula(name, len(args))
        values: dict[Expr, Value] = dict(zip(given, args, strict=True))
        self.formula(order, values)
        return values[root]

    def called(self, name: str, args: Sequence[Value]) -> Value:
        """A kernel as a function of its own, called."""
        t = self.type("number")
        self.module.called[name, len(args), self.lanes] = None
        texts = ", ".join(f"{t} {a.text}" for a in args)
        text = f"call {CONVENTION} {t} @kernel.{name}.{len(args)}.{self.lanes}({texts})"
        return self.line(text, "number")


# ---- instructions of another shape ---------------------------------------------------------------


def _select(code: Code, args: tuple[Value, ...], options: Mapping[str, Any]) -> Value:
    c, a, b = args
    t = code.type(a.kind)
    return code.line(f"select {code.type(c.kind)} {c.text}, {t} {a.text}, {t} {b.text}", a.kind)


def _bitcast(code: Code, args: tuple[Value, ...], options: Mapping[str, Any]) -> Value:
    (x,) = args
    kind = "bits" if x.kind == "number" else "number"
    return code.line(f"bitcast {code.type(x.kind)} {x.text} to {code.type(kind)}", kind)


def _constant(code: Code, args: tuple[Value, ...], options: Mapping[str, Any]) -> Value:
    return code.constant(options["value"], "bits")


def _lookup(code: Code, args: tuple[Value, ...], options: Mapping[str, Any]) -> Value:
    """A number of a table, or one for every lane."""
    (index,) = args
    pointers = "ptr" if code.lanes == 1 else f"<{code.lanes} x ptr>"
    base = f"inttoptr (i64 {table_address(options['table'])} to ptr)"
    at = code.name()
    t = code.type("bits")
    code.lines.append(f"{at} = getelementptr double, ptr {base}, {t} {index.text}")
    if code.lanes == 1:
        return code.line(f"load double, ptr {at}", "number")
    t, ones = code.type("number"), code.type("boolean")
    name = f"@llvm.masked.gather.v{code.lanes}f64.v{code.lanes}p0"
    code.module.declared[f"declare {t} {name}({pointers}, i32, {ones}, {t})"] = None
    mask = code.constant(True, "boolean").text
    return code.line(
        f"call {t} {name}({pointers} {at}, i32 8, {ones} {mask}, {t} zeroinitializer)", "number"
    )


def _rarely(code: Code, args: tuple[Value, ...], options: Mapping[str, Any]) -> Value:
    """A branch around a call: taken where the condition holds in some lane."""
    condition, usual, *given = args
    name = code.name()[1:]
    entry, cold, join = f"{name}.entry", f"{name}.cold", f"{name}.join"
    lines, any_ = code.lines, condition.text
    lines.append(f"br label %{entry}\n{entry}:")
    if code.lanes > 1:
        ones = code.type("boolean")
        reduce = f"@llvm.vector.reduce.or.v{code.lanes}i1"
        code.module.declared[f"declare i1 {reduce}({ones})"] = None
        any_ = code.line(f"call i1 {reduce}({ones} {any_})", "boolean").text
    lines.append(f"br i1 {any_}, label %{cold}, label %{join}\n{cold}:")
    slow = code.called(options["kernel"], given)
    chosen = _select(code, (condition, slow, usual), {})
    lines.append(f"br label %{join}\n{join}:")
    t = code.type("number")
    return code.line(f"phi {t} [ {usual.text}, %{entry} ], [ {chosen.text}, %{cold} ]", "number")


_SPECIAL: dict[str, Callable[..., Value]] = {
    "select": _select,
    "bitcast": _bitcast,
    "constant": _constant,
    "lookup": _lookup,
    "rarely": _rarely,
}
