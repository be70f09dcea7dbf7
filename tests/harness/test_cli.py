"""The command line: help, sentences for bad input, exit codes, and Ctrl-C."""

from __future__ import annotations

import os
import re
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
import pytest

from harness import cli
from harness.plan import Plan
from harness.results import RunFolder, write_table

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(mutants: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Return a function that calls the command line in this process; what it does not catch fails the test."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("TERM", "dumb")

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["lenet-bench", *arguments])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        out, err = capsys.readouterr()
        # The option parser draws boxes around its sentences.
        return int(caught.value.code or 0), plain(out), plain(err)

    return run


def plain(text: str) -> str:
    return " ".join(re.sub(r"\x1b\[[0-9;]*m|[│╭╮╰╯─]", " ", text).split())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("run -b torhc", r"no backend 'torhc'\. There are: .*jax.*torch.* Did you mean 'torch'\?"),
        ("verify -b numpi", r"no backend 'numpi'.*Did you mean 'numpy'\?"),
        ("gate -b numpy,qqq", r"no backend 'qqq'\. There are: .*torch"),
        ("run -b numpy --network lenet6", r"no network 'lenet6'\. There are: .*lenet5.*Did you mean 'lenet5'\?"),
        ("run -b numpy --data-set mnits", r"no data set 'mnits'\. There are: .*mnist.*Did you mean 'mnist'\?"),
        ("run -b numpy --mode eagre", r"no mode of numpy 'eagre'\. There are: eager\. Did you mean 'eager'\?"),
        ("run -b numpy --dtype float16", r"no precision of numpy 'float16'\. There are: float32, float64"),
        ("run -b numpy --device gpu", r"no device of numpy 'gpu'\. There are: cpu"),
        ("run -b numpy --feed hots", r"no feed 'hots'\. There are: device, host\. Did you mean 'host'\?"),
        ("run -b numpy --environment nativ", r"no environment 'nativ'.*Did you mean 'native'\?"),
        ("run -b torch", r"torch is not installed for the backend 'torch'\. Install it with: nox -s bench-torch"),
        ("verify -b mxnet", r"Install it with: nox -s bench-mxnet"),
        ("run -b numpy --threads 0", r"--threads.*\b0\b"),
        ("run -b numpy --threads 9999", r"--threads 9999 asks for more CPUs than .* Give --threads \d+ or fewer"),
        ("run -b numpy --batch-size -1", r"--batch-size.*-1"),
        ("run -b numpy --epochs x", r"--epochs.*'x'"),
        ("run -b numpy --epochs 1.5", r"--epochs.*'1\.5'"),
        ("run -b numpy --rounds 0", r"--rounds.*\b0\b"),
        ("run -b numpy --launch-timeout soon", r"--launch-timeout.*'soon'"),
        ("run -b numpy --steady-s -2", r"--steady-s.*-2"),
        ("run -b numpy --data-dir nowhere", r"names 'nowhere', which is not a folder"),
        ("run -b numpy --python numpy", r"--python takes BACKEND=INTERPRETER, got 'numpy'"),
        ("run -b numpy --python numpy=/nowhere/python", r"that interpreter does not have numpy"),
        ("run -b numpy --results-dir file/results --data-set drawn-digits", r"Cannot make the results folder file/res"),
        ("run -b numpy --resume nowhere", r"nowhere is not a run"),
        ("run -b numpy --resume file", r"file is not a run"),
        ("run --colour red", r"No such option: --colour"),
        ("fly", r"No such command 'fly'"),
        ("compare nowhere", r"nowhere is not a run: it has no launches\.csv"),
        ("compare file", r"file is not a run"),
        ("list --network lenet", r"no network 'lenet'.*lenet5"),
        ("data --get mnits", r"no data set 'mnits'.*Did you mean 'mnist'\?"),
        ("data --get mnist", r"data set 'mnist' cannot be had.*switched off.*--data-dir"),
        ("data --contact-sheet file/sheet.png", r"Cannot write file/sheet\.png"),
    ],
)
def test_bad_input_is_a_sentence(
    call: Call, drawn_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: str, message: str
) -> None:
    """What cannot be done ends with exit code 2 and a sentence that says what came in and what there is."""
    (tmp_path / "file").touch()
    monkeypatch.delenv("LENET_BENCH_DATA", raising=False)

    code, out, err = call(*arguments.split())

    assert code == 2
    assert re.search(message, err), err
    assert "Traceback" not in out + err
    assert [path.name for path in tmp_path.rglob("*") if path.suffix == ".csv"] == []


def test_bad_input_as_a_process(cli: Call) -> None:
    """The same through `python -m harness`: exit code 2, the sentence on stderr, nothing on stdout."""
    code, out, err = cli("run", "--backend", "torhc")

    assert code == 2
    assert out == ""
    assert "Did you mean 'torch'?" in err
    assert "Traceback" not in err


@pytest.mark.parametrize("command", ["run", "compare", "verify", "gate", "data", "list"])
def test_help_has_examples(call: Call, command: str) -> None:
    """Every command explains itself, with examples that start with the tool's name."""
    code, out, _ = call(command, "--help")

    assert code == 0
    assert "Examples" in out
    assert f"lenet-bench {command}" in out.split("Examples")[1]


def test_help_lists_the_commands(call: Call) -> None:
    """The tool itself has help that names its six commands, and a version."""
    code, out, _ = call("--help")

    assert code == 0
    assert all(f" {command} " in out for command in ("run", "compare", "verify", "gate", "data", "list"))
    assert re.fullmatch(r"lenet-bench \d+\.\d+\.\d+", call("--version")[1])


def test_list_shows_backends_and_how_to_install(call: Call) -> None:
    """`list` has every backend with its version, or with the command that installs it."""
    code, out, _ = call("list")

    assert code == 0
    assert re.search(r"torch +no: nox -s .*bench-torch", out)  # the cell is folded at 80 columns
    assert re.search(r"numpy \d+\.\d+", out)
    assert "networks: lenet5" in out


def test_list_shows_a_network(call: Call) -> None:
    """`list --network lenet5` prints shapes, parameters and operations with their totals."""
    code, out, _ = call("list", "--network", "lenet5")

    assert code == 0
    assert "61,706" in out
    assert "16 x 5 x 5" in out
    assert "416,520" in out


def test_compare_prints_both_runs(call: Call, finished_run: Path, tmp_path: Path) -> None:
    """Two runs of the same thing are joined in one table, each row with its run's name."""
    other = copy_of(finished_run, tmp_path)

    code, out, err = call("compare", str(finished_run), str(other))

    assert (code, err) == (0, "")
    assert out.count("numpy") >= 4
    assert out.count("twin") >= 4
    assert "first" in out
    assert "second" in out
    assert "cannot tell" in out


def copy_of(run: Path, parent: Path, **columns: str) -> Path:
    """Copy a run under the name `second`, with other values in some columns of its launches."""
    folder = RunFolder.create(parent, "second")
    launches = RunFolder(run).read("launches")
    changed = {name: pd.array([value] * len(launches), dtype="string") for name, value in columns.items()}
    write_table(folder.path / "launches.csv", launches.assign(run="second", **changed).astype(launches.dtypes))
    return folder.path


def test_compare_refuses_the_same_run_twice(call: Call, finished_run: Path) -> None:
    """A run given twice would count its launches twice."""
    code, _, err = call("compare", str(finished_run), str(finished_run))

    assert code == 2
    assert "Two of the runs have the same name (first, first)" in err


@pytest.mark.parametrize(
    ("what", "columns", "values"),
    [
        ("machine", {"machine": "Abacus", "machine_sha256": "e" * 64}, "; second: Abacus."),
        ("network", {"network": "lenet6"}, "first: lenet5; second: lenet6."),
        ("data set", {"data_set": "mnist", "data_sha256": "d" * 64}, "first: drawn-digits; second: mnist."),
        ("precision", {"dtype": "float64"}, "first: float32; second: float64."),
        ("recipe", {"recipe": "long"}, "first: lenet5; second: long."),
        ("device", {"device": "gpu"}, "first: cpu; second: gpu."),
        ("environment", {"environment": "native"}, "first: controlled; second: native."),
    ],
)
def test_compare_refuses_what_cannot_be_compared(
    call: Call, finished_run: Path, tmp_path: Path, what: str, columns: dict[str, str], values: str
) -> None:
    """Another machine, network, data set, ...: exit code 2, what differs, and both values."""
    other = copy_of(finished_run, tmp_path, **columns)

    code, out, err = call("compare", str(finished_run), str(other))

    assert (code, out) == (2, "")
    assert f"cannot be compared: the {what}" in err
    assert values in err


def test_interrupted_run_keeps_its_rows(
    start_cli: Callable[..., Any], drawn_cache: Path, tmp_path: Path, make_plan: Callable[..., Plan]
) -> None:
    """Ctrl-C in the second launch: the first one's row is kept, the exit code is 130, no process is left."""
    seed = next(seed for seed in range(99) if make_plan("numpy", "hanging", seed=seed).order(1)[0].backend == "numpy")
    arguments = "run -b numpy,hanging --data-set drawn-digits --epochs 0 --rounds 2 --steady-s 0.1 --batch-size 8"
    process = start_cli(*arguments.split(), "--seed", str(seed), "--name", "cut")
    harness = psutil.Process(process.pid)
    launches = tmp_path / "results" / "cut" / "launches.csv"
    workers: list[psutil.Process] = []
    while process.poll() is None and not (launches.exists() and workers):
        time.sleep(0.1)
        workers = harness.children(recursive=True) if launches.exists() else []

    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=120)

    assert process.returncode == 130, err
    rows = RunFolder(launches.parent).read("launches")
    assert list(rows["backend"]) == ["numpy"]
    assert list(rows["status"]) == ["ok"]
    assert "Interrupted. Finished launches are kept; go on with --resume" in err
    assert "numpy" in out
    assert "Traceback" not in out + err
    assert (launches.parent / "summary.csv").exists()
    _, alive = psutil.wait_procs(workers, timeout=30)
    assert workers
    assert [worker for worker in alive if worker.status() != psutil.STATUS_ZOMBIE] == []
    assert list((tmp_path / "results" / "cut").glob(".*")) == []
