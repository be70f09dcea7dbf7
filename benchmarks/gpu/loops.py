"""Stage `loops`: the harness's times against hand-written loops of the same frameworks, by benchmarks/overhead.py."""

from __future__ import annotations

from benchmarks.gpu.commands import Command, run
from benchmarks.gpu.runs import KEY
from benchmarks.gpu.trial import Trial

REHEARSED = ("torch:eager",)


def run_loops(trial: Trial) -> None:
    """Two rounds of the key modes, framework after framework; tables are noted as they are printed."""
    modes = REHEARSED if trial.rehearsal else KEY
    for backend in dict.fromkeys(mode.partition(":")[0] for mode in modes):
        own = ",".join(mode for mode in modes if mode.startswith(backend))
        options = ("--device", trial.device, "--threads", str(trial.threads), "--rounds", "2")
        command = Command(backend, ("-m", "benchmarks.overhead", "-b", backend, "--mode", own, *options))
        how = run(command, trial)
        for line in filter(str.strip, how.output.splitlines()):
            trial.note(line)
        if how.code is None:
            trial.problem(f"The loops of {backend} were cut off; logs/{backend}.log has what each round said.")
        elif how.code:
            trial.problem(f"The loops of {backend} ended with exit code {how.code}: {how.last_words}")
