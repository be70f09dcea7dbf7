"""Stage `attacks`: backends that cheat, of which `verify` catches some; and what is to be had by what it misses."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from benchmarks.gpu.commands import Command, Ended
from benchmarks.gpu.proof import Asked, verify_all
from benchmarks.gpu.pythons import python_of
from benchmarks.gpu.trial import FRAMEWORKS, ROOT, Cell, Trial, of_probe

ATTACKS = ROOT / "tests" / "gpu_attacks"
# Backend and mode -> what gives it away on a GPU, and on a CPU: `times`, `numbers`, or nothing.
EXPECTED = {
    ("torch_streams", "nothing-waited"): ("times", "nothing"),
    ("torch_streams", "nothing-waited-eager"): ("nothing", "nothing"),
    ("torch_streams", "other-stream"): ("times", "nothing"),
    ("torch_streams", "last-step-left"): ("nothing", "nothing"),
    ("torch_numbers", "tf32-late"): ("nothing", "nothing"),
    ("torch_numbers", "bfloat16-late"): ("numbers", "numbers"),
    ("torch_numbers", "bfloat16-unless-verified"): ("nothing", "nothing"),
    ("torch_numbers", "update-skipped"): ("numbers", "numbers"),
    ("torch_uncontrolled", "tf32-late"): ("numbers", "nothing"),
    ("jax_streams", "nothing-waited"): ("times", "times"),
    ("jax_streams", "first-loss-waited"): ("times", "times"),
}
REHEARSED = (("torch_numbers", "update-skipped"), ("jax_streams", "nothing-waited"))


def run_attacks(trial: Trial) -> None:
    """Verify backends that cheat; say by what each is caught, and which are not."""
    tried = REHEARSED if trial.rehearsal else tuple(EXPECTED)
    asked = [Asked(backend, (mode,)) for backend, mode in tried]
    flattery = Flattery(trial)
    variables = {"LENET_BENCH_BACKENDS": str(ATTACKS)}
    found = verify_all(asked, trial, variables=variables, beside=flattery.commands())
    rows: list[list[Cell]] = []
    for each in found:
        expected = EXPECTED[each.backend, each.mode][trial.rehearsal]
        by = ", ".join(each.failed[:2]) or "NOT CAUGHT"
        rows.append([each.backend, each.mode, each.kind, expected, by])
        trial.table("Caught by", ["backend", "mode", "caught by", "expected", "quantities"], rows)
        if each.kind != expected:
            trial.problem(f"{each.backend} {each.mode} is caught by {each.kind}; expected was {expected}.")
    missing = [" ".join(key) for key in tried if key not in {(each.backend, each.mode) for each in found}]
    if missing:
        trial.problem(f"Not tried: {', '.join(missing)}.")


class Flattery:
    """What a `synchronize` that waits for nothing would be worth: `verify` looks at batch 64 and host feed alone.

    Measured while the references are computed, which leaves the card alone.
    """

    def __init__(self, trial: Trial) -> None:
        self._trial = trial
        self._rows: list[list[Cell]] = []

    def commands(self) -> dict[Command, Callable[[Ended], None]]:
        """A command for each framework, and what takes in what it printed."""
        return {
            Command(
                f"unwaited-{name}", ("-m", "benchmarks.gpu.probes.unwaited", name, self._trial.device),
                python=python_of(name, self._trial), variables=of_probe(self._trial.out),
            ): partial(self._take_in, name)
            for name in FRAMEWORKS
        }  # fmt: skip

    def _take_in(self, name: str, how: Ended) -> None:
        for step in how.found:
            cells = [step[key] for key in ("mode", "feed", "batch_size", "step_us", "unwaited_us")]
            self._rows.append([name, *cells, step["step_us"] / step["unwaited_us"]])
        if how.code != 0:
            self._trial.problem(f"{name} without waiting could not all be timed: {how.fate}")
        header = ["backend", "mode", "feed", "batch", "step us", "without waiting us", "looks so many times as fast"]
        self._trial.table("What waiting for nothing would be worth", header, self._rows)
