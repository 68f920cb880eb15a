"""Tools that take turns: pinned processes that stay alive and answer requests in lines of JSON.

Every process is pinned to as many cores as it has threads, the same ones for all, and libraries
are told that number in their own way.
"""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from timing import environment

Task = dict[str, Any]
Array = np.ndarray[Any, np.dtype[np.float64]]
Steps = Callable[[int], tuple[Any, Any]]
"""Takes so many steps; returns the parameters and each step's loss."""
COUNTS = "OMP OPENBLAS MKL NUMBA NUMEXPR"
"""Whose number of threads is an environment variable."""
XLA_ALONE = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"


@dataclass(frozen=True)
class Given:
    """What a peer trains: a model by name, its columns (the last one y) and its start."""

    model: str
    columns: list[Array]
    start: list[float]
    rate: float
    threads: int


class Worker:
    """A process of a script that serves, and its answers."""

    def __init__(self, script: str, threads: int, *options: str) -> None:
        counts = {f"{name}_NUM_THREADS": str(threads) for name in COUNTS.split()}
        spin = {"GOMP_SPINCOUNT": "20000"}  # not for milliseconds, where others want the core
        xla = {"XLA_FLAGS": XLA_ALONE} if threads == 1 else {}
        self.process = subprocess.Popen(
            [sys.executable, script, "--serve", str(threads), *options],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            env=environment() | counts | spin | xla)  # fmt: skip

    def ask(self, **request: Any) -> Task:
        """What the process answers, or {"failed": why}."""
        assert self.process.stdin and self.process.stdout
        try:
            print(json.dumps(request), file=self.process.stdin, flush=True)
        except BrokenPipeError:
            return {"failed": "crashed"}
        line = self.process.stdout.readline()
        return dict(json.loads(line)) if line else {"failed": "crashed"}

    def close(self) -> None:
        """End the process: it has no more to read."""
        if self.process.stdin:
            self.process.stdin.close()
        self.process.wait()


def serve(threads: int, answer: Callable[[Task], Task]) -> None:
    """Pin this process, and answer requests until there are no more."""
    if sys.platform == "linux":
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no answer
    for line in sys.stdin:
        try:
            found = answer(json.loads(line))
        except ModuleNotFoundError as error:
            found = {"failed": f"{error.name}: not installed"}
        except Exception as error:
            found = {"failed": f"{type(error).__name__}: {error}".splitlines()[0]}
        print(json.dumps(found), file=answers, flush=True)


def library(source: Path, *flags: str) -> ctypes.CDLL:
    """A C file, compiled and loaded."""
    command = ["gcc", "-O3", "-march=native", "-ffast-math", "-fopenmp", "-shared", "-fPIC"]
    with tempfile.TemporaryDirectory() as folder:
        built = str(Path(folder) / "peer.so")
        done = subprocess.run(
            [*command, *flags, str(source), "-o", built, "-lm"],
            capture_output=True, text=True, check=False)  # fmt: skip
        if done.returncode != 0:
            raise RuntimeError(f"gcc failed: {done.stderr}")
        return ctypes.CDLL(built)
