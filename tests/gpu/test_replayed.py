"""PyTorch's captured steps without a card: graphs are made up, and a replay does on the CPU what was captured."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from harness.spec.networks import get_network
from harness.spec.recipes import LENET5
from harness.spec.start import initial_weights

Batch = tuple[np.ndarray, np.ndarray]


class Stream:
    """Nothing on a CPU is ever waited for."""

    def wait_stream(self, other: Any) -> None:
        pass


class Graph:
    """Does the captured step of the backend under test again, and puts its loss where the captured one lay."""

    backend: Any = None

    def replay(self) -> None:
        captured = self.backend._step
        ((batch, loss),) = [(batch, loss) for graph, batch, loss in captured._graphs.values() if graph is self]
        loss.copy_(captured._step(*batch))


class Capture:
    """What is captured is not done: weights and momentum are put back."""

    def __init__(self, graph: Graph, stream: Stream) -> None:
        self._backend = graph.backend

    def _state(self) -> list[Any]:
        momentum = [state["momentum_buffer"] for state in self._backend._optimizer.state.values()]
        return [*(value.data for value in self._backend._model.parameters()), *momentum]

    def __enter__(self) -> None:
        self._kept = [value.clone() for value in self._state()]

    def __exit__(self, *_: object) -> None:
        for value, kept in zip(self._state(), self._kept, strict=True):
            value.copy_(kept)


@pytest.fixture
def make_on_cpu(backend_name: str, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    """Return a function that builds PyTorch's backend in a mode, on the CPU, with made-up graphs."""
    if backend_name != "torch":
        pytest.skip("only PyTorch captures here")
    import torch

    from backends.torch.backend import Backend

    for name, value in (
        ("Stream", Stream),
        ("current_stream", Stream),
        ("stream", lambda stream: contextlib.nullcontext()),
        ("CUDAGraph", Graph),
        ("graph", Capture),
    ):
        monkeypatch.setattr(torch.cuda, name, value)

    def build(mode: str) -> Any:
        options = {"network": get_network("lenet5"), "recipe": LENET5, "feed": "host", "device": "cpu"}
        return Backend(mode=mode, dtype="float32", threads=1, **options)

    return build


def test_replays_train_as_eager_steps_do(
    make_on_cpu: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch, batches: list[Batch]
) -> None:
    """Any order of sizes, another learning rate on the way, weights loaded again: the same losses, bit by bit."""
    captured, eager = make_on_cpu("cuda-graph"), make_on_cpu("eager")
    monkeypatch.setattr(Graph, "backend", captured)
    sizes = (64, 32, 64, 10)
    mixed = [(images[: sizes[k % 4]], labels[: sizes[k % 4]]) for k, (images, labels) in enumerate(batches * 2)]

    for seed in (0, 1, 0):
        losses = []
        for backend in (captured, eager):
            backend.load_weights(initial_weights(get_network("lenet5"), seed=seed))
            first = backend.to_numpy(backend.train_steps(mixed[:12]))
            backend.set_learning_rate(0.01)
            losses.append(np.concatenate([first, backend.to_numpy(backend.train_steps(mixed[12:]))]))
        np.testing.assert_array_equal(*losses)
    assert sorted(captured._step._graphs) == [10, 32, 64]
