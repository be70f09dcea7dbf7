"""All cheats, by name."""

from __future__ import annotations

from backends.attack_kit.attack import Attack

CHEATS: dict[str, Attack] = {}
