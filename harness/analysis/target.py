"""Time to accuracy: who reached the target, after how long. A seed that never did took for ever.

MLPerf's clock runs through the evaluations, AlgoPerf's does not: both are given. Neither has import, build or
compilation in it here (MLPerf leaves out as much); those are columns of their own. A single seed that just
reaches its target is a toss of a coin (DAWNBench's entries reached theirs in 30 to 33 of 50 repeats), hence
several seeds, and the median with "not reached" as infinity.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from harness.analysis.statistics import median_of_times

LAUNCH = ["run", "round", "position"]


def time_to_target(launches: pd.DataFrame, epochs: pd.DataFrame) -> dict[str, Any]:
    """Columns of summary.csv about the target, of one entrant; none where no target was asked for.

    Args:
        launches: the entrant's rows of launches.csv.
        epochs: rows of epochs.csv, of this and other entrants.
    """
    trained = launches[launches["until"].notna() & launches["test_accuracy"].notna()]
    if trained.empty:
        return {}
    seconds = epochs.groupby(LAUNCH)[["train_s", "evaluate_s"]].sum()
    times = trained.join(seconds, on=LAUNCH)
    reached = (times["test_accuracy"] >= times["until"]).to_numpy(bool)

    def median(values: pd.Series) -> float:
        return median_of_times(np.where(reached, values.to_numpy(float), np.inf))

    return {
        "until": times["until"].iloc[0],
        "seeds": len(times),
        "seeds_reached": int(reached.sum()),
        "until_epochs": median(times["epochs"]),
        "until_train_s": median(times["train_s"]),
        "until_total_s": median(times["train_s"] + times["evaluate_s"]),
    }
