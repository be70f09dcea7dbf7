"""`python two_replicas.py BACKEND MODE FEED DTYPE BATCHES OUTPUT`: steps that two replicas take together, as .npz.

A program of its own: devices are made up before a framework looks for any, and processes have this one's end.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np

from harness.spec.networks import get_network
from harness.spec.recipes import LENET5
from harness.spec.start import initial_weights
from harness.worker import catalogue, facts
from harness.worker.crew import Crew
from harness.worker.job import Entrant, Job
from harness.worker.phases import Factory


def main() -> None:
    """Build, train batch by batch, and write losses, weights, and what is asked of one batch more."""
    name, mode, feed, dtype, source, target = sys.argv[1:]
    os.chdir(Path(target).parent)
    network = get_network("lenet5")
    entrant = Entrant(
        backend=name, network="lenet5", mode=mode, feed=feed, device="cpu", dtype=dtype, threads=1, batch_size=64,
        environment="controlled", replicas=2,
    )  # fmt: skip
    job = Job(kind="measure", entrant=entrant, recipe=LENET5.as_dict(), seed=0, data="", weights="")
    crew = Crew(job) if facts.has_processes(name, 2) else None
    backend = Factory(catalogue.backend_class(name, parallel=True), crew).build(entrant, network, LENET5)
    backend.load_weights(initial_weights(network, seed=3))
    with np.load(source) as batches:
        images, labels, indices = batches["images"].astype(dtype), batches["labels"], np.split(batches["indices"], 3)
    indices[1] = indices[1][:41]
    if feed == "device":
        backend.use_dataset(backend.put(images=images, labels=labels))
    losses = []
    for rate, index in zip((0.1, 0.1, 0.01), indices, strict=True):
        backend.set_learning_rate(rate)
        asked = index[None] if feed == "device" else [(images[index], labels[index])]
        losses.append(np.ravel(backend.to_numpy(backend.train_steps(asked))))
    backend.synchronize()
    back = backend.read_back(indices[1] if feed == "device" else (images[indices[1]], labels[indices[1]]))
    one = backend.put(images=images[:9], labels=labels[:9])
    gradients = {f"gradient of {key}": value for key, value in backend.gradients(one).items()}
    found = {"losses": np.concatenate(losses), "loss": np.ravel(backend.to_numpy(backend.loss(one)))}
    found |= {"logits": backend.to_numpy(backend.logits(one[0])), "images": back[0], "labels": back[1]}
    np.savez(target, **found, **gradients, **backend.dump_weights())
    sys.stdout.flush()
    # As a worker ends; its replicas with it.
    os._exit(0)


if __name__ == "__main__":
    main()
