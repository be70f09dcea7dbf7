"""The images as the network takes them, batch by batch, and the digest of what a backend received.

Worker side: NumPy only.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from harness.spec.start import batch_indices, epoch_order, update_digest

# How many batches of the first epoch are read back, beside the last, smaller one.
SAMPLED = 3


def prepare(images: np.ndarray, input_shape: tuple[int, int, int], dtype: str) -> np.ndarray:
    """Pixels 0..255 -> 0..1 in float32, zero padding around to the network's size, then the dtype.

    Args:
        images: uint8 (n, c, h, w).
        input_shape: (c, height, width) of the network.

    Raises:
        ValueError: the images do not fit the network.
    """
    channels, height, width = input_shape
    top, left = (height - images.shape[2]) // 2, (width - images.shape[3]) // 2
    if images.shape[1] != channels or top < 0 or left < 0:
        raise ValueError(f"Images of shape {images.shape[1:]} do not fit the network's input {input_shape}.")
    prepared = np.zeros((len(images), channels, height, width), np.float32)
    prepared[:, :, top : top + images.shape[2], left : left + images.shape[3]] = images
    prepared /= np.float32(255)
    # Through float32 in every precision: all backends then see the same numbers.
    return prepared.astype(dtype, copy=False)


class Data:
    """The data set of a run, read from the files that the harness wrote, converted batch by batch."""

    def __init__(self, folder: Path, *, input_shape: tuple[int, int, int], dtype: str) -> None:
        self.input_shape = input_shape
        self.dtype = dtype
        arrays = {part: np.load(folder / f"{part}.npy", mmap_mode="r", allow_pickle=False) for part in PARTS}
        self.train_images, self.train_labels, self.test_images, self.test_labels = (arrays[p] for p in PARTS)

    def train_batch(self, index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Images (b, c, h, w) in the run's dtype and labels int32 (b,)."""
        images = prepare(self.train_images[index], self.input_shape, self.dtype)
        return images, np.ascontiguousarray(self.train_labels[index], np.int32)

    def test_batch(self, part: slice) -> tuple[np.ndarray, np.ndarray]:
        """The same for a slice of the test half."""
        images = prepare(self.test_images[part], self.input_shape, self.dtype)
        return images, np.ascontiguousarray(self.test_labels[part], np.int32)

    def order(self, *, seed: int, epoch: int, batch_size: int) -> list[np.ndarray]:
        """Indices of each batch of an epoch (counted from 0), the last one smaller where it must be."""
        return list(batch_indices(epoch_order(len(self.train_labels), seed=seed, epoch=epoch), batch_size))


PARTS = ("train_images", "train_labels", "test_images", "test_labels")


def batches_digest(
    backend: Any, data: Data, *, seed: int, batch_size: int, feed: str, audit: bool = False
) -> tuple[str, int]:
    """SHA-256 of a sample of batches as the backend reads them back from its device, and how many these were.

    Args:
        audit: all batches of the first epoch, not a sample.

    Raises:
        RuntimeError: what came back is not what the harness sent.
    """
    order = data.order(seed=seed, epoch=0, batch_size=batch_size)
    digest, expected = hashlib.sha256(), hashlib.sha256()
    chosen = order if audit else order[:SAMPLED] + order[SAMPLED:][-1:]
    for index in chosen:
        images, labels = data.train_batch(index)
        got_images, got_labels = backend.read_back(index if feed == "device" else (images, labels))
        for running, pair in ((digest, (got_images, got_labels)), (expected, (images, labels))):
            update_digest(running, pair[0].astype(np.float32), label="images")
            update_digest(running, pair[1].astype(np.int32), label="labels")
    if digest.hexdigest() != expected.hexdigest():
        raise RuntimeError(
            "The batches that the backend read back from its device are not those it was given "
            f"(SHA-256 {digest.hexdigest()[:12]}, expected {expected.hexdigest()[:12]}). Look at put() and read_back()."
        )
    return digest.hexdigest(), len(chosen)
