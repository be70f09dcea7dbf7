"""What a worker is told, as JSON, and what it answers, as JSON lines. Standard library only."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

# One block is what one timed call trains: long enough for the clock and for two synchronisations not to count.
BLOCK_STEPS = 20
EVALUATION_BATCH = 500
LATENCY_QUERIES = 1024


@dataclass(frozen=True)
class Entrant:
    """A backend with everything that can change its speed, but for the version that is found installed.

    Attributes:
        threads: 0 means the framework's own default (`--environment native`).
        environment: `controlled` or `native`.
    """

    backend: str
    network: str
    mode: str
    feed: str
    device: str
    dtype: str
    threads: int
    batch_size: int
    environment: str

    @property
    def label(self) -> str:
        """Short name for progress lines."""
        return f"{self.backend} {self.mode}"


@dataclass(frozen=True)
class Job:
    """One launch.

    Attributes:
        kind: `measure` (time, then train `epochs`), `train` (only train) or `verify`.
        recipe: fields of `harness.recipe.Recipe`.
        data: folder with train_images.npy (uint8 (n, c, h, w)), train_labels.npy and the same for test.
        weights: the canonical initial weights, .npz.
        output: where a `verify` job writes its quantities, .npz; `data` is then the .npz of its batches.
        asked: controls the worker must find: `environment` (variables) and `cpus`.
        steady_s: how long steady training is timed, at least.
        warmup_limit_s: where the search for steadiness gives up.
    """

    kind: str
    entrant: Entrant
    recipe: dict[str, object]
    seed: int
    data: str
    weights: str
    epochs: int = 0
    output: str = ""
    asked: dict[str, object] = field(default_factory=dict)
    steady_s: float = 2.0
    warmup_limit_s: float = 8.0

    def write(self, path: Path) -> None:
        """Write as JSON."""
        path.write_text(json.dumps(asdict(self), indent=1), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Job:
        """Read what `write` wrote."""
        values = json.loads(path.read_text(encoding="utf-8"))
        return cls(**(values | {"entrant": Entrant(**values["entrant"])}))
