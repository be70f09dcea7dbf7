"""PyTorch's captured steps: any order of batch sizes, losses that are kept, weights loaded between replays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from harness.spec.networks import get_network
from harness.spec.recipes import LENET5
from harness.spec.start import initial_weights

WEIGHTS = initial_weights(get_network("lenet5"), seed=0)
OTHERS = initial_weights(get_network("lenet5"), seed=1)
Batch = tuple[np.ndarray, np.ndarray]


@pytest.fixture
def captured(card: None, backend_name: str, make: Callable[..., Any]) -> Any:
    if backend_name != "torch":
        pytest.skip("only PyTorch captures here")
    return make(mode="cuda-graph")


def losses(backend: Any, weights: dict[str, np.ndarray], batches: list[Batch]) -> np.ndarray:
    backend.load_weights(weights)
    return backend.to_numpy(backend.train_steps(batches))


def test_sizes_in_any_order_train_as_without_capturing(
    captured: Any, make: Callable[..., Any], batches: list[Batch]
) -> None:
    """64, 32, 64, 10, ... images: a graph for each size that comes often enough, one after the other."""
    sizes = (64, 32, 64, 10)
    mixed = [(images[: sizes[k % 4]], labels[: sizes[k % 4]]) for k, (images, labels) in enumerate(batches * 2)]

    np.testing.assert_allclose(losses(captured, WEIGHTS, mixed), losses(make(mode="eager"), WEIGHTS, mixed), rtol=1e-3)


def test_every_loss_is_kept(captured: Any, batches: list[Batch]) -> None:
    """A replay writes to the same place as the one before."""
    found = losses(captured, WEIGHTS, batches)

    assert len(set(found.tolist())) == len(batches)


def test_weights_loaded_after_capturing_are_trained(
    captured: Any, make: Callable[..., Any], batches: list[Batch]
) -> None:
    """Replays start from what was loaded last."""
    losses(captured, WEIGHTS, batches)

    found = losses(captured, OTHERS, batches)

    np.testing.assert_allclose(found, losses(make(mode="eager"), OTHERS, batches), rtol=1e-3)


def test_gradients_between_replays_change_nothing(
    captured: Any, make: Callable[..., Any], batches: list[Batch]
) -> None:
    """A gradient of its own lies elsewhere than those that were captured."""
    losses(captured, WEIGHTS, batches)
    images, labels = batches[0]
    captured.gradients(captured.put(images=images, labels=labels))

    found = losses(captured, WEIGHTS, batches)

    np.testing.assert_allclose(found, losses(make(mode="eager"), WEIGHTS, batches), rtol=1e-3)


def test_momentum_set_back_in_place_is_a_new_optimizer(backend_name: str, backend_class: Any) -> None:
    """What loading weights does where addresses are constants: the steps after it are those of a fresh optimizer."""
    if backend_name != "torch":
        pytest.skip("only PyTorch captures here")
    import torch

    from backends.torch.optimizer import forget, make_optimizer

    model = torch.nn.Linear(5, 3)
    start = {name: value.detach().clone() for name, value in model.named_parameters()}
    optimizer = make_optimizer(model, replace(LENET5, nesterov=True), mode="eager")

    def train() -> list[float]:
        model.load_state_dict(start)
        found = []
        for step in range(4):
            optimizer.zero_grad()
            loss = (model(torch.full((2, 5), 0.1 * step + 0.1)) ** 2).sum()
            loss.backward()
            optimizer.step()
            found.append(loss.item())
        return found

    first = train()
    assert train() != first
    forget(optimizer)

    assert train() == first
