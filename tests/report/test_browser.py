"""The pages in a browser: keyboard, phone, dark mode, hostile names and many classes, without an error."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mindcv.report.comparison_page import render_comparison
from mindcv.report.run_folder import KEYS, RunFolder
from mindcv.report.run_page import render_run
from tests.support.report_pages import HOSTILE, example_page

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="no Chromium: apt-get install chromium"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator:
    api = pytest.importorskip("playwright.sync_api")
    with api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield launched
        launched.close()


class Shown:
    """A page that is open; everything that it reports or asks for."""

    def __init__(self, browser, path: Path, width: int, scheme: str) -> None:
        self.page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
        self.told: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.told.append(message.text))
        self.page.on("pageerror", lambda error: self.told.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(path.as_uri())

    def overflow(self) -> int:
        return self.page.evaluate("document.documentElement.scrollWidth - window.innerWidth")


@pytest.fixture
def show(browser, tmp_path) -> Iterator[Callable[..., Shown]]:
    opened: list[Shown] = []

    def shown(classes, width: int = 1200, scheme: str = "light", **options) -> Shown:
        path = tmp_path / "report.html"
        path.write_text(render_run(example_page(classes, **options)), encoding="utf-8")
        opened.append(Shown(browser, path, width, scheme))
        return opened[-1]

    yield shown
    for each in opened:
        each.page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [375, 1200])
@pytest.mark.parametrize("classes", [2, 10, 30, 1000])
def test_a_page_opens_without_an_error_and_does_not_scroll_sideways(show, classes, width, scheme):
    shown = show(classes, width, scheme, images=5000)
    page = shown.page
    assert shown.told == []
    assert [url for url in shown.requests if not url.startswith(("file:", "data:"))] == []
    assert shown.overflow() <= 0
    assert page.locator("figure.chart svg[role=img]").count() == 5  # four charts and the diagram
    assert page.locator("table.matrix").count() == (classes <= 30)
    assert page.locator(".mistakes img").count() == 24
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background == {"light": "rgb(255, 255, 255)", "dark": "rgb(21, 22, 26)"}[scheme]


def test_hostile_names_are_shown_and_not_run(show):
    long = "word" * 60
    shown = show([HOSTILE, long, "</script>", "c"], width=375)
    assert shown.told == []
    assert shown.overflow() <= 0
    assert shown.page.evaluate("window.hacked") is None
    assert shown.page.locator("table.classes tbody").inner_text().count(HOSTILE) >= 1


def test_values_are_read_with_the_keyboard_and_one_wild_value_does_not_flatten_a_curve(show):
    page = show(10).page
    chart = page.locator("figure.chart").first
    plot, tip = chart.locator("svg[tabindex]"), chart.locator(".tip")
    plot.focus()
    assert tip.is_hidden()
    page.keyboard.press("ArrowRight")
    assert tip.inner_text().startswith("epoch 1")
    for _ in range(13):
        page.keyboard.press("ArrowRight")
    assert "100000" in tip.inner_text()  # the wild value itself can be read
    page.keyboard.press("End")
    assert tip.inner_text().startswith("epoch 40")
    page.keyboard.press("Escape")
    assert tip.is_hidden()
    labels = [float(text) for text in chart.locator(".axes text[text-anchor=end]").all_text_contents()[:-1]]
    assert max(labels) <= 3
    chart.get_by_role("button", name="log").press("Enter")
    labels = chart.locator(".axes text[text-anchor=end]").all_text_contents()
    assert any(float(text) >= 10_000 for text in labels[:-1])


def test_every_control_is_reached_by_tab(show):
    page = show(10).page
    reached = set()
    for _ in range(80):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.textContent.trim().slice(0, 20)"))
    assert {"Curves", "linear", "log", "training", "validation", "accuracy", "images"} <= reached


def test_a_line_is_hidden_by_its_legend(show):
    page = show(10).page
    chart = page.locator("figure.chart").first
    assert chart.locator("path.line").count() == 4  # two lines, and two in the legend
    chart.get_by_role("button", name="training", exact=True).click()
    assert chart.locator("path.line").count() == 3


def test_a_thousand_classes_are_searched_sorted_and_shown_on_request(show):
    page = show(1000, images=20_000).page
    rows = page.locator("table.classes tbody tr")
    assert rows.count() == 20
    shares = [float(text.rstrip("%")) for text in rows.locator("td:nth-child(3)").all_inner_texts()]
    assert shares == sorted(shares)  # the worst first
    page.locator("#class-search").fill("CLASS 77")
    page.wait_for_function("document.querySelectorAll('table.classes tbody tr').length === 11")
    assert all("class 77" in text for text in rows.locator("td:first-child").all_inner_texts())
    assert page.locator("table.pairs tbody tr").first.inner_text().count("class 77") >= 1
    page.locator("#class-search").fill("no such class")
    assert rows.all_inner_texts() == ["no match"]
    page.locator("#class-search").fill("")
    page.get_by_role("button", name="Show all 1,000").click()
    assert rows.count() == 1000
    page.get_by_role("button", name="class", exact=True).first.click()
    assert page.locator("table.classes th").first.get_attribute("aria-sort") == "ascending"


@pytest.mark.parametrize(("width", "scheme"), [(375, "dark"), (1200, "light")])
def test_runs_are_compared_without_an_error_and_without_scrolling_sideways(browser, tmp_path, width, scheme):
    columns = {key: [1.0, 0.5] for key in KEYS} | {"epoch": [1.0, 2.0]}
    runs = [RunFolder(name=name, columns=columns, options={"lr": len(name)}) for name in (HOSTILE, "b")]
    path = tmp_path / "comparison.html"
    path.write_text(render_comparison(runs, {"lr": 0.1}), encoding="utf-8")
    shown = Shown(browser, path, width, scheme)
    assert shown.told == []
    assert shown.overflow() <= 0
    assert shown.page.evaluate("window.hacked") is None
    charts = shown.page.locator("figure.chart")
    assert charts.locator("h3").all_inner_texts() == ["Loss", "Accuracy", "Learning rate", "Speed"]
    charts.first.locator("svg[tabindex]").focus()
    shown.page.keyboard.press("End")
    assert charts.first.locator(".tip b").all_inner_texts() == ["0.5"] * 6
    shown.page.close()
