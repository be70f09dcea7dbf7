"""What is known of an attack: the sentence, how it is made, how it is run, and what is expected."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from backends.attack_kit.hooks import Hooks

FRAMEWORKS = ("torch", "tensorflow", "jax", "mxnet", "paddle")
EVERYWHERE = (*FRAMEWORKS, "numpy")
REFUSED, PASSES = "refused", "passes"
NO_HOOKS = Hooks()


@dataclass(frozen=True)
class Attack:
    """One wrong or cheating backend.

    Attributes:
        text: what it does, to follow "a backend that …".
        wrapper: a class beside `Wrapper` that does it.
        recipe, network: what the right backend is built with in place of what was asked for.
        dtype: precision that it computes in, whatever was asked for.
        hooks: into its own arithmetic.
        options: of the command that it is tried with.
        door: the command, `verify` or `run`.
        backends: that it makes sense in.
        expected: `refused`, or `passes` with a reason.
        reason: why it may pass: it is equivalent, below rounding, allowed, or nothing outside can tell.
        crashes: whether it fails in its framework's own words, whatever these are.
        caught_by: what is meant to catch it, where that is not what verification always does.
    """

    text: str
    wrapper: type | None = None
    recipe: Callable[[Any], Any] | None = None
    network: Callable[[Any], Any] | None = None
    dtype: str = ""
    hooks: Hooks = NO_HOOKS
    options: tuple[str, ...] = ()
    door: str = "verify"
    backends: tuple[str, ...] = EVERYWHERE
    expected: str = REFUSED
    reason: str = ""
    crashes: bool = False
    caught_by: str = ""


def modes_of(attacks: dict[str, Attack], backend: str) -> dict[str, str]:
    """MODES of a folder of attacks: those that make sense in a framework."""
    return {name: attack.text for name, attack in attacks.items() if backend in attack.backends}
