"""Everything that a GPU can tell, in one command, by value: for a machine that is at hand for minutes.

    python -m benchmarks.gpu_trial --out results/gpu                  all stages on a GPU, at most nine minutes
    python -m benchmarks.gpu_trial --out results/gpu --stages run,field --limit run=200
    python -m benchmarks.gpu_trial --out /tmp/rehearsal --device cpu  the same code on a CPU, smaller numbers
    python -m benchmarks.gpu_trial --wheels DIR                       fetch the wheels that such a machine may lack

Needs what the harness needs, and PyTorch and JAX: in this interpreter, or in those that nox made. Each stage runs in a
process of its own within a stated time; one that is over its time is ended with all that it started, and what it wrote
remains. Stages that fail stop none. `trial.md` (for people) and `trial.json` are written anew after each stage.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.gpu.conduct import conduct
from benchmarks.gpu.stages import STAGES, Stage
from benchmarks.gpu.trial import Trial, usual_threads
from benchmarks.gpu.wheels import fetch

DEVICES = ("gpu", "cpu")


def main(
    out: Annotated[Path, typer.Option(help="Folder of the results.")] = Path("results/gpu-trial"),
    device: Annotated[str, typer.Option(help="gpu, or cpu for a rehearsal.")] = "gpu",
    stages: Annotated[str, typer.Option(help=f"Of {', '.join(STAGES)}; in this order. [default: all]")] = "",
    budget: Annotated[float, typer.Option(min=0, help="Seconds for all stages together; 0 for no limit.")] = 540.0,
    limit: Annotated[list[str], typer.Option(metavar="STAGE=S", help="Seconds of a stage, for its own.")] = [],  # noqa: B006
    threads: Annotated[int, typer.Option(min=0, help="CPUs of each launch. [default: 8, with a GPU and 16 CPUs]")] = 0,
    wheels: Annotated[Path | None, typer.Option(help="Fetch wheels into this folder, and do nothing else.")] = None,
    only: Annotated[str, typer.Option(hidden=True)] = "",
) -> None:
    """Run the trial's stages; exit code 1 where one has a problem."""
    if wheels:
        fetch(wheels)
        return
    if device not in DEVICES:
        raise typer.BadParameter(f"--device is gpu or cpu, got {device!r}.")
    out, threads = out.resolve(), threads or usual_threads(device)
    if only:
        # What `conduct` starts: the one stage, here.
        limit_s = read_limits(limit)[only]
        STAGES[only].run(Trial(out=out, stage=only, device=device, seconds=limit_s, threads=threads))
        return

    def command(stage: Stage, limit_s: float) -> list[str]:
        options = ["--out", str(out), "--device", device, "--threads", str(threads)]
        return [
            sys.executable, "-m", "benchmarks.gpu_trial", "--only", stage.name, "--limit", f"{stage.name}={limit_s:g}",
            *options,
        ]  # fmt: skip

    chosen = read_stages(stages)
    good = conduct(chosen, out=out, device=device, budget_s=budget, limits=read_limits(limit), command=command)
    print(f"Results: {out / 'trial.md'}")
    raise typer.Exit(0 if good else 1)


def read_stages(text: str) -> list[Stage]:
    """Read `look,verify`; all of them where there is nothing.

    Raises:
        typer.BadParameter: no such stage; the message lists those there are.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in STAGES:
            raise typer.BadParameter(f"there is no stage {name!r}; there are {', '.join(STAGES)}.")
    return [STAGES[name] for name in names or STAGES]


def read_limits(texts: list[str]) -> dict[str, float]:
    """Read `run=200`, as often as it is given.

    Raises:
        typer.BadParameter: no such stage, or no number of seconds.
    """
    found = {}
    for text in texts:
        name, _, seconds = text.partition("=")
        if name not in STAGES or not seconds.replace(".", "", 1).isdecimal():
            raise typer.BadParameter(f"--limit takes STAGE=SECONDS with a stage of {', '.join(STAGES)}, got {text!r}.")
        found[name] = float(seconds)
    return found


if __name__ == "__main__":
    sys.exit(typer.run(main))
