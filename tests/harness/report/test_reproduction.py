"""The command that a report gives makes the very plan that was carried out, or none is given and the reason is."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from harness.commands import cli
from harness.commands import run as run_command
from harness.report.reproduction import command_of
from harness.runs.plan import Plan
from harness.spec.recipes import LENET5

COMMANDS = [
    "run -b torch",
    "run -b all",
    "run -b torch,jax --preset quick",
    "run -b torch,jax --preset thorough --seeds 12 --precision 0.7 --budget 1200",
    "run -b torch,jax --preset quick --epochs 5 --steady-s 2.5 --base jax",
    "run -b torch,tensorflow --mode all --base 'torch eager' --rounds 5 --epochs 1",
    "run -b torch --mode compiled --rounds 7 --seeds 3 --seed 4 --audit-batches",
    "run -b torch,jax,mxnet --mode torch:eager,torch:compiled,jax:epoch,mxnet:hybrid --feed device,host",
    "run -b torch --threads 1,2 --batch-size 32,64,256,1024 --epochs 0",
    "run -b torch --until 98.5 --seeds 10",
    "run -b torch,mxnet --until 57 --rounds 3",
    "run -b torch,mxnet --network lenet-gluon --epochs 3",
    "run -b torch --network lenet5 --recipe folk --launch-timeout 60.5",
    "run -b jax --dtype float64 --inference-sizes none --data-set fashion-mnist --data-dir '/a folder'",
    "run -b torch --device gpu --tf32 --inference-sizes 1,32",
    "run -b paddle --environment native --unverified",
    "run -b numpy --batch-size 100",
    "run -b jax --framework-version 0.10.1,0.10.2",
    "run -b torch,jax --mode torch:eager,jax:epoch --framework-version jax=0.10.1,0.10.2 --framework-version torch=2.1",
]


@pytest.fixture
def plan_of(mutants: object, monkeypatch: pytest.MonkeyPatch) -> Callable[[list[str]], Plan]:
    """Return a function that gives the plan that a command line makes; nothing is run."""
    made: list[Plan] = []

    def keep(plan: Plan, **_: Any) -> int:
        made.append(plan)
        return 0

    monkeypatch.setattr(run_command, "new_run", keep)
    monkeypatch.delenv("LENET_BENCH_DATA", raising=False)

    def run(arguments: list[str]) -> Plan:
        monkeypatch.setattr(sys, "argv", ["lenet-bench", *arguments])
        with pytest.raises(SystemExit) as caught:
            cli.app()
        assert not caught.value.code
        return made.pop()

    return run


@pytest.mark.parametrize("command", COMMANDS)
def test_command_makes_the_same_plan(plan_of: Callable[[list[str]], Plan], command: str) -> None:
    """A plan as it is read from environment.json becomes a command, which becomes that plan."""
    plan = Plan.from_dict(json.loads(json.dumps(plan_of(shlex.split(command)).as_dict())))

    found = command_of(plan)

    assert not found.reason
    assert shlex.split(found.text)[0] == "lenet-bench"
    assert plan_of(shlex.split(found.text)[1:]) == plan


def test_command_is_as_short_as_can_be(plan_of: Callable[[list[str]], Plan]) -> None:
    """Options at their defaults are left out."""
    for command in ("run --backend torch", "run --backend torch,jax --preset quick", "run --backend jax --rounds 5"):
        assert command_of(plan_of(command.split())).text == f"lenet-bench {command}"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"timing": False}, "only trained"),
        ({"recipe": replace(LENET5, name="mine")}, "No option names its recipe, 'mine'"),
        ({"recipe": replace(LENET5, learning_rate=0.3)}, "differs from what one would make in recipe"),
        ({"rounds": 17}, "in rounds"),
        ({"launch_timeout_s": 900.0, "precision": 0.0}, "in precision|positive"),
    ],
)
def test_no_command_without_the_same_plan(
    plan_of: Callable[[list[str]], Plan], changes: dict[str, Any], reason: str
) -> None:
    """What no command line says is not dressed up as one."""
    plan = replace(plan_of(["run", "-b", "torch"]), **changes)

    found = command_of(plan)

    assert found.arguments == []
    assert any(part in found.reason for part in reason.split("|"))


def test_entrants_that_are_no_product(plan_of: Callable[[list[str]], Plan]) -> None:
    """Of twins, and of sizes that not every entrant has, there is no command."""
    plan = plan_of(["run", "-b", "torch,jax", "--batch-size", "32,64"])
    fewer = replace(plan, entrants=plan.entrants[:-1])
    twins = replace(plan, entrants=(plan.entrants[0], replace(plan.entrants[0], variant="twin")))

    assert "in entrants" in command_of(fewer).reason
    assert "entrants" in command_of(twins).reason
