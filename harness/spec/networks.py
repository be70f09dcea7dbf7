"""The networks of the source documents, each declared here once; documents.md of the project says where each is from.

Standard library only.
"""

from __future__ import annotations

from harness.errors import unknown
from harness.spec.network import (
    AveragePool,
    Conv,
    Dense,
    Dropout,
    Flatten,
    Layer,
    MaxPool,
    Network,
    Relu,
    Sigmoid,
    Subsample,
    Tanh,
)

Activation = type[Relu] | type[Sigmoid] | type[Tanh]


def _lenet(
    activation: Activation,
    pool: type[MaxPool] | type[AveragePool],
    *,
    channels: tuple[int, int] = (6, 16),
    padding: int = 0,
) -> tuple[Layer, ...]:
    """LeNet-5 as tutorials have it: two blocks of 5x5 convolution, activation and pool; then 120, 84 and 10 units.

    Args:
        padding: of the first convolution.
    """
    kind = activation.__name__.lower()
    return (
        Conv("conv1", channels[0], 5, padding),
        activation(f"{kind}1"),
        pool("pool1"),
        Conv("conv2", channels[1], 5),
        activation(f"{kind}2"),
        pool("pool2"),
        Flatten("flatten"),
        Dense("dense1", 120),
        activation(f"{kind}3"),
        Dense("dense2", 84),
        activation(f"{kind}4"),
        Dense("dense3", 10),
    )


_LENET5 = Network(
    name="lenet5",
    input_shape=(1, 32, 32),
    layers=_lenet(Relu, MaxPool),
    classes=10,
    source="PyTorch 'official' LeNet; MNIST padded by 2 to 32x32",
)
_PADDLE = Network(
    name="lenet-paddle",
    input_shape=(1, 28, 28),
    layers=(
        Conv("conv1", 6, 5),
        Sigmoid("sigmoid1"),
        MaxPool("pool1"),
        Sigmoid("sigmoid2"),
        Conv("conv2", 16, 5),
        MaxPool("pool2"),
        Conv("conv3", 120, 4),
        Flatten("flatten"),
        Dense("dense1", 64),
        Sigmoid("sigmoid3"),
        Dense("dense2", 10),
    ),
    classes=10,
    source="Paddle's LeNet as its code has it: no activation after conv2 and conv3",
)
_GLUON = Network(
    name="lenet-gluon",
    input_shape=(1, 28, 28),
    layers=_lenet(Tanh, MaxPool),
    classes=10,
    source="MXNet Gluon's LeNet",
)
_CIFAR = Network(
    name="lenet-cifar",
    input_shape=(3, 32, 32),
    layers=_lenet(Relu, MaxPool, channels=(16, 32)),
    classes=10,
    source="PyTorch's and Keras's LeNet for CIFAR-10",
)
_D2L = Network(
    name="lenet-d2l",
    input_shape=(1, 28, 28),
    layers=_lenet(Sigmoid, AveragePool, padding=2),
    classes=10,
    source="Dive into Deep Learning's LeNet",
)
_LINEAR = Network(
    name="lenet-linear",
    input_shape=(1, 28, 28),
    layers=(
        Conv("conv1", 6, 3, padding=1),
        MaxPool("pool1"),
        Conv("conv2", 16, 5),
        MaxPool("pool2"),
        Flatten("flatten"),
        Dense("dense1", 120),
        Dense("dense2", 84),
        Dense("dense3", 10),
    ),
    classes=10,
    source="PyTorch 'folk' LeNet: no activation anywhere",
)

_CONVNET = Network(
    name="convnet-tf1",
    input_shape=(1, 28, 28),
    layers=(
        Conv("conv1", 32, 5, padding=2),
        Relu("relu1"),
        MaxPool("pool1"),
        Conv("conv2", 64, 5, padding=2),
        Relu("relu2"),
        MaxPool("pool2"),
        Flatten("flatten"),
        Dense("dense1", 1024),
        Relu("relu3"),
        Dropout("dropout", 0.5),
        Dense("dense2", 10),
    ),
    classes=10,
    source="TensorFlow 1's convolutional network; 'same' padding is 2 on each side of 5x5",
)
# LeCun et al. 1998, table I: for each map of C3, the maps of S2 that it sees.
_C3 = (
    (0, 1, 2), (1, 2, 3), (2, 3, 4), (3, 4, 5), (0, 4, 5), (0, 1, 5), (0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5),
    (0, 3, 4, 5), (0, 1, 4, 5), (0, 1, 2, 5), (0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5), (0, 1, 2, 3, 4, 5),
)  # fmt: skip
# The paper's appendix A: A tanh(S a) with these two, so that f(1) = 1 and f(-1) = -1.
_SQUASH = {"amplitude": 1.7159, "slope": 2 / 3}
_ORIGINAL = Network(
    name="lenet5-1998",
    input_shape=(1, 32, 32),
    layers=(
        Conv("c1", 6, 5),
        Tanh("tanh1", **_SQUASH),
        Subsample("s2"),
        Tanh("tanh2", **_SQUASH),
        Conv("c3", 16, 5, connections=_C3),
        Tanh("tanh3", **_SQUASH),
        Subsample("s4"),
        Tanh("tanh4", **_SQUASH),
        Conv("c5", 120, 5),
        Flatten("flatten"),
        Tanh("tanh5", **_SQUASH),
        Dense("f6", 84),
        Tanh("tanh6", **_SQUASH),
        Dense("output", 10),
    ),
    classes=10,
    source="LeCun et al. 1998; ten logits in place of the paper's radial basis units",
)

_ALL = (_LENET5, _PADDLE, _GLUON, _CIFAR, _D2L, _LINEAR, _CONVNET, _ORIGINAL)
NETWORKS: dict[str, Network] = {network.name: network for network in _ALL}


def get_network(name: str) -> Network:
    """Return the network of that name.

    Raises:
        InputError: there is none; the message lists the names and the nearest one.
    """
    if name not in NETWORKS:
        raise unknown("network", name, NETWORKS)
    return NETWORKS[name]
