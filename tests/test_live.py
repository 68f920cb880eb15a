"""Runs as they go: the words of progress, who is told what, and what is kept for pictures."""

from __future__ import annotations

import io
from collections.abc import Sequence
from contextlib import nullcontext
from math import inf, nan

import numpy as np
import pytest

from nablisp import NablispError, Session
from nablisp.figure import Figure, Line, Movie, Points
from nablisp.live import duration, line, spark, watching
from nablisp.pictures.terminal import drawn
from nablisp.results import Progress
from nablisp.showing import show_picture
from nablisp.views import Scene, View, compared, loss_curve, moments, states

LINES = [
    # progress, losses, width, what it says
    (Progress(0, None, nan, 0.0, run="fit"), (), 80, "fit step 0"),
    (
        Progress(18_599_178, 30_000_000, 1.706e-4, 4.3),
        (8, 4, 2, 1),
        90,
        "train step 18,599,178 of 30,000,000  loss 0.0001706  █▄▂▁  4.33M steps/s  3 s left",
    ),
    (
        Progress(18_599_178, 30_000_000, 1.706e-4, 4.3),
        (8, 4, 2, 1),
        60,
        "train step 18,599,178 of 30,000,000  loss 0.0001706",
    ),
    (
        Progress(10, None, 2.0, 1.0, limit=7.0),
        (),
        80,
        "train step 10  loss 2  10 steps/s  6 s left",
    ),
    (
        Progress(10, 20, inf, 1.0, limit=7.0),
        (),
        80,
        "train step 10 of 20  loss inf  10 steps/s  1 s left",
    ),
]


@pytest.mark.parametrize(("progress", "losses", "width", "said"), LINES)
def test_a_line(progress: Progress, losses: Sequence[float], width: int, said: str) -> None:
    assert line(progress, losses, width) == said


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.2, "0 s"), (59.4, "59 s"), (125, "2 min 5 s"), (12_000, "3 h 20 min")]
)
def test_durations(seconds: float, said: str) -> None:
    assert duration(seconds) == said


@pytest.mark.parametrize(
    ("losses", "drawn"),
    [([1, 1, 1], "▁▁▁"), ([nan, nan], ""), ([2, nan, 1], "██▁"), ([1e6, 1e3, 1], "█▅▁")],
)
def test_sparks(losses: list[float], drawn: str) -> None:
    assert spark(losses) == drawn
    assert len(spark(list(range(1000)))) == 16


def test_a_pipe_gets_few_lines() -> None:
    """After a second, two, four, and so on."""
    out = io.StringIO()
    with watching(True, out, color=False) as see:
        for tenths in range(100):
            see(Progress(tenths, 100, 1.0, tenths / 10))
    assert [text.split()[2] for text in out.getvalue().splitlines()] == ["10", "20", "40", "80"]


@pytest.mark.parametrize("ends", ["1e308 -1e308", "nan inf", "1e-320 0"])
def test_columns_without_a_range_have_a_picture(ends: str) -> None:
    run = "(train (mean (abs (- (* m x) x))) :lr 1e-310 :steps 5)"
    movie = Session().run(f"(params m) (data x [{ends}]) (animate {run})")
    assert drawn(movie.frames[-1], 80, 20, color=False, fine=True)


class Screen(io.StringIO):
    """What a terminal would be sent."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def test_what_cannot_be_drawn_costs_the_picture_and_not_the_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fails(*given: object) -> None:
        raise ValueError("no picture")

    out, session = Screen(), Session()
    session.watch = lambda asked: watching(asked, out, color=True)
    program = LINE + "(train (mse (+ (* m x) b) y) :lr 0.1 :steps 9 :watch true)"
    monkeypatch.setattr(Scene, "figure", fails)
    assert session.run(program).steps == 9


def test_an_interrupt_after_the_run_keeps_the_result() -> None:
    def interrupt(seen: object) -> None:
        if not isinstance(seen, Progress):
            raise KeyboardInterrupt

    session = Session()
    session.watch = lambda asked: nullcontext(interrupt)
    result = session.run("(params m) (train (** (- m 1) 2) :lr 0.1 :steps 9)")
    assert session.parameters["m"].value == result.params["m"] > 0


def test_the_cursor_can_be_seen_whenever_a_run_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    out = Screen()
    with watching(True, out, color=False) as see:
        for step in (1, 2):
            see(Progress(step, 9, 1.0, float(step)))
            sent = out.getvalue()
            assert "step" in sent
            assert sent.rfind("\x1b[?25h") > sent.rfind("\x1b[?25l")


def test_a_dumb_terminal_gets_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    out = Screen()
    with watching(False, out, color=False) as see:
        see(Progress(5, 9, 1.0, 1.5))
    assert out.getvalue() == "train step 5 of 9  loss 1  3.33 steps/s  1 s left\n"
    frame = Figure((Line(np.arange(3.0), np.arange(3.0)),))
    show_picture(Movie((frame, frame)), out, color=False)
    assert "\x1b" not in out.getvalue()


LINE = "(params m b) (data x [-2 3]) (data y [-3 7]) "
COMPARED = [
    # program, model and target found in its last expression
    ("(mse (+ (* m x) b) (+ (* 2 x) 1))", "(+ (* m x) b)", "(+ (* 2 x) 1)"),
    ("(mse y (+ (* m x) b))", "(+ (* m x) b)", "y"),
    ("(+ (mae (* m (- x b)) y) (** m 2))", "(* m (- x b))", "y"),
    ("(huber (* m x) y 1)", "(* m x)", "y"),
    ("(bce (* m x) (where (> y 0) 1 0))", "(sigmoid (* m x))", "(where (> y 0) 1 0)"),
    ("(mean (** (- m x) 2))", "", ""),  # the model is a number, no curve
    ("(** (- m 1) 2)", "", ""),
]


@pytest.mark.parametrize(("program", "model", "target"), COMPARED)
def test_models_in_losses(program: str, model: str, target: str) -> None:
    session = Session()
    loss = session.run(LINE + program)
    found = compared(loss, list(session.parameters), session.shapes)
    assert [(str(a), str(b)) for a, b in found] == ([(model, target)] if model else [])


def test_a_scene_moves_in_a_frame_that_stays() -> None:
    session = Session()
    loss = session.run(LINE + "(mse (+ (* m x) b) (+ (* 2 x) 1))")
    view = View(loss, ["m", "b"], {"m": 0.0, "b": 0.0}, session.columns)
    scene = view.scene
    assert scene is not None
    target, points, before = scene.figure({"m": 0.0, "b": 0.0}).series
    *still, after = scene.figure({"m": 2.0, "b": 1.0}).series
    assert isinstance(target, Line)
    assert isinstance(points, Points)
    assert isinstance(before, Line)
    assert isinstance(after, Line)
    assert still == [target, points]
    assert (points.x.tolist(), points.y.tolist()) == ([-2, 3], [-3, 7])
    assert np.allclose(after.y, target.y)
    assert not before.y.any()
    assert (target.color, after.color) == (0, 1)


def test_a_model_of_several_columns_is_drawn_against_its_target() -> None:
    session = Session()
    loss = session.run(LINE + "(data z [1 2]) (mse (+ (* m x) (* b z)) y)")
    scene = View(loss, ["m", "b"], {"m": 1.0, "b": 1.0}, session.columns).scene
    assert scene is not None
    _, points = scene.figure({}).series
    assert isinstance(points, Points)
    assert (points.x.tolist(), points.y.tolist()) == ([-3, 7], [-1, 5])


def test_moments_share_out_what_is_seen_to_move() -> None:
    session = Session()
    result = session.run(LINE + "(train (mse (+ (* m x) b) y) :lr 0.1 :steps 3000)")
    steps, kept = states(result)
    assert list(steps) == list(range(3001))
    scene = result.view.scene
    chosen = moments(scene, kept, 20)
    assert chosen == sorted(set(chosen))
    assert (chosen[0], chosen[-1]) == (0, 3000)
    assert len(chosen) == 20
    assert sum(step < 40 for step in chosen) >= 8, "it moves most at first"


def test_arrays_are_kept_for_whoever_watches() -> None:
    program = (
        "(param w [0 0]) (data X [[1 2] [3 4] [5 7]]) (data y [1 2 4])"
        "(train (mse (@ X w) y) :lr 0.01 :steps 100 %s)"
    )
    with pytest.raises(NablispError, match="these parameters are arrays"):
        states(Session().run(program % ""))
    watched = Session().run(program % ":watch true")
    steps, kept = states(watched)
    assert (list(steps[:4]), steps[-1]) == ([0, 1, 2, 3], 100)
    assert kept[0]["w"].tolist() == [0, 0]
    assert kept[-1]["w"].tolist() == watched.params["w"].tolist()
    again = Session().run(program % "")
    assert again.params["w"].tolist() == watched.params["w"].tolist(), "to the bit"


def test_a_loss_curve_is_thinned_and_on_powers_where_it_fell_far() -> None:
    figure = loss_curve([10.0**-k for k in range(5000)][:300])
    assert figure.y_log
    (some,) = loss_curve([3, 2, 1], steps=[10, 500, 9000]).series
    assert isinstance(some, Line)
    assert some.x.tolist() == [10, 500, 9000]
    (curve,) = loss_curve(list(range(100_000, 0, -1))).series
    assert isinstance(curve, Line)
    assert len(curve.x) == 2000
    assert (curve.x[0], curve.x[-1]) == (0, 99_999)
