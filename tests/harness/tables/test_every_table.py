"""The tables of all commands but `run`, with names of 3 to 30 letters: nothing is wider than the terminal."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from rich.cells import cell_len
from rich.console import Console

from harness.analysis.expected import Expectation, Planned
from harness.analysis.summary import AccuracySpread
from harness.commands import baseline, listings, reproduce, selftest
from harness.doctor import examine
from harness.doctor.checks import Finding
from harness.gate.baseline import write_baseline
from harness.proof import outcome_table
from harness.proof.outcome import Outcome, Subject
from harness.proof.problem import Check
from harness.results.folder import frame_of
from harness.results.schema import BASELINE, BASELINE_VERSION, DOCUMENTS, DUELS, HISTORY, SCALING
from harness.spec.network import Conv, Dense, Flatten, Network
from harness.spec.recipes import LENET5
from harness.tables import history_table, layout, run_tables, sweep_tables
from harness.tables.network_table import show_network
from tests.harness.conftest import make_entrant
from tests.harness.tables.made_up_runs import check_marks, name

Show = Callable[[Console, random.Random], None]
SPEED = {"train_images_per_s": 1_234_567.0, "train_images_per_s_low": 1.1e6, "train_images_per_s_high": 1.3e6}
RATIO = {"ratio": 1.0, "ratio_low": 12.3456, "ratio_high": 23.4567}
VERDICT = {"verdict": "cannot tell", "paired": False}


def history(console: Console, drawn: random.Random) -> None:
    shared = (
        SPEED | RATIO | VERDICT | {"recipe": "r", "machine": name(drawn, 90, 200), "epochs": 20, "test_accuracy": 1.0}
    )
    against = {"against_ratio": 1.0, "against_low": 1.0, "against_high": 1.0, "against_verdict": "cannot tell"}
    frames = []
    for number in range(drawn.randint(1, 40)):
        who = {"entrant": name(drawn, 9, 90), "data_set": "fashion-mnist", "against": name(drawn, 3, 400)}
        rows = [
            shared | against | who
            | {"run": f"run{n}{'x' * 40}", "started_utc": "2026-11-28T10:00:00", "changed": name(drawn, 3, 500),
               "framework_version": f"2.13.0rc1.dev2026112{n}+cu130", "lenet_bench": "0.1.0.dev1"}
            for n in range(1 if number % 3 == 0 else 3)
        ]  # fmt: skip
        frames.append(frame_of(rows, HISTORY))
    history_table.show(console, frames)


def verify(console: Console, drawn: random.Random) -> None:
    quantities = ("output of conv1", "loss", "gradient of a", "conv1.bias after 100")
    outcomes = [
        Outcome(
            Subject(make_entrant(name(drawn), mode=name(drawn), feed="device", threads=16), LENET5),
            0, [Check(each, 10 ** drawn.uniform(-9, 9), 1.0) for each in quantities], [], "1", "", {},
        )
        for _ in range(drawn.randint(1, 40))
    ]  # fmt: skip
    console.print(outcome_table._table(outcomes))
    outcome_table.show_details(console, outcomes[0])


def reproduced(console: Console, drawn: random.Random) -> None:
    rows = [
        {"recipe": "gluon", "data_set": "fashion-mnist", "backend": who, "epoch": epoch, "train_loss": 1.0,
         "test_accuracy": drawn.random(), "published_test_accuracy": 0.9, "train_accuracy": 0.5}
        for who in {name(drawn) for _ in range(drawn.randint(1, 40))} for epoch in range(1, 101)
    ]  # fmt: skip
    reproduce.show(console, frame_of(rows, DOCUMENTS))


def scaled(console: Console, drawn: random.Random) -> None:
    rows = [
        RATIO
        | {"backend": who, "mode": name(drawn), "threads": 2**n, "batch_size": 64, "dimension": "threads",
           "ratio": 1 + n, "train_images_per_s": 1_234_567.0}
        for who in {name(drawn) for _ in range(drawn.randint(1, 40))} for n in range(12)
    ]  # fmt: skip
    run_tables.show_scaling(console, frame_of(rows, SCALING))


def accuracies(console: Console, drawn: random.Random) -> None:
    labels = [f"{name(drawn)} {name(drawn)}{number}" for number in range(drawn.randint(1, 40))]
    by_seed = pd.DataFrame({label: [0.98, 0.99] for label in labels})
    run_tables.show_accuracy(console, AccuracySpread(by_seed, 0.1, 0.1), "mnist")


def examined(console: Console, drawn: random.Random) -> None:
    found = [Finding(name(drawn), name(drawn, 3, 200), drawn.choice(("good", "unknown"))) for _ in range(30)]
    examine.show(console, found)


def network(console: Console, drawn: random.Random) -> None:
    layers = (Conv(name(drawn), 1000, 5), Flatten(name(drawn)), Dense(name(drawn), 10))
    show_network(console, Network(name(drawn), (3, 256, 256), layers, 10, name(drawn, 3, 200)))


def differences(console: Console, drawn: random.Random) -> None:
    shared = {"network": name(drawn), "recipe": name(drawn), "data_set": name(drawn), "new": 0.9}
    rows = [
        shared | {"backend": name(drawn), "epoch": 10, "old": 0.8, "points": 10.0, "noise": drawn.choice((True, False))}
        for _ in range(drawn.randint(1, 40))
    ]
    baseline.show_difference(console, rows)


def planned(console: Console, drawn: random.Random) -> None:
    cells = [
        Planned(name(drawn), tuple(name(drawn) for _ in range(drawn.randint(1, 9))), 5, True, expected)
        for expected in (Expectation(1.0, 99_999.0, ("torch eager",)), Expectation(1.0, 1.0, ())) * drawn.randint(1, 20)
    ]
    sweep_tables.show_plan(console, cells)


def swept(console: Console, drawn: random.Random) -> None:
    rows = [
        SPEED | RATIO | VERDICT
        | {"cell": number // 3, "label": name(drawn), "nodes": 2, "differ": number % 2 == 0, "test_accuracy": 1.0,
           "hardware": f"{name(drawn, 90, 200)}{number // 20}", "verified": False, "data_set": "drawn-digits"}
        for number in range(drawn.randint(1, 40))
    ]  # fmt: skip
    sweep_tables.show_sweep(console, pd.DataFrame(rows), conditions=["A. " * 60])


def by_column(console: Console, drawn: random.Random) -> None:
    rows = [
        SPEED | RATIO | VERDICT
        | {"machine_sha256": "m", "machine": name(drawn, 90, 200), "entrant": name(drawn, 3, 60), "value": name(drawn)}
        for _ in range(drawn.randint(1, 40))
    ]  # fmt: skip
    sweep_tables.show_by_column(console, pd.DataFrame(rows), "framework_version")


SHOWN: dict[str, Show] = {
    "sweep's plan": planned, "sweep": swept, "by column": by_column,
    "history": history, "verify": verify, "reproduce": reproduced, "scaling": scaled, "accuracy": accuracies,
    "doctor": examined, "network": network, "baseline update": differences,
    "list": lambda console, drawn: listings._list_backends(console),
}  # fmt: skip


def widest(out: str) -> int:
    return max(cell_len(line.rstrip()) for line in out.splitlines())


@pytest.mark.parametrize("columns", [80, 100, 200])
@pytest.mark.parametrize("command", SHOWN)
def test_table_of_a_command_fits(
    command: str, columns: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever the names: as wide as COLUMNS says at most, and what is cut is said below."""
    monkeypatch.setenv("COLUMNS", str(columns))
    for seed in range(2):
        SHOWN[command](layout.stdout(), random.Random(seed))

    out = capsys.readouterr().out

    assert widest(out) <= columns
    check_marks(out)


def test_baseline_and_selftest_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Those that print by themselves."""
    monkeypatch.setenv("COLUMNS", "80")
    drawn = random.Random(0)
    row = {
        "schema_version": BASELINE_VERSION, "network": name(drawn, 30), "data_set": name(drawn, 30),
        "recipe": name(drawn, 30), "data_sha256": "d", "batch_size": 64, "dtype": "float32", "epoch": 10, "seeds": 10,
        "test_accuracy_mean": 0.98, "test_accuracy_sd": 0.01, "test_accuracy_min": 0.97,
        "machine": name(drawn, 90, 200),
    }  # fmt: skip
    write_baseline(
        tmp_path / "b.csv",
        frame_of(
            [row | {"backend": name(drawn, 20), "framework_version": name(drawn, 30)} for _ in range(9)], BASELINE
        ),
    )
    duel = {"backend": "torch", "duel": 1, "rounds": 100, "verdict": "slower", "covered": True}
    duels = [duel | RATIO | {"slowdown": share} for share in (0.0, 0.02718281828, 0.3)]

    baseline.show(file=tmp_path / "b.csv")
    selftest.show(frame_of(duels, DUELS), selftest.Selftest(name(drawn, 30), 1, (0.0,), 60, 1, "mnist", None))

    out = capsys.readouterr().out
    # A path stays whole, so that it can be copied.
    assert widest("\n".join(line for line in out.splitlines() if str(tmp_path) not in line)) <= 80
