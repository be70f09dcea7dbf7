"""The gallery as files: a page of all runs, a report each, and Plotly once beside them; they need no server."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import harness
from harness.errors import InputError
from harness.files import write_text_atomically
from harness.report import first_screen, gallery_tables, page
from harness.report.gallery import Gallery

MARK = '<meta name="generator" content="lenet-bench gallery">'
# By it a folder is known as ours, also where its writer was killed before there was a page.
OURS = ".lenet-bench-gallery"
# GitHub Pages then leaves out no file whose name begins with a dot or an underscore.
NO_JEKYLL = ".nojekyll"
PLOTLY = "plotly.min.js"
INDEX = "index.html"
FOLDER = "runs"


def render(gallery: Gallery) -> str:
    """The page of all runs."""
    figures = [figure for each in gallery.followers if (figure := gallery_tables.history(gallery, each))]
    drawn = {figure.name: figure for figure in figures}
    last = gallery.last
    shell = page.shell(
        f"Runs on {gallery.machine}", MARK, figures, [{"label": each.label} for each in gallery.followers], PLOTLY
    )
    return page.environment().get_template("gallery.html.j2").render(
        shell=shell,
        gallery=gallery,
        last=last,
        when=first_screen.day(last.record.started),
        since=first_screen.day(gallery.runs[0].record.started),
        until=first_screen.day(gallery.runs[-1].record.started),
        title=first_screen.title(last.report),
        answer=first_screen.answer(last.report),
        warnings=first_screen.warnings(last.report),
        latest=[(group.title, gallery_tables.latest(gallery, group)) for group in gallery.groups],
        histories=[
            (group.title, [drawn[name] for each in group.followers if (name := f"history-{each.number}") in drawn])
            for group in gallery.groups
        ],
        runs=gallery_tables.runs(gallery),
        version=harness.__version__,
    )  # fmt: skip


def check(output: Path) -> None:
    """Refuse a folder that is not ours to write into.

    Raises:
        InputError: something else is there.
    """
    if output.exists() and not output.is_dir():
        raise InputError(f"{output} is no folder. Give another --output.")
    if output.is_dir() and not (output / OURS).exists() and any(output.iterdir()):
        raise InputError(
            f"{output} is not empty, and was not written by lenet-bench publish; it was left alone. Give an empty or "
            "new folder: --output."
        )


def prepare(output: Path) -> None:
    """Make the folder, or take one that was made by this before.

    Raises:
        InputError: as `check`, or it cannot be made.
    """
    check(output)
    try:
        (output / FOLDER).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"Cannot make {output}: {error.strerror}. Give another --output.") from None
    write_text_atomically(output / OURS, "Written by lenet-bench publish, which may write it anew.\n")


def write(gallery: Gallery, output: Path, tell: Callable[[str], None] = lambda _: None) -> None:
    """Write every page; reports of before, of runs that are gone, are deleted, and nothing else is.

    Args:
        output: as `prepare` has left it.
        tell: is told of each report before it is made.
    """
    write_text_atomically(output / NO_JEKYLL, "")
    write_text_atomically(output / PLOTLY, page.plotly_script())
    for number, run in enumerate(gallery.runs, start=1):
        tell(f"Report {number} of {len(gallery.runs)}: {run.record.name}")
        made = page.render(run.report, home=f"../{INDEX}", plotly=f"../{PLOTLY}")
        write_text_atomically(output / run.page, made)
    write_text_atomically(output / INDEX, render(gallery))
    kept = {run.page for run in gallery.runs}
    for old in (output / FOLDER).glob("*.html"):
        if f"{FOLDER}/{old.name}" not in kept and page.is_ours(old, page.MARK):
            old.unlink()
