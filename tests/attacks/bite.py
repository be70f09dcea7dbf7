"""Do mistakes do anything? `PYTHONPATH=. .nox/3.11/jax/bin/python -m tests.attacks.bite jax [NAME,NAME]`

Runs in a framework's own environment, in one process, and prints by how much each mistake's numbers differ from the
right backend's, on a few steps from weights five times as large as usual: there losses and gradients are large.
One that says 0 is either equivalent, or about a configuration that is not tried here, or not what it says it is.
"""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

from harness.spec.networks import get_network
from harness.spec.recipes import recipe_for, with_optimizer
from harness.spec.start import initial_weights
from harness.worker import catalogue

LARGER = np.float32(5)
IMAGES = 8


def main(framework: str, names: list[str]) -> None:
    """Print a line for each mistake whose name has one of `names` in it."""
    os.environ[catalogue.EXTRA] = str(Path(__file__).parent / "backends")
    catalogue.names()
    from backends.attack_kit.mistakes import MISTAKES

    backend_class = catalogue.backend_class(f"{framework}_mistakes")
    modules = [importlib.import_module(f"backends.{framework}.{name}") for name in ("backend", "model")]
    # Some mistakes exchange what the right backend's modules know by name.
    untouched = [dict(module.__dict__) for module in modules]
    right: dict[Any, list[np.ndarray]] = {}
    for name, attack in MISTAKES.items():
        if framework not in attack.backends or not any(part in name for part in names):
            continue
        for module, before in zip(modules, untouched):
            module.__dict__.update(before)
        asked = _asked(dict(zip(attack.options[::2], attack.options[1::2])))
        key = asked["network"].name, asked["recipe"].name, asked["dtype"]
        try:
            if key not in right:
                mode = next(iter(catalogue.facts(framework).MODES))
                right[key] = numbers(catalogue.backend_class(framework)(mode=mode, **asked), asked)
            pairs = list(zip(numbers(backend_class(mode=name, **asked), asked), right[key]))
        except Exception as error:
            print(f"{name:36} {type(error).__name__}: {' '.join(str(error).split())[:100]}", flush=True)
            continue
        same = all(found.shape == expected.shape for found, expected in pairs)
        print(f"{name:36} {max(np.abs(a - b).max() for a, b in pairs) if same else np.inf:.3g}", flush=True)


def _asked(options: dict[str, str]) -> dict[str, Any]:
    network = get_network(options.get("--network", "lenet5"))
    recipe = recipe_for(network.name)
    if "--optimizer" in options:
        recipe = with_optimizer(recipe, options["--optimizer"])
    dtype = options.get("--dtype", "float32")
    return {"network": network, "recipe": recipe, "feed": "host", "device": "cpu", "dtype": dtype, "threads": 1}


def numbers(backend: Any, asked: dict[str, Any]) -> list[np.ndarray]:
    """Logits, loss and gradients of a batch; losses and weights of nine steps; all again after loading once more."""
    network, random = asked["network"], np.random.default_rng(1)
    dtype = "float64" if asked["dtype"] == "float64" else "float32"
    images = random.random((9, IMAGES, *network.input_shape)).astype(dtype)
    labels = random.integers(0, network.classes, (9, IMAGES)).astype(np.int32)
    weights = {name: LARGER * value for name, value in initial_weights(network, seed=0).items()}
    backend.load_weights(weights)
    batch = backend.put(images=images[0], labels=labels[0])
    found = [backend.to_numpy(backend.logits(batch[0])), backend.to_numpy(backend.loss(batch))]
    found += backend.gradients(batch).values()
    backend.load_weights(weights)
    found.append(backend.to_numpy(backend.train_steps([(images[0, : IMAGES // 2], labels[0, : IMAGES // 2])])))
    found.append(backend.to_numpy(backend.train_steps([(images[k], labels[k]) for k in range(1, 5)])))
    backend.set_learning_rate(asked["recipe"].learning_rate / 8)
    found.append(backend.to_numpy(backend.train_steps([(images[k], labels[k]) for k in range(5, 9)])))
    found += [*backend.dump_weights().values(), backend.to_numpy(backend.logits(batch[0]))]
    backend.load_weights(weights)
    found.append(backend.to_numpy(backend.train_steps([(images[1], labels[1])])))
    return [np.ravel(np.asarray(value, np.float64)) for value in found]


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2].split(",") if len(sys.argv) > 2 else [""])
