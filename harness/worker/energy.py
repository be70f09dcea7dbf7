"""Energy counters of processors and graphics cards. Worker side, standard library only. Never an estimate.

RAPL's package domain is a whole processor socket: all its cores, caches and memory controllers and a built-in
graphics unit, whoever uses them, idle power included. It is not the memory modules (a domain of their own, where
there is one), nor disks, fans and losses of the power supply. All sockets are summed. Linux shows AMD's processors
under the same names: https://docs.kernel.org/power/powercap/powercap.html

NVML's counter is of a whole graphics card with its memory, and is renewed some ten times a second:
https://docs.nvidia.com/deploy/nvml-api/group__nvmlDeviceQueries.html
"""

from __future__ import annotations

import ctypes
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path("/")
POWERCAP = "sys/class/powercap"
NVML_LIBRARY = "libnvidia-ml.so.1"


@dataclass(frozen=True)
class Meter:
    """A counter of energy that only goes up, but for starting again at `wraps_at`.

    Attributes:
        source: what it counts, for the results.
        read: the counter now; None where it cannot be read any more.
        unit_j: joules of one count.
        wraps_at: counts; None where the counter never starts again.
    """

    source: str
    read: Callable[[], int | None]
    unit_j: float
    wraps_at: int | None = None

    def joules(self, before: int | None, after: int | None) -> float | None:
        """Energy between two readings, less than one turn of the counter apart; None where one is missing.

        RAPL's 32 bits last for minutes at full power, steady training for seconds.
        """
        if before is None or after is None:
            return None
        if after < before:
            if self.wraps_at is None:
                return None
            after += self.wraps_at
        return (after - before) * self.unit_j


def meters(root: Path = ROOT, *, device: str = "cpu", library: Any = None) -> list[Meter]:
    """The meters of what trains: all processor sockets for `cpu`, one card for `gpu`; empty where there is none.

    Args:
        library: stands in for libnvidia-ml in tests.
    """
    return _find(root, device, library)[0]


def reason(root: Path = ROOT, *, device: str = "cpu", library: Any = None) -> str:
    """Why `meters` is empty, as a sentence; an empty string where it is not."""
    return _find(root, device, library)[1]


def _find(root: Path, device: str, library: Any) -> tuple[list[Meter], str]:
    return _rapl(root) if device == "cpu" else _nvml(library)


def _rapl(root: Path) -> tuple[list[Meter], str]:
    found = []
    for zone in sorted((root / POWERCAP).glob("intel-rapl:*")):
        # intel-rapl:0:0 is a part of intel-rapl:0. On laptops intel-rapl:1 may be `psys`, the whole board, which
        # contains package-0; intel-rapl-mmio:0 is package-0 over again.
        if not re.fullmatch(r"intel-rapl:\d+", zone.name) or not _text(zone / "name").startswith("package"):
            continue
        meter = Meter(f"rapl {_text(zone / 'name')}", _reader(zone / "energy_uj"), 1e-6, _wraps_at(zone))
        try:
            int((zone / "energy_uj").read_text())
        except PermissionError:
            # Since 2020 for root alone, because it gave away secrets (CVE-2020-8694, https://platypusattack.com).
            return [], f"RAPL's counter {zone / 'energy_uj'} may be read by root only."
        except (OSError, ValueError) as error:
            return [], f"RAPL's counter {zone / 'energy_uj'} cannot be read: {error}."
        found.append(meter)
    if found:
        return found, ""
    return [], f"There is no RAPL package counter under {root / POWERCAP}; virtual machines and containers have none."


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def _wraps_at(zone: Path) -> int | None:
    limit = _text(zone / "max_energy_range_uj")
    return int(limit) if limit.isdecimal() else None


def _reader(path: Path) -> Callable[[], int | None]:
    def read() -> int | None:
        count = _text(path)
        return int(count) if count.isdecimal() else None

    return read


def _nvml(library: Any) -> tuple[list[Meter], str]:
    try:
        library = library or ctypes.CDLL(NVML_LIBRARY)
        if code := library.nvmlInit_v2():
            return [], f"NVML does not start: nvmlInit_v2 returned {code}."
        card = _card(library)
        if isinstance(card, str):
            return [], card
        source, read = card
    except (OSError, AttributeError) as error:
        return [], f"NVML cannot be used: {error}."
    if read() is None:
        return [], f"{source} has no energy counter (NVIDIA's have from Volta on)."
    return [Meter(source, read, 1e-3)], ""


def _card(library: Any) -> tuple[str, Callable[[], int | None]] | str:
    """Name and counter of the card that a framework calls its first, or a sentence on why that is not known.

    NVML orders cards by their place on the bus and knows nothing of CUDA_VISIBLE_DEVICES; CUDA orders them by speed
    unless told otherwise: https://docs.nvidia.com/cuda/cuda-c-programming-guide/index.html#env-vars
    """
    first = os.environ.get("CUDA_VISIBLE_DEVICES", "").partition(",")[0].strip() or "0"
    handle, count = ctypes.c_void_p(), ctypes.c_uint()
    library.nvmlDeviceGetCount_v2(ctypes.byref(count))
    if first.startswith("GPU-"):
        code = library.nvmlDeviceGetHandleByUUID(first.encode(), ctypes.byref(handle))
    elif first.isdecimal() and (count.value == 1 or os.environ.get("CUDA_DEVICE_ORDER") == "PCI_BUS_ID"):
        code = library.nvmlDeviceGetHandleByIndex_v2(ctypes.c_uint(int(first)), ctypes.byref(handle))
    else:
        advice = "set CUDA_DEVICE_ORDER=PCI_BUS_ID and CUDA_VISIBLE_DEVICES to a number"
        return f"NVML does not say which of {count.value} cards CUDA calls {first}; {advice}."
    return (
        f"NVML finds no card {first} (code {code})." if code else (f"nvml GPU {first}", _card_reader(library, handle))
    )


def _card_reader(library: Any, handle: ctypes.c_void_p) -> Callable[[], int | None]:
    count = library.nvmlDeviceGetTotalEnergyConsumption

    def read() -> int | None:
        millijoules = ctypes.c_ulonglong()
        return None if count(handle, ctypes.byref(millijoules)) else int(millijoules.value)

    return read
