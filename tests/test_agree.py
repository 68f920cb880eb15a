"""One formula computed every way: what `val` says of numbers and of arrays, tidied, natively,
exported. Half of the numbers are special: zeros with signs, subnormals, the huge, inf and nan.

What agreeing means:

* Numbers one by one and in an array have the same bits, any nan being one. Only powers whose
  exponent is a formula agree to rounding: 2 and 0.5 as numbers are let off the logarithm.
* NumPy, machine code, and the C and Python of `export` agree to rounding: the bound that `rounding`
  gives, once for each of the two, where every operation may be off by 2 ulp, and every sum by half
  an ulp for each of its terms. They are nan together, and inf of one sign.
* A formula that was tidied agrees so where all its parts are finite, before and after.

Nothing is said where rounding left less than five digits of a part: what depends on it is noise.
How much is said is counted, so that it does not become too little.

NABLISP_EXAMPLES sets how many formulas are tried: NABLISP_EXAMPLES=100000 is the long run.
"""

from __future__ import annotations

import ctypes
import math
import os
import random
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from test_export_code import built, in_floats, loaded
from test_ops import bits

from nablisp import NablispError, export, gradient, rounding, unroll
from nablisp.accurate import accurate
from nablisp.backends import native
from nablisp.backends import numpy as by_numpy
from nablisp.evaluate import ROWS as COUNT
from nablisp.evaluate import apply, evaluate
from nablisp.expr import OPS, Call, Expr, Num, Op, Sym, names, options_of, postorder
from nablisp.notation import written
from nablisp.shapes import ROWS, ShapeEnv, shape_of
from nablisp.simplify import simplify

EXAMPLES = int(os.environ.get("NABLISP_EXAMPLES", "300"))
SEED = os.environ.get("NABLISP_SEED", "")
SIZES = (100, 1000)
"""Formulas compiled together, in turn: LLVM optimises the short program, and not the long one."""

# ---- formulas ------------------------------------------------------------------------------------

SPECIAL = (
    0.0, -0.0, 1.0, -1.0, 2.0, 3.0, -4.0, 0.5, -1.5, math.pi, -math.pi / 2, 1e6 * math.pi,
    math.inf, -math.inf, math.nan, 1e308, -1e308, 5e-324, -5e-324, 1e-310, 1e-16, -1e-16, 1e16,
    0.9999999999999999, 1e-8, 710.0, -745.2, 1e200, 9007199254740993.0,
)  # fmt: skip
NUMBERS = (0.0, 1.0, 2.0, 3.0, -1.0, -2.0, 0.5, -0.5, 1.5, 0.1, 1e-9, math.inf, -0.0, 1e300)
"""Floats: the whole number 0 has no sign, where that of an array has one."""
ELEMENTWISE = [op for op in OPS.values() if op.shape is None]
OF_ARRAYS = [op for op in OPS.values() if op.shape is not None]
ARITHMETIC = [OPS[name] for name in ("+", "-", "*", "/", "**", "neg", "where")]
OPTIONS: dict[str, tuple[Any, ...]] = {
    "axis": (None, None, 0, 1, -1),
    "keep": (False, True),
    "index": ((0,), (2,), (1,)),
    "start": (0, 1),
    "stop": (2, 3),
    "before": (0, 1),
    "after": (0, 2),
    "length": (3,),
}
"""Choices for the options of rows, by the option's name."""


class Maker:
    """Random formulas from the table, of leaves with shapes; parts are often shared."""

    def __init__(self, rng: random.Random, shapes: Mapping[str, Any], arrays: bool) -> None:
        self.rng, self.shapes, self.arrays = rng, shapes, arrays
        self.numbers: list[Expr] = [Sym(name) for name in shapes if name != "k"]
        self.truths: list[Expr] = []
        rng.shuffle(self.numbers)

    def number(self, plain: bool = True) -> Expr:
        if plain and self.rng.random() < 0.25:
            return Num(self.rng.choice(NUMBERS))
        return self.numbers[-1 - min(int(self.rng.expovariate(0.4)), len(self.numbers) - 1)]

    def truth(self) -> Expr:
        if not self.truths or self.rng.random() < 0.4:
            op = OPS[self.rng.choice(("<", "<=", ">", ">=", "=", "!="))]
            self.truths.append(Call(op, (self.number(False), self.number())))
        return self.rng.choice(self.truths)

    def call(self) -> Call:
        """A row on parts that may not fit together."""
        rng = self.rng
        kinds = ARITHMETIC, ELEMENTWISE, OF_ARRAYS
        op = rng.choice(rng.choices(kinds, (4, 6, 8 * self.arrays))[0])
        count = op.arity[1] if op.arity[1] is not None else rng.randint(1, 4)
        if op.shape is not None:
            chosen = {name: rng.choice(OPTIONS[name]) for name in op.options}
            if any(chosen[name] is None for name in op.trailing):
                return self.call()
            options = options_of(chosen)
            classes = (Sym("k"),) if op.name in ("pick", "one-hot") else ()
            args = (*(self.number(False) for _ in range(count - len(classes))), *classes)
            return Call(op, args, options)
        if op.takes == "boolean":
            return Call(op, tuple(self.truth() for _ in range(count)))
        at = rng.randrange(count)
        if op.takes == "choice":
            return Call(op, (self.truth(), self.number(at > 0), self.number(at == 0)))
        return Call(op, tuple(self.number(k != at) for k in range(count)))

    def formula(self) -> Expr:
        made: list[Call] = []
        for _ in range(self.rng.randint(1, 8)):
            node = self.call()
            try:
                shape_of(node, self.shapes)
                if node.op.name == "pick" and shape_of(node.args[0], self.shapes)[-1:] != (3,):
                    continue
            except NablispError:
                continue
            kind = node.op.result
            (self.truths if kind == "boolean" else self.numbers).append(node)
            made += [node] if kind != "boolean" else []
        return made[-1] if made else self.formula()


def number(rng: random.Random) -> float:
    return rng.choice(SPECIAL) if rng.random() < 0.6 else rng.gauss(0, 2)


def array(rng: random.Random, shape: Sequence[int]) -> Any:
    return np.array([number(rng) for _ in range(math.prod(shape))]).reshape(shape)


# ---- which ways there are ------------------------------------------------------------------------


@cache
def has(op: Op, native: bool) -> bool:
    """Can C, or machine code, compute this row?"""
    if op.shape is not None:
        return op.name in unroll._RULES
    if op.native if native else op.c:
        return True
    return op.meaning is not None and all(
        has(n.op, native) for n in postorder(op.meaning) if isinstance(n, Call)
    )


def all_have(e: Expr, native: bool) -> bool:
    return all(has(n.op, native) for n in postorder(e) if isinstance(n, Call))


@cache
def rounds_powers(op: Op) -> bool:
    """Does the row raise something to a power that is a formula?"""
    if op.meaning is None:
        return op.name == "**"
    return any(rounds_powers(n.op) for n in postorder(op.meaning) if isinstance(n, Call))


# ---- how far apart is too far --------------------------------------------------------------------


def _trusted(out: Any, values: Any, error: Any) -> Any:
    """The bound of rounding, but inf where it is above 1e-5 of its number."""
    noise = (np.abs(out) * 1e-5 < error) & np.isfinite(out)
    return np.where(np.isnan(error) | noise, np.inf, error)


def _passed_on(op: Op, values: Any, out: Any, k: int, off: Any) -> Any:
    """What an error makes of a result: all, where a result that is not finite would be another."""
    found = _PASSED_ON(op, values, out, k, off)
    unsure = np.isinf(off) & ~np.isfinite(out)
    for end in (values[k] + off, values[k] - off):
        there = apply(op, [*values[:k], end, *values[k + 1 :]])
        same = (there == out) | (np.isnan(there) & np.isnan(out))
        unsure = unsure | (~np.isfinite(out) & (off > 0) & ~same)
    if op.name == "**" and k == 1:  # a power of a negative number jumps at whole exponents
        unsure = unsure | ((values[0] < 0) & (off > 0))
    return np.where(unsure, np.inf, found)


_PASSED_ON = rounding._passed_on
_UNITS = {**rounding._UNITS, **dict.fromkeys("+-*/", (1, 0.0))}


def offs(roots: Sequence[Expr], env: Mapping[str, Any]) -> list[Any]:
    """How far two ways may be apart; inf where rounding left too little to say.

    The bound of rounding, twice: with what each operation might lose, not what it did on NumPy.
    """
    with (
        patch.multiple(rounding, _never_trusted=_trusted, _passed_on=_passed_on),
        patch.multiple(rounding, _UNITS=_UNITS, _EXACTLY={}),
        np.errstate(over="ignore"),
    ):
        return [2 * off for _, off in rounding.bounds(roots, env)]


def apart(one: Any, other: Any, off: Any) -> Any:
    """Where two arrays are not the same to rounding."""
    with np.errstate(all="ignore"):
        same = (one == other) | (np.isnan(one) & np.isnan(other))
        near = np.abs(one - other) <= off
        largest = np.fmin(np.abs(one), np.abs(other)) + off >= np.finfo(float).max
        edge = (np.isinf(one) != np.isinf(other)) & (np.sign(one) == np.sign(other)) & largest
        return ~(same | near | edge | (off == np.inf))


# ---- a batch, every way --------------------------------------------------------------------------


@dataclass
class Batch:
    """Formulas of names with values, and what was found of them."""

    formulas: list[Expr]
    shapes: ShapeEnv
    env: dict[str, Any]
    counts: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.order = list(self.shapes)
        self.args = [self.env[name] for name in self.order]
        self.values = self.computed(by_numpy, self.formulas)
        with np.errstate(all="ignore"):
            self.offs = [
                np.broadcast_to(off, np.shape(value))
                for off, value in zip(offs(self.formulas, self.env), self.values, strict=True)
            ]

    def computed(self, backend: Any, formulas: Sequence[Expr]) -> list[Any]:
        """Values from a backend, each in the shape of its formula."""
        order = [*self.order, COUNT] if backend is by_numpy else self.order
        args = [*self.args, self.env[COUNT]][: len(order)]
        found = backend.compile(accurate(*formulas), order, self.shapes, 10**6, 1)(*args)
        rows = int(self.env[COUNT])
        return [
            np.broadcast_to(v, [rows if n == ROWS else int(n) for n in shape_of(e, self.shapes)])
            for e, v in zip(formulas, found, strict=True)
        ]

    def compared(self, way: str, found: Mapping[int, Any], off: Any = None) -> Iterator[str]:
        """What differs from NumPy's values, one of each formula, in words."""
        for k, other in found.items():
            self.counts[way] += 1
            allowed = self.offs[k] if off is None else off[k]
            value = self.values[k]
            if np.shape(other) != np.shape(value):
                yield f"{way}: {self.formulas[k]} is {np.shape(other)}, not {np.shape(value)}"
                continue
            wrong = np.argwhere(apart(value, other, allowed))
            if len(wrong):
                yield self.words(way, k, tuple(wrong[0]), np.asarray(other))

    def words(self, way: str, k: int, at: tuple[int, ...], other: Any) -> str:
        e, env = self.formulas[k], self.env
        place = {n: env[n] if np.ndim(env[n]) != 1 or not at else env[n][at[0]] for n in names(e)}
        return (
            f"{way}: {e}\n    at {place}\n    is {other[at]!r}, "
            f"on NumPy {self.values[k][at]!r}, may be off by {self.offs[k][at]:.2g}"
        )

    def scalars(self, points: Sequence[int]) -> Iterator[str]:
        """Row by row, on Python's numbers."""
        roots = accurate(*self.formulas)
        soft = [any(rounds_powers(n.op) for n in postorder(e) if type(n) is Call) for e in roots]
        for i in points:
            env = {n: v[i].item() if np.ndim(v) else v for n, v in self.env.items()}
            for k, alone in enumerate(evaluate(roots, env)):
                value = self.values[k][i] if np.ndim(self.values[k]) else self.values[k]
                off = self.offs[k][i] if np.ndim(self.values[k]) else self.offs[k]
                self.counts["numbers"] += 1
                if bits(alone) != bits(value) and (not soft[k] or apart(value, alone, off)):
                    yield self.words("numbers", k, (i,), {(i,): alone})

    def tidied(self) -> Iterator[str]:
        """By `simplify`; where all parts are finite."""
        tidy = {k: simplify(e, self.shapes) for k, e in enumerate(self.formulas)}
        tidy = {k: e for k, e in tidy.items() if e is not self.formulas[k]}
        found = self.computed(by_numpy, list(tidy.values()))
        off = offs(list(tidy.values()), self.env)
        allowed = {}
        for k, own in zip(tidy, off, strict=True):
            whole = finite([self.formulas[k], tidy[k]], self.env, np.shape(self.values[k]))
            with np.errstate(all="ignore"):
                allowed[k] = np.where(whole, self.offs[k] + own, np.inf)
        for words in self.compared("tidied", dict(zip(tidy, found, strict=True)), allowed):
            k = next(k for k in tidy if f" {self.formulas[k]}\n" in words)
            yield f"{words}\n    tidied {tidy[k]}"

    def natively(self) -> Iterator[str]:
        can = [k for k, e in enumerate(self.formulas) if all_have(e, True)]
        found = self.computed(native, [self.formulas[k] for k in can])
        yield from self.compared("native", dict(zip(can, found, strict=True)))

    def as_python(self) -> Iterator[str]:
        found = {}
        for k, e in list(enumerate(self.formulas))[::3]:
            function = loaded(written(e, "python", [], self.shapes))
            given = [self.env[n] for n in names(e)]
            more = () if any(ROWS in self.shapes[n] for n in names(e)) else (self.env[COUNT],)
            needs = function.__code__.co_argcount - len(given)
            try:
                value = function(*given, *more[:needs])
            except np.linalg.LinAlgError:  # a singular matrix
                value = np.nan
            found[k] = np.broadcast_to(value, np.shape(self.values[k]))
        yield from self.compared("python", found)

    def in_c(self, folder: Path, most: int) -> Iterator[str]:
        """A few of them at each point; only what has one number for each row, or one at all."""
        some = [k for k, e in enumerate(self.formulas) if all_have(e, False)][:most]
        texts = [export(self.formulas[k], "c", name=f"any_{k}") for k in some]
        folder.mkdir()
        library, found = built(folder, texts), {}
        for k in some:
            function = getattr(library, f"any_{k}")
            function.restype = ctypes.c_double
            function.argtypes = [ctypes.c_double] * len(names(self.formulas[k]))
            given = [np.broadcast_to(self.env[n], POINTS) for n in names(self.formulas[k])]
            value = np.array([function(*point) for point in zip(*given, strict=True)])
            found[k] = value if np.ndim(self.values[k]) else value[0]
        yield from self.compared("c", found)


def finite(roots: Sequence[Expr], env: Mapping[str, Any], shape: tuple[int, ...]) -> Any:
    """Where all parts of formulas are finite; of arrays, all at once."""
    order = postorder(*accurate(*roots))
    out: Any = True
    for value in evaluate(order, env):
        good = np.isfinite(np.asarray(value, float))
        out = out & (good if np.shape(good) == shape else np.all(good))
    return out


# ---- the tests -----------------------------------------------------------------------------------

PLAIN: dict[str, Any] = {"x": (ROWS,), "y": (ROWS,), "z": (ROWS,), "p": (), "q": ()}
POINTS = 24


def batches(count: int) -> Iterator[tuple[random.Random, int]]:
    """Sizes that add up to the count, each with its own random numbers."""
    at = 0
    while count > 0:
        size = min(SIZES[at % 2], count)
        yield random.Random(f"{SEED}{at}"), size
        count -= size
        at += 1


def elementwise(rng: random.Random, size: int) -> Batch:
    """Formulas of three columns and two numbers, a third of them derivatives of others."""
    made: list[Expr] = []
    while len(made) < size:
        e = Maker(rng, PLAIN, False).formula()
        made.append(e)
        if rng.random() < 0.5 and (free := list(names(e).values())):
            (slope,) = gradient(e, [rng.choice(free)])
            if isinstance(slope, Call):
                made.append(in_floats(slope))
    env: dict[str, Any] = {n: array(rng, [POINTS] if s else []) for n, s in PLAIN.items()}
    env = {n: v if v.ndim else v.item() for n, v in env.items()} | {COUNT: float(POINTS)}
    return Batch(made[:size], PLAIN, env)


def agreed(wrong: Sequence[str], counts: Counter[str]) -> None:
    """Print what was compared, and fail where something differed."""
    print(dict(counts))
    assert not wrong, f"{len(wrong)} differ:\n" + "\n".join(wrong[:40])
    assert counts["said"] > 0.6 * counts["points"]


def counted(batch: Batch) -> Counter[str]:
    """What was compared, and at how many points."""
    points = sum(off.size for off in batch.offs)
    said = sum(int(np.sum(off < np.inf)) for off in batch.offs)
    return batch.counts + Counter({"formulas": len(batch.formulas), "points": points, "said": said})


def test_numbers_agree(tmp_path: Path) -> None:
    counts: Counter[str] = Counter()
    wrong: list[str] = []
    for at, (rng, size) in enumerate(batches(EXAMPLES)):
        batch = elementwise(rng, size)
        wrong += batch.scalars(rng.sample(range(POINTS), 4))
        for way in (batch.tidied, batch.natively, batch.as_python):
            wrong += way()
        if shutil.which("gcc"):
            wrong += batch.in_c(tmp_path / str(at), 10)
        counts += counted(batch)
    agreed(wrong, counts)


ARRAYS: dict[str, Any] = {
    "x": (ROWS,), "y": (ROWS,), "X": (ROWS, 3), "u": (), "v": (3,), "w": (3,), "A": (3, 3),
    "k": (ROWS,),
}  # fmt: skip


def of_arrays(rng: random.Random, size: int) -> Batch:
    """Formulas of numbers, vectors, matrices and columns; a third are gradients of others."""
    made: list[Expr] = []
    while len(made) < size:
        e = Maker(rng, ARRAYS, True).formula()
        made.append(e)
        free = [n for n in names(e).values() if ROWS not in ARRAYS[n.name]]
        if rng.random() < 0.5 and free:
            total = e if not shape_of(e, ARRAYS) else Call(OPS["sum"], (e,))
            (slope,) = gradient(total, [rng.choice(free)], ARRAYS)
            if isinstance(slope, Call):
                made.append(in_floats(slope))
    rows = rng.choice((1, 2, 5, 9, 24))
    shapes = {n: [rows if d == ROWS else d for d in s] for n, s in ARRAYS.items()}
    env: dict[str, Any] = {n: array(rng, s) for n, s in shapes.items()}
    env = {n: v if v.ndim else v.item() for n, v in env.items()} | {COUNT: float(rows)}
    env["k"] = np.array([float(rng.randrange(3)) for _ in range(rows)])
    return Batch(made[:size], ARRAYS, env)


def test_arrays_agree() -> None:
    counts: Counter[str] = Counter()
    wrong: list[str] = []
    for rng, size in batches(EXAMPLES):
        batch = of_arrays(rng, size)
        for way in (batch.tidied, batch.natively, batch.as_python):
            wrong += way()
        counts += counted(batch)
    agreed(wrong, counts)
