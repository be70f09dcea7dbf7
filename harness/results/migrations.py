"""What older versions of the result files lack: how their rows are read by this version.

So far every version has only added columns. A cell that an older lenet-bench did not measure is missing, never guessed;
but for those of which it is known what they would have held.
"""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from harness.errors import InputError

# Table -> version -> columns that came with it.
ADDED: dict[str, dict[int, str]] = {
    "launches": {
        2: "variant slowdown start_up_s first_epoch_s block_steps warmup_s steady_drift train_gflops peak_gflops "
        "peak_share peak_source preemptions_per_step steal_share other_load frequency_mhz harness_cpu_share energy_j "
        "energy_source rss_import_bytes until",
        3: "return_steps turns turn_step_us verified batches_read_back",
        4: "controls_sha256",
        5: "turn_seed audited_turns audit_share at_work_share left_share",
        6: "counted plan_round other_runs cpu_quota throttled_share",
        7: "disturbed_turns cpu_wait_share",
        8: "replicas",
    },
    "epochs": {2: "variant slowdown", 3: "train_accuracy", 8: "replicas"},
    "blocks": {3: "turn"},
    "summary": {
        2: "variant slowdown train_images_per_s_cv base import_s_low import_s_high build_s_low build_s_high "
        "first_step_s_low first_step_s_high start_up_s start_up_s_low start_up_s_high first_epoch_s first_epoch_s_low "
        "first_epoch_s_high break_even_images train_gflops peak_share rss_import_bytes energy_j_per_image until seeds "
        "seeds_reached until_epochs until_train_s until_total_s",
        3: "ratio_sd",
        4: "verified paired",
        8: "replicas",
    },
    "scaling": {8: "replicas efficiency efficiency_low efficiency_high"},
    "verification": {5: "feed batch_size", 8: "replicas"},
    # Of its own version; where, when and by whom older rows were measured is not known.
    "baseline": {2: "run machine machine_sha256 python_version lenet_bench_version written_by written_utc"},
}
# Nothing was slowed down on purpose before there was a self-test, every launch counted, and there was one model in it.
KNOWN = {"slowdown": "0.0", "counted": "True", "replicas": "1"}


def upgrade(raw: pd.DataFrame, *, table: str, version: int, path: Path) -> pd.DataFrame:
    """Return the rows as this version has them: with all columns that came later, and with its number.

    Args:
        raw: cells as text.
        table: a key of ADDED, or any other name for a table that never changed.
        version: of this lenet-bench.

    Raises:
        InputError: rows of several versions, of a newer one, or of none.
    """
    if "schema_version" not in raw or raw.empty:
        return raw
    found = raw["schema_version"]
    first = found.iloc[0]
    if pd.isna(first) or not re.fullmatch("[1-9][0-9]{0,5}", first):
        raise InputError(f"{path}, row 2, column schema_version: {_shown(first)} is no version. Is it hand-edited?")
    other = (found != first).fillna(True).to_numpy(bool)
    if other.any():
        row = int(other.argmax())
        raise InputError(
            f"{path}, row {row + 2}, column schema_version: {_shown(found.iloc[row])}, but {_shown(first)} in the rows "
            "before. Give files that one lenet-bench wrote."
        )
    if int(first) > version:
        raise InputError(
            f"{path} has schema_version {first}; this lenet-bench reads up to {version}. Use the newer lenet-bench."
        )
    if int(first) == version:
        return raw
    came_later = [name for came, names in ADDED.get(table, {}).items() if came > int(first) for name in names.split()]
    # Columns of the next version were written before its number was.
    later = [name for name in came_later if name not in raw]
    cells = {name: pd.Series(KNOWN.get(name, pd.NA), index=raw.index, dtype="string") for name in later}
    return pd.concat([raw.assign(schema_version=str(version)), pd.DataFrame(cells, index=raw.index)], axis=1)


def _shown(cell: object) -> str:
    return "nothing" if pd.isna(cell) else repr(cell)  # type: ignore[call-overload]
