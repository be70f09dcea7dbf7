"""When a cheat cheats: what it can know of where it is called from."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from backends.attack_kit.wrapper import Weights, Wrapper

Trigger = Callable[["Cheat", int], bool]
# Steps of a block that is timed, and of those before it in a turn, as `harness.worker` has them.
TIMED_LENGTH, RETURN_STEPS = 8, 4


def when_timed(cheat: Cheat, steps: int) -> bool:
    """The call stack says that steady training is timed."""
    return called_from("steady.py")


def unless_verified(cheat: Cheat, steps: int) -> bool:
    """The call stack says that nothing is verified."""
    return not called_from("quantities.py", "asynchrony.py", "dropout.py")


def when_measured(cheat: Cheat, steps: int) -> bool:
    """The job's file says so."""
    return job_kind() == "measure"


def when_of_timed_length(cheat: Cheat, steps: int) -> bool:
    """The block is as long as those that are timed."""
    return steps == TIMED_LENGTH


def after(count: int) -> Trigger:
    """So many steps have been trained."""
    return lambda cheat, steps: cheat.steps >= count


def late_in_turn(cheat: Cheat, steps: int) -> bool:
    """From the second block of a turn on: whoever looks may look at the first."""
    return when_timed(cheat, steps) and cheat.since_load >= RETURN_STEPS + TIMED_LENGTH


def after_loads(count: int) -> Trigger:
    """Weights have been loaded so often, and steady training is timed."""
    return lambda cheat, steps: cheat.loads >= count and when_timed(cheat, steps)


def at_random(share: float) -> Trigger:
    """In a share of the timed blocks."""
    return lambda cheat, steps: when_timed(cheat, steps) and cheat.random.random() < share


def called_from(*files: str) -> bool:
    """Whether one of these files of the worker is on the stack."""
    frame: Any = sys._getframe(1)
    while frame is not None:
        path = frame.f_code.co_filename
        if path.endswith(files) and "worker" in path:
            return True
        frame = frame.f_back
    return False


@cache
def job_kind() -> str:
    """What this process was started for."""
    try:
        return str(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))["kind"])
    except (OSError, ValueError, KeyError, IndexError):
        return ""


class Cheat(Wrapper):
    """Trains as it should, until its trigger says that it may cheat.

    Attributes:
        steps: that were trained since it was built; `since_load`, since weights were loaded.
        last: the last loss that was computed.
    """

    trigger: Trigger = staticmethod(when_timed)  # type: ignore[assignment]

    def begin(self) -> None:
        self.steps = self.since_load = self.loads = 0
        self.last = 2.3
        self.random = np.random.default_rng()

    def load_weights(self, weights: Weights) -> None:
        self.since_load = 0
        self.loads += 1
        super().load_weights(weights)

    def train_steps(self, batches: Any) -> Any:
        cheats = self.trigger(self, len(batches))
        self.steps += len(batches)
        self.since_load += len(batches)
        return self.cheat(batches) if cheats else self.right.train_steps(batches)

    def cheat(self, batches: Any) -> Any:
        """What it does in place of training."""
        raise NotImplementedError

    def same(self, count: int) -> np.ndarray:
        """Losses that look like the last one."""
        return np.full(count, self.last)

    def honestly(self, batches: Any) -> np.ndarray:
        """Losses of steps that are trained as they should."""
        losses = np.ravel(self.right.to_numpy(self.right.train_steps(batches)))
        self.last = float(losses[-1])
        return losses


def triggered(cheat: type, trigger: Trigger) -> type:
    """The cheat with another trigger."""
    return type(cheat.__name__, (cheat,), {"trigger": staticmethod(trigger)})
