"""`lenet-bench publish`: all runs of a machine as a site of files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.commands.history import choose_machine
from harness.errors import InputError
from harness.tables import layout

if TYPE_CHECKING:
    from harness.report.gallery import Gallery

# Not site: that is where `nox -s docs` builds the documentation.
OUTPUT = Path("gallery")


def publish(
    places: Annotated[
        list[Path] | None,
        typer.Argument(help="Folders of runs, or runs. [default: results]", metavar="[RESULTS]...", show_default=False),
    ] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="A new folder, or the gallery of before.")
    ] = OUTPUT,
    machine: Annotated[
        str,
        typer.Option(
            help="A part of the machine's name, or the beginning of its digest. [default: this one, or the only one]"
        ),
    ] = "",
) -> None:
    """Write a site of all runs of a machine: the latest figures, each entrant's history, every report.

    Open `index.html` in a browser: no server and no network are needed. To publish the site, put the folder on any web
    server, on GitHub Pages for instance. The reports are those of `report --share`: they have no paths, no lists of
    packages, and no words of errors. A run that cannot be read is named and left out. A folder that this command has
    written before is brought up to date. Any other folder must be new or empty.

    Examples:

    - `lenet-bench publish`
    - `lenet-bench publish results --output docs/gallery`
    - `lenet-bench publish results other/results --machine "AMD EPYC"`
    - `lenet-bench publish results/2026-11-20T10-00-00-torch --output one-run`
    """
    # Plotly and Jinja take most of a second to load: other commands do without.
    from harness.report import site

    site.check(output)
    gallery = read(places or [Path("results")], machine)
    site.prepare(output)
    site.write(gallery, output, tell=_say)
    index = output / site.INDEX
    reports = "1 report" if len(gallery.runs) == 1 else f"{len(gallery.runs)} reports"
    layout.stdout().print(f"Wrote {index}, with {reports}", markup=False, soft_wrap=True)


def read(places: list[Path], machine: str) -> Gallery:
    """Read the runs of one machine; what is left out is said on standard error.

    Raises:
        InputError: there is no run, none can be read, or the machine is not clear.
    """
    from harness.analysis.timeline import find_runs
    from harness.report import gallery

    records, left_out = gallery.read_records(find_runs(places))
    runs: list[gallery.Run] = []
    if records:
        chosen = choose_machine(list(records.values()), machine)
        for folder, record in records.items():
            if record.machine_sha256 != chosen:
                _say(f"Not of this machine: {record.name}, of {record.machine} ({record.machine_sha256[:12]})")
                continue
            _say(f"Reading {record.name}")
            try:
                runs.append(gallery.read_run(folder, record, [run.page for run in runs]))
            except InputError as error:
                left_out[folder] = str(error)
    for reason in left_out.values():
        _say(f"Left out: {reason}", style="yellow")
    if not runs:
        many = "The only run cannot" if len(left_out) == 1 else f"None of the {len(left_out)} runs can"
        raise InputError(f"{many} be read. What is wrong stands above.")
    return gallery.gather(runs, [folder.name for folder in left_out])


def _say(text: str, style: str = "") -> None:
    layout.say(layout.stderr(), text, style)
