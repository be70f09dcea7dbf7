"""What a launch is controlled by, asked for and found."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.errors import InputError, WorkerFailed
from harness.runs import rounds
from harness.worker import controls
from harness.worker.job import Entrant


@pytest.fixture
def three_cpus(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Three CPUs may be used; returns what the affinity was set to, which changes nothing."""
    chosen: list[Any] = []
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {1, 4, 2})
    monkeypatch.setattr(os, "sched_setaffinity", lambda pid, cpus: chosen.append((pid, list(cpus))))
    return chosen


@pytest.mark.parametrize(("threads", "expected"), [(1, [4]), (2, [2, 4]), (3, [1, 2, 4])])
def test_last_cpus_are_chosen(three_cpus: list[Any], threads: int, expected: list[int]) -> None:
    """As many CPUs as threads, the last of those that this process may use; itself it keeps all that it had."""
    assert controls.choose_cpus(threads) == expected
    assert three_cpus in ([], [(0, [1, 2, 4])])


def test_process_that_may_not_choose_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the kernel forbids setting the affinity, a sentence with its reason and with what still works."""

    def forbidden(pid: int, cpus: Any) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "sched_setaffinity", forbidden)

    with pytest.raises(InputError, match=r"may not set its CPU affinity \(Operation not permitted\).*native"):
        controls.choose_cpus(1)


def test_too_many_threads_are_refused(three_cpus: list[Any]) -> None:
    """More threads than CPUs: a sentence with what was asked, what there is, and what to give."""
    with pytest.raises(InputError, match=r"--threads 4 asks for more CPUs .*3: \[1, 2, 4\].*Give --threads 3"):
        controls.choose_cpus(4)


def test_affinity_that_may_not_be_set_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the kernel forbids pinning, a sentence says so and what to do, before anything is launched."""

    def forbid(pid: int, cpus: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "sched_setaffinity", forbid)

    with pytest.raises(InputError, match=r"Operation not permitted.*--environment native"):
        controls.choose_cpus(1)


def test_users_variables_are_set_aside_and_named(tmp_path: Path) -> None:
    """What changes speed is set aside and reported, what does not is kept, and what is asked for wins."""
    user = {
        "OMP_NUM_THREADS": "7",
        "MALLOC_ARENA_MAX": "1",
        "XLA_FLAGS": "--x",
        "TF_ENABLE_ONEDNN_OPTS": "0",
        "TF_VAR_region": "eu",
        "LD_PRELOAD": "/lib/jemalloc.so",
        "PYTHONOPTIMIZE": "2",
        "HOME": "/home/me",
        "PATH": "/bin",
    }
    asked = controls.asked_variables(threads=2, scratch=tmp_path)

    environment, aside = controls.launch_environment(user, asked)

    assert aside == ["LD_PRELOAD", "MALLOC_ARENA_MAX", "OMP_NUM_THREADS", "TF_ENABLE_ONEDNN_OPTS", "XLA_FLAGS"]
    assert environment == {"HOME": "/home/me", "PATH": "/bin", "TF_VAR_region": "eu"} | asked
    assert environment["OMP_NUM_THREADS"] == "2"


def test_exceptions_are_from_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """A backend from outside keeps none of what libraries and other backends have set aside."""
    theirs = {"SET_ASIDE": ("ACME_",), "NOT_ASIDE": ("ACME_CLI_", "LD_PRELOAD", "OMP_", "TF_")}
    get = controls.facts.get
    monkeypatch.setattr(
        controls.facts, "get", lambda name, *rest: theirs.get(rest[0], ()) if name == "acme" else get(name, *rest)
    )
    user = dict.fromkeys(("ACME_CLI_KEY", "ACME_FAST", "LD_PRELOAD", "OMP_SCHEDULE", "TF_XLA_FLAGS"), "1")

    environment, aside = controls.launch_environment(user, {}, also=["acme"])

    assert aside == ["ACME_FAST", "LD_PRELOAD", "OMP_SCHEDULE", "TF_XLA_FLAGS"]
    assert environment == {"ACME_CLI_KEY": "1"}


def test_a_value_that_is_asked_for_anyway_is_not_reported(tmp_path: Path) -> None:
    """Nothing is said about a user's variable that has the asked value already."""
    asked = controls.asked_variables(threads=1, scratch=tmp_path)

    _, aside = controls.launch_environment({"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "2"}, asked)

    assert aside == ["MKL_NUM_THREADS"]


def test_asked_variables_fix_allocator_threads_and_caches(tmp_path: Path) -> None:
    """Thread variables, the allocator's thresholds, and caches inside the launch's own folder."""
    asked = controls.asked_variables(threads=3, scratch=tmp_path)

    assert {asked[name] for name in controls.THREAD_VARIABLES} == {"3"}
    assert "OMP_NUM_THREADS" in controls.THREAD_VARIABLES
    assert asked["MALLOC_TRIM_THRESHOLD_"] == "1099511627776"
    assert asked["MALLOC_MMAP_THRESHOLD_"] == "33554432"
    assert asked["NVIDIA_TF32_OVERRIDE"] == "0"
    assert "NVIDIA_TF32_OVERRIDE" not in controls.asked_variables(threads=3, scratch=tmp_path, tf32=True)
    for name in ("TMPDIR", "XDG_CACHE_HOME", "TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR", "CUDA_CACHE_PATH"):
        assert Path(asked[name]).is_relative_to(tmp_path)


def test_native_environment_asks_for_nothing(make_entrant: Callable[..., Entrant], tmp_path: Path) -> None:
    """`--environment native` has no controls; controlled has variables and CPUs."""
    native = rounds.asked_controls(make_entrant(environment="native", threads=0), tmp_path)
    controlled = rounds.asked_controls(make_entrant(), tmp_path)

    assert native == {}
    assert set(controlled) == {"environment", "cpus"}
    assert len(controlled["cpus"]) == 1


def test_variable_that_did_not_take_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable with another value, or none, raises with both."""
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    with pytest.raises(RuntimeError, match="OMP_NUM_THREADS: asked for '1', found '2'"):
        controls.check_found({"environment": {"OMP_NUM_THREADS": "1"}})
    with pytest.raises(RuntimeError, match="MKL_NUM_THREADS: asked for '1', found None"):
        controls.check_found({"environment": {"MKL_NUM_THREADS": "1"}})

    controls.check_found({"environment": {"OMP_NUM_THREADS": "2"}})
    controls.check_found({})


def test_affinity_that_did_not_take_is_an_error(three_cpus: list[Any]) -> None:
    """Other CPUs than those asked for raise with both lists."""
    with pytest.raises(RuntimeError, match=r"affinity: asked for \[4\], found \[1, 2, 4\]"):
        controls.check_found({"cpus": [4]})

    controls.check_found({"cpus": [1, 2, 4]})


def test_threads_that_did_not_take_are_an_error() -> None:
    """Another number of threads raises with both; 0 asks for none in particular."""
    with pytest.raises(RuntimeError, match="Threads of torch: asked for 1, found 2"):
        controls.check_threads(1, "2", "torch")

    controls.check_threads(2, "2", "torch")
    controls.check_threads(0, "16", "torch")


def test_launch_with_wrong_threads_fails(launch_one: Callable[..., Any]) -> None:
    """A backend that says it has two threads, where one was asked for, fails its launch with a sentence."""
    with pytest.raises(WorkerFailed, match="Threads of misbehaving: asked for 1, found 2"):
        launch_one("threads")


def test_controls_take_in_a_worker(
    launch_one: Callable[..., Any],
    make_entrant: Callable[..., Entrant],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """A real worker finds what was asked for, although the user's own environment says otherwise."""
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "0")
    asked = rounds.asked_controls(make_entrant(), tmp_path / "launch")

    result = launch_one("well", asked=asked)

    assert result["threads_found"] == "1"


def test_control_that_does_not_take_fails_the_launch(launch_one: Callable[..., Any]) -> None:
    """A worker that is not pinned as asked refuses to run: the kernel drops CPUs that do not exist."""
    cpu = max(os.sched_getaffinity(0))
    asked = {"environment": {}, "cpus": [cpu, 1000]}

    with pytest.raises(WorkerFailed, match=rf"CPU affinity: asked for \[{cpu}, 1000\], found \[{cpu}\]"):
        launch_one("well", asked=asked)
