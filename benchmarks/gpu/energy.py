"""Stage `energy`: power against energy, and the frameworks' own figures of memory against the card's."""

from __future__ import annotations

import time
from typing import Any

from benchmarks.gpu.card import Card, Sample, Sampler, counter_j, integral_j, period_s
from benchmarks.gpu.commands import Command, run
from benchmarks.gpu.look import card_of
from benchmarks.gpu.pythons import python_of
from benchmarks.gpu.trial import FRAMEWORKS, Cell, Trial, of_probe

IDLE_S, LOAD_S = 2.0, 4.0
# How far the integral of the power and the counter may be apart, as a share.
AGREE = 0.05
LOADS = {"torch": "cuda-graph", "jax": "epoch"}
LOADS_REHEARSAL = {"torch": "eager", "jax": "jit"}


def run_energy(trial: Trial) -> None:
    """Sample the card while it idles, and while each framework trains on large batches."""
    card = card_of(trial)
    if not card:
        return
    rows: list[list[Cell]] = []
    begin = time.monotonic()
    idle = _sampled(card, lambda: time.sleep(IDLE_S))
    rows.append(_row("idle", idle, begin + IDLE_S / 4, begin + IDLE_S * 3 / 4))
    used_before = idle[-1].used_bytes
    memory: list[list[Cell]] = []
    for name in FRAMEWORKS:
        samples, spans = _loaded(trial, card, name)
        for what, values in spans.items():
            rows.append(_row(f"{name} {what}", samples, values["begin"], values["end"]))
            _judge(trial, rows[-1])
            _show(trial, rows)
            used = [each.used_bytes for each in samples if each.used_bytes and each.at <= values["end"]]
            own = max(used) - (used_before or 0) if used else None
            memory.append([name, values["framework_bytes"] / 1e6, values["who"], own / 1e6 if own else None])
            trial.table(
                "Memory at most, MB", ["backend", "its own figure", "who says so", "card, all of the process"], memory
            )


def _loaded(trial: Trial, card: Card, name: str) -> tuple[list[Sample], dict[str, dict[str, Any]]]:
    """Samples around a load, and when it began and ended."""
    mode = (LOADS_REHEARSAL if trial.rehearsal else LOADS)[name]
    seconds = 1.5 if trial.rehearsal else LOAD_S
    arguments = ("-m", "benchmarks.gpu.probes.load", name, mode, trial.device, str(seconds))
    command = Command(name, arguments, python=python_of(name, trial), variables=of_probe(trial.out))
    spans: dict[str, dict[str, Any]] = {}

    def load() -> None:
        how = run(command, trial)
        if how.code != 0:
            trial.problem(f"The load of {name} did not end well: {how.fate}")
        for values in how.found:
            spans[f"{mode} b{values['batch_size']}"] = values

    return _sampled(card, load), spans


def _sampled(card: Card, call: Any) -> list[Sample]:
    sampler = Sampler(card)
    sampler.start()
    try:
        call()
    finally:
        samples = sampler.stop()
    return samples


def _row(what: str, samples: list[Sample], begin: float, end: float) -> list[Cell]:
    inside = [each for each in samples if begin <= each.at <= end]
    counter = counter_j(samples, begin, end)
    instant, averaged = (integral_j(samples, name, begin, end) for name in ("instant_w", "power_w"))
    clocks = [each.sm_mhz for each in inside if each.sm_mhz]
    return [
        what, end - begin, counter, instant, averaged,
        instant / counter if instant and counter else None, averaged / counter if averaged and counter else None,
        period_s(samples, "energy_j"), period_s(samples, "instant_w"), max(clocks, default=None),
    ]  # fmt: skip


def _judge(trial: Trial, row: list[Cell]) -> None:
    what, share = row[0], row[5]
    if isinstance(share, float) and abs(share - 1) > AGREE:
        trial.problem(f"{what}: power summed over time is {share:.3f} of what the energy counter says.")


def _show(trial: Trial, rows: list[list[Cell]]) -> None:
    header = [
        "load", "seconds", "counter J", "momentary power J", "averaged power J", "over counter",
        "averaged over counter",
        "counter renewed s", "power renewed s", "SM MHz at most",
    ]  # fmt: skip
    trial.table("Energy two ways", header, rows)
