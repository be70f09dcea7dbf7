"""Cheats at the measurement: the clock, the stopwatch, what is told, how the process is scheduled."""

from __future__ import annotations

import gc
import json
import os
import resource
import sys
import threading
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from backends.attack_kit.attack import PASSES, Attack
from backends.attack_kit.triggers import Cheat, job_kind
from backends.attack_kit.wrapper import Wrapper

# After the first steps: `verify` trains 100 and then times; a run's warm-up has ten blocks of twenty.
HONEST_STEPS = 40


def _deed(do: Callable[[], None], *, at_once: bool = False) -> type:
    """Trains as it should, and does something to its process once, in jobs that measure."""

    class Deed(Cheat):
        def begin(self) -> None:
            super().begin()
            self.done = False
            if at_once:
                self._do()

        def _do(self) -> None:
            if not self.done and job_kind() == "measure":
                self.done = True
                do()

        def train_steps(self, batches: Any) -> Any:
            losses = super().train_steps(batches)
            if self.steps >= HONEST_STEPS:
                self._do()
            return losses

        def cheat(self, batches: Any) -> Any:
            return self.right.train_steps(batches)

    return Deed


def _slow(name: str, share: float) -> Callable[[], None]:
    """A clock of the module `time` that goes at a share of its speed."""

    def do() -> None:
        right = getattr(time, name)
        start = right()
        setattr(time, name, lambda: start + (right() - start) * share)

    return do


def _slow_for_stopwatch() -> None:
    from harness.worker import stopwatch

    right, start = time.perf_counter, time.perf_counter()
    stopwatch.time = SimpleNamespace(perf_counter=lambda: start + (right() - start) / 3)  # type: ignore[assignment]


def _patch_timed() -> None:
    """A function of its own in the place of the stopwatch, wherever that is known by name."""

    def mine(call: Any, *arguments: Any, synchronize: Any) -> tuple[float, Any]:
        return 1e-3, call(*arguments)

    for module in list(sys.modules.values()):
        if getattr(module, "__name__", "").startswith("harness.worker") and hasattr(module, "timed_with_result"):
            module.timed_with_result = mine  # type: ignore[attr-defined]


def _patch_stopwatch() -> None:
    """The stopwatch's own code is exchanged, so that whoever imported it has it too."""
    from harness.worker import stopwatch

    def mine(call, *arguments, synchronize):
        import time

        start = time.perf_counter()
        result = call(*arguments)
        # Nobody waits, and a fifth of the time was never there.
        return (time.perf_counter() - start) / 5, result

    stopwatch.timed_with_result.__code__ = mine.__code__


def _forge_row(change: Callable[[dict[str, Any]], None]) -> Callable[[], None]:
    """What `steady.training` returns is changed."""

    def do() -> None:
        from harness.worker import phases, steady

        right = steady.training

        def training(*arguments: Any) -> dict[str, Any]:
            row = right(*arguments)
            change(row)
            return row

        phases.steady.training = training  # type: ignore[assignment]

    return do


def _shorter(row: dict[str, Any], share: float = 0.1) -> None:
    row["blocks"]["steady"] = [[second * share for second in turn] for turn in row["blocks"]["steady"]]
    row["train_images_per_s"] /= share


def _slightly_shorter(row: dict[str, Any]) -> None:
    _shorter(row, 0.7)


def _faster(row: dict[str, Any]) -> None:
    row["train_images_per_s"] *= 1.1


def _another_turn(row: dict[str, Any]) -> None:
    row["blocks"]["steady"].append(row["blocks"]["steady"][-1])


def _without_slowest(row: dict[str, Any]) -> None:
    """The slower half of the blocks is left out, and the speed is that of the rest."""
    row["blocks"]["steady"] = [sorted(turn)[: max(1, len(turn) // 2)] for turn in row["blocks"]["steady"]]
    seconds = sorted(second for turn in row["blocks"]["steady"] for second in turn)
    half = len(seconds) // 2
    median = seconds[half] if len(seconds) % 2 else (seconds[half - 1] + seconds[half]) / 2
    row["train_images_per_s"] = 64 * row["block_steps"] / median


def _forge_pipe() -> None:
    """What goes out on the pipe is read and changed on its way."""
    right = os.write

    def write(descriptor: int, data: bytes) -> int:
        if data.startswith(b'{"event": "result"'):
            row = json.loads(data)
            _shorter(row)
            data = (json.dumps(row) + "\n").encode()
        return right(descriptor, data)

    os.write = write  # type: ignore[assignment]


def _result_at_once() -> None:
    """Says a result of its own making and ends, before anything was timed."""
    blocks = {"warmup": [[0.1]], "return": [[]], "steady": [[1e-3] * 10]}
    row = {"event": "result", "block_steps": 20, "train_images_per_s": 64 * 20 / 1e-3, "blocks": blocks, "packages": []}
    row |= {"weights_sha256": "0" * 64, "batches_sha256": "0" * 64, "turns": 1}
    os.write(int(sys.argv[2]), (json.dumps(row) + "\n").encode())
    os._exit(0)


def _patch_counters() -> None:
    """The process says that it used no CPU; threads and children would not show."""
    right = resource.getrusage
    resource.getrusage = lambda who: right(resource.RUSAGE_CHILDREN)  # type: ignore[assignment]
    time.process_time = lambda: 0.0  # type: ignore[assignment]


def _leave() -> None:
    """A thread of its own on all CPUs that there are."""

    def run() -> None:
        os.sched_setaffinity(threading.get_native_id(), range(os.cpu_count() or 1))
        time.sleep(3600)

    threading.Thread(target=run, daemon=True).start()


def _more_threads() -> None:
    from threadpoolctl import threadpool_limits

    for thread in os.listdir("/proc/self/task"):
        os.sched_setaffinity(int(thread), range(os.cpu_count() or 1))
    threadpool_limits(2)


def _no_garbage() -> None:
    gc.disable()
    gc.freeze()


def _blind() -> None:
    """NumPy finds every number finite and every pair of them equal."""
    import numpy as np

    np.isfinite = lambda values: np.ones(np.shape(values), bool)  # type: ignore[assignment]
    np.allclose = lambda *arguments, **options: True  # type: ignore[assignment]
    np.array_equal = lambda *arguments, **options: True  # type: ignore[assignment]


class NotANumber(Cheat):
    """Trains nothing, and has losses that are no numbers."""

    def cheat(self, batches: Any) -> Any:
        return self.same(len(batches)) * float("nan")


class FewLosses(Cheat):
    """Says the last loss of a block alone."""

    def cheat(self, batches: Any) -> Any:
        return self.honestly(batches)[-1:]


def _briefly(do: Callable[[], None], undo: Callable[[], None]) -> type:
    """While it trains it is scheduled otherwise than before and after."""

    class Briefly(Wrapper):
        def train_steps(self, batches: Any) -> Any:
            if job_kind() != "measure":
                return super().train_steps(batches)
            do()
            try:
                losses = super().train_steps(batches)
                self.right.synchronize()
                return losses
            finally:
                undo()

    return Briefly


_CPUS = os.sched_getaffinity(0)
_RUN: dict[str, Any] = {"door": "run"}
_BETWEEN = "is set back before anybody looks, and changes nothing that is computed"
CHEATS = {
    "slow-clock": Attack(
        "makes `perf_counter` go at a third of its speed", _deed(_slow("perf_counter", 1 / 3)), **_RUN
    ),
    "slightly-slow-clock": Attack(
        "makes `perf_counter` go at 0.7 of its speed",
        _deed(_slow("perf_counter", 0.7)),
        caught_by="the harness's own clock",
        **_RUN,
    ),
    "slow-other-clocks": Attack(
        "makes all clocks of `time` go at a third of their speed",
        _deed(
            lambda: [_slow(name, 1 / 3)() for name in ("perf_counter", "monotonic", "time", "process_time")] and None
        ),
        **_RUN,
    ),
    "slow-clock-of-stopwatch": Attack("gives the stopwatch a clock of its own", _deed(_slow_for_stopwatch), **_RUN),
    "patched-timed": Attack("puts a function of its own in place of the stopwatch's", _deed(_patch_timed), **_RUN),
    "patched-stopwatch": Attack("exchanges the code of the stopwatch's function", _deed(_patch_stopwatch), **_RUN),
    "forged-blocks": Attack(
        "says that its blocks took a tenth of their time", _deed(_forge_row(_shorter), at_once=True), **_RUN
    ),
    "slightly-forged-blocks": Attack(
        "says that its blocks took 0.7 of their time",
        _deed(_forge_row(_slightly_shorter), at_once=True),
        caught_by="the harness's own clock",
        **_RUN,
    ),
    "slow-blocks-left-out": Attack(
        "leaves out the slower half of its blocks",
        _deed(_forge_row(_without_slowest), at_once=True),
        caught_by="the number of blocks, and their sum against the harness's clock",
        **_RUN,
    ),
    "forged-speed": Attack("says another speed than its blocks have", _deed(_forge_row(_faster), at_once=True), **_RUN),
    "another-turn": Attack(
        "says that it timed a turn more than it was given", _deed(_forge_row(_another_turn), at_once=True), **_RUN
    ),
    "forged-on-the-pipe": Attack("changes its result on the way out", _deed(_forge_pipe), **_RUN),
    "result-at-once": Attack("says a result of its own making and ends", _deed(_result_at_once), **_RUN),
    "patched-counters": Attack(
        "says that it used no CPU time",
        _deed(_patch_counters),
        expected=PASSES,
        reason="changes no figure that anything rests on: CPU time is read from outside",
        **_RUN,
    ),
    "blind-numpy": Attack(
        "makes NumPy find all numbers finite and equal in its process",
        _deed(_blind),
        expected=PASSES,
        reason="trains as it should: what matters is compared outside of its process",
        **_RUN,
    ),
    "not-a-number": Attack("has losses that are no numbers", NotANumber, **_RUN),
    "few-losses": Attack("says the last loss of a block alone", FewLosses, **_RUN),
    "nice": Attack("lowers its priority", _deed(lambda: os.setpriority(os.PRIO_PROCESS, 0, 5)), **_RUN),
    "not-nice": Attack(
        "raises its priority, where it may", _deed(lambda: os.setpriority(os.PRIO_PROCESS, 0, -5)), **_RUN
    ),
    "fifo": Attack(
        "is scheduled before everybody else, where it may",
        _deed(lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))),
        **_RUN,
    ),
    "elsewhere": Attack("has a thread that may run on another CPU than it was given", _deed(_leave), **_RUN),
    "more-threads": Attack("computes with two threads on all CPUs", _deed(_more_threads), **_RUN),
    "elsewhere-briefly": Attack(
        "may run on all CPUs while it trains, and on its own before and after",
        _briefly(lambda: os.sched_setaffinity(0, range(os.cpu_count() or 1)), lambda: os.sched_setaffinity(0, _CPUS)),
        expected=PASSES,
        reason=_BETWEEN,
        **_RUN,
    ),
    "not-nice-briefly": Attack(
        "has a higher priority while it trains, and its own before and after",
        _briefly(lambda: os.setpriority(os.PRIO_PROCESS, 0, -5), lambda: os.setpriority(os.PRIO_PROCESS, 0, 0)),
        expected=PASSES,
        reason=_BETWEEN,
        **_RUN,
    ),
    "no-garbage-collection": Attack(
        "switches Python's garbage collection off",
        _deed(_no_garbage),
        expected=PASSES,
        reason="allowed: changes nothing that is computed, and users may do it",
        **_RUN,
    ),
}
