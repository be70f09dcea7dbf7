"""A run times what has been verified, and nothing else unless it is told to."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.errors import Regression
from harness.proof import proving, register
from harness.proof.problem import Check
from harness.proof.proving import Outcome, Subject
from harness.runs import code
from harness.runs.machine import Machine
from harness.spec.networks import get_network
from harness.spec.recipes import LENET5, with_optimizer

PACKAGES = "aa"


def outcome_of(subject: Subject, *, error: float = 0.5, now: dict[str, str] | None = None) -> Outcome:
    """One check against a tolerance of 1."""
    checks, sentences = [Check("logits", error, 1.0)], ["First difference: logits."]
    return Outcome(subject, 0, checks, sentences, "1.2", PACKAGES, now or code.digests(subject.entrant.backend))


def key_of(subject: Subject, *, version: str = "1.2", packages: str = PACKAGES) -> Any:
    """The key that a run looks for now."""
    now = code.digests(subject.entrant.backend)
    return register.key_of(subject, version=version, packages_sha256=packages, code=now)


def has(subject: Subject, **changes: str) -> bool:
    return register.kept(key_of(subject, **changes)) is not None


def test_what_passed_once_is_not_verified_again(small: None, make_plan: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first `require` launches the backend and keeps its certificate, the second launches nothing."""
    plan = make_plan("numpy")
    register.require(plan, pythons={})

    monkeypatch.setattr(proving, "verify", lambda *_, **__: pytest.fail("verified again"))
    register.require(plan, pythons={})


def test_what_is_fed_from_the_device_is_verified_too(
    small: None, make_plan: Any, make_entrant: Any, own_cache: Path
) -> None:
    """Verification hands batches over; an entrant with a resident data set passes by that, and has a certificate."""
    entrant = make_entrant("numpy", feed="device")

    register.require(make_plan(entrant), pythons={})

    assert len(list(own_cache.glob("certificates/*"))) == 1
    assert register.verify_missing(make_plan(entrant), pythons={}) == []


def test_what_does_not_pass_is_not_timed(small: None, make_plan: Any, own_cache: Path) -> None:
    """A backend with averages for maxima is refused, with the layer and what to do; it has no certificate."""
    with pytest.raises(Regression, match=r"average_pool eager: First difference: output of pool1.* --unverified"):
        register.require(make_plan("average_pool"), pythons={})

    assert list(own_cache.glob("certificates/*")) == []


@pytest.mark.parametrize(
    "change",
    [
        {"mode": "other"}, {"dtype": "float64"}, {"device": "gpu"}, {"network": "lenet-gluon"}, {"batch_size": 3},
        {"feed": "device"}, {"threads": 2}, {"replicas": 2}, {"environment": "native"},
    ],
    ids=str,
)  # fmt: skip
def test_certificate_is_for_one_entrant_only(own_cache: Path, make_entrant: Any, change: dict[str, Any]) -> None:
    """Another mode, precision, device, network, batch size, feed, environment or number of threads has none."""
    subject = Subject(make_entrant("numpy"), LENET5)
    register.keep(outcome_of(subject))

    assert has(subject)
    assert not has(replace(subject, entrant=replace(subject.entrant, **change)))


def test_certificate_is_for_one_version_one_environment_and_one_formula(own_cache: Path, make_entrant: Any) -> None:
    """Another version, another package beside it or another optimizer has none; more epochs change no formula."""
    subject = Subject(make_entrant("numpy"), LENET5)
    register.keep(outcome_of(subject))

    assert not has(subject, version="1.3")
    assert not has(subject, packages="bb")
    assert not has(replace(subject, recipe=with_optimizer(LENET5, "adam")))
    assert has(replace(subject, recipe=replace(LENET5, epochs=99)))


def test_certificate_is_for_one_machine(own_cache: Path, make_entrant: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache that two machines share proves nothing on the other."""
    subject = Subject(make_entrant("numpy"), LENET5)
    register.keep(outcome_of(subject))

    monkeypatch.setattr(register, "this_machine", lambda: Machine("another", "c" * 64, {}))

    assert not has(subject)


def test_certificate_is_void_when_the_code_changes(
    own_cache: Path, make_entrant: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Any part of the code that it was for."""
    subject = Subject(make_entrant("numpy"), LENET5)
    register.keep(outcome_of(subject))
    now = code.digests("numpy")

    for part in now:
        monkeypatch.setattr(code, "digests", lambda backend, part=part: now | {part: "another"})
        assert not has(subject), part


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: "",
        lambda text: "{}",
        lambda text: text[: len(text) // 2],
        lambda text: text.replace('"eager"', '"graph"'),
        lambda text: text.replace(": 0.5", ": 0.4"),
        lambda text: json.dumps(json.loads(text) | {register.WORST: 0.1}),
        lambda text: json.dumps({"key": json.loads(text)["key"], register.WORST: 0.5}),
    ],
    ids=["empty", "no fields", "half", "of another mode", "another share", "a better share", "no digest"],
)
def test_certificate_is_read_and_not_only_there(
    own_cache: Path, make_entrant: Any, damage: Callable[[str], str]
) -> None:
    """A file of the right name that does not say what it is for is none."""
    subject = Subject(make_entrant("numpy"), LENET5)
    register.keep(outcome_of(subject))
    path = register.path_of(key_of(subject))

    path.write_text(damage(path.read_text()))

    assert not has(subject)


def test_certificate_of_another_name_is_none(own_cache: Path, make_entrant: Any) -> None:
    """A certificate that was copied over another's place says whose it is."""
    one, other = (Subject(make_entrant("numpy", mode=mode), LENET5) for mode in ("eager", "other"))
    register.keep(outcome_of(one))
    target = register.path_of(key_of(other))

    target.write_bytes(register.path_of(key_of(one)).read_bytes())

    assert not has(other)


def test_certificate_says_what_it_is_for(own_cache: Path, make_entrant: Any) -> None:
    """Plain JSON: the key, and the worst share of a tolerance."""
    subject = Subject(make_entrant("numpy"), LENET5)
    register.keep(outcome_of(subject, error=0.25))

    values = json.loads(register.path_of(key_of(subject)).read_text())

    key = values["key"]
    assert values[register.WORST] == 0.25
    assert (key["backend"], key["mode"], key["framework_version"]) == ("numpy", "eager", "1.2")
    assert key["recipe"]["learning_rate"] == LENET5.learning_rate
    assert get_network(key["network"]).name == "lenet5"
    assert set(key["code"]) >= {"backend", "reference", "spec", "worker", "proof"}


def test_cache_that_cannot_be_written_costs_time_alone(
    own_cache: Path, make_entrant: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """What has passed has passed: a line says that it is verified again next time."""
    (own_cache / "certificates").write_text("in the way")

    register.keep(outcome_of(Subject(make_entrant("numpy"), LENET5)))

    assert "the next run verifies again" in capsys.readouterr().err


def test_code_that_changes_while_it_is_verified_does_not_pass(
    small: None, make_plan: Any, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which of the two was it? Neither is certified, and the sentence says what changed."""
    states = iter([{"backend": "a"}] * 2 + [{"backend": "b"}] * 9)
    monkeypatch.setattr(code, "digests", lambda backend: next(states))
    monkeypatch.setattr(code, "digest", lambda backend: "of the problem")

    with pytest.raises(Regression, match=r"While it was verified, its code was changed: backend\."):
        register.require(make_plan("numpy"), pythons={})

    assert list(own_cache.glob("certificates/*")) == []


def test_run_verifies_first(small: None, tiny_commands: None, call: Any, own_cache: Path, tmp_path: Path) -> None:
    """`run` of a wrong backend ends with 1 before anything is timed; with --unverified its rows say so."""
    options = ["--data-set", "drawn-digits", "--batch-size", "8", "--epochs", "0", "--rounds", "1", "--steady-s", "0.1"]
    options += ["--inference-sizes", "none", "--name"]

    code, _, err = call("run", "-b", "summed_loss", *options, "one", "--verified")

    assert code == 1
    assert "summed_loss eager: First difference: gradient of dense3.bias" in err
    assert not (tmp_path / "results" / "one").exists()
    code, _, _ = call("run", "-b", "summed_loss", *options, "two", "--unverified")
    assert code == 0
    header, row = (tmp_path / "results" / "two" / "launches.csv").read_text().splitlines()[:2]
    assert dict(zip(header.split(","), row.split(",")))["verified"] == "False"
