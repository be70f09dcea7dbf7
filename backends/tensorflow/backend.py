"""The protocol in TensorFlow and Keras. See harness/spec/protocol.py for what each method promises."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from backends.tensorflow import weights as table
from backends.tensorflow.model import build, layer_outputs
from backends.tensorflow.optimizer import Kernels, keras_optimizer
from backends.tensorflow.steps import COMPILED, FUSED, Fit, make_loop, make_step
from harness.spec.network import Flatten, Network
from harness.spec.precision import array_dtype

Pair = tuple[tf.Tensor, tf.Tensor]
HostBatch = tuple[np.ndarray, np.ndarray]


class Backend:
    """Keras layers, eager, in graphs, compiled by XLA, or in Keras's own loop."""

    def __init__(
        self, *, network: Network, recipe: Any, mode: str, feed: str, device: str, dtype: str, threads: int
    ) -> None:
        if threads:
            tf.config.threading.set_intra_op_parallelism_threads(threads)
            tf.config.threading.set_inter_op_parallelism_threads(threads)
        tf.config.experimental.enable_tensor_float_32_execution(dtype == "tf32")
        if device == "cpu":
            tf.config.set_visible_devices([], "GPU")
        for gpu in tf.config.get_visible_devices("GPU"):
            tf.config.experimental.set_memory_growth(gpu, True)
        # Metrics and the loss inside `fit` have this precision.
        keras.config.set_floatx(array_dtype(dtype))
        self._mode = mode
        self._feed = feed
        self._network = network
        self._device = device
        self._dtype = tf.as_dtype(array_dtype(dtype))
        self._model = build(network, dtype="mixed_bfloat16" if dtype == "bfloat16" else array_dtype(dtype))
        weights = self._model.trainable_variables
        if mode == "fit" and (recipe.coupled_decay or recipe.reduction != "mean"):
            raise ValueError(
                "--mode fit trains on the mean loss, and Keras has no weight decay that goes through the gradient: "
                f"recipe {recipe.name} needs another mode, graph say."
            )
        self._recipe = recipe
        if mode in FUSED:
            self._optimizer = Kernels(weights, recipe)
        else:
            self._optimizer = keras_optimizer(recipe)
            self._optimizer.build(weights)
        self._fresh_state = [variable.numpy() for variable in self._optimizer.variables]
        self._compile()

    def _compile(self) -> None:
        model, compiled = self._model, COMPILED[self._mode]
        mean_loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, dtype=self._dtype.name)
        step = make_step(model, mean_loss, self._optimizer, self._recipe)

        def loss(images, labels):
            return mean_loss(labels, model(images, training=False))

        def gradients(images, labels):
            with tf.GradientTape() as tape:
                value = mean_loss(labels, model(images, training=True))
            return tape.gradient(value, model.trainable_variables)

        self._step = compiled(step)
        self._gather_step = compiled(lambda images, labels, i: step(tf.gather(images, i), tf.gather(labels, i)))
        self._loop, self._gather_loop = make_loop(step, self._dtype)
        self._loss, self._gradients = compiled(loss), compiled(gradients)
        self._forward = compiled(lambda images: tf.cast(model(images, training=False), self._dtype))
        self._fit = Fit(model, mean_loss, self._optimizer) if self._mode == "fit" else None

    @staticmethod
    def devices() -> list[str]:
        return ["cpu", "gpu"] if tf.config.list_physical_devices("GPU") else ["cpu"]

    @staticmethod
    def try_device(device: str) -> None:
        # TensorFlow would take the CPU instead, and say nothing.
        if not tf.config.list_physical_devices("GPU"):
            built = "with" if tf.test.is_built_with_cuda() else "without"
            raise RuntimeError(f"TensorFlow {tf.__version__} was built {built} CUDA, and lists no GPU.")

    def load_weights(self, weights: dict[str, np.ndarray]) -> None:
        native = table.to_native(weights, self._network)
        for variable, value in zip(self._model.trainable_variables, native, strict=True):
            variable.assign(value)
        for variable, value in zip(self._optimizer.variables, self._fresh_state, strict=True):
            variable.assign(value)

    def set_learning_rate(self, value: float) -> None:
        before = float(self._optimizer.learning_rate.numpy())
        self._optimizer.learning_rate.assign(value)
        if self._mode not in FUSED and self._recipe.momentum:
            # Keras's v holds the learning rate (v <- m v - lr g), so what is in it must be scaled with it.
            for velocity in self._optimizer.momentums:
                velocity.assign(velocity * (value / before))

    def dump_weights(self) -> dict[str, np.ndarray]:
        return table.to_canonical([v.numpy() for v in self._model.trainable_variables], self._network)

    def put(self, *, images: np.ndarray, labels: np.ndarray) -> Pair:
        return tf.constant(_channels_last(images), self._dtype), tf.constant(labels)

    def use_dataset(self, dataset: Pair) -> None:
        self._dataset = dataset

    def train_steps(self, batches: Sequence[HostBatch] | np.ndarray) -> Any:
        if self._mode in ("epoch", "fit"):
            return self._train_block(batches)
        if self._feed == "device":
            images, labels = self._dataset
            return [self._gather_step(images, labels, tf.constant(index)) for index in batches]
        return [self._step(*self.put(images=images, labels=labels)) for images, labels in batches]

    def _train_block(self, batches: Sequence[HostBatch] | np.ndarray) -> tf.Tensor | np.ndarray:
        """Hand over all batches at once."""
        size = len(batches[0]) if self._feed == "device" else len(batches[0][1])
        if self._feed == "device":
            if self._mode == "epoch":
                return self._gather_loop(*self._dataset, tf.constant(batches))
            index = np.concatenate(batches)
            return self._fit(*(tf.gather(values, index) for values in self._dataset), size)
        images, labels = (np.concatenate(part) for part in zip(*batches, strict=True))
        images, labels = self.put(images=images, labels=labels)
        if self._mode == "epoch":
            shape = (len(batches), size)
            return self._loop(tf.reshape(images, (*shape, *images.shape[1:])), tf.reshape(labels, shape))
        return self._fit(images, labels, size)

    def read_back(self, batch: HostBatch | np.ndarray) -> HostBatch:
        if self._feed == "device":
            images, labels = (tf.gather(values, batch) for values in self._dataset)
        else:
            images, labels = self.put(images=batch[0], labels=batch[1])
        return images.numpy().transpose(0, 3, 1, 2), labels.numpy()

    def gradients(self, batch: Pair) -> dict[str, np.ndarray]:
        return table.to_canonical([g.numpy() for g in self._gradients(*batch)], self._network)

    def loss(self, batch: Pair) -> tf.Tensor:
        return self._loss(*batch)

    def logits(self, images: tf.Tensor) -> tf.Tensor:
        return self._forward(images)

    def activations(self, images: tf.Tensor) -> dict[str, np.ndarray]:
        found = {}
        for name, output in layer_outputs(self._model, self._network, images).items():
            value = tf.cast(output, self._dtype).numpy()
            found[name] = value.transpose(0, 3, 1, 2) if value.ndim == 4 else value
        for row in self._network.summary():
            if isinstance(row.layer, Flatten):
                found[row.layer.name] = _channels_first(found[row.layer.name], row.input_shape)
        return found

    def synchronize(self) -> None:
        if self._device == "gpu":
            tf.test.experimental.sync_devices()

    def to_numpy(self, value: tf.Tensor | list[tf.Tensor] | np.ndarray) -> np.ndarray:
        return np.asarray([v.numpy() for v in value] if isinstance(value, list) else value)

    def memory(self) -> tuple[int | None, str]:
        if self._device == "gpu":
            return tf.config.experimental.get_memory_info("GPU:0")["peak"], "tf.config.experimental.get_memory_info"
        return None, "cpu: see peak_rss_bytes"

    def describe(self) -> dict[str, str]:
        threading = tf.config.threading
        return {
            "version": tf.__version__,
            "keras": keras.__version__,
            "threads": str(threading.get_intra_op_parallelism_threads()),
            "layout": "NHWC",
            "fast_math": f"tf32={tf.config.experimental.tensor_float_32_execution_enabled()}",
            "optimizer": self._optimizer_name(),
            "compiler": self._compiler() + f", inter-op threads {threading.get_inter_op_parallelism_threads()}",
        }

    def _optimizer_name(self) -> str:
        decay = ", decay added to the gradients" if self._recipe.coupled_decay else ""
        name = type(self._optimizer).__name__
        return ("TensorFlow's update kernels" if self._mode in FUSED else f"keras.optimizers.{name}") + decay

    def _compiler(self) -> str:
        uses_xla = self._mode == "xla" or (self._mode == "fit" and self._model.jit_compile)
        return "XLA" if uses_xla else "Grappler, oneDNN" if self._mode != "eager" else "oneDNN"


def _channels_first(values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """(n, h*w*c) -> (n, c*h*w), by the shape (c, h, w) before Flatten."""
    channels, height, width = shape
    return values.reshape(-1, height, width, channels).transpose(0, 3, 1, 2).reshape(len(values), -1)


def _channels_last(images: np.ndarray) -> np.ndarray:
    """N,C,H,W -> N,H,W,C; with one channel this moves no bytes."""
    return np.ascontiguousarray(images.transpose(0, 2, 3, 1))
