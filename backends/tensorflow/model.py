"""The networks as `keras.Sequential`."""

from __future__ import annotations

import keras

from harness.network import Conv, Dense, Flatten, Layer, MaxPool, Network, Relu


def build(network: Network, *, dtype: str) -> keras.Sequential:
    """Build the network; its layers carry the names of the layer table.

    Args:
        dtype: name of a Keras dtype policy: `float32`, `float64`, `mixed_bfloat16`.
    """
    channels, height, width = network.input_shape
    model = keras.Sequential(
        [keras.Input((height, width, channels), dtype=keras.DTypePolicy(dtype).variable_dtype)], name=network.name
    )
    for layer in network.layers:
        if isinstance(layer, Conv) and layer.padding:
            model.add(keras.layers.ZeroPadding2D(layer.padding, dtype=dtype, name=f"{layer.name}_padding"))
        model.add(_layer(layer, dtype=dtype))
    return model


def _layer(layer: Layer, *, dtype: str) -> keras.Layer:
    options = {"name": layer.name, "dtype": dtype}
    match layer:
        case Conv(channels=channels, kernel=kernel):
            return keras.layers.Conv2D(channels, kernel, **options)
        case Relu():
            return keras.layers.ReLU(**options)
        case MaxPool(size=size):
            return keras.layers.MaxPooling2D(size, **options)
        case Flatten():
            return keras.layers.Flatten(**options)
        case Dense(units=units):
            return keras.layers.Dense(units, **options)
    raise ValueError(f"backends/tensorflow has no layer for {layer}. Add it to _layer().")
