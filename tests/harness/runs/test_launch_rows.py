"""What one launch adds to the tables, from what a worker would say; clocks made by hand, no worker."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from rich.console import Console

from harness.data.sources import Dataset
from harness.errors import WorkerFailed
from harness.results.folder import RunFolder
from harness.results.schema import BLOCKS, ENTRANT, EPOCHS, INFERENCE, LATENCY, LAUNCHES
from harness.runs import launch_rows as module
from harness.runs.display import Display
from harness.runs.interpreters import Interpreter
from harness.runs.launch_rows import LaunchRows, identity
from harness.runs.plan import Plan
from harness.runs.run import Place, Run
from harness.spec.networks import get_network
from harness.spec.operations import training
from harness.worker import controls
from harness.worker.job import Entrant

RESULT = {
    "import_s": 0.5, "steady": True, "steady_steps": 100, "block_steps": 20, "train_images_per_s": 2000.0,
    "peak_rss_bytes": 1 << 20, "blocks": {"warmup": [[0.5, 0.25]], "steady": [[0.125], [0.1, 0.2]]},
    "inference": [(1, 900.0), (8, 4000.0)], "inference_batch_size": 8, "inference_images_per_s": 4000.0,
    "latency": [(50, 0.1), (99.9, 2.5)], "python_s": "not a column",
}  # fmt: skip
EPOCH = {"event": "epoch", "train_s": 4.0, "train_loss": 0.5, "test_accuracy": 0.75, "evaluate_s": 1.0}


class Shown:
    """A display that keeps what it was asked to show."""

    def __init__(self) -> None:
        self.epochs: list[int] = []
        self.phases: list[str] = []

    def epoch(self, label: str, row: dict[str, Any], *, seed: int) -> None:
        assert (label, seed) == ("numpy eager", 0)
        self.epochs.append(row["epoch"])

    def message(self, message: dict[str, Any]) -> None:
        self.phases.append(message["name"])


@pytest.fixture
def shown() -> Shown:
    return Shown()


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder.create(tmp_path, "run")


@pytest.fixture
def make_identity(
    make_plan: Callable[..., Plan],
    make_entrant: Callable[..., Entrant],
    tiny_dataset: Dataset,
    folder: RunFolder,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., dict[str, Any]]:
    """Return a function that makes the first columns of a launch; keywords change the plan."""
    monkeypatch.setattr(controls, "choose_cpus", lambda threads: list(range(threads)))

    def make(entrant: Entrant | None = None, *, number: int = 1, **changes: Any) -> dict[str, Any]:
        entrant = entrant or make_entrant()
        interpreters = {"numpy": Interpreter("/usr/bin/python", "given", "9.9")}
        run = Run(make_plan(entrant, **changes), interpreters, tiny_dataset, folder)
        return identity(run, Place(number, 2, entrant, number))

    return make


@pytest.fixture
def launch_rows(make_identity: Callable[..., dict[str, Any]], shown: Shown) -> LaunchRows:
    return LaunchRows(make_identity(), label="numpy eager", display=shown)  # type: ignore[arg-type]


def test_identity_has_everything_that_changes_speed(
    make_identity: Callable[..., dict[str, Any]], make_entrant: Callable[..., Entrant], tiny_dataset: Dataset
) -> None:
    """Every column of an entrant, its place, the versions and digests, under names that the schema has."""
    row = make_identity(make_entrant(threads=2, dtype="float64", batch_size=32, slowdown=0.03, variant="slowed"))

    assert set(row) <= set(LAUNCHES)
    assert set(ENTRANT) <= set(row)
    expected = {
        "run": "run", "round": 1, "position": 2, "backend": "numpy", "framework_version": "9.9", "mode": "eager",
        "threads": 2, "dtype": "float64", "batch_size": 32, "slowdown": 0.03, "variant": "slowed", "recipe": "lenet5",
        "data_set": "drawn-digits", "data_sha256": tiny_dataset.sha256,
    }  # fmt: skip
    assert {name: row[name] for name in expected} == expected
    assert len(row["machine_sha256"]) == 64


def test_what_was_not_asked_for_is_empty(
    make_identity: Callable[..., dict[str, Any]], make_entrant: Callable[..., Entrant]
) -> None:
    """No threads under native, no variant but the self-test's, no target where none was given."""
    row = make_identity(make_entrant(threads=0, environment="native"))

    assert (row["threads"], row["variant"], row["until"]) == (None, None, None)
    assert row["slowdown"] == 0.0


def test_seed_and_target_are_those_of_the_round(make_identity: Callable[..., dict[str, Any]]) -> None:
    """Rounds that train have seeds of their own and the target; later rounds the first seed, and no target."""
    found = [make_identity(number=number, rounds=4, seeds=2, seed=10, until=0.9) for number in (1, 2, 3)]

    assert [row["seed"] for row in found] == [10, 11, 10]
    assert [row["until"] for row in found] == [0.9, 0.9, None]


@pytest.mark.parametrize(("at_start", "at_end", "expected"), [(2, 0, 2), (0, 1, 1), (None, 1, 1), (None, None, None)])
def test_other_runs_are_counted_at_start_and_end(
    make_identity: Callable[..., dict[str, Any]],
    folder: RunFolder,
    monkeypatch: pytest.MonkeyPatch,
    at_start: int | None,
    at_end: int | None,
    expected: int | None,
) -> None:
    """Whichever is more; empty where nobody can know."""
    monkeypatch.setattr(module, "count_others", lambda: at_start)
    rows = LaunchRows(make_identity(), label="numpy eager", display=Display(Console(file=io.StringIO())))
    rows.succeeded(dict(RESULT))
    monkeypatch.setattr(module, "count_others", lambda: at_end)

    rows.write(folder, launch_s=1.0)

    assert folder.read("launches")["other_runs"].astype(object).where(lambda cell: cell.notna(), None).tolist() == [
        expected
    ]


def test_what_is_written_names_neither_home_nor_host(
    launch_rows: LaunchRows, folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Errors of workers hold paths; so may what a backend says of itself."""
    monkeypatch.setenv("HOME", "/srv/people/zaphod")
    monkeypatch.setattr("platform.node", lambda: "heart-of-gold.example.org")
    launch_rows.succeeded(RESULT | {"compiler": "/srv/people/zaphod/gcc on heart-of-gold"})
    launch_rows.failed(WorkerFailed("OSError: /srv/people/zaphod/a.so: heart-of-gold.example.org said no\nmore"))

    launch_rows.write(folder, launch_s=1.0)

    row = folder.read("launches").iloc[0]
    assert row["error"] == "OSError: ~/a.so: <host> said no"
    assert row["compiler"] == "~/gcc on <host>"


def test_epochs_are_kept_and_shown(launch_rows: LaunchRows, shown: Shown, folder: RunFolder) -> None:
    """Each epoch is shown when it ends, and has a row with its launch's identity; its seconds are added up."""
    launch_rows.listen(EPOCH | {"epoch": 1})
    launch_rows.listen(EPOCH | {"epoch": 2, "train_s": 3.0, "evaluate_s": 0.5, "test_accuracy": 0.8})
    launch_rows.succeeded(RESULT | {"epochs": 2, "test_accuracy": 0.8})

    assert shown.epochs == [1, 2]
    launch_rows.write(folder, launch_s=20.0)
    found = folder.read("epochs")
    assert list(found["epoch"]) == [1, 2]
    assert list(found["test_accuracy"]) == [0.75, 0.8]
    assert list(found["train_s"]) == [4.0, 3.0]
    assert set(found["backend"]) == {"numpy"}
    filled = [name for name in EPOCHS if name not in ("variant", "train_accuracy")]
    assert found[filled].notna().all(axis=None)


def test_harness_share_is_of_steady_training(
    launch_rows: LaunchRows, shown: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Processor time over time, between the two messages and not before or after; neither is shown."""
    clock = SimpleNamespace(cpu=5.0, wall=100.0)
    fake = SimpleNamespace(process_time=lambda: clock.cpu, monotonic=lambda: clock.wall)
    monkeypatch.setattr(module, "time", fake)

    for name, cpu, wall in (
        ("train", 7.0, 102.0),
        ("start", 7.0, 103.5),
        ("steady", 8.0, 104.0),
        ("steady ended", 8.25, 154.0),
    ):
        clock.cpu, clock.wall = cpu, wall
        launch_rows.listen({"event": "phase", "name": name})
        assert ("harness_cpu_share" in launch_rows.row) == (name == "steady ended")
    # A turn of which it did not say when it began to load weights is none that took no time, or since the last.
    for name in ("steady", "steady ended"):
        launch_rows.listen({"event": "phase", "name": name})
    clock.cpu, clock.wall = 10.0, 155.0
    launch_rows.listen({"event": "phase", "name": "infer"})

    assert launch_rows.row["harness_cpu_share"] == pytest.approx(0.25 / 50)
    assert (launch_rows.start_s, launch_rows.steady_s) == ([0.5], [50.0, 0.0])
    assert shown.phases == ["train", "infer"]


def test_nothing_is_drawn_around_steady_training(make_identity: Callable[..., dict[str, Any]]) -> None:
    """On a real terminal's display, too, the messages around steady training write not a byte."""
    console = Console(file=io.StringIO(), force_terminal=True, width=80)
    with Display(console) as display:
        display.start(1)
        display.launch_started("numpy eager")
        launch_rows = LaunchRows(make_identity(), label="numpy eager", display=display)
        launch_rows.listen({"event": "phase", "name": "train"})
        before = console.file.getvalue()  # type: ignore[attr-defined]
        launch_rows.listen({"event": "phase", "name": "start"})
        launch_rows.listen({"event": "phase", "name": "steady"})
        launch_rows.listen({"event": "phase", "name": "steady ended"})
        after = console.file.getvalue()  # type: ignore[attr-defined]
        launch_rows.listen({"event": "phase", "name": "infer"})

        assert "warming up" in before
        assert after == before
        assert "timing inference" in console.file.getvalue()  # type: ignore[attr-defined]


def test_share_of_the_peak(launch_rows: LaunchRows) -> None:
    """Operations of the network at the speed that was measured, and their share of the round's peak."""
    launch_rows.row["peak_gflops"] = 200.0
    launch_rows.succeeded(dict(RESULT))

    gflops = training(get_network("lenet5")).total * 2000.0 / 1e9
    assert gflops > 1
    assert launch_rows.row["status"] == "ok"
    assert launch_rows.row["train_gflops"] == pytest.approx(gflops)
    assert launch_rows.row["peak_share"] == pytest.approx(gflops / 200)


@pytest.mark.parametrize("peak", [None, 0.0])
def test_no_peak_no_share(launch_rows: LaunchRows, peak: float | None) -> None:
    """Where the peak is not known, the share is empty and the rate is not."""
    launch_rows.row["peak_gflops"] = peak
    launch_rows.succeeded(dict(RESULT))

    assert launch_rows.row["peak_share"] is None
    assert launch_rows.row["train_gflops"] > 0


def test_launch_that_was_not_timed_has_no_rate(launch_rows: LaunchRows, folder: RunFolder) -> None:
    """Training alone gives epochs and a row, but no speed, no blocks and no sweep."""
    launch_rows.listen(EPOCH | {"epoch": 1})
    launch_rows.succeeded({"import_s": 0.5, "epochs": 1, "test_accuracy": 0.75})
    launch_rows.write(folder, launch_s=3.0)

    assert "train_gflops" not in launch_rows.row
    assert sorted(path.name for path in folder.path.iterdir()) == ["epochs.csv", "launches.csv"]
    assert pd.isna(folder.read("launches")["train_gflops"].iloc[0])


def test_blocks_and_sweep_have_a_row_each(launch_rows: LaunchRows, folder: RunFolder) -> None:
    """Blocks are counted from 1 in each phase, the sweep has a row a size, both with the key of their launch."""
    launch_rows.succeeded(dict(RESULT))
    launch_rows.write(folder, launch_s=3.0)

    blocks, sweep, launches = folder.read("blocks"), folder.read("inference"), folder.read("launches")
    assert list(zip(blocks["phase"], blocks["turn"], blocks["block"], blocks["seconds"])) == [
        ("warmup", 1, 1, 0.5), ("warmup", 1, 2, 0.25), ("steady", 1, 1, 0.125), ("steady", 2, 1, 0.1),
        ("steady", 2, 2, 0.2),
    ]  # fmt: skip
    assert set(blocks["steps"]) == {20}
    assert list(zip(sweep["inference_batch_size"], sweep["inference_images_per_s"])) == [(1, 900.0), (8, 4000.0)]
    latency = folder.read("latency")
    assert list(zip(latency["percentile"], latency["latency_ms"])) == [(50, 0.1), (99.9, 2.5)]
    for table, columns in ((blocks, BLOCKS), (sweep, INFERENCE), (latency, LATENCY)):
        assert table[[name for name in columns if name != "variant"]].notna().all(axis=None)
        for name in ("run", "round", "position", "backend", "mode"):
            assert set(table[name]) == set(launches[name])
    assert launches["inference_batch_size"].iloc[0] == 8
    assert launches["launch_s"].iloc[0] == 3.0


def test_what_the_schema_does_not_have_is_left_out(launch_rows: LaunchRows) -> None:
    """What a worker says beside the columns of the table does not get into the row."""
    launch_rows.succeeded(dict(RESULT))

    assert set(launch_rows.row) <= set(LAUNCHES)


def test_failed_launch_has_the_first_line(launch_rows: LaunchRows, folder: RunFolder) -> None:
    """A failure's row has its first line, cut short, and the epochs that had ended; no speed."""
    launch_rows.listen(EPOCH | {"epoch": 1})
    launch_rows.failed(WorkerFailed("a" * 600 + "\nsecond line", "the log"))
    launch_rows.write(folder, launch_s=3.0)

    row = folder.read("launches").iloc[0]
    assert row["status"] == "failed"
    assert row["error"] == "a" * 500
    assert pd.isna(row["train_images_per_s"])
    assert len(folder.read("epochs")) == 1


def test_row_of_the_launch_is_written_last(launch_rows: LaunchRows) -> None:
    """A launch counts as done once its row is there, so that row comes after all others, each table once."""
    written: list[tuple[str, int]] = []
    recorder = SimpleNamespace(append=lambda table, rows: written.append((table, len(rows))))
    launch_rows.listen(EPOCH | {"epoch": 1})
    launch_rows.succeeded(dict(RESULT))

    launch_rows.write(recorder, launch_s=1.0)  # type: ignore[arg-type]

    assert sorted(written[:-1]) == [("blocks", 5), ("epochs", 1), ("inference", 2), ("latency", 2)]
    assert written[-1] == ("launches", 1)
