"""Fuzzing guided by coverage: atheris looks for bytes that reach new lines of nablisp.

    pip install nablisp[fuzz]
    python tests/fuzz/atheris_texts.py -len_control=0 -max_len=600 -max_total_time=300 FOLDER

FOLDER keeps the inputs that reached something new; where it is empty, it begins with the programs
of the corpus. The first byte says what the others are: a text, or the choices that make a program
of the grammar, or a mutant. It stops at the first failure.
"""

from __future__ import annotations

import random
import sys
import tempfile
import warnings
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["nablisp"]):
    import oracle
    import texts

TOGETHER = 100
"""Inputs that share a session."""
bench = oracle.Bench(Path(tempfile.mkdtemp()))
tried = 0


def one_input(data: bytes) -> None:
    global tried  # noqa: PLW0603  # atheris gives no object to keep it in
    tried += 1
    if tried % TOGETHER == 0:
        bench.begin()
    by: random.Random = texts.FromBytes(data[1:])
    match data[:1]:
        case b"g" | b"h":
            text = texts.program(by)
        case b"m":
            text = texts.mutant(by)
        case _:
            text = data[1:].decode("utf-8", "replace")
    oracle.check_text(text, bench)


if __name__ == "__main__":
    warnings.simplefilter("error")
    for folder in [Path(argument) for argument in sys.argv[1:] if not argument.startswith("-")]:
        if not any(folder.iterdir()):
            for i, text in enumerate(texts.corpus()):
                (folder / f"{i}.gd").write_bytes(b"t" + text.encode("utf-8", "surrogatepass"))
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
