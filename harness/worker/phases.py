"""What a worker does with its job, phase by phase. Worker side; imported once the process is pinned."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.spec.network import Network
from harness.spec.networks import get_network
from harness.spec.precision import array_dtype
from harness.spec.recipe import Recipe
from harness.spec.start import Weights, weights_digest
from harness.worker import (
    asynchrony,
    catalogue,
    controls,
    dropout,
    epochs,
    facts,
    inference,
    memory,
    peak,
    smoke,
    steady,
    trials,
    versions,
)
from harness.worker.batches import Data, batches_digest
from harness.worker.experiment import WARM_UP, Source
from harness.worker.handicap import Slowed
from harness.worker.job import Entrant, Job
from harness.worker.making import make
from harness.worker.packages import packages_digest
from harness.worker.quantities import write_quantities
from harness.worker.steady import Row
from harness.worker.stopwatch import timed

if TYPE_CHECKING:
    from harness.worker.crew import Crew

Tell = Callable[..., None]
TakeTurn = Callable[[], int | None]


def run(job: Job, tell: Tell, take_turn: TakeTurn) -> None:
    """Do what the job's kind says; the last thing told is the result.

    Args:
        take_turn: waits until it is this launch's turn to be timed; the turn's seed (`harness.worker.experiment.told`),
            or None where there are no more turns.

    Raises:
        Exception: whatever goes wrong; the caller reports it.
    """
    if job.kind == "peak":
        rate, source = peak.measure(job.entrant.dtype, job.entrant.cpus)
        tell("result", peak_gflops=rate, peak_source=source)
        return
    # Before anybody adds to it: setuptools, which torch.compile imports, has packages of its own within, and those are
    # nothing that was installed.
    path = tuple(sys.path)
    network = get_network(job.entrant.network)
    weights = _load(job.weights)
    # Formulas are proven on batches of the host's; the entrant's own feed has its trial.
    feed = "host" if job.kind in ("verify", "smoke") else job.entrant.feed
    built = replace(job, entrant=replace(job.entrant, feed=feed))
    factory, row = _import(job, tell)
    backend = _build(built, network.keeping_all() if job.kind == "verify" else network, weights, tell, factory, row)
    if job.kind == "smoke":
        smoke.one_step(backend, network, job.entrant.dtype)
        tell("result", **row)
        return
    if job.kind == "verify":
        _verify(job, backend, network, weights, tell, factory)
        row["packages_sha256"] = packages_digest(path)[0]
    if job.kind in ("verify", "describe"):
        tell("result", **row, **_description(backend, job.entrant))
        return
    data = Data(Path(job.data), input_shape=network.input_shape, dtype=array_dtype(job.entrant.dtype))
    if job.entrant.feed == "device":
        _make_resident(backend, data)
    if job.kind == "measure":
        row = _measure(job, backend, data, row, tell, take_turn)
    tell("phase", name="digests")
    row["peak_rss_bytes"] = factory.crew.peak_rss_bytes() if factory.crew else memory.peak_rss_bytes()
    row["device_memory_bytes"], row["device_memory_source"] = backend.memory()
    row |= _description(backend, job.entrant)
    row |= _digests(job, backend, data, weights)
    if job.epochs:
        row |= epochs.train_epochs(job, backend, data, weights, tell)
    row["packages_sha256"], packages = packages_digest(path)
    tell("result", **row, packages=packages)


def _load(path: str) -> Weights:
    """Canonical weights from a file, in their order there."""
    with np.load(path, allow_pickle=False) as archive:
        return dict(archive)


def _verify(job: Job, backend: Any, network: Network, weights: Weights, tell: Tell, factory: Factory) -> None:
    whole = job.entrant.mode in catalogue.blockwise(job.entrant.backend)
    recipe = Recipe(**job.recipe)  # type: ignore[arg-type]
    keep = dropout.keep_of(network)
    more: dict[str, np.ndarray] = {}
    if keep is not None:
        more = dropout.measure(
            lambda network, recipe: factory.build(replace(job.entrant, feed="host"), network, recipe),
            keep=keep,
            dtype=job.entrant.dtype,
        )
    if job.trials:
        tell("phase", name="trials")
        own = backend
        if job.entrant.feed == "device":
            own = factory.build(job.entrant, network.keeping_all(), recipe)
            own.load_weights(weights)
        more |= trials.run(own, Path(job.trials), feed=job.entrant.feed)
    write_quantities(
        backend, weights, source=Path(job.data), target=Path(job.output), learning_rate=recipe.learning_rate,
        least_steps=catalogue.steps_of(job.entrant) if whole else asynchrony.LEAST_STEPS, more=more,
        begin=lambda name: tell("phase", name=name),
    )  # fmt: skip


@dataclass(frozen=True)
class Factory:
    """Makes the backends of a launch.

    Attributes:
        backend_class: of the framework, which is imported.
        crew: the processes that are replicas; None where there are none.
    """

    backend_class: Any
    crew: Crew | None

    def build(self, entrant: Entrant, network: Network, recipe: Recipe) -> Any:
        """One backend, without weights."""
        if self.crew is None:
            return make(self.backend_class, entrant, network, recipe)
        return self.crew.build(self.backend_class, entrant, network, recipe)


def _import(job: Job, tell: Tell) -> tuple[Factory, Row]:
    """Import the framework, here and in the processes that are replicas."""
    entrant = job.entrant
    crew = _start_crew(job) if facts.has_processes(entrant.backend, entrant.replicas) else None
    tell("phase", name="import")
    start = time.perf_counter()
    backend_class = catalogue.backend_class(entrant.backend, parallel=entrant.replicas > 1)
    row: Row = {"import_s": time.perf_counter() - start, "rss_import_bytes": memory.rss_bytes()}
    return Factory(backend_class, crew), row


def _start_crew(job: Job) -> Crew:
    # What it imports is in no other launch.
    from harness.worker.crew import Crew

    return Crew(job)


def _build(job: Job, network: Network, weights: Weights, tell: Tell, factory: Factory, row: Row) -> Any:
    """The backend with its weights; how long that took is added to the row."""
    entrant = job.entrant
    if entrant.device != "cpu":
        # Asking is not free: it starts the framework's device runtime, which on a CPU belongs to building.
        _check_device(entrant, factory.backend_class)
    tell("phase", name="build")
    start = time.perf_counter()
    backend = factory.build(entrant, network, Recipe(**job.recipe))  # type: ignore[arg-type]
    backend.load_weights(weights)
    backend.synchronize()
    row["build_s"] = time.perf_counter() - start
    return Slowed(backend, entrant.slowdown) if entrant.slowdown else backend


def _check_device(entrant: Entrant, backend_class: Any) -> None:
    """Refuse a device that the framework cannot use here, in the framework's own words."""
    try:
        backend_class.try_device(entrant.device)
    except Exception as error:
        words = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
        raise RuntimeError(
            f"--device {entrant.device}: {entrant.backend} cannot use one here. It can use: "
            f"{', '.join(backend_class.devices())}. It says: {words}"
        ) from None


def _make_resident(backend: Any, data: Data) -> None:
    images, labels = data.train_batch(np.arange(len(data.train_labels)))
    backend.use_dataset(backend.put(images=images, labels=labels))
    backend.synchronize()


def _measure(job: Job, backend: Any, data: Data, row: Row, tell: Tell, take_turn: TakeTurn) -> Row:
    """Columns of what is timed; `row` has those of import and build."""
    # Whoever shows this does so while the batch is gathered, and not beside the step.
    tell("phase", name="first step")
    source = Source(job, data, [_load(path) for path in job.starts or (job.weights,)])
    first_batch = source.take(WARM_UP, 1)
    first_step = timed(backend.train_steps, first_batch, synchronize=backend.synchronize)
    tell("phase", name="train")
    row = row | {"first_step_s": first_step} | steady.training(job, backend, source, tell, take_turn)
    images, batch_size = len(data.train_labels), job.entrant.batch_size
    row |= steady.cold_start(row, images=images, batch_size=batch_size)
    if job.inference_sizes:
        tell("phase", name="infer")
        step_s = inference.step_s(job, backend, source, of_block_s=row["step_us_median"] / 1e6)
        swept = inference.throughput(job, backend, data, source, step_s=step_s)
        queried = inference.latency(job, backend, data, source, step_s=step_s)
        row |= swept | queried | {name: swept[name] + queried[name] for name in ("spare", "looked")}
    return row


def _description(backend: Any, entrant: Entrant) -> Row:
    """What the backend says of itself, once its threads are known to be those that were asked for."""
    description = backend.describe()
    controls.check_threads(entrant.threads, description["threads"], entrant.backend)
    # A build that is no release says so of itself seldom.
    description = description | {
        "version": versions.with_commit(description["version"], catalogue.commit_of(entrant.backend))
    }
    known = {"version": "framework_version", "threads": "threads_found"}
    crew = getattr(backend, "crew", None)
    found = controls.found(cpu for each in crew.cpus for cpu in each) if crew else controls.found()
    return {known.get(key, key): value for key, value in description.items()} | found


def _digests(job: Job, backend: Any, data: Data, weights: Weights) -> Row:
    """Digests of what the backend holds and receives, not of what it was sent.

    Raises:
        RuntimeError: the two are not the same.
    """
    backend.load_weights(weights)
    held = weights_digest({name: np.asarray(value, np.float32) for name, value in backend.dump_weights().items()})
    if held != weights_digest(weights):
        raise RuntimeError("The weights that the backend gave back are not those it was given. Look at weights.py.")
    size, feed = job.entrant.batch_size, job.entrant.feed
    batches, count = batches_digest(backend, data, seed=job.seed, batch_size=size, feed=feed, audit=job.audit_batches)
    return {"weights_sha256": held, "batches_sha256": batches, "batches_read_back": count}
