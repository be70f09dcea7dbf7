"""What rows must hold before anything is computed from them: keys that are there and single, values that can be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from harness.errors import InputError
from harness.results.schema import ENTRANT, Column

_LAUNCH = ("run", "round", "position")
# What tells the rows of a table apart. Older blocks.csv know no turn, so their rows can be alike.
KEYS = {
    "launches": _LAUNCH,
    "epochs": (*_LAUNCH, "epoch"),
    "inference": (*_LAUNCH, "inference_batch_size"),
    "latency": (*_LAUNCH, "percentile"),
    "summary": ("run", *ENTRANT),
}
# Without these a row belongs to nothing.
NEEDED = {
    "launches": (
        *_LAUNCH, "backend", "framework_version", "network", "data_set", "mode", "feed", "device", "dtype",
        "batch_size", "machine_sha256", "status",
    ),
    "epochs": (*_LAUNCH, "epoch", "backend", "mode", "seed", "train_s", "test_accuracy"),
    "blocks": (*_LAUNCH, "backend", "mode", "phase", "block"),
    "inference": (*_LAUNCH, "backend", "mode", "inference_batch_size", "inference_images_per_s"),
    "latency": (*_LAUNCH, "backend", "mode", "percentile", "latency_ms"),
    "summary": ("run", "backend", "framework_version", "network", "mode", "batch_size"),
}  # fmt: skip
# What is counted or timed. Only a summary has infinite ones, for never.
AMOUNTS = ("s", "ms", "us", "bytes", "steps", "epochs", "images", "launches", "turns", "batches", "J", "MHz", "GFLOP/s")
STATUSES = ("ok", "failed")
ACCURACIES = ("train_accuracy", "test_accuracy", "until")


def check_rows(frame: pd.DataFrame, table: str, columns: dict[str, Column], path: Path) -> None:
    """Refuse rows that cannot have been measured.

    Raises:
        InputError: with file, row (as a spreadsheet counts, the header being row 1), column and value.
    """
    for name in NEEDED.get(table, ()):
        _refuse(frame, name, frame[name].isna(), path, "where every row needs a value")
    if table == "launches":
        _refuse(frame, "status", ~frame["status"].isin(STATUSES), path, f"is none of {', '.join(STATUSES)}")
    for name, column in columns.items():
        if column.dtype not in ("Int64", "Float64"):
            continue
        # A missing one is neither below nor above anything.
        values = frame[name].to_numpy(float, na_value=np.nan)
        if column.unit == "images/s":
            _refuse(frame, name, (values <= 0) | np.isinf(values), path, "is no speed")
        elif name == "percentile":
            _refuse(frame, name, (values < 0) | (values > 100), path, "is no percentile")
        elif name in ACCURACIES:
            _refuse(frame, name, (values < 0) | (values > 1), path, "is no share between 0 and 1")
        elif name == "plan_round":
            _refuse(frame, name, values == 0, path, "must be 1 or more, or below 0 for a training")
        elif name in ("batch_size", "round", "position", "epoch"):
            _refuse(frame, name, values < 1, path, "must be 1 or more")
        elif column.unit in AMOUNTS:
            endless = np.isinf(values) if table != "summary" else False
            _refuse(frame, name, (values < 0) | endless, path, "can be no amount")
    if table == "launches":
        _refuse(frame, "turn_step_us", _not_times(frame), path, "is not a positive number for each of its turns")
        _refuse(frame, "disturbed_turns", _not_turns(frame), path, "are no numbers of its turns, once each, or none")
    key = list(KEYS.get(table, ()))
    if key:
        _refuse_twins(frame, key, path)


def _not_times(frame: pd.DataFrame) -> pd.Series:
    """Whether the times of a launch's turns are something else than as many positive numbers as it had turns."""

    def wrong(times: Any, turns: Any) -> bool:
        if pd.isna(times):
            return False
        parts = times.split()
        try:
            positive = all(0 < float(part) < float("inf") for part in parts)
        except ValueError:
            return True
        return not (parts and positive and (pd.isna(turns) or len(parts) == turns))

    found = [wrong(*cells) for cells in zip(frame["turn_step_us"], frame["turns"])]
    return pd.Series(found, index=frame.index, dtype=bool)


def _not_turns(frame: pd.DataFrame) -> pd.Series:
    """Whether what should be numbers of a launch's turns, each once and in their order, is something else."""

    def wrong(cell: Any, turns: Any) -> bool:
        if pd.isna(cell) or cell == "none":
            return False
        parts = cell.split()
        if not parts or not all(part.isascii() and part.isdigit() and len(part) < 10 for part in parts):
            return True
        numbers = [int(part) for part in parts]
        return numbers != sorted(set(numbers)) or numbers[0] < 1 or (pd.notna(turns) and numbers[-1] > turns)

    found = [wrong(*cells) for cells in zip(frame["disturbed_turns"], frame["turns"])]
    return pd.Series(found, index=frame.index, dtype=bool)


def _refuse(frame: pd.DataFrame, name: str, bad: Any, path: Path, why: str) -> None:
    places = bad if isinstance(bad, np.ndarray) else bad.fillna(False).to_numpy(bool)
    if places.any():
        row = int(places.argmax())
        value = frame[name].iloc[row]
        shown = "an empty cell," if pd.isna(value) else repr(value.item() if hasattr(value, "item") else value)
        shown = shown if len(shown) <= 80 else f"{shown[:80]}...'"
        raise InputError(f"{path}, row {row + 2}, column {name}: {shown} {why}. Is the file cut off or hand-edited?")


def _refuse_twins(frame: pd.DataFrame, key: list[str], path: Path) -> None:
    keys = list(zip(*(frame[name].tolist() for name in key)))
    if len(set(keys)) < len(keys):
        row = int(frame.duplicated(key).to_numpy(bool).argmax())
        same = frame[key].astype("string").fillna("")
        first = int((same == same.iloc[row]).all(axis=1).to_numpy(bool).argmax())
        shown = ", ".join(f"{name} {same.iloc[row][name]}" for name in key[:4] if same.iloc[row][name])
        raise InputError(
            f"{path}, row {row + 2}: the same {'launch' if key[0] == 'run' else 'row'} as row {first + 2} ({shown}). "
            "Remove one of them."
        )
