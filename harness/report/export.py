"""Figures as files, for papers and for the README: drawn by a browser without a window, one start for all of them."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

from harness.errors import InputError, unknown
from harness.report.parts import Figure
from harness.report.reading import Report

FORMATS = ("svg", "png", "pdf")
WIDTH = 900
# Of PNG: pixels for each of the figure's units.
SCALE = 2
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
BROWSER = "BROWSER_PATH"
HINT = f"Install one (apt-get install chromium), or say where it is: {BROWSER}=/usr/bin/chromium."


def parse_formats(value: str) -> list[str]:
    """Read `svg,png`.

    Raises:
        InputError: another format.
    """
    formats = list(dict.fromkeys(part.strip() for part in value.split(",")))
    for each in formats:
        if each not in FORMATS:
            raise unknown("format of figures", each, FORMATS)
    return formats


def find_browser() -> str:
    """Path of the browser that draws.

    Raises:
        InputError: kaleido or a browser is missing.
    """
    if importlib.util.find_spec("kaleido") is None:
        raise InputError('Figures as files need kaleido, which is not installed: pip install "lenet-bench[figures]".')
    given = os.environ.get(BROWSER, "")
    if given and not os.access(given, os.X_OK):
        raise InputError(f"{BROWSER} is {given!r}, which is no program. {HINT}")
    found = given or next(filter(None, map(shutil.which, BROWSERS)), "")
    if not found:
        raise InputError(f"Figures as files are drawn by Chromium or Chrome, and none was found. {HINT}")
    return found


def write_figures(report: Report, figures: list[Figure], folder: Path, formats: list[str]) -> list[Path]:
    """Write every figure in every format, as NAME.FORMAT; files of these names are replaced, others are left alone.

    Raises:
        InputError: no browser, no kaleido, or the folder cannot be written to.
    """
    browser = find_browser()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Beside their place, so that each can be moved there whole.
        with tempfile.TemporaryDirectory(dir=folder, prefix=".figures-") as scratch:
            made = _draw(report, figures, Path(scratch), formats, browser)
            for path in made:
                path.replace(folder / path.name)
    except OSError as error:
        raise InputError(f"Cannot write figures to {folder}: {error.strerror}. Give another --figures.") from None
    return [folder / path.name for path in made]


def _draw(report: Report, figures: list[Figure], folder: Path, formats: list[str], browser: str) -> list[Path]:
    import plotly.graph_objects as go
    import plotly.io as pio

    os.environ[BROWSER] = browser
    places = [(figure, folder / f"{figure.name}.{form}") for figure in figures for form in formats]
    made = {figure.name: go.Figure(for_paper(report, figure)) for figure in figures}
    # Formulas are not used: without this, kaleido fetches MathJax from a network that may not be there.
    pio.defaults.mathjax = None
    try:
        pio.write_images(
            fig=[made[figure.name] for figure, _ in places],
            file=[str(path) for _, path in places],
            scale=[SCALE if path.suffix == ".png" else 1 for _, path in places],
            width=WIDTH,
            height=[made[figure.name].layout.height for figure, _ in places],
        )
    except (RuntimeError, ValueError) as error:
        first = str(error).strip().splitlines()[0]
        raise InputError(f"{browser} could not draw the figures: {first} Set {BROWSER} to another browser.") from None
    for _, path in places:
        if path.suffix == ".svg":
            _settle(path)
    return [path for _, path in places]


def _settle(path: Path) -> None:
    """Name the parts of an SVG as in every other drawing of it, so that equal figures are equal files."""
    drawing = path.read_text(encoding="utf-8")
    found = re.search(r'id="defs-([0-9a-f]+)"', drawing)
    if found:
        path.write_text(drawing.replace(found[1], "figure"), encoding="utf-8")


def for_paper(report: Report, figure: Figure) -> dict[str, Any]:
    """The figure as Plotly's JSON, on white, with the names of its lines beside it."""
    layout = figure.layout | {"template": "plotly_white", "width": WIDTH, "font": {"size": 14, "color": "#000000"}}
    # A name of its own for each trace, which Plotly otherwise draws by lot, so that equal figures are equal files.
    traces = [trace | {"uid": f"{place:06d}"} for place, trace in enumerate(figure.traces)]
    if figure.rows:
        # Rows are higher than on the page, as the letters are.
        layout["height"] = figure.layout["height"] + 4 * len(figure.layout["meta"]["labels"])
    if figure.legend:
        layout |= {"showlegend": True, "legend": {"font": {"size": 12}}}
        named: set[str] = set()
        for trace in traces:
            # Several trainings of one entrant are one line of the legend.
            trace |= {"showlegend": trace["name"] not in named, "legendgroup": trace["name"]}
            named.add(trace["name"])
    return {"data": traces, "layout": layout}
