"""Many inputs in one command: turns a seed into texts and files, and what breaks into reproducers.

    python tests/fuzz/run.py --inputs 1000000 --workers 2 --seed 1

Input number i is a function of the seed and i. Each worker is a process of its own, in a folder of
its own, with a bounded memory; an input that does not end within --hang seconds, or that ends the
process, counts as a hang, and the worker begins anew behind it. Status 1 where anything was found.
"""

from __future__ import annotations

import argparse
import faulthandler
import json
import multiprocessing
import os
import random
import re
import resource
import shutil
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import texts
from oracle import Bench, Broken, check_data, check_text

TOGETHER = 40
"""Inputs that share a session."""
MEMORY = 6 * 2**30
SHARES = {"bytes": 0.3, "programs": 0.25, "mutated": 0.397, "repeated": 0.003, "data": 0.05}
PATIENCE = 20.0
"""Seconds spent on finding a smaller input that breaks in the same way."""


def input_of(seed: int, number: int, kind: str) -> tuple[str, Any]:
    """Kind and content of an input: a text, or name and bytes of a file."""
    by = random.Random(f"{seed}/{number}")
    if kind == "all":
        kind = by.choices(list(SHARES), list(SHARES.values()))[0]
    return kind, texts.data_file(by) if kind == "data" else texts.KINDS[kind](by)


def check(content: Any, bench: Bench) -> None:
    if isinstance(content, str):
        check_text(content, bench)
    else:
        name, data = content
        check_data(name, data, bench)


# ---- what is found -------------------------------------------------------------------------------


def signature(error: BaseException) -> str:
    """What two failures have in common that have one cause: where it is, or what does not hold."""
    if isinstance(error, Broken):
        return re.sub(r"[\d.]+", "#", str(error).partition(": ")[0])
    frames = [f for f in traceback.extract_tb(error.__traceback__) if "nablisp" in f.filename]
    place = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "oracle"
    return f"{type(error).__name__} at {place}"


def failure(contents: list[Any]) -> str:
    """How inputs fail, one after the other in one session; nothing where they do not."""
    bench = Bench(Path(tempfile.mkdtemp()))
    found = ""
    for content in contents:
        try:
            check(content, bench)
        except Exception as error:
            found = signature(error)
            break
    shutil.rmtree(bench.root)
    return found


def smaller(items: Any, fails: Callable[[Any], bool]) -> Any:
    """A part of a text or list that fails in the same way, found by leaving out parts."""
    size, end = len(items) // 2, time.monotonic() + PATIENCE
    while size:
        at = 0
        while at < len(items) and time.monotonic() < end:
            part = items[:at] + items[at + size :]
            if fails(part):
                items = part
            else:
                at += size
        size //= 2
    return items


def reduced(contents: list[Any], how: str) -> list[Any]:
    """The last of the inputs alone, made smaller, if that breaks too; else with those it needs."""
    last = contents[-1]
    if failure([last]) == how:
        if isinstance(last, str):
            return [smaller(last, lambda text: failure([text]) == how)]
        return [last]
    return [*smaller(contents[:-1], lambda part: failure([*part, last]) == how), last]


# ---- workers -------------------------------------------------------------------------------------


def work(options: argparse.Namespace, worker: int, start: int, folder: str, place: Any) -> None:
    """Try the inputs of one worker from one on; findings are lines of its file."""
    os.chdir(tempfile.mkdtemp(dir=folder))
    tempfile.tempdir = folder
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    warnings.simplefilter("error")
    dump = (Path(folder) / f"dump-{worker}").open("w")
    faulthandler.enable(dump)
    bench = Bench(Path(tempfile.mkdtemp()))
    together: list[Any] = []
    known: set[str] = set()
    met: Counter[str] = Counter()
    with (Path(folder) / f"found-{worker}").open("a") as file:
        for number in range(start, options.inputs, options.workers):
            place[worker] = number
            kind, content = input_of(options.seed, number, options.kind)
            faulthandler.dump_traceback_later(options.hang, exit=True, file=dump)
            if len(together) == TOGETHER:
                bench.begin()
                together.clear()
            together.append(content)
            met[f"input: {kind}"] += 1
            try:
                check(content, bench)
            except Exception as error:
                how = signature(error)
                what = {"how": how, "number": number, "count": 1}
                if how not in known:
                    known.add(how)
                    faulthandler.cancel_dump_traceback_later()
                    what["contents"] = [_shown(c) for c in reduced(together, how)]
                    what["traceback"] = "".join(traceback.format_exception(error)[-6:])
                print(json.dumps(what), file=file, flush=True)
                bench.begin()
                together.clear()
        print(json.dumps({"met": met + bench.met}), file=file, flush=True)
    faulthandler.cancel_dump_traceback_later()
    place[worker] = -1


def _shown(content: Any) -> Any:
    return content if isinstance(content, str) else [content[0], content[1].hex()]


def campaign(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Run the workers to their ends; what they found, as they find it."""
    context = multiprocessing.get_context("spawn")
    place = context.RawArray("q", options.workers)
    folder = tempfile.mkdtemp(prefix="fuzz")
    running: dict[int, Any] = {}

    def started(worker: int, start: int) -> None:
        args = (options, worker, start, folder, place)
        running[worker] = context.Process(target=work, args=args)
        running[worker].start()

    for worker in range(options.workers):
        place[worker] = worker
        started(worker, worker)
    read = [0] * options.workers
    began = told = time.monotonic()
    while running:
        time.sleep(0.5)
        for worker, process in list(running.items()):
            ended = not process.is_alive()
            found = Path(folder) / f"found-{worker}"
            lines = found.read_text().splitlines() if found.exists() else []
            yield from map(json.loads, lines[read[worker] :])
            read[worker] = len(lines)
            if not ended:
                continue
            del running[worker]
            if (number := place[worker]) >= 0:
                dump = (Path(folder) / f"dump-{worker}").read_text()
                contents = [_shown(input_of(options.seed, number, options.kind)[1])]
                how = f"the process ended ({process.exitcode}), or would not"
                where = re.findall(r"nablisp/(\S+\", line \d+)", dump)[:1]
                yield {"how": f"{how}: {where}", "number": number, "count": 1,
                       "contents": contents, "traceback": dump}  # fmt: skip
                started(worker, number + options.workers)
        if time.monotonic() - told > 60:
            told = time.monotonic()
            print(f"… {max(place)} after {told - began:.0f} s", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description="Try many inputs; see the docstring.")
    add = parser.add_argument
    add("--inputs", type=int, default=100_000)
    add("--workers", type=int, default=2)
    add("--seed", type=int, default=0)
    add("--kind", choices=["all", *SHARES], default="all")
    add("--hang", type=float, default=30, help="seconds that no input takes on a busy machine")
    add("--number", type=int, help="try this input alone, and show what it is")
    options = parser.parse_args()
    if options.number is not None:
        _, content = input_of(options.seed, options.number, options.kind)
        print(repr(content))
        check(content, Bench(Path(tempfile.mkdtemp())))
        return 0
    began = time.monotonic()
    found: dict[str, dict[str, Any]] = {}
    met: Counter[str] = Counter()
    for what in campaign(options):
        if "met" in what:
            met.update(what["met"])
        elif (known := found.setdefault(what["how"], what)) is not what:
            known["count"] += 1
        else:
            print(f"== {what['how']}\n{what.get('traceback', '')}\n{what.get('contents')}\n",
                  flush=True)  # fmt: skip
    seconds = time.monotonic() - began
    print(f"{options.inputs} inputs of seed {options.seed} in {seconds:.0f} s: "
          f"{options.inputs / seconds:.0f} a second, by {options.workers} workers")  # fmt: skip
    for name, count in sorted(met.items()):
        print(f"  {count:9} {name}")
    print(f"{len(found)} ways to fail, {sum(w['count'] for w in found.values())} failures")
    for what in found.values():
        print(f"  {what['count']:9} {what['how']}  (--number {what['number']})")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
