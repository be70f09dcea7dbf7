"""What tests of verifying share: a cache of their own, and small problems."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.data.sources import Dataset
from harness.proof import posing, starts
from harness.runs import preparation


@pytest.fixture
def own_cache(mutants: Path, session_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache without certificates; problems and second starts that another test has made are there."""
    cache = tmp_path / "cache"
    cache.mkdir()
    for kept in ("problems", "starts"):
        (session_cache / kept).mkdir(parents=True, exist_ok=True)
        (cache / kept).symlink_to(session_cache / kept, target_is_directory=True)
    monkeypatch.setenv("LENET_BENCH_CACHE", str(cache))
    return cache


@pytest.fixture
def small(tiny_dataset: Dataset, own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Verification of small batches of tiny data."""
    monkeypatch.setattr(preparation, "load", lambda name, data_dir, display: tiny_dataset)
    monkeypatch.setattr(posing, "BATCH", 8)
    monkeypatch.setattr(starts, "STEPS", 20)
