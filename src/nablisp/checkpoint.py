"""Where a run is, kept in a file: turns the state between two calls into a checkpoint, and back.

A checkpoint is written whole or not at all, and the one before it stays beside as `.old`. A file
is gone on from only where its checksum holds and the run is the one that wrote it, fact by fact.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from hashlib import sha256
from math import inf
from typing import Any

import numpy as np

from .errors import NablispError
from .expr import OPS, Call, Const, Expr, Num, Sym, postorder
from .files import read_bytes, replace_file, resolve, sweep
from .limits import Budget
from .options import Options
from .printer import brief
from .tensors import Array, is_ours, packed, unpacked

FORMAT = "nablisp checkpoint 1"
PAUSE = 30.0
"""Seconds between two checkpoints when nothing says."""
SHARE = 0.1
"""The largest share of the time that writing by the clock may take."""
OLDER = ".old"
OTHERWISE = "take another name, or delete it"
MOST = 200
"""Characters of a fact that are shown."""
BLOCK = 1 << 16
"""Rows of a column that are digested at a time."""

FREE = {
    "steps",
    "epochs",
    "seconds",
    "threads",
    "backend",
    "watch",
    "checkpoint",
    "every",
    "every_seconds",
    "resume",
    "root",
    "script",
}
"""Options that may change between a checkpoint and what goes on from it. Where the number of steps
or the backend matters after all, the formulas of a step say so, or what ran them."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a run is between two calls; what a look at this very step finds is not yet in it."""

    state: Mapping[str, Any]
    done: int
    best: Mapping[str, Any]
    best_loss: float = inf
    waited: int = 0
    epoch_loss: float = 0.0
    """the sum of the losses of this epoch's steps, in batches"""


@dataclass(slots=True)
class Kept:
    """What a checkpoint holds: all that a run needs to go on as if nothing had been."""

    place: Place
    start: dict[str, Any]
    history: dict[str, Array]
    snapshots: list[tuple[int, dict[str, Any]]]
    seconds: float = 0.0
    """of the run so far, and of them those spent in steps"""
    spent: float = 0.0
    tried: int = 0
    """how often `:lr auto` started anew"""
    rates: Mapping[str, float] = field(default_factory=dict)
    """what `:lr auto` found"""
    every: int = 1
    """steps from one entry of the history to the next"""
    facts: dict[str, str] = field(default_factory=dict)
    script: str = ""

    def bytes(self) -> list[Any]:
        """The file, in pieces."""
        texts = {"format": FORMAT, "script": self.script, "facts": json.dumps(self.facts)}
        return packed(texts, self.arrays())

    def arrays(self) -> dict[str, Any]:
        """All numbers, by the names that they have in the file."""
        place = self.place
        run = {
            "done": place.done,
            "waited": place.waited,
            "best loss": place.best_loss,
            "epoch loss": place.epoch_loss,
            "seconds": self.seconds,
            "spent": self.spent,
            "tried": self.tried,
            "every": self.every,
        }
        groups: dict[str, Mapping[str, Any]] = {
            "run": run,
            "state": place.state,
            "best": place.best,
            "start": self.start,
            "history": self.history,
            "rates": self.rates,
        }
        if self.snapshots:
            groups["snapshots"] = {
                " steps": [float(step) for step, _ in self.snapshots],
                **{n: np.stack([seen[n] for _, seen in self.snapshots]) for n in self.start},
            }
        return {f"{group}/{n}": v for group, held in groups.items() for n, v in held.items()}


def kept(data: bytes) -> Kept:
    """What the bytes of a checkpoint hold; NablispError "data" where they are none, or damaged."""
    texts, arrays = unpacked(data)
    if texts.get("format") != FORMAT:
        raise NablispError("data", f"it is in another format, {brief(texts.get('format', ''))}")
    groups: dict[str, dict[str, Any]] = {}
    for name, array in arrays.items():
        group, _, inner = name.partition("/")
        value = array.astype(np.float64) if array.ndim else float(array)
        groups.setdefault(group, {})[inner] = value
    try:
        run, facts = groups["run"], json.loads(texts["facts"])
        done, waited, tried, every = (int(run[n]) for n in ("done", "waited", "tried", "every"))
        judged = run["best loss"], waited, run["epoch loss"]
        place = Place(groups["state"], done, groups["best"], *judged)
        seen = groups.get("snapshots", {" steps": ()})
        snapshots = [
            (int(step), {n: np.asarray(seen[n][i]) for n in groups["start"]})
            for i, step in enumerate(seen[" steps"])
        ]
        if min(done, waited, tried, every - 1, *(step for step, _ in snapshots)) < 0:
            raise ValueError
        return Kept(
            place,
            groups["start"],
            groups["history"],
            snapshots,
            run["seconds"],
            run["spent"],
            tried,
            groups.get("rates", {}),
            every,
            {name: str(fact)[:MOST] for name, fact in facts.items()},
            texts["script"],
        )
    except (LookupError, ValueError, TypeError, AttributeError, OverflowError, RecursionError):
        raise NablispError("data", "something that belongs to a run is not in it") from None


# ---- fingerprints --------------------------------------------------------------------------------


def facts_of(
    loss: Expr,
    options: Options,
    start: Mapping[str, Any],
    columns: Sequence[Mapping[str, Any]],
    backend: str,
    formulas: Iterable[Expr],
) -> dict[str, str]:
    """What makes a run what it is, program and data, each under the name that a refusal uses."""
    facts = {"the loss": brief(loss)}
    for option in fields(options):
        if option.name not in FREE:
            word = _WORDS.get(option.name, f":{option.name.replace('_', '-')}")
            facts[word] = _said(getattr(options, option.name))[:MOST]
    facts.update((f"{START} {n}", _said(value)) for n, value in start.items())
    for name in dict.fromkeys(n for part in columns for n in part):
        facts[f"the column {name}"] = _digest([part[name] for part in columns if name in part])
    facts["the backend"] = backend
    facts[STEP] = identity(formulas)
    return facts


START = "the start of"
STEP = "what is computed in a step"
_WORDS = {"auto": ":lr auto", "rates": ":lr by name", "bounds": "the bounds"}


def changed(before: Mapping[str, str], now: Mapping[str, str], but: str = "") -> str:
    """The first fact that differs, in words; "" where all agree."""
    for name in dict.fromkeys([*now, *before]):
        was, is_ = (facts.get(name, "nothing") for facts in (before, now))
        if was != is_ and name != but:
            return f"{name} was {was} and is {is_}"
    return ""


def identity(roots: Iterable[Expr]) -> str:
    """A digest of formulas: equal where they are the same, part by part."""
    found, place = sha256(), dict[Expr, int]()
    for node in postorder(*roots):
        place[node] = len(place)
        match node:
            case Num(value):
                fact: Any = type(value).__name__, value
            case Const(value):
                fact = str(value.dtype), _digest([value])
            case Sym(name):
                fact = name
            case Call(op, args, options):
                own = None if OPS.get(op.name) is op else op.meaning
                meaning = "" if own is None else identity([own, *op.slopes])
                fact = op.name, meaning, options, [place[arg] for arg in args]
        found.update(repr(fact).encode("utf-8", "surrogatepass"))
    return f"sha256 {found.hexdigest()[:32]}"


def _digest(parts: Sequence[Any]) -> str:
    """The shape of an array in parts, and a digest of its numbers."""
    found = sha256()
    for part in map(np.asarray, parts):
        for at in range(0, len(part) if part.ndim else 1, BLOCK):
            block = part[at : at + BLOCK] if part.ndim else part
            found.update(np.ascontiguousarray(block, np.float64).tobytes())
    shapes = " and ".join(f"[{' '.join(map(str, np.shape(part)))}]" for part in parts)
    return f"{shapes}, sha256 {found.hexdigest()[:32]}"


def _said(value: Any) -> str:
    match value:
        case None:
            return "not given"
        case np.ndarray():
            return _digest([value])
        case Mapping():
            return f"({' '.join(f'({n} {_said(v)})' for n, v in value.items())})"
        case tuple():
            return f"({' '.join(map(_said, value))})"
    return brief(value)


# ---- the file of a run ---------------------------------------------------------------------------


class Keeper:
    """The checkpoint of one run: read first, compared with the run, then written when it is due.

    `news` is what whoever watches should hear now, `remarks` what the result says.
    """

    def __init__(self, options: Options, budget: Budget) -> None:
        self.options, self.name = options, options.checkpoint
        self.kept: Kept | None = None
        self.tried, self.seconds = 0, 0.0
        self.rates: Mapping[str, float] = {}
        self.news, self.failed = "", ""
        self.remarks: list[str] = []
        self.saved = -1
        """the step that lies in the file"""
        self.whole = False
        """is what lies in the file a checkpoint to keep beside the next?"""
        often = PAUSE if options.every is None else inf
        self.pause = often if options.every_seconds is None else options.every_seconds
        self.next = time.perf_counter() + self.pause
        if self.name is None:
            for option in ("every", "every_seconds", "resume"):
                if getattr(options, option):
                    word = option.replace("_", "-")
                    raise NablispError(
                        "keyword",
                        f":{word} is about a checkpoint, and there is none",
                        hint=':checkpoint "run.ckpt"',
                    )
            return
        path = resolve(options.root, self.name)  # where a link leads, its neighbours are
        assert options.root is not None
        self.file = path.relative_to(options.root.resolve()).as_posix()
        self.older = path.name + OLDER
        self._read(budget)
        sweep(options.root, self.file)
        if self.kept is not None and options.resume:
            found = self.kept
            self.tried, self.seconds, self.rates = found.tried, found.seconds, found.rates

    def _read(self, budget: Budget) -> None:
        """Find what is there: the file, or the one before it where that is damaged or missing."""
        root, name, resumes = self.options.root, self.name, self.options.resume
        wrong = []
        for suffix in ("", OLDER):
            data = read_bytes(root, self.file + suffix, budget)
            if data is None:
                continue
            try:
                found = kept(data)
            except NablispError as error:
                wrong.append(f'"{name}{suffix}" is no checkpoint, or damaged ({error.message})')
                if not resumes or (self.kept is not None and not is_ours(data)):
                    raise _refused(f"{wrong[-1]}: it is not overwritten", OTHERWISE) from None
                continue
            if self.kept is None:
                self.kept, self.found, self.whole = found, f"{name}{suffix}", not suffix
        if resumes and self.kept is None and wrong:
            raise _refused("; ".join(wrong), OTHERWISE)
        if resumes and self.kept is not None and not self.whole:
            self.remarks.append("; ".join(wrong) or f'"{name}" is missing')
            self.remarks[-1] += ": the one before it is used"

    def begin(self, facts: Callable[[], dict[str, str]], fresh: Kept) -> Kept:
        """Where to begin: at `fresh`, or where the checkpoint of this run was written.

        Raises NablispError "file" where it is one of another run.
        """
        found, resumes, name = self.kept, self.options.resume, self.name
        self.kept, self.saved = None, -1  # what is tried after this begins at its own start
        if name is None:
            return fresh
        self.facts = facts()
        if found is None:
            if resumes and not self.remarks and not self.tried:
                self.remarks.append(f'there was no "{name}": the run started at its beginning')
            return fresh
        why = changed(found.facts, self.facts, "" if resumes else STEP)
        at = f"step {found.place.done:,}"
        if why and resumes != "force":
            start = "(reset) puts parameters back; " if why.startswith(START) else ""
            force = f"{start}:resume force goes on from its {at} all the same"
            raise _refused(
                f'"{self.found}" is a checkpoint of another run: {why}',
                force if resumes else OTHERWISE,
            )
        if not resumes:
            self.remarks.append(f'"{self.found}", at {at} of this run, was overwritten')
            return fresh
        if _shapes(found) != _shapes(fresh, -(-found.place.done // found.every)):
            raise _refused(f'"{self.found}" holds other parameters or another rule\'s state')
        self.saved = found.place.done if self.whole else -1
        although = f", although {why}" if why else ""
        self.remarks.append(f'went on from {at} in "{self.found}"{although}')
        return found

    def again(self, seconds: float) -> None:
        """The run starts anew, at lower rates, after so many seconds in all."""
        self.tried, self.seconds, self.rates = self.tried + 1, seconds, {}

    def ahead(self, done: int) -> float:
        """Steps until the next checkpoint that is due by their number."""
        every = self.options.every if self.name is not None else None
        return inf if every is None else every - done % every

    def is_due(self, done: int) -> bool:
        if self.name is None or not done:
            return False
        every = self.options.every
        return (every is not None and done % every == 0) or time.perf_counter() >= self.next

    def save(self, done: int, found: Callable[[], Kept]) -> None:
        """Write what is found after so many steps.

        Where that fails the checkpoint before it stays, and the run goes on.
        """
        if self.name is None or done == self.saved:
            return
        began, now = time.perf_counter(), found()
        now.facts, now.script, now.tried = self.facts, self.options.script, self.tried
        older = self.older if self.whole else None
        try:
            replace_file(self.options.root, self.file, now.bytes(), older)
            self.whole, self.failed, self.saved = True, "", done
        except NablispError as error:
            if not self.failed:
                self.news = f"{error.message}; the run goes on without a new checkpoint"
            self.failed = error.message
        ended = time.perf_counter()
        self.next = ended + max(self.pause, (ended - began) / SHARE)

    def heard(self) -> str:
        """The news, once."""
        news, self.news = self.news, ""
        return news

    def last(self, reason: str | None) -> list[str]:
        """What the result of a run that ended for this reason says about it."""
        if self.failed:
            return [*self.remarks, f"the last checkpoint could not be written: {self.failed}"]
        if self.name is None or reason != "interrupted" or self.saved < 0:
            return self.remarks
        kept = f'"{self.name}" holds step {self.saved:,}: with :resume true it goes on from there'
        return [*self.remarks, kept]


def _refused(message: str, hint: str = "") -> NablispError:
    return NablispError("file", message, hint=hint)


def _shapes(now: Kept, entries: int | None = None) -> dict[str, tuple[int, ...]]:
    """The shape of every array, snapshots aside; the history as if it had so many entries."""
    shapes = {n: np.shape(a) for n, a in now.arrays().items() if not n.startswith("snapshots/")}
    if entries is not None:
        shapes.update((n, (entries,)) for n in shapes if n.startswith("history/"))
    return shapes
