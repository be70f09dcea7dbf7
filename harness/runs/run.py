"""A run: a plan, and all that it takes to carry it out. Made once, by the command, and read by everything below."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import harness
from harness.data.sources import Dataset
from harness.results.folder import RunFolder
from harness.runs.asked_controls import asked_controls, cpus_of, set_aside
from harness.runs.display import Display
from harness.runs.interpreters import Interpreter
from harness.runs.machine import this_machine
from harness.runs.plan import Plan
from harness.runs.privacy import hide_all, hide_path, known_names
from harness.spec.start import Weights
from harness.worker.job import Entrant, Job


class Auditor(Protocol):
    """Holds what a launch gave back against the reference: `harness.proof.audit`, which this room knows nothing of."""

    def check(self, job: Job, starts: Sequence[Weights], said: Sequence[str]) -> dict[str, Any]:
        """Columns of launches.csv; raises WorkerFailed where a launch did something else than the reference.

        Args:
            starts: that the job's turns may have begun from.
            said: SHA-256 of what each turn came to, as the launch said at its end; none of one that only trains.
        """


@dataclass(frozen=True)
class Run:
    """A plan that is known to be possible, and where its rows go.

    Attributes:
        interpreters: by `Entrant.installation`; of all entrants, and possibly of others.
        sources: variant of an entrant -> the folder with the `harness` and `backends` that its workers run; all others
            run this code.
        auditor: of all launches that run this code; None for none.
        trained: the second start of the turns that are audited; None without an auditor, or without turns.
        notes: what environment.json says beside what every run's says; `earlier`: what it said for the entrants of
            before (`harness.runs.resume`).
    """

    plan: Plan
    interpreters: Mapping[str, Interpreter]
    dataset: Dataset
    folder: RunFolder
    sources: Mapping[str, Path] = field(default_factory=dict)
    auditor: Auditor | None = None
    trained: Weights | None = None
    notes: Mapping[str, Any] = field(default_factory=dict)

    def announce(self, display: Display) -> None:
        """Say what is about to happen, on what, and what was set aside for it."""
        plan, dataset = self.plan, self.dataset
        wanted = dict.fromkeys(entrant.installation for entrant in plan.entrants)
        versions = ", ".join(f"{name} {self.interpreters[name].version}" for name in wanted)
        display.note(f"{versions} | {plan.entrants[0].network} on {dataset.name} ({dataset.source})")
        display.note(f"{this_machine().text} | {plan.pace}, {plan.epochs} epoch(s) | {self.folder.path}")
        aside = set_aside(each.backend for each in plan.entrants)
        if aside and plan.entrants[0].environment == "controlled":
            display.note(f"Set aside for controlled launches: {', '.join(aside)} (keep them: --environment native)")

    @property
    def cpus(self) -> list[int]:
        """All CPUs that launches are pinned to; none where nothing is controlled."""
        return sorted({cpu for each in self.plan.entrants for cpu in cpus_of(each, self.plan.cpus)})

    def write_environment(self, packages: Mapping[str, list[str]], code: Mapping[str, dict[str, str]]) -> None:
        """Write environment.json. It says nothing of whoever measures (docs/privacy.md).

        Args:
            code: backend -> `harness.runs.code.digests` when the run began.
            packages: `pip freeze` of each installation, as far as its workers have told it.
        """
        controlled, folder = self.plan.entrants[0].environment == "controlled", self.plan.data_dir
        aside = set_aside(each.backend for each in self.plan.entrants)
        values: dict[str, Any] = {
            "run": self.folder.name,
            "lenet_bench": harness.__version__,
            "code": dict(code),
            "plan": self.plan.as_dict() | {"data_dir": hide_path(folder) if folder else None},
            "data_set": {"name": self.dataset.name, "source": self.dataset.source, "sha256": self.dataset.sha256},
            "machine": this_machine().details,
            "interpreters": {name: interpreter.path for name, interpreter in self.interpreters.items()},
            "controls": {
                each.label: asked_controls(each, Path("<launch>"), self.plan.cpus) for each in self.plan.entrants
            },
            "variables_set_aside": known_names(aside) if controlled else [],
            "packages": dict(packages),
        }
        # Packages are names and versions, of which digests are made.
        self.folder.write_environment(hide_all(values | dict(self.notes), but=("plan", "packages")))


@dataclass(frozen=True)
class Place:
    """One launch of a run: its round, its place in it, both counted from 1, and its entrant.

    Attributes:
        plan_round: which of the plan's rounds its round is; another number where some were done again.
    """

    round: int
    position: int
    entrant: Entrant
    plan_round: int


def name_of(backends: Iterable[str], suffix: str = "") -> str:
    """A folder name that sorts by time and says what runs.

    Args:
        backends: repeated ones count once.
        suffix: of a run that is not one of `lenet-bench run`.
    """
    now, names = datetime.datetime.now().strftime("%Y-%m-%dT%H-%M-%S"), list(dict.fromkeys(backends))
    what = "-".join(names) if len(names) < 4 else f"{len(names)}-backends"
    return "-".join(part for part in (now, what, suffix) if part)
