"""Trying attacks through the front door: `lenet-bench verify` for mistakes, `lenet-bench run` for cheats.

Each is a mode of an outside backend, `torch_mistakes` or `torch_cheats`, whose interpreter is the framework's.
"""

from __future__ import annotations

import json
import math
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import pandas as pd

from harness.runs import interpreters
from harness.worker import catalogue

ROOT = Path(__file__).parents[2]
BACKENDS = Path(__file__).parent / "backends"
# They become importable here; who imports this need not have them for backends.
_before = os.environ.get(catalogue.EXTRA)
os.environ[catalogue.EXTRA] = str(BACKENDS)
catalogue.names()
os.environ.pop(catalogue.EXTRA)
if _before is not None:
    os.environ[catalogue.EXTRA] = _before

from backends.attack_kit.attack import EVERYWHERE, Attack  # noqa: E402
from backends.attack_kit.cheats import CHEATS  # noqa: E402
from backends.attack_kit.mistakes import MISTAKES  # noqa: E402

KINDS: dict[str, dict[str, Attack]] = {"mistakes": MISTAKES, "cheats": CHEATS}
# A launch of a cheat: as short as shows it. One that does nothing in no time may have to be ended.
RUN = ("--rounds", "1", "--epochs", "0", "--steady-s", "0.5", "--inference-sizes", "none", "--launch-timeout", "180")
# Modes of one command: the problem is posed once for all of them, and a failure of the command is lost on few.
TOGETHER = 40
UNKNOWN, NEEDS_CPUS = "no answer", "needs two CPUs"

# What a launch fails with where an attack is badly written, which is no merit of who refuses it.
BROKEN = re.compile(r"^(verify: )?(Type|Attribute|Name|Key|Index|Import|ModuleNotFound|UnboundLocal)Error")


@dataclass(frozen=True)
class Trial:
    """What came of one attack on one framework.

    Attributes:
        refused: whether it was; None where the command gave no answer.
        by: the first quantity that was off, or what the launch failed with.
    """

    kind: str
    name: str
    framework: str
    refused: bool | None
    by: str

    @property
    def attack(self) -> Attack:
        """What was tried."""
        return KINDS[self.kind][self.name]

    @property
    def as_expected(self) -> bool:
        """What may pass may be refused all the same; what cannot be tried here is nobody's fault."""
        return (
            self.by == NEEDS_CPUS or bool(self.refused) or (self.refused is False and self.attack.expected == "passes")
        )


class Trying:
    """Tries attacks, in an environment that has them."""

    def __init__(self, folder: Path, *, data_set: str = "", verified: bool = True, echo: bool = False) -> None:
        """Begin.

        Args:
            folder: for results, and for the map of interpreters.
            data_set: empty for MNIST.
            verified: whether cheats are verified before they are timed.
            echo: whether to print what the commands say.
        """
        self._folder, self._echo = folder, echo
        self._unverified = [] if verified else ["--unverified"]
        self._more = ["--data-set", data_set] if data_set else []
        known = interpreters.read_map()
        ours = {f"{name}_{kind}": known.get(name, sys.executable) for name in EVERYWHERE for kind in KINDS}
        (folder / "interpreters.json").write_text(json.dumps(known | ours))
        self._environment = os.environ | {
            "LENET_BENCH_INTERPRETERS": str(folder / "interpreters.json"), catalogue.EXTRA: str(BACKENDS),
            "PYTHONPATH": str(ROOT), "COLUMNS": "400",
        }  # fmt: skip

    def each(self, kind: str, framework: str, names: list[str]) -> Iterator[Trial]:
        """Try these, those of one problem together."""
        attacks = KINDS[kind]
        names = sorted(names, key=lambda name: (attacks[name].door, attacks[name].options))
        for (door, options), group in groupby(names, key=lambda name: (attacks[name].door, attacks[name].options)):
            together = list(group)
            if door == "run":
                for name in together:
                    yield self._run(kind, framework, name, options)
                continue
            for start in range(0, len(together), TOGETHER):
                yield from self._verify(kind, framework, together[start : start + TOGETHER], options)

    def _verify(self, kind: str, framework: str, names: list[str], options: tuple[str, ...]) -> Iterator[Trial]:
        backend = f"{framework}_{kind}"
        with tempfile.TemporaryDirectory(dir=self._folder) as results:
            said = self._command("verify", "-b", backend, "--mode", ",".join(names), *options, results=results)
            tables = list(Path(results).glob("*/verification.csv"))
            rows = pd.read_csv(tables[0]) if tables else pd.DataFrame(columns=["mode", "quantity", "passed"])
        for name in names:
            mine = rows[rows["mode"] == name]
            failed = mine[~mine["passed"].astype(bool)]
            if not len(mine):
                yield Trial(kind, name, framework, None, f"{UNKNOWN}: {_last_line(said)}")
            elif not len(failed):
                yield Trial(kind, name, framework, False, f"worst share {_worst(mine):.2f}")
            elif failed["quantity"].iloc[0] == "launch":
                yield _failed(kind, name, framework, _sentence(said, f"{backend} {name}: "))
            else:
                yield Trial(kind, name, framework, True, str(failed["quantity"].iloc[0]))

    def _run(self, kind: str, framework: str, name: str, options: tuple[str, ...]) -> Trial:
        backend = f"{framework}_{kind}"
        with tempfile.TemporaryDirectory(dir=self._folder) as results:
            more = self._unverified if kind == "cheats" else []
            said = self._command("run", "-b", backend, "--mode", name, *RUN, *options, *more, results=results)
            tables = list(Path(results).glob("*/launches.csv"))
            rows: Any = pd.read_csv(tables[0]).to_dict("records") if tables else []
        if "has not passed verification" in said:
            return _failed(kind, name, framework, "verify: " + _sentence(said, f"{backend} {name}: "))
        if "asks for more CPUs" in said:
            return Trial(kind, name, framework, None, NEEDS_CPUS)
        if not rows:
            return Trial(kind, name, framework, None, f"{UNKNOWN}: {_last_line(said)}")
        failed = [row for row in rows if row["status"] == "failed"]
        if failed:
            return _failed(kind, name, framework, str(failed[0]["error"])[:160])
        return Trial(kind, name, framework, False, f"{rows[0]['train_images_per_s']:,.0f} images/s")

    def _command(self, *arguments: str, results: str) -> str:
        """What the command said, on both streams."""
        command = [sys.executable, "-m", "harness", *arguments, *self._more, "--results-dir", results]
        ended = subprocess.run(command, env=self._environment, cwd=ROOT, capture_output=True, text=True)
        said = ended.stderr + "\n" + ended.stdout
        if self._echo:
            print(said, file=sys.stderr)
        return said


def _failed(kind: str, name: str, framework: str, words: str) -> Trial:
    """A launch that failed: refused, unless the attack itself does not work."""
    broken = BROKEN.search(words) and not KINDS[kind][name].crashes
    return Trial(kind, name, framework, None if broken else True, words)


def _worst(rows: pd.DataFrame) -> float:
    shares = rows["error"] / rows["tolerance"]
    return float(shares[rows["tolerance"] > 0].max()) if len(rows) else math.nan


def _sentence(said: str, start: str) -> str:
    """The first sentence that was said of an entrant."""
    found = [line.partition(start)[2] for line in said.splitlines() if start in line]
    return (found[0] if found else _last_line(said))[:160]


def _last_line(said: str) -> str:
    lines = [line for line in said.splitlines() if line.strip()]
    return lines[-1].strip()[:160] if lines else "it said nothing"
