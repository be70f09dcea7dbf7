"""Are two launches that are timed at once, each on a CPU of its own, told apart more sharply than two that take turns?

In every round the same processes do both: a turn alone, one after the other on the same CPU, and a *duet*, both at once
on two CPUs, which change sides every time. So both ways see the same launches in the same minutes.
"""

from __future__ import annotations

import math
import os
import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.noise.record import Recording, Round, Row
from harness.errors import InputError
from harness.runs.worker_process import WorkerProcess
from harness.worker.job import Entrant

# Kinds of turns: alone, or both at once.
ALONE, DUET = "alone", "duet"
Array = NDArray[np.float64]


def in_duets(what: Recording, entrants: list[Entrant], round_: Round) -> list[Row]:
    """Let them take turns alone, and the first with every other at once, in random order; a row for each side of each.

    Raises:
        InputError: there are not two CPUs.
    """
    cpus = sorted(os.sched_getaffinity(0))[-2:]
    if len(cpus) < 2:
        raise InputError(f"A duet needs two CPUs, and this process may use {len(cpus)}.")
    order = random.Random(round_.number)
    # The first has as many turns as there are tasks with it: one alone, one with every other.
    workers = {each.label: round_.launch(each, what.turns * len(entrants), cpus=cpus) for each in entrants}
    first, *others = workers
    tasks = [(label,) for label in workers] + [(first, other) for other in others]
    rows: dict[str, list[Row]] = {label: [] for label in workers}
    for repeat in range(1, what.turns + 1):
        sides = cpus if repeat % 2 else list(reversed(cpus))
        for task in order.sample(tasks, len(tasks)):
            together = len(task) > 1
            # Alone, all are on one and the same CPU.
            placed = dict(zip(task, sides if together else cpus[-1:]))
            _take(workers, placed)
            kind, other = (DUET, task[-1]) if together else (ALONE, "")
            for label, cpu in placed.items():
                rows[label].append({"repeat": repeat, "kind": kind, "with": other, "entrant": label, "cpu": cpu})
    return [row for label, worker in workers.items() for row in _with_steps(rows[label], worker)]


def _take(workers: dict[str, WorkerProcess], placed: dict[str, int]) -> None:
    """Let each take a turn at once, on the CPU that it is placed on."""
    for label, cpu in placed.items():
        for task in os.listdir(f"/proc/{workers[label].pid}/task"):
            os.sched_setaffinity(int(task), {cpu})
    with ThreadPoolExecutor(len(placed)) as pool:
        for _ in pool.map(lambda label: workers[label].turn(lambda message: None), placed):
            pass


def _with_steps(rows: list[Row], worker: WorkerProcess) -> list[Row]:
    result = worker.result(lambda message: None)
    steady = result["blocks"]["steady"]
    us = [1e6 * float(np.mean(seconds)) / result["block_steps"] for seconds in steady]
    return [row | {"step_us": round(one, 1)} for row, one in zip(rows, us, strict=True)]


@dataclass(frozen=True)
class Judged:
    """What a pair came to, either way. All in percent.

    Attributes:
        entrant: that was held against the first.
        within: standard deviation of a turn's ratio within rounds, alone and as duets.
        between: standard deviation of a round's median ratio between rounds, alone and as duets.
        bias: by how much the ratio as duets is larger than that of turns alone, mean over rounds.
        bias_error: its standard error.
        slower: by how much the first, and the entrant, are slower beside each other than alone.
    """

    entrant: str
    within: tuple[float, float]
    between: tuple[float, float]
    bias: float
    bias_error: float
    slower: tuple[float, float]


def judge(file: Path) -> list[Judged]:
    """Hold both ways of a recording against each other."""
    rows = pd.read_csv(file, keep_default_na=False)
    rows["log"] = np.log(rows["step_us"])
    first = str(rows["entrant"].iloc[0])
    return [_judge(rows, first, str(other)) for other in rows["entrant"].unique() if other != first]


def _judge(rows: pd.DataFrame, first: str, other: str) -> Judged:
    alone, duet = rows[rows["kind"] == ALONE], rows[rows["with"] == other]
    found = [_ratios(each, first, other) for each in (alone, duet)]
    # What the two CPUs differ by has either sign in turn, as sides change, and leaves the median.
    medians = [each.groupby("round").median() for each in found]
    bias = medians[1] - medians[0]
    slower = [
        (duet[duet["entrant"] == one].groupby("round")["log"].median()
         - alone[alone["entrant"] == one].groupby("round")["log"].median()).mean()
        for one in (first, other)
    ]  # fmt: skip
    percent = [100 * (math.exp(each) - 1) for each in slower]
    return Judged(
        entrant=other,
        within=tuple(100 * each.groupby("round").std().mean() for each in found),
        between=tuple(100 * each.std() for each in medians),
        bias=100 * bias.mean(),
        bias_error=100 * bias.std() / math.sqrt(len(bias)),
        slower=(percent[0], percent[1]),
    )


def _ratios(rows: pd.DataFrame, first: str, other: str) -> pd.Series:
    """Logarithm of the other's time over the first's, by round and repeat."""
    by = ["round", "repeat"]
    sides = [rows[rows["entrant"] == one].set_index(by)["log"] for one in (first, other)]
    return sides[1] - sides[0]
