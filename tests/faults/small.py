"""The command line over a data set of some dozen images of noise, in as few turns as tell anything: quick launches.

`python -m tests.faults.small ARGUMENTS` is `lenet-bench ARGUMENTS` in all else. `SMALL` names the file of the data set;
`CLOCK` says by how many seconds the clock is set, and after how many: `-3600@1.5`.
"""

from __future__ import annotations

import datetime
import functools
import os
import signal
import time
from pathlib import Path

import numpy as np

from harness.__main__ import main as front_door
from harness.data.sources import Dataset
from harness.runs import plan, preparation, quiet, rounds
from harness.worker.batches import PARTS
from harness.worker.job import Job

SMALL, CLOCK = "LENET_FAULTS_SMALL", "LENET_FAULTS_CLOCK"
TRAIN, TEST, TURNS = 32, 20, 5


def draw(path: Path) -> None:
    """Write the data set's file."""
    random = np.random.default_rng(0)
    arrays: list[np.ndarray] = []
    for count in (TRAIN, TEST):
        arrays += random.integers(0, 256, (count, 1, 28, 28), np.uint8), random.integers(0, 10, count, np.int32)
    np.savez(path, **dict(zip(PARTS, arrays)))  # type: ignore[arg-type]


def main() -> None:
    """Be the command line."""
    # Whoever runs these tests under nohup ignores it, and what they start would, too.
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    make_small()
    if os.environ.get(CLOCK):
        shift, _, after = os.environ[CLOCK].partition("@")
        _set_clock(float(shift), float(after or 0))
    front_door()


def make_small() -> None:
    """Let this process load the few images, and time few turns."""
    with np.load(os.environ[SMALL]) as arrays:
        dataset = Dataset(name="drawn-digits", source="noise", sha256="0" * 64, **arrays)
    preparation.load = lambda name, data_dir, display: dataset  # type: ignore[assignment]
    plan.LEAST_TURNS = TURNS
    # A look at the machine before a run is as long as a run of these.
    quiet.LOOK_S = 0.1
    rounds.Job = functools.partial(Job, warmup_limit_s=0.05)  # type: ignore[misc,assignment]


def _set_clock(shift_s: float, after_s: float) -> None:
    """Let the wall clock jump, for `time.time` and `datetime.datetime.now`; the monotonic clock goes on."""
    right, begun, real = time.time, time.monotonic(), datetime.datetime

    def now_s() -> float:
        return right() + (shift_s if time.monotonic() - begun >= after_s else 0.0)

    class Shifted(real):  # type: ignore[misc,valid-type]
        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> datetime.datetime:
            return real.fromtimestamp(now_s(), tz)

    time.time, datetime.datetime = now_s, Shifted  # type: ignore[misc]


if __name__ == "__main__":
    main()
