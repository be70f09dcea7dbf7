"""Stage `verify`: what `lenet-bench verify` says of every mode."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from benchmarks.gpu.commands import Command, Ended, run, run_all
from benchmarks.gpu.pythons import python_of
from benchmarks.gpu.trial import Trial

MOST_AT_ONCE = 16
# How much of a sentence on what is wrong is kept.
SENTENCE = 240
# Backend, mode, feed, precision.
Key = tuple[str, str, str, str]
# The checks that measure time, not numbers.
TIMES = ("time of ", "training left ", "inference left ")


@dataclass(frozen=True)
class Asked:
    """One call of `verify`.

    Attributes:
        precision: float32, tf32, bfloat16 or float64.
        feeds: host, device, or both, one after the other.
    """

    backend: str
    modes: tuple[str, ...]
    precision: str = "float32"
    feeds: tuple[str, ...] = ("host",)

    @property
    def name(self) -> str:
        """Of its log and of its folder."""
        return "-".join((self.backend, *self.modes, self.precision, *(self.feeds if "device" in self.feeds else ())))


@dataclass(frozen=True)
class Proven:
    """What came out for one mode and feed.

    Attributes:
        failed: the quantities that did not pass, in the order of computation.
        worst: largest share of a tolerance among the numbers, and of which.
        worst_time: the same among the times.
    """

    backend: str
    mode: str
    feed: str
    precision: str
    failed: tuple[str, ...]
    worst: tuple[float, str]
    worst_time: tuple[float, str]

    @property
    def kind(self) -> str:
        """`nothing`, `times` or `numbers`, whichever is worst of what failed."""
        if not self.failed:
            return "nothing"
        return "times" if all(name.startswith(TIMES) for name in self.failed) else "numbers"


BOTH = ("host", "device")
# Asked at once, where there are CPUs for them; JAX a mode at a time: on an H200 and four CPUs, `epoch` took 45 s.
FULL_PRECISION = (
    Asked("torch", ("eager", "cuda-graph"), feeds=BOTH),
    Asked("jax", ("epoch",)),
    Asked("jax", ("jit",)),
    Asked("jax", ("epoch",), feeds=("device",)),
    Asked("jax", ("jit",), feeds=("device",)),
    Asked("torch", ("compiled",)),
    Asked("torch", ("channels-last",)),
    Asked("torch", ("eager", "channels-last"), "float64"),
)
# Asked behind those: they count only where float32 has passed, which `verify` would do again where it is not known.
MIXED = (
    Asked("torch", ("eager", "cuda-graph"), "tf32", feeds=BOTH),
    Asked("torch", ("eager", "cuda-graph"), "bfloat16", feeds=BOTH),
    Asked("jax", ("jit",), "bfloat16"),
    Asked("jax", ("jit",), "tf32"),
    Asked("jax", ("epoch",), "bfloat16"),
    Asked("jax", ("jit",), "bfloat16", feeds=("device",)),
    Asked("jax", ("jit",), "tf32", feeds=("device",)),
)
# Not needed by what is timed later: remedies for what is slow on a CPU, and `eager`.
OTHERS = tuple(Asked("jax", (mode,)) for mode in ("reshape-pool", "stencil", "eager"))
REHEARSED = (Asked("torch", ("eager",), feeds=BOTH), Asked("jax", ("jit",)))


def run_verify(trial: Trial) -> None:
    """Verify every mode; those whose times alone failed are asked once more, alone: the others share the card."""
    found = _asked_again(verify_all(REHEARSED if trial.rehearsal else FULL_PRECISION, trial), trial)
    _tell(trial, found)
    if not trial.rehearsal:
        found += _asked_again(verify_all([*_with_twins(trial, found), *OTHERS], trial), trial)
        _tell(trial, found)
    for each in found:
        if each.failed:
            trial.problem(
                f"{' '.join(_key(each))} fails in {len(each.failed)} quantities: {', '.join(each.failed[:4])}"
            )


def _with_twins(trial: Trial, found: Sequence[Proven]) -> list[Asked]:
    """Those in mixed precision whose modes have all passed in float32; says which are left out."""
    passed = {_key(each) for each in found if not each.failed}
    asked = []
    for each in MIXED:
        missing = [
            f"{mode} {feed}" for mode in each.modes for feed in each.feeds
            if (each.backend, mode, feed, "float32") not in passed
        ]  # fmt: skip
        if missing:
            trial.problem(f"{each.name} is not asked: there is no proof in float32 of {', '.join(missing)}.")
        else:
            asked.append(each)
    return asked


def _asked_again(found: list[Proven], trial: Trial) -> list[Proven]:
    for each in [each for each in found if each.kind == "times"]:
        asked = Asked(each.backend, (each.mode,), each.precision, (each.feed,))
        trial.note(f"{asked.name}: times failed beside others; asked again, alone.")
        run(_command(asked, trial, {}, folder="alone"), trial)
        for verdict in read_proofs(trial.folder / "alone" / asked.name):
            found = [verdict if _key(old) == _key(verdict) else old for old in found]
    return found


def verify_all(
    asked: Sequence[Asked],
    trial: Trial,
    *,
    variables: Mapping[str, str] = MappingProxyType({}),
    beside: Mapping[Command, Callable[[Ended], None]] = MappingProxyType({}),
) -> list[Proven]:
    """Ask all, several at a time; what was written by those that were cut off counts, too.

    Args:
        variables: of the processes.
        beside: commands that are begun first, and what is called when each has ended.
    """

    def ended(command: Command, how: Ended) -> None:
        if command in beside:
            beside[command](how)
            return
        if how.code is None:
            trial.problem(f"{command.name} was cut off after {how.seconds:.0f} s.")
        elif how.code not in (0, 1):
            trial.problem(f"{command.name} ended with exit code {how.code}: {how.last_words}")
        trial.note(f"{command.name}: {how.seconds:.1f} s")
        backend = command.name.partition("-")[0]
        for line in how.output.splitlines():
            # What is wrong, in the harness's words.
            if line.startswith(f"{backend} ") and ": " in line:
                trial.note(line[:SENTENCE])

    commands = [_command(each, trial, variables, folder="results") for each in asked]
    run_all([*beside, *commands], trial, width=MOST_AT_ONCE, ended=ended)
    return [proof for each in asked for proof in read_proofs(trial.folder / "results" / each.name)]


def _command(asked: Asked, trial: Trial, variables: Mapping[str, str], *, folder: str) -> Command:
    framework = asked.backend.partition("_")[0]
    precision = ["--tf32"] if asked.precision == "tf32" else ["--dtype", asked.precision]
    python = python_of(framework, trial)
    return Command(
        asked.name,
        (
            "-m", "harness", "verify", "-b", asked.backend, "--mode", ",".join(asked.modes), "--device", trial.device,
            "--feed", ",".join(asked.feeds),
            "--threads", str(trial.threads), "--results-dir", str(trial.folder / folder / asked.name), *precision,
            *(["--python", f"{asked.backend}={python}"] if python else []),
        ),
        variables=variables,
    )  # fmt: skip


def read_proofs(folder: Path) -> list[Proven]:
    """The verdicts in the verification.csv files under a folder; the latest of each mode, if it was asked again."""
    found: dict[Key, Proven] = {}
    for file in sorted(folder.glob("*/verification.csv")):
        rows: dict[Key, list[dict[str, str]]] = {}
        with file.open(newline="", encoding="utf-8") as lines:
            for row in csv.DictReader(lines):
                rows.setdefault((row["backend"], row["mode"], row["feed"], row["dtype"]), []).append(row)
        found |= {key: _proven(key, of_mode) for key, of_mode in rows.items()}
    return list(found.values())


def _proven(key: Key, rows: list[dict[str, str]]) -> Proven:
    shares: dict[bool, tuple[float, str]] = {True: (0.0, ""), False: (0.0, "")}
    for row in rows:
        error, tolerance = (float(row[name] or math.nan) for name in ("error", "tolerance"))
        share = error / tolerance if tolerance else math.inf
        timed = row["quantity"].startswith(TIMES)
        # A NaN is worse than any number.
        if not share <= shares[timed][0]:
            shares[timed] = share, row["quantity"]
    failed = tuple(row["quantity"] for row in rows if row["passed"].lower() != "true")
    return Proven(*key, failed, shares[False], shares[True])


def _key(proof: Proven) -> Key:
    return proof.backend, proof.mode, proof.feed, proof.precision


def _tell(trial: Trial, found: Sequence[Proven]) -> None:
    """Record what is proven, for the stages that time it, and show it."""
    trial.record("proven", {" ".join(_key(each)): each.kind for each in found})
    header = ["backend", "mode", "feed", "precision", "verdict", "worst share", "of", "worst share of times", "of what"]
    trial.table(
        "Error over tolerance; up to 1 passes",
        header,
        [[*_key(each), "FAILED" if each.failed else "passed", *each.worst, *each.worst_time] for each in found],
    )
