"""The trial of a GPU: stages with time limits, what is left of them, how figures of a card and a profiler are read."""

from __future__ import annotations

import importlib.util
import itertools
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
import typer

from benchmarks import gpu_trial
from benchmarks.gpu import attacks, field, look, runs, wheels
from benchmarks.gpu.card import Card, Sample, counter_j, integral_j, period_s
from benchmarks.gpu.commands import Command, cpu_windows, run, run_all
from benchmarks.gpu.conduct import conduct
from benchmarks.gpu.launches import least_bytes
from benchmarks.gpu.made_up_card import MadeUpNvml
from benchmarks.gpu.probes.counting import of_chrome_trace, of_planes, union
from benchmarks.gpu.stages import STAGES, Stage
from benchmarks.gpu.tests import read_outcomes
from benchmarks.gpu.trial import Trial, of_stage, read_json, usual_threads
from harness.worker import catalogue

ROOT = Path(__file__).parents[2]
# A process that starts another in a session of its own, as the harness starts workers, says which, and stays.
WITH_CHILD = """
import pathlib, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
pathlib.Path(sys.argv[1]).write_text(str(child.pid))
time.sleep(600)
"""


@pytest.fixture
def trial(tmp_path: Path) -> Trial:
    return Trial(out=tmp_path, stage="look", device="cpu", seconds=60)


def samples_of(nvml: MadeUpNvml, clock: Callable[[], float], count: int) -> list[Sample]:
    card = Card(nvml)
    found = []
    for _ in range(count):
        sample = card.sample()
        found.append(Sample(clock(), *(getattr(sample, name) for name in list(vars(sample))[1:])))
    return found


@pytest.fixture
def swing() -> list[Sample]:
    """Eight seconds of the made-up card, a sample each 20 ms."""
    now = itertools.count(0, 0.02)
    moment = [0.0]
    nvml = MadeUpNvml(clock=lambda: moment[0])
    found = []
    for _ in range(400):
        moment[0] = next(now)
        found += samples_of(nvml, lambda: moment[0], 1)
    return found


def test_stages_end_fail_and_are_cut_off(tmp_path: Path) -> None:
    """A stage's fate is its own: the next goes on, all that a stage had started is gone, what it wrote remains."""
    pid = tmp_path / "pid"
    programs = {
        "look": "print('seen')",
        "verify": "raise SystemExit(3)",
        "run": WITH_CHILD,
        "field": "print('after')",
    }
    stages = [Stage(name, "", "", 30, 30) for name in programs]
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "stage.json").write_text(json.dumps({"notes": ["half a table"], "values": {}}))

    good = conduct(
        stages,
        out=tmp_path,
        device="cpu",
        budget_s=0,
        limits={"run": 3.0},
        command=lambda stage, limit_s: [sys.executable, "-c", programs[stage.name], str(pid)],
    )

    assert not good
    statuses = {name: read_json(tmp_path / name / "outcome.json")["status"] for name in programs}
    assert statuses == {"look": "ended", "verify": "failed", "run": "cut off", "field": "ended"}
    assert not psutil.pid_exists(int(pid.read_text())) or psutil.Process(int(pid.read_text())).status() == "zombie"
    page = (tmp_path / "trial.md").read_text()
    assert "half a table" in page
    assert "| verify | failed |" in page
    assert list(read_json(tmp_path / "trial.json")["stages"]) == list(programs)
    assert (tmp_path / "look" / "log.txt").read_text() == "seen\n"


def test_what_the_budget_has_no_time_for_is_not_begun(tmp_path: Path) -> None:
    """It says so, and does not write over what an earlier call found."""
    stages = [Stage(name, "", "", 30, 30) for name in ("look", "verify")]
    for number in range(2):
        good = conduct(
            stages[number:],
            out=tmp_path,
            device="cpu",
            budget_s=5 if number else 0,
            limits={},
            command=lambda stage, limit_s: [sys.executable, "-c", ""],
        )
        assert good == (number == 0)
    assert read_json(tmp_path / "verify" / "outcome.json")["status"] == "ended"

    conduct([Stage("run", "", "", 30, 30)], out=tmp_path, device="cpu", budget_s=5, limits={}, command=lambda *_: [])

    assert read_json(tmp_path / "run" / "outcome.json")["status"] == "not begun"


def test_findings_are_on_disk_at_once(trial: Trial) -> None:
    """Every note, problem, table and value, without being asked to write."""
    trial.note("a line")
    trial.problem("a fault")
    trial.table("T", ["a"], [[1]])
    trial.table("T", ["a"], [[2]])
    trial.record("x", 5)

    found = read_json(trial.folder / "stage.json")
    assert found["notes"] == ["a line"]
    assert found["problems"] == ["a fault"]
    assert found["tables"] == [{"title": "T", "header": ["a"], "rows": [[2]]}]
    assert of_stage(trial.out, "look") == {"x": 5}
    assert of_stage(trial.out, "nothing") == {}


def test_commands_run_side_by_side_and_end_with_the_stage(trial: Trial) -> None:
    """Exit codes, output, last words; one that would outlast its limit has none."""
    program = "import os, sys; print(sorted(os.sched_getaffinity(0))); print('oh no', file=sys.stderr); sys.exit(3)"
    found = {}
    run_all(
        [Command(str(number), ("-c", program)) for number in range(3)],
        trial,
        width=2,
        ended=lambda command, how: found.update({command.name: how}),
    )

    assert {how.code for how in found.values()} == {3}
    assert all(len(json.loads(how.output)) == 1 for how in found.values())
    assert found["0"].fate == "oh no"
    printed = run(Command("lines", ("-c", """print('{"a": 1}\\nnoise\\n3')""")), trial)
    assert printed.found == [{"a": 1}]
    cut = run(Command("long", ("-c", "import time; time.sleep(600)")), trial, limit_s=0.5)
    assert cut.code is None
    late = Trial(out=trial.out, stage="late", device="cpu", seconds=1)
    assert run(Command("never", ("-c", "")), late).code is None


def test_windows_of_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """Evenly spread over those that there are, as large as asked."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(16)))

    assert cpu_windows(4, 4) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11], [12, 13, 14, 15]]
    assert cpu_windows(3, 8)[2] == [0, 1, 10, 11, 12, 13, 14, 15]
    assert [len(window) for window in cpu_windows(20, 64)] == [16] * 20


def test_options(tmp_path: Path) -> None:
    """Stages in the order given; what is not one is refused with those there are."""
    assert [stage.name for stage in gpu_trial.read_stages("run, look")] == ["run", "look"]
    assert gpu_trial.read_stages("") == list(STAGES.values())
    assert gpu_trial.read_limits(["run=20.5"]) == {"run": 20.5}
    for read, wrong in ((gpu_trial.read_stages, "walk"), (gpu_trial.read_limits, ["run=long"])):
        with pytest.raises(typer.BadParameter, match="look, pose, verify"):
            read(wrong)  # type: ignore[arg-type]


def test_every_stage_has_its_function() -> None:
    """The table's names are functions of its modules."""
    for stage in STAGES.values():
        assert callable(getattr(importlib.import_module(f"benchmarks.gpu.{stage.module}"), f"run_{stage.name}"))


def test_power_summed_is_the_energy_that_the_counter_says(swing: list[Sample]) -> None:
    """Over three swings of power, and over half of one."""
    for begin, end in ((0.5, 6.5), (1.0, 2.0)):
        exact = MadeUpNvml(clock=lambda: 0.0)
        joules = exact.energy_j(end) - exact.energy_j(begin)
        assert integral_j(swing, "instant_w", begin, end) == pytest.approx(joules, rel=0.002)
        assert counter_j(swing, begin, end) == pytest.approx(joules, rel=0.1)
    assert counter_j(swing, 0.5, 6.5) == pytest.approx(1200, rel=0.02)


def test_energy_is_not_guessed(swing: list[Sample]) -> None:
    """Outside what was sampled, or where the card does not tell."""
    assert integral_j(swing, "power_w", 5, 9) is None
    assert integral_j(swing[:1], "power_w", 0, 0) is None
    silent = [Sample(sample.at, None, None, None, None, None) for sample in swing]
    assert integral_j(silent, "power_w", 1, 2) is None
    assert counter_j(silent, 1, 2) is None
    assert period_s(silent, "energy_j") is None


def test_how_often_figures_are_renewed(swing: list[Sample]) -> None:
    """The counter every tenth of a second, the power whenever it is asked for."""
    assert period_s(swing, "energy_j") == pytest.approx(0.1, abs=0.011)
    assert period_s(swing, "instant_w") == pytest.approx(0.02, abs=0.001)


def test_card_says_what_it_is_and_leaves_out_what_it_does_not_know() -> None:
    """Facts by name; codes of functions leave None; a card that is not there is an error with the code."""
    facts = Card(MadeUpNvml(codes={"nvmlDeviceGetTemperature": 3})).facts()

    assert facts["name"] == "a made-up card"
    assert facts["memory_bytes"] == 80 << 30
    assert facts["power_limit_w"] == 700
    assert facts["temperature_c"] is None
    refusing = MadeUpNvml(codes=dict.fromkeys(("nvmlDeviceGetFieldValues", "nvmlDeviceGetTotalEnergyConsumption"), 3))
    sample = Card(refusing).sample()
    assert (sample.instant_w, sample.energy_j) == (None, None)
    assert sample.power_w is not None
    with pytest.raises(OSError, match="nvmlInit_v2 returned 9"):
        Card(MadeUpNvml(codes={"nvmlInit_v2": 9}))


def test_what_nvidia_smi_says_is_kept(trial: Trial, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A made-up tool's words, as they are; packages and variables beside them."""
    tool = tmp_path / "tools" / "nvidia-smi"
    tool.parent.mkdir()
    tool.write_text('#!/bin/sh\necho "NVIDIA-SMI says $*"\n')
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tool.parent}:{os.environ['PATH']}")
    monkeypatch.setattr(look, "FRAMEWORKS", ())

    look.run_look(trial)

    assert (trial.folder / "nvidia-smi.txt").read_text() == "NVIDIA-SMI says \nNVIDIA-SMI says -q\n"
    values = of_stage(trial.out, "look")
    assert values["card"]["name"] == "a made-up card"
    assert values["tools"]["nvidia-smi"] == str(tool)
    assert "numpy" in values["packages"]


def test_every_attack_is_expected_and_is_there() -> None:
    """The backends of tests/gpu_attacks and the table of what gives them away name the same modes."""
    there = set()
    for file in (ROOT / "tests" / "gpu_attacks").glob("*/__init__.py"):
        spec = importlib.util.spec_from_file_location(file.parent.name, file)
        assert spec
        assert spec.loader
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        there |= {(file.parent.name, mode) for mode in module.MODES}

    assert there == set(attacks.EXPECTED)


def test_outcomes_of_tests_are_read_as_they_are_printed() -> None:
    """Also of a session that was cut off in the middle."""
    output = (
        "tests/gpu/test_a.py::test_one[eager] PASSED [ 20%]\n"
        "tests/gpu/test_a.py::test_two FAILED     [ 40%]\n"
        "tests/gpu/test_b.py::test_three SKIPPED (needs a GPU) [ 60%]\n"
        "FAILED tests/gpu/test_a.py::test_two - assert 1 < 0\n"
    )

    assert read_outcomes(output) == [
        ("test_a.py::test_one[eager]", "passed", ""),
        ("test_a.py::test_two", "failed", "assert 1 < 0"),
        ("test_b.py::test_three", "skipped", "needs a GPU"),
    ]


def test_events_of_a_profiler_are_counted() -> None:
    """Kernels, copies and calls that launch; what two streams do at once is counted once."""
    events = [
        {"cat": "kernel", "name": "k", "ts": 10.0, "dur": 5.0},
        {"cat": "kernel", "name": "k", "ts": 12.0, "dur": 5.0},
        {"cat": "gpu_memcpy", "name": "HtoD", "ts": 30.0, "dur": 1.0},
        {"cat": "cuda_runtime", "name": "cudaGraphLaunch", "ts": 1.0, "dur": 1.0},
        {"cat": "cuda_runtime", "name": "cudaDeviceSynchronize", "ts": 1.0, "dur": 1.0},
        {"ph": "M", "name": "process_name"},
    ]
    assert of_chrome_trace(events) == {"kernels": 2, "copies": 1, "calls": 1, "card_us": 8.0}

    def event(name: str, start_us: float, us: float, **stats: int) -> Any:
        return SimpleNamespace(name=name, start_ns=start_us * 1e3, duration_ns=us * 1e3, stats=list(stats.items()))

    stream = SimpleNamespace(name="Stream #13(Compute)", events=[event("fusion", 0, 2), event("MemcpyH2D", 5, 1)])
    steps = SimpleNamespace(name="XLA Modules", events=[event("jit_step", 0, 9)])
    # XLA's own events of a thread, and the driver's calls: of a kernel by its name, of a graph with its number.
    driver = ("fusion", "cuGraphLaunch (CudaGraph:3)", "cuMemcpyHtoDAsync_v2", "cuStreamSynchronize")
    calls = [event("fusion", 0, 2), *(event(name, 0, 1, correlation_id=place) for place, name in enumerate(driver))]
    host = SimpleNamespace(name="python", events=calls)
    planes = [
        SimpleNamespace(name="/device:GPU:0", lines=[stream, steps]),
        SimpleNamespace(name="/host:CPU", lines=[host]),
    ]
    assert of_planes(planes) == {"kernels": 1, "copies": 1, "calls": 2, "card_us": 3.0}
    assert union([]) == 0.0


def test_least_bytes_of_a_step() -> None:
    """lenet5 has 61,706 weights; an image's outputs are 8,094 numbers, and it is 1,024 itself."""
    assert least_bytes(64) == 4 * (8 * 61_706 + 64 * (5 * 8_094 + 2 * 1_024))


def test_wheels_are_those_that_a_machine_with_frameworks_lacks() -> None:
    """Three, as long as the harness asks for nothing new."""
    assert [each.partition(">")[0] for each in wheels.missing()] == ["platformdirs", "plotly", "pooch"]


def test_time_left_ends() -> None:
    """It is never negative."""
    assert Trial.left_s(SimpleNamespace(began=time.monotonic() - 100, seconds=10)) == 0.0  # type: ignore[arg-type]


def test_the_fields_together_are_all_modes(tmp_path: Path) -> None:
    """The key modes first; the others without them, but for the base that their ratios are to."""
    trial = Trial(out=tmp_path, stage="field", device="gpu", seconds=60)
    key, others = (
        {(each.backend, each.mode, each.feed) for each in field._entrants(["torch", "jax"], kind, 1024, trial)}
        for kind in field.SHARES
    )

    feeds = ("host", "device")
    assert key == {(*mode.split(":"), feed) for mode in runs.KEY for feed in feeds}
    assert key & others == {field.BASE}
    every = {(name, mode, feed) for name in ("torch", "jax") for mode in catalogue.modes(name, "gpu") for feed in feeds}
    assert key | others == every


def test_threads_on_a_gpu_are_half_of_the_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """Up to eight; a rehearsal's launches have one."""
    for there, wanted in ((16, 8), (64, 8), (6, 3), (1, 1)):
        monkeypatch.setattr(os, "sched_getaffinity", lambda pid, there=there: set(range(there)))
        assert usual_threads("gpu") == wanted
    assert usual_threads("cpu") == 1
