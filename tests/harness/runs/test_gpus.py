"""Whether there is a GPU: asked of the system, in no time, before a framework is."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.errors import InputError
from harness.runs import gpus
from harness.runs.gpus import why_none
from harness.worker.job import Entrant

Make = Callable[..., Entrant]


@pytest.mark.parametrize(
    "name", ["dev/nvidia0", "dev/nvidia12", "dev/dxg", "dev/nvgpu", "proc/driver/nvidia/gpus/0000:01"]
)
def test_what_drivers_make_is_found(tmp_path: Path, name: str) -> None:
    """A server's, Windows' Linux's, a board's; the control device alone is none."""
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev" / "nvidiactl").touch()
    assert "no NVIDIA GPU here" in why_none(tmp_path, {})
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).touch()

    assert why_none(tmp_path, {}) == ""
    assert why_none(tmp_path, {"CUDA_VISIBLE_DEVICES": "0"}) == ""
    for value in ("", "-1"):
        assert f"CUDA_VISIBLE_DEVICES='{value}' hides" in why_none(tmp_path, {"CUDA_VISIBLE_DEVICES": value})


def test_only_who_asks_for_one_is_refused(make_entrant: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """And of backends from elsewhere nobody here knows what they need."""
    monkeypatch.setattr(gpus, "why_none", lambda: "none here.")

    gpus.check([make_entrant("torch"), make_entrant("mine", device="gpu")])
    with pytest.raises(InputError, match=r"^--device gpu: none here\. Leave --device out to run on the CPU"):
        gpus.check([make_entrant("numpy"), make_entrant("torch", device="gpu")])


@pytest.mark.parametrize("command", ["run", "verify"])
def test_it_is_said_at_once(call: Callable[..., tuple[int, str, str]], command: str) -> None:
    """Bad input, not a bad result: exit code 2, long before a framework would have said so."""
    if not why_none():
        pytest.skip("there is a GPU here")
    start = time.monotonic()

    code, _, err = call(command, "-b", "torch", "--device", "gpu")

    assert code == 2
    assert "--device gpu: there is no NVIDIA GPU here" in err
    assert time.monotonic() - start < 5
