"""The audit: launches that did what was proven pass it, and no cheat does that computes something else."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from harness.commands import run as run_command
from harness.data.sources import Dataset
from harness.errors import WorkerFailed
from harness.proof.audit import DRAWN, Audit, auditor_of
from harness.proof.rounding import reference
from harness.results.folder import RunFolder
from harness.runs import training_run
from harness.runs.plan import Plan
from harness.spec.networks import get_network
from harness.spec.precision import array_dtype
from harness.spec.recipes import LENET5
from harness.spec.start import initial_weights
from harness.worker.batches import prepare
from harness.worker.job import Entrant, Job

# So brief that every turn has one block: all launches of a round then have the same steps, which are done over once.
OPTIONS = {"rounds": 1, "epochs": 0, "timing": True, "inference_sizes": (), "steady_s": 0.05, "verified": True}
# Mode of the cheating backend -> what is said of its launch.
CHEATS = {
    "no-step": "the loss of step",
    "remembered": "the loss of step",
    "half-batch": "the loss of step",
    "no-update": "the loss of step|moved otherwise",
    "float16": "the loss of step|moved otherwise",
    "queued": "the loss of step",
}


@pytest.fixture(scope="module")
def take_turns(
    run_once: Callable[..., Path], make_plan: Callable[..., Plan], make_entrant: Callable[..., Entrant]
) -> Callable[..., pd.DataFrame]:
    """Return a function that times one round with the audit, in which modes of the cheating backend, each with a feed,
    take turns with NumPy: its launches by mode and feed."""

    def run(name: str, modes: list[tuple[str, str]], **changes: Any) -> pd.DataFrame:
        cheats = [make_entrant("cheating", mode=mode, feed=feed, batch_size=8) for mode, feed in modes]
        plan = make_plan(*cheats, make_entrant("numpy", batch_size=8), **(OPTIONS | changes))
        return RunFolder(run_once(name, plan)).read("launches").set_index(["mode", "feed"])

    return run


@pytest.fixture(scope="module")
def audited(take_turns: Callable[..., pd.DataFrame]) -> pd.DataFrame:
    """Of all that cheat in training."""
    return take_turns("audited", [(mode, "host") for mode in CHEATS])


@pytest.fixture(scope="module")
def audited_inference(take_turns: Callable[..., pd.DataFrame]) -> pd.DataFrame:
    """Of one that cheats in inference, beside honest ones of either feed."""
    modes = [("honest", "host"), ("honest", "device"), ("early-logits", "host")]
    return take_turns("audited-inference", modes, inference_sizes=(1,))


@pytest.fixture
def run_alone(
    tiny_commands: None, make_plan: Callable[..., Plan], make_entrant: Callable[..., Entrant], tmp_path: Path
) -> Callable[..., pd.Series]:
    """Return a function that times one launch of the cheating backend, with the audit: its row, or `every` one."""

    def run(mode: str, *, every: bool = False, **changes: Any) -> Any:
        plan = make_plan(make_entrant("cheating", mode=mode, batch_size=8), **(OPTIONS | changes))
        run_command.new_run(plan, results=tmp_path, name=mode, pythons={})
        launches = RunFolder(tmp_path / mode).read("launches")
        return launches if every else launches.iloc[0]

    return run


@pytest.mark.parametrize("place", [("honest", "host"), ("honest", "device"), ("eager", "host")], ids=" ".join)
def test_honest_launches_pass(audited_inference: pd.DataFrame, place: tuple[str, str]) -> None:
    """With inference, from either feed, in turns with a cheat; the rows say what was audited."""
    row = audited_inference.loc[place]

    assert row["status"] == "ok"
    assert row["audited_turns"] == DRAWN
    assert row["audit_share"] < 0.5
    assert audited_inference["turn_seed"].nunique() == 1


def test_honest_launch_that_is_alone_passes(run_alone: Callable[..., pd.Series]) -> None:
    """It takes turns, too, with nobody."""
    row = run_alone("honest", inference_sizes=(1, 64))

    assert row["status"] == "ok"
    assert row["audited_turns"] == DRAWN


def test_unverified_runs_are_not_audited(run_alone: Callable[..., pd.Series]) -> None:
    """Nothing is claimed of them."""
    row = run_alone("half-batch", verified=False)

    assert row["status"] == "ok"
    assert pd.isna(row["audited_turns"])


@pytest.mark.parametrize("mode", CHEATS)
def test_cheats_are_found(audited: pd.DataFrame, mode: str) -> None:
    """Each fails its launch with a sentence and has no speed; the honest one beside them does not."""
    assert_found(audited.loc[(mode, "host")], CHEATS[mode])
    assert audited.loc[("eager", "host"), "status"] == "ok"


def test_logits_that_come_early_are_found(audited_inference: pd.DataFrame) -> None:
    """So does one whose training is right and whose inference is not."""
    assert_found(audited_inference.loc[("early-logits", "host")], "other logits than the reference has")


def test_answers_that_an_accuracy_is_made_of_are_held(run_alone: Callable[..., pd.Series]) -> None:
    """Runs that time nothing have an auditor, too: right answers pass, others fail the launch."""
    right, wrong = (run_alone(mode, timing=False, epochs=1, seeds=1) for mode in ("honest", "half-logits"))

    assert right["status"] == "ok"
    assert 0 < right["audit_share"] < 0.5
    assert pd.isna(right["audited_turns"])
    assert_found(wrong, "the test images after an epoch gave other logits than the reference has")


def test_trainings_of_a_timed_run_are_held(run_alone: Callable[..., pd.Series]) -> None:
    """They are launches of their own: turns are right, the answers after the epoch are not."""
    launches = run_alone("half-logits", epochs=1, seeds=1, every=True)

    assert launches["status"].tolist() == ["ok", "failed"]
    assert_found(launches.iloc[1], "the test images after an epoch gave other logits than the reference has")


def test_accuracies_of_a_gate_are_held(
    tiny_commands: None, make_plan: Callable[..., Plan], make_entrant: Callable[..., Entrant], tmp_path: Path
) -> None:
    """So are those of a baseline and of `reproduce`, which verify nothing."""
    entrants = [make_entrant("cheating", mode=mode, batch_size=8) for mode in ("honest", "half-logits")]
    plan = make_plan(*entrants, rounds=1, seeds=1)

    trained = training_run.train(plan, results=tmp_path, pythons={}, suffix="gate", auditor=auditor_of)

    assert list(trained.failures) == [entrants[1].label]
    assert "gave other logits than the reference has" in str(trained.failures[entrants[1].label])


def assert_found(cheat: pd.Series, words: str) -> None:
    assert cheat["status"] == "failed"
    assert re.search(words, cheat["error"]), cheat["error"]
    assert pd.isna(cheat["train_images_per_s"])


@pytest.fixture
def launch(tiny_dataset: Dataset, make_entrant: Callable[..., Entrant], tmp_path: Path) -> tuple[Audit, Job]:
    entrant = make_entrant("numpy", batch_size=8)
    job = Job(
        kind="measure", entrant=entrant, recipe=LENET5.as_dict(), seed=0, data="", weights="", turns=2, turn_seed=5,
        output=str(tmp_path), inference_sizes=(),
    )  # fmt: skip
    return Audit(get_network("lenet5"), LENET5, tiny_dataset), job


def test_what_changes_after_it_was_told_is_found(launch: tuple[Audit, Job], tmp_path: Path) -> None:
    """A launch says what its turns came to before any is drawn."""
    audit, job = launch
    weights = initial_weights(get_network("lenet5"), seed=0)
    for number in (1, 2):
        np.savez(tmp_path / f"turn-{number}.npz", losses=np.full(24, 2.3), **weights)

    with pytest.raises(WorkerFailed, match="was changed after the launch had told of it"):
        audit.check(job, [weights], ["0" * 64, "0" * 64])


def said_of(folder: Path) -> list[str]:
    """The digests that a launch tells."""
    files = [folder / f"turn-{number}.npz" for number in (1, 2)]
    return [hashlib.sha256(file.read_bytes()).hexdigest() if file.exists() else "" for file in files]


@pytest.mark.parametrize("content", [None, b"", b"no archive"])
def test_what_cannot_be_read_is_found(launch: tuple[Audit, Job], tmp_path: Path, content: bytes | None) -> None:
    """A launch that leaves nothing to look at has not passed."""
    audit, job = launch
    for number in (1, 2):
        if content is not None:
            (tmp_path / f"turn-{number}.npz").write_bytes(content)

    with pytest.raises(WorkerFailed, match=r"found nothing of turn \d that it can read"):
        audit.check(job, [initial_weights(get_network("lenet5"), seed=0)], said_of(tmp_path))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"losses": np.empty(0)}, r"found 0 losses of turn \d, which had 12 steps or more"),
        ({"conv1.bias": np.zeros(7)}, r"found conv1.bias of shape \(7,\) in turn \d"),
        ({"conv1.bias": None}, r"found nothing of turn \d that it can read: conv1.bias is not there"),
    ],
    ids=["no losses", "another shape", "a parameter short"],
)
def test_a_turn_that_is_no_turn_is_found(
    launch: tuple[Audit, Job], tmp_path: Path, change: dict[str, Any], words: str
) -> None:
    """There are no fewer losses than the shortest turn has steps, and every parameter, with its shape."""
    audit, job = launch
    weights = initial_weights(get_network("lenet5"), seed=0)
    arrays = {"losses": np.full(24, 2.3), **weights, **change}
    for number in (1, 2):
        np.savez(tmp_path / f"turn-{number}.npz", **{k: v for k, v in arrays.items() if v is not None})

    with pytest.raises(WorkerFailed, match=words):
        audit.check(job, [weights], said_of(tmp_path))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_answers_are_held_to_their_precision(
    launch: tuple[Audit, Job], tiny_dataset: Dataset, tmp_path: Path, dtype: str
) -> None:
    """Right ones pass; a tenth off, about images that there are not, or not there at all, they do not.

    Nor do those that are right for weights of before the training step that they lie behind.
    """
    audit, job = launch
    job = replace(job, entrant=replace(job.entrant, dtype=dtype), turns=0, inference_sizes=(8,))
    network, images, step = get_network("lenet5"), np.arange(8)[None], np.arange(10, 18)
    start = initial_weights(network, seed=0)
    backend = reference(network, LENET5, dtype)

    def prepared(pixels: np.ndarray) -> np.ndarray:
        return prepare(pixels, network.input_shape, array_dtype(dtype))

    given = prepared(tiny_dataset.test_images[:8])
    backend.load_weights(start)
    early = {"logits": backend.logits(given)[None], **backend.dump_weights()}
    losses = backend.train_steps([(prepared(tiny_dataset.train_images[step]), tiny_dataset.train_labels[step])])
    logits = backend.logits(given)[None]
    right = {"images": images, "logits": logits, "start": np.array(0), "step": step, "losses": losses}
    right |= backend.dump_weights()

    def share(**changes: Any) -> float:
        for name in ("inference-8", "latency"):
            np.savez(tmp_path / f"{name}.npz", **(right | changes))
        return audit.check(job, [start], [])["audit_share"]

    with pytest.raises(WorkerFailed, match="nothing of the answers to inference in batches of 8"):
        audit.check(job, [start], [])
    assert share() <= 0.5
    for factor in (0.9, 1.1, np.nan):
        with pytest.raises(WorkerFailed, match="other logits than the reference has"):
            share(logits=logits * factor)
    with pytest.raises(WorkerFailed, match="about images that there are not"):
        share(images=images + 10**6)
    with pytest.raises(WorkerFailed, match="no logits of the right shape"):
        share(logits=logits[:, :-1])
    with pytest.raises(WorkerFailed, match=r"the training step that .* lay behind was not taken, or another"):
        share(**early)
    for changes in ({"start": np.array(1)}, {"step": step[:-1]}, {"step": step + 10**6}, {"start": np.zeros(2)}):
        with pytest.raises(WorkerFailed, match="lay behind a training step that there is not"):
            share(**changes)


def test_what_differs_from_an_earlier_launch_is_done_over(launch: tuple[Audit, Job], tmp_path: Path) -> None:
    """Every turn that an earlier launch had other losses in is looked at, drawn or not."""
    audit, job = launch
    weights = initial_weights(get_network("lenet5"), seed=0)
    audit.drawn[job.turn_seed] = []
    for number in (1, 2):
        np.savez(tmp_path / f"turn-{number}.npz", losses=np.full(24, 2.3), **weights)
    said = said_of(tmp_path)

    assert audit.check(job, [weights], said)["audited_turns"] == 0
    assert audit.check(job, [weights], said)["audited_turns"] == 0
    np.savez(tmp_path / "turn-2.npz", losses=np.full(24, 2.2), **weights)
    with pytest.raises(WorkerFailed, match=r"In turn 2, done over .* the loss of step 1 of 24 is 2\.2, not"):
        audit.check(job, [weights], said_of(tmp_path))
