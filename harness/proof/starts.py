"""The second start: weights that the reference has trained, for proofs that need more than the first steps show.

From initial weights the first hundred steps of LeNet-5 learn nothing yet: gradients are small, all losses near the
logarithm of ten, and whatever acts on large ones (clipping, a capped loss) does not act. From trained weights it does.
Made once for a network, a recipe and a data set, and kept in the user's cache; a file that does not say itself that it
is exactly that, is made anew.
"""

from __future__ import annotations

import hashlib
import io
import json
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from backends import REFERENCE
from harness.data.sources import Dataset, cache_folder
from harness.errors import LenetBenchError
from harness.files import write_atomically
from harness.proof.rounding import reference
from harness.runs import code
from harness.spec.network import Network
from harness.spec.recipe import Recipe
from harness.spec.start import Weights, batch_indices, epoch_order, initial_weights, weights_digest
from harness.worker.batches import prepare

# In LeNet-5 the loss falls from 2.3 to 0.3 between its 50th and its 150th step.
STEPS = 200
BATCH = 64
# A network with more multiplications and additions an image is trained for fewer steps, in about the same time.
LARGE = 1_500_000


def trained(network: Network, recipe: Recipe, dataset: Dataset, *, tick: Callable[[], None] = lambda: None) -> Weights:
    """The weights after STEPS steps at the recipe's full rate, float32, from the initial weights of seed 0."""
    kept = _read(_path(network, recipe, dataset), network)
    if kept is not None:
        return kept
    exact = reference(network.keeping_all(), recipe, "float64")
    exact.load_weights(initial_weights(network, seed=0, initialiser=recipe.initialiser))
    order = list(batch_indices(epoch_order(len(dataset.train_labels), seed=0, epoch=0), BATCH))
    for step in range(steps_of(network)):
        index = order[step % len(order)]
        images = prepare(dataset.train_images[index], network.input_shape, "float64")
        exact.train_steps([(images, dataset.train_labels[index].astype(np.int32))])
        tick()
    weights = {name: value.astype(np.float32) for name, value in exact.dump_weights().items()}
    _keep(_path(network, recipe, dataset), weights)
    return weights


def steps_of(network: Network) -> int:
    """For how many steps a network is trained."""
    return min(STEPS, max(30, STEPS * LARGE // network.multiply_adds))


def _path(network: Network, recipe: Recipe, dataset: Dataset) -> Path:
    facts = {
        "network": repr(network.keeping_all()), "recipe": recipe.as_dict(), "data_sha256": dataset.sha256,
        "numpy": np.__version__, "code": code.digest(REFERENCE), "steps": steps_of(network), "batch": BATCH,
    }  # fmt: skip
    name = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
    return cache_folder() / "starts" / f"{name}.npz"


def _read(path: Path, network: Network) -> Weights | None:
    """What a file has, where it is whole and fits the network."""
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as archive:
            weights = {name: archive[name] for name in network.parameter_shapes()}
            whole = str(archive["sha256"]) == weights_digest(weights)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    fits = all(weights[name].shape == shape for name, shape in network.parameter_shapes().items())
    return weights if whole and fits else None


def _keep(path: Path, weights: Weights) -> None:
    content = io.BytesIO()
    np.savez(content, sha256=np.array(weights_digest(weights)), **weights)  # type: ignore[arg-type]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, content.getvalue())
    except (OSError, LenetBenchError) as error:
        # It is only time that is lost.
        print(f"Not kept for the next time: {error}", file=sys.stderr)
