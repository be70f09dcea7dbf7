"""The layer table and what follows from it."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console

from harness.errors import InputError
from harness.spec.network import Conv, Dense, Flatten, MaxPool, Network
from harness.spec.networks import get_network
from harness.tables.network_table import show_network

LENET = get_network("lenet5")


def test_lenet5_layer_by_layer() -> None:
    """Output shapes, parameters and multiply-adds of lenet5 are those worked out by hand."""
    rows = [(row.layer.name, row.output_shape, row.parameters, row.multiply_adds) for row in LENET.summary()]

    assert rows == [
        ("conv1", (6, 28, 28), 156, 117_600),
        ("relu1", (6, 28, 28), 0, 0),
        ("pool1", (6, 14, 14), 0, 0),
        ("conv2", (16, 10, 10), 2_416, 240_000),
        ("relu2", (16, 10, 10), 0, 0),
        ("pool2", (16, 5, 5), 0, 0),
        ("flatten", (400,), 0, 0),
        ("dense1", (120,), 48_120, 48_000),
        ("relu3", (120,), 0, 0),
        ("dense2", (84,), 10_164, 10_080),
        ("relu4", (84,), 0, 0),
        ("dense3", (10,), 850, 840),
    ]
    assert LENET.parameters == 61_706
    assert LENET.input_shape == (1, 32, 32)
    assert LENET.classes == 10


def test_lenet5_parameter_shapes() -> None:
    """Canonical shapes: convolution (out, in, kernel, kernel), dense (out, in)."""
    shapes = LENET.parameter_shapes()

    assert shapes["conv1.weight"] == (6, 1, 5, 5)
    assert shapes["conv2.weight"] == (16, 6, 5, 5)
    assert shapes["conv2.bias"] == (16,)
    assert shapes["dense1.weight"] == (120, 400)
    assert shapes["dense3.weight"] == (10, 84)
    assert len(shapes) == 10


def test_padding_and_sizes_that_a_pool_cuts() -> None:
    """Padding widens, a pool leaves out what fills no window, and multiply-adds count every input channel."""
    network = Network(
        name="odd",
        input_shape=(3, 13, 11),
        layers=(Conv("c", 4, 3, padding=1), MaxPool("p"), Flatten("f"), Dense("d", 7)),
        classes=7,
        source="this test",
    )

    rows = list(network.summary())

    assert [row.output_shape for row in rows] == [(4, 13, 11), (4, 6, 5), (120,), (7,)]
    assert [row.parameters for row in rows] == [112, 0, 0, 847]
    assert [row.multiply_adds for row in rows] == [4 * 13 * 11 * 27, 0, 0, 840]


def test_only_the_first_dense_layer_knows_the_flattened_shape() -> None:
    """A backend of another layout learns where columns must be permuted, and only there."""
    found = [(layer.name, layer.kind, layer.flattened) for layer in LENET.weighted()]

    assert found == [
        ("conv1", "conv", None),
        ("conv2", "conv", None),
        ("dense1", "dense", (16, 5, 5)),
        ("dense2", "dense", None),
        ("dense3", "dense", None),
    ]


def printed(network: Network) -> list[str]:
    console = Console(file=StringIO(), width=80, highlight=False)
    show_network(console, network)
    assert isinstance(console.file, StringIO)
    return console.file.getvalue().splitlines()


def test_table_of_lenet5() -> None:
    """Shapes, parameters, operations of forward pass and training with shares; totals by kind, in 80 columns."""
    lines = printed(LENET)
    rows = {line.split()[0]: " ".join(line.split()[1:]) for line in lines[3:]}

    assert max(map(len, lines)) <= 80
    assert rows["input"] == "1 x 32 x 32"
    assert rows["conv1"] == "Conv 6 x 28 x 28 156 0.235 28.2% 0.470 20.8%"
    assert rows["pool2"] == "MaxPool 16 x 5 x 5"
    assert rows["dense1"] == "Dense 120 48,120 0.096 11.5% 0.288 12.7%"
    assert rows["convolution"] == "2,572 0.715 85.9% 1.910 84.4%"
    assert rows["dense"] == "59,134 0.118 14.1% 0.354 15.6%"
    assert rows["all"] == "61,706 0.833 100.0% 2.264 100.0%"


def test_table_of_a_large_network_keeps_its_numbers_whole() -> None:
    """Long names are folded, one of them with brackets; shapes and numbers of VGG's size are not."""
    layers = (
        Conv("a_long_name_[of_a_layer]", 64, 3, padding=1), MaxPool("p"), Flatten("f"), Dense("d", 4096),
    )  # fmt: skip
    network = Network(name="large", input_shape=(3, 224, 224), layers=layers, classes=4096, source="this test")

    lines = printed(network)

    assert max(map(len, lines)) <= 80
    text = "\n".join(lines)
    assert "64 x 224 x 224" in text
    assert "3,288,338,432" in text
    assert "[" in text
    assert "…" not in text


def test_unknown_network_lists_names() -> None:
    """A misspelt name is refused with the list and the nearest name; a far one without a guess."""
    with pytest.raises(InputError, match=r"no network 'lenet-5'\. There are: .*lenet5.*Did you mean 'lenet5'\?"):
        get_network("lenet-5")
    with pytest.raises(InputError) as caught:
        get_network("zzz")
    assert "Did you mean" not in str(caught.value)
