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
from harness.proof.audit import Audit
from harness.proof.rounding import reference
from harness.results.folder import RunFolder
from harness.runs.plan import Plan
from harness.spec.networks import get_network
from harness.spec.precision import array_dtype
from harness.spec.recipes import LENET5
from harness.spec.start import initial_weights
from harness.worker.batches import prepare
from harness.worker.job import Entrant, Job


@pytest.fixture
def run_audited(
    tiny_commands: None, make_plan: Callable[..., Plan], make_entrant: Callable[..., Entrant], tmp_path: Path
) -> Callable[..., pd.DataFrame]:
    """Return a function that times one round of the cheating backend beside an honest one, with the audit."""

    def run(mode: str, *, alone: bool = False, **changes: Any) -> pd.DataFrame:
        cheat = make_entrant("cheating", mode=mode, batch_size=8, feed=changes.pop("feed", "host"))
        others = [] if alone else [make_entrant("numpy", batch_size=8)]
        options = {"rounds": 1, "epochs": 0, "timing": True, "inference_sizes": (), "steady_s": 0.2, "verified": True}
        plan = make_plan(cheat, *others, **(options | changes))
        run_command.new_run(plan, results=tmp_path, name="run", pythons={})
        return RunFolder(tmp_path / "run").read("launches").set_index("backend")

    return run


@pytest.mark.parametrize("feed", ["host", "device"])
@pytest.mark.parametrize("alone", [False, True], ids=["in turns", "alone"])
def test_honest_launches_pass(run_audited: Callable[..., pd.DataFrame], alone: bool, feed: str) -> None:
    """In turns and alone, with inference, from either feed; the rows say what was audited."""
    rows = run_audited("honest", alone=alone, feed=feed, inference_sizes=(1, 64))

    assert set(rows["status"]) == {"ok"}
    assert (rows["audited_turns"] == 1).all()
    assert (rows["audit_share"] < 0.5).all()
    assert rows["turn_seed"].nunique() == 1


def test_unverified_runs_are_not_audited(run_audited: Callable[..., pd.DataFrame]) -> None:
    """Nothing is claimed of them."""
    rows = run_audited("half-batch", verified=False)

    assert set(rows["status"]) == {"ok"}
    assert rows["audited_turns"].isna().all()


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        ("no-step", "the loss of step"),
        ("remembered", "the loss of step"),
        ("half-batch", "the loss of step 1 of"),
        ("no-update", "the loss of step|moved otherwise"),
        ("float16", "the loss of step|moved otherwise"),
        ("queued", "the loss of step 1 of"),
        ("early-logits", "other logits than the reference has"),
    ],
)
def test_cheats_are_found(run_audited: Callable[..., pd.DataFrame], mode: str, words: str) -> None:
    """Each fails its launch with a sentence and has no speed."""
    cheat = run_audited(mode, alone=True, inference_sizes=(8,) if "logits" in mode else ()).loc["cheating"]

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
        ({"losses": np.empty(0)}, r"found 0 losses of turn \d, which had 24 steps or more"),
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
    """Right ones pass; a tenth off, about images that there are not, or not there at all, they do not."""
    audit, job = launch
    job = replace(job, entrant=replace(job.entrant, dtype=dtype), turns=0, inference_sizes=(8,))
    weights = initial_weights(get_network("lenet5"), seed=0)
    network, images = get_network("lenet5"), np.arange(8)[None]
    backend = reference(network, LENET5, dtype)
    backend.load_weights(weights)
    given = prepare(tiny_dataset.test_images[:8], network.input_shape, array_dtype(dtype))
    logits = backend.logits(given)[None]

    def share(**changes: Any) -> float:
        for name in ("inference-8", "latency"):
            np.savez(tmp_path / f"{name}.npz", **({"images": images, "logits": logits, **weights} | changes))
        return audit.check(job, [weights], [])["audit_share"]

    with pytest.raises(WorkerFailed, match="nothing of the answers to inference in batches of 8"):
        audit.check(job, [weights], [])
    assert share() <= 0.5
    for factor in (0.9, 1.1, np.nan):
        with pytest.raises(WorkerFailed, match="other logits than the reference has"):
            share(logits=logits * factor)
    with pytest.raises(WorkerFailed, match="about images that there are not"):
        share(images=images + 10**6)
    with pytest.raises(WorkerFailed, match="no logits of the right shape"):
        share(logits=logits[:, :-1])


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
