"""Aborts in its default mode, beside backends that do not."""

from __future__ import annotations

from typing import Any

from backends.misbehaving.backend import Backend as Misbehaving


class Backend(Misbehaving):
    """The mutant."""

    def __init__(self, *, mode: str, **options: Any) -> None:
        super().__init__(mode="abort", **options)
