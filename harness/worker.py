"""One launch: `python -m harness.worker JOB FD` builds, warms up, is timed, trains, answers on FD, exits.

Imports NumPy, psutil, threadpoolctl, the backend and its framework, and nothing else, so that nothing else
is in the process that is timed. What a framework prints goes to the launch's log.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness import controls
from harness.job import Job

Tell = Callable[..., None]


def main() -> int:
    """Run the job in argv[1], answering in JSON lines on the file descriptor argv[2]."""
    job = Job.read(Path(sys.argv[1]))
    descriptor = int(sys.argv[2])
    os.set_inheritable(descriptor, False)
    _die_with_parent()
    tell = _teller(descriptor)
    cpus = job.asked.get("cpus")
    if cpus:
        # Before NumPy and the framework are imported: they size their thread pools by what they see then.
        os.sched_setaffinity(0, cpus)  # type: ignore[arg-type]
    try:
        controls.check_found(job.asked)
        _run(job, tell)
    except MemoryError as error:
        tell("failed", message=f"Out of memory: {error}")
    except Exception as error:
        traceback.print_exc()
        tell("failed", message=f"{type(error).__name__}: {error}")
    # Some frameworks crash while their threads are torn down; all has been said by now.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _run(job: Job, tell: Tell) -> None:
    import numpy as np

    from harness import catalogue, measure, training
    from harness.batches import Data, batches_digest
    from harness.network import get_network
    from harness.packages import packages_digest
    from harness.recipe import Recipe
    from harness.start import weights_digest

    entrant = job.entrant
    network = get_network(entrant.network)
    with np.load(job.weights, allow_pickle=False) as archive:
        weights = {name: archive[name] for name in network.parameter_shapes()}
    tell("phase", name="import")
    start = time.perf_counter()
    backend_class = catalogue.backend_class(entrant.backend)
    row: dict[str, Any] = {"import_s": time.perf_counter() - start}
    _check_device(entrant.device, backend_class.devices(), entrant.backend)

    tell("phase", name="build")
    start = time.perf_counter()
    backend = backend_class(
        network=network,
        recipe=Recipe(**job.recipe),  # type: ignore[arg-type]
        **{key: getattr(entrant, key) for key in ("mode", "feed", "device", "dtype", "threads")},
    )
    backend.load_weights(weights)
    backend.synchronize()
    row["build_s"] = time.perf_counter() - start
    if job.kind == "verify":
        from harness.quantities import write_quantities

        write_quantities(backend, weights, source=Path(job.data), target=Path(job.output))
        tell("result", **row, **_description(backend.describe()))
        return

    data = Data(Path(job.data), input_shape=network.input_shape, dtype=entrant.dtype)
    if entrant.feed == "device":
        images, labels = data.train_batch(np.arange(len(data.train_labels)))
        backend.use_dataset(backend.put(images=images, labels=labels))
        del images, labels
        backend.synchronize()
    if job.kind == "measure":
        source = measure.blocks(job, data)
        tell("phase", name="first step")
        row["first_step_s"] = measure.timed(backend.train_steps, next(source)[:1], synchronize=backend.synchronize)
        tell("phase", name="train")
        row |= measure.training(job, backend, source)
        tell("phase", name="infer")
        row |= measure.inference(backend, data)
        row |= measure.latency(backend, data)
    row["peak_rss_bytes"] = measure.peak_rss_bytes()
    row["device_memory_bytes"], row["device_memory_source"] = backend.memory()
    description = backend.describe()
    controls.check_threads(entrant.threads, description["threads"], entrant.backend)
    row |= _description(description)
    row["weights_sha256"] = _check_weights(backend, weights, weights_digest)
    row["batches_sha256"] = batches_digest(
        backend, data, seed=job.seed, batch_size=entrant.batch_size, feed=entrant.feed
    )
    if job.epochs:
        row |= training.train_epochs(job, backend, data, weights, tell)
    row["packages_sha256"], packages = packages_digest()
    tell("result", **row, packages=packages)


def _check_weights(backend: Any, weights: dict[str, Any], digest: Callable[[dict[str, Any]], str]) -> str:
    """Load once more and read back: the digest is of what the backend holds, not of what it was sent."""
    import numpy as np

    backend.load_weights(weights)
    held = digest({name: np.asarray(value, np.float32) for name, value in backend.dump_weights().items()})
    if held != digest(weights):
        raise RuntimeError("The weights that the backend gave back are not those it was given. Look at weights.py.")
    return held


def _check_device(device: str, available: list[str], backend: str) -> None:
    if device not in available:
        raise RuntimeError(
            f"--device {device}: {backend} sees no such device here. It can use: {', '.join(available)}."
        )


def _description(description: dict[str, str]) -> dict[str, str]:
    known = {"version": "framework_version", "threads": "threads_found"}
    return {known.get(key, key): value for key, value in description.items()}


def _teller(descriptor: int) -> Tell:
    def tell(event: str, **values: Any) -> None:
        os.write(descriptor, (json.dumps({"event": event, **values}, default=float) + "\n").encode())

    return tell


def _die_with_parent() -> None:
    """Ask Linux to kill this process when the harness dies, however it dies (prctl(2), PR_SET_PDEATHSIG = 1)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)


if __name__ == "__main__":
    main()
