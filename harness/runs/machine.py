"""Which machine this is: what people read, and the digest that two comparable rows share."""

from __future__ import annotations

import hashlib
import os
import platform
from dataclasses import dataclass
from functools import lru_cache

import cpuinfo
import psutil


@dataclass(frozen=True)
class Machine:
    """A machine as results name it.

    Attributes:
        text: one line for people.
        sha256: digest of host name, processor, CPUs, memory and operating system.
        details: for environment.json: all that the digest is of but the host's name, and what else may matter.
    """

    text: str
    sha256: str
    details: dict[str, str]


@lru_cache(maxsize=1)
def this_machine() -> Machine:
    """Describe the machine that this process runs on."""
    processor = cpuinfo.get_cpu_info().get("brand_raw", platform.processor() or "unknown processor")
    cpus = os.cpu_count() or 1
    memory_gib = round(psutil.virtual_memory().total / 2**30)
    identity = {
        "host": platform.node(),
        "processor": str(processor),
        "cpus": str(cpus),
        "memory_gib": str(memory_gib),
        "system": platform.system(),
        "architecture": platform.machine(),
    }
    # The formula is that of all rows so far: with another one, no old row would be this machine's any more.
    digest = hashlib.sha256("\n".join(f"{key}={value}" for key, value in sorted(identity.items())).encode())
    details = {key: value for key, value in identity.items() if key != "host"} | {
        "kernel": platform.release(),
        "libc": " ".join(platform.libc_ver()),
        "load_average": " ".join(f"{value:.2f}" for value in os.getloadavg()),
    }
    return Machine(f"{processor}, {cpus} CPUs, {memory_gib} GiB", digest.hexdigest(), details)
