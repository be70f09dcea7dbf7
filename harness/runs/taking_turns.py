"""The launches of a round, together: started, and let time their steady training turn by turn."""

from __future__ import annotations

import random
from collections.abc import Sequence

from harness.runs.display import Display
from harness.runs.disturbance import Watch
from harness.runs.launch import Launch


def start(launches: Sequence[Launch], groups: Sequence[Sequence[int]], display: Display) -> None:
    """Start all, and wait until they are warm.

    Args:
        groups: of CPUs, on each of which one starts at a time (`harness.runs.starting`). One alone: launches start one
            after the other, on their own CPUs.
    """
    begun = 0
    for number, each in enumerate(launches):
        for ahead in launches[begun : number + len(groups)]:
            # Whoever was there before it is warm, and asleep.
            place = groups[begun % len(groups)][: ahead.job.entrant.cpus]
            ahead.begin(place if len(groups) > 1 else ())
            begun += 1
        display.launch_started(each.job.entrant.label)
        each.warm()


def take_turns(launches: Sequence[Launch], wanted: int, order: random.Random, display: Display) -> int:
    """Let them take turns in random order, and return how many these were. While one has its turn, the others sleep.

    Turns in which something else had the CPUs are taken again.

    Args:
        wanted: undisturbed turns.
    """
    watch = Watch(wanted)
    while watch.wants_turn:
        number = watch.taken + 1
        display.turn_started(number, max(number, wanted))
        for each in order.sample(launches, len(launches)):
            each.turn()
        watch.took([each.seen_of(number) for each in launches])
    for each in launches:
        each.disturbed = watch.disturbed
    return watch.taken
