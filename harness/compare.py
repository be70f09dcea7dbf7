"""Joining runs: what may be compared, and why not."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from harness.errors import InputError
from harness.results import RunFolder

# Rows that differ in one of these measure different things.
MUST_AGREE = {
    "machine_sha256": "machine",
    "network": "network",
    "data_sha256": "data set",
    "recipe": "recipe",
    "device": "device",
    "dtype": "precision",
    "environment": "environment",
}


@dataclass(frozen=True)
class Runs:
    """Rows of several runs that may be compared: launches that succeeded and were timed, all epochs, all sweeps."""

    timed: pd.DataFrame
    epochs: pd.DataFrame
    inference: pd.DataFrame


def load_runs(folders: list[Path]) -> Runs:
    """Read several runs.

    Raises:
        InputError: a folder is no run, two have the same name, or nothing in them can be compared.
    """
    for folder in folders:
        if not (folder / "launches.csv").exists():
            raise InputError(f"{folder} is not a run: it has no launches.csv. Give folders under results/.")
    launches = [RunFolder(folder).read("launches") for folder in folders]
    names = [frame["run"].iloc[0] for frame in launches if len(frame)]
    if len(set(names)) < len(names):
        raise InputError(f"Two of the runs have the same name ({', '.join(names)}): give each run once.")
    good = pd.concat(launches, ignore_index=True)
    good = good[good["status"] == "ok"]
    if good.empty:
        raise InputError("None of the runs has a launch that succeeded: there is nothing to compare.")
    check_comparable(good)
    epochs, inference = (
        pd.concat([RunFolder(folder).read(table) for folder in folders], ignore_index=True)
        for table in ("epochs", "inference")
    )
    return Runs(good[good["train_images_per_s"].notna()], epochs, inference)


def check_comparable(launches: pd.DataFrame) -> None:
    """Refuse rows that measure different things.

    Raises:
        InputError: with what differs, and both values.
    """
    for column, what in MUST_AGREE.items():
        if launches[column].nunique(dropna=False) > 1:
            shown = {"machine_sha256": "machine", "data_sha256": "data_set"}.get(column, column)
            by_run = launches.groupby("run", sort=False)
            values = [f"{name}: {', '.join(sorted(set(map(str, rows[shown]))))}" for name, rows in by_run]
            digest = " (host name and all)" if column == "machine_sha256" else ""
            raise InputError(
                f"These runs cannot be compared: the {what}{digest} is not the same. " + "; ".join(values) + "."
            )
