"""All cheats, by name."""

from __future__ import annotations

from backends.attack_kit import cheats_ahead, cheats_clock, cheats_inference, cheats_later, cheats_others, cheats_steps
from backends.attack_kit.attack import Attack

_ALL = (cheats_steps, cheats_later, cheats_ahead, cheats_others, cheats_inference, cheats_clock)
CHEATS: dict[str, Attack] = {name: attack for each in _ALL for name, attack in each.CHEATS.items()}
