"""What the doctor says: threads that backends have, the table, the advice, the verdict."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace

import pytest
from rich.console import Console

from harness.doctor import examine
from harness.doctor.advice import ADVICE
from harness.doctor.checks import finding
from harness.doctor.examine import Finding
from harness.errors import InputError, WorkerFailed


def describing(**answers: dict[str, str] | Exception) -> Callable[[str], dict[str, str]]:
    def describe(backend: str) -> dict[str, str]:
        answer = answers[backend]
        if isinstance(answer, Exception):
            raise answer
        return answer

    return describe


def answer(threads: str, cpus: str) -> dict[str, str]:
    return {"threads_found": threads, "cpus_found": cpus, "framework_version": "1.2"}


@pytest.mark.parametrize(
    ("threads", "found", "cpus", "state", "text"),
    [
        (2, "2", "4 5", "good", "2 on CPUs 4 5 (1.2)"),
        (2, "1", "4 5", "bad", "1 on CPUs 4 5, not 2 (1.2)"),
        (2, "2", "0 1 4 5", "bad", "2 on CPUs 0 1 4 5, not 2 (1.2)"),
        (0, "16", "0 1 4 5", "good", "16 on CPUs 0 1 4 5 (1.2)"),
        (None, "2", "4 5", "good", "2 on CPUs 4 5 (1.2)"),
        (None, "1", "4 5", "bad", "1 on CPUs 4 5, not 2 (1.2)"),
    ],
)
def test_effective_threads(threads: int | None, found: str, cpus: str, state: str, text: str) -> None:
    """Threads and CPUs both as many as asked for, or, where that is not said, each as many as the other."""
    (finding,) = examine.effective_threads(["torch"], describing(torch=answer(found, cpus)), threads=threads)

    assert (finding.check, finding.state, finding.found) == ("torch threads", state, text)
    assert bool(finding.advice) == (state == "bad")


def test_backend_that_does_not_answer_is_bad_and_the_next_is_asked() -> None:
    """The first line of its error is what was found; errors that are not ours are not swallowed."""
    describe = describing(
        jax=WorkerFailed("It crashed.\nTraceback"),
        mxnet=InputError(""),
        torch=answer("1", "1"),
        paddle=ZeroDivisionError("ours to mend"),
    )

    jax, mxnet, torch = examine.effective_threads(["jax", "mxnet", "torch"], describe, threads=1)

    assert (jax.state, jax.found) == ("bad", "It crashed.")
    assert "jax cannot be measured" in jax.effect
    assert (mxnet.state, mxnet.found) == ("bad", "InputError")
    assert torch.state == "good"
    with pytest.raises(ZeroDivisionError):
        examine.effective_threads(["paddle"], describe, threads=1)


def shown(*findings: Finding) -> str:
    console = Console(file=io.StringIO(), width=80, highlight=False)
    examine.show(console, findings)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


GOOD = Finding("clock", "50 ns", "good")


def test_show() -> None:
    """The table, a paragraph for each that is not good, the verdict; brackets are no markup."""
    text = shown(
        GOOD,
        Finding("load", "[bold]much", "bad", "Stop it.", "Quiet."),
        Finding("swap", "some", "warn", "Bring it back:\n    sudo swapoff -a", "No waiting."),
        Finding("energy", "no meter", "unknown", "None here.", ""),
        Finding("steal", "not visible", "unknown"),
    )

    assert (
        text
        == """\
check  found       state  
clock  50 ns       good   
load   [bold]much  bad    
swap   some        warn   
energy no meter    unknown
steal  not visible unknown

load: Stop it. Effect: Quiet.

swap: Bring it back:
    sudo swapoff -a
Effect: No waiting.

energy: None here.

2 things to mend before you trust small differences.
"""
    )


def test_show_says_the_same_advice_once() -> None:
    """Two checks with one advice share a paragraph; another effect is another paragraph."""
    text = shown(
        Finding("governor", "?", "unknown", "Ask.", "Known."),
        Finding("boost", "?", "unknown", "Ask.", "Known."),
        Finding("core", "?", "unknown", "Ask.", "Other."),
    )

    assert "governor, boost: Ask. Effect: Known.\n\ncore: Ask. Effect: Other.\n" in text
    assert text.count("Known.") == 1


@pytest.mark.parametrize(
    ("states", "verdict"),
    [
        (("good", "unknown"), "Ready."),
        (("good", "warn"), "1 thing to mend before you trust small differences."),
        (("bad", "warn", "warn"), "3 things to mend before you trust small differences."),
    ],
)
def test_verdict_counts_what_can_be_mended(states: tuple[str, ...], verdict: str) -> None:
    """What is unknown is not held against the machine."""
    assert shown(*(replace(GOOD, state=state) for state in states)).splitlines()[-1] == verdict


def test_nothing_is_wider_than_80_columns() -> None:
    """Of the real texts; commands are not broken, so that they can be copied."""
    values = {"cpus": 1, "threads": 1, "value": 0, "file": "/sys/devices/system/cpu/intel_pstate/no_turbo"}
    values |= {"first": "First. ", "reason": "None here.", "backend": "tensorflow"}
    found = [finding("cgroup memory limit", "something", "warn", about, **values) for about in ADVICE]

    text = shown(*found)

    assert max(map(len, text.splitlines())) <= 80
    commands = [line for each in found for line in each.advice.splitlines() if line.startswith("    ")]
    assert len(commands) > 8
    assert set(commands) <= set(text.splitlines())
