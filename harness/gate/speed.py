"""Is the present code slower than another commit's? Both train in the same rounds, turn by turn, on this machine."""

from __future__ import annotations

import io
import math
import subprocess
import tarfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.special import stdtrit

from harness.analysis.comparison import compare_entrants
from harness.analysis.conditions import spoiling
from harness.analysis.statistics import LEAST_ROUNDS, LEVEL, Interval, student
from harness.errors import InputError
from harness.files import ROOT
from harness.gate.verdicts import CANNOT_TELL, FAILED, NO_RESULT, PASSED, Verdict
from harness.results.folder import RunFolder
from harness.results.machines import difference, difference_of_texts, recorded
from harness.runs import quiet
from harness.runs.display import Display
from harness.runs.machine import this_machine
from harness.runs.outlook import Piece
from harness.runs.plan import MOST_ROUNDS, Plan, default_plan
from harness.runs.preparation import find_interpreters, load_for_plan
from harness.runs.rounds import Rounds
from harness.runs.run import Run
from harness.spec.recipe import Recipe
from harness.worker.job import Entrant

ROUNDS = 5
BUDGET_S = 300.0
STEADY_S = 2.0


@dataclass(frozen=True)
class Commit:
    """The other side.

    Attributes:
        name: as it was asked for.
        sha: of the commit.
        folder: that holds its `harness` and `backends`.
    """

    name: str
    sha: str
    folder: Path

    @property
    def variant(self) -> str:
        """What tells its entrants from those of the present code."""
        return f"at {self.sha[:10]}"


@dataclass(frozen=True)
class SpeedTest:
    """How to test speeds.

    Attributes:
        against: commit, tag or branch that they are held against.
        margin: share by which the present code may be slower.
        rounds: exactly so many; 0 for as many as the margin needs, within `budget_s` for each backend.
        strict: whether speeds that something disturbed are no result.
    """

    against: str
    margin: float = 0.05
    rounds: int = 0
    budget_s: float = BUDGET_S
    strict: bool = False


def resolve(ref: str, root: Path | None = None) -> str:
    """The SHA of a commit, tag or branch of this repository.

    Raises:
        InputError: it is a results folder, or no commit, or this code is in no repository.
    """
    if Path(ref, "launches.csv").exists():
        _refuse_run(Path(ref))
    root = root or ROOT
    if not (root / ".git").exists():
        raise InputError(f"--against needs the repository that this code is from; {root} is none.")
    answer = _git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}")
    if answer.returncode:
        why = answer.stderr.decode(errors="replace").strip()
        raise InputError(f"--against takes a commit, tag or branch of {root}; there is none called {ref!r}. {why}")
    return answer.stdout.decode().strip()


def _refuse_run(path: Path) -> None:
    """A run is not paired with anything that is measured now, and on another machine it says nothing at all."""
    folder, here = RunFolder(path), this_machine()
    launches, there = folder.read("launches"), recorded(folder)
    others = launches[launches["machine_sha256"].fillna("") != here.sha256]
    if len(others):
        row = int(others.index[0]) + 2
        text = difference_of_texts(str(others["machine"].iloc[0]), here.text)
        differs = difference(there, here.details) if there else text
        raise InputError(
            f"{path / 'launches.csv'}, row {row}, column machine_sha256: measured on another machine "
            f"({differs}). Speeds are never held against another "
            "machine's. Give a commit, which is timed here: --against main"
        )
    raise InputError(
        f"{path} was measured at another time, and a machine's speed drifts: the gate times both sides now, in turns. "
        "Give the commit that it was measured with: --against main. To look at the run all the "
        "same: lenet-bench compare"
    )


def check_out(ref: str, folder: Path, root: Path | None = None) -> Commit:
    """Unpack the two packages of a commit into a folder; the repository and its work tree are left alone.

    Raises:
        InputError: as `resolve`, or the commit has no such packages.
    """
    sha = resolve(ref, root)
    root = root or ROOT
    answer = _git(root, "archive", "--format=tar", sha, "harness", "backends")
    if answer.returncode:
        raise InputError(f"{ref} ({sha[:10]}) cannot be driven: {answer.stderr.decode(errors='replace').strip()}.")
    with tarfile.open(fileobj=io.BytesIO(answer.stdout)) as archive:
        archive.extractall(folder, filter="data")
    return Commit(ref, sha, folder)


def _git(root: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, timeout=120)
    except (OSError, subprocess.SubprocessError) as error:
        raise InputError(f"--against needs git, which cannot be run here: {error}.") from None


def measure(plan: Plan, commit: Commit, test: SpeedTest, *, results: Path, pythons: dict[str, str]) -> list[Verdict]:
    """Time each backend of the plan in both versions, and judge; a folder `<results>/<backend>` each.

    Args:
        plan: of the gate; its entrants, data set and seed are used.
    """
    verdicts = []
    found = find_interpreters(plan, pythons)
    with Display() as display:
        dataset = load_for_plan(plan, display)
        display.note(f"The present code against {commit.name} ({commit.sha[:10]}), in turns")
        for number, entrant in enumerate(plan.entrants, start=1):
            later = [Piece("duel", f"{each.backend} against a commit") for each in plan.entrants[number:]]
            display.series(f"{entrant.backend} ({number} of {len(plan.entrants)})", later)
            began = time.monotonic()
            with RunFolder.begin(results, entrant.backend) as folder:
                run = Run(
                    quiet.settle(plan_of(entrant, plan, test, commit), display), found, dataset, folder,
                    sources={commit.variant: commit.folder}, notes={"against": commit.sha},
                )  # fmt: skip
                verdicts.append(_duel(run, display, test, against=commit.sha[:10]))
            display.outlook.learn(Piece("duel", f"{entrant.backend} against a commit"), time.monotonic() - began)
    return verdicts


def plan_of(entrant: Entrant, plan: Plan, test: SpeedTest, commit: Commit) -> Plan:
    """Two entrants that differ in nothing but their code.

    Rounds are added until the interval is as wide as the margin: two equal versions then pass nearly always, because
    the low end lies half a margin below 1.
    """
    recipe: Recipe = plan.recipe
    other = replace(entrant, variant=commit.variant)
    pace = {"rounds": test.rounds, "most_rounds": test.rounds} if test.rounds else {
        "rounds": ROUNDS, "most_rounds": MOST_ROUNDS, "precision": test.margin, "budget_s": test.budget_s,
    }  # fmt: skip
    return default_plan(
        [entrant, other], recipe=recipe, base=other.label, data_set=plan.data_set, data_dir=plan.data_dir, seeds=0,
        seed=plan.seed, epochs=0, inference_sizes=(), steady_s=STEADY_S, launch_timeout_s=plan.launch_timeout_s,
        measures_starts=False, **pace,
    )  # fmt: skip


def _duel(run: Run, display: Display, test: SpeedTest, *, against: str) -> Verdict:
    backend = run.plan.entrants[0].backend
    run.announce(display)
    work = Rounds(run, display)
    work.execute()
    if work.failures:
        label, error = next(iter(work.failures.items()))
        words = f"{error}\n{error.log}".strip()
        return Verdict(backend, "speed", NO_RESULT, f"speed not measured: {label} failed", words)
    launches = run.folder.read_counted("launches")
    compared = compare_entrants(launches, base=run.plan.base)
    (ratio,) = (each.ratio for each in compared if each.ratio)
    return under(spoiling(launches), judge(backend, ratio, margin=test.margin, against=against), strict=test.strict)


def under(disturbed: list[str], verdict: Verdict, *, strict: bool) -> Verdict:
    """A verdict with what disturbed its timing, which is no result where that is not taken.

    Args:
        disturbed: `harness.analysis.conditions.spoiling`.
    """
    if not disturbed:
        return verdict
    names = ", ".join(sentence.partition(":")[0] for sentence in disturbed)
    status = NO_RESULT if strict else verdict.status
    text, details = f"{names}: {verdict.text}", " ".join([verdict.details, *disturbed])
    return replace(verdict, status=status, text=text, details=details)


def judge(backend: str, ratio: Interval, *, margin: float, against: str) -> Verdict:
    """A one-sided non-inferiority test of the ratio of speeds, new over old, against 1 - margin.

    Passed where the interval lies above the limit, failed where it lies below: each is wrong in at most 2.5 % of gates,
    as the interval is one of 95 % with equal tails (Schuirmann 1987; ICH E9, section 3.3.2). Under four rounds
    always `cannot tell`.
    """
    limit = 1 - margin
    limits = f"{ratio.low:.3f}..{ratio.high:.3f}" if math.isfinite(ratio.low) else "no interval"
    text = f"speed {ratio.estimate:.3f} times that of {against} ({limits}, limit {limit:.3f})"
    details = f"Training speed, new over old, paired by turn in {ratio.count} round(s), with its {LEVEL:.0%} interval."
    known = ratio.count >= LEAST_ROUNDS and math.isfinite(ratio.low)
    figures = {
        "ratio": ratio.estimate, "ratio_low": ratio.low, "ratio_high": ratio.high, "limit": limit,
        "rounds": ratio.count,
    }  # fmt: skip
    if known and ratio.low > limit:
        return Verdict(backend, "speed", PASSED, text, details, figures=figures)
    if known and ratio.high < limit:
        return Verdict(backend, "speed", FAILED, f"{text}: SLOWER", details, figures=figures)
    words = f"{details} {rounds_more(ratio, limit)}"
    return Verdict(backend, "speed", CANNOT_TELL, text, words, figures=figures)


def rounds_more(ratio: Interval, limit: float) -> str:
    """How many rounds more would tell, if ratio and spread stay as they are: a sentence."""
    if ratio.count < 2 or not math.isfinite(ratio.low):
        return f"{LEAST_ROUNDS} rounds are the least: {LEAST_ROUNDS - ratio.count} more."
    quantile = student((1 + LEVEL) / 2, ratio.count - 1)
    spread = math.log(ratio.high / ratio.low) / 2 / quantile * math.sqrt(ratio.count)
    distance = abs(math.log(ratio.estimate / limit))
    numbers = np.arange(max(ratio.count + 1, LEAST_ROUNDS), MOST_ROUNDS + 1)
    halves = stdtrit(numbers - 1, (1 + LEVEL) / 2) * spread / np.sqrt(numbers)
    enough = numbers[halves < distance]
    if not len(enough):
        return f"More than {MOST_ROUNDS} rounds would be needed: the ratio is too near the limit. Widen --margin."
    more = int(enough[0]) - ratio.count
    return f"About {more} round(s) more would tell, {int(enough[0])} in all (--rounds {int(enough[0])})."
