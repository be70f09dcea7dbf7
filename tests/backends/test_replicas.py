"""Two replicas take the steps of one: losses, weights, gradients, held against the reference at the whole batch."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from backends.numpy.backend import Backend as Reference
from harness.spec.networks import get_network
from harness.spec.recipes import LENET5
from harness.spec.start import initial_weights
from harness.worker import catalogue

PROGRAM = Path(__file__).with_name("two_replicas.py")
LENET = get_network("lenet5")
# Rounding gives 1e-16 and 1e-7, as in test_conformance.py.
TOLERANCES = {"float64": 1e-12, "float32": 1e-5}


@pytest.mark.parametrize("feed", ["host", "device"])
def test_two_replicas_take_the_steps_of_one(
    backend_name: str, facts, cpus: set[int], feed: str, tmp_path: Path
) -> None:
    """Three steps of 64, 41 and 64 images with two learning rates, in the first mode that has replicas; then, of 9
    images, gradients, loss and logits; and what arrived of a batch."""
    modes = list(catalogue.replicas(backend_name))
    if not modes:
        pytest.skip(f"{backend_name} has no replicas")
    if len(cpus) < 2:
        pytest.skip("two replicas on one CPU take ten times as long; nox tests them by themselves")
    dtype = "float64" if "float64" in facts.DTYPES else "float32"
    random = np.random.default_rng(7)
    images = random.random((300, *LENET.input_shape), dtype=np.float32).astype(dtype)
    labels, indices = random.integers(0, 10, 300).astype(np.int32), random.permutation(300)[:192]
    np.savez(tmp_path / "batches.npz", images=images, labels=labels, indices=indices)
    target = tmp_path / "found.npz"
    words = [backend_name, modes[0], feed, dtype, tmp_path / "batches.npz", target]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "LENET_BENCH_LAUNCH": ""}
    ended = subprocess.run(
        [sys.executable, str(PROGRAM), *map(str, words)], env=environment, capture_output=True, text=True, timeout=120,
        preexec_fn=lambda: os.sched_setaffinity(0, cpus),
    )  # fmt: skip
    assert target.exists(), ended.stderr[-3000:]
    with np.load(target) as archive:
        found = dict(archive)

    right = Reference(network=LENET, recipe=LENET5, mode="eager", feed="host", device="cpu", dtype="float64", threads=1)
    right.load_weights(initial_weights(LENET, seed=3))
    losses = []
    parts = np.split(indices, 3)
    for rate, index in zip((0.1, 0.1, 0.01), (parts[0], parts[1][:41], parts[2]), strict=True):
        right.set_learning_rate(rate)
        losses += right.train_steps([(images[index], labels[index])])
    one = right.put(images=images[:9], labels=labels[:9])

    np.testing.assert_array_equal(found["images"], images[parts[1][:41]])
    np.testing.assert_array_equal(found["labels"], labels[parts[1][:41]])
    wanted = {"losses": np.array(losses), "loss": np.ravel(right.loss(one)), "logits": right.logits(one[0])}
    wanted |= right.dump_weights() | {f"gradient of {name}": each for name, each in right.gradients(one).items()}
    for name, value in wanted.items():
        error = np.abs(found[name] - value).max() / np.abs(value).max()
        assert error < TOLERANCES[dtype], f"{name}: relative error {error:.2e}"
