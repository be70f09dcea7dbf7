"""Joining runs: what may be compared, and why not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from harness.analysis.comparison import KEY, keys_of, label_of
from harness.analysis.labels import find
from harness.errors import InputError
from harness.results.counted import succeeded
from harness.results.folder import RunFolder
from harness.results.machines import difference as machine_difference
from harness.results.machines import recorded

# Rows that differ in one of these measure different things.
MUST_AGREE = {
    "machine_sha256": "machine",
    "network": "network",
    "data_sha256": "data set",
    "recipe": "recipe",
    "device": "device",
    "dtype": "precision",
    "environment": "environment",
    "controls_sha256": "set of controls",
}
# What people read in place of a digest.
SHOWN = {"machine_sha256": "machine", "data_sha256": "data_set"}


@dataclass(frozen=True)
class Runs:
    """Rows of several runs: launches that succeeded, count and were timed; epochs and sweeps of those that count.

    Attributes:
        trained: launches that succeeded, count and only trained.
        unended: runs that are still being written, or were killed.
        halved: runs of which no round is whole, so that rows of a cut one are in `timed`.
        machines: what environment.json says of each machine, by its digest.
    """

    timed: pd.DataFrame
    trained: pd.DataFrame
    epochs: pd.DataFrame
    inference: pd.DataFrame
    unended: tuple[str, ...] = ()
    halved: tuple[str, ...] = ()
    machines: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def of(self, launches: pd.DataFrame) -> Runs:
        """The part that belongs to some of the launches that were timed, and to their entrants' trainings."""
        alike = list(dict.fromkeys(["run", *KEY, *MUST_AGREE]))
        entrants = set(keys_of(launches, alike))
        trained = self.trained[np.array([each in entrants for each in keys_of(self.trained, alike)], dtype=bool)]
        places = {*_places(launches), *_places(trained)}
        epochs, inference = (
            table[[place in places for place in _places(table)]] for table in (self.epochs, self.inference)
        )
        there = set(launches["run"])
        unended, halved = (tuple(name for name in names if name in there) for names in (self.unended, self.halved))
        return Runs(launches, trained, epochs, inference, unended, halved, self.machines)

    @property
    def launches(self) -> pd.DataFrame:
        """All launches: those that were timed and those that only trained."""
        return pd.concat([self.timed, self.trained])


def _places(rows: pd.DataFrame) -> list[tuple[object, ...]]:
    return list(zip(rows["run"], rows["round"], rows["position"]))


def load_runs(folders: list[Path]) -> Runs:
    """Read several runs that may be compared.

    Raises:
        InputError: as `read_runs` and `check_comparable`.
    """
    runs, good = _read(folders)
    check_comparable(good, runs.machines)
    return runs


def read_runs(folders: list[Path]) -> Runs:
    """Read several runs, whether or not they may be compared.

    Raises:
        InputError: a folder is no run, two have the same name, or nothing in them can be compared.
    """
    return _read(folders)[0]


def _read(folders: list[Path]) -> tuple[Runs, pd.DataFrame]:
    for folder in folders:
        if not (folder / "launches.csv").exists():
            raise InputError(f"{folder} is not a run: it has no launches.csv. Give folders under results/.")
    launches = [RunFolder(folder).read_counted("launches") for folder in folders]
    names = [name for frame in launches for name in frame["run"].unique()]
    if len(set(names)) < len(names):
        raise InputError(f"Two of the runs have the same name ({', '.join(names)}): give each run once.")
    good = succeeded(pd.concat(launches, ignore_index=True))
    if good.empty:
        raise InputError("None of the runs has a launch that succeeded: there is nothing to compare.")
    epochs, inference = (
        pd.concat([RunFolder(folder).read_counted(table) for folder in folders], ignore_index=True)
        for table in ("epochs", "inference")
    )
    timed = good[good["train_images_per_s"].notna()]
    counts = [int(succeeded(frame)["train_images_per_s"].notna().sum()) for frame in launches]
    # By the name in the rows: the folder may have another by now.
    unended = [
        str(frame["run"].iloc[0])
        for folder, frame, count in zip(folders, launches, counts)
        if len(frame) and not RunFolder(folder).has_ended(count)
    ]
    halved = [
        str(frame["run"].iloc[0])
        for folder, frame in zip(folders, launches)
        if len(frame) and not RunFolder(folder).has_whole_round()
    ]
    machines = {
        str(digest): recorded(RunFolder(folder))
        for folder, frame in zip(folders, launches)
        for digest in frame["machine_sha256"].dropna().unique()
    }
    trained = good[good["train_images_per_s"].isna()]
    return Runs(timed, trained, epochs, inference, tuple(unended), tuple(halved), machines), good


def check_comparable(launches: pd.DataFrame, machines: Mapping[str, Mapping[str, Any]] = MappingProxyType({})) -> None:
    """Refuse rows that measure different things. What an older lenet-bench did not note down counts as equal.

    Args:
        machines: as `Runs.machines`.

    Raises:
        InputError: with what differs, and both values.
    """
    reason = difference(launches, machines)
    if reason:
        raise InputError(f"These runs cannot be compared: {reason} See each by itself: --apart.")


def difference(launches: pd.DataFrame, machines: Mapping[str, Mapping[str, Any]] = MappingProxyType({})) -> str:
    """What of MUST_AGREE is not the same in all rows, a sentence; empty where they may be compared.

    Args:
        machines: as `Runs.machines`.
    """
    for column, what in MUST_AGREE.items():
        if launches[column].nunique() > 1:
            shown = SHOWN.get(column, column)
            values = [
                f"{name}: {', '.join(sorted({str(value)[:60] for value in rows[shown]}))}"
                for name, rows in launches.groupby("run", sort=False)
            ]
            differs = ""
            if column == "machine_sha256":
                first, second = (machines.get(str(digest), {}) for digest in launches[column].dropna().unique()[:2])
                differs = f" (it differs: {machine_difference(first, second)})"
            return f"the {what} is not the same{differs}. {'; '.join(values)}."
    return ""


def comparable_sets(runs: Runs) -> list[Runs]:
    """The largest sets of rows that may be compared with each other, in the order of their first rows."""
    key = runs.timed[list(MUST_AGREE)].astype("string").fillna("")
    return [runs.of(group) for _, group in runs.timed.groupby([key[name] for name in key], sort=False)]


def choose_entrants(runs: Runs, names: list[str]) -> Runs:
    """Only those entrants that are named, by label or by as much of it as one entrant alone begins with.

    Raises:
        InputError: no entrant, or more than one, is called so.
    """
    if not names:
        return runs
    labels = _labels(runs)
    known = list(dict.fromkeys(labels))
    chosen = {known[find(name, known, option="--entrant")] for name in names}
    return runs.of(runs.timed[labels.isin(chosen)])


def has_entrant(runs: Runs, name: str) -> bool:
    """Whether one of the entrants is called so."""
    return any(label.split()[: len(name.split())] == name.split() for label in _labels(runs))


def _labels(runs: Runs) -> pd.Series:
    labels = pd.Series("", index=runs.timed.index, dtype="string")
    for _, group in runs.timed.groupby(KEY, dropna=False, sort=False):
        labels[group.index] = label_of(group)
    return labels
