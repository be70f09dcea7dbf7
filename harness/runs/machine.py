"""Which machine this is: what people read, and the digest that two comparable rows share."""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cpuinfo
import psutil

CPUINFO = Path("/proc/cpuinfo")


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
    processor = _processor()
    cpus = os.cpu_count() or 1
    memory_gib = round(psutil.virtual_memory().total / 2**30)
    identity = {
        "host": platform.node(),
        "processor": processor,
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


def _processor() -> str:
    """The processor's name, as py-cpuinfo has it. On Linux that is a line of /proc/cpuinfo, where there is one: read
    here, because asking the library starts a process of half a second, of every command."""
    with contextlib.suppress(OSError):
        found = re.search(r"^model name\s*:\s*(\S.*?)\s*$", CPUINFO.read_text(encoding="utf-8"), re.MULTILINE)
        if found:
            return found[1]
    return str(cpuinfo.get_cpu_info().get("brand_raw", platform.processor() or "unknown processor"))
