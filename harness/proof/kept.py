"""Problems posed once and kept on disk: which images were chosen, and the tolerances that were measured.

Both follow from the network, the recipe, the data set, the initial weights, the precision and the code; all of that is
in the name of the file and in the file. What is not exactly what was asked for is made anew, never trusted.
"""

from __future__ import annotations

import hashlib
import json
import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from backends import REFERENCE
from harness.data.sources import Dataset, cache_folder
from harness.errors import LenetBenchError
from harness.files import write_text_atomically
from harness.proof import posing, rounding
from harness.proof.problem import Problem
from harness.runs import code
from harness.spec.network import Network
from harness.spec.recipe import Recipe
from harness.spec.start import Weights, weights_digest
from harness.worker.quantities import STEPS

Facts = dict[str, Any]


def pose(
    network: Network,
    recipe: Recipe,
    dataset: Dataset,
    weights: Weights,
    *,
    dtype: str = "float32",
    tick: Callable[[], None] = lambda: None,
) -> Problem:
    """As `posing.pose`, with the choice of images and the tolerances from an earlier time where there was one."""
    facts = _facts(network, recipe, dataset, weights)
    chosen = _read(facts | {"what": "images"})
    if not _is_choice(chosen, len(dataset.train_labels)):
        chosen = posing.choose(network, recipe, dataset, weights).tolist()
        _keep(facts | {"what": "images"}, chosen)
    problem = posing.answer(network, recipe, dataset, weights, np.array(chosen), dtype=dtype)
    tick()
    return replace(problem, tolerances=_tolerances(problem, facts, tick=tick))


def is_kept(network: Network, recipe: Recipe, dataset: Dataset, weights: Weights, *, dtype: str) -> bool:
    """Whether the long part of posing a problem was done before."""
    facts = _facts(network, recipe, dataset, weights)
    return _read(facts | {"what": "images"}) is not None and _read(_of_tolerances(facts, dtype, {})) is not None


def allow_for(
    problem: Problem, dataset: Dataset, inexact: Mapping[str, float], *, tick: Callable[[], None] = lambda: None
) -> Problem:
    """The problem as it is put to a backend whose own kernels are less exact than the precision allows.

    Args:
        dataset: that the problem was posed on.
        inexact: the backend's INEXACT of this precision (see harness/spec/protocol.py).
        tick: called after each of `rounding.ORDERS` pieces of work.
    """
    facts = _facts(problem.network, problem.recipe, dataset, problem.weights)
    return posing.allow_for(problem, _tolerances(problem, facts, inexact=inexact, tick=tick))


def _tolerances(
    problem: Problem,
    facts: Facts,
    *,
    tick: Callable[[], None],
    inexact: Mapping[str, float] = MappingProxyType({}),
) -> dict[str, float]:
    facts = _of_tolerances(facts, problem.dtype, inexact)
    kept = _read(facts)
    if _are_tolerances(kept, problem):
        for _ in range(rounding.ORDERS):
            tick()
        return kept
    measured = rounding.measure(problem, inexact=inexact, tick=tick)
    _keep(facts, measured)
    return measured


def _of_tolerances(facts: Facts, dtype: str, inexact: Mapping[str, float]) -> Facts:
    """Everything that tolerances depend on."""
    facts = facts | {"what": "tolerances", "dtype": dtype, "inexact": dict(inexact)}
    return facts | {"orders": rounding.ORDERS, "margins": rounding.MARGINS, "least": rounding.LEAST}


def _are_tolerances(found: Any, problem: Problem) -> bool:
    if not isinstance(found, dict) or set(found) != set(problem.expected):
        return False
    return all(isinstance(value, float) and 0 < value < math.inf for value in found.values())


def _is_choice(found: Any, images: int) -> bool:
    try:
        chosen = np.array(found, dtype=np.int64)
    except (TypeError, ValueError):
        return False
    if chosen.ndim != 2 or len(chosen) != max(STEPS) + 1 or not chosen.size:
        return False
    return bool(((chosen >= 0) & (chosen < images)).all())


def _facts(network: Network, recipe: Recipe, dataset: Dataset, weights: Weights) -> Facts:
    """Everything that the choice of images depends on."""
    return {
        "network": repr(network.keeping_all()), "recipe": recipe.as_dict(), "data_sha256": dataset.sha256,
        "images": len(dataset.train_labels), "weights_sha256": weights_digest(weights), "numpy": np.__version__,
        "code": code.digest(REFERENCE), "batch": posing.BATCH, "candidates": posing.CANDIDATES,
    }  # fmt: skip


def _digest(values: Any) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def _path(facts: Facts) -> Path:
    return cache_folder() / "problems" / f"{_digest(facts)}.json"


def _read(facts: Facts) -> Any:
    """What was found for exactly these facts; None where nothing was, or where the file does not say so itself."""
    try:
        values = json.loads(_path(facts).read_text(encoding="utf-8"))
        found = values["found"]
        whole = _digest(values["facts"]) == _digest(facts) and values["sha256"] == _digest(found)
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return found if whole else None


def _keep(facts: Facts, found: Any) -> None:
    path = _path(facts)
    values = {"facts": facts, "found": found, "sha256": _digest(found)}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text_atomically(path, json.dumps(values) + "\n")
    except (OSError, LenetBenchError) as error:
        # It is only time that is lost.
        print(f"Not kept for the next time: {error}", file=sys.stderr)
