"""The networks of the source documents: parameters, shapes, operations."""

from __future__ import annotations

from collections import Counter

import pytest

from harness.errors import InputError
from harness.spec.connections import connection_mask
from harness.spec.network import AveragePool, Conv, Dense, Flatten, Layer, MaxPool, Relu, Sigmoid, Tanh
from harness.spec.networks import NETWORKS, get_network
from harness.spec.operations import forward

# From the table of documents.md; multiply-adds worked out by hand from its layers.
DOCUMENTED = {
    "lenet5": (61_706, 117_600 + 240_000 + 48_000 + 10_080 + 840),
    "lenet-paddle": (41_806, 86_400 + 153_600 + 30_720 + 7_680 + 640),
    "lenet-gluon": (44_426, 86_400 + 153_600 + 30_720 + 10_080 + 840),
    "lenet-cifar": (121_182, 940_800 + 1_280_000 + 96_000 + 10_080 + 840),
    "lenet-d2l": (61_706, 117_600 + 240_000 + 48_000 + 10_080 + 840),
    "lenet-linear": (61_610, 42_336 + 240_000 + 48_000 + 10_080 + 840),
    "convnet-tf1": (3_274_634, 627_200 + 10_035_200 + 3_211_264 + 10_240),
    # C1 156, S2 12, C3 1,516, S4 32, C5 48,120, F6 10,164, and ten logits.
    "lenet5-1998": (156 + 12 + 1_516 + 32 + 48_120 + 10_164 + 850, 117_600 + 150_000 + 48_000 + 10_080 + 840),
}


@pytest.mark.parametrize("name", DOCUMENTED)
def test_parameters_and_operations_are_the_documents(name: str) -> None:
    """Parameter counts are those of documents.md; operations of the forward pass are two a multiply-add."""
    parameters, multiply_adds = DOCUMENTED[name]
    network = get_network(name)

    assert network.parameters == parameters
    assert forward(network).total == 2 * multiply_adds
    assert network.name == name
    assert network.source


def test_all_networks_are_documented_here() -> None:
    """A network that is added has its figures in this file."""
    assert set(DOCUMENTED) == set(NETWORKS)


def test_d2l_has_the_shapes_that_the_document_prints() -> None:
    """Twelve layers, kind and shape."""
    kinds = {
        Conv: "Conv2d", Sigmoid: "Sigmoid", AveragePool: "AvgPool2d", Flatten: "Flatten", Dense: "Linear",
    }  # fmt: skip
    found = [(kinds[type(row.layer)], row.output_shape) for row in get_network("lenet-d2l").summary()]  # type: ignore[index]

    assert found == [
        ("Conv2d", (6, 28, 28)),
        ("Sigmoid", (6, 28, 28)),
        ("AvgPool2d", (6, 14, 14)),
        ("Conv2d", (16, 10, 10)),
        ("Sigmoid", (16, 10, 10)),
        ("AvgPool2d", (16, 5, 5)),
        ("Flatten", (400,)),
        ("Linear", (120,)),
        ("Sigmoid", (120,)),
        ("Linear", (84,)),
        ("Sigmoid", (84,)),
        ("Linear", (10,)),
    ]


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("lenet-paddle", {Sigmoid: 3, Conv: 3, MaxPool: 2, Dense: 2, Flatten: 1}),
        ("lenet-gluon", {Tanh: 4, Conv: 2, MaxPool: 2, Dense: 3, Flatten: 1}),
        ("lenet-cifar", {Relu: 4, Conv: 2, MaxPool: 2, Dense: 3, Flatten: 1}),
        ("lenet-linear", {Conv: 2, MaxPool: 2, Dense: 3, Flatten: 1}),
    ],
)
def test_layers_are_of_the_documents_kinds(name: str, kinds: dict[type[Layer], int]) -> None:
    """Activations, pools and weighted layers, each as often as the document has them."""
    assert Counter(type(layer) for layer in get_network(name).layers) == kinds


def test_paddle_has_its_second_sigmoid_after_the_first_pool() -> None:
    """The code of the document, not its text: sigmoid, pool, sigmoid; nothing after the other convolutions."""
    names = [layer.name for layer in get_network("lenet-paddle").layers]

    assert names[:8] == ["conv1", "sigmoid1", "pool1", "sigmoid2", "conv2", "pool2", "conv3", "flatten"]


def test_the_original_has_the_papers_counts() -> None:
    """Trainable parameters layer by layer, as LeCun et al. 1998 give them."""
    counts = {row.layer.name: row.parameters for row in get_network("lenet5-1998").summary() if row.parameters}

    assert counts == {
        "c1": 156, "s2": 12, "c3": 1_516, "s4": 32, "c5": 48_120, "f6": 10_164, "output": 850,
    }  # fmt: skip


def test_connections_of_c3_are_table_1() -> None:
    """Six maps see three neighbours, six see four, three see four that are not, the last sees all; each S2 map is
    seen by ten."""
    (c3,) = (layer for layer in get_network("lenet5-1998").layers if layer.name == "c3")
    assert isinstance(c3, Conv)
    mask = connection_mask(c3, 6)[:, :, 0, 0]

    assert mask.sum(axis=1).tolist() == [3] * 6 + [4] * 9 + [6]
    assert mask.sum(axis=0).tolist() == [10] * 6
    assert len({tuple(row) for row in mask}) == 16


def test_keeping_all_changes_dropout_alone() -> None:
    """The network without dropout has the same layers, names and parameters, and drops nothing."""
    convnet = get_network("convnet-tf1")
    kept = convnet.keeping_all()

    assert convnet.drops
    assert not kept.drops
    assert [layer.name for layer in kept.layers] == [layer.name for layer in convnet.layers]
    assert get_network("lenet5").keeping_all() == get_network("lenet5")


@pytest.mark.parametrize("name", NETWORKS)
def test_names_of_layers_are_unique(name: str) -> None:
    """Weights and messages are told apart by them."""
    names = [layer.name for layer in get_network(name).layers]

    assert len(set(names)) == len(names)


def test_unknown_network_is_a_sentence() -> None:
    """The list, and the nearest name."""
    with pytest.raises(InputError, match=r"no network 'lenet-gluno'\. There are: .*Did you mean 'lenet-gluon'"):
        get_network("lenet-gluno")
