"""What replicas have in common: their parts of a batch, and memory for these."""

from __future__ import annotations

import os

import numpy as np
import pytest

from harness.spec.replicas import Replica
from harness.worker.controls import choose_cpus, take_part
from harness.worker.job import Entrant, Job, label_of
from harness.worker.shared_block import SharedBlock


@pytest.mark.parametrize(("size", "count"), [(64, 2), (41, 2), (7, 3), (1, 4), (5, 5)])
def test_parts_are_the_batch(size: int, count: int) -> None:
    """Each image is in one part, and weighted means of parts are the mean of the batch."""
    replicas = [Replica(rank, count, "") for rank in range(count)]
    images = np.arange(size) ** 2.0
    parts = [images[each.part(size)] for each in replicas]

    assert np.concatenate(parts).tolist() == images.tolist()
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    means = [part.mean() * each.weight(size) for part, each in zip(parts, replicas) if len(part)]
    assert sum(means) / count == pytest.approx(images.mean())
    assert all(each.weight(64) == 1 for each in replicas if 64 % count == 0)


def test_memory_in_common() -> None:
    """Another mapping of the same memory sees what was written last, and what was read before a larger block stays."""
    writer = SharedBlock()
    reader = SharedBlock(writer.descriptor)
    small = [np.arange(6, dtype=np.float32).reshape(2, 3), np.array([1, 2], np.int32)]
    seen = reader.read(writer.write(small))

    assert [each.dtype for each in seen] == [np.float32, np.int32]
    assert all(np.array_equal(mine, its) for mine, its in zip(small, seen))
    assert seen[0].flags.aligned
    large = [np.full((100, 1, 8, 8), 7.0), np.zeros((0, 1, 8, 8)), np.arange(100)]
    again = reader.read(writer.write(large))
    assert all(np.array_equal(mine, its) for mine, its in zip(large, again))
    assert again[1].shape == (0, 1, 8, 8)
    os.close(writer.descriptor)


def test_entrant_with_replicas(make_entrant: object) -> None:
    """It has as many CPUs as all its replicas together, and says how many these are."""
    entrant = make_entrant("torch", replicas=2, threads=3)  # type: ignore[operator]
    assert isinstance(entrant, Entrant)

    assert (entrant.cpus, entrant.label) == (6, "torch eager 3t 2r")
    assert label_of({**entrant.__dict__, "replicas": 1}) == "torch eager 3t"


def test_each_process_has_its_cpus(mutants: object, make_entrant: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of its rank; who measures the machine's peak has all, and so has who has no replicas."""
    pinned: list[tuple[int, list[int]]] = []
    monkeypatch.setattr(os, "sched_setaffinity", lambda pid, cpus: pinned.append((pid, list(cpus))))

    def job(kind: str, **fields: object) -> Job:
        entrant = make_entrant("replicated", mode="averaged", threads=2, **fields)  # type: ignore[operator]
        return Job(kind=kind, entrant=entrant, recipe={}, seed=0, data="", weights="", asked={"cpus": [1, 3, 5, 7]})

    take_part(job("peak", replicas=2), 0)
    take_part(job("measure"), 0)
    assert pinned == []
    take_part(job("measure", replicas=2), 0)
    take_part(job("measure", replicas=2), 1)
    assert pinned == [(0, [1, 3]), (0, [5, 7])]


def test_more_cpus_than_there_are() -> None:
    """It says what the product is of."""
    have = len(os.sched_getaffinity(0))
    with pytest.raises(Exception, match=rf"--replicas {have + 1} with --threads 1 each asks for {have + 1} CPUs"):
        choose_cpus(1, have + 1)
    assert len(choose_cpus(1, have)) == have
