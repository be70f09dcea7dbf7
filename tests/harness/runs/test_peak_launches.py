"""When a run measures the peak and inference, and what comes of it: launches are made up."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

from harness.runs.display import Display
from harness.runs.rounds import Rounds
from harness.worker import controls
from harness.worker.job import Entrant


def test_peak_is_measured_once_a_round_threads_and_precision(
    made_up: Any,
    run_made_up: Callable[..., Rounds],
    make_entrant: Callable[..., Entrant],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Entrants of equal threads and precision share a round's peak; others, and other rounds, have their own."""
    monkeypatch.setattr(controls, "choose_cpus", lambda threads, replicas: list(range(threads)))
    entrants = [
        make_entrant("numpy"), make_entrant("twin"), make_entrant("slow_learner", dtype="float64"),
        make_entrant("average_pool", threads=2),
    ]  # fmt: skip
    work = run_made_up(*entrants, rounds=2, most_rounds=2)

    assert sorted(made_up.peaks) == sorted([(1, "float32"), (1, "float64"), (2, "float32")] * 2)
    peaks = work.folder.read("launches").pivot(index="round", columns="backend", values="peak_gflops")
    assert peaks.notna().all(axis=None)
    assert (peaks["numpy"] == peaks["twin"]).all()
    assert pd.unique(peaks.drop(columns="twin").to_numpy().ravel()).size == 6


def test_peak_is_measured_as_its_entrants_are(made_up: Any, run_made_up: Callable[..., Rounds]) -> None:
    """The same CPUs and variables as the launch that follows, but for its own folder; in the harness's interpreter."""
    work = run_made_up("numpy", rounds=1, most_rounds=1)

    peak, launch = made_up.jobs
    assert (peak.kind, launch.kind) == ("peak", "measure")
    assert peak.asked["cpus"] == launch.asked["cpus"]
    assert peak.asked["environment"]["OMP_NUM_THREADS"] == launch.asked["environment"]["OMP_NUM_THREADS"] == "1"
    assert set(peak.asked["environment"]) == set(launch.asked["environment"])
    assert made_up.interpreters[0] == sys.executable
    row = work.folder.read("launches").iloc[0]
    assert (row["peak_gflops"], row["peak_source"]) == (101.0, "made up")
    assert row["peak_share"] == pytest.approx(row["train_gflops"] / 101)


@pytest.mark.parametrize("change", [{"timing": False}, {"inference_sizes": ()}, {"device": "gpu"}], ids=str)
def test_peak_that_says_nothing_is_not_measured(
    made_up: Any, run_made_up: Callable[..., Rounds], make_entrant: Callable[..., Entrant], change: dict[str, Any]
) -> None:
    """No peak for what is not timed, for a run cut down to training, and for a GPU."""
    entrant = make_entrant("numpy", device=change.get("device", "cpu"))
    plan = {key: value for key, value in change.items() if key != "device"}
    work = run_made_up(entrant, rounds=2, most_rounds=2, **plan)

    assert made_up.peaks == []
    assert len(made_up.launched) == 2
    assert work.folder.read("launches")[["peak_gflops", "peak_share"]].isna().all(axis=None)


@pytest.mark.parametrize("cut", [0, 7])
def test_inference_that_is_known_is_timed_no_more(made_up: Any, run_made_up: Callable[..., Rounds], cut: int) -> None:
    """Three rounds time it, and the peak; the rest time training alone, also in a run that goes on."""
    if cut:
        made_up.interrupted = cut
        with pytest.raises(KeyboardInterrupt):
            run_made_up("numpy", "twin", rounds=6, most_rounds=6)
        made_up.interrupted = 0

    work = run_made_up("numpy", "twin", rounds=6, most_rounds=6)

    launches = work.folder.read_counted("launches")
    assert launches.groupby("plan_round")["latency_ms_p50"].count().to_list() == [2, 2, 2, 0, 0, 0]
    assert launches.groupby("plan_round")["peak_gflops"].count().to_list() == [2, 2, 2, 0, 0, 0]
    assert {job.turns for job in made_up.jobs if job.kind == "measure"} == {work.plan.turns}
    summary = work.folder.read("summary")
    assert list(summary["launches"]) == [6, 6]
    assert list(summary["latency_ms_p50"]) == [0.1, 0.1]
    assert summary["peak_share"].notna().all()


def test_speed_is_held_against_peaks_of_earlier_rounds(made_up: Any, run_made_up: Callable[..., Rounds]) -> None:
    """A launch of a round that measures none is refused all the same where no processor is so fast."""
    launch = made_up.launch

    def quick(job: Any, **options: Any) -> dict[str, Any]:
        if job.kind != "peak" and made_up.launched.count("twin eager") == 4 and job.entrant.backend == "twin":
            made_up.speeds["twin eager"] = 1e9
        return launch(job, **options)

    made_up.launch = quick
    work = run_made_up("numpy", "twin", rounds=6, most_rounds=6)

    good = work.folder.read("launches").query("status == 'ok'")
    assert good.groupby("backend")["round"].max().to_dict() == {"numpy": 6, "twin": 4}
    assert "Its speed cannot be" in str(work.failures["twin eager"])


def test_failing_peak_is_no_failure(
    made_up: Any, run_made_up: Callable[..., Rounds], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A peak that cannot be measured is a yellow note and empty cells in its round; it is tried again in the next."""
    notes: list[tuple[str, str]] = []
    monkeypatch.setattr(Display, "note", lambda self, text, style="": notes.append((text, style)))
    made_up.failing = {"peak": 2}
    work = run_made_up("numpy", "twin", rounds=3, most_rounds=3)

    rows = work.folder.read("launches").set_index("round")
    assert set(rows["status"]) == {"ok"}
    assert work.failures == {}
    assert rows["peak_gflops"].isna().to_list() == [False, False, True, True, False, False]
    assert rows["peak_share"].isna().to_list() == [False, False, True, True, False, False]
    assert rows["peak_source"].isna().to_list() == [False, False, True, True, False, False]
    assert len(made_up.peaks) == 3
    told = [note for note in notes if "peak" in note[0]]
    assert told == [("The machine's peak could not be measured: no BLAS today", "yellow")]
