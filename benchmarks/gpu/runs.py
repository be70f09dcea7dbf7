"""Stages `run` and `accuracy`: what `lenet-bench run` measures of the key modes, and how well they train."""

from __future__ import annotations

import csv
from pathlib import Path

from benchmarks.gpu.commands import Command, run
from benchmarks.gpu.pythons import python_of
from benchmarks.gpu.trial import FRAMEWORKS, Cell, Trial, of_stage

# Torch eager, whose Python and launches are all that it waits for, and what leaves them out.
KEY = ("torch:eager", "torch:cuda-graph", "jax:jit", "jax:epoch")
KEY_REHEARSAL = ("torch:eager", "jax:jit")
TRAINED = ("torch:cuda-graph", "jax:epoch")
TRAINED_REHEARSAL = ("torch:eager",)
# What the goal asks of the modes without Python between steps.
GOAL = 5.0


def run_run(trial: Trial) -> None:
    """Four rounds of the key modes at batch 64, each batch handed over, in turns: the fewest that have verdicts."""
    modes = KEY_REHEARSAL if trial.rehearsal else KEY
    rounds, steady = ("2", "0.3") if trial.rehearsal else ("4", "1")
    _bench(trial, "key", modes, "--rounds", rounds, "--steady-s", steady, "--epochs", "0", "--inference-sizes", "none",
           "--base", "torch eager")  # fmt: skip
    rows = _read(trial.folder / "key" / "summary.csv")
    speed = "train_images_per_s"
    names = (speed, f"{speed}_low", f"{speed}_high", "ratio", "ratio_low", "ratio_high")
    table = [
        [row["backend"], row["mode"], *(_number(row[name]) for name in names), row["verdict"], int(row["launches"])]
        for row in rows
    ]
    trial.table(
        "Training, host feed, batch 64",
        ["backend", "mode", "images/s", "low", "high", "ratio", "low", "high", "verdict", "launches"],
        table,
    )
    _launch_table(trial, "key")
    for row in rows:
        if f"{row['backend']}:{row['mode']}" in ("torch:cuda-graph", "jax:epoch") and row["ratio"]:
            ratio = float(row["ratio"])
            outcome = "reached" if ratio >= GOAL else "missed: stage launches has the profile"
            trial.note(f"{row['backend']} {row['mode']} is {ratio:.2f} times torch eager; {GOAL:g} times is {outcome}.")


def run_accuracy(trial: Trial) -> None:
    """Train with the data set on the card; accuracy after each epoch, and the seconds."""
    modes = TRAINED_REHEARSAL if trial.rehearsal else TRAINED
    epochs = "1" if trial.rehearsal else "5"
    _bench(trial, "trained", modes, "--rounds", "1", "--steady-s", "0.3", "--epochs", epochs,
           "--inference-sizes", "none", feed="device")  # fmt: skip
    rows = _read(trial.folder / "trained" / "epochs.csv")
    trial.table(
        "Epochs, device feed",
        ["backend", "mode", "epoch", "training s", "loss", "test accuracy %", "evaluation s"],
        [
            [
                row["backend"], row["mode"], int(row["epoch"]), _number(row["train_s"]), _number(row["train_loss"]),
                100 * float(row["test_accuracy"]), _number(row["evaluate_s"]),
            ]
            for row in rows
        ],
    )  # fmt: skip
    _launch_table(trial, "trained")


def _bench(trial: Trial, name: str, modes: tuple[str, ...], *options: str, feed: str = "host") -> None:
    """Run `lenet-bench run`; what goes wrong is a problem. What an earlier call had measured is gone on with."""
    backends = [each for each in FRAMEWORKS if any(mode.startswith(each) for mode in modes)]
    pythons = [f"--python={each}={path}" for each in backends if (path := python_of(each, trial))]
    folder = trial.folder / name
    if (folder / "launches.csv").exists():
        trial.note(f"{name}/ was begun by an earlier call and is gone on with.")
        arguments = ("--resume", str(folder))
    else:
        arguments = (
            "-b", ",".join(backends), "--mode", ",".join(modes), "--feed", feed, "--device", trial.device, "--threads",
            str(trial.threads), "--results-dir", str(trial.folder), "--name", name, *options,
            *_unverified(trial, modes, feed),
        )  # fmt: skip
    how = run(Command(name, ("-m", "harness", "run", *arguments, *pythons)), trial)
    trial.record(f"{name} output", how.output)
    if how.code is None:
        trial.problem(f"The run was cut off after {how.seconds:.0f} s; what it had measured is in {name}/.")
    elif how.code:
        trial.problem(f"The run ended with exit code {how.code}: {how.last_words}")


def _unverified(trial: Trial, modes: tuple[str, ...], feed: str) -> list[str]:
    """Time what could not be verified all the same, and say so: what it does on a card is what is asked."""
    proven = of_stage(trial.out, "verify").get("proven", {})
    missing = [mode for mode in modes if proven.get(f"{mode.replace(':', ' ')} {feed} float32") != "nothing"]
    if missing:
        trial.note(f"Timed with --unverified, because there is no proof of {', '.join(missing)}.")
    return ["--unverified"] if missing else []


def _launch_table(trial: Trial, name: str) -> None:
    """What each launch cost and used."""
    columns = {
        "round": "round", "import s": "import_s", "build s": "build_s", "first step s": "first_step_s",
        "warm-up s": "warmup_s", "step us": "step_us_median", "p95 us": "step_us_p95", "J": "energy_j",
        "card MB": "device_memory_bytes", "host MB": "peak_rss_bytes", "launch s": "launch_s",
    }  # fmt: skip
    rows: list[list[Cell]] = []
    for row in _read(trial.folder / name / "launches.csv"):
        if row["status"] != "ok":
            trial.problem(f"{row['backend']} {row['mode']} failed in round {row['round']}: {row['error'][:300]}")
            continue
        scale = {"device_memory_bytes": 1e-6, "peak_rss_bytes": 1e-6}
        cells = [_number(row[column], scale.get(column, 1.0)) for column in columns.values()]
        rows.append([row["backend"], row["mode"], *cells])
    trial.table(f"Launches of {name}", ["backend", "mode", *columns], rows)


def _read(path: Path) -> list[dict[str, str]]:
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def _number(text: str, scale: float = 1.0) -> float | None:
    return float(text) * scale if text else None
