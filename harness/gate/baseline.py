"""The file that the gate holds accuracies against: read and checked, made of a run, compared, written."""

from __future__ import annotations

import datetime
import getpass
import os
import subprocess
from pathlib import Path
from typing import Any

import pandas as pd
from scipy.special import stdtr

from harness.analysis.statistics import LEVEL, family_level, welch
from harness.errors import InputError
from harness.files import alone_in, read_regular, shipped
from harness.results.csv_reading import MAX_BYTES, read_header
from harness.results.folder import RunFolder, frame_of, read_table, write_table
from harness.results.schema import BASELINE, BASELINE_VERSION
from harness.runs.plan import Plan

KEY = ["backend", "network", "data_set", "recipe", "batch_size", "dtype", "epoch"]
NEEDED = [*KEY, "data_sha256", "framework_version", "seeds", "test_accuracy_mean", "test_accuracy_sd",
          "test_accuracy_min"]  # fmt: skip
SHARES = ("test_accuracy_mean", "test_accuracy_sd", "test_accuracy_min")
# Means, spreads and smallest values are kept to a millionth.
ROUNDED = 2e-6
# Where one's own is, from where the command is called.
FILE = Path("results/baselines/accuracy.csv")
MAKE = "Make one with: lenet-bench baseline update -b all"


def find_baseline(given: Path | None) -> Path:
    """The file that accuracies are held against: the one that is given, one's own, else that of lenet-bench."""
    own = given or FILE
    return own if given or own.exists() else shipped("baselines") / FILE.name


def read_baseline(path: Path) -> pd.DataFrame:
    """Read a baseline, also one of schema_version 1, whose rows do not say who wrote them, when and where.

    Raises:
        InputError: it is missing, is not one, has rows of several versions, or holds what no training gives; with
            file, row and column.
    """
    if not path.exists():
        raise InputError(f"There is no baseline {path}. {MAKE}")
    frame = read_table(path, BASELINE, version=BASELINE_VERSION, table="baseline")
    _check_columns(path)
    _check_rows(frame, path)
    return frame


def _check_columns(path: Path) -> None:
    """Refuse columns that would be lost when the file is written again."""
    header, _ = read_header(path, read_regular(path, most=MAX_BYTES))
    unknown = [name for name in header if name not in BASELINE]
    if unknown:
        raise InputError(f"{path} has columns that a baseline does not have: {', '.join(unknown)}. Remove them.")


def _check_rows(frame: pd.DataFrame, path: Path) -> None:
    """Refuse values that no training gives, and rows of equal keys."""

    def refuse(bad: pd.Series, column: str, why: str) -> None:
        if bad.any():
            row = int(bad.to_numpy(bool).argmax())
            value = frame[column].iloc[row]
            shown = "empty" if pd.isna(value) else repr(value.item() if hasattr(value, "item") else value)
            raise InputError(
                f"{path}, row {row + 2}, column {column}: {shown}, {why}. Restore the file (git checkout)."
            )

    for name in NEEDED:
        refuse(frame[name].isna(), name, "but every row needs one")
    for name in SHARES:
        refuse((frame[name] < 0) | (frame[name] > 1), name, "but a share lies between 0 and 1")
    refuse(frame["seeds"] < 1, "seeds", "but there is no mean of no seeds")
    refuse(frame["epoch"] < 1, "epoch", "but epochs are counted from 1")
    mean, sd, count = frame["test_accuracy_mean"], frame["test_accuracy_sd"], frame["seeds"].astype("Float64")
    # Samuelson's inequality: no value is further than (n - 1) / sqrt(n) standard deviations from the mean.
    reach = sd * (count - 1) / count**0.5
    least = frame["test_accuracy_min"]
    refuse((least > mean + ROUNDED) | (least < mean - reach - 3 * ROUNDED), "test_accuracy_min",
           "which this mean and standard deviation do not allow")  # fmt: skip
    refuse(frame.duplicated(KEY), "backend", f"a second row of the same {', '.join(KEY)}")


def check_writable(path: Path) -> None:
    """Refuse before hours of training a baseline that could not be written after them.

    Raises:
        InputError: the folder cannot be made or written to, or the file there is no baseline.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"Cannot make {path.parent}: {error.strerror}. Give another --baseline.") from None
    if not os.access(path.parent, os.W_OK):
        raise InputError(f"Cannot write into {path.parent}. Give another --baseline.")
    if path.exists():
        read_baseline(path)


def from_run(folder: RunFolder) -> pd.DataFrame:
    """Summarise the trainings of a finished run by backend and epoch over its seeds.

    Raises:
        InputError: it trained nothing, is not finished, or its trainings are not seeds of one and the same.
    """
    environment = folder.read_environment()
    launches, epochs = folder.read_counted("launches"), folder.read_counted("epochs")
    if not len(epochs):
        raise InputError(f"{folder.path} trained no epochs; a baseline needs a run with --epochs and several --seeds.")
    _check_launches(folder, launches, Plan.from_dict(environment.get("plan", {})))
    _check_epochs(folder, epochs)
    return _summarise(epochs, launches, str(environment.get("lenet_bench", "")) or None)


def _check_launches(folder: RunFolder, launches: pd.DataFrame, plan: Plan) -> None:
    failed = launches[launches["status"] != "ok"]
    if len(failed):
        raise InputError(f"{folder.path} has {len(failed)} failed launch(es), of {failed['backend'].iloc[0]} first.")
    wanted, found = plan.seeds * len(plan.entrants), int(launches["epochs"].notna().sum())
    if found < wanted:
        raise InputError(
            f"{folder.path} has {found} of {wanted} trainings: it is still under way, or was cut short. Go on with: "
            f"lenet-bench run --resume {folder.path}"
        )
    if launches["until"].notna().any():
        raise InputError(f"{folder.path} was to end at an accuracy (--until); what is right is what all epochs give.")


def _check_epochs(folder: RunFolder, epochs: pd.DataFrame) -> None:
    path = folder.path / "epochs.csv"
    empty, again = epochs["test_accuracy"].isna(), epochs.duplicated([*KEY, "seed"])
    if empty.any():
        row = int(epochs.index[int(empty.to_numpy(bool).argmax())]) + 2
        raise InputError(f"{path}, row {row}, column test_accuracy: empty, but every row needs one.")
    if again.any():
        row, first = int(epochs.index[int(again.to_numpy(bool).argmax())]) + 2, epochs[again].iloc[0]
        raise InputError(
            f"{path}, row {row}, column seed: {first['backend']} was trained twice from seed {first['seed']} (several "
            "modes, threads or feeds?); a baseline is of one training a seed."
        )
    if epochs["seed"].nunique() < 2:
        raise InputError(f"{folder.path} trained one seed: a spread needs two. Give --seeds 10, say.")


def _summarise(epochs: pd.DataFrame, launches: pd.DataFrame, lenet_bench: str | None) -> pd.DataFrame:
    """A row a backend and epoch, with where it was measured and with what."""
    rows = []
    for _, group in epochs.groupby(KEY, sort=False):
        first = group.iloc[0]
        launch = launches[launches["backend"] == first["backend"]].iloc[0]
        accuracy = group["test_accuracy"].astype(float)
        rows.append(
            {key: first[key] for key in [*KEY, "framework_version", "run"]}
            | {key: launch[key] for key in ("data_sha256", "machine", "machine_sha256", "python_version")}
            | {
                "schema_version": BASELINE_VERSION,
                "lenet_bench_version": lenet_bench,
                "seeds": group["seed"].nunique(),
                "test_accuracy_mean": round(accuracy.mean(), 6),
                "test_accuracy_sd": round(accuracy.std(ddof=1), 6),
                "test_accuracy_min": accuracy.min(),
            }
        )
    return frame_of(rows, BASELINE)


def signed(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with who writes them and when."""
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    text = {"written_by": _who(), "written_utc": now}
    return rows.assign(**{name: pd.array([value] * len(rows), dtype="string") for name, value in text.items()})


def _who() -> str:
    """Git's user.name, else the login; `unknown` where there is neither."""
    try:
        answer = subprocess.run(["git", "config", "user.name"], capture_output=True, text=True, timeout=10)
        name = answer.stdout.strip()
        # A container's user may have no name.
        return name or getpass.getuser()
    except (OSError, KeyError, subprocess.SubprocessError):
        return "unknown"


def merged(old: pd.DataFrame | None, new: pd.DataFrame) -> pd.DataFrame:
    """All rows, those of `new` in the place of those of `old` with the same key."""
    if old is not None and len(old):
        fresh = set(map(tuple, new[KEY].astype("string").to_numpy()))
        kept = [number for number, row in enumerate(old[KEY].astype("string").to_numpy()) if tuple(row) not in fresh]
        new = pd.concat([old.iloc[kept], new], ignore_index=True) if kept else new
    return new.sort_values(["data_set", "network", "backend", "epoch"], ignore_index=True)


def write_baseline(path: Path, new: pd.DataFrame, *, begin: Path | None = None) -> None:
    """Write rows into a baseline file; rows of the same keys are replaced, all others kept.

    Args:
        begin: the file whose rows it begins with, where it is not there yet.

    Raises:
        InputError: the file there is no baseline; it is left as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with alone_in(path.parent):
        before = path if path.exists() else begin
        old = read_baseline(before) if before and before.exists() else None
        write_table(path, merged(old, new))


def difference(old: pd.DataFrame | None, new: pd.DataFrame) -> list[dict[str, Any]]:
    """What `new` would change, a row a key: old and new mean, and whether seeds alone explain the difference.

    Returns:
        rows of KEY with `old` and `new` (means, shares of 1), `points` (their difference in percentage points) and
        `noise`: whether Welch's interval of the difference holds 0, all intervals together with 95 % (Bonferroni).
        Where the key is new, `old`, `points` and `noise` are None.
    """
    known = {} if old is None else {tuple(row[name] for name in KEY): row for _, row in old.iterrows()}
    pairs = [(row, known.get(tuple(row[name] for name in KEY))) for _, row in new.iterrows()]
    level = family_level(sum(before is not None for _, before in pairs), level=LEVEL)
    found = []
    for row, before in pairs:
        values: dict[str, Any] = {name: row[name] for name in KEY} | {"new": float(row["test_accuracy_mean"])}
        values |= dict.fromkeys(("old", "points", "noise"))
        if before is not None:
            values["old"] = float(before["test_accuracy_mean"])
            values["points"] = (values["new"] - values["old"]) * 100
            values["noise"] = _within_noise(row, before, 1 - level)
        found.append(values)
    return found


def _within_noise(row: pd.Series, before: pd.Series, alpha: float) -> bool:
    """Whether Welch's test, two-sided, leaves it open that the two means are one."""
    mean, sd, count = (
        [float(each[name]) for each in (row, before)] for name in ("test_accuracy_mean", "test_accuracy_sd", "seeds")
    )
    if sd == [0, 0]:
        return mean[0] == mean[1]
    error, freedom = welch((sd[0], sd[1]), (int(count[0]), int(count[1])))
    return bool(2 * stdtr(freedom, -abs(mean[0] - mean[1]) / error) >= alpha)
