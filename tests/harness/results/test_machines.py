"""What differs between two machines whose digests are not the same, in words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.results.folder import RunFolder
from harness.results.machines import PARTS, RENAMED, difference, difference_of_texts, recorded
from harness.runs import machine

HERE = {
    "processor": "AMD EPYC 9B45", "cpus": "4", "memory_gib": "16", "system": "Linux", "architecture": "x86_64",
    "kernel": "6.18.0",
}  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"cpus": "8", "memory_gib": "32"}, "CPUs 4 → 8, memory in GiB 16 → 32"),
        ({"processor": "a VAX"}, "processor AMD EPYC 9B45 → a VAX"),
        ({"architecture": "aarch64", "kernel": "7"}, "architecture x86_64 → aarch64"),
        ({}, RENAMED),
        ({"kernel": "7"}, RENAMED),
        # Of before version 6, which wrote the name: it is not repeated.
        ({"host": "old-name"}, RENAMED),
        ({"cpus": None}, "in what is not known, because only its digest is recorded"),
    ],
)
def test_difference_is_named(changes: dict[str, Any], expected: str) -> None:
    """What moved; the host's name where nothing else can have; nothing that is not known."""
    assert difference(HERE, HERE | changes) == expected


def test_nothing_is_known_of_a_machine_without_a_record() -> None:
    """Only the digest, in either."""
    assert "not known" in difference({}, HERE)
    assert "not known" in difference(HERE, {})


def test_lines_for_people_are_all_that_a_baseline_has() -> None:
    """Both where they differ; where they do not, what else is in the digest."""
    assert difference_of_texts("a VAX", "an EPYC") == "a VAX → an EPYC"
    assert "the host's name, the system or the architecture is not the same" in difference_of_texts("a VAX", "a VAX")


def test_parts_are_those_of_the_digest(monkeypatch: pytest.MonkeyPatch) -> None:
    """All that `machine_sha256` is of but the name: only then does an equal rest say that it is the name."""
    here = machine.this_machine.__wrapped__()
    for name in ("node", "system", "machine"):
        monkeypatch.setattr(f"platform.{name}", lambda: "another")
        there = machine.this_machine.__wrapped__()
        assert there.sha256 != here.sha256
        changed = {key for key in PARTS if there.details[key] != here.details[key]}
        assert changed == {"node": set(), "system": {"system"}, "machine": {"architecture"}}[name]
        monkeypatch.undo()
    assert set(PARTS) <= set(here.details)
    assert "host" not in here.details


@pytest.mark.parametrize("text", [None, "{", "[]", '{"machine": 3}', "{}"])
def test_a_run_that_says_nothing_of_its_machine(tmp_path: Path, text: str | None) -> None:
    """A missing or damaged environment.json stops no message about the machines."""
    if text is not None:
        (tmp_path / "environment.json").write_text(text)

    assert recorded(RunFolder(tmp_path)) == {}
