"""All mistakes, by name."""

from __future__ import annotations

from dataclasses import replace

from backends.attack_kit import batches, formulas, leftovers, numbers, reports, state
from backends.attack_kit.attack import Attack

_ALL = (batches, state, leftovers, reports, formulas, numbers)
# What bfloat16's own rounding may hide, and float32 shows.
_IN_BFLOAT16 = (
    "last-label-zero", "labels-exchanged", "last-image-left-out", "rate-late-by-a-step", "rate-a-hundredth-larger",
    "velocity-forgotten", "weights-bfloat16", "momentum-0.89", "nesterov", "decay", "temperature", "loss-smoothed",
)  # fmt: skip


def _in_bfloat16(attack: Attack) -> Attack:
    options, backends = ("--dtype", "bfloat16"), ("torch", "tensorflow", "jax", "mxnet")
    caught_by = "the float32 certificate that bfloat16 needs"
    return replace(attack, text=f"{attack.text}, in bfloat16", options=options, backends=backends, caught_by=caught_by)


MISTAKES: dict[str, Attack] = {name: attack for each in _ALL for name, attack in each.MISTAKES.items()}
MISTAKES |= {f"{name}-in-bfloat16": _in_bfloat16(MISTAKES[name]) for name in _IN_BFLOAT16}
