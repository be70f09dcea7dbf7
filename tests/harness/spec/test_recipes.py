"""Recipes: the documents' constants, schedules, reductions, and how options choose one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from harness.errors import InputError
from harness.spec.networks import NETWORKS
from harness.spec.recipe import Recipe
from harness.spec.recipes import LENET5, OPTIMIZERS, RECIPES, choose, choose_all, get_recipe, recipe_for, with_optimizer
from harness.spec.start import INITIALISERS


def test_documents_constants() -> None:
    """What documents.md states of its three recipes."""
    gluon, folk, tf1 = (RECIPES[name] for name in ("gluon", "folk", "tf1"))

    assert (gluon.network, gluon.data_set, gluon.epochs, gluon.batch_size) == ("lenet-gluon", "fashion-mnist", 100, 64)
    assert (gluon.learning_rate, gluon.weight_decay) == (np.float32(0.03), np.float32(0.001))
    assert (gluon.reduction, gluon.initialiser) == ("nominal", "xavier")
    assert (folk.network, folk.epochs, folk.reduction, folk.batch_size) == ("lenet-linear", 10, "sum", 64)
    assert (folk.learning_rate, folk.momentum, folk.initialiser) == (np.float32(0.001), 0, "uniform-fan-in")
    assert (tf1.network, tf1.optimizer, tf1.batch_size) == ("convnet-tf1", "adam", 20)
    assert (tf1.epochs * tf1.epoch_steps, tf1.initialiser) == (100, "truncated-normal")


def test_every_network_has_a_recipe() -> None:
    """One that is meant for it, with an initialiser that there is."""
    for name in NETWORKS:
        assert recipe_for(name).network == name
    assert all(recipe.initialiser in INITIALISERS for recipe in RECIPES.values())


def test_schedules() -> None:
    """Constant, halved after each epoch, and half a cosine; all values are float32's."""
    constant = replace(LENET5, schedule="constant", learning_rate=0.5)
    step = replace(LENET5, schedule="step", learning_rate=0.5, decay=0.5)
    cosine = replace(LENET5, schedule="cosine", learning_rate=0.5, epochs=4)

    assert [constant.learning_rate_of(epoch) for epoch in range(3)] == [0.5, 0.5, 0.5]
    assert [step.learning_rate_of(epoch) for epoch in range(3)] == [0.5, 0.25, 0.125]
    found = [cosine.learning_rate_of(epoch) for epoch in range(4)]
    np.testing.assert_allclose(found, [0.5, 0.426777, 0.25, 0.073223], rtol=1e-5)
    assert all(value == np.float32(value) for value in found)


@pytest.mark.parametrize(("reduction", "factor"), [("mean", 1.0), ("sum", 32.0), ("nominal", 0.5)])
def test_reductions(reduction: str, factor: float) -> None:
    """What the mean loss of a batch of 32 is multiplied by, where the recipe's batch has 64."""
    assert replace(LENET5, reduction=reduction).loss_factor(32) == factor


@pytest.mark.parametrize(
    "change",
    [{"optimizer": "sgdd"}, {"reduction": "median"}, {"schedule": "none"}, {"decoupled": True, "weight_decay": 0.1}],
    ids=str,
)
def test_unknown_parts_are_refused(change: dict[str, object]) -> None:
    """A part that no backend has is refused with what came in."""
    with pytest.raises(ValueError, match="got "):
        replace(LENET5, **change)


def test_decay_is_coupled_or_not() -> None:
    """One of the two shares is the decay, the other is 0."""
    coupled, decoupled = (with_optimizer(LENET5, name) for name in ("decay", "adamw"))

    assert (coupled.coupled_decay, coupled.decoupled_decay) == (np.float32(0.01), 0)
    assert (decoupled.coupled_decay, decoupled.decoupled_decay) == (0, np.float32(0.01))


def test_with_optimizer_leaves_nothing_of_the_recipes_own() -> None:
    """Plain SGD in place of gluon's has no decay, no momentum and the mean loss."""
    recipe = with_optimizer(get_recipe("gluon"), "sgd")

    assert (recipe.weight_decay, recipe.momentum, recipe.reduction) == (0, 0, "mean")
    assert (recipe.network, recipe.initialiser) == ("lenet-gluon", "xavier")
    assert recipe.name == "gluon with sgd"


def test_choose() -> None:
    """A network means its recipe, a recipe its network, both together what was said, neither lenet5."""
    assert choose("", "") == LENET5
    assert choose("lenet-gluon", "").name == "gluon"
    assert choose("", "folk").network == "lenet-linear"
    assert (choose("lenet-d2l", "folk").network, choose("lenet-d2l", "folk").name) == ("lenet-d2l", "folk")


def test_choose_all() -> None:
    """Every network with its own optimizer and with all others, in the order of the tables."""
    assert [recipe.name for recipe in choose_all("lenet5,lenet-linear", "recipe,adam")] == [
        "lenet5", "lenet5 with adam", "folk", "folk with adam",
    ]  # fmt: skip
    assert len(choose_all("all", "all")) == len(NETWORKS) * (1 + len(OPTIMIZERS))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: get_recipe("glu0n"), r"no recipe 'glu0n'\. There are: .*Did you mean 'gluon'"),
        (lambda: with_optimizer(LENET5, "adamm"), r"no optimizer 'adamm'\. There are: .*Did you mean 'adam'"),
        (lambda: choose("lenet6", ""), r"no network 'lenet6'"),
        (lambda: choose_all("all", "ada"), r"no optimizer 'ada'"),
    ],
)
def test_unknown_names_are_sentences(call, words: str) -> None:
    """The list, and the nearest name."""
    with pytest.raises(InputError, match=words):
        call()


def test_constants_are_float32() -> None:
    """MXNet and Paddle hold them so; a recipe says what they hold."""
    recipe = Recipe(name="x", learning_rate=0.1, batch_size=1, epochs=1, momentum=0.3, weight_decay=0.7, epsilon=1e-7)

    for name in ("learning_rate", "momentum", "weight_decay", "beta1", "beta2", "epsilon", "decay"):
        assert getattr(recipe, name) == np.float32(getattr(recipe, name))
