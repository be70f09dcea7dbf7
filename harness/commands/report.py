"""`lenet-bench report`: a run as one HTML file, and its figures as files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.errors import InputError
from harness.files import write_text_atomically
from harness.tables import layout

NAME, SHARED_NAME = "report.html", "report-shared.html"


def report(
    run: Annotated[Path, typer.Argument(help="A folder under results/.", metavar="RUN")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help=f"File to write. [default: RUN/{NAME}]")
    ] = None,
    base: Annotated[
        str,
        typer.Option("--base", help="What all others are compared with: torch, for instance. [default: the run's]"),
    ] = "",
    figures: Annotated[
        Path | None, typer.Option("--figures", metavar="DIR", help="Also write each figure as a file here.")
    ] = None,
    form: Annotated[str, typer.Option("--format", help="Format of these files: svg, png or pdf, or several.")] = "svg",
    share: Annotated[
        bool, typer.Option("--share", help="Write a page for strangers: no paths, no packages, no words of errors.")
    ] = False,
) -> None:
    """Write a run as one HTML file: tables, figures, proof, machine, the command that makes the run again.

    The page needs no network and sends nothing. Its tables can be sorted, filtered and printed. Where a run has not
    ended, the page shows the launches that have ended, and says so.

    --figures also writes each figure as a file, throughput.svg for instance, and replaces files of the same name. This
    needs Chromium or Chrome, and the extra `figures`.

    No page names the host, the login or the home folder. --share writes another page, which also leaves out paths,
    lists of packages and the words of errors.

    Examples:

    - `lenet-bench report results/2026-11-20T10-00-00-torch`
    - `lenet-bench report results/A --output A.html --base "torch eager"`
    - `lenet-bench report results/A --figures paper --format svg,png`
    - `lenet-bench report results/A --share --output page.html`
    """
    name = SHARED_NAME if share else NAME
    write_report(run, target=output or run / name, base=base, figures=figures, form=form, share=share)


def write_report(run: Path, *, target: Path, base: str, figures: Path | None, form: str, share: bool = False) -> None:
    """Write the page, and the figures where a folder for them is given; arguments as those of `report`.

    Raises:
        InputError: the folder is no run or was damaged, or something else is at the target; nothing is written then.
    """
    # Plotly and Jinja take most of a second to load: other commands do without.
    from harness.report import export, page, reading, sections, sharing

    formats = export.parse_formats(form)
    found = reading.read_report(run, base=base)
    found = sharing.for_strangers(found) if share else found
    refuse_foreign(target, page.MARK)
    if figures:
        export.find_browser()
    write_text_atomically(target, page.render(found))
    console = layout.stdout()
    if not found.ended:
        console.print(
            f"{run} has not ended: the report is of the {len(found.launches)} launches that have.",
            style="bold red",
            markup=False,
            soft_wrap=True,
        )
    console.print(f"Wrote {target}", markup=False, soft_wrap=True)
    if figures:
        made = export.write_figures(found, sections.figures(found), figures, formats)
        console.print(f"Wrote {len(made)} figures to {figures}", markup=False, soft_wrap=True)


def refuse_foreign(target: Path, mark: str) -> None:
    """Refuse to write over what is not a report.

    Raises:
        InputError: there is something else of that name.
    """
    from harness.report.page import is_ours

    if target.exists() and not is_ours(target, mark):
        raise InputError(
            f"{target} exists and is not a report of lenet-bench; it was left alone. Give another --output."
        )
