"""Dropout is held to independent draws of the right chance in training, and to nothing at all in inference."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from backends.numpy.backend import Backend
from harness.spec.networks import get_network
from harness.worker import dropout
from harness.worker.dropout import (
    BACKWARD,
    IMAGES,
    INFERENCE,
    KEPT,
    LOSS,
    PER_IMAGE,
    PER_UNIT,
    SIZE,
    STEPS,
    TOLERANCES,
)

OPTIONS = {"mode": "eager", "feed": "host", "device": "cpu", "threads": 1}
Change = Callable[[Any], None]


def errors(keep: float, change: Change = lambda layer: None, *, seed: int = 0, dtype: str = "float32") -> dict:
    """Measure the NumPy backend, its dropout layer changed."""

    def build(network: Any, recipe: Any) -> Backend:
        backend = Backend(network=network, recipe=recipe, dtype=dtype, **OPTIONS)
        layer = backend._model.layers[2]
        layer.random = np.random.default_rng(seed)
        change(layer)
        return backend

    return {name: float(value) for name, value in dropout.measure(build, keep=keep, dtype=dtype).items()}


def failing(found: dict[str, float]) -> set[str]:
    return {name for name, tolerance in TOLERANCES.items() if not found[name] <= tolerance}


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
@pytest.mark.parametrize("keep", [0.5, 0.8])
def test_right_dropout_passes(keep: float, dtype: str) -> None:
    """The reference passes from five seeds, in every precision; in float64 sizes are right to 12 digits."""
    found = [errors(keep, seed=seed, dtype=dtype) for seed in range(5)]

    assert set(found[0]) == set(TOLERANCES)
    assert [failing(each) for each in found] == [set()] * 5


def _draw(masks: Callable[[Any, tuple[int, ...]], np.ndarray]) -> Change:
    """A layer that keeps what `masks` says, and is right in all else."""

    def change(layer: Any) -> None:
        def forward(x: np.ndarray, parameters: Any) -> np.ndarray:
            layer.factor = np.ones((), x.dtype)
            if layer.training:
                layer.factor = masks(layer, x.shape).astype(x.dtype) / np.asarray(layer.layer.keep, x.dtype)
            return x * layer.factor

        layer.forward = forward

    return change


def _keeping(keep: float) -> Change:
    """It divides by what it keeps, too."""
    return lambda layer: object.__setattr__(layer.layer, "keep", keep)


def _chance(keep: float) -> Change:
    """It keeps more or less than it divides by."""
    return _draw(lambda layer, shape: layer.random.random(shape) < keep)


def _drop_always(layer: Any) -> None:
    right = layer.forward

    def forward(x: np.ndarray, parameters: Any) -> np.ndarray:
        layer.training = True
        return right(x, parameters)

    layer.forward = forward


def _unscaled(layer: Any) -> None:
    right, keep = layer.forward, layer.layer.keep

    def forward(x: np.ndarray, parameters: Any) -> np.ndarray:
        y = right(x, parameters)
        if not layer.training:
            return y
        layer.factor = layer.factor * np.float32(keep)
        return y * np.float32(keep)

    layer.forward = forward


def _scaled_in_inference(layer: Any) -> None:
    right, keep = layer.forward, np.float32(layer.layer.keep)
    layer.forward = lambda x, parameters: right(x, parameters) * (1 if layer.training else keep)


def _never(layer: Any) -> None:
    layer.backward = lambda dy, parameters, gradients: dy
    layer.forward = lambda x, parameters: x


def _leaking(share: float) -> Change:
    """Dropped values pass back a share of their gradient."""

    def change(layer: Any) -> None:
        def backward(dy: np.ndarray, parameters: Any, gradients: Any) -> np.ndarray:
            return dy * np.where(layer.factor == 0, np.float32(share), layer.factor)

        layer.backward = backward

    return change


def _another_mask_backward(layer: Any) -> None:
    def backward(dy: np.ndarray, parameters: Any, gradients: Any) -> np.ndarray:
        return dy * layer.random.permutation(layer.factor.T).T

    layer.backward = backward


def _fresh(layer: Any, shape: tuple[int, ...]) -> np.ndarray:
    return layer.random.random(shape) < layer.layer.keep


def _one_for_all(layer: Any, shape: tuple[int, ...]) -> np.ndarray:
    return np.broadcast_to(_fresh(layer, (1, *shape[1:])), shape)


def _same_every_step(layer: Any, shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(3).random(shape) < layer.layer.keep


def _same_every_call(layer: Any, shape: tuple[int, ...]) -> np.ndarray:
    """A key that is drawn anew in every step of a block, and the same in every block."""
    layer.count = getattr(layer, "count", -1) + 1
    return np.random.default_rng(layer.count % dropout.CALL).random(shape) < layer.layer.keep


def _handed_on(layer: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Each image has the mask that its neighbour had a step ago."""
    masks = np.roll(getattr(layer, "last", _fresh(layer, shape)), 1, axis=0)
    masks[0] = _fresh(layer, shape)[0]
    layer.last = masks
    return masks


def _exactly_so_many(layer: Any, shape: tuple[int, ...]) -> np.ndarray:
    ranks = layer.random.random(shape).argsort(axis=1).argsort(axis=1)
    return ranks < round(layer.layer.keep * shape[1])


def _some_units_more(layer: Any, shape: tuple[int, ...]) -> np.ndarray:
    chance = layer.layer.keep + np.where(np.arange(shape[1]) % 2, 0.1, -0.1)
    return layer.random.random(shape) < chance


WRONG = {
    "keeps 0.45": (0.5, _keeping(0.45), {KEPT, SIZE}),
    "keeps 0.49": (0.5, _keeping(0.49), {KEPT, SIZE}),
    "keeps 0.51": (0.5, _keeping(0.51), {KEPT, SIZE}),
    "keeps 0.49, divides by 0.5": (0.5, _chance(0.49), {KEPT}),
    "keeps 0.51, divides by 0.5": (0.5, _chance(0.51), {KEPT}),
    "not scaled": (0.5, _unscaled, {SIZE, LOSS}),
    "scaled in inference instead": (0.5, _scaled_in_inference, {INFERENCE}),
    "keep and drop exchanged": (0.7, _keeping(1 - 0.7), {KEPT, SIZE}),
    "never": (0.5, _never, {KEPT, SIZE, LOSS}),
    "in inference": (0.5, _drop_always, {INFERENCE}),
    "same mask every step": (0.5, _draw(_same_every_step), {STEPS, PER_UNIT}),
    "same masks every call": (0.5, _draw(_same_every_call), {STEPS}),
    "masks handed on": (0.5, _draw(_handed_on), {STEPS}),
    "same mask for all images": (0.5, _draw(_one_for_all), {IMAGES}),
    "exactly half of every image": (0.5, _draw(_exactly_so_many), {PER_IMAGE}),
    "some units more than others": (0.5, _draw(_some_units_more), {PER_UNIT}),
    "gradient through dropped values": (0.5, _leaking(2.0), {KEPT, BACKWARD}),
    "a thousandth through dropped values": (0.5, _leaking(1e-3), {KEPT, BACKWARD, SIZE}),
    "another mask backward": (0.5, _another_mask_backward, {BACKWARD}),
}


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_wrong_dropout_fails(name: str, dtype: str) -> None:
    """Each mistake fails where it should; in bfloat16 a factor that is off by a hundredth is within rounding."""
    keep, change, wanted = WRONG[name]
    if dtype == "bfloat16":
        wanted = wanted - {SIZE, LOSS} or wanted

    assert wanted <= failing(errors(keep, change, dtype=dtype))


def test_a_keep_off_by_a_hundredth_is_refused_every_time() -> None:
    """From 20 seeds, by the number of values alone; a right one passes with as much room."""
    for seed in range(20):
        assert errors(0.5, _chance(0.49), seed=seed)[KEPT] > TOLERANCES[KEPT]
        assert errors(0.5, seed=seed)[KEPT] < TOLERANCES[KEPT] - 1


def test_spread_is_of_a_chi_square() -> None:
    """Over 2,000 binomial samples, errors are a normal variable's: two of three below 1, one in 20 above 2."""
    random = np.random.default_rng(0)
    found = np.array([dropout._spread(random.binomial(2048, 0.5, 128), 512.0) for _ in range(2000)])

    assert np.mean(found < 1) == pytest.approx(0.683, abs=0.05)
    assert np.mean(found > 2) == pytest.approx(0.0455, abs=0.02)
    assert found.max() < 5


def test_keep_of_a_network() -> None:
    """The TensorFlow 1 network keeps half; without its dropout, and in LeNet, there is none."""
    convnet = get_network("convnet-tf1")

    assert dropout.keep_of(convnet) == 0.5
    assert dropout.keep_of(convnet.keeping_all()) is None
    assert dropout.keep_of(get_network("lenet5")) is None
