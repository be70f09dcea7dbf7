"""The command that shows how each entrant moved over the runs of one machine."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import typer
from rich.console import Console

from harness.analysis.timeline import Record, find_runs, read_runs, rows_of, series
from harness.errors import InputError, unknown
from harness.results.folder import csv_of, frame_of
from harness.results.machines import difference
from harness.results.schema import HISTORY
from harness.runs.entrants import parse_backends
from harness.runs.machine import this_machine
from harness.tables import history_table, layout
from harness.tables.formats import visible_cells


def history(
    places: Annotated[
        list[Path] | None,
        typer.Argument(help="Folders of runs, or runs. [default: results]", metavar="[RESULTS]...", show_default=False),
    ] = None,
    backend: Annotated[
        list[str] | None, typer.Option("--backend", "-b", help="Only these backends: names with commas, or all.")
    ] = None,
    machine: Annotated[
        str,
        typer.Option(help="Only this machine: a part of its name, or the beginning of its digest. [default: this one]"),
    ] = "",
    format_: Annotated[str, typer.Option("--format", help="table, csv, json or markdown.")] = "table",
) -> None:
    """Show how each framework moved from run to run on one machine, and what else had changed.

    An entrant is a backend with its mode, threads and so on. It is followed over all versions of its framework, and
    each run is compared with the one before.

    The machine itself becomes faster and slower from hour to hour. So a second ratio compares with the entrants that
    are unchanged in both runs: what the machine did to all entrants cancels. Versions and settings that differ are
    listed below. They need not be the cause of a difference. A folder that cannot be read is named and left out.

    Examples:

    - `lenet-bench history`
    - `lenet-bench history results --backend torch,jax`
    - `lenet-bench history results --format csv > history.csv`
    - `lenet-bench history results --machine "AMD EPYC" --format markdown`
    """
    if format_ not in FORMATS:
        raise unknown("format", format_, FORMATS)
    notes = layout.stderr()
    records, problems = read_runs(find_runs(places or [Path("results")]))
    for problem in problems:
        notes.print(f"Left out: {problem}", style="yellow", markup=False, soft_wrap=True)
    if not records:
        raise InputError(f"None of the {len(problems)} runs can be read. What is wrong with each stands above.")
    chosen = choose_machine(records, machine)
    _name_others(notes, records, chosen)
    history_of = [record for record in records if record.machine_sha256 == chosen]
    found = series(history_of)
    wanted = parse_backends(backend) if backend else []
    # Entrants that are not shown still tell how the machine drifted.
    frames = [
        frame_of(rows_of(points, found), HISTORY)
        for points in found
        if not wanted or points[0].first["backend"] in wanted
    ]
    if not frames:
        known = ", ".join(sorted({str(points[0].first["backend"]) for points in found}))
        raise InputError(f"No run has {', '.join(wanted)}. There are: {known}.")
    FORMATS[format_](frames)
    _name_disturbed(notes, frames)


def choose_machine(records: list[Record], asked: str) -> str:
    """Digest of the machine whose runs are shown.

    Raises:
        InputError: none or several have that name; or none was asked for, there are several, and this is none of them.
    """
    machines = {record.machine_sha256: record.machine for record in records}
    if asked:
        fits = {
            digest: name
            for digest, name in machines.items()
            if digest.startswith(asked) or asked.casefold() in name.casefold()
        }
    else:
        fits = (
            machines if len(machines) == 1 else {key: machines[key] for key in machines if key == this_machine().sha256}
        )
    if len(fits) == 1:
        return next(iter(fits))
    listed = "; ".join(f"{digest[:12]} {name}" for digest, name in (fits or machines).items())
    if asked:
        what = "could be any of these machines" if fits else "is none of the machines that the runs are of"
        raise InputError(f"--machine {asked!r} {what}: {listed}. Give the beginning of a digest.")
    here = this_machine()
    nearest = min(records, key=lambda record: record.machine != here.text)
    differs = difference(_machine(nearest), here.details)
    raise InputError(
        f"The runs are of several machines, and this is none of them: {listed}. From "
        f"{nearest.machine_sha256[:12]} this one differs: {differs}. Choose one with --machine."
    )


def _machine(record: Record) -> dict[str, Any]:
    """What a run's environment.json says of its machine."""
    values = record.environment.get("machine")
    return values if isinstance(values, dict) else {}


def _name_others(notes: Console, records: list[Record], chosen: str) -> None:
    others: dict[str, list[Record]] = {}
    shown = next(record for record in records if record.machine_sha256 == chosen)
    for record in records:
        if record.machine_sha256 != chosen:
            others.setdefault(record.machine_sha256, []).append(record)
    for digest, group in others.items():
        names = ", ".join(record.name for record in group)
        differs = difference(_machine(group[0]), _machine(shown))
        text = (
            f"Not shown: {len(group)} run(s) of another machine, {group[0].machine} ({digest[:12]}): {names}. It "
            f"differs from the one that is shown: {differs}."
        )
        notes.print(text, style="yellow", markup=False, soft_wrap=True)


def _name_disturbed(notes: Console, frames: list[pd.DataFrame]) -> None:
    """Below the speeds, or beside what is piped on: runs in which something else had the CPUs."""
    everything = pd.concat(frames, ignore_index=True)
    held = everything[everything["conditions"].fillna("") != ""]
    for run, rows in held.groupby("run", sort=False):
        text = f"{run}, {', '.join(rows['entrant'])}: {rows['conditions'].iloc[0]}"
        notes.print(text, style="yellow", markup=False, soft_wrap=True)


def _as_csv(frames: list[pd.DataFrame]) -> None:
    print(csv_of(visible_cells(pd.concat(frames, ignore_index=True))), end="")


def _as_json(frames: list[pd.DataFrame]) -> None:
    rows = visible_cells(pd.concat(frames, ignore_index=True)).astype(object)
    print(json.dumps(rows.where(rows.notna(), None).to_dict("records"), indent=1, ensure_ascii=False))


FORMATS: dict[str, Callable[[list[pd.DataFrame]], None]] = {
    "table": lambda frames: history_table.show(layout.stdout(), frames),
    "csv": _as_csv,
    "json": _as_json,
    "markdown": lambda frames: print(history_table.as_markdown(frames), end=""),
}
