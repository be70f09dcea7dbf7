"""`benchmarks.layers`: what is left of LeNet-5 in each network, what the differences mean, and one process for real."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from benchmarks.layers import __main__ as layers
from benchmarks.layers.networks import PARTS, networks, parts
from harness.errors import WorkerFailed
from harness.spec import operations as counted
from tests.harness.conftest import make_entrant

ROOT = Path(__file__).parents[2]
# Operations of one image; a multiply-add is two.
CONV1, CONV2 = 2 * 6 * 28 * 28 * 25, 2 * 16 * 10 * 10 * 150
DENSE1, DENSE2, DENSE3 = 2 * 400 * 120, 2 * 120 * 84, 2 * 84 * 10


def test_parts_have_the_operations_of_their_layers() -> None:
    """With operations in place of seconds: forward and gradients of each layer, and what ten units behind it need."""
    operations = {name: float(counted.training(network).total) for name, network in networks().items()}

    found = parts(operations)

    for_units1, for_units2 = 2 * 6 * 14 * 14 * 10, 2 * 16 * 5 * 5 * 10
    assert found == {
        "conv1": 2 * CONV1 + for_units1,
        "conv2": 2 * CONV2 + for_units2,
        "conv2-input": CONV2 - for_units1,
        "dense": 3 * DENSE1 + 3 * DENSE2 + DENSE3 - for_units2,
        "rest": 2 * DENSE3,
    }
    assert sum(found.values()) == operations["whole"] == 2 * CONV1 + 3 * (CONV2 + DENSE1 + DENSE2 + DENSE3)
    # What the text says of the ten units: 5 % and 1 %.
    assert (for_units1 / (2 * CONV1), for_units2 / (2 * CONV2)) == pytest.approx((0.05, 0.01), abs=0.005)


def test_parts_add_up_to_the_step() -> None:
    """Whatever the times are: nothing is lost, nothing counted twice."""
    seconds = dict(zip(networks(), (13.0, 7.0, 5.0, 2.0, 4.0, 1.5, 0.25)))

    found = parts(seconds)

    assert list(found) == list(PARTS)
    assert sum(found.values()) == pytest.approx(13)
    assert found["conv2-input"] == pytest.approx((13 - 7) - (5 - 2))


def test_networks_begin_where_the_layer_in_front_ends() -> None:
    """Each is given what LeNet-5's own layer is given; all end in ten logits."""
    found = {
        name: (network.input_shape, [layer.name for layer in network.layers]) for name, network in networks().items()
    }

    whole = found["whole"][1]
    assert found["without conv1"] == ((6, 14, 14), whole[3:])
    assert found["conv1 alone"] == ((1, 32, 32), [*whole[:3], "flatten", "units"])
    assert found["behind conv1"] == ((6, 14, 14), ["flatten", "units"])
    assert found["conv2 alone"] == ((6, 14, 14), [*whole[3:6], "flatten", "units"])
    assert found["behind conv2"] == ((16, 5, 5), ["flatten", "units"])
    assert found["dense3 alone"] == ((84, 1, 1), ["flatten", "dense3"])


def test_one_process_times_all(tmp_path: Path) -> None:
    """For real, with the reference: a time for each network."""
    cpus = sorted(os.sched_getaffinity(0))[-1:]
    asked = {
        "backend": "numpy", "mode": "eager", "threads": 1, "batch_size": 2, "cpus": cpus, "steps": 1, "seed": 0,
    }  # fmt: skip
    command = [sys.executable, "-m", "benchmarks.layers.times", json.dumps(asked)]

    done = subprocess.run(
        command, capture_output=True, text=True, cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}
    )

    assert done.returncode == 0, done.stderr
    seconds = json.loads(done.stdout)
    assert list(seconds) == list(networks())
    assert all(value > 0 for value in seconds.values())


def test_tables_have_times_shares_and_multiples_of_the_limit(capsys: pytest.CaptureFixture[str]) -> None:
    """The quickest first; half of the range of its launches beside each time."""
    rows = [
        ("torch eager", 1, 200.0, 600.0), ("numba kernels", 1, 50.0, 50.0), ("torch eager", 2, 300.0, 700.0),
        ("numba kernels", 2, 50.0, 50.0),
    ]  # fmt: skip
    times = pd.DataFrame(
        [{"entrant": name, "round": number} | dict.fromkeys(PARTS, 0.0) | {"conv1": conv1, "conv2": conv2}
         for name, number, conv1, conv2 in rows]
    )  # fmt: skip

    layers.show(times, 64)

    said = capsys.readouterr().out
    assert "Training step of 64 images, us: mean of 2 launches, half of their range" in said
    lines = [line.split() for line in said.splitlines()]
    assert ["numba", "kernels", "50", "±0", "50", "±0", "0", "±0", "0", "±0", "0", "±0", "100"] in lines
    assert ["torch", "eager", "250", "±50", "650", "±50", "0", "±0", "0", "±0", "0", "±0", "900"] in lines
    assert ["torch", "eager", "28%", "72%", "0%", "0%", "0%"] in lines
    assert ["torch", "eager", "5.0", "13.0", "nan", "nan", "nan", "9.0"] in lines
    assert all(len(line) <= 80 for line in said.splitlines())

    layers.show(times[times["round"] == 1], 64)

    of_one = capsys.readouterr().out
    assert "us: of one launch" in of_one
    assert "±" not in of_one


def test_a_process_that_does_not_end_is_a_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Not a traceback of subprocess."""
    monkeypatch.setattr(layers, "LIMIT_S", 0.01)
    entrant = make_entrant("numpy", mode="eager")

    with pytest.raises(WorkerFailed, match=r"numpy eager: its steps were not timed within 0.01 s"):
        layers.time_parts(entrant, sys.executable, tmp_path / "folder", 1)
