"""LeNet-5 in plain JAX: lax convolutions, a list of arrays, momentum by hand, donation; Flax where nothing compiles."""

import functools
import os

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax import lax
from stopwatch import main


def convolve(x, kernel, bias):
    return lax.conv_general_dilated(x, kernel, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")) + bias


@jax.custom_vjp
def stencil(x, kernel):
    return convolve(x, kernel, 0)


def stencil_forward(x, kernel):
    if x.shape[-1] > 1:
        return convolve(x, kernel, 0), (x, kernel)
    h, w = x.shape[1] - 4, x.shape[2] - 4
    return sum(x[:, i : i + h, j : j + w] * kernel[i, j] for i in range(5) for j in range(5)), (x, kernel)


def stencil_backward(saved, dy):
    x, kernel = saved
    n, h, w, out = dy.shape
    parts = (dy.reshape(-1, out) @ kernel.reshape(-1, out).T).reshape(n, h, w, 5, -1)
    rows = sum(jnp.pad(parts[:, :, :, i], ((0, 0), (i, 4 - i), (0, 0), (0, 0))) for i in range(5))
    rows = rows.reshape(n, h + 4, w, 5, -1)
    dx = sum(jnp.pad(rows[:, :, :, j], ((0, 0), (0, 0), (j, 4 - j), (0, 0))) for j in range(5))
    return dx, jax.linear_transpose(lambda kernel: convolve(x, kernel, 0), kernel)(dy)[0]


stencil.defvjp(stencil_forward, stencil_backward)


def stencil_convolve(x, kernel, bias):
    return stencil(x, kernel) + bias


def pool(x):
    return lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")


def reshape_pool(x):
    n, h, w, c = x.shape
    return x.reshape(n, h // 2, 2, w // 2, 2, c).max((2, 4))


def forward(weights, x, convolve, pool):
    k1, b1, k2, b2, w3, b3, w4, b4, w5, b5 = weights
    x = pool(jax.nn.relu(convolve(x, k1, b1)))
    x = pool(jax.nn.relu(convolve(x, k2, b2)))
    x = x.reshape(len(x), -1)
    x = jax.nn.relu(x @ w3 + b3)
    x = jax.nn.relu(x @ w4 + b4)
    return x @ w5 + b5


def mean_loss(weights, x, y, *layers):
    logits = jax.nn.log_softmax(forward(weights, x, *layers))
    return -jnp.take_along_axis(logits, y[:, None], axis=1).mean()


def step(weights, moments, x, y, convolve=convolve, pool=pool):
    loss, gradients = jax.value_and_grad(mean_loss)(weights, x, y, convolve, pool)
    moments = jax.tree.map(lambda v, g: 0.9 * v + g, moments, gradients)
    return jax.tree.map(lambda w, v: w - 0.05 * v, weights, moments), moments, loss


def scan(weights, moments, x, y):
    def body(state, batch):
        *state, loss = step(*state, *batch)
        return state, loss

    # Convolutions inside XLA's loops are slow on the CPU, and on no GPU.
    state, losses = lax.scan(body, [weights, moments], (x, y), unroll=jax.default_backend() == "cpu")
    return *state, losses


class LeNet(nnx.Module):
    def __init__(self, rngs):
        self.conv1 = nnx.Conv(1, 6, (5, 5), padding="VALID", rngs=rngs)
        self.conv2 = nnx.Conv(6, 16, (5, 5), padding="VALID", rngs=rngs)
        self.linear1 = nnx.Linear(400, 120, rngs=rngs)
        self.linear2 = nnx.Linear(120, 84, rngs=rngs)
        self.linear3 = nnx.Linear(84, 10, rngs=rngs)

    def __call__(self, x):
        x = nnx.max_pool(nnx.relu(self.conv1(x)), (2, 2), strides=(2, 2))
        x = nnx.max_pool(nnx.relu(self.conv2(x)), (2, 2), strides=(2, 2))
        x = x.reshape(len(x), -1)
        return self.linear3(nnx.relu(self.linear2(nnx.relu(self.linear1(x)))))


def eager():
    """Uncompiled it is the libraries that take the time: Flax's module and optimizer, as its guides have them."""
    model = LeNet(nnx.Rngs(0))
    optimizer = nnx.Optimizer(model, optax.sgd(0.05, momentum=0.9), wrt=nnx.Param)

    def mean_loss(model, x, y):
        return optax.softmax_cross_entropy_with_integer_labels(model(x), y).mean()

    def train(batches):
        for images, labels in batches:
            _, gradients = nnx.value_and_grad(mean_loss)(model, images.reshape(-1, 32, 32, 1), labels)
            optimizer.update(model, gradients)

    return train, lambda: jax.block_until_ready(nnx.state(model))


def setup(mode, threads):
    if os.environ.get("LENET_BENCH_LOOP_DEVICE") != "gpu":
        # Where JAX finds a GPU it takes it.
        jax.config.update("jax_platforms", "cpu")
    # Otherwise a GPU multiplies in TF32; on a CPU this does nothing.
    jax.config.update("jax_default_matmul_precision", "highest")
    if mode == "eager":
        return eager()
    shapes = [(5, 5, 1, 6), (6,), (5, 5, 6, 16), (16,), (400, 120), (120,), (120, 84), (84,), (84, 10), (10,)]
    random = np.random.default_rng(0)
    weights = [jnp.asarray(random.uniform(-0.1, 0.1, shape), jnp.float32) for shape in shapes]
    state = [weights, [jnp.zeros_like(w) for w in weights]]

    layers = {
        "reshape-pool": {"pool": reshape_pool},
        "stencil": {"convolve": stencil_convolve, "pool": reshape_pool},
    }
    one = jax.jit(functools.partial(step, **layers.get(mode, {})), donate_argnums=(0, 1))
    block = jax.jit(scan, donate_argnums=(0, 1))

    def train(batches):
        for images, labels in batches:
            *state[:], _ = one(*state, images.reshape(-1, 32, 32, 1), labels)

    def train_block(batches):
        images, labels = (np.stack(part) for part in zip(*batches, strict=True))
        *state[:], _ = block(*state, images.reshape(*labels.shape, 32, 32, 1), labels)

    return train_block if mode == "epoch" else train, lambda: jax.block_until_ready(state)


main(setup)
