"""MXNet with one mistake a mode."""

from backends.attack_kit.attack import modes_of
from backends.attack_kit.mistakes import MISTAKES
from backends.mxnet import DISTRIBUTIONS, INEXACT

MODES = modes_of(MISTAKES, "mxnet")
DTYPES = ("float32", "float64", "bfloat16")
DEVICES = ("cpu",)

__all__ = ["DEVICES", "DISTRIBUTIONS", "DTYPES", "INEXACT", "MODES"]
