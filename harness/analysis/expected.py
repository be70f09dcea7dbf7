"""How long a plan will take, by what its entrants' launches took earlier on this machine."""

from __future__ import annotations

import contextlib
import statistics
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from harness.analysis.labels import is_limit
from harness.errors import InputError
from harness.results.counted import succeeded, with_labels
from harness.results.folder import RunFolder
from harness.results.sweep_folder import SweepFolder, is_sweep


@dataclass(frozen=True)
class Expectation:
    """How long something will take.

    Attributes:
        least_s: seconds of the rounds that there are at the least, and of the trainings.
        most_s: where rounds are added until all is precise, with as many as the budget lets begin; else `least_s`.
        unknown: labels of entrants of which no earlier launch, nor one of their backend, is known: not counted in.
    """

    least_s: float
    most_s: float
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True)
class Planned:
    """A run that might be begun.

    Attributes:
        labels: of its entrants.
        rounds: at least.
        more: whether rounds are added for the precision.
    """

    name: str
    labels: tuple[str, ...]
    rounds: int
    more: bool
    expected: Expectation


@dataclass
class Earlier:
    """What earlier launches took, s.

    Attributes:
        timed: label, or backend alone -> seconds of launches that were timed.
        epochs: the same -> seconds of an epoch, of launches that trained.
    """

    timed: dict[str, list[float]] = field(default_factory=dict)
    epochs: dict[str, list[float]] = field(default_factory=dict)

    def of(self, table: dict[str, list[float]], label: str) -> float | None:
        """The median of a label's launches, or else of its backend's; None without any."""
        found = table.get(label) or table.get(label.partition(" ")[0])
        return statistics.median(found) if found else None

    def add(self, launches: pd.DataFrame) -> None:
        """Learn from rows of launches.csv."""
        rows = with_labels(succeeded(launches))
        rows = rows[rows["launch_s"].notna().to_numpy(bool)]
        timed, trained = rows["train_images_per_s"].notna(), rows["epochs"].fillna(0) > 0
        # Older launches did both at once: neither is known of them.
        for table, some in ((self.timed, rows[timed & ~trained]), (self.epochs, rows[trained & ~timed])):
            seconds = some["launch_s"] if table is self.timed else some["launch_s"] / some["epochs"]
            for label, backend, value in zip(some["label"], some["backend"], seconds):
                for key in (label, backend):
                    table.setdefault(str(key), []).append(float(value))


def read_earlier(results: Path, machine_sha256: str) -> Earlier:
    """Read what launches took in all runs of a folder, those of sweeps included; what cannot be read is passed over."""
    earlier = Earlier()
    for place in sorted(results.iterdir()) if results.is_dir() else []:
        for folder in SweepFolder(place).runs() if is_sweep(place) else [place]:
            with contextlib.suppress(InputError):
                launches = RunFolder(folder).read("launches")
                earlier.add(launches[(launches["machine_sha256"] == machine_sha256).fillna(False).to_numpy(bool)])
    return earlier


def expect(
    earlier: Earlier, labels: Iterable[str], *, rounds: int, most_rounds: int, budget_s: float, epochs: int, seeds: int
) -> Expectation:
    """How long a plan will take.

    Args:
        labels: of its entrants.
        seeds: so many trainings of `epochs` each.
    """
    labels = list(labels)
    timed = {label: earlier.of(earlier.timed, label) for label in labels}
    trained = {label: earlier.of(earlier.epochs, label) if epochs else 0.0 for label in labels}
    unknown = tuple(label for label in labels if timed[label] is None or trained[label] is None)
    one_round = sum(value or 0.0 for value in timed.values())
    training = epochs * seeds * sum(value or 0.0 for value in trained.values())
    least = rounds * one_round
    # Rounds are added for the precision of a comparison: the limit is none of those that are compared.
    adds = most_rounds > rounds and sum(not is_limit(label.partition(" ")[0]) for label in labels) > 1
    most = most_rounds * one_round if adds else least
    if adds and budget_s:
        most = max(least, min(budget_s, most))
    return Expectation(least + training, most + training, unknown)
