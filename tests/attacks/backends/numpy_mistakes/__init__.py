"""NumPy with one mistake a mode."""

from backends.attack_kit.attack import modes_of
from backends.attack_kit.mistakes import MISTAKES
from backends.numpy import DISTRIBUTIONS

MODES = modes_of(MISTAKES, "numpy")
DTYPES = ("float32", "float64")
DEVICES = ("cpu",)

__all__ = ["DEVICES", "DISTRIBUTIONS", "DTYPES", "MODES"]
