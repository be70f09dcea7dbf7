"""TensorFlow that is right when it is verified, and cheats while it is timed; the mode says how."""

from backends.attack_kit.attack import modes_of
from backends.attack_kit.cheats import CHEATS
from backends.tensorflow import DISTRIBUTIONS

MODES = modes_of(CHEATS, "tensorflow")
DTYPES = ("float32",)
DEVICES = ("cpu",)

__all__ = ["DEVICES", "DISTRIBUTIONS", "DTYPES", "MODES"]
