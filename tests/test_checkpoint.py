"""Checkpoints: what is written reads back, a resumed run is the uninterrupted one, bit for bit.

NABLISP_EXAMPLES sets how many damaged files are tried; unset, the same few hundred every time.
NABLISP_KILLS sets how often each of three runs is killed.
"""

from __future__ import annotations

import errno
import os
import random
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import nullcontext, suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nablisp import NablispError, Session, files, parse, recording, train
from nablisp.checkpoint import Kept, Place, kept
from nablisp.cli import main
from nablisp.results import Progress, Result
from nablisp.resume import script_of
from nablisp.tensors import MARK, packed, unpacked

KILLS = int(os.environ.get("NABLISP_KILLS", "4"))
posix = pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")
tried = settings(
    max_examples=int(os.environ.get("NABLISP_EXAMPLES", "300")),
    derandomize="NABLISP_EXAMPLES" not in os.environ,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)

# ---- the format ----------------------------------------------------------------------------------

ARRAYS = {
    "a": np.array([[1.0, -0.0], [np.inf, 5e-324]]),
    "σ/ t": np.array(3.5),
    "none": np.empty((0, 3)),
    "turned": np.arange(6.0).reshape(2, 3).T,
}


def test_what_is_packed_is_unpacked() -> None:
    texts, arrays = unpacked(b"".join(packed({"k": "ä\n"}, ARRAYS)))
    assert texts["k"] == "ä\n"
    assert list(arrays) == list(ARRAYS)
    for name, array in ARRAYS.items():
        assert arrays[name].shape == array.shape and arrays[name].tobytes() == array.tobytes()


def test_the_safetensors_library_reads_it() -> None:
    library = pytest.importorskip("safetensors.numpy")
    found = library.load(b"".join(packed({"k": "v"}, ARRAYS)))
    for name, array in ARRAYS.items():
        assert found[name].shape == array.shape and found[name].tobytes() == array.tobytes()


def signed(header: str, data: bytes = b"", size: int | None = None) -> bytes:
    """A file whose checksum is right, whatever else is not."""
    text = header.replace("{", MARK.decode() + "0" * 64 + '"', 1).encode("utf-8", "surrogatepass")
    whole = (len(text) if size is None else size).to_bytes(8, "little") + text + data
    start = 8 + len(MARK)
    digest = sha256(whole[:start] + whole[start + 64 :]).hexdigest().encode()
    return whole[:start] + digest + whole[start + 64 :]


ONE = '"dtype":"F64","shape":[1],"data_offsets":[0,8]'
ILL_FORMED = [
    # what follows the checksum, the data, words
    ('{},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}', 8, "not where"),
    ('{},"a":{"dtype":"F64","shape":[2],"data_offsets":[0,8]}}', 8, "not where"),
    ('{},"a":{"dtype":"F64","shape":[-1,-1],"data_offsets":[0,8]}}', 8, "not where"),
    ('{},"a":{"dtype":"F64","shape":[true],"data_offsets":[0,8]}}', 8, "not where"),
    ('{},"a":{"dtype":"F64","shape":[1.0],"data_offsets":[0,8]}}', 8, "no whole number"),
    ('{},"a":{"dtype":"F64","shape":[1e0],"data_offsets":[0,8]}}', 8, "no whole number"),
    ('{},"a":{"dtype":"F64","shape":[NaN],"data_offsets":[0,8]}}', 8, "no whole number"),
    ('{},"a":{"dtype":"F64","shape":["1"],"data_offsets":[0,8]}}', 8, "not where"),
    ('{},"a":{"dtype":"F64","shape":1,"data_offsets":[0,8]}}', 8, "not where"),
    ('{},"a":{"dtype":"F64","shape":[1],"data_offsets":[0,8,9]}}', 8, "not where"),
    ('{},"a":{"dtype":"F64","shape":[1]}}', 8, "not where"),
    ('{},"a":{' + ONE + ',"more":1}}', 8, "not where"),
    ('{},"a":{"dtype":"F64","shape":[1],"data_offsets":[8,16]}}', 16, "not where"),
    ('{},"a":{' + ONE + '},"b":{' + ONE + "}}", 16, "not where"),
    ('{},"a":{' + ONE + '},"a":{' + ONE + "}}", 16, "stands twice"),
    ('{},"a":{' + ONE + "}}", 0, "beyond its end"),
    ('{},"a":{' + ONE + "}}", 16, "more than its header"),
    (
        '{},"a":{"dtype":"F64","shape":[1000000000000],"data_offsets":[0,8000000000000]}}',
        8,
        "beyond",
    ),
    ('{},"a":{"dtype":"F64","shape":[' + "9" * 5000 + '],"data_offsets":[0,8]}}', 8, "no JSON"),
    ('{},"a":{"dtype":"F64","shape":[0,9007199254740993],"data_offsets":[0,0]}}', 0, "not where"),
    ('{},"a":[]}', 0, "not where"),
    ('{},"a":null}', 0, "not where"),
    ('{},"a":' + "[" * 100_000 + "}", 0, "no JSON"),
    ("{}", 0, "no JSON"),
    ('{},"a":{}} x', 0, "no JSON"),
    ('{,"k":3}}', 0, "its texts are none"),
    ('{,"checksum":"0"}}', 0, "stands twice"),
    ('{},"__metadata__":{}}', 0, "stands twice"),
    ("{}}", 0, None),
    ('{},"a":{' + ONE + "}}", 8, None),
    ('{,"k":"v"},"a":{' + ONE + "}}   ", 8, None),
]


@pytest.mark.parametrize(("header", "size", "words"), ILL_FORMED)
def test_headers(header: str, size: int, words: str | None) -> None:
    data = signed(header, bytes(size))
    if words is None:
        unpacked(data)
    else:
        with pytest.raises(NablispError, match=words):
            unpacked(data)


@pytest.mark.parametrize("size", [0, 1, 2**26 + 1, 2**63, 2**64 - 1])
def test_lengths_of_headers(size: int) -> None:
    with pytest.raises(NablispError):
        unpacked(signed('{},"a":{' + ONE + "}}", bytes(8), size))


PLACE = Place({"m": 1.5, "m v": 0.25, " t": 7.0}, 7, {"m": 1.0}, np.inf, 3)
SEEN = [(0, {"m": np.array(0.0)}), (3, {"m": np.array(0.5)})]
WHOLE = Kept(PLACE, {"m": 0.0}, {"loss": np.arange(7.0)}, SEEN, 1.5, 1.0, facts={"the loss": "m"})
GOOD = b"".join(WHOLE.bytes())


def test_a_place_is_kept() -> None:
    found = kept(GOOD)
    assert found.arrays().keys() == WHOLE.arrays().keys()
    for name, value in WHOLE.arrays().items():
        assert np.array_equal(found.arrays()[name], value), name
    assert found.facts == WHOLE.facts


@st.composite
def damaged(draw: st.DrawFn, data: bytes = GOOD) -> bytes:
    """The bytes with some of them changed, left out, doubled or put in."""
    found = bytearray(data)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(found)))
        to = draw(st.integers(at, min(at + draw(st.sampled_from([1, 8, 10_000])), len(found))))
        match draw(st.sampled_from(["bit", "bytes", "out", "twice", "cut"])):
            case "bit" if at < len(found):
                found[at] ^= 1 << draw(st.integers(0, 7))
            case "bytes":
                found[at:to] = draw(st.binary(max_size=16))
            case "out":
                del found[at:to]
            case "twice":
                found[at:at] = found[at:to]
            case "cut":
                del found[at:]
    return bytes(found)


@tried
@given(damaged())
def test_damage_is_seen(data: bytes) -> None:
    if data != GOOD:
        with pytest.raises(NablispError):
            kept(data)


def resigned(data: bytes) -> bytes:
    start = 8 + len(MARK)
    digest = sha256(data[:start] + data[start + 64 :]).hexdigest().encode()
    return data[:start] + digest + data[start + 64 :]


@tried
@given(damaged())
def test_a_file_made_to_mislead_is_an_error_at_worst(data: bytes) -> None:
    try:
        found = kept(resigned(data))
    except NablispError:
        return
    assert sum(8 * np.size(a) for a in found.arrays().values()) <= len(data) + 1000


# ---- a resumed run is the uninterrupted one ------------------------------------------------------

DATA = "(data x (linspace -2 3 203)) (data y (sin x)) (params m b (c 0.1))"
LOSS = "(mse (+ b (* m x) (* c x x)) y)"
RUNS = {
    "numpy": "(train LOSS :lr 0.01 :steps 300 :backend numpy CK)",
    "native": "(train LOSS :lr 0.01 :steps 300 :backend native CK)",
    "momentum": "(train LOSS :by momentum :lr 0.001 :steps 200 :clip 0.5 :weight-decay 0.01 CK)",
    "batches": "(train LOSS :by adam :epochs 12 :batch 32 :seed 4 :schedule (cosine 0.1 0.001) CK)",
    "batches native": "(train LOSS :by adam :epochs 9 :batch 32 :patience 5 :backend native CK)",
    "held out": "(train LOSS :by adamw :epochs 30 :batch 50 :holdout 0.3 :patience 4 CK)",
    "held out whole": "(train LOSS :lr 0.05 :steps 90 :holdout 0.3 :patience 4 CK)",
    "patience": "(train LOSS :by momentum :lr 0.05 :steps 400 :patience 3 CK)",
    "auto": "(train LOSS :lr auto :steps 200 CK)",
    "anew": "(params q) (train (+ (** (- q 3) 2) (* 1e-4 (exp (* 2 q)))) :lr auto :steps 80 CK)",
    "watched": "(train LOSS :lr 0.01 :steps 200 :watch true CK)",
    "until": "(train LOSS :lr 0.01 :steps 5000 :until (< LOSS 0.3) CK)",
    "tol in batches": "(train LOSS :lr 0.01 :batch 50 :epochs 900 :tol 0.1 CK)",
    "diverged": "(train LOSS :lr 0.5 :steps 5000 CK)",
    "arrays": "(params (w (normal 3 3)) (u (normal 3))) (data X [x (* x x) (sin x)]) "
    "(train (mse (@ (tanh (@ X w)) u) y) :by rmsprop :steps 150 CK)",
    "some": "(param k 2 :fixed true) (train (mse (+ b (* k m x)) y) :wrt (m b) :steps 150 CK)",
}


def program(name: str, keywords: str = "") -> str:
    return f"{DATA} {RUNS[name].replace('LOSS', LOSS).replace('CK', keywords)}"


def bits(r: Result) -> list[Any]:
    """All that a result says but times, remarks apart."""
    groups: list[Mapping[str, Any]] = [r.params, r.start, r.gradient, r.history]
    groups += [{"step": step, **seen} for step, seen in r.snapshots]
    flat = [(n, np.asarray(v, float).tobytes()) for group in groups for n, v in group.items()]
    return [*flat, r.status, r.steps, r.loss, r.first_loss, r.held_loss]


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def until_step(steps: int) -> Any:
    """Someone who watches and presses Ctrl-C when so many steps are taken."""

    def see(seen: Progress | Result) -> None:
        if isinstance(seen, Progress) and seen.step >= steps:
            raise KeyboardInterrupt

    return lambda asked: nullcontext(see)


@pytest.mark.parametrize("name", RUNS)
@pytest.mark.parametrize(("every", "entries"), [(1, recording.MOST), (7, 16)])
def test_an_interrupted_run_goes_on(
    name: str, every: int, entries: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "MOST", entries)  # of a long run, not every step is recorded
    monkeypatch.setattr(recording, "LEAST", min(entries, recording.LEAST))
    monkeypatch.setattr(recording, "ROOM", 8 * entries)
    keywords = f':checkpoint "a.ckpt" :resume true :every {every}'
    whole = bits(Session().run(program(name)))
    for stop in (0, 1, 5, 64, 65, 150):
        session = Session(root=tmp_path)
        session.watch = until_step(stop)
        r = session.run(program(name, keywords))
        assert r.status == "interrupted" or bits(r) == whole
        assert r.status != "interrupted" or "with :resume true it goes on" in r.remarks[-1]
    for _ in range(2):  # once to its end, and once when it is over
        r = Session(root=tmp_path).run(program(name, keywords))
        assert bits(r) == whole
    assert names(tmp_path) <= {"a.ckpt", "a.ckpt.old"}


def test_it_goes_on_in_time(tmp_path: Path) -> None:
    text = '(params q) (train (** (- q 1) 2) :lr 1e-6 :seconds 0.3 :checkpoint "a" :resume true)'
    session = Session(root=tmp_path)
    session.watch = until_step(1)
    first = session.run(text)
    assert first.status == "interrupted"
    r = Session(root=tmp_path).run(text)
    assert r.status == "time" and r.steps > first.steps and 0.3 <= r.seconds < 0.6
    again = Session(root=tmp_path).run(text)
    assert bits(again) == bits(r)
    longer = Session(root=tmp_path).run(text.replace("0.3", "0.4"))
    assert longer.steps > r.steps


def test_more_steps_go_on(tmp_path: Path) -> None:
    text = program("numpy", ':checkpoint "a.ckpt" :resume true')
    Session(root=tmp_path).run(text)
    r = Session(root=tmp_path).run(text.replace(":steps 300", ":steps 500"))
    assert bits(r) == bits(Session().run(program("numpy").replace(":steps 300", ":steps 500")))


def test_from_python(tmp_path: Path) -> None:
    def run(**more: Any) -> Result:
        data = {"x": [1, 2], "y": [2, 4.5]}
        return train(parse("(mean (** (- (* m x) y) 2))"), {"m": 0}, data=data, lr=0.1, **more)

    path = tmp_path / "run.ckpt"
    run(steps=10, checkpoint=path)
    r = run(steps=30, checkpoint=str(path), resume=True)
    assert bits(r) == bits(run(steps=30))
    assert r.remarks == ['went on from step 10 in "run.ckpt"']


# ---- what is refused -----------------------------------------------------------------------------

LINE = "(params m b) (data x [1 2 3]) (data y [2 4 7]) (train (mse (+ (* m x) b) y) "
BEFORE = LINE + ':lr 0.1 :steps 20 :checkpoint "a.ckpt")'
CHANGED = [
    # in the text, by what, and what is said
    ("(+ (* m x) b)", "(+ (* m x) b 0)", "the loss was (mean (** (- (+ (* m x) b) y) 2)) and is"),
    ("[2 4 7]", "[2 4 8]", "the column y was [3], sha256 "),
    ("[1 2 3]", "[1 2 -3]", "the column x was [3], sha256 "),
    ("(params m b)", "(params (m 1) b)", "the start of m was 0.0 and is 1.0"),
    (":lr 0.1", ":lr 0.2", ":lr was 0.1 and is 0.2"),
    (":lr 0.1", ":by adam", ":by was \"gd\" and is \"adam\""),
    (":lr 0.1", ":lr 0.1 :seed 7", ":seed was 0 and is 7"),
    (":lr 0.1", ":lr 0.1 :clip 1", ":clip was not given and is 1"),
    (":lr 0.1", ":schedule (cosine 0.1 0)", ":lr was 0.1 and is not given"),
    (":lr 0.1", ":lr 0.1 :batch 2", ":batch was not given and is 2"),
    (":lr 0.1", ":lr 0.1 :backend native", "the backend was numpy and is native"),
    ("(params m b)", "(param m 0 :max 9) (params b)", "the bounds was () and is"),
]  # fmt: skip


@pytest.mark.parametrize("resume", [":resume true", ""])
@pytest.mark.parametrize(("old", "new", "words"), CHANGED)
def test_another_run_is_refused(
    old: str, new: str, words: str, resume: str, tmp_path: Path
) -> None:
    Session(root=tmp_path).run(BEFORE)
    data = (tmp_path / "a.ckpt").read_bytes()
    text = BEFORE.replace(old, new).replace(":steps", f"{resume} :steps")
    with pytest.raises(NablispError) as caught:
        Session(root=tmp_path).run(text)
    assert caught.value.kind == "file" and caught.value.span is not None
    assert words in caught.value.message
    assert (":resume force" in caught.value.hint) == bool(resume)
    assert (tmp_path / "a.ckpt").read_bytes() == data


def test_force_goes_on_all_the_same(tmp_path: Path) -> None:
    Session(root=tmp_path).run(BEFORE)
    text = BEFORE.replace(":lr 0.1", ":lr 0.05 :resume force").replace(":steps 20", ":steps 30")
    r = Session(root=tmp_path).run(text)
    assert r.steps == 30 and r.history["loss"].shape == (31,)
    assert r.remarks[0] == (
        'went on from step 20 in "a.ckpt", although :lr was 0.1 and is 0.05'
    )  # fmt: skip
    with pytest.raises(NablispError, match="other parameters or another rule's state"):
        Session(root=tmp_path).run(text.replace(":lr 0.05", ":by adam"))


def test_a_schedule_depends_on_the_number_of_steps(tmp_path: Path) -> None:
    text = BEFORE.replace(":lr 0.1", ":schedule (cosine 0.1 0)")
    Session(root=tmp_path).run(text)
    with pytest.raises(NablispError, match="what is computed in a step was sha256"):
        Session(root=tmp_path).run(text.replace(":steps 20", ":steps 30 :resume true"))


def test_another_derivative_is_another_run(tmp_path: Path) -> None:
    """Of the same name and text: what is computed tells."""
    text = "(define (f z) (* z z)) (define-derivative (f z) SLOPE) (params m) "
    text += '(train (f (- m 1)) :lr 0.1 :steps 9 :checkpoint "a" :resume true)'
    Session(root=tmp_path).run(text.replace("SLOPE", "(* 2 z)"))
    with pytest.raises(NablispError, match="of another run"):
        Session(root=tmp_path).run(text.replace("SLOPE", "(+ z z)"))


@pytest.mark.parametrize("name", ["a.ckpt", "a.ckpt.old"])
@pytest.mark.parametrize("data", [b"", b"x,y\n1,2\n", b"\0" * 200, GOOD[:60]])
def test_what_is_no_checkpoint_is_not_overwritten(name: str, data: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(data)
    for text in (BEFORE, BEFORE.replace(":lr", ":resume true :lr")):
        with pytest.raises(NablispError) as caught:
            Session(root=tmp_path).run(text)
        assert caught.value.kind == "file"
        assert (tmp_path / name).read_bytes() == data


KEYWORDS = [
    (":every 5", "keyword", ":every is about a checkpoint"),
    (":every-seconds 5", "keyword", ":every-seconds is about a checkpoint"),
    (":resume true", "keyword", ":resume is about a checkpoint"),
    (':checkpoint "a" :every 0', "value", ":every must be a whole number from 1"),
    (':checkpoint "a" :resume 3', "type", ":resume must be"),
    (":checkpoint 3", "type", ":checkpoint must be"),
    (':checkpoint "../a"', "file", "leads upwards"),
    (':checkpoint "b/a"', "file", "there is no folder"),
    (':checkpoint "."', "file", "is a folder"),
    (':by newton :checkpoint "a"', "keyword", "newton takes no :checkpoint"),
]


@pytest.mark.parametrize(("keywords", "kind", "words"), KEYWORDS)
def test_keywords(keywords: str, kind: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(NablispError) as caught:
        Session(root=tmp_path).run(f"{LINE} {keywords})")
    assert caught.value.kind == kind and words in caught.value.message


def test_a_session_without_files_has_no_checkpoints() -> None:
    with pytest.raises(NablispError, match="may not open files"):
        Session().run(BEFORE)


def test_what_the_result_says(tmp_path: Path) -> None:
    resumed = BEFORE.replace(":lr", ":resume true :lr")

    def remarks(text: str) -> list[str]:
        found: Result = Session(root=tmp_path).run(text)
        return found.remarks

    assert remarks(resumed) == ['there was no "a.ckpt": the run started at its beginning']
    assert remarks(resumed) == ['went on from step 20 in "a.ckpt"']
    assert remarks(BEFORE) == ['"a.ckpt", at step 20 of this run, was overwritten']


def test_a_foreign_file_beside_is_not_overwritten(tmp_path: Path) -> None:
    Session(root=tmp_path).run(BEFORE)
    (tmp_path / "a.ckpt.old").write_bytes(b"notes")
    with pytest.raises(NablispError, match="it is not overwritten"):
        Session(root=tmp_path).run(BEFORE.replace(":lr", ":resume true :lr"))


# ---- damage --------------------------------------------------------------------------------------

LONG = BEFORE.replace(":lr", ":every 8 :resume true :lr")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two checkpoints of a run that is over."""
    found = tmp_path_factory.mktemp("damaged")
    Session(root=found).run(LONG)
    return found


@pytest.fixture(scope="module")
def pair(folder: Path) -> tuple[bytes, bytes]:
    return (folder / "a.ckpt").read_bytes(), (folder / "a.ckpt.old").read_bytes()


@tried
@given(st.data())
def test_the_older_one_is_used(
    folder: Path, pair: tuple[bytes, bytes], draw: st.DataObject
) -> None:
    """A damaged file is never gone on from; the one before it is, where it is whole."""
    good, older = pair
    data = draw.draw(damaged(good))
    both = draw.draw(st.integers(0, 3)) == 0
    (folder / "a.ckpt").write_bytes(data)
    (folder / "a.ckpt.old").write_bytes(draw.draw(damaged(older)) if both else older)
    try:
        r = Session(root=folder).run(LONG)
    except NablispError as error:
        assert both and error.kind == "file" and "damaged" in error.message
        return
    assert bits(r) == bits(Session().run(LINE + ":lr 0.1 :steps 20)"))
    if data != good:
        assert "the one before it is used" in r.remarks[0]


# ---- faults --------------------------------------------------------------------------------------

CALLS = ("open", "write", "fsync", "close", "replace", "unlink")
NUMBERS = (errno.ENOSPC, errno.EIO, errno.EROFS)


class Faulty:
    """The module os, but for the n-th call of one function and, if `ever`, all after it."""

    def __init__(self, name: str, n: int, number: int, ever: bool) -> None:
        self.calls, self.n, self.ever = 0, n, ever
        self.name, self.number, self.real = name, number, getattr(os, name)
        self.supports_dir_fd = {*os.supports_dir_fd, self.faulty}

    def faulty(self, *args: Any, **options: Any) -> Any:
        self.calls += 1
        if self.calls != self.n and not (self.ever and self.calls > self.n):
            return self.real(*args, **options)
        if self.name == "write":  # half of it may be there
            self.real(args[0], bytes(args[1])[: len(args[1]) // 2])
        if self.name == "close":
            self.real(*args, **options)
        raise OSError(self.number, os.strerror(self.number))

    def __getattr__(self, name: str) -> Any:
        return self.faulty if name == self.name else getattr(os, name)


@pytest.mark.parametrize("number", NUMBERS, ids=errno.errorcode.get)
@pytest.mark.parametrize("name", CALLS)
def test_every_call_that_fails(
    name: str, number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run ends as ever; what is in the files is whole, and goes on to the same end."""
    whole = bits(Session().run(LINE + ":lr 0.1 :steps 20)"))
    for ever in (False, True):
        for n in range(1, 1000):
            folder = tmp_path / f"{ever}{n}"
            folder.mkdir()
            first = Session(root=folder)
            first.watch = until_step(8)
            assert first.run(LONG).status == "interrupted"
            before = kept((folder / "a.ckpt").read_bytes()).place.done
            faulty = Faulty(name, n, number, ever)
            said: list[str] = []
            with monkeypatch.context() as patch:
                patch.setattr(files, "os", faulty)
                try:
                    r = Session(root=folder, note=said.append).run(LONG)
                except NablispError as error:  # it could not be read
                    assert error.kind == "file" and name in ("open", "close")
                else:
                    assert bits(r) == whole
                    failed = [line for line in r.remarks if "could not be written" in line]
                    assert len(failed) <= 1 and len(said) <= 1
                    assert failed or not ever or faulty.calls < n or name in ("close", "unlink")
            found = [folder / "a.ckpt", folder / "a.ckpt.old"]
            done = [kept(path.read_bytes()).place.done for path in found if path.exists()]
            assert max(done) >= before
            again = Session(root=folder).run(LONG)
            assert bits(again) == whole
            assert names(folder) <= {path.name for path in found}
            if faulty.calls < n:
                break


def test_a_failing_disk_is_said_once_and_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "os", Faulty("fsync", 1, errno.ENOSPC, True))
    said: list[str] = []
    r = Session(root=tmp_path, note=said.append).run(BEFORE.replace(":lr", ":every 3 :lr"))
    why = f'"a.ckpt" cannot be written: {os.strerror(errno.ENOSPC).lower()}'
    assert said == [f"{why}; the run goes on without a new checkpoint"]
    assert r.remarks == [f"the last checkpoint could not be written: {why}"]
    assert not list(tmp_path.iterdir())


# ---- kills ---------------------------------------------------------------------------------------

CHILD = """
import os, random, signal, sys
from types import SimpleNamespace
from nablisp import Session, files

def dies(name, n, half, calls=[0]):
    def call(*args, **options):
        calls[0] += 1
        if calls[0] == n:
            if half and name == "write":
                os.write(args[0], bytes(args[1])[: len(args[1]) // 2])
            elif half:
                getattr(os, name)(*args, **options)
            os.kill(os.getpid(), signal.SIGKILL)
        return getattr(os, name)(*args, **options)
    return call

root, text, n, half = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4] == "half"
names = ("open", "write", "fsync", "close", "replace", "unlink")
faulty = {name: dies(name, n, half) for name in names}
known = {"supports_dir_fd": {faulty["open"], *os.supports_dir_fd}}
files.os = SimpleNamespace(**{**vars(os), **faulty, **known})
Session(root=root).run(text)
"""


@posix
@pytest.mark.parametrize("name", ["batches", "held out", "native"])
def test_killed_at_any_moment(name: str, tmp_path: Path) -> None:
    """By its own hand at some call of the file system, before it or half-way, or from outside."""
    whole = bits(Session().run(program(name)))
    text = program(name, ':checkpoint "a.ckpt" :resume true :every 20')
    chance = random.Random(name)
    for _ in range(KILLS):
        n, half = chance.randint(1, 60), chance.choice(["half", "before"])
        command = [sys.executable, "-c", CHILD, str(tmp_path), text, str(n), half]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as child:
            with suppress(subprocess.TimeoutExpired):
                child.wait(chance.uniform(0.4, 1.2))
            child.kill()
            assert child.wait() in (0, -signal.SIGKILL)
    assert bits(Session(root=tmp_path).run(text)) == whole
    assert names(tmp_path) <= {"a.ckpt", "a.ckpt.old"}


# ---- the command ---------------------------------------------------------------------------------

SCRIPT = """(params m b) (data x (linspace 0 1 4000)) (data y (exp x))
(define r (train (mse (+ (* m x) b) y) :lr 1e-3 :steps 200000 :checkpoint "run.ckpt" :every 9000))
(get r :loss)
(get r :steps)
"""


@posix
@pytest.mark.parametrize(
    ("sent", "file"), [(signal.SIGTERM, "run.gd"), (signal.SIGINT, "run.ckpt")]
)
def test_the_command_resumes(
    sent: signal.Signals, file: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run.gd").write_text(SCRIPT)
    command = [sys.executable, "-m", "nablisp", str(tmp_path / "run.gd")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        while not (tmp_path / "run.ckpt").exists():
            assert child.poll() is None
        child.send_signal(sent)
        assert child.wait() == 128 + sent
    at = kept((tmp_path / "run.ckpt").read_bytes()).place.done
    assert 0 < at < 200_000
    assert main(["resume", str(tmp_path / file)]) == 0
    resumed = capfd.readouterr().out
    assert kept((tmp_path / "run.ckpt").read_bytes()).place.done == 200_000
    (tmp_path / "run.ckpt").unlink()
    (tmp_path / "run.ckpt.old").unlink()
    assert main([str(tmp_path / "run.gd")]) == 0
    assert capfd.readouterr().out == resumed


@pytest.mark.parametrize("script", ["", "../run.gd", "/etc/passwd", "a/run.gd", "none.gd", "."])
def test_a_checkpoint_leads_to_no_other_place(script: str, tmp_path: Path) -> None:
    folder = tmp_path / "inner"
    (folder / "a").mkdir(parents=True)
    for path in (tmp_path / "run.gd", folder / "a" / "run.gd"):
        path.write_text('(print "run")')
    WHOLE.script = script
    (folder / "x.ckpt").write_bytes(b"".join(WHOLE.bytes()))
    with pytest.raises(NablispError, match="names no script beside it"):
        script_of(str(folder / "x.ckpt"))
    assert main(["resume", str(folder / "x.ckpt")]) == 2


def test_orphans_are_swept(tmp_path: Path) -> None:
    mine, others = tmp_path / f"a.ckpt.{'0' * 16}.part", tmp_path / f"b.ckpt.{'0' * 16}.part"
    for path in (mine, others):
        path.write_bytes(b"half")
    Session(root=tmp_path).run(BEFORE)
    assert names(tmp_path) == {"a.ckpt", others.name}
