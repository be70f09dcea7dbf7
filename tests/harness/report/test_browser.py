"""The report in a real Chromium: no request, no error, filter, order, keys, themes, a phone's width, paper, files."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.report import page
from harness.report.export import write_figures
from harness.report.reading import read_report
from harness.report.sections import figures
from tests.harness.report_helpers import change, visits
from tests.harness.synthetic_run import write_run

CHROMIUM = os.environ.get("BROWSER_PATH", "/usr/bin/chromium")
if not os.access(CHROMIUM, os.X_OK):
    pytest.skip(f"there is no Chromium at {CHROMIUM}; BROWSER_PATH says where one is", allow_module_level=True)
pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

EVIL = "</script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"
SHOWN = "document.querySelectorAll('#results tbody tr:not([hidden])').length"
# Labels of the rows of the first figure, as they are drawn.
LABELS = "[...document.querySelectorAll('[data-figure=throughput] .ytick text')].map((each) => each.textContent)"


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a run of eight entrants, one of which has a name that tries to be more."""
    folder = write_run(tmp_path_factory.mktemp("results") / "run", entrants=8, rounds=4, epochs=2, seeds=2)

    def edit(rows: Any) -> None:
        rows["variant"] = rows["variant"].mask(rows["mode"] == "dynamic", EVIL)
        rows["run"] = EVIL

    for name in ("launches", "epochs", "inference", "latency"):
        change(folder / f"{name}.csv", edit)
    path = folder / "report.html"
    path.write_text(page.render(read_report(folder)), encoding="utf-8")
    return path


@pytest.fixture
def visit(browser: Any, report: Path) -> Iterator[Callable[..., Any]]:
    """Opens the page, from the disk."""

    def ours(address: str) -> bool:
        return address.partition("?")[0] == report.as_uri() or address.startswith("blob:")

    with visits(browser, report, ours=ours, viewport={"width": 1200, "height": 900}) as visit:
        yield visit


def backs(tab: Any) -> tuple[str, str]:
    """Colours of the page's ground and of a figure's letters."""
    tab.locator(".plot").first.scroll_into_view_if_needed()
    tab.wait_for_timeout(100)
    letters = tab.evaluate("getComputedStyle(document.querySelector('.plot .ytick text')).fill")
    return tab.evaluate("getComputedStyle(document.body).backgroundColor"), letters


def test_page_loads_and_draws(visit: Callable[..., Any]) -> None:
    """Without a complaint or a request; every figure before it is scrolled to; names do nothing but stand there."""
    tab = visit()

    number = tab.evaluate("document.querySelectorAll('.plot').length")
    tab.wait_for_function(f"() => document.documentElement.dataset.drawn === '{number}'")
    assert tab.evaluate("scrollY") == 0
    assert tab.evaluate("document.querySelectorAll('.plot .main-svg:first-child').length") >= number
    assert "lenet-bench" in tab.title()
    assert tab.evaluate("document.querySelectorAll('body img').length") == 0
    assert tab.evaluate("document.querySelectorAll('.plot a[href]').length") == 0
    assert any(f"PaddlePaddle (dynamic, {EVIL[:20]}" in label for label in tab.evaluate(LABELS))


def test_filter_acts_on_tables_figures_and_legends(visit: Callable[..., Any]) -> None:
    """By a box, by words and by both; and all is back afterwards."""
    tab = visit()
    assert tab.evaluate(SHOWN) == len(tab.evaluate(LABELS)) == 8
    assert not tab.get_by_label("PyTorch", exact=True).is_visible()

    tab.locator("#filters > summary").click()
    tab.get_by_label("PyTorch", exact=True).check()
    assert tab.locator("#count").text_content() == "2 of 8 entrants shown"
    assert tab.evaluate(SHOWN) == 2
    assert {label.split()[0] for label in tab.evaluate(LABELS)} == {"PyTorch"}
    tab.locator("[data-figure=rounds]").scroll_into_view_if_needed()
    tab.wait_for_selector("[data-figure=rounds] .scatterlayer .trace", state="attached")
    assert tab.evaluate("document.querySelectorAll('[data-figure=rounds] .scatterlayer .trace').length") == 2
    assert tab.evaluate("document.querySelectorAll('#figure-rounds .legend li:not([hidden])').length") == 2

    tab.locator("#search").fill("CHANNELS")
    # What is out of sight is drawn a little later.
    tab.wait_for_function(f"() => {LABELS}.length === 1")
    assert tab.evaluate(LABELS) == ["PyTorch (channels-last)"]
    tab.locator("#search").fill("nobody")
    assert tab.evaluate(SHOWN) == 0
    assert not tab.locator("figure").first.is_visible()
    tab.get_by_role("button", name="Show all entrants").click()
    tab.wait_for_function("() => document.getElementById('count').textContent.startsWith('8 of 8')")
    tab.wait_for_function(f"() => {LABELS}.length === 8")
    assert tab.evaluate(SHOWN) == 8


def test_choice_is_in_the_address(visit: Callable[..., Any]) -> None:
    """Whoever is given the address sees what was chosen, with the filter open; without a choice it is as before."""
    tab = visit()
    tab.locator("#filters > summary").click()
    tab.get_by_label("PyTorch", exact=True).check()
    tab.locator("#search").fill("channels last")

    assert tab.evaluate("location.search") == "?backend=torch&name=channels+last"
    tab.locator("#search").fill("channels")
    tab.goto(tab.url, wait_until="load")
    tab.wait_for_function("() => document.getElementById('count').textContent.startsWith('1 of 8')")
    assert tab.get_by_label("PyTorch", exact=True).is_checked()
    assert tab.evaluate("document.getElementById('filters').open")
    tab.wait_for_function(f"() => {LABELS}.length === 1")
    assert tab.evaluate(LABELS) == ["PyTorch (channels-last)"]
    tab.get_by_role("button", name="Show all").click()
    tab.wait_for_function("() => location.search === ''")


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (390, 844)])
def test_first_screen(visit: Callable[..., Any], width: int, height: int) -> None:
    """What was run, the answer and the figure of speeds are seen without scrolling; the filter is closed below it."""
    tab = visit(viewport={"width": width, "height": height})

    words = tab.locator(".lead").text_content()
    assert " trains fastest, " in words or " has the highest speed, " in words
    boxes = [tab.locator(name).bounding_box() for name in ("h1", ".lead", "[data-figure=throughput]", "#filters")]
    tops = [box["y"] for box in boxes]
    assert tops == sorted(tops)
    # On a phone, its first rows: the page has eight.
    assert boxes[2]["y"] + (boxes[2]["height"] if width > 400 else 100) <= height


def test_buttons_cover_no_mark(visit: Callable[..., Any]) -> None:
    """Those of a figure are below it; a zoomed figure can be had whole again."""
    tab = visit()
    figure = tab.locator("#figure-throughput")
    tab.wait_for_selector("[data-figure=throughput] .main-svg", state="attached")
    tab.mouse.move(*[tab.locator("[data-figure=throughput]").bounding_box()[each] + 60 for each in ("x", "y")])

    assert tab.evaluate("document.querySelectorAll('.modebar-btn').length") == 0
    plot, button = (
        tab.locator("[data-figure=throughput]").bounding_box(),
        figure.get_by_role("button", name="Save as SVG"),
    )
    assert button.bounding_box()["y"] >= plot["y"] + plot["height"]
    whole = figure.get_by_role("button", name="Whole figure again")
    assert not whole.is_visible()
    zoom = "{'xaxis.range[0]': 1, 'xaxis.range[1]': 2}"
    tab.evaluate(f"Plotly.relayout(document.querySelector('[data-figure=throughput]'), {zoom})")
    whole.click()
    assert tab.evaluate("document.querySelector('[data-figure=throughput]').layout.xaxis.range[0]") == 0
    assert not whole.is_visible()
    with tab.expect_download() as saved:
        button.click()
    assert saved.value.suggested_filename == "throughput.svg"


def test_columns_sort(visit: Callable[..., Any]) -> None:
    """By figures, largest first, then smallest; by words; what is missing stays last; the heading says so."""
    tab = visit()

    def column(place: int) -> list[str]:
        cells = (
            f"[...document.querySelectorAll('#results tbody tr')].map((row) => row.cells[{place}].textContent.trim())"
        )
        return list(tab.evaluate(cells))

    def order(place: int) -> str:
        return str(tab.locator("#results thead th").nth(place).get_attribute("aria-sort"))

    heading = tab.locator("#results thead").get_by_role("button", name="images/s")
    speeds = [int(text.replace(",", "")) for text in column(1)]
    heading.click()
    assert (order(1), [int(text.replace(",", "")) for text in column(1)]) == ("descending", sorted(speeds)[::-1])
    heading.click()
    assert (order(1), [int(text.replace(",", "")) for text in column(1)]) == ("ascending", sorted(speeds))
    tab.locator("#results thead").get_by_role("button", name="its interval").click()
    assert (order(1), order(4)) == ("none", "descending")
    assert column(4)[-1] == "–"  # noqa: RUF001
    tab.locator("#results thead").get_by_role("button", name="framework").click()
    assert order(0) == "ascending"
    assert [name.split()[0] for name in column(0)] == sorted(name.split()[0] for name in column(0))


def test_keys_alone_will_do(visit: Callable[..., Any]) -> None:
    """Skip link, filter, order and theme without a mouse; what has the focus is seen."""
    tab = visit()

    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.textContent") == "Skip to the results"
    assert tab.evaluate("document.activeElement.getBoundingClientRect().left") >= 0
    tab.keyboard.press("Enter")
    assert tab.evaluate("document.activeElement.id") == "results"
    for _ in range(3):  # the table's own region, then the first two headings
        tab.keyboard.press("Tab")
    assert tab.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    tab.keyboard.press("Enter")
    assert tab.locator("#results thead th").nth(1).get_attribute("aria-sort") == "descending"
    tab.locator("#filters > summary").focus()
    tab.keyboard.press("Enter")
    tab.get_by_label("JAX", exact=True).focus()
    tab.keyboard.press("Space")
    assert tab.locator("#count").text_content() == "2 of 8 entrants shown"
    tab.locator("#theme").focus()
    tab.keyboard.press("Enter")
    assert tab.locator("#theme").text_content() == "Theme: light"


def test_light_and_dark(visit: Callable[..., Any]) -> None:
    """As the system has it, figures too; the button decides otherwise, and is remembered."""
    light, dark = ("rgb(255, 255, 255)", "rgb(27, 31, 36)"), ("rgb(20, 24, 29)", "rgb(228, 232, 236)")
    tab = visit(color_scheme="light")
    assert backs(tab) == light
    tab.emulate_media(color_scheme="dark")
    assert backs(tab) == dark

    tab.locator("#theme").click()
    assert backs(tab) == light
    tab.reload()
    tab.wait_for_selector("html[data-drawn]", state="attached")
    assert tab.locator("#theme").text_content() == "Theme: light"
    assert backs(tab) == light


def test_phone(visit: Callable[..., Any]) -> None:
    """At 375 pixels the page itself does not scroll sideways, with every figure drawn and every table open."""
    tab = visit(viewport={"width": 375, "height": 800}, is_mobile=True, has_touch=True)
    tab.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")

    for place in range(tab.locator(".plot").count()):
        tab.locator(".plot").nth(place).scroll_into_view_if_needed()
        tab.locator(".plot").nth(place).locator(".main-svg").first.wait_for()
    assert tab.evaluate("document.documentElement.scrollWidth") == 375
    assert (
        tab.evaluate("Math.max(...[...document.querySelectorAll('.main-svg')].map((each) => each.clientWidth))") < 375
    )


def test_paper_has_all_figures(visit: Callable[..., Any], tmp_path: Path) -> None:
    """Printing draws every figure anew, on white, and leaves out what is only of use on a screen."""
    tab = visit(color_scheme="dark")
    number = tab.evaluate("document.querySelectorAll('.plot').length")
    drawn = "document.documentElement.dataset.drawn"
    tab.evaluate(f"addEventListener('beforeprint', () => {{ window.printed = {drawn}; }})")

    paper = tab.pdf(prefer_css_page_size=True, print_background=True)

    assert paper.startswith(b"%PDF")
    assert int(tab.evaluate("window.printed")) == number
    tab.emulate_media(media="print")
    assert tab.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert not tab.locator("#filter").is_visible()


def test_figures_as_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Named as the figures are, and equal for equal runs."""
    pytest.importorskip("kaleido", reason="kaleido is not installed")
    monkeypatch.setenv("BROWSER_PATH", CHROMIUM)
    found = read_report(write_run(tmp_path / "run", entrants=2, rounds=4, epochs=1))
    chosen = [each for each in figures(found) if each.name in ("throughput", "rounds")]

    chosen.append(replace(chosen[0], name="again"))
    folder = tmp_path / "figures"

    made = write_figures(found, chosen, folder, ["svg", "png"])

    names = [f"{name}.{form}" for name in ("again", "rounds", "throughput") for form in ("png", "svg")]
    assert sorted(path.name for path in made) == sorted(path.name for path in folder.iterdir()) == names
    assert "PyTorch (eager)" in (folder / "throughput.svg").read_text()
    assert (folder / "throughput.svg").read_text() == (folder / "again.svg").read_text()
    assert (folder / "rounds.png").read_bytes().startswith(b"\x89PNG")


def test_results_of_five_frameworks_fit_a_small_laptop(browser: Any, tmp_path: Path) -> None:
    """At 1280 pixels no column of the first table is cut off: the last one's figures were."""
    path = tmp_path / "report.html"
    folder = write_run(tmp_path / "run", entrants=5, rounds=5, epochs=2, seeds=2)
    path.write_text(page.render(read_report(folder)), encoding="utf-8")

    with visits(browser, path, ours=lambda address: True, viewport={"width": 1280, "height": 800}) as visit:
        found = visit().evaluate(
            "(e => [e.scrollWidth, e.parentElement.clientWidth])(document.querySelector('#results table'))"
        )
    assert found[0] <= found[1]
