"""Energy counters on made-up trees, and a graphics card that is not there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness.worker import energy
from harness.worker.energy import Meter

ZONES = "sys/class/powercap"
Zones = Callable[..., Path]


@pytest.fixture
def zones(tmp_path: Path) -> Zones:
    """Return a function that makes RAPL zones, each given as (folder, name, energy_uj), and returns the root."""

    def make(*wanted: tuple[str, str, object], limit: str | None = "1000000") -> Path:
        for folder, name, count in wanted:
            zone = tmp_path / ZONES / folder
            zone.mkdir(parents=True, exist_ok=True)
            (zone / "name").write_text(f"{name}\n")
            (zone / "energy_uj").write_text(f"{count}\n")
            if limit is not None:
                (zone / "max_energy_range_uj").write_text(f"{limit}\n")
        return tmp_path

    return make


class Card:
    """What libnvidia-ml offers, with `count` cards that used `millijoules`; `codes` are what its functions return."""

    def __init__(self, *, count: int = 1, millijoules: int = 7000, **codes: int) -> None:
        self.count = count
        self.millijoules = millijoules
        self.codes = codes
        self.asked: list[object] = []

    def nvmlInit_v2(self) -> int:
        return self.codes.get("init", 0)

    def nvmlDeviceGetCount_v2(self, count: Any) -> int:
        count._obj.value = self.count
        return 0

    def nvmlDeviceGetHandleByIndex_v2(self, index: Any, handle: Any) -> int:
        self.asked.append(index.value)
        handle._obj.value = 4711
        return self.codes.get("handle", 0)

    def nvmlDeviceGetHandleByUUID(self, uuid: bytes, handle: Any) -> int:
        self.asked.append(uuid)
        handle._obj.value = 4711
        return self.codes.get("handle", 0)

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: Any, count: Any) -> int:
        assert handle.value == 4711
        count._obj.value = self.millijoules
        return self.codes.get("energy", 0)


@pytest.fixture(autouse=True)
def no_cuda_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER"):
        monkeypatch.delenv(name, raising=False)


def test_packages_are_metered_and_nothing_inside_or_around_them(zones: Zones) -> None:
    """Every socket once: not its parts, not the board around it, not the same socket under another name."""
    root = zones(
        ("intel-rapl:0", "package-0", 10),
        ("intel-rapl:0:0", "core", 1),
        ("intel-rapl:0:1", "package-x", 2),
        ("intel-rapl:1", "psys", 50),
        ("intel-rapl:2", "package-1-die-0", 20),
        ("intel-rapl-mmio:0", "package-0", 10),
    )

    meters = energy.meters(root)

    assert [(meter.source, meter.read()) for meter in meters] == [("rapl package-0", 10), ("rapl package-1-die-0", 20)]
    assert energy.reason(root) == ""


def test_joules_are_of_microjoules(zones: Zones) -> None:
    """A million counts are a joule."""
    root = zones(("intel-rapl:0", "package-0", 250_000), limit="262143328850")
    (meter,) = energy.meters(root)
    before = meter.read()
    zones(("intel-rapl:0", "package-0", 3_250_000))

    assert meter.joules(before, meter.read()) == pytest.approx(3.0)


def test_counter_that_started_again(zones: Zones) -> None:
    """From 0.9 J to 0.2 J over a turn at 1 J: 0.3 J."""
    (meter,) = energy.meters(zones(("intel-rapl:0", "package-0", 900_000)))

    assert meter.wraps_at == 1_000_000
    assert meter.joules(900_000, 200_000) == pytest.approx(0.3)


def test_without_a_known_turn_a_lower_count_is_unknown(zones: Zones) -> None:
    """Nothing is guessed where max_energy_range_uj is not to be had; ordinary intervals are still counted."""
    (meter,) = energy.meters(zones(("intel-rapl:0", "package-0", 900_000), limit=None))

    assert meter.joules(900_000, 200_000) is None
    assert meter.joules(200_000, 900_000) == pytest.approx(0.7)


def test_missing_readings_are_no_energy() -> None:
    """An interval needs both ends."""
    meter = Meter("made up", lambda: None, 1.0)

    assert meter.joules(None, 5) is None
    assert meter.joules(5, None) is None
    assert meter.joules(5, 5) == 0.0


def test_counter_that_vanishes_is_unknown(zones: Zones) -> None:
    """A file that is gone or holds no number reads as None."""
    root = zones(("intel-rapl:0", "package-0", 5))
    (meter,) = energy.meters(root)

    (root / ZONES / "intel-rapl:0" / "energy_uj").write_text("garbage\n")
    assert meter.read() is None
    (root / ZONES / "intel-rapl:0" / "energy_uj").unlink()
    assert meter.read() is None


def test_no_zones_give_a_reason(tmp_path: Path) -> None:
    """A sentence with the folder that was looked into."""
    assert energy.meters(tmp_path) == []
    assert energy.reason(tmp_path) == (
        f"There is no RAPL package counter under {tmp_path / ZONES}; virtual machines and containers have none."
    )


def test_counter_for_root_only_gives_a_reason(zones: Zones, monkeypatch: pytest.MonkeyPatch) -> None:
    """One socket that may not be read leaves no meter at all: a part of a sum is a wrong number."""
    root = zones(("intel-rapl:0", "package-0", 5), ("intel-rapl:1", "package-1", 5))
    read_text = Path.read_text

    def refuse(path: Path, *arguments: Any, **options: Any) -> str:
        if path == root / ZONES / "intel-rapl:1" / "energy_uj":
            raise PermissionError(13, "Permission denied", str(path))
        return read_text(path, *arguments, **options)

    monkeypatch.setattr(Path, "read_text", refuse)

    assert energy.meters(root) == []
    assert energy.reason(root).endswith("intel-rapl:1/energy_uj may be read by root only.")


def test_counter_without_a_number_gives_a_reason(zones: Zones) -> None:
    """What is there but cannot be read says why."""
    root = zones(("intel-rapl:0", "package-0", "garbage"))

    assert energy.meters(root) == []
    assert "energy_uj cannot be read: " in energy.reason(root)


def test_card_is_metered_in_millijoules(tmp_path: Path) -> None:
    """device=gpu: the card, and not the processor."""
    card = Card()

    (meter,) = energy.meters(tmp_path, device="gpu", library=card)

    assert meter.source == "nvml GPU 0"
    before = meter.read()
    card.millijoules = 9500
    assert before == 7000
    assert meter.joules(before, meter.read()) == pytest.approx(2.5)
    assert card.asked == [0]
    assert energy.reason(tmp_path, device="gpu", library=card) == ""
    card.codes = {"energy": 15}
    assert meter.read() is None


@pytest.mark.parametrize(
    ("codes", "reason"),
    [
        ({"init": 9}, "NVML does not start: nvmlInit_v2 returned 9."),
        ({"handle": 2}, "NVML finds no card 0 (code 2)."),
        ({"energy": 3}, "nvml GPU 0 has no energy counter (NVIDIA's have from Volta on)."),
    ],
)
def test_error_codes_leave_no_meter(tmp_path: Path, codes: dict[str, int], reason: str) -> None:
    """Every function's error code ends the search, with the code."""
    card = Card(**codes)

    assert energy.meters(tmp_path, device="gpu", library=card) == []
    assert energy.reason(tmp_path, device="gpu", library=card) == reason


def test_library_that_is_too_old_or_absent_leaves_no_meter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A function that is missing, and a file that is."""
    old = SimpleNamespace(nvmlInit_v2=lambda: 0)
    monkeypatch.setattr(energy, "NVML_LIBRARY", "libno-such-thing.so.1")

    assert energy.meters(tmp_path, device="gpu", library=old) == []
    assert "nvmlDeviceGetCount_v2" in energy.reason(tmp_path, device="gpu", library=old)
    assert energy.meters(tmp_path, device="gpu") == []
    assert energy.reason(tmp_path, device="gpu").startswith("NVML cannot be used: libno-such-thing.so.1: ")


@pytest.mark.parametrize(
    ("visible", "order", "asked"),
    [
        ("1,0", "PCI_BUS_ID", [1]),
        ("GPU-abc,GPU-def", "", [b"GPU-abc"]),
        ("1", "", []),
        ("", "", []),
        ("MIG-abc", "PCI_BUS_ID", []),
        ("all", "PCI_BUS_ID", []),
    ],
)
def test_card_among_several_is_found_or_not_guessed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, visible: str, order: str, asked: list[object]
) -> None:
    """CUDA's numbers are NVML's only where CUDA orders by bus; without, there is no meter and a sentence says so."""
    card = Card(count=2)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    monkeypatch.setenv("CUDA_DEVICE_ORDER", order)

    meters = energy.meters(tmp_path, device="gpu", library=card)

    assert card.asked == asked
    assert len(meters) == len(asked)
    if not asked:
        assert "which of 2 cards" in energy.reason(tmp_path, device="gpu", library=card)
