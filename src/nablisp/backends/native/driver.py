"""The driver: machine code that takes a compiled program through its steps, alone or with helpers.

`run` is called by the thread that leads, `help` by the others; `brief` in place of `run`, where
rows are few and always the same. A pass over the rows is a number of segments; the ticket says how
many are left of which pass (its number · 2^32 + segments left). Whoever takes one lowers the ticket
by compare-and-swap and works into the segment's own place, so who worked on what leaves no trace in
the result. The leader waits for segments that are done, never for threads: one that the system does
not run costs its help and no more. Waiting spins briefly, then yields.

All state is in one context of 64-bit words, so `run` can leave at the flag, between segments too,
and go on when it is called again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from .emit import LANES
from .engine import Machine

BLOCK = 4096
"""Rows between two sums of accumulators."""
SEGMENT = 4 * BLOCK
"""Rows that one thread takes at a time, and between looks at the flag."""
DONE, LEFT, STOPPED = 0, 1, 2
"""What `run` returns: after the last step, at the flag, and when a step gives a reason to stop."""
SPINS = 4096
"""Turns of waiting before a thread gives the processor away."""
PATIENCE = 1 << 20
"""Turns after which a helper goes home by itself, should nobody send it: a second or so."""

_SHARED = ("ticket", "finished", "flag")  # written by several threads: a cache line each
_OWN = (
    "leave",  # helpers may go
    "wanted", "taken",  # steps
    "pass", "begun",  # the pass under way, and whether it has begun
    "windows", "windows_ptr",  # pairs of first row and end, taken in turn
    "passes",
    "cells_ptr", "columns_ptr",
    "record_ptr", "record_size",  # where the next record goes, and how many numbers it is
    "places_ptr",  # accumulators of segments
    "stages_ptr", "blocks_ptr", "last_ptr",
    "reductions_ptr",  # of every pass: see REDUCTIONS
    "start", "rows", "segments", "alone",  # of this pass; segments taken when there is no helper
    "reason",  # to stop
    "yield_ptr",
)  # fmt: skip
FIELDS = {name: 8 * i for i, name in enumerate(_SHARED)} | {
    name: 24 + i for i, name in enumerate(_OWN)
}
"""The word of every field of the context."""
SIZE = 24 + len(_OWN)
REDUCTIONS = ("count", "sums", "least", "cell")
"""What the driver knows of a pass's reductions, which lie in the order sums, smallest, largest: how
many there are, where the smallest and the largest begin, and the cell of the first."""
_WIDE = f"<{LANES} x double>"


Join = Callable[[str, str, int], str]
"""One value made of two, at a number of lanes."""


class _Writer:
    """Lines of a function on the context `%c`; variables live on its stack."""

    def __init__(self) -> None:
        self.variables: list[str] = []
        self.lines: list[str] = []
        self.here = "0"  # the label of the basic block that is being written
        self.count = 0

    def new(self, text: str) -> str:
        self.count += 1
        self.lines.append(f"%v{self.count} = {text}")
        return f"%v{self.count}"

    def do(self, text: str) -> None:
        self.lines.append(text)
        if text.endswith(":"):
            self.here = text[text.rindex("\n") + 1 : -1]

    def field(self, name: str) -> str:
        return self.new(f"getelementptr i64, ptr %c, i64 {FIELDS[name]}")

    def get(self, name: str) -> str:
        """The value of a field."""
        t = "ptr" if name.endswith("_ptr") else "i64"
        return self.new(f"load {t}, ptr {self.field(name)}")

    def set(self, name: str, value: Any) -> None:
        t = "ptr" if name.endswith("_ptr") else "i64"
        self.do(f"store {t} {value}, ptr {self.field(name)}")

    def variable(self, value: Any) -> str:
        at = f"%variable{len(self.variables)}"
        self.variables.append(f"{at} = alloca i64")
        self.write(at, value)
        return at

    def read(self, variable: str) -> str:
        return self.new(f"load i64, ptr {variable}")

    def write(self, variable: str, value: Any) -> None:
        self.do(f"store i64 {value}, ptr {variable}")

    def op(self, name: str, a: Any, b: Any) -> str:
        return self.new(f"{name} i64 {a}, {b}")

    def least(self, a: Any, b: Any) -> str:
        return self.new(f"select i1 {self.op('icmp ult', a, b)}, i64 {a}, i64 {b}")

    def at(self, base: str, index: Any, of: str = "i64") -> str:
        return self.new(f"getelementptr {of}, ptr {base}, i64 {index}")

    def function(self, table: str, index: str) -> str:
        """A function of a pass."""
        return self.new(f"load ptr, ptr {self.at(self.get(table), index, 'ptr')}")

    def pass_of(self, p: str) -> dict[str, str]:
        """What is known of the reductions of a pass."""
        base = self.at(self.get("reductions_ptr"), self.op("mul", p, len(REDUCTIONS)))
        return {
            name: self.new(f"load i64, ptr {self.at(base, i)}") for i, name in enumerate(REDUCTIONS)
        }

    def vector(self, base: str, index: str) -> str:
        return self.new(f"load {_WIDE}, ptr {self.at(base, index, _WIDE)}, align 8")

    def store(self, value: str, base: str, index: str) -> None:
        self.do(f"store {_WIDE} {value}, ptr {self.at(base, index, _WIDE)}, align 8")

    def raised(self) -> str:
        """Is the flag up? Another thread may raise it at any time."""
        value = self.new(f"load volatile i64, ptr {self.field('flag')}")
        return self.op("icmp ne", value, 0)

    def choose(self, test: str, x: str, y: str, a: str, b: str, lanes: int) -> str:
        """a where the test of x and y holds, else b."""
        t, bits = ("double", "i1") if lanes == 1 else (f"<{lanes} x double>", f"<{lanes} x i1>")
        holds = self.new(f"fcmp {test} {t} {x}, {y}")
        return self.new(f"select {bits} {holds}, {t} {a}, {t} {b}")

    def kinds(self, facts: dict[str, str]) -> Iterator[tuple[str, Join]]:
        """The accumulators, sums first, with what makes one of two; a nan is a nan."""

        def total(a: str, b: str, lanes: int) -> str:
            return self.new(f"fadd {'double' if lanes == 1 else f'<{lanes} x double>'} {a}, {b}")

        with self.count_up(facts["sums"]) as k:
            yield k, total
        with self.count_up(facts["count"], facts["sums"]) as k:
            is_least = self.op("icmp ult", k, facts["least"])

            def extreme(a: str, b: str, lanes: int) -> str:
                small = self.choose("olt", a, b, a, b, lanes)
                large = self.choose("ogt", a, b, a, b, lanes)
                t = "double" if lanes == 1 else f"<{lanes} x double>"
                found = self.new(f"select i1 {is_least}, {t} {small}, {t} {large}")
                return self.choose("uno", a, a, a, found, lanes)

            yield k, extreme

    def label(self, label: str) -> None:
        self.do(f"br label %{label}\n{label}:")

    @contextmanager
    def when(self, condition: str) -> Iterator[None]:
        """What is done where a condition holds."""
        self.count += 1
        yes, then = f"yes{self.count}", f"then{self.count}"
        self.do(f"br i1 {condition}, label %{yes}, label %{then}\n{yes}:")
        yield
        self.label(then)

    @contextmanager
    def count_up(self, end: str, start: Any = 0, step: Any = 1) -> Iterator[str]:
        """A loop over numbers from `start` to before `end`."""
        self.count += 1
        head, body, out = (f"{word}{self.count}" for word in ("head", "body", "out"))
        before, i, place = self.here, f"%i{self.count}", len(self.lines) + 1
        self.label(head)
        self.lines.append("")
        self.do(f"br i1 {self.op('icmp ult', i, end)}, label %{body}, label %{out}\n{body}:")
        yield i
        following = self.op("add", i, step)
        self.lines[place] = f"{i} = phi i64 [ {start}, %{before} ], [ {following}, %{self.here} ]"
        self.do(f"br label %{head}\n{out}:")

    def leave(self, value: Any) -> None:
        """Return, from inside a block."""
        self.count += 1
        self.do(f"ret i64 {value}\nafter{self.count}:")

    def text(self, head: str) -> str:
        return "\n  ".join([f"define {head} #0 {{", *self.variables, *self.lines]) + "\n}"


def _combine() -> str:
    """The accumulators of two blocks or segments as one."""
    w = _Writer()
    facts = w.pass_of(w.get("pass"))
    for k, join in w.kinds(facts):
        w.store(join(w.vector("%into", k), w.vector("%other", k), LANES), "%into", k)
    w.do("ret void")
    return w.text("internal void @combine(ptr %c, ptr %into, ptr %other)")


def _finish(w: _Writer, p: str, places: str, cells: str) -> None:
    """Reductions from accumulators, the lanes in a fixed order."""
    facts = w.pass_of(p)
    for k, join in w.kinds(facts):
        out, width = w.vector(places, k), LANES
        while width > 1:
            width //= 2
            out = join(_half(w, out, width, 0), _half(w, out, width, width), width)
        w.do(f"store double {out}, ptr {w.at(cells, w.op('add', facts['cell'], k))}")


def _half(w: _Writer, value: str, width: int, start: int) -> str:
    """Half of the lanes, from one on."""
    whole = f"<{2 * width} x double>"
    if width == 1:
        return w.new(f"extractelement {whole} {value}, i64 {start}")
    lanes = ", ".join(f"i32 {start + i}" for i in range(width))
    return w.new(f"shufflevector {whole} {value}, {whole} poison, <{width} x i32> <{lanes}>")


def _size(w: _Writer, p: str) -> str:
    """Bytes of the accumulators of a pass."""
    return w.op("mul", w.pass_of(p)["count"], 8 * LANES)


def _segment() -> str:
    """One segment, block by block, into its place."""
    w = _Writer()
    p = w.get("pass")
    columns, cells = w.get("columns_ptr"), w.get("cells_ptr")
    block, size = w.function("blocks_ptr", p), _size(w, p)
    place = w.at(w.get("places_ptr"), w.op("mul", "%s", size), "i8")
    other = w.new(f"alloca i8, i64 {size}, align 64")
    before = w.op("mul", "%s", SEGMENT)
    rows = w.least(w.op("sub", w.get("rows"), before), SEGMENT)
    first = w.op("add", w.get("start"), before)

    def call(row: str, count: str, into: str) -> None:
        w.do(f"call void {block}(ptr {columns}, i64 {row}, i64 {count}, ptr {cells}, ptr {into})")

    call(first, w.least(rows, BLOCK), place)
    with w.count_up(rows, BLOCK, BLOCK) as i:
        call(w.op("add", first, i), w.least(w.op("sub", rows, i), BLOCK), other)
        w.do(f"call void @combine(ptr %c, ptr {place}, ptr {other})")
    w.do("ret void")
    return w.text("internal void @segment(ptr %c, i64 %s)")


def _take() -> str:
    """Work on segments until none is left of the pass, or the flag is up."""
    w = _Writer()
    w.label("again")
    with w.when(w.raised()):
        w.do("ret void\nstay:")
    ticket = w.new(f"load atomic i64, ptr {w.field('ticket')} acquire, align 8")
    left = w.op("and", ticket, 2**32 - 1)
    with w.when(w.op("icmp eq", left, 0)):
        w.do("ret void\nmore:")
    lower = w.op("sub", ticket, 1)
    swap = w.new(
        f"cmpxchg ptr {w.field('ticket')}, i64 {ticket}, i64 {lower} acq_rel monotonic, align 8"
    )
    with w.when(w.new(f"extractvalue {{ i64, i1 }} {swap}, 1")):
        w.do(f"call void @segment(ptr %c, i64 {w.op('sub', left, 1)})")
        w.new(f"atomicrmw add ptr {w.field('finished')}, i64 1 release, align 8")
    w.do("br label %again")
    return w.text("internal void @take(ptr %c)")


def _wait(w: _Writer, spins: str) -> None:
    """One turn of waiting: spin at first, then give the processor away."""
    turns = w.op("add", w.read(spins), 1)
    w.write(spins, turns)
    with w.when(w.op("icmp ugt", turns, SPINS)):
        w.new(f"call i32 {w.get('yield_ptr')}()")


def _help() -> str:
    """A helper: takes segments of every pass until the leader is through."""
    w = _Writer()
    spins = w.variable(0)
    w.label("again")
    leave = w.new(f"load volatile i64, ptr {w.field('leave')}")
    with w.when(w.op("icmp ne", leave, 0)):
        w.do("ret void\nstay:")
    ticket = w.new(f"load atomic i64, ptr {w.field('ticket')} acquire, align 8")
    idle = w.new(f"or i1 {w.op('icmp eq', w.op('and', ticket, 2**32 - 1), 0)}, {w.raised()}")
    w.do(f"br i1 {idle}, label %idle, label %work\nwork:")
    w.do("call void @take(ptr %c)")
    w.write(spins, 0)
    w.do("br label %again\nidle:")
    _wait(w, spins)
    with w.when(w.op("icmp ugt", w.read(spins), PATIENCE)):
        w.do("ret void\nwait:")
    w.do("br label %again")
    return w.text("void @help(ptr %c)")


def _pass(helped: bool) -> str:
    """The pass under way: 1 when its reductions are in the cells, 0 at the flag."""
    w = _Writer()
    p = w.get("pass")
    cells, places = w.get("cells_ptr"), w.get("places_ptr")
    size = _size(w, p)
    with w.when(w.op("icmp eq", w.get("begun"), 0)):
        w.do(f"call void {w.function('stages_ptr', p)}(ptr {cells})")
        rows = w.get("rows")
        segments = w.op("udiv", w.op("add", rows, SEGMENT - 1), SEGMENT)
        w.set("segments", segments)
        w.set("alone", 0)
        w.set("begun", 1)
        w.do(f"store atomic i64 0, ptr {w.field('finished')} monotonic, align 8")
        if helped:
            old = w.new(f"load atomic i64, ptr {w.field('ticket')} monotonic, align 8")
            number = w.op("shl", w.op("add", w.op("lshr", old, 32), 1), 32)
            ticket = w.op("or", number, segments)
            w.do(f"store atomic i64 {ticket}, ptr {w.field('ticket')} release, align 8")
    segments = w.get("segments")
    if helped:
        spins = w.variable(0)
        w.do("call void @take(ptr %c)")
        w.label("waiting")
        done = w.new(f"load atomic i64, ptr {w.field('finished')} acquire, align 8")
        with w.when(w.op("icmp ult", done, segments)):
            with w.when(w.raised()):
                w.leave(0)
            _wait(w, spins)
            w.do("br label %waiting\nover:")
    else:
        with w.count_up(segments, w.get("alone")) as i:
            with w.when(w.raised()):
                w.set("alone", i)
                w.leave(0)
            w.do(f"call void @segment(ptr %c, i64 {i})")
    stride = w.variable(1)  # segments are joined in pairs, then pairs of pairs
    w.label("pairs")
    now = w.read(stride)
    with w.when(w.op("icmp ult", now, segments)):
        twice = w.op("add", now, now)
        with w.count_up(w.op("sub", segments, now), 0, twice) as i:
            into = w.at(places, w.op("mul", i, size), "i8")
            other = w.at(places, w.op("mul", w.op("add", i, now), size), "i8")
            w.do(f"call void @combine(ptr %c, ptr {into}, ptr {other})")
        w.write(stride, twice)
        w.do("br label %pairs\nend:")
    with w.when(w.op("icmp eq", segments, 0)), w.count_up(w.pass_of(p)["count"]) as k:
        w.store("zeroinitializer", places, k)  # a sum of nothing; an extreme of it nobody asks for
    _finish(w, p, places, cells)
    w.do("ret i64 1")
    return w.text("internal i64 @whole_pass(ptr %c)")


def _run() -> str:
    """Steps, each of all passes; the last stage records, judges, and moves the state."""
    w = _Writer()
    cells = w.get("cells_ptr")

    def back(code: int) -> None:
        """Return, and send the helpers home: no signal comes between."""
        w.set("leave", 1)
        w.leave(code)

    w.label("step")
    taken = w.get("taken")
    with w.when(w.op("icmp uge", taken, w.get("wanted"))):
        back(DONE)
    with w.when(w.raised()):
        back(LEFT)
    window = w.op("urem", taken, w.get("windows"))
    pair = w.at(w.get("windows_ptr"), w.op("shl", window, 1))
    start = w.new(f"load i64, ptr {pair}")
    rows = w.op("sub", w.new(f"load i64, ptr {w.at(pair, 1)}"), start)
    w.set("start", start)
    w.set("rows", rows)
    w.do(f"store double {w.new(f'uitofp i64 {rows} to double')}, ptr {cells}")
    w.label("pass")
    p = w.get("pass")
    with w.when(w.op("icmp ult", p, w.get("passes"))):
        through = w.new("call i64 @whole_pass(ptr %c)")
        with w.when(w.op("icmp eq", through, 0)):
            back(LEFT)
        w.set("begun", 0)
        w.set("pass", w.op("add", p, 1))
        w.do("br label %pass\nover:")
    w.set("pass", 0)
    record = w.get("record_ptr")
    reason = w.new(f"call i64 {w.get('last_ptr')}(ptr {cells}, ptr {record})")
    w.set("record_ptr", w.at(record, w.get("record_size")))
    with w.when(w.op("icmp ne", reason, 0)):
        w.set("reason", reason)
        back(STOPPED)
    w.set("taken", w.op("add", taken, 1))
    w.do("br label %step")
    return w.text("i64 @run(ptr %c)")


def _brief() -> str:
    """The same alone, where every step has the same rows, and no more than one block of them."""
    w = _Writer()
    names = ("cells", "columns", "places", "last", "stages", "blocks", "windows", "record")
    cells, columns, places, last, stages, blocks, windows, record = (
        w.get(f"{name}_ptr") for name in names
    )
    passes, size, wanted = w.get("passes"), w.get("record_size"), w.get("wanted")
    start = w.new(f"load i64, ptr {windows}")
    rows = w.op("sub", w.new(f"load i64, ptr {w.at(windows, 1)}"), start)
    w.do(f"store double {w.new(f'uitofp i64 {rows} to double')}, ptr {cells}")
    with w.count_up(wanted, w.get("taken")) as taken:
        w.set("taken", taken)
        with w.when(w.raised()):
            w.leave(LEFT)
        with w.count_up(passes) as p:
            stage = w.new(f"load ptr, ptr {w.at(stages, p, 'ptr')}")
            block = w.new(f"load ptr, ptr {w.at(blocks, p, 'ptr')}")
            w.do(f"call void {stage}(ptr {cells})")
            to = f"i64 {start}, i64 {rows}, ptr {cells}, ptr {places}"
            w.do(f"call void {block}(ptr {columns}, {to})")
            _finish(w, p, places, cells)
        here = w.at(record, w.op("mul", taken, size))
        reason = w.new(f"call i64 {last}(ptr {cells}, ptr {here})")
        with w.when(w.op("icmp ne", reason, 0)):
            w.set("reason", reason)
            w.leave(STOPPED)
    w.set("taken", wanted)
    w.do(f"ret i64 {DONE}")
    return w.text("i64 @brief(ptr %c)")


@cache
def driver(helped: bool) -> Machine:
    """The compiled driver, with or without helpers: once in a process."""
    functions = [_combine(), _segment(), _pass(helped), _run()]
    functions += [_take(), _help()] if helped else [_brief()]
    return Machine("\n".join(functions))
