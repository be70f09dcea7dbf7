"""The trial of a GPU: what is asked of `verify`, in which order, and what becomes of its certificates."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.gpu import proof, runs
from benchmarks.gpu.probes import posing
from benchmarks.gpu.trial import Trial, read_json
from harness.proof import kept, proving
from harness.runs.entrants import make_entrants
from harness.spec.recipes import LENET5
from harness.worker import catalogue


@pytest.fixture
def trial(tmp_path: Path) -> Trial:
    return Trial(out=tmp_path, stage="look", device="cpu", seconds=60)


def test_proofs_are_read_from_certificates(tmp_path: Path) -> None:
    """The worst share of numbers and of times apart; a NaN is the worst of all; failed by what."""
    folder = tmp_path / "one" / "2026-verify"
    folder.mkdir(parents=True)
    rows = [
        ("eager", "logits", "1e-6", "4e-6", "True"),
        ("eager", "time of 2k steps over twice k", "0.4", "0.3", "False"),
        ("late", "conv1.weight after 100", "", "1e-6", "False"),
        ("late", "training left after synchronize", "0.3", "0.2", "False"),
    ]
    lines = [f"torch,{mode},host,float32,{name},{error},{limit},{passed}" for mode, name, error, limit, passed in rows]
    text = "\n".join(["backend,mode,feed,dtype,quantity,error,tolerance,passed", *lines])
    (folder / "verification.csv").write_text(text + "\n")

    eager, late = proof.read_proofs(tmp_path / "one")

    assert eager.kind == "times"
    assert eager.worst == (0.25, "logits")
    assert eager.worst_time[0] == pytest.approx(4 / 3)
    assert late.kind == "numbers"
    assert late.worst[0] != late.worst[0]
    assert late.worst[1] == "conv1.weight after 100"
    again = tmp_path / "one" / "2027-verify"
    again.mkdir()
    (again / "verification.csv").write_text(f"{text.splitlines()[0]}\n{lines[0]}\n")
    assert [each.kind for each in proof.read_proofs(tmp_path / "one")] == ["nothing", "numbers"]


def test_mixed_precisions_wait_for_float32(trial: Trial) -> None:
    """Without a proof in float32 of all its modes and feeds one is left out, by name: `verify` would do that first."""
    good = (0.1, "logits")
    full = [
        proof.Proven(each.backend, mode, feed, "float32", (), good, good)
        for each in proof.FULL_PRECISION if each.precision == "float32" for mode in each.modes for feed in each.feeds
    ]  # fmt: skip
    assert proof._with_twins(trial, full) == list(proof.MIXED)

    wrong = [replace(each, failed=("logits",)) if each.mode == "epoch" else each for each in full]
    asked = proof._with_twins(trial, [each for each in wrong if (each.mode, each.feed) != ("cuda-graph", "device")])

    assert {(each.backend, *each.modes) for each in asked} == {("jax", "jit")}
    problems = " ".join(read_json(trial.folder / "stage.json")["problems"])
    assert "jax-epoch-bfloat16 is not asked: there is no proof in float32 of epoch host." in problems
    assert "no proof in float32 of cuda-graph device." in problems


def test_what_a_proof_is_asked_for_has_its_own_folder() -> None:
    """Two that differ in nothing but their feed must not read each other's certificates. Every mode is asked."""
    asked = (*proof.FULL_PRECISION, *proof.MIXED, *proof.OTHERS)

    assert {(each.backend, mode) for each in asked for mode in each.modes} == {
        (name, mode) for name in ("torch", "jax") for mode in catalogue.modes(name, "gpu")
    }
    assert len({each.name for each in asked}) == len(asked)


def test_modes_without_a_proof_are_timed_as_such(trial: Trial) -> None:
    """Only where `verify` passed all of them is there no need to say so."""
    verify = Trial(out=trial.out, stage="verify", device="cpu", seconds=9)
    verify.record("proven", {"torch eager host float32": "nothing"})

    assert runs._unverified(trial, ("torch:eager",), "host") == []
    assert runs._unverified(trial, ("torch:eager",), "device") == ["--unverified"]
    assert runs._unverified(trial, ("torch:eager", "jax:jit"), "host") == ["--unverified"]
    assert "no proof of jax:jit" in read_json(trial.folder / "stage.json")["notes"][1]


def test_what_is_posed_beforehand_is_what_verify_asks(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Network, recipe, data set, weights and precision: a file for anything else would be made and never read."""
    asked = []

    def pose(*problem: Any, dtype: str, **_: Any) -> None:
        asked.append((kept._facts(*problem), dtype))
        raise LookupError

    monkeypatch.setattr(kept, "pose", pose)
    monkeypatch.setattr(kept, "is_kept", lambda *_, **__: True)
    monkeypatch.setattr(sys, "argv", ["posing", "float32"])
    entrants = make_entrants(
        ["numpy"], modes=None, feeds=("host",), threads=(1,), batch_sizes=(64,), network="lenet5", device="cpu",
        dtype="float32",
    )  # fmt: skip
    subjects = [proving.Subject(entrant, LENET5) for entrant in entrants]

    with pytest.raises(LookupError):
        posing.main()
    with pytest.raises(LookupError):
        list(proving.verify(subjects, data_set="", data_dir=None, seed=0, pythons={}, timeout_s=60))

    assert asked[0] == asked[1]
