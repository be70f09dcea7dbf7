"""Every mistake of the mutant `defective` is caught by verification, and its explanation says where it begins."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from harness.data.sources import Dataset
from harness.proof import posing
from harness.proof.bisection import explain, first_failure
from harness.proof.kept import pose
from harness.proof.problem import Check, Problem
from harness.spec.networks import get_network
from harness.spec.precision import rounded
from harness.spec.recipes import LENET5, with_optimizer
from harness.spec.start import initial_weights
from harness.worker import asynchrony
from harness.worker.quantities import AGAIN, LOSSES, UNSEEN, quantities

Pose = Callable[..., Problem]
LENET = get_network("lenet5")
IDEAL = {name: np.array(value) for name, value in asynchrony.IDEAL.items()}
# Mistake -> optimizer that shows it, the first quantity that differs, and what is said of it.
DEFECTS = {
    "activation-after-pool": ("recipe", "output of relu1", r"Its shape is \(8, 6, 14, 14\)"),
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
    "dampened": ("recipe", "conv1.weight after 10", "what the optimizer remembers"),
    "gradients-kept": ("recipe", "conv1.weight after 10", "what the optimizer remembers"),
    "second-moment": ("adam", "conv1.weight after 1", "the optimizer's formula"),
    "gradient-off": ("recipe", "gradient of conv1.weight", r"It is 1\.001 times what it should be"),
    "float32-inside": ("recipe", "output of dense1", "off by as much as float32 would be"),
    "losses-overwritten": ("recipe", LOSSES, "All losses of a block are its last one: one buffer"),
}
# Those that are a matter of precision; of no other is it said that something computes in a shorter one.
PRECISION = ("float16-inside", "tf32-inside", "float32-inside")
# Those whose cause is said already: usual ones would mislead.
KNOWN = (*PRECISION, "losses-overwritten")


@pytest.fixture(scope="module", autouse=True)
def small_batches() -> Iterator[None]:
    """As few images as in all tests of verifying (conftest.py): what one of them has posed is posed for all."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(posing, "BATCH", 8)
        yield


@pytest.fixture(scope="module")
def problems(tiny_dataset: Dataset) -> Pose:
    """Return a function that gives the problem of lenet5 with an optimizer, posed once."""
    posed: dict[tuple[str, str], Problem] = {}

    def problem(optimizer: str, dtype: str = "float32") -> Problem:
        key = optimizer, dtype
        if key not in posed:
            posed[key] = pose(LENET, _recipe(optimizer), tiny_dataset, initial_weights(LENET, seed=0), dtype=dtype)
        return posed[key]

    return problem


def _recipe(optimizer: str) -> Any:
    return LENET5 if optimizer == "recipe" else with_optimizer(LENET5, optimizer)


def _run(problem: Problem, backend_class: Any, mode: str, optimizer: str) -> dict[str, np.ndarray]:
    recipe = _recipe(optimizer)
    options = {"feed": "host", "device": "cpu", "dtype": problem.dtype, "threads": 1}
    backend = backend_class(network=LENET, recipe=recipe, mode=mode, **options)
    found = quantities(
        backend, problem.weights, images=problem.images, labels=problem.labels, learning_rate=recipe.learning_rate
    )
    return found | IDEAL


@pytest.mark.parametrize("mode", DEFECTS)
def test_defects_are_caught_where_they_begin(problems: Pose, mutant_class: Callable[[str], Any], mode: str) -> None:
    """The first quantity that fails is the one that the mistake is made in, and the explanation names it."""
    optimizer, first, words = DEFECTS[mode]
    problem = problems(optimizer, "float64" if mode == "float32-inside" else "float32")
    found = _run(problem, mutant_class("defective"), mode, optimizer)
    checks = problem.check(found)

    failure = first_failure(checks)
    sentences = " ".join(explain(problem, found, checks))

    assert failure is not None
    assert failure.quantity == first
    assert sentences.startswith(f"First difference: {first}, by ")
    assert re.search(words, sentences)
    assert ("something computes in" in sentences) == (mode in PRECISION)
    assert ("Usual causes" in sentences) == (mode not in KNOWN)


@pytest.mark.parametrize("optimizer", ["recipe", "sgd", "nesterov", "decay", "adam", "adamw"])
def test_right_backend_passes_with_every_optimizer(
    problems: Pose, mutant_class: Callable[[str], Any], optimizer: str
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
        (lambda y: y * 0.999, "It is 0.999 times what it should be"),
        (lambda y: _with_edge(y, y[..., :1] * 0.99), "Usual causes: this layer's kind, its place, padding"),
    ],
)
def test_looks(problems: Pose, change: Callable[[Any], Any], words: str) -> None:
    """What a layer's output looks like is said in a sentence."""
    problem = problems("recipe")
    name = "output of conv2"
    found = problem.expected | IDEAL | {name: change(problem.expected[name])}
    found = {key: value for key, value in found.items() if value is not None}

    assert words in " ".join(explain(problem, found, problem.check(found)))


def _with_edge(y: np.ndarray, edge: np.ndarray) -> np.ndarray:
    return np.concatenate([edge, y[..., 1:]], axis=-1)


@pytest.mark.parametrize(
    "change",
    [
        lambda y: y * 0.999,
        lambda y: _with_edge(y, y[..., :1] * 0.99),
        lambda y: np.maximum(y, -0.001 * y.max()),
        lambda y: y + 0.001 * y.max() * (y == y.max()),
    ],
    ids=["a factor", "an edge", "a ReLU", "one value"],
)
def test_small_mistakes_are_no_rounding(problems: Pose, change: Callable[[Any], Any]) -> None:
    """What is off by as little as float16 would be, but not like it, is not called so."""
    problem = problems("recipe")
    name = "output of conv2"
    found = problem.expected | IDEAL | {name: change(problem.expected[name])}
    sentences = explain(problem, found, problem.check(found))

    assert sentences[0].startswith(f"First difference: {name}")
    assert "computes in" not in " ".join(sentences)


@pytest.mark.parametrize("kind", [np.float16, np.float32])
def test_loss_in_shorter_numbers(problems: Pose, kind: Any) -> None:
    """A single number is called short if it is one; otherwise it may be off for any reason."""
    problem = problems("recipe", "float64")
    loss = problem.expected["loss"].astype(kind).astype(float)
    found = problem.expected | IDEAL

    def said(value: np.ndarray) -> str:
        values = found | {"loss": value}
        return " ".join(explain(problem, values, problem.check(values)))

    assert re.search(f"as much as .*{kind.__name__}.* would be", said(loss))
    assert "computes in" not in said(loss * (1 + 1e-9))


def test_shorter_numbers_are_no_news_in_bfloat16(problems: Pose) -> None:
    """There something computes in them, as it should."""
    problem = replace(problems("recipe"), dtype="bfloat16")
    name = "output of conv2"
    found = problem.expected | IDEAL | {name: rounded(problem.expected[name].astype(np.float32), "bfloat16")}

    assert "computes in" not in " ".join(explain(problem, found, problem.check(found)))


@pytest.mark.parametrize("name", ["dropout: nothing known", "no such quantity"])
def test_of_what_is_not_known_nothing_is_said(problems: Pose, name: str) -> None:
    """A quantity without usual causes has none; one of dropout has."""
    checks = [Check(name, 2.0, 1.0)]
    sentences = explain(problems("recipe"), {}, checks)

    assert len(sentences) == (2 if name.startswith("dropout") else 1)


def test_first_wrong_step_is_named(problems: Pose) -> None:
    """Of losses, the number of the first step that is off."""
    problem = problems("recipe")
    losses = problem.expected[LOSSES].copy()
    losses[41:] *= 1.5
    found = problem.expected | IDEAL | {LOSSES: losses}

    assert "step 42 of 100" in " ".join(explain(problem, found, problem.check(found)))


def test_one_wrong_loss_looks_like_nothing(problems: Pose) -> None:
    """Where nearly all values are right, what would leave them as they are explains nothing."""
    problem = problems("recipe")
    losses = problem.expected[LOSSES].copy()
    losses[2] *= 0.9
    found = problem.expected | IDEAL | {LOSSES: losses}
    sentences = " ".join(explain(problem, found, problem.check(found)))

    assert "step 3 of 100" in sentences
    assert "as if" not in sentences
    assert "another order" not in sentences
