"""All mistakes, by name."""

from __future__ import annotations

from backends.attack_kit import batches, formulas, numbers, state
from backends.attack_kit.attack import Attack

MISTAKES: dict[str, Attack] = {**batches.MISTAKES, **state.MISTAKES, **formulas.MISTAKES, **numbers.MISTAKES}
