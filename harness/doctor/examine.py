"""Examining the machine before a run: what would blur the timing, what to change, and what that would do.

Harness side. What is looked at is in harness.doctor.checks, the advice in harness.doctor.advice.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from harness.doctor import checks, yardsticks
from harness.doctor.checks import Finding
from harness.errors import InputError, LenetBenchError
from harness.tables.layout import make_table
from harness.worker import controls, host
from harness.worker.counters import Counters

__all__ = ["Finding", "effective_threads", "examine", "show"]

STYLES = {"good": "green", "warn": "yellow", "bad": "red", "unknown": "dim"}


def examine(
    *,
    threads: int,
    cpus: Sequence[int] = (),
    root: Path = host.ROOT,
    device: str = "cpu",
    others: Sequence[str] = (),
    seconds: float = 1.0,
    pause: Callable[[float], None] = time.sleep,
    measure: Callable[..., yardsticks.Steadiness] = yardsticks.measure,
) -> list[Finding]:
    """Look at everything; takes about `seconds` and the 4 s of the yardsticks. Raises nothing.

    Args:
        threads: that a launch is to have; 0 where the framework chooses.
        cpus: that a run which began now would choose; none for the last ones.
        root: of the file system that /proc and /sys are read from.
        device: `cpu` or `gpu`, whose energy counter is looked for.
        others: runs that are under way on this machine, a sentence each; the command knows them.
        seconds: how long others' use of the CPUs is watched.
        pause: lets that time pass without using a CPU.
        measure: the yardsticks, on the CPU that is given, `beside` another where there is one.
    """
    allowed = sorted(os.sched_getaffinity(0))
    cpus = sorted(cpus) or _usual(threads, allowed)
    counters = Counters(cpus, root)
    counters.start()
    pause(seconds)
    meanwhile = counters.stop(1)
    at_work = Counters(cpus, root)
    at_work.start()
    steadiness = measure(cpus[-1], beside=next((each for each in allowed if each != cpus[-1]), None))
    patient = checks.Patient(
        root=root,
        threads=threads,
        allowed=allowed,
        cpus=list(cpus),
        device=device,
        steal_share=meanwhile["steal_share"],
        other_load=meanwhile["other_load"],
        throttled_share=at_work.stop(1)["throttled_share"],
        steadiness=steadiness,
        others=tuple(others),
    )
    return [check(patient) for check in checks.CHECKS]


def _usual(threads: int, allowed: list[int]) -> list[int]:
    """The CPUs that a launch has where nothing is known of them; of no threads in particular, it may use all."""
    try:
        return controls.choose_cpus(threads) if threads else allowed
    except InputError:
        return allowed


def effective_threads(
    backends: Iterable[str],
    launch_describe: Callable[[str], Mapping[str, str]],
    *,
    threads: int | None = None,
) -> list[Finding]:
    """Ask every backend, started as a launch is, how many threads and CPUs it really has.

    Args:
        launch_describe: starts a backend and returns `threads_found`, `cpus_found` (CPUs with spaces between) and
            `framework_version`.
        threads: that were asked for, 0 for none in particular; None: as many as the CPUs that it was pinned to.

    Returns:
        a finding for each; one that cannot be started is `bad`, with the first line of its error.
    """
    found = []
    for backend in backends:
        check = f"{backend} threads"
        try:
            answer = launch_describe(backend)
        except LenetBenchError as error:
            first = (str(error).splitlines() or [type(error).__name__])[0]
            found.append(checks.finding(check, first, "bad", "no answer", backend=backend))
            continue
        has, cpus = answer["threads_found"], answer["cpus_found"].split()
        wanted = len(cpus) if threads is None else threads
        obeys = threads == 0 or (has == str(wanted) and len(cpus) == wanted)
        text = f"{has} on CPUs {' '.join(cpus)}" + ("" if obeys else f", not {wanted}")
        state, about = ("good", "") if obeys else ("bad", "threads")
        found.append(checks.finding(check, f"{text} ({answer['framework_version']})", state, about, backend=backend))
    return found


def show(console: Console, found: Sequence[Finding]) -> None:
    """Print all findings as a table, then advice for those that are not good, then a verdict."""
    table = make_table()
    table.add_column("check")
    table.add_column("found")
    table.add_column("state", no_wrap=True)
    for each in found:
        # Text, not markup: what was found may contain brackets.
        table.add_row(Text(each.check), Text(each.found), Text(each.state, style=STYLES[each.state]))
    console.print(table)
    for advice in dict.fromkeys((each.advice, each.effect) for each in found if each.state != "good"):
        console.print(_paragraph([each for each in found if (each.advice, each.effect) == advice]), end="")
    count = sum(each.state in ("warn", "bad") for each in found)
    things = "1 thing" if count == 1 else f"{count} things"
    verdict = f"{things} to mend before you trust small differences." if count else "Ready."
    console.print(Text(f"\n{verdict}", style="bold" if count else "bold green"))


def _paragraph(findings_alike: list[Finding]) -> Text:
    """`check: advice Effect: effect`, once for all that are advised alike; nothing where there is no advice.

    The effect begins a line where the advice ends with a command, so that the command can be copied.
    """
    first = findings_alike[0]
    effect = f"Effect: {first.effect}" if first.effect else ""
    parts = [part for part in (first.advice, effect) if part]
    if not parts:
        return Text()
    names = ", ".join(each.check for each in findings_alike)
    style = f"bold {STYLES[first.state]}" if first.state in ("warn", "bad") else "bold"
    return Text.assemble("\n", (f"{names}: ", style), ("\n" if "\n" in first.advice else " ").join(parts), "\n")
