"""lenet-bench.toml: what it says is done, options win, what it cannot say is refused with line and key."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.commands import run as run_command
from harness.commands import settings
from harness.commands.cli import imported
from harness.runs.plan import Plan

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def planned(monkeypatch: pytest.MonkeyPatch) -> list[Plan]:
    """Runs are planned and not carried out."""
    plans: list[Plan] = []

    def new_run(plan: Plan, **_: Any) -> int:
        plans.append(plan)
        return 0

    monkeypatch.setattr(run_command, "new_run", new_run)
    return plans


def write(text: str) -> None:
    settings.FILE.write_text(text, encoding="utf-8")


RUN = """# mine
[run]
backend = ["numpy", "twin"]
rounds = 7
budget = 90.5
threads = [1, 2]
base = "twin eager"
mode = ["numpy:eager", "twin:eager"]
strict = true

[gate]
nonsense = 1
"""


def test_run_does_what_the_file_says(call: Call, planned: list[Plan]) -> None:
    """Lists, numbers, text; said on standard error; another command's table is not its business."""
    write(RUN.replace("threads = [1, 2]\n", "threads = 1\n"))

    code, _, err = call("run")

    assert code == 0
    (plan,) = planned
    assert [each.label for each in plan.entrants] == ["numpy eager", "twin eager"]
    assert (plan.rounds, plan.most_rounds, plan.base) == (7, 7, "twin eager")
    assert "From lenet-bench.toml: backend, rounds, budget, threads, base, mode, strict." in err


def test_options_win(call: Call, planned: list[Plan]) -> None:
    """Over their own key, and over the keys that were chosen for the value that they replace."""
    write(RUN)

    assert call("run", "--rounds=3", "--threads", "1", "-b", "numpy")[0] == 0
    code, _, err = call("run", "--preset", "quick", "--threads", "1")

    assert code == 0
    first, second = planned
    assert ([each.label for each in first.entrants], first.rounds, first.base) == (["numpy eager"], 3, "")
    assert (second.rounds, second.precision, second.budget_s) == (4, 0.05, 180)
    assert "backend, base, mode, strict; set aside by options: rounds, budget, threads." in err


def test_precision_sets_a_number_of_rounds_aside(call: Call, planned: list[Plan]) -> None:
    """Or it would be passed over without a word."""
    write("[run]\nbackend = 'numpy'\nrounds = 7\n")

    assert call("run", "--precision", "3")[0] == 0

    assert (planned[0].precision, planned[0].most_rounds > 7) == (0.03, True)


def test_without_a_file_nothing_is_said(call: Call, planned: list[Plan]) -> None:
    """Nor with one that has no table for the command."""
    assert "From lenet-bench.toml" not in call("run", "-b", "numpy")[2]
    write("[report]\nshare = true\n")
    assert "lenet-bench.toml" not in call("run", "-b", "numpy")[2]
    write("[run]\n")
    assert "lenet-bench.toml" not in call("run", "-b", "numpy")[2]


def test_a_run_that_goes_on_has_its_own_plan(call: Call) -> None:
    """--resume reads nothing of it, not even what is wrong; nor does --help."""
    write("[run]\nrounds = 'x'\n")

    code, _, err = call("run", "--resume", "none")
    assert code == 2
    assert "lenet-bench.toml" not in err
    assert call("run", "--help")[0] == 0


def test_report_and_gate_read_theirs(call: Call, finished_run: Path, tmp_path: Path) -> None:
    """The report is the one for strangers; the gate is of the backends and the baseline that the file names."""
    (tmp_path / "run").mkdir()
    for file in finished_run.iterdir():
        if file.is_file():
            (tmp_path / "run" / file.name).write_bytes(file.read_bytes())
    write("[report]\nshare = true\n[gate]\nbackend = 'numpy'\nbaseline = 'my.csv'\n")

    code, out, err = call("report", "run")
    assert (code, out) == (0, "Wrote run/report-shared.html")
    code, _, err = call("gate")
    assert code == 2
    assert "There is no baseline my.csv" in err


WRONG = {
    "unknown key": ("[run]\n\nronds = 5", r"line 3: \[run\] has no key 'ronds'\. There are: .* mean 'rounds'\?"),
    "of one call": ("[run]\nname = 'x'", r"line 2: \[run\] has no key 'name'\. .* give --name on the command line"),
    "text for number": (
        "[run]\nrounds = 'five'", r"line 2: rounds of \[run\] takes a whole number, got .five.\. Write rounds = 5",
    ),
    "truth for number": ("[run]\nrounds = true", r"rounds of \[run\] takes a whole number, got true"),
    "fraction": ("[run]\nrounds = 1.5", r"takes a whole number, got 1\.5"),
    "number for truth": ("[run]\nstrict = 1", r"strict of \[run\] takes true or false, got 1\. Write strict = true"),
    "number for text": ("[run]\nbackend = 3", r"backend of \[run\] takes text or a list of texts, got 3"),
    "mixed list": ("[run]\nbackend = ['numpy', 3]", r"takes text or a list of texts, got \[.numpy., 3\]"),
    "empty list": ("[run]\nbackend = []", r"takes text or a list of texts, got \[\]"),
    "list for one": ("[run]\nbase = ['a', 'b']", r"base of \[run\] takes text, got \[.a., .b.\]"),
    "table for key": ("[run.rounds]\nx = 1", r"rounds of \[run\] takes a whole number, got \{.x.: 1\}"),
    "out of range": ("[run]\n# few\nrounds = 0", r"line 3: rounds: a whole number from 1 up is wanted, got 0\. Mend"),
    "not positive": ("[run]\nbudget = -1", r"line 2: budget: a positive number of seconds .* is wanted, got '-1'"),
    "unknown table": ("\n[ran]\nrounds = 5", r"line 2: There is no table 'ran'\. There are: gate, report, run\."),
    "no table": ("rounds = 5", r"line 1: 'rounds' stands in no table\. Put it under one of \[run\]"),
    "twice": ("[run]\nrounds = 5\nrounds = 6", r"is no TOML: Cannot overwrite a value \(at "),
    "no TOML": ("[run]\nrounds = five", r"is no TOML: Invalid value \(at line 2, column 10\)\. Mend that line"),
    "long": ("[run]\nseed = 0x" + "f" * 9999, r"line 2: seed of \[run\] takes a whole number, got a very long number"),
    "longer": ("[run]\nseed = " + "9" * 9999, r"is no TOML: Exceeds the limit"),
    "long key": (f"[run]\n{'k' * 9999} = 1", r"line 2: \[run\] has no key 'k{60}\.\.\.'\. There are: "),
    "no day": ("[run]\nbase = 2026-02-30", r"is no TOML: "),
    "day": ("[run]\nbase = 2026-02-03", r'base of \[run\] takes text, got "2026-02-03"'),
    "no number": ("[run]\nbudget = nan", r"line 2: budget: a positive number of seconds"),
    "deep": ("x = " + "[" * 50_000, r"is no TOML"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "message"), WRONG.values(), ids=WRONG.keys())
def test_what_is_wrong_is_refused(call: Call, planned: list[Plan], text: str, message: str) -> None:
    """Exit code 2, with the line, the key, what was found and what to do; nothing runs."""
    write(text)

    code, _, err = call("run", "-b", "numpy")

    # A backend on the command line sets that key aside, but not what is wrong with it.
    assert code == 2, err
    assert re.search(rf"lenet-bench\.toml,? ?.*{message}", err), err
    assert planned == []


@pytest.mark.parametrize("content", [b"\xff\xfe", b"\0" * 10, b"[run]\n" + b"#" * (1 << 19)])
def test_what_is_no_text_is_a_sentence(call: Call, content: bytes) -> None:
    """Bytes of something else, or far too many."""
    settings.FILE.write_bytes(content)

    code, _, err = call("run", "-b", "numpy")

    assert code == 2
    assert "lenet-bench.toml" in err


@pytest.mark.parametrize("backend", ["torch", "numpy,torch", None])
def test_init_writes_what_can_be_read(call: Call, backend: str | None) -> None:
    """As it is, and with every key that it only shows put to use."""
    code, out, _ = call("init", *(["-b", backend] if backend else []))

    assert code == 0
    assert out.startswith("Wrote lenet-bench.toml: ")
    text = settings.FILE.read_text()
    assert tomllib.loads(text)["run"]["backend"][-1] == "torch"
    for content in (text, re.sub(r"^# (?=[a-z-]+ = )", "", text, flags=re.MULTILINE)):
        write(content)
        for name, least in (("run", 2), ("gate", 4), ("report", 0)):
            found, _ = settings.defaults(name, imported(name), [])
            assert len(found) >= least
    assert len(settings.defaults("run", imported("run"), [])[0]) == 13
    assert max(map(len, text.splitlines())) <= 120


def test_init_leaves_what_is_there(call: Call) -> None:
    """Unless it is told to write anew."""
    write("mine")

    code, _, err = call("init")
    assert code == 2
    assert "lenet-bench.toml is there already, and was left as it is. Give --force" in err
    assert settings.FILE.read_text() == "mine"
    assert call("init", "--force", "-b", "torch")[0] == 0
    assert "[run]" in settings.FILE.read_text()


@pytest.mark.parametrize("name", settings.COMMANDS)
def test_every_option_has_a_kind(name: str) -> None:
    """And an example of it that the key takes."""
    command = imported(name)
    options = settings.options_of(command)
    kinds = settings.kinds_of(command, options)

    assert set(options) - set(kinds) <= {"help"}
    assert set(settings.COMMANDS[name]) <= set(kinds)
    for key, kind in kinds.items():
        assert kind.takes(tomllib.loads(f"x = {kind.example}")["x"]), key
