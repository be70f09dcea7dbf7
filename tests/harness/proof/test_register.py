"""A run times what has been verified, and nothing else unless it is told to."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.errors import Regression
from harness.proof import code, posing, proving, register
from harness.proof.problem import Check
from harness.proof.proving import Outcome, Subject
from harness.runs import interpreters, preparation
from harness.spec.networks import get_network
from harness.spec.recipes import LENET5, with_optimizer


@pytest.fixture
def own_cache(mutants: Path, session_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache without certificates; problems that another test has posed are there."""
    cache, problems = tmp_path / "cache", session_cache / "problems"
    problems.mkdir(parents=True, exist_ok=True)
    cache.mkdir()
    (cache / "problems").symlink_to(problems, target_is_directory=True)
    monkeypatch.setenv("LENET_BENCH_CACHE", str(cache))
    return cache


@pytest.fixture
def small(tiny_dataset: Any, own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Verification of small batches of tiny data."""
    monkeypatch.setattr(preparation, "load", lambda name, data_dir, display: tiny_dataset)
    monkeypatch.setattr(posing, "BATCH", 8)


def verdict(subject: Subject, *, error: float = 0.5) -> Outcome:
    """One check against a tolerance of 1."""
    return Outcome(subject, 0, [Check("logits", error, 1.0)], ["First difference: logits."], "1.2", "aa")


def test_what_passed_once_is_not_verified_again(small: None, make_plan: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first `require` launches the backend and keeps its certificate, the second launches nothing."""
    plan = make_plan("numpy")
    register.require(plan, pythons={})

    monkeypatch.setattr(proving, "verify", lambda *_, **__: pytest.fail("verified again"))
    register.require(plan, pythons={})


def test_what_is_fed_from_the_device_is_verified_too(small: None, make_plan: Any, make_entrant: Any) -> None:
    """Verification hands batches over; an entrant with a resident data set passes by that, and has a certificate."""
    entrant = make_entrant("numpy", feed="device")

    register.require(make_plan(entrant), pythons={})

    version = interpreters.find("numpy").version
    assert register.path_of(Subject(entrant, LENET5), version).exists()


def test_what_does_not_pass_is_not_timed(small: None, make_plan: Any, own_cache: Path) -> None:
    """A backend with averages for maxima is refused, with the layer and what to do; it has no certificate."""
    with pytest.raises(Regression, match=r"average_pool eager: First difference: output of pool1.* --unverified"):
        register.require(make_plan("average_pool"), pythons={})

    assert list(own_cache.glob("certificates/*")) == []


@pytest.mark.parametrize(
    "change", [{"mode": "other"}, {"dtype": "float64"}, {"device": "gpu"}, {"network": "lenet-gluon"}], ids=str
)
def test_certificate_is_for_one_entrant_only(own_cache: Path, make_entrant: Any, change: dict[str, str]) -> None:
    """Another mode, precision, device or network has none; another batch size, feed or number of threads has."""
    subject = Subject(make_entrant("numpy"), LENET5)
    register.keep(verdict(subject))

    def has(entrant: Any) -> bool:
        return register.path_of(Subject(entrant, LENET5), "1.2").exists()

    assert has(subject.entrant)
    assert has(replace(subject.entrant, batch_size=3, feed="device", threads=2))
    assert not has(replace(subject.entrant, **change))


def test_certificate_is_for_one_version_and_one_formula(own_cache: Path, make_entrant: Any) -> None:
    """Another version of the framework or another optimizer has none; more epochs change no formula."""
    subject = Subject(make_entrant("numpy"), LENET5)
    register.keep(verdict(subject))

    assert not register.path_of(subject, "1.3").exists()
    assert not register.path_of(replace(subject, recipe=with_optimizer(LENET5, "adam")), "1.2").exists()
    assert register.path_of(replace(subject, recipe=replace(LENET5, epochs=99)), "1.2").exists()


def test_certificate_is_void_when_the_code_changes(
    own_cache: Path, make_entrant: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A byte more in a backend's file, and its certificate no longer counts."""
    import backends

    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "backend.py").write_text("one = 1")
    monkeypatch.setattr(backends, "__path__", [*backends.__path__, str(tmp_path)])
    before = code.digest("mine")

    (tmp_path / "mine" / "backend.py").write_text("one = 2")

    assert code.digest("mine") != before
    assert code.digest("numpy") == code.digest("numpy")


def test_certificate_says_what_it_is_for(own_cache: Path, make_entrant: Any) -> None:
    """Plain JSON: the key, and the worst share of a tolerance."""
    subject = Subject(make_entrant("numpy"), LENET5)
    register.keep(verdict(subject, error=0.25))

    kept = json.loads(register.path_of(subject, "1.2").read_text())

    assert kept[register.WORST] == 0.25
    assert (kept["backend"], kept["mode"], kept["framework_version"]) == ("numpy", "eager", "1.2")
    assert kept["recipe"]["learning_rate"] == LENET5.learning_rate
    assert get_network(kept["network"]).name == "lenet5"


def test_run_verifies_first(cli: Any, drawn_cache: Path, tmp_path: Path) -> None:
    """`run` of a wrong backend ends with 1 before anything is timed; with --unverified its rows say so."""
    options = "--data-set drawn-digits --epochs 0 --rounds 1 --steady-s 0.1 --inference-sizes none --name".split()  # noqa: SIM905

    code, _, err = cli("run", "-b", "summed_loss", *options, "one", "--verified")

    assert code == 1
    assert "summed_loss eager: First difference: gradient of dense3.bias" in err
    assert not (tmp_path / "results" / "one").exists()
    code, _, _ = cli("run", "-b", "summed_loss", *options, "two", "--unverified")
    assert code == 0
    header, row = (tmp_path / "results" / "two" / "launches.csv").read_text().splitlines()[:2]
    assert dict(zip(header.split(","), row.split(",")))["verified"] == "False"
