"""A run that only trains: what `gate`, `baseline update` and `reproduce` hold against something."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from harness.data.sources import Dataset
from harness.errors import WorkerFailed
from harness.results.folder import RunFolder
from harness.runs.display import Display
from harness.runs.plan import Plan
from harness.runs.preparation import find_interpreters, load_for_plan
from harness.runs.rounds import Rounds
from harness.runs.run import Auditor, Run, name_of


@dataclass(frozen=True)
class Trained:
    """What came of it.

    Attributes:
        failures: entrant label -> why one of its launches failed.
    """

    run: Run
    failures: dict[str, WorkerFailed]

    @property
    def errors(self) -> dict[str, str]:
        """Backend -> why one of its launches failed."""
        labels = {each.label: each.backend for each in self.run.plan.entrants}
        return {labels[label]: str(error) for label, error in self.failures.items()}


def train(
    plan: Plan,
    *,
    results: Path,
    pythons: dict[str, str],
    suffix: str,
    auditor: Callable[[Plan, Dataset], Auditor],
    before: Callable[[Dataset], None] = lambda dataset: None,
) -> Trained:
    """Carry out a plan that times nothing, in a folder whose name ends with `suffix`.

    Args:
        auditor: of the answers that accuracies are made of.
        before: called once all that was asked for is known to be possible, and before anything is written.

    Raises:
        InputError: a backend is not installed, or the data set does not fit.
    """
    found = find_interpreters(plan, pythons)
    with Display() as display:
        dataset = load_for_plan(plan, display)
        before(dataset)
        name = name_of((entrant.backend for entrant in plan.entrants), suffix)
        with RunFolder.begin(results, name, numbered=True) as folder:
            run = Run(plan, found, dataset, folder, auditor=auditor(plan, dataset))
            run.announce(display)
            work = Rounds(run, display)
            work.execute()
    return Trained(run, work.failures)
