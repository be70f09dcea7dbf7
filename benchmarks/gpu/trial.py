"""What a stage is given, and what it leaves: notes, tables and values, on disk after every one of them."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
# Both frameworks have GPU wheels for the newest cards; the others come later.
FRAMEWORKS = ("torch", "jax")
# How many CPUs a probe pins itself to, as a launch is pinned.
THREADS = "LENET_BENCH_TRIAL_THREADS"
Cell = str | float | int | None


@dataclass
class Trial:
    """One stage under way.

    Attributes:
        out: folder of the whole trial, of which `folder` is this stage's.
        stage: its name.
        device: `gpu`, or `cpu` for a rehearsal, whose numbers are smaller.
        seconds: that the stage may take; it is killed afterwards.
        threads: CPUs that each launch is pinned to.
        began: time.monotonic() at its beginning.
    """

    out: Path
    stage: str
    device: str
    seconds: float
    threads: int = 1
    began: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._left: dict[str, Any] = {"notes": [], "problems": [], "tables": [], "values": {}}
        self._write()

    @property
    def folder(self) -> Path:
        """Where this stage leaves what it has."""
        return self.out / self.stage

    @property
    def rehearsal(self) -> bool:
        """Whether this is no GPU: numbers are small, and figures of a card are made up."""
        return self.device == "cpu"

    def left_s(self, *, keep: float = 2.0) -> float:
        """Seconds that are left, less those to end in; at least 0."""
        return max(0.0, self.began + self.seconds - time.monotonic() - keep)

    def note(self, sentence: str) -> None:
        """Add a line for people."""
        print(sentence, flush=True)
        self._left["notes"].append(sentence)
        self._write()

    def problem(self, sentence: str) -> None:
        """Add a line on something that is not as it should be; the stage goes on, and the trial fails."""
        print(f"PROBLEM: {sentence}", flush=True)
        self._left["problems"].append(sentence)
        self._write()

    def table(self, title: str, header: Sequence[str], rows: Sequence[Sequence[Cell]]) -> None:
        """Add a table, or put it in the place of one with this title."""
        table = {"title": title, "header": list(header), "rows": [list(row) for row in rows]}
        tables = self._left["tables"]
        places = [number for number, each in enumerate(tables) if each["title"] == title]
        tables[places[0] if places else len(tables) :] = [table, *tables[places[0] + 1 :]] if places else [table]
        self._write()

    def record(self, name: str, value: Any) -> None:
        """Keep a value for programs; anything that JSON has."""
        self._left["values"][name] = value
        self._write()

    def _write(self) -> None:
        write_json(self.folder / "stage.json", self._left)


def write_json(path: Path, value: Any) -> None:
    """Write JSON so that a reader finds the old file or the new one, never a part."""
    beside = path.with_suffix(".part")
    beside.write_text(json.dumps(value, indent=1, default=str) + "\n", encoding="utf-8")
    beside.replace(path)


def read_json(path: Path) -> dict[str, Any]:
    """What `write_json` wrote; empty where there is nothing yet."""
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found


def of_stage(out: Path, stage: str) -> dict[str, Any]:
    """The values that another stage recorded; empty where it has not."""
    values: dict[str, Any] = read_json(out / stage / "stage.json").get("values", {})
    return values


def usual_threads(device: str) -> int:
    """CPUs for each launch: XLA compiles its candidates for a GPU on as many as it has, one takes minutes."""
    return min(8, max(1, len(os.sched_getaffinity(0)) // 2)) if device == "gpu" else 1


def keeping_compiled(out: Path) -> dict[str, str]:
    """Variables with which JAX keeps what it has compiled: for processes whose start is not timed."""
    return {"JAX_ENABLE_COMPILATION_CACHE": "true", "JAX_COMPILATION_CACHE_DIR": str(out / "cache" / "jax")}


def of_probe(out: Path) -> dict[str, str]:
    """Variables of a process that is no launch of the harness, but has the precision and memory of one."""
    return keeping_compiled(out) | {"XLA_PYTHON_CLIENT_PREALLOCATE": "false", "NVIDIA_TF32_OVERRIDE": "0"}


def environment(out: Path) -> dict[str, str]:
    """This process's variables, with a cache and certificates of the trial's own, and nothing from the web."""
    return os.environ | {
        "LENET_BENCH_CACHE": str(out / "cache"),
        "LENET_BENCH_OFFLINE": "1",
        "PYTHONUNBUFFERED": "1",
        "COLUMNS": "150",
    }
