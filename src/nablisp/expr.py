"""Formulas as data: turns numbers, names and operations into interned, immutable nodes.

Equal is identical: a node exists once however often it is built, so `is` compares, dictionaries
over nodes are exact memos, and a shared part is one object. A `Sym` is only a name: role and shape
live in the session, and nothing is cached in a node. Every walk is a loop over `postorder`.
"""

from __future__ import annotations

import math
import struct
from _weakref import _remove_dead_weakref  # type: ignore[attr-defined]  # the stub lacks it
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, TypeVar
from weakref import ref

import numpy as np

from .errors import NablispError
from .limits import walked

if TYPE_CHECKING:
    from .shapes import Shape

Number = int | float | bool
Options = tuple[tuple[str, Any], ...]
Steps = tuple[int, tuple[tuple[Any, Any], ...]]
"""The register that holds the result, and for each step (op, registers) or (None, constant)."""
EXACT = 2**53
"""Integers are exact up to this magnitude, then binary64."""


@dataclass(frozen=True, eq=False)
class Op:
    """An operation: every fact about it, as one row of the table `OPS` (see ops.py).

    Formulas are written in the language itself, over the arguments `x y z` and the result `out`,
    and read when first used. Elementwise rows carry `partials`, one per argument; array rows carry
    a `pullback` and a `shape` rule. Rows of any number of arguments mean their binary partials
    applied from the left.
    """

    name: str
    doc: str
    arity: tuple[int, int | None]
    array: str = ""
    """its name in numpy and jax.numpy, or in the small list of arrays.py"""
    partials: tuple[str | Expr, ...] | None = None
    textbook: tuple[str, ...] | None = None
    """partials as the article writes them, for the raw form, where ours are more careful"""
    pullback: Callable[..., Sequence[int | None]] | None = None
    shape: Callable[..., Shape] | None = None
    """shape rule of an array row; an elementwise row broadcasts"""
    options: tuple[str, ...] = ()
    """static keywords, as the language names them"""
    trailing: tuple[str, ...] = ()
    """static options written as arguments after the others: `(expand v 1)`, `(ref v i j)`"""
    means: str | Expr | None = None
    """the row in simpler rows, where no array library has it"""
    rules: tuple[tuple[str, str], ...] = ()
    """(pattern, simpler): true wherever both are finite, and shrinking"""
    accurate: tuple[tuple[str, str], ...] = ()
    """(pattern, form that rounds better): evaluated for it, and differentiated (see accurate.py)"""
    accurate_value: tuple[tuple[str, str], ...] = ()
    """the same where the derivative of the pattern is good as it stands"""
    identity: Number | None = None
    """value of no arguments, for rows that take any number"""
    exact: bool = False
    """integers in, integer out"""
    takes: str = "number"
    result: str = "number"
    domain: tuple[tuple[float, float], ...] = ()
    """an interval per argument inside which value and derivative are smooth; (-3, 3) if empty"""
    native: str = ""
    """an instruction of LLVM, or the name of a kernel: none where a program must go to NumPy"""
    c: str = ""
    """in C99, with {x} {y} {z} for the arguments, two by two of a list; or in the language"""
    python: str = ""
    """in Python, where NumPy has no function of that name for it; {args} for a list"""
    latex: str = ""
    """with {x} {y} {z} for the arguments, or {args|separator} for all of them"""
    binds: int = 9
    """how tightly its LaTeX holds: 1 sums, 2 products, 3 powers, 9 closed"""
    example: str = ""

    @cached_property
    def slopes(self) -> tuple[Expr, ...]:
        """The partials as expressions."""
        return tuple(formula(text) for text in self.partials or ())

    @cached_property
    def slope_steps(self) -> tuple[Steps, ...]:
        """The partials as straight-line programs over the registers x y z out."""
        return tuple(steps(slope, ("x", "y", "z", "out")) for slope in self.slopes)

    @cached_property
    def rewrite_steps(self) -> tuple[tuple[Expr, Steps], ...]:
        """The rules: a pattern, and what it becomes as a program over x y z."""
        read = [(formula(pattern), formula(simpler)) for pattern, simpler in self.rules]
        return tuple((pattern, steps(simpler, ("x", "y", "z"))) for pattern, simpler in read)

    @cached_property
    def raw_slopes(self) -> tuple[Expr, ...]:
        """The partials of the article."""
        return tuple(formula(text) for text in self.textbook or self.partials or ())

    @cached_property
    def meaning(self) -> Expr | None:
        """What the row means in simpler rows."""
        return None if self.means is None else formula(self.means)

    def __repr__(self) -> str:
        return self.name

    def __reduce__(self) -> tuple[object, ...]:
        if OPS.get(self.name) is self:
            return row, (self.name,)
        return Op, tuple(getattr(self, field.name) for field in fields(self))


OPS: dict[str, Op] = {}
"""The table of operations; ops.py fills it once."""


_TABLE: dict[Hashable, ref[Any]] = {}
"""Every node by its content, which fixes its class; weakly. Dead entries are swept when the table
has doubled."""
_SWEEP_AT = [100_000]
"""The size at which the table is swept next."""


Node = TypeVar("Node", bound="Expr")


def _interned(key: Hashable, node: Node) -> Node:
    """The node that stands for `key`: an earlier one, or this. `setdefault` makes it atomic."""
    mine = ref(node)
    while True:
        found = _TABLE.setdefault(key, mine)
        if found is mine:
            if len(_TABLE) > _SWEEP_AT[0]:
                sweep()
            return node
        other: Node | None = found()
        if other is not None:
            return other
        _remove_dead_weakref(_TABLE, key)


def sweep() -> None:
    """Drop the entries of nodes that are gone.

    From the newest back, since the key of a gone node is what keeps its arguments: one pass frees
    a whole graph. Between sweeps the table holds at most as many dead entries as live ones.
    """
    _SWEEP_AT[0] = 2**63  # a node made meanwhile does not sweep again
    try:
        keys = list(_TABLE)
        while keys:
            key = keys.pop()
            entry = _TABLE.get(key)
            if entry is not None and entry() is None:
                _remove_dead_weakref(_TABLE, key)
    finally:  # also where an interrupt ends it
        _SWEEP_AT[0] = 2 * len(_TABLE) + 100_000


class Expr:
    """A formula. Build with `params`, `Expr.sym`, `Expr.bin`, `parse` and Python's operators.

    >>> x, y = params("x y")
    >>> print(x**2 + x * y)
    (+ (** x 2) (* x y))

    `==` is identity (equal formulas are one object); `<` and its kin build comparisons, which have
    no truth value of their own. Unpacking gives the operation's name and the arguments, numbers
    plain: `op, l, r = e`.
    """

    __slots__ = ("__weakref__",)
    __array_ufunc__: ClassVar[None] = None  # so that array * Expr is an Expr, not an object array

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"expressions are immutable: {name} cannot be set")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"expressions are immutable: {name} cannot be deleted")

    @staticmethod
    def sym(name: str) -> Sym:
        """A symbol, representing a variable."""
        if not isinstance(name, str):
            raise NablispError("type", f"a symbol's name is a string, not {name!r}")
        return Sym(name)

    @staticmethod
    def bin(op: str, lhs: Any, rhs: Any) -> Call:
        """The expression of a binary operation, numbers as they stand."""
        return Call(row(op), (as_expr(lhs), as_expr(rhs)))

    def __add__(self, other: Any) -> Expr:
        return _binary("+", self, other)

    def __radd__(self, other: Any) -> Expr:
        return _binary("+", other, self)

    def __sub__(self, other: Any) -> Expr:
        return _binary("-", self, other)

    def __rsub__(self, other: Any) -> Expr:
        return _binary("-", other, self)

    def __mul__(self, other: Any) -> Expr:
        return _binary("*", self, other)

    def __rmul__(self, other: Any) -> Expr:
        return _binary("*", other, self)

    def __truediv__(self, other: Any) -> Expr:
        return _binary("/", self, other)

    def __rtruediv__(self, other: Any) -> Expr:
        return _binary("/", other, self)

    def __pow__(self, other: Any) -> Expr:
        return _binary("**", self, other)

    def __rpow__(self, other: Any) -> Expr:
        return _binary("**", other, self)

    def __matmul__(self, other: Any) -> Expr:
        return _binary("@", self, other)

    def __rmatmul__(self, other: Any) -> Expr:
        return _binary("@", other, self)

    def __lt__(self, other: Any) -> Expr:
        return _binary("<", self, other)

    def __le__(self, other: Any) -> Expr:
        return _binary("<=", self, other)

    def __gt__(self, other: Any) -> Expr:
        return _binary(">", self, other)

    def __ge__(self, other: Any) -> Expr:
        return _binary(">=", self, other)

    def __neg__(self) -> Expr:
        return _binary("-", 0, self)

    def __pos__(self) -> Expr:
        return self

    def __abs__(self) -> Expr:
        return Call(OPS["abs"], (self,))

    def __bool__(self) -> bool:
        raise NablispError(
            "type",
            f"{self} has no truth value: it is a formula, not a number",
            hint="choose inside a formula with where; compare formulas with ==",
        )

    def __iter__(self) -> Iterator[Any]:
        match self:
            case Sym(name):
                return iter((name,))
            case Call(op, args):
                return iter((op.name, *(plain(arg) for arg in args)))
        return iter((plain(self),))

    def __repr__(self) -> str:
        from .printer import text

        return text(self)

    def _repr_latex_(self) -> str:
        from .notation import latex

        return f"$\\displaystyle {latex(self)}$"

    def __copy__(self) -> Expr:
        return self

    def __deepcopy__(self, memo: object) -> Expr:
        return self

    def __reduce__(self) -> tuple[object, ...]:
        return _unpickle, (_flat(self),)


class Num(Expr):
    """A number, or a truth value."""

    __match_args__ = ("value",)
    __slots__ = ("value",)
    value: Number

    def __new__(cls, value: Number) -> Num:
        kind = type(value)
        if kind is int and -EXACT <= value <= EXACT:
            key: Hashable = (int, value)
        elif kind is bool:
            key = (bool, value)
        else:  # bits tell 0.0 from -0.0, and keep every nan
            value = as_float(value)
            key = (float, struct.pack("<d", value))
        found = _TABLE.get(key)
        node: Num | None = None if found is None else found()
        if node is not None:
            return node
        self = object.__new__(cls)
        object.__setattr__(self, "value", value)
        return _interned(key, self)


class Const(Expr):
    """An array of numbers or truth values, by the digest of its content. Read only."""

    __match_args__ = ("value",)
    __slots__ = ("value",)
    value: np.ndarray[Any, Any]

    def __new__(cls, value: Any) -> Const:
        array = np.array(value, dtype=bool if np.asarray(value).dtype == bool else np.float64)
        array.setflags(write=False)
        content = np.ascontiguousarray(array).tobytes()
        if len(content) > 64:
            from hashlib import blake2b

            content = blake2b(content, digest_size=32).digest()
        self = object.__new__(cls)
        object.__setattr__(self, "value", array)
        return _interned((Const, array.dtype.char, array.shape, content), self)


class Sym(Expr):
    """A name."""

    __match_args__ = ("name",)
    __slots__ = ("name",)
    name: str

    def __new__(cls, name: str) -> Sym:
        key = (Sym, name)
        found = _TABLE.get(key)
        node: Sym | None = None if found is None else found()
        if node is not None:
            return node
        self = object.__new__(cls)
        object.__setattr__(self, "name", name)
        return _interned(key, self)


class Call(Expr):
    """An operation applied to expressions. `options` are static: (("axis", 0), …)."""

    __match_args__ = ("op", "args", "options")
    __slots__ = ("key",)
    key: tuple[Op, tuple[Expr, ...], Options]
    """(op, args, options): what the node is interned by"""

    def __new__(cls, op: Op, args: tuple[Expr, ...], options: Options = ()) -> Call:
        key = (op, args, options)
        found = _TABLE.get(key)
        node: Call | None = None if found is None else found()
        if node is not None:
            return node
        self = _new(Call)
        _set_key(self, key)
        return _interned(key, self)

    op = property(lambda self: self.key[0])
    args = property(lambda self: self.key[1])
    options = property(lambda self: self.key[2])


_new = object.__new__
_set_key = vars(Call)["key"].__set__  # a slot is a descriptor


def intern_calls(
    ids: Iterable[int],
    ops: Sequence[Any],
    args_of: Sequence[tuple[int, ...]],
    exprs: list[Any],
    options_of: Mapping[int, Options] | None = None,
) -> None:
    """Fill `exprs` at the ids, ascending, with the nodes of flat lists."""
    setdefault, expr_at, none = _TABLE.setdefault, exprs.__getitem__, ()
    for i in ids:
        given = args_of[i]
        if len(given) == 2:
            a, b = given
            args: tuple[Expr, ...] = (exprs[a], exprs[b])
        else:
            args = tuple(map(expr_at, given))
        key = (ops[i], args, none if options_of is None else options_of.get(i, none))
        self = _new(Call)
        _set_key(self, key)
        mine: ref[Expr] = ref(self)
        exprs[i] = self if setdefault(key, mine) is mine else _interned(key, self)
    if len(_TABLE) > _SWEEP_AT[0]:
        sweep()


def row(name: str) -> Op:
    """The row of an operation, by name; NablispError "unbound-name" with the nearest one."""
    try:
        return OPS[name]
    except KeyError:
        from .errors import meant

        raise NablispError(
            "unbound-name",
            f"there is no operation called {name}",
            hint=meant(name, OPS),
        ) from None


def _binary(op: str, lhs: Any, rhs: Any) -> Expr:
    try:
        return call(op, lhs, rhs)
    except TypeError:
        return NotImplemented  # type: ignore[no-any-return]  # Python's own sign


def as_float(value: Any) -> float:
    """A binary64 number; an integer too large for one is inf."""
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


def as_expr(value: Any) -> Expr:
    """A number, truth value, array or list of numbers as a node; an Expr is itself."""
    if isinstance(value, Expr):
        return value
    if isinstance(value, (bool, int, float)):
        return Num(value)
    if isinstance(value, np.generic):
        return as_expr(value.item())
    if isinstance(value, (np.ndarray, list, tuple)):
        array = np.asarray(value)
        if array.dtype.kind in "biuf":
            return as_expr(array.item()) if array.ndim == 0 else Const(array)
        if array.dtype.kind == "O" and any(isinstance(v, Expr) for v in array.flat):
            return Call(OPS["stack"], tuple(as_expr(v) for v in value), (("axis", -1),))
    raise TypeError(f"a formula is made of numbers, arrays and names, not {type(value).__name__}")


def asked(value: Any) -> Expr:
    """`as_expr` of what a caller handed in; NablispError "type" for what is no formula."""
    try:
        return as_expr(value)
    except TypeError as error:
        raise NablispError("type", str(error), hint="from text: parse(…)") from None


def call(name: str, *args: Any) -> Expr:
    """The operation of that name, of nodes and plain numbers."""
    return Call(OPS[name], tuple([as_expr(arg) for arg in args]))


def sum_of(terms: Sequence[Expr]) -> Expr:
    """The terms added; one term is itself."""
    return terms[0] if len(terms) == 1 else call("+", *terms)


def plain(node: Expr) -> Any:
    """A number or array for a constant node; any other node itself."""
    return node.value if isinstance(node, (Num, Const)) else node


def formula(text: str | Expr) -> Expr:
    """A formula of the tables, written in the language: names and operations, nothing else."""
    from .forms import List, Number, Symbol
    from .reader import read

    def build(form: object) -> Expr:
        match form:
            case Number(value):
                return Num(value)
            case Symbol("pi"):
                return Num(math.pi)
            case Symbol("true" | "false" as name):
                return Num(name == "true")
            case Symbol(name):
                return Sym(name)
            case List((Symbol("-"), only)):
                return Call(OPS["neg"], (build(only),))
            case List((Symbol(name), *rest)):
                return Call(OPS[name], tuple(build(item) for item in rest))
        raise ValueError(f"not a formula: {form!r}")

    return text if isinstance(text, Expr) else build(read(text)[0])


def params(names: str) -> Any:
    """Symbols for names separated by blanks: one symbol, or a tuple of them.

    >>> m, b = params("m b")
    """
    found = names.split()
    if not found:
        raise NablispError("name", "params needs at least one name", hint='params("m b")')
    return Sym(found[0]) if len(found) == 1 else tuple(Sym(name) for name in found)


def steps(root: Expr, registers: Sequence[str]) -> Steps:
    """A formula as operations on registers: the named ones first, then one for each step."""
    place: dict[Expr, int] = {Sym(name): i for i, name in enumerate(registers)}
    made: list[tuple[Op | None, Any]] = []
    for node in postorder(root):
        if node in place:
            continue
        place[node] = len(registers) + len(made)
        if isinstance(node, Call):
            made.append((node.op, tuple(place[arg] for arg in node.args)))
        else:
            made.append((None, node))
    return place[root], tuple(made)


def options_of(given: Mapping[str, Any]) -> Options:
    """Static options in their one spelling: sorted, defaults left out."""
    return tuple(sorted((k, v) for k, v in given.items() if v is not None and v is not False))


def postorder(*roots: Expr, known: Iterable[Expr] = ()) -> list[Expr]:
    """Every node under the roots once, arguments before what is made of them.

    What is known is left out, with all that only it needs.
    """
    order: list[Expr] = []
    seen = set(known)
    stack = list(reversed(roots))
    while stack:
        node = stack[-1]
        if node in seen:
            stack.pop()
            continue
        if type(node) is Call:
            args = node.key[1]
            if not seen.issuperset(args):
                stack += [a for a in reversed(args) if a not in seen]
                continue
        stack.pop()
        seen.add(node)
        order.append(node)
    walked(len(order))
    return order


def size(*roots: Expr) -> int:
    """Distinct operations under the roots."""
    return sum(type(node) is Call for node in postorder(*roots))


def names(*roots: Expr) -> dict[str, Sym]:
    """The symbols under the roots, in order of appearance."""
    return {node.name: node for node in postorder(*roots) if isinstance(node, Sym)}


def substitute(roots: Sequence[Expr], replace: Mapping[Expr, Expr]) -> list[Expr]:
    """The roots with nodes replaced, all at once; what is not touched stays the same object."""
    new: dict[Expr, Expr] = dict(replace)
    for node in postorder(*roots):
        if node in new:
            continue
        if type(node) is Call:
            args = tuple([new[arg] for arg in node.args])
            new[node] = node if args == node.args else Call(node.op, args, node.options)
        else:
            new[node] = node
    return [new[root] for root in roots]


def _flat(root: Expr) -> list[Any]:
    """A node as a flat list, for pickling: depth costs no recursion."""
    order = postorder(root)
    place = {node: i for i, node in enumerate(order)}
    return [
        (node.op, tuple(place[a] for a in node.args), node.options)
        if isinstance(node, Call)
        else node.name
        if isinstance(node, Sym)
        else [plain(node)]
        for node in order
    ]


def _unpickle(flat: list[Any]) -> Expr:
    made: list[Expr] = []
    for item in flat:
        match item:
            case str():
                made.append(Sym(item))
            case [value]:
                made.append(as_expr(value))
            case (op, args, options):
                made.append(Call(op, tuple(made[i] for i in args), options))
    return made[-1]
