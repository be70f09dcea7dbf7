"""Mistakes in formulas: another recipe or another network than was asked for, in an otherwise right backend."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from backends.attack_kit.attack import Attack
from backends.attack_kit.wrapper import Wrapper
from harness.spec.network import AveragePool, Conv, Dropout, Layer, MaxPool, Network, Relu, Sigmoid, Tanh


def _recipe(**changes: Any) -> Callable[[Any], Any]:
    return lambda recipe: replace(recipe, **changes)


def _scaled(share: float) -> tuple[type, Callable[[Any], Any]]:
    """All learning rates times a share."""

    class Scaled(Wrapper):
        def set_learning_rate(self, value: float) -> None:
            super().set_learning_rate(value * share)

    return Scaled, lambda recipe: replace(recipe, learning_rate=recipe.learning_rate * share)


def _layers(change: Callable[[Layer], Layer]) -> Callable[[Network], Network]:
    return lambda network: replace(network, layers=tuple(map(change, network.layers)))


def _kind(old: type, new: Callable[[Any], Layer], *, only: str = "") -> Callable[[Network], Network]:
    """Another layer in place of those of a kind, or of the one of that name."""
    return _layers(lambda layer: new(layer) if isinstance(layer, old) and only in ("", layer.name) else layer)


def _exchanged(first: type) -> Callable[[Network], Network]:
    """The first layer of a kind and the one behind it change places; names stay where they are."""

    def change(network: Network) -> Network:
        layers = list(network.layers)
        place = next(number for number, layer in enumerate(layers) if isinstance(layer, first))
        one, other = layers[place : place + 2]
        layers[place : place + 2] = [replace(other, name=one.name), replace(one, name=other.name)]
        return replace(network, layers=tuple(layers))

    return change


def _identity(layer: Layer) -> Layer:
    """A dropout that keeps all."""
    return Dropout(layer.name, 1.0)


def _optimizer(name: str) -> dict[str, tuple[str, ...]]:
    return {"options": ("--optimizer", name)}


def _network(name: str) -> dict[str, tuple[str, ...]]:
    return {"options": ("--network", name)}


_LARGER, _LARGER_RECIPE = _scaled(1.001)
_AVERAGED, _AVERAGED_RECIPE = _scaled(0.1)
MISTAKES = {
    "momentum-0.89": Attack("has momentum 0.89", recipe=_recipe(momentum=0.89)),
    "momentum-0.899": Attack("has momentum 0.899", recipe=_recipe(momentum=0.899)),
    "momentum-missing": Attack("has no momentum", recipe=_recipe(momentum=0.0)),
    "nesterov": Attack("has Nesterov's momentum", recipe=_recipe(nesterov=True)),
    "nesterov-missing": Attack("lacks Nesterov's term", recipe=_recipe(nesterov=False), **_optimizer("nesterov")),
    "decay": Attack("has a weight decay of 1e-4", recipe=_recipe(weight_decay=1e-4)),
    "decay-tiny": Attack("has a weight decay of 1e-6", recipe=_recipe(weight_decay=1e-6), caught_by="float64"),
    "decay-missing": Attack("has no weight decay", recipe=_recipe(weight_decay=0.0), **_optimizer("decay")),
    "decay-halved": Attack(
        "takes the decay for that of half of the squares' sum",
        recipe=lambda r: replace(r, weight_decay=r.weight_decay / 2),
        **_optimizer("decay"),
    ),
    "decay-doubled": Attack(
        "takes the decay for that of the squares' sum",
        recipe=lambda r: replace(r, weight_decay=r.weight_decay * 2),
        **_optimizer("decay"),
    ),
    "decay-coupled": Attack(
        "couples a decay that is not coupled",
        recipe=_recipe(decoupled=False),
        **_optimizer("adamw"),
        backends=("torch", "jax", "mxnet", "paddle", "numpy"),
    ),
    "decay-decoupled": Attack(
        "has AdamW's default decay in Adam", recipe=_recipe(decoupled=True, weight_decay=0.01), **_optimizer("adam")
    ),
    "beta1-0.95": Attack("has a first beta of 0.95", recipe=_recipe(beta1=0.95), **_optimizer("adam")),
    "beta2-0.99": Attack("has a second beta of 0.99", recipe=_recipe(beta2=0.99), **_optimizer("adam")),
    "beta2-0.9999": Attack("has a second beta of 0.9999", recipe=_recipe(beta2=0.9999), **_optimizer("adam")),
    "epsilon-1e-7": Attack("has Keras's epsilon", recipe=_recipe(epsilon=1e-7), **_optimizer("adam")),
    "epsilon-1e-3": Attack("has an epsilon of 1e-3", recipe=_recipe(epsilon=1e-3), **_optimizer("adam")),
    "rate-a-thousandth-larger": Attack(
        "has learning rates that are a thousandth too large", _LARGER, recipe=_LARGER_RECIPE
    ),
    "momentum-averaged": Attack("averages gradients: (1 - momentum) g for g", _AVERAGED, recipe=_AVERAGED_RECIPE),
    "loss-summed": Attack("trains on the sum over a batch", recipe=_recipe(reduction="sum")),
    "loss-by-64": Attack(
        "divides the sum over a batch by 64, however many images it has",
        recipe=_recipe(reduction="nominal", batch_size=64),
    ),
    "loss-mean-for-nominal": Attack(
        "divides by the images of a batch where the recipe divides by 64",
        recipe=_recipe(reduction="mean"),
        **_network("lenet-gluon"),
    ),
    "average-pool": Attack(
        "averages where it should take the largest",
        network=_kind(MaxPool, lambda layer: AveragePool(layer.name, layer.size)),
    ),
    "max-pool": Attack(
        "takes the largest where it should average",
        network=_kind(AveragePool, lambda layer: MaxPool(layer.name, layer.size)),
        **_network("lenet-d2l"),
    ),
    "tanh-for-relu": Attack("has tanh for ReLU", network=_kind(Relu, lambda layer: Tanh(layer.name))),
    "last-tanh-for-relu": Attack(
        "has tanh for the last ReLU", network=_kind(Relu, lambda layer: Tanh(layer.name), only="relu4")
    ),
    "relu-for-sigmoid": Attack(
        "has ReLU for sigmoid", network=_kind(Sigmoid, lambda layer: Relu(layer.name)), **_network("lenet-d2l")
    ),
    "tanh-for-sigmoid": Attack(
        "has tanh for sigmoid", network=_kind(Sigmoid, lambda layer: Tanh(layer.name)), **_network("lenet-d2l")
    ),
    "tanh-scaled": Attack(
        "has the scaled tanh of 1998",
        network=_kind(Tanh, lambda layer: Tanh(layer.name, 1.7159, 2 / 3)),
        **_network("lenet-gluon"),
    ),
    "tanh-not-scaled": Attack(
        "has plain tanh for the scaled one",
        network=_kind(Tanh, lambda layer: Tanh(layer.name)),
        **_network("lenet5-1998"),
    ),
    "activation-missing": Attack("lacks the last activation", network=_kind(Relu, _identity, only="relu4")),
    "activation-behind-pool": Attack("has the first activation behind its pool", network=_exchanged(Relu)),
    "sigmoid-behind-pool": Attack(
        "has the first sigmoid behind its average", network=_exchanged(Sigmoid), **_network("lenet-d2l")
    ),
    "padding-missing": Attack(
        "lacks the padding of its convolutions",
        network=_kind(Conv, lambda layer: replace(layer, padding=0)),
        crashes=True,
        **_network("convnet-tf1"),
    ),
    "connections-all": Attack(
        "connects all maps where only some are connected",
        network=_kind(Conv, lambda layer: replace(layer, connections=())),
        **_network("lenet5-1998"),
    ),
    "dropout-0.45": Attack(
        "keeps 0.45 where it should keep 0.5",
        network=_kind(Dropout, lambda layer: replace(layer, keep=0.45 if layer.keep < 1 else 1.0)),
        **_network("convnet-tf1"),
        caught_by="thousands of losses of one image each",
    ),
    "dropout-0.49": Attack(
        "keeps 0.49 where it should keep 0.5",
        network=_kind(Dropout, lambda layer: replace(layer, keep=0.49 if layer.keep < 1 else 1.0)),
        **_network("convnet-tf1"),
        caught_by="thousands of losses of one image each",
    ),
    "dropout-never": Attack("drops nothing", network=_kind(Dropout, _identity), **_network("convnet-tf1")),
}
