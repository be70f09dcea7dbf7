"""What a worker is told, as JSON, and what it answers, as JSON lines. Standard library only."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from numbers import Integral
from pathlib import Path
from typing import Any

EVALUATION_BATCH = 500
LATENCY_QUERIES = 1024
INFERENCE_SIZES = (1, 8, 64, EVALUATION_BATCH)
# In a job's `output`: some answers that an accuracy was made of.
EVALUATION_FILE = "evaluation.npz"
# What a worker is told while it waits for its turn, and how long that is with the turn's seed behind it.
TURN, NO_MORE_TURNS = b"t", b"n"
SEED_BYTES = 8
WORD_BYTES = len(TURN) + SEED_BYTES


def block_steps(batch_size: int, *, most: int = 8) -> int:
    """Steps of a block, which one timed call trains, up to batch 128; fewer of larger batches, and 4 at the least.

    Args:
        most: 8 on a CPU: the clock and two synchronisations are nothing beside so many, and a turn that is short leaves
            time for more of them (docs/noise.md). LONG_BLOCK elsewhere.
    """
    return max(4, min(most, 128 * most // batch_size))


# On a GPU a step is over in a fraction of a millisecond, and of a mode that compiles blocks a short one is another
# program.
LONG_BLOCK = 20


# What an entrant's label does not say, because it is what most entrants have; and how it says the rest.
USUAL = {
    "network": "lenet5", "threads": 1, "batch_size": 64, "feed": "host", "device": "cpu", "dtype": "float32",
    "environment": "controlled", "replicas": 1,
}  # fmt: skip
FORMS = {"threads": "{}t", "batch_size": "b{}", "replicas": "{}r"}


def label_of(fields: Mapping[str, Any]) -> str:
    """Name of the entrant with these fields: backend and mode, then whatever is not as usual, then its variant.

    `torch eager`, `torch eager 2t b256 device`. Fields that are empty, also as pandas has it, are left out.
    """
    fields = {name: value if isinstance(value, Integral | str) else None for name, value in fields.items()}
    unusual = [
        FORMS.get(name, "{}").format(fields[name])
        for name, usual in USUAL.items()
        if fields[name] not in (usual, None, 0)
    ]
    return " ".join(str(part) for part in (fields["backend"], fields["mode"], *unusual, fields["variant"]) if part)


def installation(backend: str, version: str = "") -> str:
    """Name of an environment, as the map of interpreters has it."""
    return f"{backend}=={version}" if version else backend


@dataclass(frozen=True)
class Entrant:
    """A backend with everything that can change its speed, but for the version that is found installed.

    Attributes:
        threads: 0 means the framework's own default (`--environment native`).
        environment: `controlled` or `native`.
        variant: tells two otherwise equal entrants apart: the self-test's, and versions that were asked for.
        slowdown: share by which every timed step is made slower on purpose, 0.03 for 3 % (self-test).
        version: of the framework, where one was asked for; empty for whichever is installed.
        replicas: copies of the model that share out each batch, `batch_size` images together; threads are each one's.
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
    variant: str = ""
    slowdown: float = 0.0
    version: str = ""
    replicas: int = 1

    @property
    def installation(self) -> str:
        """Which environment it runs in: `jax`, or `jax==0.10.1` where a version was asked for."""
        return installation(self.backend, self.version)

    @property
    def cpus(self) -> int:
        """How many CPUs it computes on; 0 where nobody says."""
        return self.threads * self.replicas

    @property
    def label(self) -> str:
        """Short name for progress lines, and what `--base` takes."""
        return label_of(asdict(self))


def _unusual(made: Entrant | Job) -> dict[str, Any]:
    """The fields that are not at their defaults."""
    usual = {each.name: each.default for each in fields(made)}
    return {name: value for name, value in asdict(made).items() if usual[name] is MISSING or usual[name] != value}


@dataclass(frozen=True)
class Job:
    """One launch.

    Attributes:
        kind: `measure` (time, then train `epochs`), `train` (only train), `verify`, `smoke` (only take one step),
            `describe` (only say what the backend says of itself) or `peak` (only measure that of the machine).
        recipe: fields of `harness.spec.recipe.Recipe`.
        data: folder with train_images.npy (uint8 (n, c, h, w)), train_labels.npy and the same for test.
        weights: the canonical initial weights, .npz.
        output: where a `verify` job writes its quantities, .npz; `data` is then the .npz of its batches. Where a
            `measure` or `train` job writes what it is audited by, a folder; empty for nowhere.
        trials: the archive of a `verify` job's trials (`harness.worker.trials`), .npz.
        asked: controls the worker must find: `environment` (variables) and `cpus`.
        steady_s: how long steady training is timed, at least.
        turns: in so many turns at the most, of which each waits for the harness's word; 0 for all at once.
        turn_seed: what the starts and the batches of turns follow from (`harness.worker.experiment`); 0 for nothing.
            The harness keeps it: it is not in the file, and launches hear of each turn when that begins.
        starts: canonical weights that turns start from, .npz; none for the initial weights alone.
        warmup_limit_s: where the search for steadiness gives up.
        inference_sizes: batch sizes of the inference sweep; none also leaves out the latency.
        until: test accuracy (0..1) at which training ends before `epochs` are over; 0 for never.
        train_accuracy: whether epochs tell the accuracy on the training images, each before the step that it is
            trained on in; the steps are then timed one by one.
        audit_batches: whether all batches of an epoch are read back from the device, not a sample.
    """

    kind: str
    entrant: Entrant
    recipe: dict[str, object]
    seed: int
    data: str
    weights: str
    epochs: int = 0
    output: str = ""
    trials: str = ""
    asked: dict[str, object] = field(default_factory=dict)
    steady_s: float = 2.0
    turns: int = 0
    turn_seed: int = 0
    starts: tuple[str, ...] = ()
    warmup_limit_s: float = 8.0
    inference_sizes: tuple[int, ...] = INFERENCE_SIZES
    until: float = 0.0
    train_accuracy: bool = False
    audit_batches: bool = False

    def write(self, path: Path) -> None:
        """Write as JSON, without what is as by default: workers of an older commit (`gate --speed`) do not know all."""
        values = _unusual(self) | {"entrant": _unusual(self.entrant), "inference_sizes": self.inference_sizes}
        values.pop("turn_seed", None)
        path.write_text(json.dumps(values, indent=1), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Job:
        """Read what `write` wrote; without `turn_seed`."""
        values = json.loads(path.read_text(encoding="utf-8"))
        lists = {name: tuple(values[name]) for name in ("inference_sizes", "starts") if name in values}
        return cls(**(values | lists | {"entrant": Entrant(**values["entrant"])}))
