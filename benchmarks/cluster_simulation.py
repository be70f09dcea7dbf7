"""A sweep of a thousand nodes and a million launches, by the policy that gives out real rounds, in made-up time.

`python -m benchmarks.cluster_simulation`. What is real: `harness.cluster.coordinator`. What is made up: nodes, which
take their time and die, and the one process that writes, which takes its time for each round.
"""

from __future__ import annotations

import argparse
import heapq
import itertools
import json
import random
import time
from collections import deque
from collections.abc import Mapping
from typing import Any

from harness.cluster.coordinator import Answered, Coordinator, Event, Joined, Left, Work
from harness.runs.entrants import make_entrants
from harness.runs.plan import default_plan

VERSION = {"lenet_bench": "1", "code": "1"}


class MadeUpCluster:
    """Nodes whose rounds take a time around `round_s`, which die once in `life_s` on average, and come again.

    Attributes:
        now: made-up seconds.
        busy_s: of all nodes' rounds that were done.
        waited_s: that answers have waited for the one who writes.
    """

    def __init__(self, nodes: int, *, round_s: float, life_s: float, again_s: float, write_s: float) -> None:
        self.now = self.busy_s = self.waited_s = 0.0
        self.rows = 0
        self._round_s, self._life_s, self._again_s, self._write_s = round_s, life_s, again_s, write_s
        self._random = random.Random(1)
        self._order = itertools.count()
        self._events: list[tuple[float, int, str, str]] = []
        self._incarnation = itertools.count()
        for _ in range(nodes):
            self._come(0.0)

    def begin(self, address: str, task: str) -> None:
        """As `coordinator.Nodes`."""
        took = self._round_s * self._random.uniform(0.8, 1.2)
        life = self._random.expovariate(1 / self._life_s)
        if life < took:
            self._put(self.now + life, "dies", address)
        else:
            self.busy_s += took
            self._put(self.now + took, "answers", address)

    def wait(self, seconds: float) -> list[Event]:
        """As `coordinator.Nodes`: one event, when it has come and the one who takes it in is free."""
        if not self._events:
            self.now += seconds
            return []
        at, _, what, address = heapq.heappop(self._events)
        if at >= self.now:
            self.now = at
        elif what == "answers":
            self.waited_s += self.now - at
        if what == "comes":
            return [Joined(address, VERSION | {"machine": address, "machine_sha256": address, "kind": "k"})]
        if what == "dies":
            self._come(self.now + self._again_s)
            return [Left(address)]
        return [Answered(address, '{"failures": {}}')]

    def write(self, cell: str, answer: Mapping[str, Any]) -> None:
        """As `coordinator.Writer`: takes its time."""
        self.now += self._write_s
        self.rows += 1

    def end(self, cell: str) -> None:
        """As `coordinator.Writer`."""

    def _come(self, at: float) -> None:
        self._put(at, "comes", f"n{next(self._incarnation):06d}")

    def _put(self, at: float, what: str, address: str) -> None:
        heapq.heappush(self._events, (at, next(self._order), what, address))


def main() -> None:
    """Print a line for each time that writing a round might take."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=1000)
    parser.add_argument("--cells", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=100, help="of each cell")
    parser.add_argument("--entrants", type=int, default=5)
    parser.add_argument("--round-s", type=float, default=100.0)
    parser.add_argument("--life-s", type=float, default=86400.0, help="of a node, on average")
    parser.add_argument("--write-s", default="0.01,0.05,0.1,0.2", help="of a round, several with commas")
    asked = parser.parse_args()
    entrants = make_entrants(["numpy"], device="cpu", dtype="float32", network="lenet5")
    plan = default_plan(entrants, data_set="", data_dir=None, rounds=1, seeds=1, seed=0, epochs=0)
    rounds = asked.cells * asked.rounds
    print(f"{asked.nodes} nodes, {rounds * asked.entrants:,} launches in {rounds:,} rounds of {asked.round_s:g} s")
    for write_s in map(float, asked.write_s.split(",")):
        cluster = MadeUpCluster(
            asked.nodes, round_s=asked.round_s, life_s=asked.life_s, again_s=60.0, write_s=write_s
        )  # fmt: skip
        cells = [Work(f"c{each}", f"s-{each}", plan, deque(range(1, asked.rounds + 1))) for each in range(asked.cells)]
        coordinator = Coordinator(cells, cluster, cluster, version=VERSION, say=lambda text: None)
        begun = time.process_time()
        coordinator.execute()
        cpu_s = time.process_time() - begun
        assert cluster.rows == rounds
        shared = sum(len(cell.nodes) > 1 for cell in cells)
        print(
            json.dumps(
                {
                    "write_s": write_s, "hours": round(cluster.now / 3600, 2),
                    "nodes at work": f"{cluster.busy_s / asked.nodes / cluster.now:.1%}",
                    "writing": f"{rounds * write_s / cluster.now:.1%}",
                    "an answer waits, s": round(cluster.waited_s / rounds, 2), "lost rounds": coordinator.losses,
                    "cells on several nodes": shared, "policy, ms a round": round(cpu_s / rounds * 1e3, 3),
                }
            )
        )  # fmt: skip


if __name__ == "__main__":
    main()
