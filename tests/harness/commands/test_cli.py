"""The command line: sentences for bad input, exit codes, and Ctrl-C."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from harness.commands import doctor as doctor_command
from harness.commands import run as run_command
from harness.doctor.checks import Finding
from harness.results.folder import RunFolder
from harness.runs import launch, rounds
from harness.runs.plan import MOST_ROUNDS, PRESETS, Plan
from harness.worker.job import INFERENCE_SIZES

Call = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("run -b torhc", r"no backend 'torhc'\. There are: .*jax.*torch.* Did you mean 'torch'\?"),
        ("verify -b numpy --network lenet6", r"no network 'lenet6'"),
        ("verify -b numpy --optimizer ada", r"no optimizer 'ada'.*Did you mean 'adam'\?"),
        ("run -b numpy --recipe glu", r"no recipe 'glu'.*Did you mean 'gluon'\?"),
        ("reproduce lenet", r"no document's recipe 'lenet'\. There are: folk, gluon, tf1"),
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
        ("run -b numpy --preset quik", r"no preset 'quik'\. There are: quick, standard, thorough\. .*mean 'quick'\?"),
        ("run -b numpy --precision 0", r"--precision.*a positive percentage under 100 is wanted, got '0'"),
        ("run -b numpy --precision -1", r"--precision.*got '-1'"),
        ("run -b numpy --precision 100", r"--precision.*under 100 is wanted, got '100'"),
        ("run -b numpy --precision 2%", r"--precision.*got '2%'"),
        ("run -b numpy --budget 0", r"--budget.*a positive number of seconds under 100,000,000 is wanted, got '0'"),
        ("run -b numpy --budget -60", r"--budget.*got '-60'"),
        ("run -b numpy --budget 10min", r"--budget.*got '10min'"),
        ("run -b numpy --budget nan", r"--budget.*got 'nan'"),
        ("run -b numpy --rounds few", r"--rounds.*'few'"),
        ("run -b numpy --seeds 0", r"--seeds.*\b0\b"),
        ("run -b numpy,twin --base jax", r"no base 'jax'\. There are: numpy eager, twin eager"),
        ("run -b numpy,twin --base twni", r"no base 'twni'\. .*numpy eager, twin eager\."),
        ("run -b numpy --until 0", r"--until.*a positive percentage under 100 is wanted, got '0'"),
        ("run -b numpy --until 100", r"--until.*under 100 is wanted, got '100'"),
        ("run -b numpy --until abc", r"--until.*got 'abc'"),
        ("run -b numpy --until 98 --epochs 0", r"--until needs epochs to train, got --epochs 0"),
        ("run -b numpy --inference-sizes 0", r"--inference-sizes.*from 1 up is wanted, got 0"),
        ("run -b numpy --inference-sizes 1,x", r"--inference-sizes.*a whole number is wanted, got 'x'"),
        (
            "run -b numpy --data-set drawn-digits --inference-sizes 8,10001",
            r"--inference-sizes 10001 is more than drawn-digits has: 10000 test images",
        ),
        ("run -b numpy --data-dir nowhere", r"names 'nowhere', which is not a folder"),
        ("run -b numpy --python numpy", r"--python takes BACKEND=INTERPRETER, got 'numpy'"),
        ("run -b numpy --python numpy=/nowhere/python", r"there is no such interpreter"),
        ("run -b numpy --results-dir file/results --data-set drawn-digits", r"Cannot make the results folder file/res"),
        ("run --resume nowhere", r"nowhere is not a run"),
        ("run --resume file", r"file is not a run"),
        ("run --colour red", r"No such option: --colour"),
        ("fly", r"No such command 'fly'"),
        ("compare nowhere", r"nowhere is not a run: it has no launches\.csv"),
        ("compare file", r"file is not a run"),
        ("doctor -b numpi", r"no backend 'numpi'.*Did you mean 'numpy'\?"),
        ("doctor --threads 0", r"--threads.*\b0\b"),
        ("doctor --python numpy", r"--python takes BACKEND=INTERPRETER, got 'numpy'"),
        ("selftest -b numpi", r"no backend 'numpi'.*Did you mean 'numpy'\?"),
        ("selftest -b mxnet", r"Install it with: nox -s bench-mxnet"),
        ("selftest -b numpy --duels 0", r"--duels.*\b0\b"),
        (
            "selftest -b numpy --budget 0",
            r"--budget.*a positive number of seconds under 100,000,000 is wanted, got '0'",
        ),
        ("selftest -b numpy --slowdowns -3", r"--slowdowns takes percents from 0 up, separated by commas, got '-3'"),
        ("selftest -b numpy --slowdowns 0,x", r"--slowdowns takes percents .* got '0,x'"),
        ("selftest -b numpy --slowdowns 0,,3", r"--slowdowns takes percents .* got '0,,3'"),
        ("selftest -b numpy --threads 9999 --data-set drawn-digits", r"--threads 9999 asks for more CPUs than"),
        ("list --network lenet", r"no network 'lenet'.*lenet5"),
        ("data --get mnits", r"no data set 'mnits'.*Did you mean 'mnist'\?"),
        ("data --get mnist", r"data set 'mnist' cannot be had.*switched off.*--data-dir"),
        ("data --get cifar-10", r"data set .cifar-10. cannot.*switched off.*DIR/cifar-10/.*cifar-10-binary\.tar\.gz"),
        ("data --contact-sheet file/sheet.png", r"Cannot write file/sheet\.png"),
    ],
)
def test_bad_input_is_a_sentence(
    call: Call, drawn_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: str, message: str
) -> None:
    """What cannot be done ends with exit code 2 and a sentence that says what came in and what there is."""
    (tmp_path / "file").touch()
    monkeypatch.delenv("LENET_BENCH_DATA", raising=False)
    for module in (rounds, launch):
        name = "run_job" if module is rounds else "WorkerProcess"
        monkeypatch.setattr(module, name, lambda *_, **__: pytest.fail("something was launched"))

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


@pytest.fixture
def planned(mutants: Path, monkeypatch: pytest.MonkeyPatch) -> list[Plan]:
    """The plans that `run` would have carried out."""
    found: list[Plan] = []

    def new_run(plan: Plan, **_: Any) -> int:
        found.append(plan)
        return 0

    monkeypatch.setattr(run_command, "new_run", new_run)
    return found


def test_run_has_the_standard_preset(call: Call, planned: list[Plan]) -> None:
    """Without options the pace is the standard preset's, compared with the fastest."""
    assert call("run", "-b", "numpy,twin")[0] == 0

    (plan,) = planned
    wanted = PRESETS["standard"]
    assert (plan.rounds, plan.precision, plan.budget_s) == (wanted.rounds, wanted.precision, wanted.budget_s)
    assert (plan.steady_s, plan.epochs, plan.seeds) == (wanted.steady_s, wanted.epochs, 1)
    assert (plan.base, plan.until, plan.inference_sizes) == ("", 0.0, INFERENCE_SIZES)


def test_options_of_run_reach_the_plan(call: Call, planned: list[Plan]) -> None:
    """Every option of the pace, the base by its backend alone, percents as shares."""
    arguments = (
        "run -b numpy,twin --preset quick --precision 1.5 --budget 77 --base twin --until 98.5 --epochs 7 --seeds 6 "
        "--inference-sizes 8,1 --steady-s 0.25"
    )
    assert call(*arguments.split())[0] == 0

    (plan,) = planned
    assert (plan.rounds, plan.most_rounds, plan.precision, plan.budget_s) == (4, MOST_ROUNDS, 0.015, 77)
    assert (plan.base, plan.until, plan.epochs, plan.seeds) == ("twin eager", 0.985, 7, 6)
    assert (plan.inference_sizes, plan.steady_s) == ((1, 8), 0.25)
    assert [entrant.label for entrant in plan.entrants] == ["numpy eager", "twin eager"]


def test_rounds_of_run_are_exact(call: Call, planned: list[Plan]) -> None:
    """--rounds is neither stretched for precision nor cut short by the budget; sizes may be none at all."""
    assert call("run", "-b", "numpy", "--rounds", "3", "--inference-sizes", "none")[0] == 0

    (plan,) = planned
    assert (plan.rounds, plan.most_rounds, plan.precision, plan.budget_s) == (3, 3, 0.0, 0.0)
    assert plan.inference_sizes == ()


def test_precise_run_tells_all(call: Call, made_up: Any) -> None:
    """Launches that hardly differ: why the run ended, a verdict for each, and no word of a cause."""
    made_up.speeds = {"twin eager": 900.0}

    code, out, err = call("run", "-b", "numpy,twin", "--epochs", "0", "--name", "precise")

    assert code == 0
    assert "5 rounds: every interval is narrower than 2.0% of its ratio." in out
    assert re.search(r"twin eager 90\d \S+ 0\.90\d \S+ slower", out), out
    assert "Cannot tell" not in out
    assert "5 rounds or more, until intervals are under 2.0% or 600 s" in err


def test_noisy_machine_cannot_tell(call: Call, made_up: Any) -> None:
    """Launches that differ by 5 %: the budget ends, how wide the interval is and should be, and a likely cause."""
    made_up.spread = 0.05

    code, out, err = call("run", "-b", "numpy,twin", "--epochs", "0", "--budget", "130", "--name", "noisy")

    assert code == 0
    found = re.search(
        r"The budget of 130 s ended after 6 round\(s\); the widest interval is (\S+)% of its ratio, 2\.0% was", out
    )
    assert found, out
    assert float(found[1]) > 2
    assert re.search(r"twin eager [^.]*.*cannot tell", out)
    assert re.search(r"Cannot tell everything\. [A-Z].{20,}", out), out
    assert f"widest interval {found[1]}%" in err


def test_too_few_rounds_cannot_tell(call: Call, made_up: Any) -> None:
    """Two rounds: the cause is their number."""
    _, out, _ = call("run", "-b", "numpy,twin", "--epochs", "0", "--rounds", "2", "--name", "brief")

    assert "Cannot tell everything. Fewer than 4 rounds" in out


@pytest.mark.parametrize("cut", [1, 2])
def test_interrupted_run_with_a_base_ends_as_others(call: Call, made_up: Any, tmp_path: Path, cut: int) -> None:
    """Ctrl-C before the base was ever launched: its absence is no bad input, and the run can be resumed."""
    made_up.interrupted = cut

    code, out, err = call("run", "-b", "numpy,twin", "--base", "twin", "--epochs", "0", "--seed", "1", "--name", "cut")

    assert made_up.launched[:2] == ["numpy eager", "twin eager"][:cut]
    assert code == 130
    assert "Interrupted. Finished launches are kept; go on with --resume results/cut" in err
    assert "There is no base" not in out + err
    folder = RunFolder(tmp_path / "results" / "cut")
    assert folder.has_ended(timed=len(folder.read("launches")))
    made_up.interrupted = 0
    code, out, _ = call("run", "--resume", "results/cut")
    assert code == 0
    assert "5 rounds: every interval is narrower" in out
    plan = Plan.from_dict(RunFolder(tmp_path / "results" / "cut").read_environment()["plan"])
    assert plan.base == "twin eager"


def test_large_seeds_stay_what_they_are(call: Call, made_up: Any, tmp_path: Path) -> None:
    """Seeds that a real number cannot tell apart: in a run, in what goes on with it, in every table and the page."""
    first = 1_700_000_000_000_000_001
    made_up.interrupted = 2
    options = ["--epochs", "1", "--rounds", "3", "--seeds", "3", "--seed", str(first), "--name", "large"]
    assert call("run", "-b", "numpy", *options)[0] == 130
    made_up.interrupted = 0

    code, out, _ = call("run", "--resume", "results/large")

    assert code == 0
    seeds = [first, first + 1, first + 2]
    folder = RunFolder(tmp_path / "results" / "large")
    launches = folder.read("launches")
    assert list(launches["seed"]) == [first] * 3 + seeds
    assert list(folder.read("epochs")["seed"]) == seeds
    assert [job.seed for job in made_up.jobs if job.kind != "peak"] == [first] * 4 + seeds
    assert call("report", "results/large")[0] == 0
    page = (folder.path / "report.html").read_text()
    shown = call("compare", "results/large")[1]
    for seed in seeds:
        assert str(seed) in out
        assert str(seed) in shown
        assert f">{seed}</td>" in page
        assert f"seed {seed}: " in page


@pytest.mark.parametrize(
    "option", ["--seed=9223372036854775808", "--epochs=99999999999", "--launch-timeout=1e300", "--name=../x"]
)
def test_what_cannot_be_held_is_refused(call: Call, made_up: Any, tmp_path: Path, option: str) -> None:
    """Before anything runs, and before there is a folder: exit code 2, and what came in."""
    code, _, err = call("run", "-b", "numpy", option)
    assert code == 2
    assert option.partition("=")[2] in err
    assert made_up.jobs == []
    assert not (tmp_path / "results").exists()


def test_a_name_with_brackets_is_shown(call: Call, made_up: Any) -> None:
    """Brackets are no markup of the terminal's, in any command that shows them."""
    name = "x[bold] [red]"
    code, out, _ = call("run", "-b", "numpy,twin", "--epochs", "0", "--rounds", "4", "--name", name)
    assert code == 0
    assert out.endswith(f"Results: results/{name} next: lenet-bench report 'results/{name}'")
    for command in (["report"], ["compare"], ["export"], ["history"]):
        code, out, err = call(*command, f"results/{name}")
        assert code == 0, err
    assert name in out


def test_run_whose_base_failed_is_reported(call: Call, made_up: Any) -> None:
    """The base fails in its first launch: the tables are there, against the fastest, and the exit code is 3."""
    made_up.failing = {"twin eager": 1}

    code, out, _ = call(
        "run", "-b", "numpy,twin,slow_learner", "--base", "twin", "--epochs", "0", "--rounds", "5", "--name", "lame",
    )  # fmt: skip

    assert code == 3
    assert "twin eager failed: twin eager has had enough" in out
    assert re.search(r"(numpy|slow_learner) eager \S+ \S+ 1\.000 - -", out), out


def test_doctor_examines_and_asks_a_backend(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """`doctor -b twin` shows what was found on the machine, and the threads that a real worker says it has."""
    asked = []

    def examine(*, threads: int, cpus: list[int], others: list[str]) -> list[Finding]:
        asked.append(threads)
        assert len(cpus) == threads
        assert others == []
        return [Finding("weather", "sunny [today]", "good")]

    monkeypatch.setattr(doctor_command, "examine_machine", examine)

    code, out, err = call("doctor", "-b", "twin")

    assert (code, "Traceback" in err) == (0, False)
    assert asked == [1]
    assert "weather sunny [today] good" in out
    assert re.search(r"twin threads 1 on CPUs \d+ \(\d+\.\d+\S*\) good", out), out


def test_interrupted_run_keeps_its_rows(start_small_cli: Callable[..., Any], tmp_path: Path) -> None:
    """Ctrl-C in a later round: the rows of the rounds before are kept, the exit code is 130, no process is left."""
    arguments = (
        "run -b numpy,twin --data-set drawn-digits --epochs 0 --rounds 500 --steady-s 0.1 --batch-size 8 "
        "--inference-sizes none --name cut"
    )
    process = start_small_cli(*arguments.split())
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
    assert set(rows["backend"]) <= {"numpy", "twin"}
    assert set(rows["status"]) == {"ok"}
    assert "Interrupted. Finished launches are kept; go on with --resume" in err
    assert "numpy" in out
    assert "Traceback" not in out + err
    assert (launches.parent / "summary.csv").exists()
    _, alive = psutil.wait_procs(workers, timeout=30)
    assert workers
    assert [worker for worker in alive if worker.status() != psutil.STATUS_ZOMBIE] == []
    assert list((tmp_path / "results" / "cut").glob(".*")) == []
