"""Is this what `run` wrote? What no column's dtype tells: half of a file, a row twice, a row of nobody."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pandas as pd

from harness.errors import InputError

LAUNCH = ["run", "round", "position"]
# Without these nobody knows what a row is of. The others may be empty: threads under --environment native, say.
NEEDED = [*LAUNCH, "backend", "mode"]
OF_LAUNCH = ["framework_version", "network", "data_set", "feed", "device", "dtype", "batch_size", "status"]
KEYS = {
    "launches": (LAUNCH, [*NEEDED, *OF_LAUNCH]),
    "epochs": ([*LAUNCH, "epoch"], [*NEEDED, "epoch", "test_accuracy", "train_s"]),
    "inference": ([*LAUNCH, "inference_batch_size"], [*NEEDED, "inference_batch_size", "inference_images_per_s"]),
}
MEND = "Restore the file, or measure again."


def check_whole(path: Path) -> None:
    """Refuse a CSV that ends in the middle of a row, or has rows of another length than its header's.

    pandas fills such rows up with missing values.

    Raises:
        InputError: with the row.
    """
    try:
        text = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError:
        raise InputError(f"{path} is not a CSV table: it is not text in UTF-8. {MEND}") from None
    except OSError as error:
        raise InputError(f"Cannot read {path}: {error.strerror}.") from None
    try:
        rows = list(csv.reader(io.StringIO(text, newline="")))
    except csv.Error as error:
        raise InputError(f"{path} is not a CSV table: {error}. {MEND}") from None
    if not rows:
        raise InputError(f"{path} is empty: not even a header. {MEND}")
    for number, row in enumerate(rows, start=1):
        if len(row) != len(rows[0]):
            raise InputError(f"{path}, row {number}: {len(row)} cells, where the header has {len(rows[0])}. {MEND}")
    if not text.endswith("\n"):
        raise InputError(f"{path}, row {len(rows)}: the file ends in the middle of it. {MEND}")


def check_rows(frame: pd.DataFrame, table: str, path: Path) -> None:
    """Refuse rows that say nothing of what they are of, that are there twice, or that hold what cannot be.

    Raises:
        InputError: with row and column.
    """
    identity, needed = KEYS[table]
    for name in needed:
        _refuse(frame[name].isna(), path, name, "is empty, where every row has a value")
    for name in frame.columns[[dtype in ("Float64", "Int64") for dtype in frame.dtypes.astype(str)]]:
        # A loss may be infinite, where training went wrong; a share may be negative, where steadiness drifted.
        if name.endswith(("_s", "_ms", "_us", "_bytes", "_p50", "_p95", "_p99", "_size", "round", "position", "epoch")):
            values = frame[name].astype("Float64")
            _refuse(((values < 0) | (values == float("inf"))).fillna(False), path, name, "is negative or infinite")
    for name in ("train_images_per_s", "inference_images_per_s"):
        if name in frame:
            _refuse((frame[name] == 0).fillna(False), path, name, "is 0, and nothing is that slow")
    if "test_accuracy" in frame:
        beyond = (frame["test_accuracy"] < 0) | (frame["test_accuracy"] > 1)
        _refuse(beyond.fillna(False), path, "test_accuracy", "is no share from 0 to 1")
    again = frame.duplicated(identity, keep="first")
    if again.any():
        place = int(again.to_numpy(bool).argmax())
        first = int((frame[identity] == frame[identity].iloc[place]).all(axis=1).to_numpy(bool).argmax())
        raise InputError(f"{path}, row {place + 2}: the same {', '.join(identity)} as in row {first + 2}. {MEND}")
    if table == "launches":
        known = frame["status"].isin(["ok", "failed"])
        _refuse(~known, path, "status", "is neither ok nor failed")


def _refuse(bad: pd.Series, path: Path, column: str, what: str) -> None:
    found = bad.to_numpy(bool)
    if found.any():
        # Row 1 of a spreadsheet is the header.
        raise InputError(f"{path}, row {int(found.argmax()) + 2}, column {column}: {what}. {MEND}")
