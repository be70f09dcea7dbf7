"""Makes run folders of any size without measuring anything: made-up launches that look like those of a real run.

    synthetic_run.write_run(Path("results/made-up"), entrants=30, rounds=20)

Equal arguments give equal bytes. By hand: python tests/harness/synthetic_run.py FOLDER ENTRANTS ROUNDS
"""

from __future__ import annotations

import itertools
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import harness
from harness.analysis.scaling import scaling
from harness.analysis.summary import summarise
from harness.results.folder import RunFolder, frame_of, write_table
from harness.results.schema import BLOCKS, ENTRANT, EPOCHS, INFERENCE, LATENCY, LAUNCHES, SCHEMA_VERSION
from harness.runs.entrants import make_entrants
from harness.runs.plan import Plan, default_plan
from harness.worker import catalogue
from harness.worker.inference import PERCENTILES
from harness.worker.job import Entrant, block_steps

# Images per second at batch 64, by backend: of a table of docs/measured.md, in round numbers.
SPEEDS = {"torch": 16000.0, "tensorflow": 19000.0, "jax": 8000.0, "mxnet": 12000.0, "paddle": 5600.0}
VERSIONS = {"torch": "2.13.0", "tensorflow": "2.21.0", "jax": "0.10.2", "mxnet": "1.9.1", "paddle": "3.3.1"}
# Seconds of import, build and first step, as there.
STARTS = {"torch": (0.9, 1.0, 0.02), "tensorflow": (1.8, 0.2, 0.2), "jax": (0.6, 0.2, 1.4), "mxnet": (0.7, 0.01, 0.06),
          "paddle": (0.7, 0.01, 0.1)}  # fmt: skip
ACCURACIES = (0.968, 0.980, 0.984, 0.986, 0.988, 0.9885, 0.989, 0.9895, 0.99, 0.99)
MACHINE = {
    "host": "made-up", "processor": "AMD EPYC 9B45", "cpus": "4", "memory_gib": "16", "system": "Linux",
    "architecture": "x86_64", "kernel": "6.18.0", "libc": "glibc 2.36", "load_average": "0.10 0.08 0.05",
}  # fmt: skip
IMAGES = 60_000
# Percentiles of the latency, as shares of its median.
LATENCIES = dict(zip(PERCENTILES, (0.90, 0.92, 0.94, 0.95, 0.97, 1.0, 1.05, 1.2, 1.3, 1.6, 2.5, 6.0)))


def write_run(
    folder: Path,
    *,
    entrants: int,
    rounds: int,
    seed: int = 0,
    blocks: bool = False,
    epochs: int = 2,
    seeds: int = 1,
    until: float = 0.0,
    spread: float = 0.03,
    threads: tuple[int, ...] = (1,),
    timing: bool = True,
    ended: bool = True,
) -> Path:
    """Write a run of so many entrants, all tables and environment.json, and return its folder.

    Args:
        folder: that is made; its name is the run's. What is in it is written over.
        entrants: any number; pairs of backend and mode, and as many batch sizes as that takes.
        seed: of the made-up figures.
        blocks: whether there is a blocks.csv too, of about 120 rows a launch.
        epochs: that each of `seeds` trainings has; 0 for none.
        until: test accuracy that ends a training; the made-up ones end between 0.985 and 0.992.
        spread: standard deviation of a launch, as a share of its speed.
        threads: every entrant once with each; `entrants` counts them before that.
        timing: False for a run that only trains, as the gate's.
        ended: False for a folder as it is while the last round is under way: no summary.csv.
    """
    folder.mkdir(parents=True, exist_ok=True)
    plan = _plan(_entrants(entrants, threads), rounds, seeds if epochs else 1, epochs, until, timing)
    made = _MadeUp(plan, folder.name, np.random.default_rng(seed), spread)
    run = RunFolder(folder)
    run.write_environment(_environment(plan))
    places = [(number, at, entrant) for number in range(1, rounds + 1)
              for at, entrant in enumerate(plan.order(number), start=1)]  # fmt: skip
    for place in places if ended else places[: len(places) - max(1, len(plan.entrants) // 2)]:
        made.launch(*place)
    for number, plan_round in enumerate(plan.trainings if ended else (), start=rounds + 1):
        for at, entrant in enumerate(plan.order(plan_round), start=1):
            made.training(plan_round, number, at, entrant)
    _write_tables(run, made, blocks=blocks, ended=ended)
    return folder


def _write_tables(run: RunFolder, made: _MadeUp, *, blocks: bool, ended: bool) -> None:
    launches, trained = frame_of(made.launches, LAUNCHES), frame_of(made.epochs, EPOCHS)
    write_table(run.path / "launches.csv", launches)
    if len(trained):
        write_table(run.path / "epochs.csv", trained)
    if made.inference:
        write_table(run.path / "inference.csv", frame_of(made.inference, INFERENCE))
        write_table(run.path / "latency.csv", frame_of(made.latency, LATENCY))
    if blocks:
        write_table(run.path / "blocks.csv", _blocks(launches))
    if ended:
        run.write_summary(summarise(launches, trained))
        grown = scaling(launches)
        if len(grown):
            run.write_scaling(grown)


def _entrants(count: int, threads: tuple[int, ...]) -> list[Entrant]:
    """So many entrants that one command line names: some backends' modes, each with the same batch sizes."""
    modes = {name: list(catalogue.modes(name, "cpu")) for name in VERSIONS}
    # Backends alternate, so that a few entrants are of several.
    turns = itertools.zip_longest(*([f"{name}:{mode}" for mode in found] for name, found in modes.items()))
    kinds = [kind for turn in turns for kind in turn if kind]
    number = next(n for n in range(min(count, len(kinds)), 0, -1) if count % n == 0)
    chosen = kinds[:number]
    return make_entrants(
        list(dict.fromkeys(kind.split(":")[0] for kind in chosen)), modes=",".join(chosen), threads=threads,
        batch_sizes=[64 * (place + 1) for place in range(count // number)], device="cpu", dtype="float32",
        network="lenet5",
    )  # fmt: skip


def _plan(entrants: list[Entrant], rounds: int, seeds: int, epochs: int, until: float, timing: bool) -> Plan:
    return default_plan(
        entrants, data_set="mnist", data_dir=None, rounds=rounds, most_rounds=rounds, seeds=min(seeds, rounds), seed=0,
        epochs=epochs, until=until, timing=timing, verified=True,
    )  # fmt: skip


def _environment(plan: Plan) -> dict[str, Any]:
    variables = {"OMP_NUM_THREADS": "1", "MALLOC_MMAP_THRESHOLD_": "1073741824"}
    return {
        "lenet_bench": harness.__version__,
        "plan": plan.as_dict(),
        "data_set": {"name": "mnist", "source": "made up", "sha256": "d" * 64},
        "machine": MACHINE,
        "interpreters": {entrant.backend: "/opt/made-up/bin/python" for entrant in plan.entrants},
        "controls": {entrant.label: {"environment": variables, "cpus": [0]} for entrant in plan.entrants},
        "variables_set_aside": ["OMP_PLACES"],
        "packages": {each.backend: [f"{each.backend}=={VERSIONS[each.backend]}"] for each in plan.entrants},
    }


class _MadeUp:
    """Rows of launches, epochs, inference and latency."""

    def __init__(self, plan: Plan, run: str, noise: np.random.Generator, spread: float) -> None:
        self.plan, self.run, self.noise, self.spread = plan, run, noise, spread
        self.launches: list[dict[str, Any]] = []
        self.epochs: list[dict[str, Any]] = []
        self.inference: list[dict[str, Any]] = []
        self.latency: list[dict[str, Any]] = []
        # Each mode of a backend has a speed of its own; what a round has in common is drift.
        self.factors = {entrant.label: float(np.exp(noise.normal(0, 0.25))) for entrant in plan.entrants}
        self.drift = np.exp(noise.normal(0, spread, plan.rounds))

    def launch(self, number: int, position: int, entrant: Entrant) -> None:
        """Add one launch with all its rows."""
        identity = self._identity(number, position, entrant)
        row = identity | {"status": "ok", "launch_s": 12.0}
        if self.plan.timing:
            row |= self._timed(entrant, number) | {"plan_round": number}
        epochs = self._epochs(identity, row, number, entrant)
        if epochs:
            row |= {"epochs": len(epochs), "test_accuracy": epochs[-1]["test_accuracy"],
                    "until": self.plan.until or None}  # fmt: skip
        self.launches.append(row)
        self.epochs += epochs

    def training(self, plan_round: int, number: int, position: int, entrant: Entrant) -> None:
        """Add a launch that only trains: these follow all that are timed."""
        identity = self._identity(number, position, entrant) | {"seed": self.plan.seed_of(plan_round)}
        epochs = self._epochs(identity, {}, plan_round, entrant)
        self.epochs += epochs
        self.launches.append(identity | {
            "status": "ok", "launch_s": 12.0, "plan_round": plan_round, "epochs": len(epochs),
            "test_accuracy": epochs[-1]["test_accuracy"], "until": self.plan.until or None,
        })  # fmt: skip

    def _identity(self, number: int, position: int, entrant: Entrant) -> dict[str, Any]:
        fields = {name: getattr(entrant, name) for name in ENTRANT if hasattr(entrant, name)}
        return fields | {
            "schema_version": SCHEMA_VERSION, "run": self.run, "round": number, "position": position,
            "framework_version": VERSIONS[entrant.backend], "data_set": "mnist", "data_sha256": "d" * 64,
            "variant": entrant.variant or None, "verified": True, "recipe": self.plan.recipe.name,
            "seed": self.plan.seed_of(number), "machine": "AMD EPYC 9B45, 4 CPUs, 16 GiB", "machine_sha256": "a" * 64,
            "python_version": "3.11.7", "packages_sha256": "b" * 64, "weights_sha256": "c" * 64,
            "batches_sha256": "e" * 64, "started_utc": f"2026-11-20T{10 + number // 60:02d}:{number % 60:02d}:00+00:00",
        }  # fmt: skip

    def _speed(self, entrant: Entrant, number: int) -> float:
        usual = SPEEDS[entrant.backend] * self.factors[entrant.label]
        grown = (entrant.batch_size / 64) ** 0.1 * max(entrant.threads, 1) ** 0.7
        return float(usual * grown * self.drift[number - 1] * np.exp(self.noise.normal(0, self.spread)))

    def _timed(self, entrant: Entrant, number: int) -> dict[str, Any]:
        speed = self._speed(entrant, number)
        step_us = entrant.batch_size / speed * 1e6
        turns = step_us * np.exp(self.noise.normal(0, self.spread, max(self.plan.turns, 1)))
        imported, build, first = np.array(STARTS[entrant.backend]) * np.exp(self.noise.normal(0, 0.1, 3))
        latency = 0.1 * float(np.exp(self.noise.normal(0, 0.1)))
        self._inference(entrant, number, speed, latency)
        return {
            "import_s": float(imported), "build_s": float(build), "first_step_s": float(first), "warmup_s": 0.8,
            "start_up_s": float(imported + build + first) + 0.1, "warmup_steps": 400, "steady": True,
            "first_epoch_s": float(imported + build + first) + IMAGES / speed, "steady_steps": int(2e6 / step_us),
            "block_steps": block_steps(entrant.batch_size), "return_steps": 2, "turns": len(turns),
            "turn_step_us": " ".join(f"{value:.2f}" for value in turns), "train_images_per_s": speed,
            "step_us_median": step_us, "step_us_p95": step_us * 1.1, "train_gflops": speed * 2.25e-3,
            "peak_gflops": 120.0, "peak_source": "made up", "peak_share": speed * 2.25e-3 / 120,
            "page_faults_per_step": 0.01, "inference_batch_size": 500, "inference_images_per_s": speed * 4,
            **{f"latency_ms_p{each}": latency * LATENCIES[each] for each in (50, 95, 99)},
            "rss_import_bytes": 300 << 20, "peak_rss_bytes": (400 << 20) + entrant.batch_size * 100_000,
            "threads_found": str(entrant.threads), "cpus_found": "0", "layout": "NCHW", "fast_math": "none",
        }  # fmt: skip

    def _inference(self, entrant: Entrant, number: int, speed: float, latency: float) -> None:
        known = {name: self._identity(number, 0, entrant)[name]
                 for name in ("schema_version", "run", "round", "backend", "mode", "variant")}  # fmt: skip
        position = self.plan.order(number).index(entrant) + 1
        self.inference += [
            known | {"position": position, "inference_batch_size": size,
                     "inference_images_per_s": speed * 4 * size / (size + 20)}
            for size in self.plan.inference_sizes
        ]  # fmt: skip
        self.latency += [
            known | {"position": position, "percentile": percentile, "latency_ms": latency * share}
            for percentile, share in LATENCIES.items()
        ]

    def _epochs(
        self, identity: dict[str, Any], row: dict[str, Any], number: int, entrant: Entrant
    ) -> list[dict[str, Any]]:
        known = {name: value for name, value in identity.items() if name in EPOCHS}
        rows: list[dict[str, Any]] = []
        speed = row.get("train_images_per_s", SPEEDS[entrant.backend])
        for epoch in range(1, self.plan.epochs_of(number) + 1):
            accuracy = ACCURACIES[min(epoch, len(ACCURACIES)) - 1] + float(self.noise.normal(0, 0.0006))
            rows.append(known | {"epoch": epoch, "train_s": IMAGES / speed, "train_loss": 0.3 / epoch,
                                 "test_accuracy": round(accuracy, 4), "evaluate_s": 0.4})  # fmt: skip
            if self.plan.until and accuracy >= self.plan.until:
                break
        return rows


def _blocks(launches: pd.DataFrame) -> pd.DataFrame:
    """About 120 blocks a launch: ten of warm-up, the others in the launch's turns."""
    rows = [
        {"schema_version": SCHEMA_VERSION, "run": row.run, "round": row.round, "position": row.position,
         "backend": row.backend, "mode": row.mode, "variant": row.variant, "phase": phase, "turn": turn,
         "block": block, "steps": row.block_steps, "seconds": row.block_steps * row.step_us_median / 1e6}
        for row in launches[launches["train_images_per_s"].notna()].itertuples()
        for phase, turns, count in (("warmup", 1, 10), ("steady", row.turns, max(1, 110 // row.turns)))
        for turn, block in itertools.product(range(1, turns + 1), range(1, count + 1))
    ]  # fmt: skip
    return frame_of(rows, BLOCKS)


if __name__ == "__main__":
    print(write_run(Path(sys.argv[1]), entrants=int(sys.argv[2]), rounds=int(sys.argv[3])))
