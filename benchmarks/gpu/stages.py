"""The stages of the trial: what each asks, how long it may take, and which come first."""

from __future__ import annotations

import importlib
from dataclasses import dataclass

from benchmarks.gpu.trial import Trial


@dataclass(frozen=True)
class Stage:
    """A stage, which is a function `run_<name>` of a module beside this one.

    Attributes:
        name: what `--stages` takes.
        module: under `benchmarks.gpu`.
        title: what it asks.
        seconds: that it may take on a GPU.
        rehearsal_s: that it may take on a CPU.
    """

    name: str
    module: str
    title: str
    seconds: float
    rehearsal_s: float

    def run(self, trial: Trial) -> None:
        """Do it, here and now."""
        getattr(importlib.import_module(f"benchmarks.gpu.{self.module}"), f"run_{self.name}")(trial)


# By value: what is cut off at the end is what is missed least.
STAGES = {
    stage.name: stage
    for stage in (
        Stage("look", "look", "What is there: driver, card, clocks, memory, packages", 40, 20),
        Stage("pose", "posed", "What all proofs have in common: the reference's own work, which needs no card", 60, 75),
        Stage("verify", "proof", "Is it the same computation: every mode, in float32, TF32 and bfloat16", 180, 75),
        Stage("run", "runs", "How fast: the key modes in turns, with verdicts", 230, 80),
        Stage("launches", "launches", "The limit: launches, the card's time and the bytes of a step", 120, 30),
        Stage("field", "field", "How fast: all modes, both feeds, three batch sizes, started side by side", 200, 40),
        Stage("accuracy", "runs", "Does it learn: training with the data set on the device", 80, 50),
        Stage("energy", "energy", "Power against energy, memory against memory", 60, 30),
        Stage("tests", "tests", "The tests that need a card", 100, 40),
        Stage("attacks", "attacks", "What is caught: tricks, of which most need a card", 110, 60),
        Stage("copies", "copies", "Pinned memory and other choices, in one process", 35, 20),
        Stage("loops", "loops", "The harness against hand-written loops", 130, 60),
    )
}
