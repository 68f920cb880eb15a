"""Pages: what is on them, that they need nothing else, and that nothing on them can do harm."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from browser import Browser, browser, needs_browser

from nablisp.cli import main
from nablisp.errors import NablispError, Source
from nablisp.expr import Sym
from nablisp.figure import PALETTE, Axis, Band, Contours, Figure, Line, Movie, Points
from nablisp.pictures import style, svg
from nablisp.pictures.fragments import fragment
from nablisp.pictures.page import Page, Shown
from nablisp.report_command import steps
from nablisp.session import Session

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
VOID = {"meta", "input", "br"}
INLINE = {"span", "code", "strong"}
EVIL = "</script></style><img src=x onerror=alert(1)>\"'&\u202e\x07"


def page_of(text: str, title: str = "a page", root: Path = EXAMPLES) -> str:
    session = Session(root=root)
    session.watches = True
    return Page(title, [Source("a.gd", text)], list(steps(session, text, "a.gd"))).html()


@pytest.fixture(scope="module")
def line() -> str:
    return page_of((EXAMPLES / "line.gd").read_text("utf-8"))


class Elements(HTMLParser):
    """The elements of a document, each with its attributes; every one that opens is closed."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        self.words.append("" if tag in INLINE else " ")

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def tags(self) -> list[str]:
        return [tag for tag, _ in self.found]

    @property
    def text(self) -> str:
        return " ".join("".join(self.words).split())


def parts(html: str, tag: str) -> list[ElementTree.Element]:
    """The outermost elements of a name, read as XML."""
    opened = re.finditer(rf"<(/?){tag}[ >]", html)
    depth, start, found = 0, 0, []
    for mark in opened:
        if not mark[1] and depth == 0:
            start = mark.start()
        depth += -1 if mark[1] else 1
        if depth == 0:
            found.append(ElementTree.fromstring(html[start : mark.end()]))
    return found


def test_the_articles_page(line: str) -> None:
    page = Elements(line)
    assert line.startswith('<!DOCTYPE html>\n<html lang="en">')
    assert len(line.encode()) < 200_000
    for said in (
        "(define (model x) (+ (* m x) b))",
        "train by gd: 20 steps, loss 29 → 0.00013244065166873042",
        "m 0 2.001057625 0.00202",
        "steps: all steps were taken",
        "step 7, loss 0.03275",
    ):
        assert said in page.text, said
    buttons = [found for tag, found in page.found if tag == "input"]
    assert len(buttons) == 21
    assert [k for k, found in enumerate(buttons) if "checked" in found] == [20]
    assert buttons[7]["aria-label"] == "step 7, loss 0.03275"
    assert len(parts(line, "math")) == 4  # the derivative, the loss, its two derivatives
    model, loss, plotted = parts(line, "svg")
    for picture in (model, loss, plotted):
        assert picture.get("role") == "img"
        assert picture[0].tag.endswith("title")
        assert picture[0].text
    for picture in (model, loss):
        moving = [e for e in picture.iter() if e.get("class") == "moves"]
        assert [len(group) for group in moving] == [21]


@pytest.mark.parametrize("example", ["fit", "logistic", "quadratic", "csv", "iris", "rosenbrock"])
def test_examples(example: str) -> None:
    html = page_of((EXAMPLES / f"{example}.gd").read_text("utf-8"))
    page = Elements(html)
    assert not {"script", "link", "img", "iframe", "object", "base"} & {*page.tags}
    for tag in ("svg", "math"):
        assert parts(html, tag)
    assert not re.search(r"https?://(?!www\.w3\.org/(2000/svg|1998/Math/MathML))", html)
    assert "url(" not in html


def test_a_fit() -> None:
    html = page_of(
        "(data c [0.02 0.06 0.11 0.22 0.56 1.1])(data rate [76 97 123 159 191 207])"
        "(params (v 100) (k 1))(fit rate (/ (* v c) (+ k c)) :sigma 5)"
    )
    page = Elements(html)
    for said in (
        "fit by Levenberg–Marquardt: converged",
        "± standard error",
        "root of the reduced chi square",
        "4 degrees of freedom",
        "condition",
        "correlations",
        "converged: a strict minimum",
        "95 % of the curve",
        "residual",
    ):
        assert said in page.text, said
    (picture,) = parts(html, "svg")
    classes = [e.get("class", "") for e in picture.iter()]
    assert {"band c1", "line c1", "points c0", "bar c0"} <= {*classes}
    assert classes.count("points c0") == 3  # the data, their legend, the residuals


def test_a_strangers_text_is_text() -> None:
    """Program, file names, strings, names, labels, printed lines: nothing becomes an element."""
    told = [
        Shown(EVIL, [EVIL], [EVIL, Sym(EVIL), np.array([1.0])]),
        Shown("", (), [Figure((Line(np.arange(2), np.arange(2), EVIL),), EVIL, EVIL, EVIL)]),
    ]
    html = Page(EVIL, [Source(EVIL, f"; {EVIL}\n({EVIL}"), Source("b", "")], told).html()
    page = Elements(html)
    assert not {"script", "img"} & {*page.tags}
    assert not any(name.startswith("on") for _, found in page.found for name in found)
    assert page.tags.count("style") == 1
    assert "\u202e" not in html
    assert "\x07" not in html
    assert "\\u{202e}" in html
    for tag in ("svg", "math"):
        assert parts(html, tag)


def test_what_is_shown_in_order() -> None:
    html = page_of('(print "one")(define r (minimize (** (- u 2) 2) :from ((u 0))))(+ 1 1)r"three"')
    text = Elements(html).text
    places = [text.rindex(said) for said in ("one", "minimize by", "(+ 1 1) 2", "three")]
    assert places == sorted(places)
    assert text.count("minimize by") == 1  # shown where it ran, not again where it is named


@pytest.mark.parametrize(
    ("form", "named"),
    [('(report r :to "p.html" :title "T")', "p.html"), ('(report :to "q.html")', "q.html")],
)
def test_the_form(tmp_path: Path, form: str, named: str) -> None:
    notes: list[str] = []
    session = Session(root=tmp_path, note=notes.append)
    program = "(params m)(data x [1 2])(define r (train (mse (* m x) x) :steps 3))"
    assert session.run(program + form) is None
    text = Elements((tmp_path / named).read_text("utf-8")).text
    assert program in text
    assert "train by gd: 3 steps" in text
    assert re.fullmatch(rf"{named}: \d+ KB", notes[0])


@pytest.mark.parametrize(
    ("form", "kind"),
    [
        ('(report :to "a.html")', "value"),
        ('(report 1 :to "../a.html")', "file"),
        ("(report 1 :to 2)", "type"),
        ("(report 1 :too 2)", "keyword"),
    ],
)
def test_mistakes(tmp_path: Path, form: str, kind: str) -> None:
    with pytest.raises(NablispError) as caught:
        Session(root=tmp_path).run(form)
    assert caught.value.kind == kind


def test_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.gd").write_text("(params (k 1))\n(+ 1 2)")
    Path("b.gd").write_text("(train (sqrt k) :lr 1)")
    Path("c.gd").write_text("(+ 1 2)(sine 1)")
    assert main(["report", "a.gd"]) == 0
    assert "<title>a.gd</title>" in Path("a.html").read_text("utf-8")
    assert main(["report", "a.gd", "b.gd", "-o", "both.html", "--title", "Both"]) == 3
    both = Path("both.html").read_text("utf-8")
    assert "<h1>Both</h1>" in both
    assert "diverged" in both
    assert main(["report", "a.gd", "-o", "-"]) == 0
    assert capsys.readouterr().out.startswith("<!DOCTYPE html>")
    assert main(["report", "c.gd"]) == 1
    assert not Path("c.html").exists()
    assert "there is no function or form called sine" in capsys.readouterr().err
    assert main(["report", "a.gd", "-o", "a.gd"]) == 2
    assert main(["report", "none.gd"]) == 2


# ---- pictures ------------------------------------------------------------------------------------


def test_every_series_is_drawn() -> None:
    x = np.linspace(-1, 1, 21)
    with np.errstate(all="ignore"):
        hole = np.where(abs(x) < 0.2, np.nan, 1 / x)
    figure = Figure(
        (
            Line(x, hole, "a", 0, marked=True),
            Points(x, x, "b", 1, error=abs(x)),
            Band(x, x - 1, x + 1, "c", 2),
            Contours(x, x, x[:, None] ** 2 + x**2, "d"),
        )
    )
    (picture,) = parts(svg.alone(figure), "svg")
    paths = {e.get("class", ""): e.get("d", "") for e in picture.iter() if e.get("d")}
    assert paths["line c0"].count("M") == 2 or paths["line c0"].startswith("M")
    assert {"points c1", "bar c1", "band c2", "contours c7", "points c0 small"} <= {*paths}
    assert all("nan" not in d and "inf" not in d for d in paths.values())


@pytest.mark.parametrize(
    ("low", "high", "log", "texts"),
    [
        (-2.3, 3.3, False, ["−2", "−1", "0", "1", "2", "3"]),
        (0, 4e7, False, ["0", "1e+07", "2e+07", "3e+07", "4e+07"]),
        (1e-4, 30, True, ["10⁻⁴", "10⁻³", "10⁻²", "10⁻¹", "10⁰", "10¹"]),
        (2.0, 3.0, True, ["2", "2.2", "2.4", "2.6", "2.8", "3"]),
    ],
)
def test_ticks(low: float, high: float, log: bool, texts: list[str]) -> None:
    assert [text for _, text in svg.Side(Axis(low, high, log), 500).ticks(6)] == texts


def test_a_straight_line_is_two_points() -> None:
    x = np.linspace(0, 1, 241)
    (picture,) = parts(svg.svg(Figure((Line(x, 2 * x, "", 1),))), "svg")
    (path,) = [e.get("d", "") for e in picture.iter() if e.get("class") == "line c1"]
    assert path.count("L") == 1
    (picture,) = parts(svg.svg(Figure((Line(x, x**2, "", 1),))), "svg")
    (path,) = [e.get("d", "") for e in picture.iter() if e.get("class") == "line c1"]
    assert 8 < path.count("L") < 60


@pytest.mark.parametrize("color", PALETTE)
def test_colours_stand_out(color: str) -> None:
    for ground in (style.LIGHT, style.DARK):
        assert style.contrast(style.readable(color, ground), ground) >= 3


def test_a_long_film_is_thinned() -> None:
    x = np.arange(3.0)
    frames = tuple(Figure((Line(x, x * k, "", 1),), f"step {k}") for k in range(100))
    html = fragment(Movie(frames))
    assert html.count("<input") == style.FRAMES
    assert 'aria-label="step 99" checked' in html


# ---- in a browser --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("profile")) as found:
        yield found


@pytest.fixture
def seen(chromium: Browser, tmp_path: Path, line: str) -> Browser:
    """The article's page in a browser, wide and light."""
    path = tmp_path / "line.html"
    path.write_text(line, "utf-8")
    chromium.size(1200)
    chromium.media()
    chromium.open(path)
    return chromium


SHOWN = """[...document.querySelectorAll(".moves")].map(group =>
  [...group.children].map((e, k) => getComputedStyle(e).display == "none" ? -1 : k)
  .filter(k => k >= 0).join())"""


@needs_browser
def test_it_asks_for_nothing(seen: Browser) -> None:
    asked = [p["request"]["url"] for m, p in seen.events if m == "Network.requestWillBeSent"]
    assert len(asked) == 1, asked
    said = [p for m, p in seen.events if m in ("Log.entryAdded", "Runtime.consoleAPICalled")]
    assert said == []


@needs_browser
@pytest.mark.parametrize("scripts", [True, False])
def test_the_slider(seen: Browser, scripts: bool) -> None:
    """Arrow keys move it, and each moment shows its own curve, caption and place on the loss."""
    seen.do("Emulation.setScriptExecutionDisabled", value=not scripts)
    try:
        assert seen.value(SHOWN) == ["20", "20", "20"]
        while seen.value("document.activeElement.type") != "radio":
            seen.press("Tab")
        for _ in range(3):
            seen.press("ArrowLeft")
        assert seen.value(SHOWN) == ["17", "17", "17"]
        seen.press("ArrowRight")
        assert seen.value(SHOWN) == ["18", "18", "18"]
        assert seen.value("document.querySelector('p.moves').innerText").startswith("step 18, loss")
        place = seen.value(
            "(e => (e.scrollIntoView({block: 'center'}), e.getBoundingClientRect().toJSON()))"
            "(document.querySelectorAll('input')[2])"
        )
        at = {"x": place["x"] + place["width"] / 2, "y": place["y"] + place["height"] / 2}
        for kind in ("mousePressed", "mouseReleased"):
            seen.do("Input.dispatchMouseEvent", type=kind, button="left", clickCount=1, **at)
        assert seen.value(SHOWN) == ["2", "2", "2"]
    finally:
        seen.do("Emulation.setScriptExecutionDisabled", value=False)


@needs_browser
def test_its_own_policy_forbids_scripts(chromium: Browser, tmp_path: Path, line: str) -> None:
    bad = line.replace("</main>", "<script>document.title = 'run'</script></main>")
    path = tmp_path / "bad.html"
    path.write_text(bad, "utf-8")
    chromium.open(path)
    assert chromium.value("document.title") == "a page"


@needs_browser
def test_dark_and_print(seen: Browser) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    assert seen.value(ground) == "rgb(255, 255, 255)"
    seen.media(prefers_color_scheme="dark")
    assert seen.value(ground) == "rgb(22, 24, 29)"
    seen.press("Tab")
    seen.value("document.querySelector('input').click()")
    assert seen.value(SHOWN) == ["0", "0", "0"]
    seen.media("print", prefers_color_scheme="dark")
    assert seen.value(SHOWN) == ["20", "20", "20"]
    assert seen.value("getComputedStyle(document.querySelector('input')).display") == "none"
    assert seen.value(ground) == "rgb(255, 255, 255)"


OUTSIDE = """[...document.querySelectorAll("body *")].filter(e =>
  !e.closest("pre, .math, .wide, svg") && e.getBoundingClientRect().right > innerWidth + 0.5)
  .map(e => e.outerHTML.slice(0, 80))"""


@needs_browser
@pytest.mark.parametrize("example", ["line", "fit", "quadratic", "iris"])
@pytest.mark.parametrize("width", [360, 1200])
def test_it_fits(chromium: Browser, tmp_path: Path, example: str, width: int) -> None:
    """Nothing is wider than the page, and formulas take room."""
    path = tmp_path / "page.html"
    path.write_text(page_of((EXAMPLES / f"{example}.gd").read_text("utf-8")), "utf-8")
    chromium.size(width)
    chromium.media()
    chromium.open(path)
    assert chromium.value("document.documentElement.scrollWidth") <= width
    assert chromium.value(OUTSIDE) == []
    sizes: Any = chromium.value(
        "[...document.querySelectorAll('math')].filter(e => e.checkVisibility())"
        ".map(e => e.getBoundingClientRect()).map(r => Math.min(r.width, r.height))"
    )
    assert sizes
    assert min(sizes) > 5
