"""The parts of LeNet-5 as networks of their own, and what the differences of their steps' times mean.

Profilers of frameworks name kernels, not layers, and what they see differs from one to the next. So nothing is looked
into: a whole training step is timed with a layer and without it, in the mode that is asked about, compiled as a whole
where the mode compiles. What is missing then is what the layer costs. The parts of a step add up to it exactly.
"""

from __future__ import annotations

from collections.abc import Mapping

from harness.spec.network import Dense, Flatten, Network, Shape
from harness.spec.networks import get_network

PARTS = {
    "conv1": "conv1, ReLU, pool: forward, gradient by weights",
    "conv2": "conv2, ReLU, pool: forward, gradient by weights",
    "conv2-input": "conv2: gradient by input",
    "dense": "dense layers",
    "rest": "what a step costs without these",
}


def networks() -> dict[str, Network]:
    """LeNet-5 without its first layers, and each of its convolutions with the smallest layer that learns behind it."""
    whole = get_network("lenet5")
    inputs: dict[str, Shape] = {row.layer.name: row.input_shape for row in whole.summary()}
    names = [layer.name for layer in whole.layers]

    def made(name: str, first: str, stop: str = "") -> Network:
        """The layers from `first` on, up to `stop` and then ten units, or to the end."""
        layers = whole.layers[names.index(first) : names.index(stop) if stop else None]
        if stop:
            layers += (Flatten("flatten"), Dense("units", whole.classes))
        shape = inputs[first] if len(inputs[first]) == 3 else (*inputs[first], 1, 1)
        if len(inputs[first]) == 1:
            layers = (Flatten("flatten"), *layers)
        return Network(name, shape, layers, whole.classes, whole.source)  # type: ignore[arg-type]

    return {
        "whole": whole,
        "without conv1": made("without-conv1", "conv2"),
        "conv1 alone": made("conv1-alone", "conv1", "conv2"),
        "behind conv1": made("behind-conv1", "conv2", "conv2"),
        "conv2 alone": made("conv2-alone", "conv2", "flatten"),
        "behind conv2": made("behind-conv2", "flatten", "flatten"),
        "dense3 alone": made("dense3-alone", "dense3"),
    }


def parts(seconds: Mapping[str, float]) -> dict[str, float]:
    """The time of each of PARTS from those of `networks()`; their sum is that of the whole step.

    The ten units behind a convolution hand it a gradient, which is counted with the convolution: 5 % of the operations
    of the first, 1 % of those of the second. Handing over a batch is counted with the layer that takes it.
    """
    conv1 = seconds["conv1 alone"] - seconds["behind conv1"]
    conv2 = seconds["conv2 alone"] - seconds["behind conv2"]
    conv2_input = seconds["whole"] - seconds["without conv1"] - conv1
    rest = seconds["dense3 alone"]
    dense = seconds["without conv1"] - conv2 - rest
    return {"conv1": conv1, "conv2": conv2, "conv2-input": conv2_input, "dense": dense, "rest": rest}
