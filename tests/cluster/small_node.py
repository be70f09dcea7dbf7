"""Preloaded by a node of these tests: it does as `tests.faults.small` does."""

from __future__ import annotations

from tests.faults import small

small.make_small()
