"""Floating-point operations that a network needs for one image, from its layer table. Standard library only.

A multiply and an add are two operations. Counted are the products of the weighted layers as a matrix product of patches
(im2col) does them, zeros of the padding included; for one image (Goodfellow et al. 2016, Deep Learning, 6.5 and 9.5,
derive the gradients):

    convolution   2 * kernel * kernel * channels in * channels out * height out * width out
    dense         2 * inputs * units
    gradient by the weights   as many as the forward pass: each product has one factor exchanged
    gradient by the inputs    as many again, but none for the first weighted layer: nobody asks for the image's

Not counted: biases, ReLU, pooling, softmax and loss (together some 2 % of lenet5's forward pass), and the optimizer's
update, which belongs to a step, not to an image: 4 to 5 operations a parameter, which is 0.17 to 0.21 % of lenet5's
training at batch 64. docs/operations.md says what follows from that.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from harness.spec.network import Conv, Dense, Network

# A layer with multiply-adds that is not here fails, rather than being left out of the count.
_KINDS = {Conv: "conv", Dense: "dense"}


@dataclass(frozen=True)
class Operations:
    """Floating-point operations for one image, by the kind of layer that needs them."""

    conv: int
    dense: int

    @property
    def total(self) -> int:
        """Of all layers."""
        return self.conv + self.dense


@dataclass(frozen=True)
class LayerOperations:
    """Floating-point operations of one weighted layer for one image.

    Attributes:
        name: of the layer.
        kind: `conv` or `dense`.
        forward: its outputs, without the bias.
        weight_gradient: the loss's gradient by its weights.
        input_gradient: the loss's gradient by its inputs, which the layers before it need; 0 where there are none.
    """

    name: str
    kind: str
    forward: int
    weight_gradient: int
    input_gradient: int

    @property
    def training(self) -> int:
        """Forward and backward."""
        return self.forward + self.weight_gradient + self.input_gradient


def by_layer(network: Network) -> Iterator[LayerOperations]:
    """The weighted layers in order, each with its operations for one image."""
    first = True
    for row in network.summary():
        if not row.multiply_adds:
            continue
        forward = 2 * row.multiply_adds
        kind = _KINDS[type(row.layer)]
        # The usual rule, backward = 2 x forward (Amodei and Hernandez 2018, "AI and compute"; Kaplan et al. 2020,
        # arXiv:2001.08361, 2.1), is meant for large networks. In a small one the first layer is no small part: the
        # rule would say 10 % too many for lenet5, and every share of the peak would be as much too high.
        yield LayerOperations(row.layer.name, kind, forward, forward, 0 if first else forward)
        first = False


def forward(network: Network) -> Operations:
    """Operations of the forward pass, which is inference, for one image."""
    layers = list(by_layer(network))
    return Operations(**{kind: sum(each.forward for each in layers if each.kind == kind) for kind in _KINDS.values()})


def training(network: Network) -> Operations:
    """Operations of the forward and the backward pass for one image; a step's are these times the batch size."""
    layers = list(by_layer(network))
    return Operations(**{kind: sum(each.training for each in layers if each.kind == kind) for kind in _KINDS.values()})
