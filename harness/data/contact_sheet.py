"""Lay out images of a data set as one picture, so that a person can see what the networks are trained on."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from harness.errors import InputError


def contact_sheet(
    path: Path, *, images: np.ndarray, labels: np.ndarray, columns: int = 10, rows: int = 10, scale: int = 2
) -> None:
    """Write a PNG with one class per row: the first `columns` images of each of the first `rows` classes.

    Args:
        path: the file to write; its folder must exist.
        images: uint8, (n, height, width) or (n, 1, height, width).
        labels: integers (n,), class 0 in the first row.
        columns: images per class; where a class has fewer, the rest of its row stays black.
        rows: classes.
        scale: how many pixels wide each image pixel becomes.

    Raises:
        InputError: images and labels do not belong together, or there is nothing to lay out; there is no
            Pillow; the file cannot be written.
    """
    try:
        from PIL import Image  # only this function needs Pillow, so only its callers need to have it
    except ImportError:
        raise InputError("A contact sheet needs Pillow. Install it with: pip install pillow") from None

    if len(images) != len(labels) or images.dtype != np.uint8 or min(columns, rows, scale) < 1:
        raise InputError(
            "A contact sheet needs as many uint8 images as labels, and columns, rows and scale from 1 on; "
            f"found {len(images)} {images.dtype} images, {len(labels)} labels, columns={columns}, "
            f"rows={rows}, scale={scale}. Hand over the two arrays of one half of a data set."
        )
    height, width = images.shape[-2:]
    sheet = np.zeros((rows, height, columns, width), dtype=np.uint8)
    for row in range(rows):
        examples = images[np.flatnonzero(labels == row)[:columns]].reshape(-1, height, width)
        sheet[row, :, : len(examples)] = examples.transpose(1, 0, 2)
    flat = sheet.reshape(rows * height, columns * width)
    image = Image.fromarray(flat.repeat(scale, axis=0).repeat(scale, axis=1))
    try:
        image.save(path, format="PNG", optimize=True)
    except OSError as error:
        raise InputError(f"Cannot write {path}: {error.strerror or error}.") from None
