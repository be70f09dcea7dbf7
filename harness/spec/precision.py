"""What a precision means: of what arrays, weights and arithmetic are. Worker side; NumPy only.

| precision | arrays handed over, weights, optimizer | arithmetic |
| --- | --- | --- |
| float32, float64 | the same | the same |
| bfloat16 | float32 | mixed, as the frameworks' guides teach: layers in bfloat16, loss in float32 |
| tf32 | float32 | float32, but for products in convolutions and dense layers: TF32, a GPU's |
"""

from __future__ import annotations

import numpy as np

# Bits of the mantissa that are kept, the leading one not counted; bfloat16 and TF32 have the exponents of float32.
MANTISSA_BITS = {"bfloat16": 7, "tf32": 10}
PRECISIONS = ("float32", "float64", *MANTISSA_BITS)
# Mixed precisions whose tolerances are too wide to find a small mistake: they count only with the same mode in full.
FULL = {"bfloat16": "float32"}
# NVIDIA's, on its GPUs alone.
GPU_ONLY = ("tf32",)


def array_dtype(dtype: str) -> str:
    """The NumPy dtype of images and weights that a backend of this precision is given and gives back."""
    return "float32" if dtype in MANTISSA_BITS else dtype


def epsilon(dtype: str) -> float:
    """Distance from 1 to the next larger number."""
    return 2.0 ** -MANTISSA_BITS[dtype] if dtype in MANTISSA_BITS else float(np.finfo(dtype).eps)


def rounded(values: np.ndarray, dtype: str) -> np.ndarray:
    """Round float32 numbers to a shorter mantissa, to nearest, ties to even, as processors do; float32 again.

    Numbers of other precisions come back as they are. Infinities and NaN stay what they are.
    """
    if dtype not in MANTISSA_BITS:
        return values
    drop = 23 - MANTISSA_BITS[dtype]
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    odd = (bits >> np.uint32(drop)) & np.uint32(1)
    carried = bits + (np.uint32((1 << (drop - 1)) - 1) + odd)
    kept = (carried >> np.uint32(drop)) << np.uint32(drop)
    return np.where(np.isfinite(values), kept, bits).view(np.float32).reshape(values.shape)
