"""PaddlePaddle, mode dynamic, with the cheat that the mode names."""

from backends.attack_kit.cheats import CHEATS
from backends.attack_kit.wrapper import make_class
from backends.paddle_mistakes.native import Hooked

Backend = make_class(Hooked, default_mode="dynamic", attack_of=CHEATS.__getitem__)
