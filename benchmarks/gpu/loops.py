"""Stage `loops`: the harness's times against hand-written loops of the same frameworks, by benchmarks/overhead.py."""

from __future__ import annotations

from benchmarks.gpu.commands import Command, run
from benchmarks.gpu.runs import KEY
from benchmarks.gpu.trial import Trial

REHEARSED = ("torch:eager",)


def run_loops(trial: Trial) -> None:
    """Two rounds of the key modes; the table is noted as it is printed."""
    modes = REHEARSED if trial.rehearsal else KEY
    backends = dict.fromkeys(mode.partition(":")[0] for mode in modes)
    command = Command(
        "overhead",
        (
            "-m", "benchmarks.overhead", "-b", ",".join(backends), "--mode", ",".join(modes), "--device", trial.device,
            "--threads", str(trial.threads), "--rounds", "2",
        ),
    )  # fmt: skip
    how = run(command, trial)
    for line in filter(str.strip, how.output.splitlines()):
        trial.note(line)
    if how.code is None:
        trial.problem(f"The loops were cut off after {how.seconds:.0f} s; logs/overhead.log has what each round said.")
    elif how.code:
        trial.problem(f"The loops ended with exit code {how.code}: {how.last_words}")
