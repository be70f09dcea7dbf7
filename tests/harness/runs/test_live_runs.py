"""Runs that are under way on one machine see each other, whatever else lies where they look, and no dead ones."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from harness.runs import live_runs
from harness.runs.live_runs import LiveRun, announced, others, warnings

ROOT = Path(__file__).parents[3]
HOLD = """
import sys
from harness.runs.live_runs import announced
with announced(sys.argv[1], [int(cpu) for cpu in sys.argv[2:]]):
    print("held", flush=True)
    sys.stdin.read()
"""
Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of this test's own, that nobody has made yet."""
    monkeypatch.setenv(live_runs.FOLDER_VARIABLE, str(tmp_path / "live"))
    return tmp_path / "live"


@pytest.fixture
def start() -> Iterator[Start]:
    """Return a function that starts another process which says that it runs something on some CPUs."""
    with ExitStack() as ending:

        def begin(what: str, *cpus: int) -> subprocess.Popen[str]:
            process = subprocess.Popen(
                [sys.executable, "-c", HOLD, what, *map(str, cpus)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
            )  # fmt: skip
            ending.enter_context(process)
            ending.callback(process.kill)
            assert process.stdout is not None
            assert process.stdout.readline() == "held\n"
            return process

        yield begin


def test_another_run_is_seen_while_it_lives(start: Start, place: Path) -> None:
    """With its process, what it does and its CPUs; its own is no other; nothing is left behind."""
    with announced("this one", [0]):
        assert others() == []
        process = start("the run ~/results/a", 0, 1)

        assert others() == [LiveRun(process.pid, "the run ~/results/a", (0, 1))]

        process.communicate("")
        assert others() == []
    assert list(place.iterdir()) == []


def test_a_killed_run_is_gone_with_its_process(start: Start, place: Path) -> None:
    """SIGKILL leaves a file and no lock: it is no run, and whoever meets it takes it away."""
    process = start("the run that is killed", 1)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert len(list(place.iterdir())) == 1

    assert others() == []

    assert list(place.iterdir()) == []


def test_a_file_of_this_process_number_in_another_container_is_another(start: Start, place: Path) -> None:
    """Containers that share the folder number their processes alike: the number alone makes no own file."""
    process = start("the run in there", 0)
    (file,) = place.iterdir()
    _, started, rest = file.name.split("-")
    file.rename(file.with_name(f"{os.getpid()}-{started}-{rest}"))

    assert [each.pid for each in others() or []] == [process.pid]


def test_warnings_name_the_other_and_the_shared_cpus(start: Start) -> None:
    """Who it is; and where both are pinned to the same CPU, that each has half of it, and what to do."""
    process = start("the run ~/results/a", 1, 2)

    (same,), (apart,) = warnings([2, 3]), warnings([0])

    assert f"Process {process.pid} is at work on the run ~/results/a, pinned to CPU 1, 2." in same
    assert "Both are pinned to CPU 2, of which each has half: let one end first, or begin this one with taskset" in same
    assert "Another lenet-bench is under way on this machine." in apart
    assert "half" not in apart


def test_whatever_else_lies_there_is_no_run(place: Path) -> None:
    """A pipe is not waited for, a link not followed, a file that nobody holds is no run; others' files are left."""
    target = place.parent / "precious.txt"
    target.write_text("mine")
    place.mkdir()
    os.mkfifo(place / "pipe")
    (place / "link").symlink_to(target)
    (place / "folder").mkdir()

    assert others() == []

    assert target.read_text() == "mine"
    assert sorted(path.name for path in place.iterdir()) == ["folder", "link", "pipe"]


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "something that it does not name"),
        (b'{"pid": "x"}', "something that it does not name"),
        (b"[" * 5000, "something that it does not name"),
        (json.dumps({"pid": 7, "what": "a\x1b[31m\u202eb" + "c" * 9000, "cpus": []}).encode()[:4000], None),
        (json.dumps({"pid": 7, "what": "a\x1b[31m\u202eb", "cpus": []}).encode(), "a?[31m?b"),
    ],
    ids=["empty", "no number", "deep", "cut", "escapes"],
)
def test_what_another_user_wrote_is_only_text(place: Path, content: bytes, what: str | None) -> None:
    """A run that says nothing of use is a run all the same; nothing that it says reaches the terminal's controls."""
    holder = (
        "import fcntl, sys; f = open(sys.argv[1], 'rb'); fcntl.flock(f, fcntl.LOCK_EX); print('held', flush=True); "
        "sys.stdin.read()"
    )
    place.mkdir()
    (place / "1-2-3").write_bytes(content)
    with subprocess.Popen(
        [sys.executable, "-c", holder, str(place / "1-2-3")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        (found,) = others() or []
        process.communicate("")

    assert found.what == (what or "something that it does not name")
    assert found.sentence.isprintable()


def test_folder_is_shared_as_tmp_is(place: Path) -> None:
    """Everybody may add a run, and nobody take away another's."""
    with announced("this one", []):
        assert stat.S_IMODE(place.stat().st_mode) == 0o1777


def test_a_link_in_place_of_the_folder_is_not_followed(place: Path) -> None:
    """Whoever made it first in /tmp must not decide where root writes: nothing is announced, and nothing known."""
    elsewhere = place.parent / "elsewhere"
    elsewhere.mkdir(mode=0o755)
    place.symlink_to(elsewhere)

    with announced("this one", []):
        assert others() is None
        assert list(elsewhere.iterdir()) == []
    assert stat.S_IMODE(elsewhere.stat().st_mode) == 0o755


def test_folder_that_cannot_be_made_stops_nobody(place: Path) -> None:
    """A run goes on without being seen; how many others there are is then not known."""
    place.write_text("a file")

    with announced("this one", []):
        assert others() is None
        assert warnings([0]) == []
