"""One launch of a round, step by step: started, let go on turn by turn, asked for its result, ended."""

from __future__ import annotations

import shutil
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.errors import LenetBenchError, WorkerFailed
from harness.runs import clean_figures, plausible
from harness.runs.disturbance import Seen
from harness.runs.launch_rows import LaunchRows
from harness.runs.worker_process import WorkerProcess
from harness.visible import visible
from harness.worker.catalogue import blockwise
from harness.worker.job import Job


class Launch:
    """A worker process and its rows. Each step but `close` may fail once; the steps after that do nothing.

    Attributes:
        seconds: that were spent on this launch, not on those that it takes turns with.
        error: why it failed.
        block_s: seconds that a block of its warm-up took; 0 where it said nothing of them.
        disturbed: numbers of the round's turns in which something else had the CPUs; None where nobody could see.
    """

    def __init__(
        self,
        job: Job,
        rows: LaunchRows,
        *,
        interpreter: str,
        folder: Path,
        timeout_s: float,
        source: Path | None = None,
    ) -> None:
        self.job = job
        self.rows = rows
        self.seconds = 0.0
        self.error: WorkerFailed | None = None
        self.block_s = 0.0
        self.disturbed: frozenset[int] | None = None
        self._folder = folder
        self._options: dict[str, Any] = {"interpreter": interpreter, "folder": folder, "timeout_s": timeout_s}
        self._options["source"] = source
        self._worker: WorkerProcess | None = None
        self._said: list[str] = []
        self._beside = False

    def begin(self, cpus: Sequence[int] = ()) -> None:
        """Start the process, and do not wait for it.

        Args:
            cpus: that it starts on, beside other launches that start; none for its own, and nothing beside it.
        """

        def step() -> None:
            self._beside = bool(cpus)
            job = replace(self.job, asked=self.job.asked | {"cpus": list(cpus)}) if cpus else self.job
            self._worker = WorkerProcess(job, **self._options)

        self._attempt(step)

    def warm(self) -> None:
        """With turns to take, wait until it is warm, and is where it is timed."""

        def step() -> None:
            if self.job.turns:
                self.block_s = self._at_work.ready(self.rows.listen).get("block_s", 0.0)
            if self._beside:
                self._at_work.move(self._cpus)

        self._attempt(step)

    def turn(self) -> None:
        """Let it time a turn."""

        def step() -> None:
            self._said.append(self._at_work.turn(self.rows.listen).get("sha256", ""))

        self._attempt(step)

    @property
    def seen(self) -> list[Seen | None]:
        """What each of its turns had of the CPUs; nothing of one that has failed."""
        return self._worker.seen if self._worker is not None else []

    def seen_of(self, turn: int) -> Seen | None:
        """What a turn, counted from 1, had of the CPUs; None where nobody saw."""
        return next(iter(self.seen[turn - 1 : turn]), None)

    def finish(
        self,
        check: Callable[[dict[str, Any]], None],
        audit: Callable[[list[str]], dict[str, Any]] = lambda said: {},
    ) -> None:
        """Let it do the rest and take in its result.

        Args:
            check: of the result; may refuse it by raising WorkerFailed.
            audit: of what it left to look at, given the digests of its turns; more columns, or WorkerFailed.
        """

        def step() -> None:
            result = self._at_work.result(self.rows.listen)
            check(result)
            result |= audit(self._said)
            if self.job.kind == "measure":
                result |= self._timed(result)
            self.rows.succeeded(result)

        self._attempt(step)
        self.close()

    def _timed(self, result: dict[str, Any]) -> dict[str, Any]:
        """Hold what it says of its timing against what was seen; the columns that come of that."""
        entrant, heard, disturbed = self.job.entrant, self.rows.steady_s, self.disturbed or ()
        found = plausible.check_at_work(self._at_work.shares) if entrant.device == "cpu" else {}
        plausible.check(
            result, turns=len(self._said), batch_size=entrant.batch_size, heard=heard, disturbed=disturbed,
            whole=entrant.mode in blockwise(entrant.backend),
        )  # fmt: skip
        # Workers of another commit say nothing of it.
        if self._options["source"] is None:
            plausible.check_beside(result, start=self.rows.start_s, heard=heard, disturbed=disturbed)
        found |= clean_figures.of(result, self.disturbed, self.seen, batch_size=entrant.batch_size)
        return found | (clean_figures.started_beside(self._cpus) if self._beside else {})

    def close(self) -> None:
        """End the process, whatever it is doing, and forget its files."""
        if self._worker is not None:
            worker, self._worker = self._worker, None
            worker.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def _cpus(self) -> list[int]:
        """That it is timed on; none where it is not pinned."""
        cpus: list[int] = self.job.asked.get("cpus") or []  # type: ignore[assignment]
        return cpus

    @property
    def _at_work(self) -> WorkerProcess:
        assert self._worker is not None, "start() comes first"
        return self._worker

    def _attempt(self, step: Callable[[], None]) -> None:
        if self.error is not None:
            return
        start = time.monotonic()
        try:
            step()
        except WorkerFailed as error:
            self._failed(error)
        except LenetBenchError:
            raise
        except Exception as error:
            # What came from a worker may be wrong in a way that nobody thought of: the others go on.
            what = f"What it gave cannot be taken in: {visible(f'{type(error).__name__}: {error}')}"
            self._failed(WorkerFailed(what, traceback.format_exc(limit=-3)))
        self.seconds += time.monotonic() - start

    def _failed(self, error: WorkerFailed) -> None:
        self.error = error
        self.rows.failed(error)
        self.close()
