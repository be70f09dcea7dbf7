"""Making a backend's environment where there is no nox: a venv with the pinned requirements, in the user's data folder.

Found afterwards by the map of interpreters. Made anew where its pins have changed; one that was cut off is no
environment, because its stamp is written last.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from backends import BACKENDS
from harness.errors import InputError, LenetBenchError
from harness.files import shipped, try_lock, user_folder, write_text_atomically
from harness.runs import interpreters, outside, wheels
from harness.runs.pip_progress import Progress, size_of
from harness.worker import places
from harness.worker.job import installation
from harness.worker.versions import STAMP as COMMIT

STAMP = "pins.sha256"
# Lines of pip's that a message shows where it fails.
SHOWN_LINES = 12
# What would lead pip, or the new interpreter, to packages of another environment.
ASTRAY = ("PYTHONPATH", "PYTHONHOME", "__PYVENV_LAUNCHER__")


@dataclass(frozen=True)
class Wanted:
    """An environment that is asked for.

    Attributes:
        version: of the framework; empty for the pinned one.
        python: the interpreter that makes it.
        source: what pip is given in place of a version (`harness.runs.sources`), and the `commit` of a checkout.
    """

    backend: str
    python: str
    version: str = ""
    gpu: bool = False
    source: str = ""
    commit: str = ""

    @property
    def requirements(self) -> str:
        """Name of the file that says what is installed."""
        return wheels.requirements_name(self.backend, gpu=self.gpu)

    @property
    def name(self) -> str:
        """Of its folder; without a source, as the map of interpreters has it."""
        if self.source:
            return f"{self.requirements}@{hashlib.sha256(self.source.encode()).hexdigest()[:12]}"
        return installation(self.requirements, self.version)

    @property
    def folder(self) -> Path:
        """Where it is, or will be."""
        return environments() / self.name

    @property
    def interpreter(self) -> Path:
        """The Python in it."""
        return self.folder / "bin" / "python"

    @property
    def digest(self) -> str:
        """Of all that decides what it holds."""
        asked = wheels.digest(shipped("requirements"), self.name) if self.backend in BACKENDS else str(_asked(self))
        return f"{asked} {python_version(self.python)}"


@dataclass(frozen=True)
class Made:
    """An environment that is there.

    Attributes:
        version: of the framework in it.
        size: bytes on the disk.
        seconds: that making it took; 0 where it was there already.
    """

    wanted: Wanted
    version: str
    size: int
    seconds: float


def environments() -> Path:
    """The folder of all environments that are made here."""
    return user_folder("data") / "environments"


def python_version(python: str) -> str:
    """`3.11`, of an interpreter.

    Raises:
        InputError: it cannot be run.
    """
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    try:
        answer = subprocess.run([python, "-I", "-c", code], capture_output=True, text=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise InputError(f"{python} is no Python that can be run: {error}. Give another --with-python.") from None
    return answer.stdout.strip()


def choose_python(backend: str) -> str:
    """The interpreter that makes a backend's environment: this one, or one on the PATH where wheels need another.

    Raises:
        InputError: there is none of the version that the wheels need.
    """
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    wanted = wheels.only_python(backend) or here
    if wanted == here:
        return sys.executable
    for folder in os.get_exec_path():
        # A pyenv shim is on the PATH also for versions that are not switched on: ask it.
        found = shutil.which(f"python{wanted}", path=folder)
        if found and subprocess.run([found, "--version"], capture_output=True).returncode == 0:
            return found
    raise InputError(
        f"{wheels.obstacle(backend, here)} There is no python{wanted} on the PATH. Give one: --with-python PATH."
    )


def check(wanted: Wanted) -> None:
    """Refuse what cannot be had, before anything is made.

    Raises:
        InputError: with the reason.
    """
    problem = wheels.obstacle(wanted.backend, python_version(wanted.python))
    if problem:
        raise InputError(problem)
    if wanted.gpu and not wheels.has_gpu_wheels(wanted.backend):
        there = ", ".join(filter(wheels.has_gpu_wheels, BACKENDS))
        raise InputError(f"There are no wheels of {wanted.backend} for a GPU here. There are: {there}.")
    if wanted.name == wanted.backend and places.announced().get(wanted.backend):
        recorded = interpreters.read_map().get(wanted.backend, "")
        if recorded and recorded != str(wanted.interpreter):
            # The package that brings the backend may be there and nowhere else.
            raise InputError(
                f"{wanted.backend} has an environment already, {recorded}, which brings its backend, too. Ask for a "
                f"version or a build beside it: lenet-bench install {wanted.backend}==VERSION"
            )
    _asked(wanted)


def _asked(wanted: Wanted) -> list[str]:
    if wanted.backend not in BACKENDS:
        return outside.pip_arguments(wanted.backend, wanted.version, wanted.source)
    return wheels.pip_arguments(
        shipped("requirements"), wanted.requirements, wanted.version, tests=False, source=wanted.source
    )


def install(wanted: Wanted, progress: Progress) -> Made:
    """Make an environment, or find it as it should be, and enter it in the map of interpreters.

    Raises:
        InputError: another process is making it.
        LenetBenchError: pip could not install what is asked for; nothing is left then but its words.
    """
    start = time.monotonic()
    with _alone(wanted):
        # What a branch or a checkout holds may be another thing today.
        fresh = bool(wanted.source) or not _is_whole(wanted)
        if fresh:
            _make(wanted, progress)
        version = interpreters.version_in(str(wanted.interpreter), wanted.backend)
        if version is None:
            raise LenetBenchError(f"{wanted.folder} has no {wanted.backend} in it. Delete the folder, and try again.")
        # Of several builds each is asked for by its version; the first is also the backend's own.
        name = installation(wanted.requirements, version) if wanted.source else wanted.name
        if wanted.source and wanted.requirements not in interpreters.read_map():
            interpreters.record(wanted.requirements, str(wanted.interpreter))
        interpreters.record(name, str(wanted.interpreter))
    return Made(wanted, version, size_of(wanted.folder), time.monotonic() - start if fresh else 0.0)


def _is_whole(wanted: Wanted) -> bool:
    with contextlib.suppress(OSError):
        return wanted.interpreter.exists() and (wanted.folder / STAMP).read_text(encoding="utf-8") == wanted.digest
    return False


@contextlib.contextmanager
def _alone(wanted: Wanted) -> Iterator[None]:
    """Keep others from making the same environment."""
    folder = environments()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = os.open(folder / f".{wanted.name}.lock", os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise InputError(
            f"Cannot write into {folder}: {error.strerror}. Set XDG_DATA_HOME to another folder."
        ) from None
    try:
        if not try_lock(file):
            raise InputError(f"Another process is making {wanted.folder}. Wait until it has ended.")
        yield
    finally:
        os.close(file)


def _make(wanted: Wanted, progress: Progress) -> None:
    shutil.rmtree(wanted.folder, ignore_errors=True)
    log = wanted.folder.with_name(f"{wanted.name}.log")
    progress.begin(wanted.name, wanted.folder)
    pip = [str(wanted.interpreter), "-m", "pip", "install", "--disable-pip-version-check", "--progress-bar", "off"]
    steps = (
        [wanted.python, "-m", "venv", str(wanted.folder)],
        [*pip, *_asked(wanted), *([] if wanted.source else wheels.pins(shipped("requirements"), wanted.name))],
    )
    try:
        for command in steps:
            _run(command, wanted, log, progress)
        if wanted.commit:
            (wanted.folder / COMMIT).write_text(wanted.commit, encoding="ascii")
        write_text_atomically(wanted.folder / STAMP, wanted.digest)
    except BaseException:
        shutil.rmtree(wanted.folder, ignore_errors=True)
        raise
    finally:
        progress.end()


def _run(command: list[str], wanted: Wanted, log: Path, progress: Progress) -> None:
    """Run one step, with its words in the log; raises LenetBenchError where it fails."""
    environment = {name: value for name, value in os.environ.items() if name not in ASTRAY}
    with log.open("w", encoding="utf-8") as file:
        try:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment,
                cwd=log.parent,
            )  # fmt: skip
        except OSError as error:
            raise LenetBenchError(f"Cannot run {command[0]}: {error.strerror}.") from None
        try:
            for line in progress.lines_of(process):
                file.write(line)
        finally:
            process.kill()
            process.wait()
    if process.returncode:
        words = log.read_text(encoding="utf-8", errors="replace").splitlines()[-SHOWN_LINES:]
        raise _Failed(wanted, command, process.returncode, log, "\n".join(words))


class _Failed(LenetBenchError):
    """A step failed.

    Attributes:
        log: the end of what it printed.
    """

    def __init__(self, wanted: Wanted, command: list[str], code: int, log: Path, words: str) -> None:
        if "venv" in command:
            advice = "Is the package of your system that has it (python3-venv, say) installed?"
        else:
            advice = "Can the package index be reached (pip config list), and is there room on the disk?"
        what = f"`{command[0]} {' '.join(command[1:4])} ...` ended with exit code {code}"
        super().__init__(f"{wanted.name} was not installed: {what}. All its words are in {log}. {advice}")
        self.log = words
