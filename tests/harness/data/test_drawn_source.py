"""The drawn digits as a source: a stand-in that says so, a cache that mends itself, arithmetic that differs."""

from __future__ import annotations

import os
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from harness.data import drawn_digits
from harness.data.sources import FILES, load_dataset
from harness.errors import InputError
from tests.harness.data.helpers import same_arrays, silent


@pytest.fixture(autouse=True)
def cache(empty_cache: Path) -> Path:
    """Give each test an empty cache and mirrors that refuse at once."""
    return empty_cache


def test_stand_in_is_loud_and_quick(few_drawn: list[str]) -> None:
    """With no name, no MNIST and no network, the drawn digits come soon, saying so, why, and what to do."""
    said: list[str] = []
    started = time.monotonic()
    loaded = load_dataset(notify=said.append)
    assert time.monotonic() - started < 60
    assert loaded.name == "drawn-digits"
    for part in ("NOT MNIST", "127.0.0.1:9/a/mnist/", "127.0.0.1:9/b/mnist/", "LENET_BENCH_DATA", FILES[0]):
        assert part in said[0]
    assert len(said[0].splitlines()) > 5


def test_by_name_there_is_no_stand_in(few_drawn: list[str]) -> None:
    """MNIST asked for by name and not to be had is an error that lists both mirrors; nothing is drawn."""
    with pytest.raises(InputError, match=r"'mnist' cannot be had[\s\S]*9/a/mnist/[\s\S]*9/b/mnist/"):
        load_dataset("mnist")
    assert few_drawn == []


def test_drawn_digits_are_cached_and_repaired(few_drawn: list[str], cache: Path) -> None:
    """The second time comes from the cache; a cache that was tampered with is drawn again and mended."""
    first = load_dataset("drawn-digits", notify=lambda text: None)
    assert (first.name, len(first.train_images), len(first.test_labels)) == ("drawn-digits", 30, 20)
    assert first.train_images.shape[1:] == (1, 28, 28)
    assert (first.train_images.dtype, first.train_labels.dtype) == (np.uint8, np.int32)
    assert few_drawn == ["train", "test"]
    again = load_dataset("drawn-digits", notify=silent)
    assert same_arrays(first, again)
    assert (again.sha256, few_drawn) == (first.sha256, ["train", "test"])
    target = cache / "drawn-digits" / "test-labels.npy"
    good = target.read_bytes()
    for bad in (good[:-1] + bytes([good[-1] ^ 1]), good[:-5], b"", b"junk"):
        target.write_bytes(bad)
        few_drawn.clear()
        assert same_arrays(load_dataset("drawn-digits", notify=lambda text: None), first)
        assert few_drawn == ["train", "test"]
        assert target.read_bytes() == good


def test_cache_is_never_unpickled(few_drawn: list[str], cache: Path) -> None:
    """A cached array of Python objects is not loaded, but drawn anew."""
    (cache / "drawn-digits").mkdir(parents=True)
    np.save(cache / "drawn-digits" / "train-images.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    assert load_dataset("drawn-digits", notify=lambda text: None).train_images.dtype == np.uint8
    assert few_drawn == ["train", "test"]


def test_cache_that_cannot_be_written(few_drawn: list[str], tmp_path: Path, monkeypatch) -> None:
    """Without a cache the drawn digits still come, with a word about it."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LENET_BENCH_CACHE", str(tmp_path / "file"))
    said: list[str] = []
    assert load_dataset(notify=said.append).name == "drawn-digits"
    assert any("Could not cache" in text for text in said)
    assert "Cannot write to the cache" in said[0]


def test_other_arithmetic_is_announced(few_drawn: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Digits that differ from everybody else's are announced, and their data set has another digest."""
    right = load_dataset("drawn-digits", notify=lambda text: None)
    monkeypatch.setattr(drawn_digits, "draw_test", partial(drawn_digits.draw_train.args[1], 20))
    monkeypatch.setenv("LENET_BENCH_CACHE", os.environ["LENET_BENCH_CACHE"] + "2")
    said: list[str] = []
    assert load_dataset("drawn-digits", notify=said.append).sha256 != right.sha256
    assert any("computes differently" in text for text in said)
