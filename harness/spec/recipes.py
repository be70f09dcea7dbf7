"""The recipes of the source documents, and ours for the networks whose documents state none. Standard library only."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from harness.errors import unknown
from harness.spec.networks import NETWORKS, get_network
from harness.spec.recipe import Recipe

LENET5 = Recipe(name="lenet5", learning_rate=0.05, momentum=0.9, schedule="step", decay=0.5, batch_size=64, epochs=5)
GLUON = Recipe(
    name="gluon", network="lenet-gluon", data_set="fashion-mnist", learning_rate=0.03, weight_decay=0.001,
    batch_size=64, epochs=100, reduction="nominal", initialiser="xavier", source="MXNet Gluon (documents.md, 001)",
)  # fmt: skip
FOLK = Recipe(
    name="folk", network="lenet-linear", learning_rate=0.001, batch_size=64, epochs=10, reduction="sum",
    source="PyTorch 'folk' (documents.md, 004)",
)  # fmt: skip
TF1 = Recipe(
    name="tf1", network="convnet-tf1", optimizer="adam", learning_rate=0.001, batch_size=20, epochs=10, epoch_steps=10,
    initialiser="truncated-normal", source="TensorFlow 1 (documents.md, 004)",
)  # fmt: skip
PADDLE = Recipe(
    name="paddle", network="lenet-paddle", optimizer="adam", learning_rate=0.003, batch_size=64, epochs=5,
    initialiser="xavier",
)  # fmt: skip
CIFAR = Recipe(
    name="cifar", network="lenet-cifar", data_set="cifar-10", learning_rate=0.01, momentum=0.9, schedule="cosine",
    batch_size=64, epochs=10,
)  # fmt: skip
D2L = Recipe(
    name="d2l", network="lenet-d2l", learning_rate=0.9, batch_size=256, epochs=10, initialiser="xavier",
)  # fmt: skip
LENET5_1998 = Recipe(
    name="lenet5-1998", network="lenet5-1998", learning_rate=0.02, momentum=0.9, schedule="step", decay=0.5,
    batch_size=64, epochs=5, initialiser="xavier",
)  # fmt: skip

RECIPES = {recipe.name: recipe for recipe in (LENET5, GLUON, FOLK, TF1, PADDLE, CIFAR, D2L, LENET5_1998)}

# Optimizers that every network can be verified with, in place of its recipe's.
OPTIMIZERS: dict[str, dict[str, Any]] = {
    "sgd": {"learning_rate": 0.05},
    "momentum": {"learning_rate": 0.02, "momentum": 0.9},
    "nesterov": {"learning_rate": 0.02, "momentum": 0.9, "nesterov": True},
    "decay": {"learning_rate": 0.02, "momentum": 0.9, "weight_decay": 0.01},
    "adam": {"optimizer": "adam", "learning_rate": 0.001},
    "adamw": {"optimizer": "adam", "learning_rate": 0.001, "weight_decay": 0.01, "decoupled": True},
}
_NO_OPTIMIZER: dict[str, Any] = {
    "optimizer": "sgd", "momentum": 0.0, "nesterov": False, "weight_decay": 0.0, "decoupled": False,
    "reduction": "mean",
}  # fmt: skip


def get_recipe(name: str) -> Recipe:
    """Return the recipe of that name.

    Raises:
        InputError: there is none; the message lists the names and the nearest one.
    """
    if name not in RECIPES:
        raise unknown("recipe", name, RECIPES)
    return RECIPES[name]


def with_optimizer(recipe: Recipe, name: str) -> Recipe:
    """The recipe with one of OPTIMIZERS in place of its own.

    Raises:
        InputError: there is none of that name.
    """
    if name not in OPTIMIZERS:
        raise unknown("optimizer", name, ["recipe", *OPTIMIZERS, "all"])
    return replace(recipe, name=f"{recipe.name} with {name}", **(_NO_OPTIMIZER | OPTIMIZERS[name]))


def recipe_for(network: str) -> Recipe:
    """The recipe that is meant for a network."""
    return next(recipe for recipe in RECIPES.values() if recipe.network == network)


def choose(network: str, recipe: str) -> Recipe:
    """The recipe that two options mean: a network has one of its own, a recipe is meant for a network.

    Args:
        network, recipe: names; empty where the option was not given.

    Returns:
        a recipe whose `network` is the network to train.
    """
    if not recipe:
        return recipe_for(get_network(network or "lenet5").name)
    chosen = get_recipe(recipe)
    return replace(chosen, network=get_network(network).name) if network else chosen


def choose_all(networks: str, optimizers: str) -> list[Recipe]:
    """The recipes of every network, with its own optimizer or others.

    Args:
        networks: names with commas, or `all`.
        optimizers: keys of OPTIMIZERS with commas, `all` of them and the recipe's own, or `recipe` for this alone.
    """
    names = list(NETWORKS) if networks == "all" else [name.strip() for name in networks.split(",")]
    kinds = ["recipe", *OPTIMIZERS] if optimizers == "all" else [kind.strip() for kind in optimizers.split(",")]
    own = [recipe_for(get_network(name).name) for name in names]
    return [recipe if kind == "recipe" else with_optimizer(recipe, kind) for recipe in own for kind in kinds]
