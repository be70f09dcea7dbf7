"""The accuracy gate: an honest backend passes, one that learns worse fails by name, value and bound."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from harness.analysis.statistics import lowest_allowed_seed
from harness.data.sources import Dataset
from harness.errors import InputError, Regression, WorkerFailed
from harness.gate import baseline, parts, verdicts
from harness.gate.verdicts import CANNOT_TELL, FAILED, NO_RESULT, PASSED, Verdict, stop_if_bad
from harness.proof.audit import auditor_of
from harness.results.folder import frame_of
from harness.results.schema import BASELINE, BASELINE_VERSION, EPOCHS, SCHEMA_VERSION
from harness.runs import launch, preparation
from harness.runs.plan import Plan, default_plan
from harness.runs.training_run import train
from harness.worker.job import Entrant

COMMITTED = Path(__file__).parents[3] / "results" / "baselines" / "accuracy.csv"
WANTED = {
    "network": "lenet5", "data_set": "mnist", "recipe": "lenet5", "batch_size": 64, "dtype": "float32", "epoch": 1,
}  # fmt: skip


def epochs_of(backend: str, accuracies: list[float]) -> pd.DataFrame:
    """Rows as a run of that many seeds has them."""
    rows = [
        WANTED
        | {"schema_version": SCHEMA_VERSION, "backend": backend, "framework_version": "1.0"}
        | {"seed": seed, "test_accuracy": accuracy}
        for seed, accuracy in enumerate(accuracies)
    ]
    return frame_of(rows, EPOCHS)


@pytest.fixture
def known() -> pd.DataFrame:
    """A baseline of five seeds of torch: mean 0.98, standard deviation 0.007906."""
    row = WANTED | {
        "schema_version": BASELINE_VERSION, "backend": "torch", "framework_version": "1.0", "data_sha256": "f" * 64,
        "seeds": 5, "test_accuracy_mean": 0.98, "test_accuracy_sd": 0.007906, "test_accuracy_min": 0.97,
    }  # fmt: skip
    return frame_of([row], BASELINE)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"backend": "jax"}, r"0 rows for backend=jax.*Its backends: torch\."),
        ({"epoch": 2}, r"epoch=2.*Its epochs: 1\."),
        ({"network": "lenet-gluon"}, r"network=lenet-gluon.*Its networks: lenet5\..*--network lenet-gluon"),
        ({"data_sha256": "e" * 64}, r"other bytes of mnist: data_sha256 is ffffffffffff, .* here eeeeeeeeeeee"),
    ],
)
def test_row_that_is_not_there_is_named(known: pd.DataFrame, change: dict[str, Any], what: str) -> None:
    """No row for what was asked: what was asked, what there is instead, and how to make one."""
    asked = {"backend": "torch", "data_sha256": "f" * 64} | WANTED
    assert verdicts.find_row(known, asked)["backend"] == "torch"

    with pytest.raises(InputError, match=what) as caught:
        verdicts.find_row(known, asked | change)
    assert "lenet-bench baseline update -b all" in str(caught.value)


def test_baseline_of_one_seed_is_refused(known: pd.DataFrame) -> None:
    """One seed has no spread."""
    with pytest.raises(InputError, match="is of one seed"):
        verdicts.find_row(known.assign(seeds=pd.array([1], dtype="Int64")), {"backend": "torch"} | WANTED)


@pytest.mark.parametrize(("accuracies", "status"), [([0.98, 0.97], PASSED), ([0.90, 0.92], FAILED), ([0.943], PASSED)])
def test_bound_depends_on_the_spread(known: pd.DataFrame, accuracies: list[float], status: str) -> None:
    """What lies within the seeds' spread passes, what lies below it fails, with backend, value and bound."""
    (found,) = verdicts.judge(epochs_of("torch", accuracies), known, wanted=WANTED, backends=["torch"])

    # Tables: t(0.999, 4) = 7.173 for one seed, which has all false alarms; t(0.9995, 4) = 8.610 for each half of them.
    quantile = 7.1732 if len(accuracies) == 1 else 8.6103
    bound = 0.98 - quantile * 0.007906 * (1 / 5 + 1 / len(accuracies)) ** 0.5
    mean = sum(accuracies) / len(accuracies)
    verdict = found.verdict()
    assert found.bound == pytest.approx(bound, abs=1e-5)
    assert found.status == verdict.status == status
    assert f"accuracy {100 * mean:.2f} %" in verdict.text
    assert ("points or more would have failed)" in verdict.text) is (status == PASSED)
    assert f"Bound of the mean {100 * bound:.2f}, of each seed" in verdict.details
    assert (f"BELOW its bound {100 * bound:.2f}" in verdict.text) is (status == FAILED)
    assert verdicts.lines([verdict])[0].startswith(f"{status} torch: ")


@pytest.mark.parametrize("accuracies", [[0.98, 0.97], [0.979, 0.981, 0.944], [0.98]])
def test_a_loss_that_would_have_failed(known: pd.DataFrame, accuracies: list[float]) -> None:
    """So much less in every seed fails, a tenth of a point less passes: told in a passed verdict."""
    (found,) = verdicts.judge(epochs_of("torch", accuracies), known, wanted=WANTED, backends=["torch"])

    assert f"(a loss of {found.noticed:.1f} points or more would have failed)" in found.verdict().text
    for loss, status in ((found.noticed, FAILED), (found.noticed - 0.1, PASSED)):
        worse = epochs_of("torch", [each - loss / 100 for each in accuracies])
        (again,) = verdicts.judge(worse, known, wanted=WANTED, backends=["torch"])
        assert again.status == status


def test_floor_of_a_single_seed(known: pd.DataFrame) -> None:
    """One seed that fell far below the others fails the gate, although the mean of many is within its bound."""
    (found,) = verdicts.judge(epochs_of("torch", [0.98] * 9 + [0.84]), known, wanted=WANTED, backends=["torch"])

    # t(1 - 0.0005 / 10, 4) = 15.544 (scipy.stats.t.ppf).
    assert found.floor == pytest.approx(0.98 - 15.544 * 0.007906 * (1 + 1 / 5) ** 0.5, abs=2e-5)
    assert found.measured is not None
    assert found.measured > found.bound
    assert found.status == FAILED
    assert found.distance == pytest.approx(0.84 - found.floor)
    assert f"least 84.00 BELOW the floor {100 * found.floor:.2f}" in found.verdict().text


@pytest.mark.parametrize(("seeds", "new"), [(5, 3), (10, 1), (10, 2), (10, 4)])
def test_honest_gates_fail_at_the_stated_rate(seeds: int, new: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Baseline and gate from one distribution: mean and least seed together fail no more often than stated, and not
    so seldom that the bounds were for nothing."""
    random, trials, rate = np.random.default_rng(41), 40_000, 0.01
    monkeypatch.setattr(verdicts, "FALSE_ALARMS", rate)
    old = random.normal(0.985, 0.002, (trials, seeds))
    measured = random.normal(0.985, 0.002, (trials, new))
    row = pd.Series({"test_accuracy_mean": 0.0, "test_accuracy_sd": 1.0, "seeds": seeds})
    bound, floor = verdicts.limits(row, new)

    mean, sd = old.mean(axis=1), old.std(axis=1, ddof=1)
    alarms = (measured.mean(axis=1) < mean + bound * sd) | (measured.min(axis=1) < mean + floor * sd)
    error = (rate * (1 - rate) / trials) ** 0.5
    assert float(alarms.mean()) < rate + 4 * error
    assert float(alarms.mean()) > (rate if new == 1 else rate / 2) - 4 * error


@pytest.mark.parametrize("new", [1, 2, 10])
def test_least_seed_falls_below_its_bound_at_the_nominal_rate(new: int) -> None:
    """The floor alone: its rate is the nominal one for a single seed, and at most that for several."""
    random, trials, rate = np.random.default_rng(43), 40_000, 0.01
    old, measured = random.normal(0, 1, (trials, 10)), random.normal(0, 1, (trials, new)).min(axis=1)
    one = lowest_allowed_seed(mean=0.0, sd=1.0, seeds=10, new_seeds=new, false_alarms=rate)

    alarms = float((measured < old.mean(axis=1) + one * old.std(axis=1, ddof=1)).mean())
    error = (rate * (1 - rate) / trials) ** 0.5
    assert 0.8 * rate - 4 * error < alarms < rate + 4 * error


@pytest.mark.parametrize("backend", ["torch", "tensorflow", "jax", "mxnet", "paddle"])
def test_a_lost_point_is_found(backend: str) -> None:
    """A loss of one point is found in more than 98 of 100 gates of the default size, against the committed baseline."""
    known = baseline.read_baseline(COMMITTED)
    row = verdicts.find_row(known, WANTED | {"backend": backend, "epoch": 2})
    bound, floor = verdicts.limits(row, 2)
    random = np.random.default_rng(47)
    worse = random.normal(row["test_accuracy_mean"] - 0.01, row["test_accuracy_sd"], (20_000, 2))

    assert float(((worse.mean(axis=1) < bound) | (worse.min(axis=1) < floor)).mean()) > 0.98


def test_backend_without_rows_has_not_passed(known: pd.DataFrame) -> None:
    """A backend whose launches failed is neither good nor bad: exit code 3, and the reason."""
    (found,) = verdicts.judge(
        epochs_of("jax", [0.9]), known, wanted=WANTED, backends=["torch"], errors={"torch": "it broke"}
    )

    assert np.isnan(found.distance)
    assert found.verdict() == Verdict(
        "torch", "accuracy", NO_RESULT, "accuracy not measured: a launch failed", "it broke"
    )
    with pytest.raises(WorkerFailed, match=r"could not measure: torch \(accuracy\)"):
        stop_if_bad([found.verdict()])


def test_half_a_gate_passes_only_where_it_fails(known: pd.DataFrame) -> None:
    """Seeds that are left of a backend with a failed launch are no pass, but they may be a failure."""
    for accuracies, status in (([0.98], NO_RESULT), ([0.80], FAILED)):
        (found,) = verdicts.judge(
            epochs_of("torch", accuracies), known, wanted=WANTED, backends=["torch"], errors={"torch": "no luck"}
        )
        assert found.status == status


def verdict(status: str, backend: str = "torch", kind: str = "accuracy") -> Verdict:
    return Verdict(backend, kind, status, f"{kind} is {status}")


@pytest.mark.parametrize(
    ("statuses", "strict", "code"),
    [
        ([PASSED, PASSED], True, 0),
        ([PASSED, CANNOT_TELL], False, 0),
        ([PASSED, CANNOT_TELL], True, 1),
        ([CANNOT_TELL, NO_RESULT], True, 3),
        ([PASSED, NO_RESULT], False, 3),
        ([NO_RESULT, FAILED, CANNOT_TELL], False, 1),
    ],
)
def test_exit_codes(statuses: list[str], strict: bool, code: int) -> None:
    """1 where anything is worse, 3 where nothing is but something could not be measured, 0 otherwise."""
    verdicts = [verdict(status, backend=str(number)) for number, status in enumerate(statuses)]

    if code == 0:
        stop_if_bad(verdicts, strict=strict)
    else:
        with pytest.raises((Regression, WorkerFailed)) as caught:
            stop_if_bad(verdicts, strict=strict)
        assert caught.value.exit_code == code


def test_a_line_a_verdict() -> None:
    """All kinds of a backend stand together, each with its own status: what failed is not read beside what passed."""
    found = [verdict(PASSED), verdict(PASSED, "jax"), verdict(CANNOT_TELL, kind="speed"), verdict(FAILED, "jax", "x")]

    assert verdicts.lines(found) == [
        "passed torch: accuracy is passed",
        "cannot tell torch: speed is cannot tell",
        "passed jax: accuracy is passed",
        "FAILED jax: x is FAILED",
    ]


@pytest.fixture(scope="module")
def measured(
    session_environment: dict[str, str], tiny_dataset: Dataset, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., dict[str, Verdict]]]:
    """Return a function that runs the gate on tiny data; numpy's baseline of five seeds serves the mutants too."""
    folder = tmp_path_factory.mktemp("gate")
    path = folder / "accuracy.csv"

    def plan_of(*backends: str, seed: int, seeds: int) -> Plan:
        entrants = [Entrant(each, "lenet5", "eager", "host", "cpu", "float32", 1, 8, "controlled") for each in backends]
        return default_plan(
            entrants, data_set="drawn-digits", data_dir=None, rounds=seeds, most_rounds=seeds, seeds=seeds,
            seed=seed, epochs=3, timing=False,
        )  # fmt: skip

    def run(*backends: str, seed: int, seeds: int) -> dict[str, Verdict]:
        results = folder / f"{seed}-{'-'.join(backends)}"
        plan = plan_of(*backends, seed=seed, seeds=seeds)
        verdicts, _ = parts.run_gate(plan, results=results, baseline=path, pythons={})
        return {each.backend: each for each in verdicts}

    with pytest.MonkeyPatch.context() as patch:
        for name, value in session_environment.items():
            if name.startswith("LENET_BENCH_"):
                patch.setenv(name, value)
        patch.setattr(preparation, "load", lambda name, data_dir, display: tiny_dataset)
        plan = plan_of("numpy", seed=0, seeds=5)
        trained = train(plan, results=folder / "baseline", pythons={}, suffix="baseline", auditor=auditor_of)
        rows = baseline.from_run(trained.run.folder)
        for name in ("numpy", "slow_learner", "crashing"):
            baseline.write_baseline(path, rows.assign(backend=pd.array([name] * len(rows), dtype="string")))
        yield run


def test_gate_tells_a_slow_learner(measured: Callable[..., dict[str, Verdict]]) -> None:
    """New seeds of numpy pass; with a hundredth of the learning rate the gate fails with name, value and bound."""
    verdicts = measured("numpy", "slow_learner", seed=1000, seeds=1)

    assert verdicts["numpy"].status == PASSED
    assert verdicts["slow_learner"].status == FAILED
    assert "BELOW its bound" in verdicts["slow_learner"].text
    with pytest.raises(Regression, match=r"The gate failed for slow_learner \(accuracy\)\.") as caught:
        stop_if_bad(list(verdicts.values()))
    assert caught.value.exit_code == 1


def test_gate_that_cannot_measure_has_not_passed(measured: Callable[..., dict[str, Verdict]]) -> None:
    """A backend that crashes in the gate ends it with exit code 3 and says why, unless another one is worse."""
    verdicts = measured("crashing", "slow_learner", seed=1000, seeds=1)

    assert verdicts["crashing"].status == NO_RESULT
    assert "signal" in verdicts["crashing"].details
    with pytest.raises(WorkerFailed) as caught:
        stop_if_bad([verdicts["crashing"]])
    assert caught.value.exit_code == 3
    with pytest.raises(Regression):
        stop_if_bad(list(verdicts.values()))


def test_half_a_gate_is_not_a_pass(
    measured: Callable[..., dict[str, Verdict]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where one of two seeds was measured and the other launch failed, the gate does not pass."""
    real, calls = launch.WorkerProcess, []

    def second_fails(*arguments: Any, **keywords: Any) -> Any:
        calls.append(arguments)
        if len(calls) == 2:
            raise WorkerFailed("no luck")
        return real(*arguments, **keywords)

    monkeypatch.setattr(launch, "WorkerProcess", second_fails)
    verdicts = measured("numpy", seed=2000, seeds=2)

    assert len(calls) == 2
    assert verdicts["numpy"] == Verdict(
        "numpy", "accuracy", NO_RESULT, "accuracy not measured: a launch failed", "no luck", "drawn-digits"
    )
