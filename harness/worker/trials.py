"""Short trainings for verification: from weights with large gradients, and in the entrant's own configuration.

`harness.proof.trials` poses them. Worker side: NumPy only.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

LOSSES = "losses"


def run(backend: Any, source: Path, *, feed: str) -> dict[str, np.ndarray]:
    """Do the trials of an archive; their losses and weights by `<trial>: losses` and `<trial>: <parameter>`.

    Args:
        backend: built with this feed.
    """
    with np.load(source, allow_pickle=False) as archive:
        arrays = dict(archive)
    if feed == "device":
        backend.use_dataset(backend.put(images=arrays["images"], labels=arrays["labels"]))
        backend.synchronize()
    found: dict[str, np.ndarray] = {}
    for name in sorted({key.partition("/")[0] for key in arrays if "/" in key}):
        found |= _trial(backend, name, arrays, feed=feed)
    return found


def _trial(backend: Any, name: str, arrays: Mapping[str, np.ndarray], *, feed: str) -> dict[str, np.ndarray]:
    start = f"{name}/start/"
    backend.load_weights({key.removeprefix(start): value for key, value in arrays.items() if key.startswith(start)})
    # Also where it is the recipe's: who cannot set that one, does not show otherwise.
    backend.set_learning_rate(float(arrays[f"{name}/rate"]))
    losses = []
    for number in range(int(arrays[f"{name}/calls"])):
        indices = arrays[f"{name}/call {number}"]
        host = [(arrays["images"][index], arrays["labels"][index]) for index in indices]
        losses.append(backend.to_numpy(backend.train_steps(indices if feed == "device" else host)))
    backend.synchronize()
    found = {f"{name}: {parameter}": value for parameter, value in backend.dump_weights().items()}
    found[f"{name}: {LOSSES}"] = np.concatenate(losses)
    return {key: np.asarray(value, np.float64) for key, value in found.items()}
