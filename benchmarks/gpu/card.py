"""A graphics card as NVML sees it: what it is, and samples of power, energy, memory and clocks while something runs.

https://docs.nvidia.com/deploy/nvml-api/group__nvmlDeviceQueries.html. From Ampere on `nvmlDeviceGetPowerUsage` is an
average over a second, so the momentary power is asked for as a field value, where the card has it.
"""

from __future__ import annotations

import ctypes
import math
import statistics
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

LIBRARY = "libnvidia-ml.so.1"
POWER_INSTANT = 186
CLOCKS = {"graphics": 0, "sm": 1, "memory": 2}
NAME_BYTES = 96


class _Memory(ctypes.Structure):
    _fields_ = [("total", ctypes.c_ulonglong), ("free", ctypes.c_ulonglong), ("used", ctypes.c_ulonglong)]


class _FieldValue(ctypes.Structure):
    """nvmlFieldValue_t; the union is read as its first four bytes, in which powers are."""

    _fields_ = [
        ("field", ctypes.c_uint), ("scope", ctypes.c_uint), ("timestamp", ctypes.c_longlong),
        ("latency_us", ctypes.c_longlong), ("kind", ctypes.c_int), ("code", ctypes.c_int), ("value", ctypes.c_uint),
        ("rest", ctypes.c_uint),
    ]  # fmt: skip


@dataclass(frozen=True)
class Sample:
    """The card at one moment; None for what it does not tell.

    Attributes:
        at: time.monotonic(), s, which all processes of the machine share.
        energy_j: counter since the driver was loaded.
        power_w: as `nvmlDeviceGetPowerUsage` has it.
        instant_w: momentary power.
        used_bytes: memory of all processes and of the driver.
        sm_mhz: clock of the multiprocessors.
    """

    at: float
    energy_j: float | None
    power_w: float | None
    instant_w: float | None
    used_bytes: int | None
    sm_mhz: int | None


class Card:
    """The first card that this process may use, by NVML's order."""

    def __init__(self, library: Any = None, *, index: int = 0) -> None:
        """Find it.

        Args:
            library: stands in for libnvidia-ml.

        Raises:
            OSError: there is no NVML here, or it does not start, or has no such card.
        """
        self._library = library or ctypes.CDLL(LIBRARY)
        self._handle = ctypes.c_void_p()
        for code, what in (
            (self._library.nvmlInit_v2(), "nvmlInit_v2"),
            (
                self._library.nvmlDeviceGetHandleByIndex_v2(ctypes.c_uint(index), ctypes.byref(self._handle)),
                f"nvmlDeviceGetHandleByIndex_v2({index})",
            ),
        ):
            if code:
                raise OSError(f"{what} returned {code}.")

    def facts(self) -> dict[str, str | int | float | None]:
        """Name, driver, memory in bytes, clocks in MHz (now and at most), power limit in W, temperature in °C."""
        found: dict[str, str | int | float | None] = {
            "name": self._text("nvmlDeviceGetName", self._handle),
            "driver": self._text("nvmlSystemGetDriverVersion"),
            "memory_bytes": self._memory().total or None,
        }
        for clock, number in CLOCKS.items():
            found[f"{clock}_mhz"] = self._number("nvmlDeviceGetClockInfo", number)
            found[f"{clock}_mhz_most"] = self._number("nvmlDeviceGetMaxClockInfo", number)
        limit = self._number("nvmlDeviceGetEnforcedPowerLimit")
        return found | {
            "power_limit_w": limit / 1000 if limit else None,
            "temperature_c": self._number("nvmlDeviceGetTemperature", 0),
        }

    def sample(self) -> Sample:
        """The card now."""
        energy = self._number("nvmlDeviceGetTotalEnergyConsumption", kind=ctypes.c_ulonglong)
        power = self._number("nvmlDeviceGetPowerUsage")
        return Sample(
            at=time.monotonic(),
            energy_j=None if energy is None else energy / 1000,
            power_w=None if power is None else power / 1000,
            instant_w=self._instant_w(),
            used_bytes=self._memory().used or None,
            sm_mhz=self._number("nvmlDeviceGetClockInfo", CLOCKS["sm"]),
        )

    def _number(self, function: str, *arguments: int, kind: Any = ctypes.c_uint) -> int | None:
        value = kind()
        call = getattr(self._library, function)
        code = call(self._handle, *(ctypes.c_uint(each) for each in arguments), ctypes.byref(value))
        return None if code else int(value.value)

    def _text(self, function: str, *arguments: Any) -> str | None:
        text = ctypes.create_string_buffer(NAME_BYTES)
        code = getattr(self._library, function)(*arguments, text, ctypes.c_uint(NAME_BYTES))
        return None if code else text.value.decode(errors="replace")

    def _memory(self) -> _Memory:
        memory = _Memory()
        self._library.nvmlDeviceGetMemoryInfo(self._handle, ctypes.byref(memory))
        return memory

    def _instant_w(self) -> float | None:
        value = _FieldValue(field=POWER_INSTANT)
        code = self._library.nvmlDeviceGetFieldValues(self._handle, ctypes.c_int(1), ctypes.byref(value))
        return None if code or value.code else value.value / 1000


class Sampler(threading.Thread):
    """Takes samples at a steady pace until it is stopped.

    Attributes:
        samples: in order of time.
    """

    def __init__(self, card: Card, *, period_s: float = 0.02) -> None:
        super().__init__(daemon=True)
        self.samples: list[Sample] = []
        self._card, self._period_s = card, period_s
        self._ending = threading.Event()

    def run(self) -> None:
        """Take samples."""
        while not self._ending.wait(self._period_s):
            self.samples.append(self._card.sample())

    def stop(self) -> list[Sample]:
        """Take no more; return what there is."""
        self._ending.set()
        self.join()
        return self.samples


def integral_j(samples: Sequence[Sample], what: str, begin: float, end: float) -> float | None:
    """Energy by summing power over time (trapezoids), J; None where a sample is missing.

    Args:
        what: `power_w` or `instant_w`.
        begin, end: s, within the samples; power between two samples is on the line between them.
    """
    points = [(sample.at, getattr(sample, what)) for sample in samples]
    if len(points) < 2 or any(power is None for _, power in points):
        return None
    if begin < points[0][0] or end > points[-1][0] or end <= begin:
        return None
    inner = [point for point in points if begin < point[0] < end]
    line = [(begin, _between(points, begin)), *inner, (end, _between(points, end))]
    return math.fsum((b[0] - a[0]) * (a[1] + b[1]) / 2 for a, b in pairwise(line))


def counter_j(samples: Sequence[Sample], begin: float, end: float) -> float | None:
    """Energy by the card's counter, J: its steps are taken for the ends of lines; None where it is missing."""
    steps = [(sample.at, sample.energy_j) for sample in samples if sample.energy_j is not None]
    if len(steps) < len(samples) or len(steps) < 2:
        return None
    changes = [steps[0], *(b for a, b in pairwise(steps) if b[1] != a[1])]
    if len(changes) < 3 or begin < changes[0][0] or end > changes[-1][0]:
        return None
    return _between(changes, end) - _between(changes, begin)


def period_s(samples: Sequence[Sample], what: str) -> float | None:
    """How often a figure is renewed: median time between its changes, s; None with fewer than three."""
    values = [(sample.at, getattr(sample, what)) for sample in samples]
    changes = [b[0] for a, b in pairwise(values) if b[1] != a[1]]
    return statistics.median(b - a for a, b in pairwise(changes)) if len(changes) > 2 else None


def _between(points: Sequence[tuple[float, Any]], at: float) -> float:
    after = next(number for number, point in enumerate(points) if point[0] >= at)
    if after == 0:
        return float(points[0][1])
    (x0, y0), (x1, y1) = points[after - 1], points[after]
    return float(y0 + (y1 - y0) * (at - x0) / (x1 - x0))
