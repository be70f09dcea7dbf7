"""Signals to the harness, and streams that are full, closed, or that nobody reads any more."""

from __future__ import annotations

import functools
import os
import signal
import time
from contextlib import suppress
from random import Random

from tests.faults import rows
from tests.faults.case import NAME, RUN, Case, Site, complete, resumed, started, wait_for
from tests.faults.place import Place

# Those after which a run is to end as after Ctrl-C; others may end it as they end any process.
POLITE = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
SIGNALS = (*POLITE, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM, signal.SIGPIPE, signal.SIGXCPU)
INTERRUPTED = 130
# What is done with standard output or error -> the shell's words for it.
STREAMS = {
    "output on a full disk": "$COMMAND > /dev/full",
    "errors on a full disk": "$COMMAND 2> /dev/full",
    "both on a full disk": "$COMMAND > /dev/full 2>&1",
    "output closed": "$COMMAND >&-",
    "errors closed": "$COMMAND 2>&-",
    "both closed": "$COMMAND >&- 2>&-",
    "all three closed": "$COMMAND <&- >&- 2>&-",
    "output read by head": "$COMMAND | head -n 1; exit ${PIPESTATUS[0]}",
    "both read by head": "$COMMAND 2>&1 | head -n 1; exit ${PIPESTATUS[0]}",
    "both read by nobody": "$COMMAND 2>&1 | true; exit ${PIPESTATUS[0]}",
}
# The tables are lost with the output, and that is said; what stands on the disk is not.
OUTPUT_LOST = (0, 3, 141, -signal.SIGPIPE)


def cases() -> list[Case]:
    """All of them."""
    signals = [
        Case("signals", f"{number.name} at any time, resumed", functools.partial(_signal, numbers=(number,)), times=2,
             quick=number is signal.SIGHUP)
        for number in SIGNALS
    ]  # fmt: skip
    twice = [
        Case("signals", f"{first.name} and {second.name} soon after, resumed",
             functools.partial(_signal, numbers=(first, second)), times=2)
        for first, second in (
            (signal.SIGINT, signal.SIGINT), (signal.SIGTERM, signal.SIGTERM), (signal.SIGHUP, signal.SIGINT),
            (signal.SIGINT, signal.SIGKILL),
        )
    ]  # fmt: skip
    stopped = Case("signals", "SIGSTOP and SIGCONT", _stopped, times=2)
    streams = [Case("streams", what, functools.partial(_stream, shell=shell)) for what, shell in STREAMS.items()]
    return [*signals, *twice, stopped, *streams]


def _signal(site: Site, place: Place, random: Random, *, numbers: tuple[signal.Signals, ...]) -> int:
    folder, run = place.results / NAME, started(site, place)
    run.wait(random.uniform(0.2, 0.9) * site.run_s)
    sent = run.send(numbers[0])
    for number in numbers[1:]:
        time.sleep(random.uniform(0.0, 0.3))
        run.send(number)
    right = [0 if not sent else INTERRUPTED]
    if sent:
        # The last moments of a run are after its last launch, whose row may just be written; and a second signal may
        # find the run at its end.
        right += [0] * _almost_whole(place, site)
        right += [-number for number in numbers if number not in POLITE or len(numbers) > 1]
        # Whoever handles a signal that asks for nothing may go on.
        right += [0] * (numbers[0] in (signal.SIGPIPE, signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM, signal.SIGXCPU))
    place.finish(run, right=tuple(right), what=f"after {numbers[0].name}")
    seen = [rows.see(folder)]
    if run.ended is not None and run.ended.code != 0:
        place.finish(resumed(place), what="the resume")
    else:
        seen = []
    complete(place, site.undisturbed, seen)
    return int(sent)


def _almost_whole(place: Place, site: Site) -> bool:
    return len(rows.counted(place.results / NAME)) >= len(rows.counted(site.undisturbed)) - 1


def _stopped(site: Site, place: Place, random: Random) -> int:
    run = started(site, place)
    run.wait(random.uniform(0.1, 0.7) * site.run_s)
    sent = run.send(signal.SIGSTOP)
    time.sleep(1.5)
    with suppress(ProcessLookupError):
        os.kill(run.pid, signal.SIGCONT)
    # A turn that was timed meanwhile, by the harness's clock, may be refused: that launch failed, and says so.
    place.finish(run, right=(0, 3), what="after SIGCONT")
    if run.ended is not None and run.ended.code == 3:
        place.finish(resumed(place), what="the resume")
    complete(place, site.undisturbed, [])
    return int(sent)


def _stream(site: Site, place: Place, random: Random, *, shell: str) -> int:
    run = place.fresh(*RUN, "--name", NAME, shell=shell)
    place.finish(run, right=OUTPUT_LOST, what=f"with {shell}")
    wait_for(lambda: not list(place.alive()), 1.0)
    complete(place, site.undisturbed, [])
    return 1
