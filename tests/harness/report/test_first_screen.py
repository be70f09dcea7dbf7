"""The report's first screen: what was run, in words, and the answer in a sentence that says no more than is known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from harness.report import facts, first_screen, names
from harness.report.reading import Report, read_report
from tests.harness.synthetic_run import write_run

Row = tuple[str, float, float | None, float | None]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """Three frameworks: TensorFlow, then PyTorch, then JAX."""
    folder = tmp_path_factory.mktemp("results") / "run"
    return read_report(write_run(folder, entrants=3, rounds=5, epochs=0, spread=0.005))


def with_ratios(report: Report, *rows: Row) -> Report:
    """The report with these verdicts, ratios and intervals in place of the second's and the third's."""
    summary = report.summary.copy()
    for place, row in enumerate(rows, start=1):
        for column, value in zip(("verdict", "ratio", "ratio_low", "ratio_high"), row):
            summary.loc[summary.index[place], column] = value
    return replace(report, summary=summary)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([("slower", 0.87, 0.85, 0.90), ("slower", 0.5, 0.49, 0.51)],
         "PyTorch is 13 % slower (10 to 15) and JAX 50 % (49 to 51)."),
        ([("slower", 0.955, 0.951, 0.96), ("equivalent", 0.99, 0.985, 0.995)],
         "PyTorch is 4.5 % slower (4.0 to 4.9) and JAX is as fast, within 2 %."),
        ([("cannot tell", 0.95, 0.88, 1.03), ("slower", 0.5, 0.4, 0.6)],
         "PyTorch cannot be told from it (12 % slower to 3.0 % faster) and JAX is 50 % slower (40 to 60)."),
        ([("cannot tell", 0.95, None, None), ("cannot tell", 0.5, None, None)],
         "PyTorch (5.0 % slower) and JAX (50 % slower) were launched too few times to tell."),
    ],
)  # fmt: skip
def test_answer(report: Report, rows: list[Row], said: str) -> None:
    """Per cent with their interval where there is a difference; else that there is none, or that nobody knows."""
    found = first_screen.answer(with_ratios(report, *rows))

    sure = rows[0][0] == "slower"
    speed = f"{report.summary['train_images_per_s'].iloc[0]:,.0f}"
    begins = "TensorFlow (graph) trains fastest" if sure else "TensorFlow (graph) has the highest speed"
    assert found == f"{begins}, {speed} images/s; {said}"


def test_answer_of_too_few_rounds(tmp_path: Path) -> None:
    """Seven times as fast is not `cannot be told from it`: what was seen is said, and that the rounds are too few."""
    folder = write_run(tmp_path / "run", entrants=3, rounds=3, epochs=0, spread=0.005)
    report = with_ratios(read_report(folder), ("cannot tell", 0.95, 0.88, 1.03), ("cannot tell", 0.5, 0.4, 0.6))

    found = first_screen.answer(report)
    assert found.startswith("TensorFlow (graph) has the highest speed, ")
    assert found.endswith(
        "; PyTorch (12 % slower to 3.0 % faster) and JAX (60 % slower to 40 % slower), but 3 rounds are too few for a "
        "verdict."
    )

    rows = report.summary.copy()
    rows[["verdict", "ratio", "ratio_low", "ratio_high"]] = ["cannot tell", 7.6, 6.4, 9.0]
    far = first_screen.answer(replace(report, summary=rows))
    assert "has the highest speed" in far
    assert "; PyTorch (6.4 to 9.0 times as fast) and JAX (6.4" in far


def test_answer_with_a_base_that_is_not_the_fastest(tmp_path: Path) -> None:
    """What was asked for stands in the sentence: the others against the base."""
    folder = write_run(tmp_path / "run", entrants=3, rounds=5, epochs=0, spread=0.005)

    found = first_screen.answer(read_report(folder, base="jax jit"))

    assert ". Compared with JAX: TensorFlow (graph) is " in found
    assert " faster (" in found or " times as fast (" in found


def test_answer_of_many_entrants(tmp_path: Path) -> None:
    """The fastest of each other framework, and how many more there are."""
    found = first_screen.answer(read_report(write_run(tmp_path / "run", entrants=10, rounds=4, epochs=0)))

    assert [found.count(name) for name in ("TensorFlow", "PyTorch", "JAX", "MXNet", "PaddlePaddle")] == [1] * 5
    assert found.endswith("; 5 others are below.")


def test_answer_of_a_run_that_timed_nothing(tmp_path: Path) -> None:
    """What it reached."""
    folder = write_run(tmp_path / "run", entrants=2, rounds=2, epochs=1, timing=False)

    found = first_screen.answer(read_report(folder))

    assert found.startswith("Nothing was timed in this run: it has accuracies alone. Test accuracy at the end: ")
    assert found.count(" %") == 2


def test_columns_without_anything_are_left_out(tmp_path: Path) -> None:
    """A run that only trained has no column of speeds."""
    folder = write_run(tmp_path / "run", entrants=2, rounds=2, epochs=1, timing=False)

    table = facts.headline(read_report(folder)).filled()

    assert table.headers == ["framework (mode)", "verdict", "accuracy, %", "launches"]
    assert all(len(row.cells) == 4 for row in table.rows)


def test_words_for_what_was_run(report: Report) -> None:
    """Network and data as people write them; what all entrants share once; the day and the machine."""
    assert first_screen.title(report) == "LeNet-5 on MNIST: training speed of 3 frameworks"
    assert first_screen.subtitle(report) == [
        "On the CPU, float32, batches of 64, 1 thread.", "3 entrants, 5 rounds, 15 launches.",
        "Measured on 20 November 2026: AMD EPYC 9B45, 4 CPUs, 16 GiB.",
    ]  # fmt: skip


def test_names_of_entrants() -> None:
    """Framework and mode, then what tells them apart; a version where nothing else does."""
    usual = {"backend": "torch", "framework_version": "2.13.0+cpu", "network": "lenet5", "mode": "eager",
             "feed": "host", "device": "cpu", "dtype": "float32", "threads": "1", "batch_size": "64",
             "replicas": "1", "environment": "controlled", "variant": ""}  # fmt: skip
    threads = [usual | {"threads": "1"}, usual | {"threads": "2", "backend": "mine"}]
    replicas = [usual, usual | {"replicas": "2"}]
    asked = [usual | {"variant": "2.12.1", "framework_version": "2.12.1"}, usual | {"variant": "2.13.0"}]
    upgraded = [usual, usual | {"framework_version": "2.14.0"}, usual | {"backend": "jax", "mode": "jit"}]

    assert names.entrants([usual | {"device": "gpu"}]) == ["PyTorch (eager)"]
    assert names.entrants(threads) == ["PyTorch (eager, 1 thread)", "mine (eager, 2 threads)"]
    assert names.entrants(replicas) == ["PyTorch (eager, one model)", "PyTorch (eager, 2 replicas)"]
    assert names.entrants(asked) == ["PyTorch 2.12.1 (eager)", "PyTorch 2.13.0 (eager)"]
    assert names.entrants(upgraded) == ["PyTorch 2.13.0+cpu (eager)", "PyTorch 2.14.0 (eager)", "JAX (jit)"]
    assert names.in_sentences(upgraded, names.entrants(upgraded))[2] == "JAX"
    assert [names.joined(parts) for parts in ([], ["a"], ["a", "b", "c"])] == ["", "a", "a, b and c"]
    assert [names.counted(count, "launch", "launches") for count in (1, 2, 1000)] == [
        "1 launch", "2 launches", "1,000 launches"
    ]  # fmt: skip


def test_answer_beside_the_limit(tmp_path: Path) -> None:
    """The limit is no framework that trains fastest: the fastest of the others is, with its share of the limit."""
    folder = write_run(tmp_path / "run", entrants=3, rounds=5, epochs=0, spread=0.005)
    for file in folder.glob("*.csv"):
        file.write_text(file.read_text().replace("tensorflow", "numba"))

    limited = read_report(folder)

    speeds = limited.summary["train_images_per_s"]
    found = first_screen.answer(limited)
    assert found.startswith(f"PyTorch trains fastest, {speeds.iloc[1]:,.0f} images/s; JAX is ")
    share = f"{speeds.iloc[1] / speeds.iloc[0] * 100:.0f} %"
    assert found.endswith(f". PyTorch reaches {share} of what kernels made for this machine reach.")
    assert first_screen.title(limited).endswith("training speed of 2 frameworks")
