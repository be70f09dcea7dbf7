"""What tests of the stopwatch and of the loops around it share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.data.sources import Dataset
from harness.runs.scratch import write_dataset
from harness.spec.recipes import LENET5
from harness.worker.batches import Data
from harness.worker.job import Entrant, Job
from tests.harness.worker.made_up_backend import Clock


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@pytest.fixture
def data(tiny_dataset: Dataset, tmp_path: Path) -> Data:
    write_dataset(tiny_dataset, tmp_path)
    return Data(tmp_path, input_shape=(1, 32, 32), dtype="float32")


@pytest.fixture
def make_job(make_entrant: Callable[..., Entrant]) -> Callable[..., Job]:
    def make(*, feed: str = "host", batch_size: int = 64, device: str = "cpu", **changes: Any) -> Job:
        entrant = make_entrant(feed=feed, batch_size=batch_size, device=device)
        options = {"kind": "measure", "recipe": LENET5.as_dict(), "seed": 3, "data": "", "weights": ""}
        return Job(entrant=entrant, **(options | changes))

    return make
