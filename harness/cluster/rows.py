"""Rows that nodes send, written by one process: each round once, each node's in a run folder of its own.

So all that reads runs reads these, and no figure is made of two machines.
"""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from harness.analysis.summary import summarise
from harness.cluster.node import kind_of
from harness.errors import InputError
from harness.results.changes import package_changes
from harness.results.counted import counting, with_labels
from harness.results.environment import read_environment
from harness.results.folder import OF_LAUNCHES, TABLES, RunFolder
from harness.results.machines import recorded
from harness.results.sweep_folder import SweepFolder
from harness.runs.done import Done
from harness.runs.plan import Plan


class Rows:
    """The run folders of a sweep's cells, while nodes fill them. Its locks end with the `with`."""

    def __init__(self, sweep: SweepFolder, plans: Mapping[str, Plan]) -> None:
        """Begin.

        Args:
            plans: of the cells, by name.
        """
        self._sweep = sweep
        self._plans = plans
        self._ending = contextlib.ExitStack()
        self._open: dict[str, _Run] = {}
        # Cell -> digest and name of its images, as the first node had them.
        self._images: dict[str, tuple[str, str]] = {}
        # Installation -> its packages, of the first node that told them.
        self._packages: dict[str, list[str]] = {}

    def __enter__(self) -> Rows:
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.close()

    def missing(self, cell: str) -> list[int]:
        """The rounds of a cell's plan that no node has done yet, with a good launch of every entrant; in order.

        What a killed writer has left is set right first.
        """
        plan = self._plans[cell]
        wanted, labels = [*range(1, plan.rounds + 1), *plan.trainings], {each.label for each in plan.entrants}
        done: set[int] = set()
        for path in self._sweep.runs_of(cell):
            run = self._run(path.name, plan)
            launches = run.folder.read("launches")
            self._learn(cell, run.folder.read_environment(), launches)
            rows = with_labels(counting(launches))
            for plan_round, group in rows[rows["status"] == "ok"].groupby("plan_round"):
                if labels <= set(group["label"]):
                    done.add(int(str(plan_round)))
        return [number for number in wanted if number not in done]

    def kind(self, cell: str) -> str:
        """The kind of hardware (`node.kind_of`) of the first node that has done some of a cell; empty for none."""
        runs = self._sweep.runs_of(cell)
        return kind_of(recorded(RunFolder(runs[0]))) if runs else ""

    def write(self, cell: str, answer: Mapping[str, Any]) -> None:
        """Write a round.

        Args:
            answer: of `harness.cluster.node.carry_out`.

        Raises:
            InputError: its rows are none, or cannot stand beside those of other nodes: other packages, other images.
        """
        plan = self._plans[cell]
        tables, environment = _read(answer)
        launches = tables["launches"]
        self._check(cell, environment, launches)
        self._learn(cell, environment, launches)
        run = self._run(str(launches["run"].iloc[0]), plan)
        run.packages |= environment["packages"]
        # What a node does in one round may be less than the plan: inference is not timed in all.
        own = environment["plan"] | {"inference_sizes": list(plan.inference_sizes)}
        run.folder.write_environment({**environment, "packages": run.packages, "plan": own})
        plan_round, run.rounds = int(launches["plan_round"].iloc[0]), run.rounds + 1
        # The launch's own row last, because it says that the others are there.
        for name in (*OF_LAUNCHES, "launches"):
            if name in tables:
                run.folder.append_frame(name, _numbered(tables[name], run.rounds))
        if plan_round in run.plan_rounds:
            Done(run.folder, plan).settle(plan_round)
        run.plan_rounds.add(plan_round)

    def end(self, cell: str) -> None:
        """Write the summaries of a cell, which say that it is no longer under way; its locks end. Once is enough."""
        for name in [path.name for path in self._sweep.runs_of(cell) if path.name in self._open]:
            folder = self._open[name].folder
            launches, epochs = (folder.read_counted(table) for table in ("launches", "epochs"))
            timed = launches[launches["train_images_per_s"].notna() & (launches["status"] == "ok")]
            base = self._plans[cell].base if self._plans[cell].base in set(with_labels(timed)["label"]) else ""
            folder.write_summary(summarise(launches, epochs, base=base))
            # A lock is an open file, of which a process may have a thousand as a rule.
            self._open.pop(name).locked.close()

    def _run(self, name: str, plan: Plan) -> _Run:
        """A run folder, locked, with what a killed writer has left there set right."""
        if name not in self._open:
            path = self._sweep.path / name
            path.mkdir(exist_ok=True)
            folder = RunFolder(path)
            run = _Run(folder, self._ending.enter_context(contextlib.ExitStack()))
            run.locked.enter_context(folder.lock())
            if (path / "environment.json").exists():
                done = Done(folder, plan)
                done.tidy()
                folder.forget_summary()
                run.rounds = done.next_number() - 1
                run.plan_rounds = {int(number) for number in done.rows()["plan_round"]}
                run.packages = dict(folder.read_environment().get("packages", {}))
            self._open[name] = run
        return self._open[name]

    def _learn(self, cell: str, environment: Mapping[str, Any], launches: pd.DataFrame) -> None:
        for name, packages in environment.get("packages", {}).items():
            self._packages.setdefault(name, list(packages))
        if len(launches):
            self._images.setdefault(cell, _images(launches))

    def _check(self, cell: str, environment: Mapping[str, Any], launches: pd.DataFrame) -> None:
        for name, packages in environment.get("packages", {}).items():
            moved = package_changes(self._packages.get(name, packages), packages)
            if moved:
                raise InputError(
                    f"what is installed there for {name} is not what the first worker had: {', '.join(moved)}. Install "
                    "the same on all."
                )
        found = _images(launches)
        known = self._images.get(cell, found)
        if found != known:
            raise InputError(
                f"its images are {found[1]}, those of the others {known[1]}, or not the same of that name. Put one "
                "data set on all, and name it: data-set in [cells]."
            )


@dataclass
class _Run:
    """A run folder that nobody else writes into: what is in it is known.

    Attributes:
        locked: has its lock.
        rounds: that it has, whole or not.
        plan_rounds: which of the plan's these are.
        packages: by installation.
    """

    folder: RunFolder
    locked: contextlib.ExitStack
    rounds: int = 0
    plan_rounds: set[int] = field(default_factory=set)
    packages: dict[str, list[str]] = field(default_factory=dict)


def _images(launches: pd.DataFrame) -> tuple[str, str]:
    """Digest and name of the data set of these launches."""
    return str(launches["data_sha256"].iloc[0]), str(launches["data_set"].iloc[0])


def _read(answer: Mapping[str, Any]) -> tuple[dict[str, pd.DataFrame], dict[str, Any]]:
    """The tables and environment.json of an answer, checked as those of any run.

    Raises:
        InputError: something in them cannot be, or belongs to another launch.
    """
    with tempfile.TemporaryDirectory(prefix="lenet-bench-rows-") as place:
        folder = RunFolder(Path(place))
        # Read and gone at once: none of it need be flushed to a disk.
        (folder.path / "environment.json").write_text(json.dumps(answer["environment"]), encoding="utf-8")
        for name, text in dict(answer["tables"]).items():
            if name in TABLES:
                (folder.path / f"{name}.csv").write_text(str(text), encoding="utf-8")
        environment = read_environment(folder.path / "environment.json")
        tables = {name: folder.read(name) for name in (*OF_LAUNCHES, "launches") if folder.state(name) is not None}
    if len(tables.get("launches", ())) == 0 or tables["launches"]["plan_round"].nunique() != 1:
        raise InputError("what it sent is no round: it has no launch, or launches of several rounds.")
    return tables, environment


def _numbered(frame: pd.DataFrame, number: int) -> pd.DataFrame:
    """The rows with another number for their round."""
    return frame.assign(round=pd.array([number] * len(frame), dtype="Int64"))
