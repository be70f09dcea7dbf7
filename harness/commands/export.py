"""`lenet-bench export`: a run's tables as Parquet."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.errors import InputError
from harness.results.export import write_parquet
from harness.results.folder import RunFolder


def export(
    run: Annotated[Path, typer.Argument(help="A folder under results/.", metavar="RUN")],
    output: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder for the files. [default: the run's]")
    ] = None,
) -> None:
    """Write a run's tables as Parquet, beside the CSV files or elsewhere.

    Each column keeps its type. Its unit and meaning stand in its metadata. Rows of an older lenet-bench get the
    columns of this version.

    Examples:

    - `lenet-bench export results/A`
    - `lenet-bench export results/A --output parquet`
    """
    if not (run / "launches.csv").exists():
        raise InputError(f"{run} is not a run: it has no launches.csv. Give a folder under results/.")
    for path in write_parquet(RunFolder(run), output or run):
        print(f"Wrote {path}")
