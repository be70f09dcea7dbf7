"""Every mistake of the mutant `defective` is caught by verification, and its explanation says where it begins."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from harness.data.sources import Dataset
from harness.proof import posing
from harness.proof.bisection import explain, first_failure
from harness.proof.kept import pose
from harness.proof.problem import Problem
from harness.spec.networks import get_network
from harness.spec.recipes import LENET5, with_optimizer
from harness.spec.start import initial_weights
from harness.worker import asynchrony
from harness.worker.quantities import AGAIN, LOSSES, UNSEEN, quantities

LENET = get_network("lenet5")
IDEAL = {name: np.array(value) for name, value in asynchrony.IDEAL.items()}
# Mistake -> optimizer that shows it, the first quantity that differs, and what is said of it.
DEFECTS = {
    "activation-after-pool": ("recipe", "output of relu1", r"Its shape is \(16, 6, 14, 14\)"),
    "relu-on-logits": ("recipe", "output of dense3", "as if a ReLU followed"),
    "channel-short": ("recipe", "output of conv2", "Usual causes: this layer's kind"),
    "double-softmax": ("recipe", "loss", "softmax twice"),
    "rate-in-velocity": ("recipe", "conv1.weight after 100", "the learning rate when it changes"),
    "epsilon-inside": ("adam", "conv1.weight after 1", "the optimizer's formula"),
    "biases-not-decayed": ("decay", "conv1.bias after 1", "decay"),
    "small-batch-dropped": ("recipe", "conv1.weight after 1", "the smaller batch"),
    "shifted-batch": ("recipe", "conv1.weight after 1", "the optimizer's formula"),
    "keeps-velocity": ("recipe", AGAIN, "`load_weights` leaves something"),
    "keeps-weights": ("recipe", AGAIN, "`load_weights` leaves something"),
    "labels-permuted": ("recipe", "conv1.weight after 1", "the optimizer's formula"),
    "float16-inside": ("recipe", "output of dense1", "float16, bfloat16 or TF32"),
    "tf32-inside": ("recipe", "output of conv2", "float16, bfloat16 or TF32"),
    "evaluates-training": ("recipe", UNSEEN, "inference on other images"),
    "nesterov-missing": ("nesterov", "conv1.weight after 1", "the optimizer's formula"),
}


@pytest.fixture(scope="module", autouse=True)
def small_batches() -> Iterator[None]:
    """A quarter of the images, so that posing a problem takes seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(posing, "BATCH", 16)
        yield


@pytest.fixture(scope="module")
def problems(tiny_dataset: Dataset) -> Callable[[str], Problem]:
    """Return a function that gives the problem of lenet5 with an optimizer, posed once."""
    posed: dict[str, Problem] = {}

    def problem(optimizer: str) -> Problem:
        if optimizer not in posed:
            posed[optimizer] = pose(LENET, _recipe(optimizer), tiny_dataset, initial_weights(LENET, seed=0))
        return posed[optimizer]

    return problem


def _recipe(optimizer: str) -> Any:
    return LENET5 if optimizer == "recipe" else with_optimizer(LENET5, optimizer)


def _run(problem: Problem, backend_class: Any, mode: str, optimizer: str) -> dict[str, np.ndarray]:
    recipe = _recipe(optimizer)
    options = {"feed": "host", "device": "cpu", "dtype": "float32", "threads": 1}
    backend = backend_class(network=LENET, recipe=recipe, mode=mode, **options)
    found = quantities(
        backend, problem.weights, images=problem.images, labels=problem.labels, learning_rate=recipe.learning_rate
    )
    return found | IDEAL


@pytest.mark.parametrize("mode", DEFECTS)
def test_defects_are_caught_where_they_begin(
    problems: Callable[[str], Problem], mutant_class: Callable[[str], Any], mode: str
) -> None:
    """The first quantity that fails is the one that the mistake is made in, and the explanation names it."""
    optimizer, first, words = DEFECTS[mode]
    problem = problems(optimizer)
    found = _run(problem, mutant_class("defective"), mode, optimizer)
    checks = problem.check(found)

    failure = first_failure(checks)
    sentences = " ".join(explain(problem, found, checks))

    assert failure is not None
    assert failure.quantity == first
    assert sentences.startswith(f"First difference: {first}, by ")
    assert re.search(words, sentences)


@pytest.mark.parametrize("optimizer", ["recipe", "sgd", "nesterov", "decay", "adam", "adamw"])
def test_right_backend_passes_with_every_optimizer(
    problems: Callable[[str], Problem], mutant_class: Callable[[str], Any], optimizer: str
) -> None:
    """The twin of the NumPy backend, in float32, passes with every optimizer; nothing is explained."""
    problem = problems(optimizer)
    found = _run(problem, mutant_class("twin"), "eager", optimizer)
    checks = problem.check(found)

    assert [check for check in checks if not check.passed] == []
    assert explain(problem, found, checks) == []


def test_every_defect_has_its_test(mutants: Any) -> None:
    """A mistake that is added to the mutant is added here."""
    from harness.worker import catalogue

    assert set(catalogue.facts("defective").MODES) == set(DEFECTS)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda y: y.swapaxes(2, 3), "height and width were exchanged"),
        (lambda y: np.roll(y, 1, axis=3), "columns were shifted by one: padding on one side"),
        (lambda y: np.roll(y, -1, axis=2), "rows were shifted by one: padding on one side"),
        (lambda y: -y, "the sign were wrong"),
        (lambda y: y[:, ::-1], "the same values in another order"),
        (lambda y: y * np.nan, "are not finite"),
        (lambda y: None, "did not give it"),
    ],
)
def test_looks(problems: Callable[[str], Problem], change: Callable[[Any], Any], words: str) -> None:
    """What a layer's output looks like is said in a sentence."""
    problem = problems("recipe")
    name = "output of conv2"
    found = problem.expected | IDEAL | {name: change(problem.expected[name])}
    found = {key: value for key, value in found.items() if value is not None}

    assert words in " ".join(explain(problem, found, problem.check(found)))


def test_first_wrong_step_is_named(problems: Callable[[str], Problem]) -> None:
    """Of losses, the number of the first step that is off."""
    problem = problems("recipe")
    losses = problem.expected[LOSSES].copy()
    losses[41:] *= 1.5
    found = problem.expected | IDEAL | {LOSSES: losses}

    assert "step 42 of 100" in " ".join(explain(problem, found, problem.check(found)))


def test_one_wrong_loss_looks_like_nothing(problems: Callable[[str], Problem]) -> None:
    """Where nearly all values are right, what would leave them as they are explains nothing."""
    problem = problems("recipe")
    losses = problem.expected[LOSSES].copy()
    losses[2] *= 0.9
    found = problem.expected | IDEAL | {LOSSES: losses}
    sentences = " ".join(explain(problem, found, problem.check(found)))

    assert "step 3 of 100" in sentences
    assert "as if" not in sentences
    assert "another order" not in sentences
