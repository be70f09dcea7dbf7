"""A sweep on a real cluster, a scheduler and nodes as processes, of which some are killed outright at random."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import psutil

from tests.faults import small
from tests.faults.place import base_environment

PRELOAD = "DASK_DISTRIBUTED__WORKER__PRELOAD"
MARK = "LENET_CLUSTER_MARK"
SWEEP = """
[cells]
seed = {seeds}
batch-size = 8

[[entrants]]
backend = "numpy"

[run]
rounds = {rounds}
epochs = 0
steady-s = 0.01
inference-sizes = "none"
unverified = true
"""
# How long nothing may become of anything, s.
STUCK_S = 180.0
# How long what was killed may take to be gone, s.
GRACE_S = 20.0


@dataclass
class Trial:
    """One sweep with its cluster, in a folder of its own.

    Attributes:
        killed: what was killed, and how many rows there were then.
    """

    folder: Path
    seeds: int
    rounds: int
    nodes: int = 2
    killed: list[tuple[str, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        small.draw(self.folder / "small.npz")
        (self.folder / "sweep.toml").write_text(SWEEP.format(seeds=list(range(self.seeds)), rounds=self.rounds))
        self._own = {
            MARK: str(self.folder), PRELOAD: '["tests.cluster.small_node"]',
            "LENET_BENCH_CACHE": str(self.folder / "cache"), "LENET_BENCH_LIVE_RUNS": str(self.folder / "live"),
        }  # fmt: skip
        self._environment = base_environment(self.folder) | self._own
        self._nodes: list[subprocess.Popen[bytes]] = []

    @property
    def wanted(self) -> int:
        """Launches that there must be in the end."""
        return self.seeds * self.rounds

    @contextlib.contextmanager
    def cluster(self) -> Iterator[str]:
        """A scheduler and its nodes; gives its address."""
        file = self.folder / "scheduler.json"
        scheduler = self._start(
            "distributed.cli.dask_scheduler", "--port", "0", "--no-dashboard", "--host", "127.0.0.1",
            "--scheduler-file", str(file),
        )  # fmt: skip
        try:
            _until(file.exists, "the scheduler has not come")
            address = str(json.loads(file.read_text())["address"])
            for _ in range(self.nodes):
                self.add_node(address)
            yield address
        finally:
            for process in (*self._nodes, scheduler):
                _kill(process)

    def add_node(self, address: str) -> None:
        """Start a node, on a host of its own name where the machine allows it: it is a machine of its own then."""
        name = f"lenet-node-{len(self._nodes) % self.nodes}"
        apart = ["unshare", "--uts", "sh", "-c", f'hostname {name} && exec "$@"', "sh"] if may_have_hosts() else []
        arguments = [address, "--host", "127.0.0.1"]
        self._nodes.append(self._start("harness.cluster.worker", *arguments, before=apart))

    def command(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start `lenet-bench`."""
        return self._start("tests.faults.small", *arguments)

    def rows(self) -> pd.DataFrame:
        """All rows of launches.csv, with the cell's folder."""
        files = sorted(self.folder.glob("results/s/*/launches.csv"))
        return pd.concat([pd.read_csv(file) for file in files]) if files else pd.DataFrame()

    def kill_a_node(self, address: str, random_: random.Random, *, whole: bool) -> None:
        """Kill the worker of a node outright, whose nanny starts another; or both, and start another node."""
        node = random_.choice([each for each in self._nodes if each.poll() is None])
        workers = psutil.Process(node.pid).children(recursive=False)
        self.killed.append(("node" if whole else "worker", len(self.rows())))
        for each in workers:
            with contextlib.suppress(psutil.Error):
                if "resource_tracker" not in " ".join(each.cmdline()):
                    each.kill()
        if whole:
            _kill(node)
            self.add_node(address)

    def left(self) -> list[str]:
        """Processes of this trial that are still there."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.environ().get(MARK) == str(self.folder) and process.pid != os.getpid():
                    found.append(" ".join(process.cmdline())[:100])
        return found

    def _start(self, module: str, *arguments: str, before: Sequence[str] = ()) -> subprocess.Popen[bytes]:
        with (self.folder / f"{module}.log").open("ab") as log:
            return subprocess.Popen(
                [*before, sys.executable, "-m", module, *arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                cwd=self.folder, env=self._environment, start_new_session=True,
            )  # fmt: skip


def carry_out(
    trial: Trial, *, kills: int, commands_killed: int = 0, seed: int = 0, say: Callable[[str], None] = lambda text: None
) -> int:
    """Carry the sweep out, and kill nodes meanwhile; return the exit code of the command that ended.

    Args:
        kills: of nodes, spread over the sweep.
        commands_killed: how often the command itself is killed, too, and another goes on.
    """
    random_ = random.Random(seed)
    # After how many rows each is killed, and what: not a node with its nanny every time, which takes longer.
    marks = sorted(random_.uniform(0.02, 0.95) * trial.wanted for _ in range(kills))
    ends = sorted(random_.uniform(0.1, 0.9) * trial.wanted for _ in range(commands_killed))
    with trial.cluster() as address:
        command = trial.command("run", "sweep.toml", "--name", "s", "--cluster", address)
        last, since = 0, time.monotonic()
        while command.poll() is None:
            time.sleep(random_.uniform(0.05, 0.4))
            count = len(trial.rows())
            if count != last:
                last, since = count, time.monotonic()
            assert time.monotonic() - since < STUCK_S, f"nothing has happened since {last} rows"
            if marks and count >= marks[0]:
                marks.pop(0)
                trial.kill_a_node(address, random_, whole=random_.random() < 0.3)
                say(f"{count} rows: a {trial.killed[-1][0]} was killed")
            if ends and count >= ends[0]:
                ends.pop(0)
                os.kill(command.pid, signal.SIGKILL)
                command.wait()
                trial.killed.append(("command", count))
                say(f"{count} rows: the command was killed")
                command = trial.command("run", "--resume", "results/s", "--cluster", address)
        assert not marks, f"{len(marks)} kills came too late"
    return command.returncode


def faults(trial: Trial) -> list[str]:
    """What is not as it must be, once a sweep has ended."""
    rows, found = trial.rows(), []
    counted = rows[rows["counted"]]
    each = counted.groupby(["seed", "plan_round"]).size()
    if len(each) != trial.wanted or (each != 1).any():
        found.append(f"{len(each)} of {trial.wanted} rounds are there, {int((each != 1).sum())} of them not once")
    if (rows["status"] != "ok").any():
        found.append(f"failed: {rows.loc[rows['status'] != 'ok', 'error'].unique().tolist()}")
    if rows.duplicated(["run", "round", "position"]).any():
        found.append("two rows have the same place")
    if (rows.groupby("run")["machine_sha256"].nunique() > 1).any():
        found.append("a run has rows of two machines")
    if may_have_hosts() and trial.seeds > 1 and rows["machine_sha256"].nunique() != trial.nodes:
        found.append(f"rows are of {rows['machine_sha256'].nunique()} machines, not of {trial.nodes}")
    for file in trial.folder.glob("results/s/*/blocks.csv"):
        launches, blocks = pd.read_csv(file.with_name("launches.csv")), pd.read_csv(file)
        places = blocks.groupby("round")["seconds"].size()
        if set(places.index) != set(launches["round"]) or places.max() > 2 * places.median():
            found.append(f"blocks of {file.parent.name} are not those of its launches")
    end = time.monotonic() + GRACE_S
    while trial.left() and time.monotonic() < end:
        # Guardians of what was killed at the end are at work.
        time.sleep(0.2)
    return found + [f"left over: {each}" for each in trial.left()]


@functools.cache
def may_have_hosts() -> bool:
    """Whether a process here may have a host's name of its own."""
    command = ["unshare", "--uts", "hostname", "lenet-node"]
    try:
        return subprocess.run(command, capture_output=True, timeout=20).returncode == 0
    except (OSError, subprocess.SubprocessError):
        return False


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a process with its group."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _until(ready: Callable[[], bool], fault: str) -> None:
    end = time.monotonic() + 60
    while not ready():
        assert time.monotonic() < end, fault
        time.sleep(0.05)
