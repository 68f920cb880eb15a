"""What a run records: joined from calls of any lengths, thinned where there are many steps."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nablisp import Session, recording
from nablisp.backends import Ran
from nablisp.recording import Recording, apart

NOTHING = Ran({}, {"loss": np.empty(0)}, None, 0)


def calls(*cuts: int) -> Recording:
    """A run of which step k recorded k, cut into calls there."""
    found = Recording(NOTHING)
    for first, last in pairwise([0, *sorted(cuts)]):
        found.add(Ran({"m": last}, {"loss": np.arange(first, last, 1.0)}, None, last - first))
    return found


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"MOST": 8, "LEAST": 4, "ROOM": 16, "CALL": 1}.items():
        monkeypatch.setattr(recording, name, value)


def test_entries_are_as_far_apart_as_they_must_be() -> None:
    most = recording.MOST
    steps = [0, 1, most, most + 1, 2 * most, 2 * most + 1, 10**12]
    assert [apart(n, 1) for n in steps] == [1, 1, 1, 2, 2, 4, 1 << 20]
    assert [apart(10**6, names) for names in (1, 8, 9, 10**9)] == [1, 1, 2, 1024]


@pytest.mark.usefixtures("small")
@given(st.lists(st.integers(0, 200), min_size=1), st.integers(0, 200))
def test_it_does_not_depend_on_where_the_calls_ended(cuts: list[int], stop: int) -> None:
    found, steps = calls(*cuts), max(cuts)
    history = found.history({"loss": -1.0})
    every = apart(steps, 1)
    assert history["loss"].tolist() == [*range(0, steps, every), -1]
    assert history.steps.tolist() == [*range(0, steps, every), steps]
    for step in range(0, steps, every):
        assert history["loss"][history.place(step + every // 2)] == (
            step if step + every // 2 < steps else -1
        )
    part = found.joined(min(stop, steps))
    assert part.records["loss"].tolist() == [*range(0, part.steps, part.every)]
    again = Recording(part)
    if stop < steps:
        rest = Ran({"m": steps}, {"loss": np.arange(stop, steps, 1.0)}, None, steps - stop)
        again.add(rest)
    assert (again.steps, again.state) == (found.steps, found.state)
    if part.every <= every:
        assert (again.history({"loss": -1.0})["loss"] == history["loss"]).all()


def test_a_long_run_keeps_a_million_entries() -> None:
    text = "(params (m 1)) (train (** m 2) :lr 1e-7 :steps 3_000_000 :backend native)"
    found = Session().run(text.replace("_", ""))
    history = found.history
    assert (found.steps, history.every, len(history["loss"])) == (3_000_000, 4, 750_001)
    assert history["loss"][-1] == found.loss and history["m"][-1] == found.params["m"]
    expected = (1 - 2e-7) ** np.arange(0, 3e6, 4)
    np.testing.assert_allclose(history["m"][:-1], expected, rtol=1e-9)
