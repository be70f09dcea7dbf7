"""Activations in vectors, each with its derivative by its output."""

from __future__ import annotations

from typing import Any

from backends.numba.vector import Code, exponential
from harness.spec.network import Layer, Relu, Sigmoid, Tanh

KINDS = (Relu, Sigmoid, Tanh)


def activate(code: Code, layer: Layer | None, x: Any) -> Any:
    """The layer's value; x itself where there is no layer."""
    zero, one = code.constant(0), code.constant(1)
    match layer:
        case Relu():
            # This way round what is no number stays none.
            return code.select(code.less(x, zero), zero, x)
        case Sigmoid():
            p, scale = exponential(code, negative(code, x))
            small = code.fma(scale, p, scale)
            return code.div(code.select(code.less(x, zero), small, one), code.add(one, small))
        case Tanh(amplitude=amplitude, slope=slope):
            # tanh |x| = -t / (2 + t) with t = exp(-2 |x|) - 1.
            x = code.mul(x, code.constant(slope)) if slope != 1 else x
            p, scale = exponential(code, code.mul(negative(code, x), code.constant(2)))
            less_one = code.fma(scale, p, code.sub(scale, one))
            size = code.div(less_one, code.add(code.constant(2), less_one))
            value = code.select(code.less(x, zero), size, code.sub(zero, size))
            return code.mul(value, code.constant(amplitude)) if amplitude != 1 else value
    return x


def negative(code: Code, x: Any) -> Any:
    """-|x|."""
    minus = code.sub(code.constant(0), x)
    return code.select(code.less(x, minus), x, minus)


def derive(code: Code, layer: Layer | None, dy: Any, y: Any) -> Any:
    """The gradient of what the layer was given, from that of its value y."""
    one = code.constant(1)
    match layer:
        case Relu():
            return code.select(code.less(code.constant(0), y), dy, code.constant(0))
        case Sigmoid():
            return code.mul(code.mul(dy, y), code.sub(one, y))
        case Tanh(amplitude=amplitude, slope=slope):
            y = code.mul(y, code.constant(1 / amplitude)) if amplitude != 1 else y
            change = code.mul(dy, code.sub(one, code.mul(y, y)))
            return code.mul(change, code.constant(amplitude * slope)) if amplitude * slope != 1 else change
    return dy
