"""NumPy, mode eager, with the mistake that the mode names."""

from backends.attack_kit.mistakes import MISTAKES
from backends.attack_kit.wrapper import make_class
from backends.numpy_mistakes.native import Hooked

Backend = make_class(Hooked, default_mode="eager", attack_of=MISTAKES.__getitem__)
