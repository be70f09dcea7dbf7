"""What tests of several sources need."""

from __future__ import annotations

import dataclasses

import numpy as np

from harness.data.sources import Dataset


def silent(text: str) -> None:
    raise AssertionError(f"nothing was to be said, but: {text}")


def same_arrays(one: Dataset, other: Dataset) -> bool:
    fields = [field.name for field in dataclasses.fields(Dataset) if field.name.startswith(("train", "test"))]
    return all(np.array_equal(getattr(one, field), getattr(other, field)) for field in fields)
