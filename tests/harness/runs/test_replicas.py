"""Entrants whose replicas are processes: what they compute together, what counts as theirs, how they end."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from harness.errors import InputError, WorkerFailed
from harness.runs import gpus
from harness.runs.entrants import make_entrant as make_checked
from harness.runs.entrants import make_entrants
from harness.runs.worker_process import WorkerProcess
from harness.spec.recipes import LENET5
from harness.worker.job import Entrant, Job

CPUS = sorted(os.sched_getaffinity(0))
FIELDS: dict[str, Any] = {"network": "lenet5", "device": "cpu", "dtype": "float32"}
two_cpus = pytest.mark.skipif(len(CPUS) < 2, reason="one CPU: a replica each needs two")


def children() -> list[psutil.Process]:
    return psutil.Process().children(recursive=True)


@pytest.fixture
def begin(
    launch_one: Callable[..., Any], make_entrant: Callable[..., Entrant], tmp_path: Path
) -> Callable[..., WorkerProcess]:
    """Return a function that starts a worker with two replicas which is to take turns."""

    def start(mode: str, replicas: int = 2, *, dtype: str = "float32", output: str = "") -> WorkerProcess:
        entrant = make_entrant("replicated", mode=mode, batch_size=8, replicas=replicas, dtype=dtype)
        job = Job(
            kind="measure", entrant=entrant, recipe=LENET5.as_dict(), seed=0, data=str(tmp_path),
            weights=str(tmp_path / "weights.npz"), steady_s=0.05, warmup_limit_s=0.1, turns=3, inference_sizes=(),
            asked={"environment": {}, "cpus": CPUS[:replicas]} if len(CPUS) > 1 else {}, output=output, turn_seed=5,
        )  # fmt: skip
        return WorkerProcess(job, interpreter=sys.executable, folder=tmp_path / mode, timeout_s=60)

    return start


def is_over(process: psutil.Process) -> bool:
    """Whether it ends within ten seconds; whose parent has ended may stay as a zombie."""
    deadline = time.monotonic() + 10
    while process.is_running() and process.status() != psutil.STATUS_ZOMBIE and time.monotonic() < deadline:
        time.sleep(0.01)
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def losses_of(worker: WorkerProcess, folder: Path) -> np.ndarray:
    """Those of the first steps of a turn."""
    with worker:
        worker.ready(lambda message: None)
        worker.turn(lambda message: None)
    with np.load(folder / "turn-1.npz") as found:
        return found["losses"][:12]


def test_two_compute_the_steps_of_one(begin: Callable[..., WorkerProcess], tmp_path: Path) -> None:
    """On a turn's batches, which all launches of a round are given; and who averages nothing is seen."""
    found = {
        mode: losses_of(
            begin(mode, count, dtype="float64", output=str(tmp_path / f"{mode}-out")), tmp_path / f"{mode}-out"
        )
        for mode, count in (("alone", 1), ("averaged", 2), ("apart", 2))
    }

    assert np.abs(found["averaged"] / found["alone"] - 1).max() < 1e-12
    assert np.abs(found["apart"] / found["alone"] - 1).max() > 1e-3
    assert children() == []


@two_cpus
def test_replicas_take_turns_as_one(begin: Callable[..., WorkerProcess]) -> None:
    """Each is on its own CPU, their work counts as the launch's, and nothing of them is left."""
    with begin("averaged") as worker:
        worker.ready(lambda message: None)
        (other,) = psutil.Process(worker.pid).children()
        assert (psutil.Process(worker.pid).cpu_affinity(), other.cpu_affinity()) == ([CPUS[0]], [CPUS[1]])
        for _ in range(2):
            worker.turn(lambda message: None)
        result = worker.result(lambda message: None)

    assert result["cpus_found"] == f"{CPUS[0]} {CPUS[1]}"
    assert all(own is not None and own > 0.5 and of_children == 0 for own, of_children in worker.shares)
    assert result["batches_read_back"] == 4
    assert is_over(other)


@pytest.mark.parametrize(
    ("mode", "message"),
    [("breaks", r"Replica 2 of 2: ValueError: no more"), ("ends", r"Replica 2 of 2 ended \(exit code 7\)")],
)
def test_replica_that_fails_ends_all(begin: Callable[..., WorkerProcess], mode: str, message: str) -> None:
    """Its own reason is told, although the first one fails because of it."""
    with begin(mode) as worker, pytest.raises(WorkerFailed, match=message):
        worker.ready(lambda message: None)
    assert children() == []


@two_cpus
def test_replica_may_not_run_elsewhere(begin: Callable[..., WorkerProcess]) -> None:
    """The system is asked of it, too: here the launch has the first one's CPU alone."""
    with begin("averaged") as worker:
        worker._cpus = set(CPUS[:1])
        worker.ready(lambda message: None)
        with pytest.raises(WorkerFailed, match="It left the CPUs that it was given"):
            worker.turn(lambda message: None)


def test_replicas_die_with_the_worker(begin: Callable[..., WorkerProcess]) -> None:
    """Also where it is killed outright."""
    with begin("averaged") as worker:
        worker.ready(lambda message: None)
        (other,) = psutil.Process(worker.pid).children()
        psutil.Process(worker.pid).kill()
        assert is_over(other)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"backend": "numpy"}, r"numpy has no replicas here, got --replicas 2. These have: .*torch"),
        ({"mode": "alone"}, r"no replicas in the mode 'alone', got --replicas 2. Give --mode averaged or apart"),
        ({"batch_size": 63}, r"63 images cannot be shared out to 2 replicas alike. Give --batch-size 62 or 64"),
        ({"batch_size": 1}, r"Give --batch-size 2: it is that of all"),
    ],
)
def test_what_has_no_replicas_is_refused(mutants: Path, fields: dict[str, Any], message: str) -> None:
    """With what was asked for, and what to do."""
    asked = {"backend": "replicated", "mode": None, "environment": "controlled", "threads": 1, "feed": "host"}
    with pytest.raises(InputError, match=message):
        make_checked(**(asked | FIELDS | {"batch_size": 64, "replicas": 2} | fields))


def test_product_with_replicas(mutants: Path) -> None:
    """Of all modes, those that have replicas have them; a mode that is named must."""
    made = make_entrants(["replicated"], modes="all", replicas=(1, 2), **FIELDS)

    assert len(made) == 9
    assert [each.replicas for each in made if each.mode == "alone"] == [1]
    with pytest.raises(InputError, match="no replicas in the mode 'alone'"):
        make_entrants(["replicated"], modes="alone,averaged", replicas=(1, 2), **FIELDS)


def test_a_card_for_each_replica(make_entrant: Callable[..., Entrant], monkeypatch: pytest.MonkeyPatch) -> None:
    """As many as can be seen, by the system or by the variable."""
    entrant = make_entrant("torch", device="gpu", replicas=2)
    monkeypatch.setattr(gpus, "why_none", lambda: "")
    monkeypatch.setattr(gpus, "count", lambda: 1)
    with pytest.raises(InputError, match="--replicas 2 needs a GPU each, and there are 1"):
        gpus.check([entrant])
    for cards in (2, None):
        monkeypatch.setattr(gpus, "count", lambda cards=cards: cards)
        gpus.check([entrant])


def test_cards_are_counted(tmp_path: Path) -> None:
    """What is hidden does not count; a system that shows none as files says nothing."""
    assert gpus.count(tmp_path, {}) is None
    (tmp_path / "dev").mkdir()
    for name in ("nvidia0", "nvidia1", "nvidiactl"):
        (tmp_path / "dev" / name).touch()

    assert gpus.count(tmp_path, {}) == 2
    assert gpus.count(tmp_path, {gpus.HIDING: "1"}) == 1
    assert gpus.count(tmp_path, {gpus.HIDING: "0,1,3"}) == 3
