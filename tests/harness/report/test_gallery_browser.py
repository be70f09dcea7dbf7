"""The gallery in a real Chromium, from the disk: no request but for its own files, figures, links, widths, paper."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.commands.publish import read
from harness.report import site
from tests.harness.report.gallery_runs import write_runs
from tests.harness.report_helpers import visits

DRAWN = "document.documentElement.dataset.drawn"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site of four runs."""
    place = tmp_path_factory.mktemp("gallery")
    write_runs(place / "results")
    site.prepare(place / "site")
    site.write(read([place / "results"], ""), place / "site")
    return place / "site"


@pytest.fixture
def visit(browser: Any, folder: Path) -> Iterator[Callable[..., Any]]:
    """Opens the page, from the disk."""
    mine = folder.as_uri() + "/"
    viewport = {"width": 1280, "height": 800}
    with visits(browser, folder / "index.html", ours=lambda url: url.startswith(mine), viewport=viewport) as visit:
        yield visit


def test_histories_are_drawn(visit: Callable[..., Any]) -> None:
    """One of each entrant, before they are scrolled to, with the versions' lines and names."""
    tab = visit()

    tab.wait_for_function(f"() => {DRAWN} === '2'")
    texts = tab.evaluate("[...document.querySelectorAll('.annotation-text')].map((each) => each.textContent)")
    assert texts == ["→ 2.12.1", "→ 2.13.0"]
    assert tab.evaluate("document.querySelectorAll('.shapelayer path').length") == 2
    assert tab.evaluate("document.querySelectorAll('.plot .scatterlayer .point').length") == 8


def test_reports_are_reached_and_left(visit: Callable[..., Any]) -> None:
    """From the list to a report with its figures, and back; both are ordered by their headings."""
    tab = visit()

    tab.locator("#runs tbody a").first.click()
    tab.wait_for_selector("html[data-drawn]", state="attached")
    assert "training speed of 2 frameworks" in tab.locator("h1").text_content()
    tab.locator("[data-figure=throughput] .main-svg").first.wait_for()
    tab.get_by_role("link", name="All runs").click()
    tab.wait_for_url("**/index.html")
    tab.wait_for_selector("html[data-drawn]", state="attached")
    assert tab.locator("h1").text_content().startswith("All 4 runs on AMD EPYC")
    first = "document.querySelector('#runs tbody th').textContent.trim().slice(0, 10)"
    assert tab.evaluate(first) == "2026-11-28"
    heading = tab.locator("#runs thead").get_by_role("button", name="started")
    heading.click()
    assert tab.evaluate(first) == "2026-11-20"


def test_phone_and_paper(visit: Callable[..., Any]) -> None:
    """At 390 pixels nothing scrolls sideways but tables by themselves; paper is white and has every figure."""
    tab = visit(viewport={"width": 390, "height": 844}, color_scheme="dark")
    tab.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    tab.wait_for_function(f"() => {DRAWN} === '2'")

    assert tab.evaluate("document.documentElement.scrollWidth") == 390
    assert tab.pdf(prefer_css_page_size=True, print_background=True).startswith(b"%PDF")
    tab.emulate_media(media="print")
    assert tab.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
