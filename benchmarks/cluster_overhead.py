"""What a cluster adds to launches: seconds of a round on a node that are no launch's, and seconds between two rounds.

`python -m benchmarks.cluster_overhead` with the extra `cluster`: two nodes here, a CPU each.
"""

from __future__ import annotations

import argparse
import io
import json
import tempfile
import time
from collections import deque
from pathlib import Path

import pandas as pd

import harness
from harness.cluster import dask_nodes, node
from harness.cluster.coordinator import Coordinator, Event, Work
from harness.cluster.rows import Rows
from harness.results.sweep_folder import State, SweepFolder
from harness.runs import code
from harness.runs.entrants import make_entrants
from harness.runs.plan import default_plan


class Timed:
    """Passes on to nodes, and notes down when each was given a round and had answered."""

    def __init__(self, nodes: dask_nodes.DaskNodes) -> None:
        self._nodes = nodes
        self.begun: dict[str, list[float]] = {}
        self.answered: dict[str, list[tuple[float, float, float]]] = {}

    def begin(self, address: str, task: str) -> None:
        """As `coordinator.Nodes`."""
        self.begun.setdefault(address, []).append(time.monotonic())
        self._nodes.begin(address, task)

    def wait(self, seconds: float) -> list[Event]:
        """As `coordinator.Nodes`."""
        events = self._nodes.wait(seconds)
        for event in events:
            if hasattr(event, "answer"):
                answer = json.loads(event.answer)
                launches = pd.read_csv(io.StringIO(answer["tables"]["launches"]))["launch_s"].sum()
                self.answered.setdefault(event.address, []).append((time.monotonic(), answer["seconds"], launches))
        return events


def main() -> None:
    """Print medians over all rounds but each node's first, which makes ready."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--data-dir", default=None)
    asked = parser.parse_args()
    plan = default_plan(
        make_entrants(["numpy"], device="cpu", dtype="float32", network="lenet5"), data_set="", data_dir=asked.data_dir,
        rounds=asked.rounds, most_rounds=asked.rounds, seeds=1, seed=0, epochs=0, inference_sizes=(),
    )  # fmt: skip
    plans = {"1": plan, "2": plan}
    with (
        tempfile.TemporaryDirectory() as place,
        SweepFolder.begin(Path(place), "s", "", State("", harness.__version__), numbered=False) as folder,
        Rows(folder, plans) as rows,
        dask_nodes.connected("local:2") as dask,
    ):
        nodes = Timed(dask)
        digests = {"numpy": code.digest("numpy")}
        work = [Work(name, f"s-{name}", plan, deque(rows.missing(name)), code=digests) for name in plans]
        version = {"lenet_bench": harness.__version__, "code": node.code_digest()}
        Coordinator(work, nodes, rows, version=version, say=lambda text: None).execute()
    found = pd.DataFrame(
        {
            "launches": launches,
            "on the node": seconds - launches,
            "between": (nodes.begun[address][number + 1] - begun - seconds),
        }
        for address, answers in nodes.answered.items()
        for number, (begun, (_, seconds, launches)) in enumerate(zip(nodes.begun[address], answers))
        if 0 < number < len(answers) - 1
    )
    medians = found.median()
    added = medians["on the node"] + medians["between"]
    print(found.round(3).to_string(index=False))
    print(
        f"Medians of {len(found)} rounds: launches {medians['launches']:.2f} s, besides on the node "
        f"{medians['on the node']:.3f} s, between rounds {medians['between']:.3f} s: {added / medians['launches']:.1%}"
    )


if __name__ == "__main__":
    main()
