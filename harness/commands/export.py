"""`lenet-bench export`: a run's tables as Parquet, or many runs as a results store."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.commands.compare import warn
from harness.errors import InputError
from harness.results.counted import succeeded
from harness.results.export import write_parquet
from harness.results.folder import RunFolder
from harness.results.store import Store
from harness.results.store_writing import add_runs
from harness.results.sweep_folder import expanded


def export(
    runs: Annotated[list[Path], typer.Argument(help="Folders under results/.", metavar="RUN...")],
    output: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder for the files. [default: the run's]")
    ] = None,
    store: Annotated[Path | None, typer.Option(metavar="DIR", help="Add the runs to a results store.")] = None,
) -> None:
    """Write a run's tables as Parquet, beside the CSV files or elsewhere.

    Each column keeps its type. Its unit and meaning stand in its metadata. Rows of an older lenet-bench get the
    columns of this version.

    --store takes many runs, and sweeps, into one folder, which `compare --by` reads: millions of rows in seconds. Runs
    that are in it already, or have not ended, are left out.

    Examples:

    - `lenet-bench export results/A`
    - `lenet-bench export results/A --output parquet`
    - `lenet-bench export results/SWEEP results/A --store store`
    """
    if store and output:
        raise InputError("--store and --output are two places. Give one of them.")
    if store:
        _add(expanded(runs), store)
        return
    if len(runs) > 1:
        raise InputError("Several runs make a results store: --store DIR. Or give one run at a time.")
    run = runs[0]
    _check_run(run)
    for path in write_parquet(RunFolder(run), output or run):
        print(f"Wrote {path}")


def _add(paths: list[Path], store: Path) -> None:
    for path in paths:
        _check_run(path)
    there, chosen = Store(store).runs(), dict[str, RunFolder]()
    for path in paths:
        run = RunFolder(path)
        timed = succeeded(run.read_counted("launches"))["train_images_per_s"].notna()
        if run.name in there:
            warn(f"{run.name} is in {store} already.")
        elif not run.has_ended(int(timed.sum())):
            warn(f"{run.name} has not ended, or was killed, and is left out. Go on with it: run --resume.")
        elif run.name in chosen:
            raise InputError(f"Two of the runs have the same name ({run.name}): give each run once.")
        else:
            chosen[run.name] = run
    for path in add_runs(store, list(chosen.values())) if chosen else []:
        print(f"Wrote {path}")


def _check_run(run: Path) -> None:
    if not (run / "launches.csv").exists():
        raise InputError(f"{run} is not a run: it has no launches.csv. Give a folder under results/.")
