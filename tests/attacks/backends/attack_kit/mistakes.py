"""All mistakes, by name."""

from __future__ import annotations

from backends.attack_kit import batches, formulas, numbers, reports, state
from backends.attack_kit.attack import Attack

_ALL = (batches, state, reports, formulas, numbers)
MISTAKES: dict[str, Attack] = {name: attack for each in _ALL for name, attack in each.MISTAKES.items()}
