"""The processor has the name that py-cpuinfo gives it, on every machine."""

from __future__ import annotations

from pathlib import Path

import cpuinfo
import pytest

from harness.runs import machine


def test_processor_is_that_of_the_library() -> None:
    """Rows of runs that asked the library stay this machine's."""
    assert machine._processor() == cpuinfo.get_cpu_info()["brand_raw"]


@pytest.mark.parametrize("content", [None, "", "processor\t: 0\nBogoMIPS\t: 50.00\nCPU part\t: 0xd0c\n"], ids=repr)
def test_library_is_asked_where_the_kernel_names_none(
    content: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another system, or an ARM, whose kernel has no line for it."""
    if content is not None:
        (tmp_path / "cpuinfo").write_text(content)
    monkeypatch.setattr(machine, "CPUINFO", tmp_path / "cpuinfo")
    monkeypatch.setattr(cpuinfo, "get_cpu_info", lambda: {"brand_raw": "Neoverse-N1"})

    assert machine._processor() == "Neoverse-N1"
