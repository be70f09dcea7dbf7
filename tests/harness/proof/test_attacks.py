"""A quick share of the attacks of tests/attacks, around the NumPy backend; `nox -s attacks` tries all of them."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.commands import run as run_command
from harness.data.sources import Dataset
from harness.proof import posing
from harness.proof.kept import pose
from harness.proof.problem import Problem
from harness.results.folder import RunFolder
from harness.runs.plan import Plan
from harness.spec.networks import get_network
from harness.spec.recipes import LENET5
from harness.spec.start import initial_weights
from harness.worker import asynchrony, catalogue
from harness.worker.job import Entrant
from harness.worker.quantities import AGAIN, LOSSES, UNSEEN, quantities
from tests.attacks import record, trial

LENET = get_network("lenet5")
IDEAL = {name: np.array(value) for name, value in asynchrony.IDEAL.items()}
# Mistake -> the first quantity that is off.
MISTAKES = {
    "images-shifted-by-one": "conv1.weight after 1",
    "last-image-left-out": "conv1.weight after 1",
    "pixels-by-256": "output of conv1",
    "rate-late-by-a-step": "conv1.weight after 100",
    "velocity-kept": AGAIN,
    "losses-after-update": LOSSES,
    "dumped-before-update": "conv1.weight after 1",
    "logits-stale": UNSEEN,
    "kernels-flipped": "output of conv1",
    "momentum-0.89": "conv1.weight after 10",
    "nesterov": "conv1.weight after 1",
    "average-pool": "output of pool1",
    "relu-on-logits": "logits",
    "loss-smoothed": "loss",
}
# Cheat -> what its launch fails with.
CHEATS = {
    "forged-blocks": "clock cannot be right",
    "slow-clock": "clock cannot be right",
    "not-a-number": "diverged",
}


@pytest.fixture(scope="module")
def problem(tiny_dataset: Dataset) -> Iterator[Problem]:
    """lenet5 and its recipe, with a quarter of the images, so that posing it takes seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(posing, "BATCH", 8)
        yield pose(LENET, LENET5, tiny_dataset, initial_weights(LENET, seed=0))


@pytest.fixture
def attacks(mutants: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The attacks are backends, in this process and in its workers."""
    monkeypatch.setenv(catalogue.EXTRA, str(trial.BACKENDS))
    catalogue.names()


def _found(problem: Problem, mode: str) -> dict[str, np.ndarray]:
    made = importlib.import_module("backends.numpy_mistakes.backend").Backend(
        network=LENET, recipe=LENET5, mode=mode, feed="host", device="cpu", dtype="float32", threads=1
    )
    rate = LENET5.learning_rate
    return quantities(made, problem.weights, images=problem.images, labels=problem.labels, learning_rate=rate) | IDEAL


@pytest.mark.parametrize("mode", MISTAKES)
def test_mistake_is_refused(attacks: None, problem: Problem, mode: str) -> None:
    """And begins where it should."""
    failed = [check.quantity for check in problem.check(_found(problem, mode)) if not check.passed]

    assert failed[:1] == [MISTAKES[mode]]


def test_equivalent_passes(attacks: None, problem: Problem) -> None:
    """What is no mistake is none, in the same wrapper."""
    assert all(check.passed for check in problem.check(_found(problem, "batch-reversed")))


@pytest.mark.parametrize("mode", CHEATS)
def test_cheat_is_no_result(
    attacks: None, tiny_commands: None, make_plan: Callable[..., Plan], make_entrant: Callable[..., Entrant],
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str,
) -> None:  # fmt: skip
    """Its launch fails, with a sentence."""
    monkeypatch.setenv(catalogue.EXTRA, str(trial.BACKENDS))
    options: dict[str, Any] = {"rounds": 1, "epochs": 0, "timing": True, "inference_sizes": (), "steady_s": 0.2}
    plan = make_plan(make_entrant("numpy_cheats", mode=mode, batch_size=8), **options)

    run_command.new_run(plan, results=tmp_path, name="run", pythons={})

    row = dict(RunFolder(tmp_path / "run").read("launches").iloc[0])
    assert row["status"] == "failed"
    assert re.search(CHEATS[mode], row["error"]), row["error"]


def test_there_are_enough() -> None:
    """In every framework."""
    for framework in trial.EVERYWHERE[:-1]:
        for kind, least in (("mistakes", 60), ("cheats", 40)):
            assert sum(framework in attack.backends for attack in trial.KINDS[kind].values()) >= least


def test_what_may_pass_has_a_reason() -> None:
    """And what is refused needs none."""
    for attacks in trial.KINDS.values():
        assert all(bool(attack.reason) == (attack.expected == "passes") for attack in attacks.values())


def test_page_is_of_what_was_found() -> None:
    """docs/attacks.md is written from found.csv and from the attacks."""
    rows = list(record.read().values())

    assert {(row["kind"], row["attack"]) for row in rows} <= {
        (kind, name) for kind, attacks in trial.KINDS.items() for name in attacks
    }
    assert record.PAGE.read_text(encoding="utf-8") == record.page(rows)
