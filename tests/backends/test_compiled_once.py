"""What a launch compiles: one program for the steps of one batch size, whatever came before."""

from __future__ import annotations

import numpy as np
import pytest

from harness.spec.networks import get_network
from harness.spec.start import initial_weights


def test_jax_compiles_a_step_once(make, backend_name: str, any_mode: str) -> None:
    """The first step, the next ones, those after another learning rate, and those after weights were loaded again."""
    if backend_name != "jax" or any_mode == "eager":
        pytest.skip("JAX alone says how many programs it has made, and without jit there are none")
    backend, network = make(mode=any_mode), get_network("lenet5")
    weights = initial_weights(network, seed=0)
    batch = (np.zeros((9, *network.input_shape), np.float32), np.zeros(9, np.int32))
    for rate in (0.05, 0.025):
        backend.load_weights(weights)
        backend.train_steps([batch] * 2)
        backend.train_steps([batch] * 2)
        backend.set_learning_rate(rate)
        backend.train_steps([batch] * 2)
    function = backend._loop if any_mode == "epoch" else backend._step
    backend.synchronize()

    assert function._cache_size() == 1
