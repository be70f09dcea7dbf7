"""`sight FRAMEWORK DEVICE`: how long starting takes, what it says of itself, how exact its products are."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

SIZE = 512
# A GPU has enough memory for several of them, and JAX would take most of it.
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")


def say(**values: Any) -> None:
    """Print one line of JSON."""
    print(json.dumps(values, default=str), flush=True)


def seconds(call: Callable[[], Any]) -> float:
    """How long a call takes."""
    start = time.perf_counter()
    call()
    return round(time.perf_counter() - start, 3)


def factors() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two matrices in float32, and their product in float64."""
    random = np.random.default_rng(0)
    left, right = (random.standard_normal((SIZE, SIZE)).astype(np.float32) for _ in range(2))
    return left, right, left.astype(float) @ right.astype(float)


def error(found: np.ndarray, exact: np.ndarray) -> float:
    """Largest error over largest value: some 1e-6 in float32, 1e-3 in TF32."""
    return float(np.abs(found - exact).max() / np.abs(exact).max())


def torch_sight(device: str) -> None:
    """What PyTorch says."""
    start = time.perf_counter()
    import torch

    say(
        version=torch.__version__,
        import_s=round(time.perf_counter() - start, 3),
        tf32_matmul_by_default=torch.backends.cuda.matmul.allow_tf32,
        tf32_cudnn_by_default=torch.backends.cudnn.allow_tf32,
    )
    place = torch.device("cuda" if device == "gpu" else "cpu")
    say(first_tensor_s=seconds(lambda: torch.zeros(1, device=place)))
    if device == "gpu":
        properties = torch.cuda.get_device_properties(0)
        say(
            card=properties.name, capability=f"{properties.major}.{properties.minor}", cuda=torch.version.cuda,
            cudnn=torch.backends.cudnn.version(), multiprocessors=properties.multi_processor_count,
        )  # fmt: skip
    left, right, exact = factors()
    a, b = torch.from_numpy(left).to(place), torch.from_numpy(right).to(place)
    image = torch.ones(64, 1, 32, 32, device=place)
    kernel = torch.ones(6, 1, 5, 5, device=place)
    say(first_product_s=seconds(lambda: (a @ b).cpu()))
    say(first_convolution_s=seconds(lambda: torch.conv2d(image, kernel).cpu()))
    for wanted in (False, True):
        torch.backends.cuda.matmul.allow_tf32 = wanted
        say(**{f"product_error_tf32_{'on' if wanted else 'off'}": error((a @ b).cpu().numpy(), exact)})


def jax_sight(device: str) -> None:
    """What JAX says."""
    start = time.perf_counter()
    import jax

    say(version=jax.__version__, import_s=round(time.perf_counter() - start, 3))
    say(first_tensor_s=seconds(lambda: jax.device_put(np.zeros(1), jax.devices(device)[0])))
    place = jax.devices(device)[0]
    say(card=place.device_kind, cuda=" ".join(place.client.platform_version.split()), default=jax.default_backend())
    left, right, exact = factors()
    a, b = (jax.device_put(each, place) for each in (left, right))
    image, kernel = (jax.device_put(np.ones(shape, np.float32), place) for shape in ((64, 32, 32, 1), (5, 5, 1, 6)))

    def product() -> np.ndarray:
        return np.asarray(jax.jit(lambda a, b: a @ b)(a, b))

    @jax.jit
    def convolve(image: jax.Array, kernel: jax.Array) -> jax.Array:
        return jax.lax.conv_general_dilated(image, kernel, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC"))

    say(first_product_s=seconds(product))
    say(first_convolution_s=seconds(lambda: np.asarray(convolve(image, kernel))))
    for precision, name in (("highest", "off"), ("tensorfloat32", "on"), (None, "by_default")):
        jax.config.update("jax_default_matmul_precision", precision)
        say(**{f"product_error_tf32_{name}": error(product(), exact)})


if __name__ == "__main__":
    {"torch": torch_sight, "jax": jax_sight}[sys.argv[1]](sys.argv[2])
