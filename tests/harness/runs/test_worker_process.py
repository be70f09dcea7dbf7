"""What a worker is told and answers; what is said of launches that go wrong."""

from __future__ import annotations

import importlib
import json
import os
import re
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
import pytest

from harness.errors import WorkerFailed
from harness.runs.worker_log import LINES
from harness.runs.worker_process import run_job
from harness.spec.recipes import LENET5
from harness.worker import __main__ as worker
from harness.worker.job import INFERENCE_SIZES, Entrant, Job, label_of
from harness.worker.packages import packages_digest

LaunchOne = Callable[..., dict[str, Any]]


def children() -> list[psutil.Process]:
    return psutil.Process().children(recursive=True)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"inference_sizes": (8, 64, 2), "until": 0.985, "epochs": 7, "steady_s": 0.1, "warmup_limit_s": 1 / 3},
        {"inference_sizes": (), "asked": {"environment": {"OMP_NUM_THREADS": "1"}, "cpus": [0, 2]}, "output": "x.npz"},
    ],
)
def test_job_survives_its_file(make_entrant: Callable[..., Entrant], tmp_path: Path, changes: dict[str, Any]) -> None:
    """What is read is equal to what was written, sizes of the sweep included, which JSON makes a list of."""
    entrant = make_entrant(variant="twin", slowdown=0.03)
    job = Job(kind="measure", entrant=entrant, recipe=LENET5.as_dict(), seed=5, data="d", weights="w.npz", **changes)

    job.write(tmp_path / "job.json")
    found = Job.read(tmp_path / "job.json")

    assert found == job
    assert found.entrant.slowdown == 0.03
    assert found.inference_sizes == changes.get("inference_sizes", INFERENCE_SIZES)


def test_label_is_backend_mode_and_variant(make_entrant: Callable[..., Entrant]) -> None:
    """The label has the variant only where there is one, and nothing of the slowdown, which a blind test hides."""
    assert make_entrant("torch").label == "torch eager"
    assert make_entrant("torch", slowdown=0.03).label == "torch eager"
    assert make_entrant("torch", variant="twin").label == "torch eager twin"


@pytest.mark.parametrize(
    ("changes", "label"),
    [
        ({"threads": 2, "batch_size": 256, "feed": "device"}, "torch eager 2t b256 device"),
        ({"device": "gpu", "dtype": "tf32", "mode": "compiled"}, "torch compiled gpu tf32"),
        ({"environment": "native", "threads": 0}, "torch eager native"),
        ({"network": "lenet-d2l", "variant": "twin"}, "torch eager lenet-d2l twin"),
    ],
)
def test_label_says_what_is_not_as_usual(
    make_entrant: Callable[..., Entrant], changes: dict[str, Any], label: str
) -> None:
    """Entrants of a sweep have labels of their own; rows of a table give the same label as the entrant."""
    entrant = make_entrant("torch", **changes)
    row = pd.Series(asdict(entrant)).replace(0, pd.NA)

    assert entrant.label == label
    assert label_of(dict(row)) == label


def test_good_launch_answers_and_ends(launch_one: LaunchOne) -> None:
    """A launch returns its row, tells its phases in order, and leaves no process."""
    result = launch_one("well", epochs=1)

    phases = [message["name"] for message in result["messages"] if message["event"] == "phase"]
    assert phases == ["import", "build", "digests", "shapes", "epochs"]
    assert [message["epoch"] for message in result["messages"] if message["event"] == "epoch"] == [1]
    assert 0 < result["test_accuracy"] <= 1
    assert result["build_s"] > 0
    assert "event" not in result
    assert children() == []


def test_packages_are_those_that_were_there_before_the_framework(launch_one: LaunchOne) -> None:
    """What a framework adds to the path is nothing that was installed: all its modes have the same packages."""
    result = launch_one("vendored")

    assert result["packages"] == packages_digest()[1]


@pytest.fixture
def measure_one(launch_one: LaunchOne, make_entrant: Callable[..., Entrant], tmp_path: Path) -> LaunchOne:
    """Return a function that measures the reference on tiny data, which `launch_one` has written, in small batches."""

    def run(*, feed: str = "host", **changes: Any) -> dict[str, Any]:
        job = Job(
            kind="measure", entrant=make_entrant(batch_size=8, feed=feed), recipe=LENET5.as_dict(), seed=0,
            data=str(tmp_path), weights=str(tmp_path / "weights.npz"), steady_s=0.1, warmup_limit_s=0.3, **changes,
        )  # fmt: skip
        phases: list[str] = []
        result = run_job(
            job,
            interpreter=sys.executable,
            folder=tmp_path / "launch",
            timeout_s=300,
            listen=lambda message: phases.append(message["name"]),
        )
        return result | {"phases": phases}

    return run


def test_timed_launch_has_its_figures(measure_one: LaunchOne) -> None:
    """A measured launch tells its phases in order, and answers with every block, every size, start-up and memory."""
    result = measure_one(inference_sizes=(64, 8))

    assert result["phases"] == [
        "import", "build", "first step", "train", "start", "steady", "steady ended", "infer", "digests",
    ]  # fmt: skip
    assert result["block_steps"] == 8
    for phase, steps in (("warmup", "warmup_steps"), ("steady", "steady_steps")):
        assert len(result["blocks"][phase][0]) * 8 == result[steps]
    assert sum(result["blocks"]["warmup"][0]) == pytest.approx(result["warmup_s"])
    assert [size for size, _ in result["inference"]] == [8, 64]
    assert (result["inference_batch_size"], result["inference_images_per_s"]) == tuple(result["inference"][-1])
    assert 0 < result["latency_ms_p50"] <= result["latency_ms_p99"]
    assert result["import_s"] + result["build_s"] <= result["start_up_s"] < result["first_epoch_s"]
    assert 0 < result["rss_import_bytes"] < result["peak_rss_bytes"]
    assert {"test_accuracy", "epochs"} & set(result) == set()


def test_memory_of_the_harness_is_not_the_launchs(measure_one: LaunchOne) -> None:
    """However large the process that starts it, a launch's peak is its own."""
    large = np.ones(400 << 20, dtype=np.uint8)

    result = measure_one(inference_sizes=())

    assert result["peak_rss_bytes"] < large.nbytes


def test_launch_without_sizes_leaves_out_inference(measure_one: LaunchOne) -> None:
    """No sizes, no sweep, and no latency either; training is timed, on the resident data set here."""
    result = measure_one(feed="device", inference_sizes=())

    assert result["phases"][-2:] == ["steady ended", "digests"]
    assert [name for name in result if name.startswith(("latency", "inference"))] == []
    assert result["train_images_per_s"] > 0


def test_launch_ends_training_at_its_target(launch_one: LaunchOne) -> None:
    """Training stops with the first epoch that reaches the target, and the row says how many there were."""
    result = launch_one("well", epochs=3, until=0.05)

    assert result["epochs"] == 1
    assert result["test_accuracy"] >= 0.05
    assert [message["epoch"] for message in result["messages"] if message["event"] == "epoch"] == [1]


def test_peak_is_measured_without_a_backend(launch_one: LaunchOne) -> None:
    """Matrix multiplication is timed in a worker that loads no backend, not even one that would fail."""
    result = launch_one("raise", kind="peak")

    assert result["peak_gflops"] > 0
    assert "thread(s)" in result["peak_source"]
    assert [message for message in result["messages"] if message["event"] == "phase"] == []


def test_description_needs_no_data(launch_one: LaunchOne) -> None:
    """A worker that is only asked what it is says so, and reads no images."""
    result = launch_one("well", kind="describe", data="/nowhere")

    assert (result["threads_found"], result["layout"]) == ("1", "NCHW")
    assert "batches_sha256" not in result


@pytest.mark.parametrize(
    ("mode", "reason"),
    [
        ("abort", "ended with signal SIGABRT and no result"),
        ("segfault", "ended with signal SIGSEGV and no result"),
        ("exit", "ended with exit code 7 and no result"),
        ("raise", "RuntimeError: the device is on fire"),
        ("killed", r"signal SIGKILL and no result\. (Somebody killed it|The kernel does that)"),
        ("weights", "weights that the backend gave back are not those it was given"),
        ("batches", "batches that the backend read back .* are not those it was given"),
        ("labels", "batches that the backend read back .* are not those it was given"),
    ],
)
def test_failed_launch_says_why(launch_one: LaunchOne, mode: str, reason: str) -> None:
    """A crash, an early exit, an error, wrong weights, wrong batches: one sentence with the reason, no process."""
    with pytest.raises(WorkerFailed, match=reason) as caught:
        launch_one(mode)

    assert "\n" not in str(caught.value)
    assert children() == []


@pytest.mark.parametrize(
    "words",
    [
        "CUDA out of memory. Tried to allocate 20.00 GiB",
        "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory",
        "OOM when allocating tensor with shape[65536,28,28,6]",
        "RESOURCE_EXHAUSTED: Out of memory allocating 123 bytes.",
        "(ResourceExhausted) Fail to alloc memory of 1152921504606846976 size.",
        "std::bad_alloc",
        "Unable to allocate 8.00 EiB for an array with shape (1152921504606846976,) and data type float64",
    ],
)
def test_frameworks_own_words_for_no_memory_are_known(make_entrant: Callable[..., Entrant], words: str) -> None:
    """However a framework says it, the sentence names the batch size and what to do."""
    job = Job(kind="train", entrant=make_entrant(batch_size=65536), recipe={}, seed=0, data="", weights="")

    reason = worker._reason(RuntimeError(f"\n {words}\n  trace"), job)

    assert reason.startswith("Out of memory with batches of 65536 images; smaller ones need less. RuntimeError: ")
    assert words[:20] in reason
    assert "\n" not in reason


def test_failure_names_the_line_of_the_backend(make_entrant: Callable[..., Entrant], launch_one: LaunchOne) -> None:
    """An exception from a backend's file, however deep below it: the innermost of its lines; from elsewhere, none."""
    job = Job(kind="train", entrant=make_entrant(), recipe={}, seed=0, data="", weights="")
    with pytest.raises(TypeError) as inside:
        importlib.import_module("backends.numpy.weights").to_native({"a": 1}, "no dtype")
    with pytest.raises(ZeroDivisionError) as outside:
        print(1 / 0)

    assert re.search(r" \(backends/numpy/weights\.py, line \d+\)$", worker._reason(inside.value, job))
    assert worker._reason(outside.value, job) == "ZeroDivisionError: division by zero"
    # In a launch, where a folder of links is imported.
    with pytest.raises(
        WorkerFailed, match=r"RuntimeError: the device is on fire \(/.*/misbehaving/backend\.py, line \d+\)$"
    ):
        launch_one("raise")


def test_frames_in_a_message_are_frames(make_entrant: Callable[..., Entrant]) -> None:
    """What TensorFlow says of user code: the line that it names, and the message without the frames."""
    job = Job(kind="train", entrant=make_entrant(), recipe={}, seed=0, data="", weights="")
    ours = Path(importlib.import_module("backends.numpy.backend").__file__ or "")
    words = f"""in user code:

    File "{ours}", line 9, in mine  *
        loss = tf.reduce_meen(images)
    File "/site-packages/tensorflow/x.py", line 7, in __getattr__

    AttributeError: module 'tensorflow' has no attribute 'reduce_meen'

    Call arguments: none
"""

    reason = worker._reason(AttributeError(words), job)

    assert reason == (
        "AttributeError: module 'tensorflow' has no attribute 'reduce_meen' (backends/numpy/backend.py, line 9)"
    )


def test_syntax_error_names_its_own_line(make_entrant: Callable[..., Entrant], tmp_path: Path) -> None:
    """Not the line that imports the file."""
    job = Job(kind="train", entrant=make_entrant(), recipe={}, seed=0, data="", weights="")
    with pytest.raises(SyntaxError) as caught:
        compile("a = 1\nb = = 2\n", "/somewhere/model.py", "exec")

    assert worker._reason(caught.value, job).endswith("(model.py, line 2)")


def test_device_is_refused_in_the_frameworks_words(launch_one: LaunchOne) -> None:
    """A GPU that cannot be used: what was asked for, what the framework says, what there is; one line."""
    with pytest.raises(WorkerFailed) as caught:
        launch_one("well", device="gpu")

    assert str(caught.value) == (
        "RuntimeError: --device gpu: misbehaving cannot use one here. It can use: cpu. "
        "It says: LookupError: no such thing in this machine"
    )


def test_wrong_batches_on_the_device_are_refused(launch_one: LaunchOne) -> None:
    """Also with a resident data set: indices that are off by one give other images."""
    with pytest.raises(WorkerFailed, match="batches that the backend read back"):
        launch_one("batches", feed="device")


def test_right_batches_have_one_digest(launch_one: LaunchOne, tmp_path: Path) -> None:
    """Host and device feed read back the same bytes."""
    host = launch_one("well")["batches_sha256"]
    (tmp_path / "launch").rename(tmp_path / "first")
    device = launch_one("well", feed="device")["batches_sha256"]

    assert host == device
    assert re.fullmatch("[0-9a-f]{64}", host)


@pytest.mark.parametrize(("mode", "words"), [("exit", "last words"), ("raise", "the device is on fire")])
def test_error_comes_with_the_end_of_the_log(launch_one: LaunchOne, mode: str, words: str) -> None:
    """What the worker printed last, or its traceback, is in the error's log, of a few lines."""
    with pytest.raises(WorkerFailed) as caught:
        launch_one(mode)

    assert words in caught.value.log.splitlines()[-1]
    assert len(caught.value.log.splitlines()) <= LINES


def test_loss_that_is_no_number_fails_the_launch(launch_one: LaunchOne) -> None:
    """Training that diverged is a failure, not a row."""
    with pytest.raises(WorkerFailed, match=r"training loss became nan in epoch 1"):
        launch_one("nan", epochs=2)


def test_printing_disturbs_nothing(launch_one: LaunchOne) -> None:
    """Megabytes on stdout and stderr go to the log, and the answer still arrives."""
    result = launch_one("chatter")

    assert result["threads_found"] == "1"
    assert result["log"].count("out ") >= 200 * 2500
    assert result["log"].count("err ") >= 200 * 2500


def test_worker_imports_only_what_it_needs(launch_one: LaunchOne, tmp_path: Path) -> None:
    """In a worker there is no module of the harness's side, and our folders come from the launch's own folder."""
    log = launch_one("modules")["log"]
    modules = set(json.loads(re.search(r"^modules (.*)$", log, re.MULTILINE)[1]))
    path = json.loads(re.search(r"^path (.*)$", log, re.MULTILINE)[1])

    unwanted = {"pandas", "rich", "typer", "scipy", "requests", "pooch", "platformdirs", "cpuinfo", "click"}
    assert modules & unwanted == set()
    assert {"numpy", "threadpoolctl", "harness.worker.steady", "backends.misbehaving.backend"} <= modules
    assert str(tmp_path / "launch" / "import") in path
    assert str(Path(__file__).parents[3]) not in path
    assert os.path.realpath(tmp_path / "launch") not in map(os.path.realpath, path)
    assert "\noom 1000\n" in log, "where memory runs out, the kernel ends this process before the harness"
