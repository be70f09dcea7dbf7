"""What the harness's tests share: tiny data, mutant backends, one launch, the command line as a process."""

from __future__ import annotations

import contextlib
import functools
import http.server
import importlib
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from filelock import FileLock

from harness.commands import run as run_command
from harness.commands.cli import command_line
from harness.data import download, drawn_digits
from harness.data.sources import Dataset, load_dataset
from harness.proof import audit
from harness.results.folder import RunFolder
from harness.runs import interpreters, launch, plausible, preparation, rounds
from harness.runs import plan as plans
from harness.runs.allocation import Allocation
from harness.runs.pace import Pace
from harness.runs.plan import Plan, default_plan
from harness.runs.scratch import write_dataset
from harness.runs.worker_process import run_job
from harness.spec.networks import get_network
from harness.spec.recipes import LENET5
from harness.spec.start import initial_weights
from harness.worker.batches import PARTS
from harness.worker.controls import THREAD_VARIABLES
from harness.worker.job import Entrant, Job
from tests.faults import small
from tests.harness.haste import brief_look, cpu_of_its_own, frozen_imports, no_wait_for_the_disk, one_thread
from tests.harness.made_up_launches import MadeUpLaunches

# Fixtures that are used by being here.
__all__ = ["brief_look", "cpu_of_its_own", "frozen_imports", "no_wait_for_the_disk", "one_thread"]
ROOT = Path(__file__).parents[2]
MUTANTS = ROOT / "tests" / "mutants"


@pytest.fixture(scope="session")
def tiny_images(session_cache: Path) -> Path:
    """The arrays of `tiny_dataset`, .npz: drawn once for all of pytest-xdist's processes, and for theirs."""
    path = session_cache.parent / "tiny.npz"
    with FileLock(f"{path}.lock"):
        if not path.exists():
            train, test = drawn_digits.draw_train(650), drawn_digits.draw_test(500)
            arrays = train.images, train.labels.astype(np.int32), test.images, test.labels.astype(np.int32)
            np.savez(path, **dict(zip(PARTS, arrays)))  # type: ignore[arg-type]
    return path


@pytest.fixture(scope="session")
def tiny_dataset(tiny_images: Path) -> Dataset:
    """650 drawn digits to train on, which leaves a last batch of 10 of 64, and 500 to test on."""
    with np.load(tiny_images) as arrays:
        return Dataset(name="drawn-digits", source="a few drawn digits", sha256="0" * 64, **arrays)


@pytest.fixture(scope="session")
def session_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cache of all tests of this session, in whichever of pytest-xdist's processes they run.

    What takes long is done once in it: the drawn digits, and the problems that backends are verified on.
    """
    own = tmp_path_factory.getbasetemp()
    return (own.parent if os.environ.get("PYTEST_XDIST_WORKER") else own) / "cache"


@pytest.fixture(scope="session", autouse=True)
def never_the_users_cache(session_cache: Path, session_runs: Path) -> Iterator[None]:
    """No test reads or writes what the user has."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LENET_BENCH_CACHE", str(session_cache))
        patch.setenv("LENET_BENCH_LIVE_RUNS", str(session_runs))
        yield


@pytest.fixture(scope="session")
def session_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where runs of this process's tests are noted down: those beside it are no neighbours that it knows of."""
    return tmp_path_factory.getbasetemp() / "live-runs"


@pytest.fixture(scope="session")
def session_environment(
    tmp_path_factory: pytest.TempPathFactory, session_cache: Path, session_runs: Path
) -> dict[str, str]:
    """The environment of a process that has the mutants, this interpreter only, and the session's cache."""
    folder = tmp_path_factory.mktemp("session")
    (folder / "interpreters.json").write_text("{}")
    own = {
        "LENET_BENCH_BACKENDS": str(MUTANTS),
        "LENET_BENCH_INTERPRETERS": str(folder / "interpreters.json"),
        "LENET_BENCH_CACHE": str(session_cache),
        "LENET_BENCH_LIVE_RUNS": str(session_runs),
        "LENET_BENCH_OFFLINE": "1",
        "PYTHONPATH": str(ROOT),
    }
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LENET_BENCH_")}
    return kept | dict.fromkeys(THREAD_VARIABLES, "1") | own


@pytest.fixture(scope="session")
def drawn_cache(session_cache: Path) -> Path:
    """The session's cache with all drawn digits in it, for commands that load them."""
    with FileLock(f"{session_cache}.lock"):
        load_dataset("drawn-digits", notify=lambda text: None)
    return session_cache


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache and mirrors that refuse at once, in place of the user's settings."""
    for name in ("DATA", "OFFLINE"):
        monkeypatch.delenv(f"LENET_BENCH_{name}", raising=False)
    monkeypatch.setenv("LENET_BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("LENET_BENCH_MIRRORS", "http://127.0.0.1:9/a http://127.0.0.1:9/b")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(download, "_BACK_OFF", 0.01)
    return tmp_path / "cache"


@pytest.fixture
def serve_folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Path], list[str]]]:
    """Return a function that makes a folder the only mirror, and returns the list of paths that are fetched from it."""
    ending = contextlib.ExitStack()

    def serve(folder: Path) -> list[str]:
        fetched: list[str] = []

        class Handler(http.server.SimpleHTTPRequestHandler):
            def do_GET(self) -> None:
                fetched.append(self.path)
                super().do_GET()

            def log_message(self, format: str, *args: object) -> None:
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder)))
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        for end in (server.server_close, thread.join, server.shutdown):  # called in the opposite order
            ending.callback(end)
        monkeypatch.setenv("LENET_BENCH_MIRRORS", f"http://127.0.0.1:{server.server_address[1]}")
        return fetched

    with ending:
        yield serve


@pytest.fixture
def mutants(monkeypatch: pytest.MonkeyPatch, session_environment: dict[str, str]) -> Path:
    """The mutants are backends, in this process and in its workers; every backend runs in this interpreter."""
    for name, value in session_environment.items():
        if name.startswith("LENET_BENCH_"):
            monkeypatch.setenv(name, value)
    return MUTANTS


@pytest.fixture
def mutant_class(mutants: Path) -> Callable[[str], Any]:
    """Return a function that imports a mutant's class Backend."""
    from harness.worker import catalogue

    catalogue.names()
    return lambda name: importlib.import_module(f"backends.{name}.backend").Backend


@pytest.fixture(scope="session")
def small_environment(session_environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of `tests.faults.small`: the command line over a few images, in few turns."""
    path = tmp_path_factory.mktemp("small") / "small.npz"
    small.draw(path)
    return session_environment | {small.SMALL: str(path)}


@pytest.fixture
def start_small_cli(
    start_cli: Callable[..., subprocess.Popen[str]], small_environment: dict[str, str]
) -> Callable[..., subprocess.Popen[str]]:
    """As `start_cli`, over a few images: for runs whose figures are nothing to the test."""
    return functools.partial(start_cli, module="tests.faults.small", **{small.SMALL: small_environment[small.SMALL]})


@pytest.fixture
def start_cli(session_environment: dict[str, str], tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Return a function that starts `python -m harness ...` in a group of its own, in an empty folder."""
    started: list[subprocess.Popen[str]] = []
    # Shells let background jobs ignore what keys send, nohup a hang-up, and children inherit that; a handler, not being
    # inherited, undoes it.
    ignored = (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP)
    before = {number: signal.signal(number, signal.default_int_handler) for number in ignored}

    def start(*arguments: str, module: str = "harness", **variables: str) -> subprocess.Popen[str]:
        if arguments[:1] == ("run",) and not {"--verified", "--resume"} & set(arguments):
            # Mutants would not pass, and what is tested is mostly something else.
            arguments = (*arguments, "--unverified")
        arguments = tuple(each for each in arguments if each != "--verified")
        process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=session_environment | {"COLUMNS": "200"} | variables,
            cwd=tmp_path,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield start
    for number, handler in before.items():
        signal.signal(number, handler)
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def cli(start_cli: Callable[..., subprocess.Popen[str]]) -> Callable[..., tuple[int, str, str]]:
    """Return a function that runs the command line and returns exit code, standard output and standard error."""
    return functools.partial(ended, start_cli)


@pytest.fixture
def small_cli(start_small_cli: Callable[..., subprocess.Popen[str]]) -> Callable[..., tuple[int, str, str]]:
    """As `cli`, over a few images."""
    return functools.partial(ended, start_small_cli)


def ended(start: Callable[..., subprocess.Popen[str]], *arguments: str, **variables: str) -> tuple[int, str, str]:
    process = start(*arguments, **variables)
    out, err = process.communicate(timeout=300)
    return process.returncode, out, err


def make_entrant(backend: str = "numpy", **changes: Any) -> Entrant:
    options = {
        "network": "lenet5", "mode": "eager", "feed": "host", "device": "cpu", "dtype": "float32",
        "threads": 1, "batch_size": 64, "environment": "controlled",
    }  # fmt: skip
    return Entrant(backend=backend, **(options | changes))


@pytest.fixture(scope="session", name="make_entrant")
def make_entrant_fixture() -> Callable[..., Entrant]:
    """Return a function that makes an entrant of one thread on lenet5; keywords override the defaults."""
    return make_entrant


def plan_of(*backends: str | Entrant, **changes: Any) -> Plan:
    entrants = tuple(make_entrant(each) if isinstance(each, str) else each for each in backends)
    options = {
        "recipe": LENET5, "data_set": "drawn-digits", "data_dir": None, "rounds": 2, "seeds": 2, "seed": 0,
        "epochs": 1, "timing": False, "inference_sizes": (1, 8), "steady_s": 0.1,
    } | changes  # fmt: skip
    return Plan(entrants=entrants, **({"most_rounds": options["rounds"]} | options))


@pytest.fixture(scope="session")
def make_plan() -> Callable[..., Plan]:
    """Return a function that makes a plan of some backends, which trains one epoch and times nothing.

    It has as many rounds as `rounds` says, unless `most_rounds` is given.
    """
    return plan_of


@pytest.fixture
def launch_one(mutants: Path, tiny_dataset: Dataset, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Return a function that launches the misbehaving backend in one mode on tiny data."""
    write_dataset(tiny_dataset, tmp_path)
    weights = initial_weights(get_network("lenet5"), seed=0)
    np.savez(tmp_path / "weights.npz", **weights)  # type: ignore[arg-type]

    def run(
        mode: str, *, timeout_s: float = 120, feed: str = "host", device: str = "cpu", **changes: Any
    ) -> dict[str, Any]:
        options = {
            "kind": "train", "recipe": LENET5.as_dict(), "seed": 0, "data": str(tmp_path),
            "weights": str(tmp_path / "weights.npz"),
        }  # fmt: skip
        messages: list[dict[str, Any]] = []
        result = run_job(
            Job(entrant=make_entrant("misbehaving", mode=mode, feed=feed, device=device), **(options | changes)),
            interpreter=sys.executable,
            folder=tmp_path / "launch",
            timeout_s=timeout_s,
            listen=messages.append,
        )
        return result | {"messages": messages, "log": (tmp_path / "launch" / "log.txt").read_text()}

    return run


@pytest.fixture
def tiny_commands(mutants: Path, tiny_dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands called in this process load the tiny data, and give up early on steadiness."""
    monkeypatch.setattr(preparation, "load", lambda name, data_dir, display: tiny_dataset)
    monkeypatch.setattr(rounds, "Job", functools.partial(Job, warmup_limit_s=0.3))


@pytest.fixture
def made_up(mutants: Path, tiny_dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> MadeUpLaunches:
    """Runs launch no worker, their clock goes on by itself, and commands load the tiny data."""
    launches = MadeUpLaunches()
    monkeypatch.setattr(preparation, "load", lambda name, data_dir, display: tiny_dataset)
    monkeypatch.setattr(rounds, "run_job", launches.launch)
    monkeypatch.setattr(launch, "WorkerProcess", launches.worker)
    monkeypatch.setattr(interpreters, "installed_at", lambda path: launches.installed)
    monkeypatch.setattr(launch, "time", SimpleNamespace(monotonic=lambda: launches.now))
    monkeypatch.setattr(rounds, "Pace", functools.partial(Pace, clock=lambda: launches.now))
    monkeypatch.setattr(rounds, "Allocation", functools.partial(Allocation, clock=lambda: launches.now))
    monkeypatch.setattr(audit, "auditor_of", lambda plan, dataset: None)
    # What is made up has no clock that the harness's could be held against.
    for name in ("check", "check_beside"):
        monkeypatch.setattr(plausible, name, lambda *_, **__: None)
    return launches


@pytest.fixture(scope="session")
def run_once(session_environment: dict[str, str], session_cache: Path, tiny_dataset: Dataset) -> Callable[..., Path]:
    """Return a function that carries out a plan on tiny data, as a run of this name, and returns its folder.

    That is done once for all of pytest-xdist's processes; whoever wants it otherwise copies it. A launch that is timed
    has few turns, unless it is said how many.
    """
    results = session_cache.parent / "results"

    def run(name: str, plan: Plan, *, turns: int = 4) -> Path:
        results.mkdir(exist_ok=True)
        with FileLock(results / f"{name}.lock"), pytest.MonkeyPatch.context() as patch:
            if not (results / name / "summary.csv").exists():
                for variable, value in session_environment.items():
                    if variable.startswith("LENET_BENCH_"):
                        patch.setenv(variable, value)
                patch.setattr(preparation, "load", lambda name, data_dir, display: tiny_dataset)
                patch.setattr(rounds, "Job", functools.partial(Job, warmup_limit_s=0.3))
                patch.setattr(plans, "LEAST_TURNS", turns)
                run_command.new_run(plan, results=results, name=name, pythons={})
        return results / name

    return run


@pytest.fixture(scope="session")
def finished_run(run_once: Callable[..., Path]) -> Path:
    """The folder of a whole run: numpy and its twin, two rounds, timed, the first of which trains one epoch."""
    plan = default_plan(
        [make_entrant(name, batch_size=8) for name in ("numpy", "twin")], data_set="drawn-digits", data_dir=None,
        rounds=2, most_rounds=2, seeds=1, seed=0, epochs=1, inference_sizes=(1, 8), steady_s=0.1,
    )  # fmt: skip
    folder = run_once("first", plan, turns=plans.LEAST_TURNS)
    assert set(RunFolder(folder).read("launches")["status"]) == {"ok"}
    return folder


@pytest.fixture
def call(
    mutants: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Return a function that calls the command line in this process; what it does not catch fails the test.

    Runs do not verify first, unless they are called with --verified, as in `start_cli`.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("TERM", "dumb")

    def run(*arguments: str) -> tuple[int, str, str]:
        is_new = arguments[:1] == ("run",) and not {"--help", "--resume", "--verified"} & set(arguments)
        given = [*(each for each in arguments if each != "--verified"), *["--unverified"] * is_new]
        monkeypatch.setattr(sys, "argv", ["lenet-bench", *given])
        code = command_line()
        out, err = capsys.readouterr()
        # The option parser draws boxes around its sentences.
        return code, plain(out), plain(err)

    return run


def plain(text: str) -> str:
    """The text without colours, boxes and line breaks."""
    return " ".join(re.sub(r"\x1b\[[0-9;]*m|[│╭╮╰╯─]", " ", text).split())
