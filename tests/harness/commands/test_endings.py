"""How the command line ends: signals, streams that break, errors that nobody foresaw. Only a bad result is 1."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from harness.commands import cli, failures
from harness.commands import gate as gate_command
from harness.commands.signals import ENDING
from harness.errors import Regression, WorkerFailed
from harness.gate.report import write_junit
from harness.gate.verdicts import PASSED, Verdict
from harness.results.folder import RunFolder

Call = Callable[..., tuple[int, str, str]]
RUN = ["run", "-b", "numpy", "--data-set", "drawn-digits", "--epochs", "0", "--rounds", "500", "--steady-s", "0.1"]
RUN += ["--batch-size", "8", "--inference-sizes", "none", "--name", "cut"]


def shell(command: str, environment: dict[str, str], folder: Path, *, module: str = "harness") -> tuple[int, str, str]:
    """Run a line of bash in which $M is the command line."""
    done = subprocess.run(
        ["bash", "-c", command], env=environment | {"M": f"{sys.executable} -m {module}"}, cwd=folder,
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    ("command", "code", "words"),
    [
        ("$M list > /dev/full", 3, r"Standard output cannot be written: No space left on device\."),
        ("$M list >&-", 3, r"Standard output cannot be written: it is closed\."),
        ("$M list 2>&- >/dev/null", 0, ""),
        ("$M list 2>/dev/full >/dev/null", 0, ""),
        ("$M list | true; exit ${PIPESTATUS[0]}", 0, ""),
        ("$M list --network nowhere >&- 2>&-", 2, ""),
        ("PYTHONIOENCODING=ascii $M list --network lenet5 >/dev/null", 0, ""),
    ],
)
def test_broken_streams_end_as_they_should(
    session_environment: dict[str, str], tmp_path: Path, command: str, code: int, words: str
) -> None:
    """Full, closed, read by nobody: a sentence where results are lost, and never a traceback."""
    found, _, err = shell(command, session_environment, tmp_path)

    assert found == code, err
    assert re.search(words, err)
    assert "Traceback" not in err
    assert "Exception ignored" not in err


def test_run_outlasts_its_readers(small_environment: dict[str, str], tmp_path: Path) -> None:
    """With standard output and error piped to what ends at once, the run is carried out, and its files are written."""
    arguments = [each if each != "500" else "2" for each in RUN]
    command = f"$M {' '.join(arguments)} --unverified 2>&1 | true; exit ${{PIPESTATUS[0]}}"

    code, _, _ = shell(command, small_environment, tmp_path, module="tests.faults.small")

    assert code == 0
    folder = RunFolder(tmp_path / "results" / "cut")
    assert list(folder.read("launches")["status"]) == ["ok", "ok"]
    assert folder.has_ended(timed=2)


@pytest.fixture
def under_way(start_small_cli: Callable[..., Any], tmp_path: Path) -> Callable[[], Any]:
    """Return a function that starts a long run, and waits for its first rows and for a worker."""

    def start() -> tuple[subprocess.Popen[str], list[psutil.Process]]:
        process = start_small_cli(*RUN)
        launches = tmp_path / "results" / "cut" / "launches.csv"
        workers: list[psutil.Process] = []
        while process.poll() is None and not (launches.exists() and workers):
            time.sleep(0.05)
            workers = psutil.Process(process.pid).children(recursive=True) if launches.exists() else []
        return process, workers

    return start


def test_signals_end_a_run_politely(under_way: Callable[[], Any], tmp_path: Path) -> None:
    """Also twice in a row: 130, rows and summary are there, no process is left, no traceback is shown.

    The others interrupt alike (the next test); a run with SIGINT is in test_cli.py, one with SIGHUP in test_faults.py,
    and one with each in `nox -s faults`.
    """
    process, workers = under_way()

    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=120)

    assert process.returncode == 130, err
    assert "Interrupted. Finished launches are kept" in err
    assert "Traceback" not in out + err
    folder = RunFolder(tmp_path / "results" / "cut")
    assert folder.has_ended(timed=len(folder.read("launches")))
    _, alive = psutil.wait_procs(workers, timeout=30)
    assert [worker for worker in alive if worker.status() != psutil.STATUS_ZOMBIE] == []


INTERRUPTED = """
import os, signal, time
from harness.commands import signals
for number in signals.ENDING:
    # Each in a process that has had none before.
    child = os.fork()
    if child:
        print(number.name, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        continue
    signal.signal(number, signal.SIG_DFL)
    signals.end_politely()
    try:
        os.kill(os.getpid(), number)
        time.sleep(60)
    except KeyboardInterrupt:
        signals.taken()
        os.kill(os.getpid(), number)
        os._exit(signals.INTERRUPTED)
"""


def test_every_ending_signal_is_an_interruption(session_environment: dict[str, str]) -> None:
    """Once: the second in a row does nothing."""
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED], capture_output=True, text=True, env=session_environment, timeout=120
    )

    assert done.stdout.splitlines() == [f"{number.name} 130" for number in ENDING], done.stderr
    assert {"SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1"} <= {number.name for number in ENDING}


SWALLOWED = """
import os, signal, time
from harness.commands import signals
signals.AGAIN_S = 0.2
class Swallows:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.1)
signals.end_politely()
try:
    Swallows()
    time.sleep(60)
except KeyboardInterrupt:
    signals.taken()
    print("taken")
    time.sleep(0.5)
    print("in peace")
"""
SLOW_TO_END = """
import os, signal, time
from harness.commands import signals
signals.AGAIN_S = 0.2
signals.end_politely()
try:
    try:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(60)
    finally:
        time.sleep(0.7)
        print("ended")
except KeyboardInterrupt:
    print("taken")
"""


INSISTED = """
import os, signal, threading, time
from harness.commands import signals
signals.PEACE_S, signals.AGAIN_S = 0.2, 0.1
signals.end_politely()
def insist():
    time.sleep(0.6)
    os.kill(os.getpid(), signal.SIGTERM)
try:
    try:
        threading.Thread(target=insist).start()
        os.kill(os.getpid(), signal.SIGTERM)
    finally:
        time.sleep(60)
        print("ended")
except KeyboardInterrupt:
    print("taken")
"""


@pytest.mark.parametrize(
    ("program", "said"),
    [(SWALLOWED, "taken\nin peace\n"), (SLOW_TO_END, "ended\ntaken\n"), (INSISTED, "taken\n")],
    ids=["swallowed", "slow to end", "insisted"],
)
def test_interruption_is_not_lost_and_comes_once(session_environment: dict[str, str], program: str, said: str) -> None:
    """Where a destructor swallows it, it comes again; where something is being ended because of it, it does not.

    Somebody who insists ends what does not end by itself.
    """
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=session_environment, timeout=50
    )

    assert (done.returncode, done.stdout) == (0, said), done.stderr


def test_nohup_is_respected(session_environment: dict[str, str], tmp_path: Path) -> None:
    """Who starts it so that it ignores a hang-up, has it ignored."""
    code = (
        "import signal; from harness.commands import signals\n"
        "signals.end_politely()\n"
        "print(signal.getsignal(signal.SIGHUP) == signal.SIG_IGN, signal.getsignal(signal.SIGTERM) == signal.SIG_IGN)"
    )
    found, out, err = shell(f"trap \"\" HUP; {sys.executable} -c '{code}'", session_environment, tmp_path)

    assert (found, out.split()) == (0, ["True", "False"]), err


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(28, "No space left on device", "/tmp/x"), r"refused: No space left on device \(/tmp/x\)\. Make room"),
        (OSError("4096 requested and 0 written"), r"refused: 4096 requested and 0 written\. Make room, or set TMPDIR"),
        (PermissionError(13, "Permission denied", "/x"), r"refused: Permission denied \(/x\)\. The traceback is in"),
        (MemoryError(), "The harness ran out of memory"),
        (ZeroDivisionError("caf\udce9\n\x1b[31m"), r"\(ZeroDivisionError: caf\\udce9 \\x1b\[31m\)\. Please report it"),
        (SystemExit(1), "^$"),
    ],
)
def test_what_nobody_foresaw_ends_with_three(
    call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: BaseException, words: str
) -> None:
    """One sentence, and the traceback in a file: 1 would say that a result is bad."""

    def fail() -> None:
        raise error

    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(cli, "app", fail)

    code, _, err = call("list")

    assert code == 3
    assert re.search(words, err), err
    assert "Traceback" not in err
    if not isinstance(error, SystemExit):
        (kept,) = (tmp_path / "state" / "lenet-bench").iterdir()
        assert "in fail" in kept.read_text()
        assert str(kept) in err


def test_traceback_is_shown_to_who_asks(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the variable set, it is printed instead of kept."""
    monkeypatch.setenv(failures.VARIABLE, "1")
    monkeypatch.setattr(cli, "app", lambda: 1 / 0)

    code, _, err = call("list")

    assert code == 3
    assert "Traceback (most recent call last)" in err
    assert "ZeroDivisionError" in err.split("lenet-bench:")[-1]


def test_only_a_bad_result_ends_with_one(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Regression does."""

    def fail() -> None:
        raise Regression("It is slower.")

    monkeypatch.setattr(cli, "app", fail)

    assert call("list")[0] == 1


def test_broken_installation_is_no_bad_result(session_environment: dict[str, str], tmp_path: Path) -> None:
    """Where a package is missing: 3, and a sentence."""
    (tmp_path / "typer.py").write_text("raise ImportError('no typer')")
    environment = session_environment | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{session_environment['PYTHONPATH']}"}

    code, _, err = shell("$M list", environment, tmp_path)

    assert code == 3
    assert err == "lenet-bench: It is not installed as it should be (ImportError: no typer).\n"


def test_command_that_cannot_be_imported_is_no_bad_result(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands are imported when they are called: what one of them lacks ends it alike, and no other."""
    monkeypatch.setitem(sys.modules, "harness.commands.compare", None)

    code, _, err = call("compare", "nowhere")

    assert code == 3
    assert "lenet-bench: It is not installed as it should be (ModuleNotFoundError: " in err
    assert call("data")[0] == 0


def green(path: Path) -> None:
    """The report of an earlier gate that passed."""
    write_junit(path, [Verdict("numpy", "accuracy", PASSED, "accuracy 98 %")], [], strict=False, seconds=1.0)


@pytest.mark.parametrize("option", [["--colour", "red"], ["--epochs", "x"], ["-b", "numpi"], ["--speed"]])
def test_gate_that_cannot_run_leaves_no_old_green(call: Call, tmp_path: Path, option: list[str]) -> None:
    """Whatever is wrong with its options: the earlier report is gone, or says that this gate could not be run."""
    green(tmp_path / "gate.xml")

    code, _, _ = call("gate", "-b", "numpy", "--junit", "gate.xml", *option)

    assert code == 2
    report = tmp_path / "gate.xml"
    assert not report.exists() or 'errors="1"' in report.read_text()


@pytest.mark.parametrize("error", [WorkerFailed("on fire"), KeyboardInterrupt(), ValueError("a fault of ours")])
def test_gate_that_breaks_off_says_so_in_its_reports(
    call: Call, monkeypatch: pytest.MonkeyPatch, mutants: Path, tmp_path: Path, error: BaseException
) -> None:
    """An interruption too: no result, which is an error to JUnit, and a line of the summary."""

    def fail(*_: Any, **__: Any) -> None:
        raise error

    green(tmp_path / "gate.xml")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(gate_command, "run_gate", fail)

    code, _, _ = call("gate", "-b", "numpy", f"--junit={tmp_path / 'gate.xml'}", "--summary", "summary.md")

    assert code == (130 if isinstance(error, KeyboardInterrupt) else 3)
    report = (tmp_path / "gate.xml").read_text()
    assert 'errors="1"' in report
    assert "accuracy 98 %" not in report
    assert "the gate could not be run" in (tmp_path / "summary.md").read_text()


def test_gate_removes_no_file_but_its_own(call: Call, tmp_path: Path) -> None:
    """Another tool's report of that name stays where this gate cannot run."""
    (tmp_path / "gate.xml").write_text("<testsuites/>")

    call("gate", "--colour", "--junit", "gate.xml")

    assert (tmp_path / "gate.xml").read_text() == "<testsuites/>"
