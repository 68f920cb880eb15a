"""Pictures: what a program's figures hold, and what becomes of them in a terminal and in files."""

from __future__ import annotations

import io
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nablisp import Limits, NablispError, Session
from nablisp.figure import Axis, Band, Contours, Figure, Line, Movie, Points, levels
from nablisp.pictures.files import ENDINGS, picture
from nablisp.pictures.movie import film
from nablisp.pictures.terminal import drawn
from nablisp.showing import show_picture

ARTICLE = """
(params m b)
(data x [-2 3])
(define (target x) (+ (* 2 x) 1))
(define (model x) (+ (* m x) b))
(define loss (mse (model x) (target x)))
"""
TRAINED = f"{ARTICLE} (define r (train loss :lr 0.1 :steps 20))"
FITTED = """
(params (v 100) (k 1))
(data c [0.02 0.06 0.11 0.22 0.56 1.1])
(data rate [60 100 130 155 195 203])
(define michaelis (/ (* v c) (+ k c)))
(define r (fit rate michaelis))
"""
SEVERAL = "(params m b) (data x [1 2]) (data y [2 4])"

FIGURES = [
    # before, the form, its series with labels and colours, the label of x
    (ARTICLE, "(plot (target x) (model x))", "Line (+ (* 2 x) 1) 0, Line (+ (* m x) b) 1", "x"),
    (ARTICLE, "(plot model)", "Line  1", "x"),
    (
        TRAINED,
        "(plot (target x) (model x))",
        "Line (+ (* 2 x) 1) 0, Line (+ (* m x) b) 1, Points  0",
        "x",
    ),
    (TRAINED, "(plot (model x))", "Line (+ (* m x) b) 1, Points (+ (* 2 x) 1) 0", "x"),
    (TRAINED, "(plot r)", "Line  1", "step"),
    (TRAINED, "(plot r (train loss :steps 9))", "Line r 0, Line (train loss :steps 9) 1", "step"),
    (TRAINED, "(plot (get r :history))", "Line  0", "row"),
    (TRAINED, "(plot loss r)", "Contours, Line  1", "m"),
    (ARTICLE, "(plot loss :over ((m -1 4) (b -1 2)))", "Contours", "m"),
    (ARTICLE, "(plot loss :over (m -4 4))", "Line  1", "m"),
    ("", "(plot (sin u) (cos u) :over (u -4 4))", "Line (sin u) 0, Line (cos u) 2", "u"),
    ("", "(plot sin :over (u -4 4))", "Line  0", "u"),
    ("", "(plot [1 4 9])", "Line  0", "row"),
    (SEVERAL, "(plot x y)", "Points x 0, Points y 2", "row"),
    (SEVERAL, "(plot y (* m x))", "Points y 0, Line (* m x) 1", "x"),
    (SEVERAL, "(plot [5 6] (* m x))", "Points [5 6] 0, Line (* m x) 1", "x"),
    (SEVERAL, "(plot (- y (* m x)) :over x)", "Points  1", "x"),
    (FITTED, "(plot michaelis)", "Line (/ (* v c) (+ k c)) 1, Points rate 0", "c"),
    (
        FITTED,
        "(plot r)",
        "Band 95 % of new data 1, Band 95 % of the curve 1, Line (/ (* v c) (+ k c)) 1, "
        "Points data 0",
        "c",
    ),
]


def series_of(figure: Figure) -> str:
    return ", ".join(
        "Contours"
        if isinstance(part, Contours)
        else f"{type(part).__name__} {part.label} {part.color}"
        for part in figure.series
    )


def figure_of(program: str, form: str) -> Figure:
    session = Session()
    session.run(program)
    figure = session.run(form)
    assert isinstance(figure, Figure)
    return figure


@pytest.mark.parametrize(("before", "form", "series", "label"), FIGURES)
def test_what_a_figure_holds(before: str, form: str, series: str, label: str) -> None:
    figure = figure_of(before, form)
    assert (series_of(figure), figure.x_label) == (series, label)


def test_curves_are_what_their_formulas_say() -> None:
    target, model, data = figure_of(TRAINED, "(plot (target x) (model x) :over (x -4 5))").series
    assert isinstance(target, Line) and isinstance(model, Line) and isinstance(data, Points)
    assert target.x[[0, -1]].tolist() == [-4, 5]
    np.testing.assert_array_equal(target.y, 2 * target.x + 1)
    np.testing.assert_allclose(model.y, 2.0010576248168945 * model.x + 0.9882707595825195)
    assert (data.x.tolist(), data.y.tolist()) == ([-2, 3], [-3, 7])


def test_a_path_goes_where_the_run_went() -> None:
    field, path = figure_of(TRAINED, "(plot loss r)").series
    assert isinstance(field, Contours) and isinstance(path, Line) and path.marked
    assert (path.x[0], path.y[0]) == (0, 0) and path.x[-1] == pytest.approx(2.0010576248168945)
    m, b = np.meshgrid(field.x, field.y)
    errors = [(m * x + b - (2 * x + 1)) ** 2 for x in (-2, 3)]
    np.testing.assert_allclose(field.z, np.mean(errors, axis=0))


def test_a_fit_shows_bands_and_residuals() -> None:
    figure = figure_of(FITTED, "(plot r)")
    wide, near, line, data = figure.series
    assert isinstance(wide, Band) and isinstance(near, Band) and near.inner
    assert isinstance(line, Line) and isinstance(data, Points)
    assert ((wide.low <= near.low) & (near.low <= line.y) & (near.high <= wide.high)).all()
    assert figure.below is not None and figure.below.y_label == "residual"
    residuals = figure.below.series[1]
    assert isinstance(residuals, Points)
    np.testing.assert_allclose(residuals.y, data.y - np.interp(data.x, line.x, line.y), atol=1)
    assert figure.x_range is not None and figure.x_range[0] == 0  # what is positive stays so


def test_a_pole_is_cut_and_a_log_axis_has_powers() -> None:
    high = figure_of("", "(plot (/ 1 u) :over (u -4 4))").y_range
    assert high is not None and -5 < high[0] < high[1] < 5
    assert figure_of("", "(plot (exp u) :over (u 0 9) :log true)").axes()[1].log
    assert [text for _, text in Axis(0.004, 20, True).ticks(9)] == ["0.01", "0.1", "1", "10"]
    assert [text for _, text in Axis(-0.4, 1.1).ticks(4)] == ["0", "0.5", "1"]
    assert len({text for _, text in Axis(1e9, 1e9 + 1e-3).ticks(5)}) > 2


MISTAKES = [
    # before, the form, what is wrong, its cure
    ("", "(plot (sin u))", "there is no column to draw (sin u) over", ":over (u -4 4)"),
    (SEVERAL, "(plot (* x y))", "there are several columns to draw over: x, y", ":over x"),
    (SEVERAL, "(plot (* x u))", "u has no value", "(params u)"),
    (SEVERAL, "(plot x :over (x 3 -2))", "the range of x goes from 3 to -2", "lower end"),
    (SEVERAL, "(plot x :over (x))", ":over takes a name and its range", ":over (x -4 4)"),
    (SEVERAL, "(plot x :over z)", "z is no column", ":over (z -4 4)"),
    (ARTICLE, "(plot loss :over (target 0 1))", "target stands for a function", "free name"),
    ("", "(plot [[1 2] [3 4]])", "[[1 2] [3 4]] has shape (2 2)", "(ref v 0)"),
    (SEVERAL, "(plot [1 2 3] :over x)", "[1 2 3] has 3 numbers, and x has 2 rows", "by itself"),
    (SEVERAL, "(plot [x y] :over x)", "has shape [rows 2]", "one by one"),
    ("", "(plot (log u) :over (u -2 -1))", "there is nothing to draw", ":over"),
    ("", '(plot (sin u) :over (u 0 1) :to "a.bmp")', "png, svg or pdf", ':to "a.png"'),
    ("", '(plot (sin u) :over (u 0 1) :to "a.png")', "may not open files", "root"),
    (ARTICLE, "(plot (model x) :over ((m 0 1) (b 0 1)))", "contours are of one number", "mean"),
    (FITTED, "(plot r michaelis)", "a result is drawn by itself", "(plot loss r)"),
    (FITTED, "(animate r)", "animate shows a run of train", "(animate r)"),
    (TRAINED, '(animate r :to "a.png")', "a movie is a gif or mp4 file", ':to "a.gif"'),
]


@pytest.mark.parametrize(("before", "form", "wrong", "cure"), MISTAKES)
def test_mistakes(before: str, form: str, wrong: str, cure: str) -> None:
    session = Session()
    session.run(before)
    with pytest.raises(NablispError) as caught:
        session.run(form)
    assert wrong in caught.value.message and cure in caught.value.hint
    assert caught.value.span is not None


def test_pictures_keep_to_the_limits() -> None:
    session = Session(limits=Limits(seconds=0.05))
    with pytest.raises(NablispError, match="takes longer"):
        session.run(f"{ARTICLE} (plot loss :over ((m -4 4) (b -4 4)))")


# ---- in a terminal -------------------------------------------------------------------------------

IN_ASCII = """
  *** (+ (* 2 x) 1)   +++ (+ (* m x) b)
 |                                        ++
 |                                +++++++o+
5|                        +++++++++
 |                 ++++++++
0|         +++++++++
 | *o+++++++
 |++
 +--+--------------+-------------+----------
    -2             0             2
                      x
"""
SIZES = [(80, 24), (200, 60), (33, 11)]
PICTURES = [
    (TRAINED, "(plot (target x) (model x))"),
    (TRAINED, "(plot r)"),
    (TRAINED, "(plot loss r)"),
    (FITTED, "(plot r)"),
]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("before", "form"), PICTURES)
def test_text_has_the_size_and_no_background(before: str, form: str, size: tuple[int, int]) -> None:
    figure = figure_of(before, form)
    plain = drawn(figure, *size, color=False, fine=True)
    lines = plain.splitlines()
    assert len(lines) == size[1] and max(map(len, lines)) <= size[0]
    assert "\x1b" not in plain and figure.x_label in plain
    colored = drawn(figure, *size, color=True, fine=True)
    assert set(re.findall(r"\x1b\[[^m]*m", colored)) <= {
        "\x1b[0m",
        "\x1b[1m",
        *(f"\x1b[38;5;{k}m" for k in range(16, 232)),
    }
    assert [len(re.sub(r"\x1b\[[^m]*m", "", line)) for line in colored.splitlines()] == [
        len(line) for line in lines
    ]
    assert drawn(figure, *size, color=False, fine=False).isascii()


def test_text_in_ascii() -> None:
    text = drawn(figure_of(TRAINED, "(plot (target x) (model x))"), 44, 11, False, fine=False)
    assert [line.rstrip() for line in text.splitlines()] == IN_ASCII.strip("\n").splitlines()


def test_labels_are_escaped_and_cut() -> None:
    figure = Figure((Line(np.arange(3.0), np.arange(3.0), "a\x1b[31mb" + 99 * "c"),), "\x07", "é")
    text = drawn(figure, 40, 12, color=False, fine=True)
    assert "\\u{1b}[31mb" in text and "\\u{7}" in text and "…" in text
    assert max(map(len, text.splitlines())) <= 40


def test_a_small_terminal_gets_words() -> None:
    assert drawn(figure_of(ARTICLE, "(plot (target x))"), 20, 5, False) == "picture of (+ (* 2 …"


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def test_movies_play_on_a_terminal_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    movie = Session().run(f"{TRAINED} (animate r)")
    assert isinstance(movie, Movie)
    pauses: list[float] = []
    monkeypatch.setattr("nablisp.showing.time.sleep", pauses.append)
    played, printed = Terminal(), io.StringIO()
    show_picture(movie, played, color=False)
    show_picture(movie, printed, color=False)
    assert len(pauses) == 20 and max(pauses) <= 1 / movie.rate
    assert played.getvalue().count("\r\x1b[") == 20 and "\x1b" not in printed.getvalue()
    assert "step 20   loss 0.000132" in printed.getvalue()


# ---- in files ------------------------------------------------------------------------------------

SIGNATURES = {"png": b"\x89PNG\r\n\x1a\n", "svg": b"<?xml", "pdf": b"%PDF-"}


@pytest.mark.parametrize("ending", ENDINGS)
def test_files_are_what_their_ending_says(ending: str, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    notes: list[str] = []
    session = Session(root=tmp_path, note=notes.append)
    assert session.run(f'{FITTED} (plot r :to "fit.{ending}" :title "a $b_c")') is None
    data = (tmp_path / f"fit.{ending}").read_bytes()
    assert data.startswith(SIGNATURES[ending])
    assert notes == [f"fit.{ending} is written: {len(data) / 1e3:,.0f} kB"]
    session.run(f'(plot r :to "again.{ending}" :title "a $b_c")')
    assert (tmp_path / f"again.{ending}").read_bytes() == data


def test_settings_of_the_host_stay() -> None:
    mpl = pytest.importorskip("matplotlib")
    before = dict(mpl.rcParams)
    picture(figure_of(TRAINED, "(plot loss r)"), "png")
    assert dict(mpl.rcParams) == before


def frames_of(data: bytes) -> tuple[Any, list[int]]:
    image = pytest.importorskip("PIL.Image").open(io.BytesIO(data))
    turns = []
    for k in range(image.n_frames):
        image.seek(k)
        turns.append(image.info["duration"])
    return image, turns


def test_the_articles_animation(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    script = Path(__file__).resolve().parent.parent / "examples" / "animate.gd"
    session = Session(root=tmp_path)
    session.run(script.read_text("utf-8"))
    data = (tmp_path / "line.gif").read_bytes()
    image, turns = frames_of(data)
    assert (image.size, len(turns), image.info["loop"]) == ((500, 320), 21, 0)
    assert turns[0] == 120 and turns[-1] == 1500 and len(data) < 150_000


def test_a_long_run_is_shown_where_it_moves() -> None:
    movie = Session().run(f"{ARTICLE} (animate (train loss :lr 0.01 :steps 5000) (model x))")
    steps = [int(frame.title.split()[1].replace(",", "")) for frame in movie.frames]
    assert len(steps) <= 48 and steps[:4] == [0, 1, 2, 3] and steps[-1] == 5000
    assert len({(frame.x_range, frame.y_range) for frame in movie.frames}) == 1


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="no ffmpeg")
def test_mp4() -> None:
    pytest.importorskip("matplotlib")
    session = Session()
    movie = session.run(f"{ARTICLE} (animate (train loss :lr 0.1 :steps 2))")
    assert film(movie, "mp4", session.budget)[4:8] == b"ftyp"


def without(module: str) -> Callable[[str], Any]:
    def imported(name: str) -> Any:
        raise ImportError(f"no {module}")

    return imported


def test_missing_tools_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nablisp.pictures.files.import_module", without("matplotlib"))
    with pytest.raises(NablispError, match=r"need matplotlib: pip install 'nablisp\[plot\]'"):
        picture(figure_of(ARTICLE, "(plot (target x))"), "png")
    monkeypatch.undo()
    monkeypatch.setenv("PATH", "")
    movie = Session().run(f"{TRAINED} (animate r)")
    with pytest.raises(NablispError, match="needs ffmpeg"):
        film(movie, "mp4", Session().budget)
    monkeypatch.setattr("shutil.which", lambda name: "/dev/null")
    with pytest.raises(NablispError, match="cannot be started: permission denied"):
        film(movie, "mp4", Session().budget)


EXTREME = [
    "(plot (exp x) :over (x 0 700) :log true)",
    "(plot (* 5e-324 x) :over (x 1 9))",
    "(plot (* 1.7e308 (sin x)) :over (x -4 4))",
    "(plot x :over (x -8e306 8e306))",
    "(plot (+ x 1e308) :over (x 0 7e306) :log true)",
    "(plot (log (* x y)) :over ((x -4 4) (y -4 4)))",
    "(plot (/ 1 (* x y)) :over ((x -4 4) (y -4 4)))",
    "(plot (* 1e300 x y) :over ((x -1e5 1e5) (y -1e5 1e5)))",
    "(plot (* 1e-300 x y) :over ((x -1e-10 1e-10) (y -1e-10 1e-10)))",
    "(plot (exp (* x y)) :over ((x -40 40) (y -40 40)))",
    "(data x [-1.7e308 1.7e308]) (plot x)",
    "(data x [-1.7e308 1.7e308]) (plot (* 2 x) :over x)",
    f"(plot {' '.join(f'(sin (* {k} x))' for k in range(20))} :over (x 0 6))",
]


@pytest.mark.parametrize("program", EXTREME)
def test_whatever_has_a_value_can_be_drawn(program: str) -> None:
    figure = Session().run(program)
    assert figure._repr_html_() and picture(figure, "png")
    for width, height in ((24, 8), (80, 24)):
        text = drawn(figure, width, height, False, True)
        assert len(text.splitlines()) == height


@pytest.mark.parametrize(
    "ends", ["0 5e-324", "-1e308 1e308", "4 -4", "1 1", "0 inf", "1e16 10000000000000002"]
)
def test_a_range_that_no_axis_shows_is_refused(ends: str) -> None:
    with pytest.raises(NablispError, match="the range of x goes from"):
        Session().run(f"(plot x :over (x {ends}))")


def test_contours_are_where_most_of_the_surface_is() -> None:
    (part,) = Session().run("(plot (/ 1 (* x y)) :over ((x -4 4) (y -4 4)))").series
    heights = levels(part.z)
    assert abs(heights).max() < 6 < np.nanmax(part.z)


def test_a_narrow_valley_has_a_fine_grid() -> None:
    form = "(plot (+ (** (- 1 x) 2) (* k (** (- y (* x x)) 2))) :over ((x -2 2) (y -1 3)))"
    (part,) = Session().run(f"(params (k 100)) {form}").series
    assert part.z.shape == (241, 241)
    assert part.z[120, 180] == (1 - part.x[180]) ** 2 + 100 * (part.y[120] - part.x[180] ** 2) ** 2


def test_python_shows_a_picture_in_a_line() -> None:
    figure = Session().run("(plot (sin x) :over (x 0 1))")
    assert repr(figure) == "<picture of (sin x) over x>"
    assert repr(Movie((figure, figure))) == "<moving picture of (sin x) over x, 2 frames>"
