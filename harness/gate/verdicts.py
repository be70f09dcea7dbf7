"""Has a backend become worse? What the gate measured, against what it allows: verdicts and their words."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from harness.analysis.statistics import lowest_allowed_mean, lowest_allowed_seed
from harness.errors import InputError, LenetBenchError, Regression, WorkerFailed
from harness.gate.baseline import KEY, MAKE

# One honest gate in a thousand fails a backend: five backends, daily, cry wolf every seven months.
FALSE_ALARMS = 0.001
PASSED, CANNOT_TELL, NO_RESULT, FAILED = "passed", "cannot tell", "no result", "FAILED"
# What a backend with verdicts of several kinds is: the worst of them.
STATUSES = (PASSED, CANNOT_TELL, NO_RESULT, FAILED)


@dataclass(frozen=True)
class Verdict:
    """What one kind of test says of one backend.

    Attributes:
        kind: accuracy, verification or speed.
        status: of STATUSES.
        text: what was measured against what is allowed, short enough for a line.
        details: the rest, a sentence or more.
        data_set: that it was measured on.
        figures: what stands in the text, as numbers, for programs (docs/json.md).
    """

    backend: str
    kind: str
    status: str
    text: str
    details: str = ""
    data_set: str = ""
    figures: Mapping[str, float] = field(default_factory=dict)

    @property
    def words(self) -> str:
        """The text, and what it is of."""
        return f"{self.text}, on {self.data_set}" if self.data_set else self.text


@dataclass(frozen=True)
class Accuracy:
    """The trainings of one backend against its baseline.

    Attributes:
        measured: mean test accuracy over `seeds` seeds after `epoch` epochs; None where no launch succeeded.
        least: of a single seed; None where no launch succeeded.
        expected: the baseline's mean.
        bound: what the mean may not fall below.
        floor: what no single seed may fall below.
        error: why a launch failed; empty where none did.
    """

    backend: str
    epoch: int
    seeds: int
    measured: float | None
    least: float | None
    expected: float
    bound: float
    floor: float
    error: str = ""

    @property
    def below(self) -> bool:
        """Whether the mean or a single seed is lower than an honest backend's are."""
        return self.measured is not None and self.least is not None and self.distance < 0

    @property
    def distance(self) -> float:
        """How far the mean is above its bound or the least seed above its floor, whichever is nearer; shares of 1.

        NaN where nothing was measured.
        """
        if self.measured is None or self.least is None:
            return float("nan")
        return min(self.measured - self.bound, self.least - self.floor)

    @property
    def noticed(self) -> float:
        """The least loss that would have failed, in points, rounded up to a tenth; NaN where nothing was measured.

        So many points less in every seed, and the mean is below its bound or the least seed below its floor.
        """
        # Where the distance is a whole number of tenths, just as much would still have passed.
        return math.nan if math.isnan(self.distance) else (math.floor(round(1000 * self.distance, 6)) + 1) / 10

    @property
    def status(self) -> str:
        """A backend that did not run has not passed; where half of it ran and is bad, it is bad."""
        if self.below:
            return FAILED
        return NO_RESULT if self.measured is None or self.error else PASSED

    def verdict(self) -> Verdict:
        """Words for all this."""
        if self.status == NO_RESULT or self.measured is None or self.least is None:
            return Verdict(self.backend, "accuracy", NO_RESULT, "accuracy not measured: a launch failed", self.error)
        details = (
            f"Mean of {self.seeds} seed(s) after {self.epoch} epoch(s), the least {self.least:.2%}; the baseline has "
            f"{self.expected:.2%}. Bound of the mean {100 * self.bound:.2f}, of each seed {100 * self.floor:.2f}. "
            f"An honest backend with normally distributed seeds is below bound or floor in {FALSE_ALARMS:.1%} of gates "
            "at most."
        )
        figures = {
            "test_accuracy": self.measured, "test_accuracy_least": self.least, "baseline": self.expected,
            "bound": self.bound, "floor": self.floor, "seeds": self.seeds, "epoch": self.epoch,
        }  # fmt: skip
        if self.status == PASSED:
            text = (
                f"accuracy {100 * self.measured:.2f} % (a loss of {self.noticed:.1f} points or more would have failed)"
            )
            figures["loss_noticed_points"] = self.noticed
            return Verdict(self.backend, "accuracy", PASSED, text, details, figures=figures)
        mean = (
            f"BELOW its bound {100 * self.bound:.2f}"
            if self.measured < self.bound
            else f"(bound {100 * self.bound:.2f})"
        )
        least = (
            f"BELOW the floor {100 * self.floor:.2f}" if self.least < self.floor else f"(floor {100 * self.floor:.2f})"
        )
        text = f"accuracy {100 * self.measured:.2f} % {mean}, least {100 * self.least:.2f} {least}"
        return Verdict(self.backend, "accuracy", self.status, text, details, figures=figures)


def judge(
    epochs: pd.DataFrame,
    baseline: pd.DataFrame,
    *,
    wanted: dict[str, Any],
    backends: list[str],
    errors: dict[str, str] | None = None,
) -> list[Accuracy]:
    """Compare the last epoch of each backend with its baseline.

    Args:
        epochs: rows of epochs.csv of the gate's own run.
        wanted: network, data_set, recipe, batch_size, dtype and epoch.
        errors: backend -> why one of its launches failed.

    Raises:
        InputError: the baseline has no row for what was asked.
    """
    found = []
    for backend in backends:
        row = find_row(baseline, wanted | {"backend": backend})
        mine = epochs[(epochs["backend"] == backend) & (epochs["epoch"] == wanted["epoch"])]
        seeds = len(mine)
        bound, floor = limits(row, max(seeds, 1))
        found.append(
            Accuracy(
                backend=backend,
                epoch=int(wanted["epoch"]),
                seeds=seeds,
                measured=float(mine["test_accuracy"].mean()) if seeds else None,
                least=float(mine["test_accuracy"].min()) if seeds else None,
                expected=float(row["test_accuracy_mean"]),
                bound=bound,
                floor=floor,
                error=(errors or {}).get(backend, ""),
            )
        )
    return found


def limits(row: pd.Series, new_seeds: int) -> tuple[float, float]:
    """What the mean of `new_seeds` honest seeds, and each of them, stay above, in all but FALSE_ALARMS of gates.

    Each of the two tests gets half of the false alarms, so that both together have no more than these (Boole's
    inequality). A single seed is its own mean: bound and floor are then one test, which gets all of them.

    The rate holds for seeds that are normally distributed. Real ones have a longer lower tail: of 80 new seeds of
    PyTorch, after two epochs, two lay 3.1 standard deviations below the mean (skewness -0.9). `nox -s gate-alarms`
    looks at what that comes to: none of 40 gates of PyTorch and of 21 of MXNet raised an alarm; of all pairs of
    seeds that could have been gates, none of 3,160 and 1 of 861 would have.

    Args:
        row: of the baseline.

    Returns:
        the bound of the mean and the floor of each seed, shares of 1.
    """
    known: dict[str, Any] = {
        "mean": float(row["test_accuracy_mean"]), "sd": float(row["test_accuracy_sd"]), "seeds": int(row["seeds"]),
        "new_seeds": new_seeds, "false_alarms": FALSE_ALARMS if new_seeds == 1 else FALSE_ALARMS / 2,
    }  # fmt: skip
    return lowest_allowed_mean(**known), lowest_allowed_seed(**known)


def find_row(baseline: pd.DataFrame, wanted: dict[str, Any]) -> pd.Series:
    """Return the one baseline row of these keys.

    Raises:
        InputError: there is none, or it is of fewer than two seeds, or of other bytes of the data set than
            `wanted["data_sha256"]`, where that is given.
    """
    rows = baseline
    for name in KEY:
        rows = rows[rows[name] == wanted[name]]
    asked = ", ".join(f"{name}={wanted[name]}" for name in KEY)
    if len(rows) != 1:
        raise InputError(f"The baseline has {len(rows)} rows for {asked}; it needs one.{_nearest(baseline, wanted)}")
    row = rows.iloc[0]
    if int(row["seeds"]) < 2:
        raise InputError(f"The baseline for {asked} is of one seed: a spread needs two. {MAKE}")
    if wanted.get("data_sha256", row["data_sha256"]) != row["data_sha256"]:
        raise InputError(
            f"The baseline for {asked} was measured on other bytes of {wanted['data_set']}: data_sha256 is "
            f"{row['data_sha256'][:12]}, that of the data set here {wanted['data_sha256'][:12]}. {MAKE}"
        )
    return row


def _nearest(baseline: pd.DataFrame, wanted: dict[str, Any]) -> str:
    """What the baseline has in the first column in which it does not have what was asked, and what to do."""
    rows, text = baseline, ""
    for name in KEY:
        fitting = rows[rows[name] == wanted[name]]
        if not len(fitting):
            there = ", ".join(str(value) for value in sorted(rows[name].dropna().unique()))
            text = f" Its {name}s: {there}." if there else " It is empty."
            break
        rows = fitting
    return f"{text} {MAKE} --network {wanted['network']}"


def lines(verdicts: Sequence[Verdict]) -> list[str]:
    """A line a verdict, those of a backend together: its status, and what it says."""
    order = list(dict.fromkeys(each.backend for each in verdicts))
    together = sorted(verdicts, key=lambda each: order.index(each.backend))
    return [f"{each.status} {each.backend}: {each.words}" for each in together]


def worst(verdicts: Sequence[Verdict]) -> str:
    """The status of several verdicts together; `passed` for none."""
    return max((each.status for each in verdicts), key=STATUSES.index, default=PASSED)


def exit_code(verdicts: Sequence[Verdict], *, strict: bool = False) -> int:
    """The exit code that `stop_if_bad` comes to."""
    try:
        stop_if_bad(verdicts, strict=strict)
    except LenetBenchError as error:
        return error.exit_code
    return 0


def stop_if_bad(verdicts: Sequence[Verdict], *, strict: bool = False) -> None:
    """End well, or with the exit code that the verdicts ask for.

    Raises:
        Regression: exit code 1: something is worse than it may be, whatever else could not be measured; with
            `strict`, also where the gate cannot tell.
        WorkerFailed: exit code 3: nothing is worse, but something could not be measured.
    """

    def named(status: str) -> str:
        return ", ".join(f"{each.backend} ({each.kind})" for each in verdicts if each.status == status)

    status = worst(verdicts)
    if status == FAILED:
        raise Regression(f"The gate failed for {named(FAILED)}.")
    if status == NO_RESULT:
        raise WorkerFailed(f"The gate could not measure: {named(NO_RESULT)}.")
    if strict and status == CANNOT_TELL:
        raise Regression(f"The gate cannot tell for {named(CANNOT_TELL)}, and --strict asks for more.")
