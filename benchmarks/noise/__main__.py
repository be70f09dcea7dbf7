"""`python -m benchmarks.noise`: record real blocks of this machine, and judge estimators and stopping rules by them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.noise import duets as pairs
from benchmarks.noise import judge as judging
from benchmarks.noise import record as recording
from benchmarks.noise.estimators import ESTIMATORS
from benchmarks.noise.record import Recording
from harness.errors import LenetBenchError

app = typer.Typer(add_completion=False, no_args_is_help=True, help=__doc__)
# What `run` makes of the turns of a round.
OURS = "median of pairs"


Out = Annotated[Path, typer.Option(help="The file to write, .csv.gz.")]
Minutes = Annotated[float, typer.Option(help="No round is begun after so many.")]
BACKEND = typer.Option("--backend", "-b", help="Names, with commas; one that is there twice has a twin.")


@app.command()
def record(
    out: Out,
    backend: Annotated[str, BACKEND] = "torch,torch,jax,jax,tensorflow,mxnet,paddle",
    turns: Annotated[int, typer.Option(min=2, help="Of a launch, 0.3 s each.")] = 16,
    minutes: Minutes = 30,
) -> None:
    """Record rounds of launches that take turns: every turn's blocks, and what was seen of the CPUs."""
    recording.record(Recording(backend.split(","), turns, minutes), out, recording.in_turns)


@app.command()
def duets(
    out: Out,
    backend: Annotated[str, BACKEND] = "torch,torch,tensorflow,jax",
    turns: Annotated[int, typer.Option(min=2, help="Of each launch alone, and of each with the first.")] = 16,
    minutes: Minutes = 10,
) -> None:
    """Hold turns that follow each other against duets, at once on two CPUs: sharper? biased?"""
    recording.record(Recording(backend.split(","), turns, minutes), out, pairs.in_duets)
    judge_duets(out)


@app.command("judge-duets")
def judge_duets(recording: Annotated[Path, typer.Argument(help="What `duets` wrote.")]) -> None:
    """Say what a recording of duets came to."""
    for each in pairs.judge(recording):
        within, between, slower = (f"{a:.1f} / {b:.1f} %" for a, b in (each.within, each.between, each.slower))
        print(
            f"{each.entrant}: alone / duet within rounds {within}, between rounds {between}; duets change the ratio "
            f"by {each.bias:+.2f} ± {each.bias_error:.2f} %; slower beside each other {slower}"
        )


@app.command()
def judge(
    recording: Annotated[list[Path], typer.Argument(help="Recordings of the same entrants; their rounds are joined.")],
    precision: Annotated[float, typer.Option(help="That replayed runs stop at, percent.")] = 2,
) -> None:
    """Judge estimators by odd rounds; test by even ones; replay runs that stop as ours do."""
    rounds = [each for file in recording for each in judging.read(file)]
    odd, even = judging.halves(rounds)
    # A standard deviation of two rounds, or of one, is none.
    halves = [("to choose", odd), ("to test", even)] if len(even) >= judging.LEAST_TO_JUDGE else []
    for what, half in [*halves, ("in all", rounds)]:
        print(f"{len(half)} rounds {what}: between and within rounds, of all pairs; ratios of twins, whose truth is 0")
        print(judging.table(half).to_string(), "\n")
    labels = sorted(rounds[0])
    twins = [[label.split(judging.TWIN)[0], label] for label in labels if judging.TWIN in label]
    everybody = [label for label in labels if judging.TWIN not in label]
    print(f"Replayed: {judging.RUNS} runs of rounds drawn from all {len(rounds)}, until {precision:g} %")
    for entrants in (*twins, everybody):
        found = judging.replay(ESTIMATORS[OURS], rounds, entrants, precision=precision / 100)
        alarms = "" if found.alarms != found.alarms else f", called different {found.alarms:.1%}"
        print(
            f"{', '.join(entrants)}: covered {found.covered:.1%}{alarms}, widest interval {found.width:.1%}, "
            f"{found.rounds:.1f} rounds"
        )


if __name__ == "__main__":
    try:
        app()
    except LenetBenchError as error:
        sys.exit(f"noise: {error}")
