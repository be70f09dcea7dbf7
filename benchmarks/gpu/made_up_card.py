"""A library that answers as NVML does, for a card that is not there: rehearsals and tests of what reads its figures."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

# What a large card is like.
MEMORY = 80 << 30
IDLE_W, SWING_W, SWING_S = 200.0, 100.0, 2.0
# How often its counter of energy goes on, and by how much power is behind.
COUNTER_S = 0.1


class MadeUpNvml:
    """Power swings around 200 W; the energy counter is its integral, in steps of a tenth of a second.

    Args:
        clock: seconds.
        codes: function -> error code that it returns.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic, codes: dict[str, int] | None = None) -> None:
        self.clock = clock
        self.codes = codes or {}
        self.began = clock()

    def power_w(self, at: float) -> float:
        """Momentary power at a time of the clock."""
        return IDLE_W + SWING_W * math.sin(2 * math.pi * (at - self.began) / SWING_S)

    def energy_j(self, at: float) -> float:
        """The integral of the power since the beginning."""
        phase = 2 * math.pi * (at - self.began) / SWING_S
        return IDLE_W * (at - self.began) + SWING_W * SWING_S / (2 * math.pi) * (1 - math.cos(phase))

    def nvmlInit_v2(self) -> int:
        return self._code("nvmlInit_v2")

    def nvmlDeviceGetCount_v2(self, count: Any) -> int:
        count._obj.value = 1
        return self._code("nvmlDeviceGetCount_v2")

    def nvmlDeviceGetHandleByIndex_v2(self, index: Any, handle: Any) -> int:
        handle._obj.value = 4711
        return self._code("nvmlDeviceGetHandleByIndex_v2")

    def nvmlDeviceGetName(self, handle: Any, text: Any, length: Any) -> int:
        text.value = b"a made-up card"
        return self._code("nvmlDeviceGetName")

    def nvmlSystemGetDriverVersion(self, text: Any, length: Any) -> int:
        text.value = b"0.0"
        return self._code("nvmlSystemGetDriverVersion")

    def nvmlDeviceGetMemoryInfo(self, handle: Any, memory: Any) -> int:
        memory._obj.total, memory._obj.used = MEMORY, 1 << 30
        return self._code("nvmlDeviceGetMemoryInfo")

    def nvmlDeviceGetClockInfo(self, handle: Any, clock: Any, mhz: Any) -> int:
        mhz._obj.value = 1500
        return self._code("nvmlDeviceGetClockInfo")

    def nvmlDeviceGetMaxClockInfo(self, handle: Any, clock: Any, mhz: Any) -> int:
        mhz._obj.value = 2000
        return self._code("nvmlDeviceGetMaxClockInfo")

    def nvmlDeviceGetEnforcedPowerLimit(self, handle: Any, milliwatts: Any) -> int:
        milliwatts._obj.value = 700_000
        return self._code("nvmlDeviceGetEnforcedPowerLimit")

    def nvmlDeviceGetTemperature(self, handle: Any, sensor: Any, degrees: Any) -> int:
        degrees._obj.value = 40
        return self._code("nvmlDeviceGetTemperature")

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: Any, millijoules: Any) -> int:
        at = self.began + (self.clock() - self.began) // COUNTER_S * COUNTER_S
        millijoules._obj.value = round(self.energy_j(at) * 1000)
        return self._code("nvmlDeviceGetTotalEnergyConsumption")

    def nvmlDeviceGetPowerUsage(self, handle: Any, milliwatts: Any) -> int:
        milliwatts._obj.value = round(self.power_w(self.clock()) * 1000)
        return self._code("nvmlDeviceGetPowerUsage")

    def nvmlDeviceGetFieldValues(self, handle: Any, count: Any, values: Any) -> int:
        values._obj.value, values._obj.code = round(self.power_w(self.clock()) * 1000), 0
        return self._code("nvmlDeviceGetFieldValues")

    def _code(self, function: str) -> int:
        return self.codes.get(function, 0)
