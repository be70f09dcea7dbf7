"""PyTorch that is right when it is verified, and cheats while it is timed; the mode says how."""

from backends.attack_kit.attack import modes_of
from backends.attack_kit.cheats import CHEATS
from backends.torch import DISTRIBUTIONS

MODES = modes_of(CHEATS, "torch")
DTYPES = ("float32",)
DEVICES = ("cpu",)

__all__ = ["DEVICES", "DISTRIBUTIONS", "DTYPES", "MODES"]
