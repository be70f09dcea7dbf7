"""Whole runs on tiny data: rows, digests, order, resuming, failures, with real workers."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from harness.analysis import joining
from harness.analysis.summary import summarise
from harness.commands import run as run_command
from harness.errors import InputError, Regression, WorkerFailed
from harness.proof import register
from harness.results.folder import RunFolder, read_table
from harness.results.schema import SCALING
from harness.runs import code
from harness.runs.display import Display
from harness.runs.plan import Plan
from harness.runs.rounds import Rounds
from harness.runs.run import Run
from harness.spec.networks import get_network
from harness.spec.start import initial_weights, weights_digest
from harness.worker.job import Entrant


def test_run_writes_its_files(finished_run: Path) -> None:
    """A run leaves launches, epochs, blocks, inference, latency, summary and environment, and no other file."""
    assert sorted(file.name for file in finished_run.iterdir()) == [
        "blocks.csv", "environment.json", "epochs.csv", "inference.csv", "latency.csv", "launches.csv",
        "summary.csv",
    ]  # fmt: skip


def test_launches_have_a_row_each(finished_run: Path) -> None:
    """Two backends and two rounds are four rows, all good, timed, in the plan's order, with provenance; then they
    train."""
    rows = RunFolder(finished_run).read("launches")
    plan = Plan.from_dict(RunFolder(finished_run).read_environment()["plan"])

    assert list(rows["plan_round"]) == [1, 1, 2, 2, -1, -1]
    rows, trained = rows.iloc[:4], rows.iloc[4:]
    assert list(trained["backend"]) == [entrant.backend for entrant in plan.order(-1)]
    assert trained[["train_images_per_s", "turns", "turn_seed", "peak_gflops"]].isna().all(axis=None)
    assert set(rows["status"]) == {"ok"}
    for number in (1, 2):
        mine = rows[rows["round"] == number].sort_values("position")
        assert list(mine["backend"]) == [entrant.backend for entrant in plan.order(number)]
        assert list(mine["position"]) == [1, 2]
    for name in (
        "import_s", "build_s", "first_step_s", "train_images_per_s", "step_us_median", "step_us_p95",
        "inference_images_per_s", "latency_ms_p50", "latency_ms_p99", "peak_rss_bytes", "launch_s", "peak_gflops",
        "train_gflops", "peak_share",
    ):  # fmt: skip
        assert (rows[name] > 0).all(), name
    assert list(rows["peak_share"] * rows["peak_gflops"]) == pytest.approx(list(rows["train_gflops"]))
    filled = ("framework_version", "python_version", "threads_found", "cpus_found", "layout", "fast_math", "optimizer")
    assert rows[list(filled)].notna().all(axis=None)
    assert rows["error"].isna().all()
    assert rows["device_memory_bytes"].isna().all()
    assert rows["packages_sha256"].str.fullmatch("[0-9a-f]{64}").all()


def test_digests_are_equal_across_backends(finished_run: Path) -> None:
    """All launches of one seed hold the same weights, those of the harness, and received the same batches."""
    rows = RunFolder(finished_run).read("launches")

    expected = weights_digest(initial_weights(get_network("lenet5"), seed=0))
    assert set(rows["weights_sha256"]) == {expected}
    assert rows["batches_sha256"].nunique() == 1
    assert rows["batches_sha256"].notna().all()


def test_harness_share_is_recorded(finished_run: Path) -> None:
    """Every timed launch says which part of a CPU the harness took while it was timed: some number from 0 up."""
    share = RunFolder(finished_run).read("launches").iloc[:4]["harness_cpu_share"]

    assert share.notna().all()
    assert (share >= 0).all()
    assert (share < 10).all()


def test_blocks_and_sweep_are_of_every_launch(finished_run: Path) -> None:
    """Each launch that is timed has its warm-up and steady blocks, and a row for each size of the inference sweep."""
    folder = RunFolder(finished_run)
    launches, blocks, sweep = (folder.read(table) for table in ("launches", "blocks", "inference"))
    launches = launches[launches["plan_round"] > 0]

    for _, launch in launches.iterrows():
        place = [launch["round"], launch["position"]]
        mine = blocks[(blocks["round"] == place[0]) & (blocks["position"] == place[1])]
        steady = mine[mine["phase"] == "steady"]
        assert set(mine["phase"]) == {"warmup", "return", "steady"}
        assert steady["turn"].max() == launch["turns"] == len(mine[mine["phase"] == "return"])
        assert set(mine["backend"]) == {launch["backend"]}
        assert steady["steps"].sum() == launch["steady_steps"]
        assert mine[mine["phase"] == "warmup"]["steps"].sum() == launch["warmup_steps"]
        median = (steady["seconds"] / steady["steps"]).median()
        assert median * 1e6 == pytest.approx(launch["step_us_median"])
        sizes = sweep[(sweep["round"] == place[0]) & (sweep["position"] == place[1])]
        assert list(sizes["inference_batch_size"]) == [1, 8]
        assert sizes["inference_images_per_s"].iloc[-1] == launch["inference_images_per_s"]


def test_epochs_are_those_of_the_seeds(finished_run: Path) -> None:
    """Training follows all that is timed; equal backends reach the same accuracy, which the launch's row repeats."""
    folder = RunFolder(finished_run)
    epochs, launches = folder.read("epochs"), folder.read("launches").set_index(["round", "backend"])

    assert sorted(zip(epochs["round"], epochs["backend"], epochs["epoch"])) == [(3, "numpy", 1), (3, "twin", 1)]
    assert epochs["test_accuracy"].nunique() == 1
    assert (epochs["train_s"] > 0).all()
    assert launches.loc[(3, "numpy"), "test_accuracy"] == epochs["test_accuracy"].iloc[0]
    assert launches.loc[(3, "numpy"), "epochs"] == 1
    assert pd.isna(launches.loc[(1, "numpy"), "test_accuracy"])
    assert set(folder.read("summary")["test_accuracy"]) == set(epochs["test_accuracy"])


def test_summary_is_of_the_launches(finished_run: Path) -> None:
    """A row an entrant, fastest first, that says `cannot tell` after two rounds."""
    folder = RunFolder(finished_run)
    summary = folder.read("summary")

    pd.testing.assert_frame_equal(summary, summarise(folder.read("launches"), folder.read("epochs")))
    assert set(summary["backend"]) == {"numpy", "twin"}
    assert summary["train_images_per_s"].is_monotonic_decreasing
    assert summary["ratio"].iloc[0] == 1.0
    assert pd.isna(summary["verdict"].iloc[0])
    assert summary["verdict"].iloc[1] == "cannot tell"
    assert list(summary["launches"]) == [2, 2]


def test_environment_says_what_was_done(finished_run: Path) -> None:
    """environment.json has the plan, the machine, the controls and each worker's packages."""
    values = json.loads((finished_run / "environment.json").read_text())

    assert values["plan"]["rounds"] == 2
    assert values["plan"]["recipe"]["batch_size"] == 8
    assert values["data_set"]["name"] == "drawn-digits"
    assert values["controls"]["numpy eager b8"]["environment"]["OMP_NUM_THREADS"] == "1"
    assert any(line.startswith("numpy==") for line in values["packages"]["twin"])


def test_plan_comes_back_from_json(make_plan: Callable[..., Plan]) -> None:
    """A plan survives environment.json; anything else there is refused with a sentence."""
    plan = make_plan("numpy", "twin", rounds=7)

    assert Plan.from_dict(json.loads(json.dumps(plan.as_dict()))) == plan
    for broken in ({}, {"entrants": 3}, plan.as_dict() | {"colour": "red"}):
        with pytest.raises(InputError, match=r"plan in environment\.json.*Start a new run\."):
            Plan.from_dict(broken)


def test_order_of_rounds_is_random_and_repeatable(make_plan: Callable[..., Plan]) -> None:
    """Each round has every entrant once; all orders occur; the same seed gives the same orders."""
    plan, again = make_plan("numpy", "twin", "hanging"), make_plan("numpy", "twin", "hanging")
    other = make_plan("numpy", "twin", "hanging", seed=1)
    orders = [tuple(entrant.backend for entrant in plan.order(number)) for number in range(1, 101)]

    assert {tuple(sorted(order)) for order in orders} == {("hanging", "numpy", "twin")}
    assert len(set(orders)) == 6
    assert [again.order(number) for number in range(1, 9)] == [plan.order(number) for number in range(1, 9)]
    assert [other.order(number) for number in range(1, 9)] != [plan.order(number) for number in range(1, 9)]


def test_seeds_and_epochs_of_rounds(make_plan: Callable[..., Plan]) -> None:
    """Rounds that are timed train nothing, and all have the first seed; those that train have a seed each. Where
    nothing is timed the first rounds train."""
    plan = make_plan("numpy", rounds=4, seeds=2, seed=10, epochs=3)
    assert [plan.seed_of(number) for number in (1, 2, 3, 4)] == [10, 11, 10, 10]
    assert [plan.epochs_of(number) for number in (1, 2, 3, 4)] == [3, 3, 0, 0]
    assert list(plan.trainings) == []

    plan = make_plan("numpy", rounds=4, seeds=2, seed=10, epochs=3, timing=True)
    assert list(plan.trainings) == [-1, -2]
    assert [plan.seed_of(number) for number in (1, 2, 4, -1, -2)] == [10, 10, 10, 10, 11]
    assert [plan.epochs_of(number) for number in (1, 2, 4, -1, -2)] == [0, 0, 0, 3, 3]
    assert [plan.times(number) for number in (1, 4, -1)] == [True, True, False]
    assert list(make_plan("numpy", timing=True, epochs=0).trainings) == []


def test_resume_does_a_cut_round_again(finished_run: Path, tiny_commands: None, tmp_path: Path) -> None:
    """After one launch's row is lost, --resume makes its round again, whole; what is left of it counts no more."""
    shutil.copytree(finished_run, tmp_path / "first")
    folder = RunFolder(tmp_path / "first")
    before = folder.read("launches")
    lines = (folder.path / "launches.csv").read_text().splitlines(keepends=True)
    lost, left = before.iloc[1], before.iloc[0]
    (folder.path / "launches.csv").write_text("".join(lines[:2] + lines[3:]))

    code = run_command.resume_run(folder.path, pythons={})

    after = folder.read("launches")
    assert code == 0
    assert len(after) == 7
    pd.testing.assert_frame_equal(
        after.iloc[:5].drop(columns="counted"), before.drop(index=1).reset_index(drop=True).drop(columns="counted")
    )
    assert list(after["counted"]) == [False, *[True] * 6]
    again = after.iloc[5:]
    assert set(again["round"]) == {4}
    assert set(again["plan_round"]) == {1} == {left["round"], lost["round"]}
    assert list(zip(again["position"], again["backend"], again["batches_sha256"])) == [
        tuple(row[["position", "backend", "batches_sha256"]]) for row in (left, lost)
    ]
    epochs = folder.read_counted("epochs")
    assert sorted(zip(epochs["round"], epochs["backend"])) == [(3, "numpy"), (3, "twin")]
    for table in ("blocks", "inference", "latency"):
        rows = folder.read_counted(table)
        assert set(zip(rows["round"], rows["position"])) == {(2, 1), (2, 2), (4, 1), (4, 2)}
        whole = folder.read(table)
        assert set(zip(whole["round"], whole["position"])) == {(1, 1), (2, 1), (2, 2), (4, 1), (4, 2)}
    assert not folder.read("inference").duplicated(["round", "position", "inference_batch_size"]).any()
    assert list(folder.read("summary")["launches"]) == [2, 2]
    assert set(folder.read_environment()["packages"]) == {"numpy", "twin"}


def test_resume_of_a_whole_run_launches_nothing(finished_run: Path, tiny_commands: None, tmp_path: Path) -> None:
    """Resuming what is finished changes no row and forgets no package list."""
    shutil.copytree(finished_run, tmp_path / "first")
    folder = RunFolder(tmp_path / "first")

    code = run_command.resume_run(folder.path, pythons={})

    assert code == 0
    assert (folder.path / "launches.csv").read_bytes() == (finished_run / "launches.csv").read_bytes()
    assert set(folder.read_environment()["packages"]) == {"numpy", "twin"}


def test_resume_knows_a_version_by_its_release(finished_run: Path, tiny_commands: None, tmp_path: Path) -> None:
    """CUDA wheels have a local part that their metadata lacks; another release is refused."""
    for suffix, refused in (("+cu130", False), ("9", True)):
        folder = tmp_path / suffix
        shutil.copytree(finished_run, folder)
        rows = RunFolder(folder).read("launches")
        version = rows["framework_version"].iloc[0]
        text = (folder / "launches.csv").read_text()
        (folder / "launches.csv").write_text(text.replace(f",{version},", f",{version}{suffix},"))

        if refused:
            with pytest.raises(InputError, match=f"numpy {version}9 → {version}.*start a new run"):
                run_command.resume_run(folder, pythons={})
        else:
            assert run_command.resume_run(folder, pythons={}) == 0


def test_resume_asks_for_certificates(
    finished_run: Path, tiny_commands: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run of verified entrants goes on only with what passes now; one of unverified entrants asks nobody."""
    shutil.copytree(finished_run, tmp_path / "run")
    folder, asked = RunFolder(tmp_path / "run"), []

    def require(plan: Plan, **_: Any) -> None:
        asked.append(plan)
        raise Regression("Not timed, because it has not passed verification.")

    monkeypatch.setattr(register, "require", require)
    assert run_command.resume_run(folder.path, pythons={}) == 0
    assert asked == []

    environment = folder.read_environment()
    folder.write_environment(environment | {"plan": environment["plan"] | {"verified": True}})
    before = (folder.path / "launches.csv").read_bytes()
    with pytest.raises(Regression):
        run_command.resume_run(folder.path, pythons={})

    assert len(asked) == 1
    assert (folder.path / "launches.csv").read_bytes() == before


def test_code_that_changes_under_a_run_fails_its_launches(
    tiny_commands: None, make_plan: Callable[..., Plan], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was verified is one thing and what ran may be another: the launch fails, and says which part it is."""
    states = iter(["a", "a", "b"])
    monkeypatch.setattr(code, "digests", lambda backend: {"spec": "s", "backend": next(states)})

    plan = make_plan("numpy", rounds=3, epochs=0, verified=True)
    ended = run_command.new_run(plan, results=tmp_path, name="run", pythons={})

    rows = RunFolder(tmp_path / "run").read("launches")
    assert ended == 3
    assert list(rows["status"]) == ["ok", "failed"]
    assert "After it was verified, its code was changed: backend." in rows["error"].iloc[1]


def test_failing_entrant_leaves_the_run(
    tiny_commands: None, make_plan: Callable[..., Plan], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One backend crashes in its first launch: it is not launched again, the other finishes, the code is 3."""
    plan = make_plan("numpy", "crashing", epochs=0)

    code = run_command.new_run(plan, results=tmp_path, name="run", pythons={})

    out, err = capsys.readouterr()
    rows = RunFolder(tmp_path / "run").read("launches")
    assert code == 3
    assert sorted(zip(rows["backend"], rows["round"], rows["status"])) == [
        ("crashing", 1, "failed"), ("numpy", 1, "ok"), ("numpy", 2, "ok"),
    ]  # fmt: skip
    assert "SIGABRT" in rows[rows["status"] == "failed"]["error"].iloc[0]
    assert "crashing eager failed: The process ended with signal SIGABRT" in out
    assert "leaves the run; the others go on" in err

    again = run_command.resume_run(tmp_path / "run", pythons={})
    rows = RunFolder(tmp_path / "run").read("launches")
    assert again == 3
    assert sorted(rows["status"]) == ["failed", "failed", "ok", "ok", "ok"]
    counted = rows[rows["counted"]]
    assert sorted(zip(counted["backend"], counted["plan_round"], counted["status"])) == [
        ("crashing", 1, "failed"), ("numpy", 1, "ok"), ("numpy", 2, "ok"),
    ]  # fmt: skip


def test_sweep_goes_on_without_what_runs_out_of_memory(
    tiny_commands: None,
    make_entrant: Callable[..., Entrant],
    make_plan: Callable[..., Plan],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The launch with the large batch fails with a sentence; the others have rows, and their scaling is shown."""
    sizes = (8, 16, 128)
    entrants = [make_entrant("misbehaving", mode="memory", batch_size=size) for size in sizes]

    code = run_command.new_run(
        make_plan(*entrants, epochs=0, rounds=1, timing=True), results=tmp_path, name="run", pythons={}
    )

    out = capsys.readouterr().out
    rows = RunFolder(tmp_path / "run").read("launches").set_index("batch_size")["status"]
    assert code == 3
    assert rows.to_dict() == {8: "ok", 16: "ok", 128: "failed"}
    assert "misbehaving memory b128 failed: Out of memory with batches of 128 images; smaller ones need less." in out
    scaling = read_table(tmp_path / "run" / "scaling.csv", SCALING)
    assert scaling["batch_size"].tolist() == [8, 16]
    assert "Scaling with batch size: images/s at the smallest, then times that" in out


def test_batch_that_is_too_large_is_refused(
    tiny_commands: None, make_entrant: Callable[..., Entrant], make_plan: Callable[..., Plan], tmp_path: Path
) -> None:
    """A batch larger than the training half is a sentence with both sizes, before anything is launched."""
    plan = make_plan(make_entrant(batch_size=651))

    with pytest.raises(InputError, match=r"--batch-size 651 .*650 images"):
        run_command.new_run(plan, results=tmp_path, name="run", pythons={})


def test_few_large_batches_can_be_sampled(
    tiny_commands: None, make_entrant: Callable[..., Entrant], make_plan: Callable[..., Plan], tmp_path: Path
) -> None:
    """An epoch of two batches has fewer than are sampled for the digest, and is a run all the same."""
    plan = make_plan(make_entrant(batch_size=400), rounds=1, epochs=0)

    assert run_command.new_run(plan, results=tmp_path, name="run", pythons={}) == 0


def test_wrong_digests_fail_a_launch(make_plan: Callable[..., Plan], tiny_dataset: Any, tmp_path: Path) -> None:
    """Other weights than the harness made, or other batches than the first backend had, fail with both digests."""
    work = Rounds(Run(make_plan("numpy"), {}, tiny_dataset, RunFolder(tmp_path)), Display())
    good = {"weights_sha256": "aa", "batches_sha256": "bb"}
    work._check_digests(0, 64, good, "aa")

    with pytest.raises(WorkerFailed, match="weights_sha256 is cc, the harness made aa"):
        work._check_digests(0, 64, good | {"weights_sha256": "cc"}, "aa")
    with pytest.raises(WorkerFailed, match="batches_sha256 is dd, the first backend had bb"):
        work._check_digests(0, 64, good | {"batches_sha256": "dd"}, "aa")
    work._check_digests(1, 64, good | {"batches_sha256": "dd"}, "aa")


def test_rounds_pair_within_a_run_and_not_between(finished_run: Path, tmp_path: Path) -> None:
    """In one run a machine that slows down between rounds changes no ratio; between runs it widens the interval."""
    base = RunFolder(finished_run).read("launches").iloc[[0] * 5].reset_index(drop=True).assign(turn_step_us=pd.NA)
    drift = [1.0, 2.0, 0.5, 4.0, 1.5]
    slow = base.assign(round=range(1, 6), backend="slow", train_images_per_s=[90.0 * each for each in drift])
    fast = base.assign(round=range(1, 6), backend="fast", train_images_per_s=[100.0 * each for each in drift])
    schema = base.dtypes.to_dict()

    together = summarise(pd.concat([slow, fast]).astype(schema))
    apart = summarise(pd.concat([slow, fast.assign(run="other")]).astype(schema))

    assert list(together["backend"]) == ["fast", "slow"]
    assert together["ratio"].iloc[1] == pytest.approx(0.9)
    assert together["verdict"].iloc[1] == "slower"
    assert together["ratio_high"].iloc[1] == pytest.approx(0.9)
    assert apart["ratio"].iloc[1] == pytest.approx(0.9)
    assert apart["verdict"].iloc[1] == "cannot tell"
    assert joining.MUST_AGREE["machine_sha256"] == "machine"
