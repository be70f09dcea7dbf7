"""The accuracy gate: an honest backend passes, one that learns worse fails by name, value and bound."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from harness import checks, cli, commands, gate, launched
from harness.data import Dataset
from harness.errors import InputError, Regression, WorkerFailed
from harness.job import Entrant
from harness.plan import Plan
from harness.results import frame_of, read_table, write_table
from harness.schema import BASELINE, BASELINE_VERSION, EPOCHS, SCHEMA_VERSION

WANTED = {
    "network": "lenet5", "data_set": "mnist", "recipe": "lenet5", "batch_size": 64, "dtype": "float32", "epoch": 1,
}  # fmt: skip
ACCURACIES = [0.97, 0.98, 0.975, 0.985, 0.99]


def epochs_of(backend: str, accuracies: list[float], *, epoch: int = 1) -> pd.DataFrame:
    """Rows as a run of that many seeds has them."""
    rows = [
        {key: value for key, value in WANTED.items() if key != "epoch"}
        | {"schema_version": SCHEMA_VERSION, "backend": backend, "framework_version": "1.0", "epoch": epoch}
        | {"seed": seed, "test_accuracy": accuracy}
        for seed, accuracy in enumerate(accuracies)
    ]
    return frame_of(rows, EPOCHS)


@pytest.fixture
def baseline() -> pd.DataFrame:
    return gate.make_baseline(epochs_of("torch", ACCURACIES), "f" * 64)


def test_baseline_summarises_seeds(baseline: pd.DataFrame) -> None:
    """Mean, standard deviation over n - 1, smallest and number of seeds, a row a backend and epoch."""
    row = baseline.iloc[0]

    assert len(baseline) == 1
    assert row["test_accuracy_mean"] == pytest.approx(0.98)
    assert row["test_accuracy_sd"] == pytest.approx(0.007906, abs=1e-6)
    assert row["test_accuracy_min"] == 0.97
    assert row["seeds"] == 5
    assert row["data_sha256"] == "f" * 64
    two = pd.concat([epochs_of("torch", ACCURACIES), epochs_of("torch", ACCURACIES, epoch=2)])
    assert sorted(gate.make_baseline(two, "")["epoch"]) == [1, 2]


def test_baseline_file_replaces_its_own_rows_only(baseline: pd.DataFrame, tmp_path: Path) -> None:
    """Writing a backend's rows again replaces them, keeps all others, and reads back as written."""
    path = tmp_path / "baselines" / "accuracy.csv"
    gate.write_baseline(path, baseline)
    gate.write_baseline(path, gate.make_baseline(epochs_of("jax", [0.5, 0.6]), ""))
    gate.write_baseline(path, gate.make_baseline(epochs_of("torch", [0.7, 0.8, 0.9]), ""))

    found = gate.read_baseline(path)
    assert list(found["backend"]) == ["jax", "torch"]
    assert list(found["seeds"]) == [2, 3]
    assert list(found["test_accuracy_mean"]) == pytest.approx([0.55, 0.8])
    pd.testing.assert_frame_equal(read_table(path, BASELINE, version=BASELINE_VERSION), found)


def test_empty_baseline_file_can_be_written_to(baseline: pd.DataFrame, tmp_path: Path) -> None:
    """A baseline that has its header only takes rows."""
    write_table(tmp_path / "accuracy.csv", frame_of([], BASELINE))

    gate.write_baseline(tmp_path / "accuracy.csv", baseline)

    assert len(gate.read_baseline(tmp_path / "accuracy.csv")) == 1


@pytest.mark.parametrize(
    ("change", "what"),
    [({"backend": "jax"}, "backend=jax"), ({"epoch": 2}, "epoch=2"), ({"data_set": "fashion-mnist"}, "fashion-mnist")],
)
def test_row_that_is_not_there_is_named(baseline: pd.DataFrame, change: dict[str, Any], what: str) -> None:
    """No row for what was asked: exit code 2, what was asked, and how to make one."""
    asked = {"backend": "torch"} | WANTED
    assert gate.find_row(baseline, asked)["backend"] == "torch"

    with pytest.raises(InputError, match=rf"0 rows for .*{what}.*--write-baseline"):
        gate.find_row(baseline, asked | change)


def test_baseline_of_one_seed_is_refused() -> None:
    """One seed has no spread."""
    one = gate.make_baseline(epochs_of("torch", [0.9]), "")

    with pytest.raises(InputError, match="is of one seed"):
        gate.find_row(one, {"backend": "torch"} | WANTED)


@pytest.mark.parametrize(("accuracies", "passed"), [([0.98, 0.97], True), ([0.90, 0.92], False), ([0.93], True)])
def test_bound_depends_on_the_spread(baseline: pd.DataFrame, accuracies: list[float], passed: bool) -> None:
    """What lies within the seeds' spread passes, what lies below it fails, with backend, value and bound."""
    (outcome,) = gate.judge(epochs_of("torch", accuracies), baseline, wanted=WANTED, backends=["torch"])

    # t(0.999, 4) = 7.173; the bound is 0.98 - t sd sqrt(1/5 + 1/seeds).
    bound = 0.98 - 7.1732 * 0.007906 * (1 / 5 + 1 / len(accuracies)) ** 0.5
    assert outcome.bound == pytest.approx(bound, abs=1e-5)
    assert outcome.passed is passed
    mean = sum(accuracies) / len(accuracies)
    assert f"torch reached {mean:.2%} after 1 epoch(s)" in outcome.sentence
    assert f"its bound {bound:.2%}" in outcome.sentence
    assert outcome.sentence.startswith("passed" if passed else "FAILED")


def test_backend_without_rows_has_not_passed(baseline: pd.DataFrame) -> None:
    """A backend whose launches failed is neither good nor bad: exit code 3."""
    outcomes = gate.judge(epochs_of("jax", [0.9]), baseline, wanted=WANTED, backends=["torch"])

    assert not outcomes[0].passed
    assert "its launch failed" in outcomes[0].sentence
    with pytest.raises(WorkerFailed, match="could not measure: torch"):
        checks.stop_if_failed(outcomes)


@pytest.fixture(scope="module")
def measured(
    session_environment: dict[str, str], tiny_dataset: Dataset, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., list[gate.Outcome]]]:
    """Return a function that runs the gate on tiny data; numpy's baseline of five seeds serves the mutants too."""
    folder = tmp_path_factory.mktemp("gate")
    path = folder / "accuracy.csv"

    def run(*backends: str, seed: int, seeds: int, write: bool = False) -> list[gate.Outcome]:
        entrants = tuple(
            Entrant(each, "lenet5", "eager", "host", "cpu", "float32", 1, 8, "controlled") for each in backends
        )
        plan: Plan = commands.default_plan(
            list(entrants), data_set="drawn-digits", data_dir=None, rounds=seeds, most_rounds=seeds, seeds=seeds,
            seed=seed, epochs=3, timing=False,
        )  # fmt: skip
        results = folder / f"{seed}-{'-'.join(backends)}"
        return checks.run_gate(plan, results=results, baseline=path, write=write, pythons={})

    with pytest.MonkeyPatch.context() as patch:
        for name, value in session_environment.items():
            if name.startswith("LENET_BENCH_"):
                patch.setenv(name, value)
        patch.setattr(checks, "load", lambda name, data_dir, display: tiny_dataset)
        assert run("numpy", seed=0, seeds=5, write=True) == []
        known = gate.read_baseline(path)
        for name in ("slow_learner", "crashing"):
            gate.write_baseline(path, known.assign(backend=pd.array([name] * len(known), dtype="string")))
        yield run


def test_gate_tells_a_slow_learner(measured: Callable[..., list[gate.Outcome]]) -> None:
    """New seeds of numpy pass; with a hundredth of the learning rate the gate fails with name, value and bound."""
    outcomes = {outcome.backend: outcome for outcome in measured("numpy", "slow_learner", seed=1000, seeds=1)}

    good, bad = outcomes["numpy"], outcomes["slow_learner"]
    assert good.passed
    assert good.expected > 0.7
    assert bad.measured is not None
    assert bad.measured < 0.5 * good.measured
    assert bad.sentence.startswith(f"FAILED: slow_learner reached {bad.measured:.2%}")
    assert f"BELOW its bound {bad.bound:.2%}" in bad.sentence
    with pytest.raises(Regression, match=r"Accuracy gate failed for slow_learner\.") as caught:
        checks.stop_if_failed(list(outcomes.values()))
    assert caught.value.exit_code == 1
    checks.stop_if_failed([good])


def test_gate_that_cannot_measure_has_not_passed(measured: Callable[..., list[gate.Outcome]]) -> None:
    """A backend that crashes in the gate ends it with exit code 3."""
    with pytest.raises(WorkerFailed) as caught:
        checks.stop_if_failed(measured("crashing", seed=1000, seeds=1))

    assert caught.value.exit_code == 3


def test_half_a_gate_is_not_a_pass(
    measured: Callable[..., list[gate.Outcome]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where one of two seeds was measured and the other launch failed, the gate does not pass."""
    real, calls = launched.Worker, []

    def second_fails(*arguments: Any, **keywords: Any) -> Any:
        calls.append(arguments)
        if len(calls) == 2:
            raise WorkerFailed("no luck")
        return real(*arguments, **keywords)

    monkeypatch.setattr(launched, "Worker", second_fails)
    (outcome,) = measured("numpy", seed=2000, seeds=2)

    assert len(calls) == 2
    assert not outcome.passed


@pytest.mark.parametrize("exists", [False, True])
def test_gate_command_without_baseline_ends_with_2(
    mutants: Path, exists: bool, tmp_path: Path, tiny_commands: None, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """No file, or no row for what was asked: exit code 2 and a sentence, before anything is trained."""
    path = tmp_path / "accuracy.csv"
    if exists:
        write_table(path, frame_of([], BASELINE))
    monkeypatch.setattr(launched, "Worker", None)
    arguments = ["gate", "-b", "numpy", "--baseline", str(path), "--results-dir", str(tmp_path / "results")]
    monkeypatch.setattr("sys.argv", ["lenet-bench", *arguments])
    with pytest.raises(SystemExit) as caught:
        cli.main()

    assert caught.value.code == 2
    message = " ".join(capsys.readouterr().err.split())
    assert ("The baseline has 0 rows for backend=numpy" if exists else f"There is no baseline {path}") in message
    assert not (tmp_path / "results").exists()
