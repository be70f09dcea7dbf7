"""TensorFlow, mode graph, with the mistake that the mode names."""

from backends.attack_kit.mistakes import MISTAKES
from backends.attack_kit.wrapper import make_class
from backends.tensorflow_mistakes.native import Hooked

Backend = make_class(Hooked, default_mode="graph", attack_of=MISTAKES.__getitem__)
