"""The folder of a sweep: its file, which of its runs have ended, and in it the run folders themselves."""

from __future__ import annotations

import contextlib
import glob
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from harness.errors import InputError
from harness.files import sync_folder, write_text_atomically
from harness.results.folder import RunFolder
from harness.results.lock import FolderLock
from harness.results.plain_values import checked, read_json

# A copy of the file that it was begun with, and what has become of it.
FILE, STATE = "sweep.toml", "sweep.json"
# Between a cell's name and the node's, of a run folder that nodes of a cluster have filled.
ON = "-on-"
MAX_BYTES = 16 * 2**20


@dataclass(frozen=True)
class State:
    """What sweep.json says.

    Attributes:
        name: of the sweep, which its runs' names begin with.
        lenet_bench: the version that began it.
        data_dir: as environment.json has it (`harness.runs.privacy`); None for none.
        unverified: whether all of it is timed without a proof.
        ended: names of its cells that have ended, with all that was wanted of them.
    """

    name: str
    lenet_bench: str
    data_dir: str | None = None
    unverified: bool = False
    ended: tuple[str, ...] = ()


class SweepFolder:
    """One sweep under results/."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = FolderLock(path)

    @classmethod
    @contextlib.contextmanager
    def begin(cls, results: Path, name: str, text: str, state: State, *, numbered: bool) -> Iterator[SweepFolder]:
        """Make the folder with its file, and have its lock; it stays, whatever becomes of its runs.

        Args:
            numbered: as `RunFolder.create`.

        Raises:
            InputError: as `RunFolder.create`.
        """
        path = RunFolder.create(results, name, numbered=numbered).path
        made = cls(path)
        with made.lock():
            sync_folder(path.parent)
            write_text_atomically(path / FILE, text)
            made.write(replace(state, name=path.name))
            yield made

    def lock(self) -> contextlib.AbstractContextManager[None]:
        """Be the only process that carries it out."""
        return self._lock.hold()

    def read(self) -> State:
        """What has become of it.

        Raises:
            InputError: sweep.json is not there, or not what it must be.
        """
        try:
            state: State = checked(read_json(self.path / STATE, most=MAX_BYTES), State, str(self.path / STATE))
        except InputError as error:
            raise InputError(f"{error} Restore the file, or start a new sweep.") from None
        return state

    def write(self, state: State) -> None:
        """Write sweep.json anew."""
        write_text_atomically(self.path / STATE, json.dumps(asdict(state), indent=1) + "\n")

    def end(self, cell: str) -> None:
        """Note down that a cell has ended."""
        state = self.read()
        if cell not in state.ended:
            self.write(replace(state, ended=(*state.ended, cell)))

    def runs_of(self, cell: str) -> list[Path]:
        """The run folders of a cell, by its name, that have a launch: one, or one for each node that did some of it."""
        name = glob.escape(f"{self.read().name}-{cell}")
        # By name: all cells look for theirs, and each would look into the folders of all.
        return sorted(path for form in (name, f"{name}{ON}*") for path in self._runs(form))

    def runs(self) -> list[Path]:
        """Its run folders that have a launch."""
        return sorted(self._runs("*"))

    def _runs(self, names: str) -> Iterator[Path]:
        return (file.parent for file in self.path.glob(f"{names}/launches.csv"))


def is_sweep(path: Path) -> bool:
    """Whether a folder is a sweep's."""
    return (path / STATE).is_file()


def expanded(paths: Iterable[Path]) -> list[Path]:
    """These folders, those of sweeps replaced by the runs in them.

    Raises:
        InputError: a sweep has none yet.
    """
    found: list[Path] = []
    for path in paths:
        runs = SweepFolder(path).runs() if is_sweep(path) else [path]
        if not runs:
            raise InputError(
                f"No launch of the sweep {path} has ended yet. Go on with it: lenet-bench run --resume {path}"
            )
        found += runs
    return found
