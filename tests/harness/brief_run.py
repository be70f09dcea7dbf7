"""A whole run of two entrants on tiny data, in a process that can be killed; called again, it goes on.

python -m tests.harness.brief_run FOLDER IMAGES
"""

from __future__ import annotations

import functools
import sys
from pathlib import Path

import numpy as np

from harness.commands import run as run_command
from harness.data.sources import Dataset
from harness.runs import plan as plans
from harness.runs import preparation, quiet, rounds
from harness.runs.plan import default_plan
from harness.worker.batches import PARTS
from harness.worker.job import Entrant, Job


def main(folder: Path, images: Path) -> int:
    """Begin the run of this folder, or go on with it; return the exit code.

    Args:
        images: the arrays of a data set, .npz; 200 of them are trained on.
    """
    with np.load(images) as arrays:
        few = {part: arrays[part][:200] if part.startswith("train") else arrays[part] for part in PARTS}
    dataset = Dataset(name="drawn-digits", source="a few drawn digits", sha256="0" * 64, **few)
    preparation.load = lambda name, data_dir, display: dataset
    rounds.Job = functools.partial(Job, warmup_limit_s=0.2)  # type: ignore[misc, assignment]
    # Kills are to come while it starts, times, trains and writes, and not while it looks at the machine.
    quiet.LOOK_S, plans.LEAST_TURNS = 0.05, 3
    if (folder / "environment.json").exists():
        return run_command.resume_run(folder, pythons={})
    usual = {"network": "lenet5", "mode": "eager", "feed": "host", "device": "cpu", "dtype": "float32", "threads": 1}
    entrants = [Entrant(backend=name, batch_size=8, environment="controlled", **usual) for name in ("numpy", "twin")]
    plan = default_plan(
        entrants, data_set="drawn-digits", data_dir=None, rounds=2, most_rounds=2, seeds=1, seed=0, epochs=1,
        inference_sizes=(), steady_s=0.05,
    )  # fmt: skip
    return run_command.new_run(plan, results=folder.parent, name=folder.name, pythons={})


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
