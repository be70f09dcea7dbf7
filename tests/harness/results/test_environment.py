"""environment.json, damaged in every way that was thought of: a sentence with file, key and what was found, no more."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.errors import InputError
from harness.results.environment import MAX_BYTES, SHAPES, read_environment
from harness.runs.plan import Plan
from tests.harness.synthetic_run import write_run

Call = Callable[..., tuple[int, str, str]]
# What may stand where something else belongs.
OTHERS: list[Any] = [3, -1.5, True, "text", ["x"], {"x": {"x": 3}}, None]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two entrants."""
    return write_run(tmp_path_factory.mktemp("results") / "run", entrants=2, rounds=4, epochs=1)


def damaged(values: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Every known key with each of OTHERS that is of another kind, and every part of every object so."""
    found = []
    for name in values:
        for other in OTHERS:
            if type(other) is not type(values[name]) and name in SHAPES:
                found.append((name, values | {name: other}))
        if isinstance(values[name], dict) and name in SHAPES:
            for key, value in values[name].items():
                for other in (3, {"x": 3}, None, ["x", 3]):
                    if type(other) is not type(value) or other == ["x", 3]:
                        found.append((f"{name}.{key}", values | {name: values[name] | {key: other}}))
    return found


def test_each_key_is_checked(run: Path, tmp_path: Path) -> None:
    """Whatever stands in a key's place, the sentence names file and key; or the plan's reader does."""
    values = json.loads((run / "environment.json").read_text())
    tried = damaged(values)
    assert len(tried) > 100
    path = tmp_path / "environment.json"
    for key, damage in tried:
        path.write_text(json.dumps(damage))
        message = said(path)
        if key.startswith("plan."):
            # A plan may have no base folder, and a number may be whole.
            fits = damage["plan"][key[5:]] in (None, 3)
            assert f"The plan in {path.name}.{key[5:]}" in message or (fits and not message), (key, damage)
        else:
            assert message.startswith(f"{path}, {key}"), (key, damage)
            assert "must be" in message
            assert "found" in message


def said(path: Path) -> str:
    """What is said of a file where it is refused, by it or by its plan; else nothing."""
    try:
        Plan.from_dict(read_environment(path)["plan"])
    except InputError as error:
        return str(error)
    return ""


BROKEN: dict[str, tuple[bytes, str]] = {
    "torn": (b'{"plan": ', "is not JSON"),
    "list": (b"[]", r"is not a run's: it must be an object; found \[\]"),
    "deep": (b"[" * 1_000_000, "nested too deep"),
    "deep objects": (b'{"a":' * 100_000, "nested too deep"),
    "long number": (b'{"plan": {"seed": ' + b"9" * 10_000 + b"}}", "is not JSON"),
    "binary": (b"\xff\xfe\x00", "is not JSON"),
    "large": (b" " * (MAX_BYTES + 1), f"at most {MAX_BYTES:,} are read"),
}


@pytest.mark.parametrize(("content", "message"), BROKEN.values(), ids=BROKEN.keys())
def test_what_is_no_environment(tmp_path: Path, content: bytes, message: str) -> None:
    """No JSON, no object, too deep, too large: a sentence, soon."""
    (tmp_path / "environment.json").write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_environment(tmp_path / "environment.json")


PLANS: list[tuple[dict[str, Any], str]] = [
    ({"rounds": 0}, "rounds must be from 1 to 2147483647; found 0"),
    ({"rounds": 2**70}, "rounds must be a whole number of 64 bits"),
    ({"seed": -1}, "seed must be from 0 to"),
    ({"seed": 2**63 - 1}, "seed must be from 0 to"),
    ({"epochs": True}, "epochs must be a whole number; found true"),
    ({"steady_s": float("nan")}, "steady_s must be a finite number; found nan"),
    ({"steady_s": 1e300}, r"steady_s must be from 0 to under 1e\+08"),
    ({"launch_timeout_s": float("inf")}, "launch_timeout_s must be a finite number"),
    ({"until": 98.5}, "until must be from 0 to under 1; found 98.5"),
    ({"entrants": []}, "entrants is empty"),
    ({"inference_sizes": [0]}, r"inference_sizes\[0\] must be from 1"),
    ({"colour": "red"}, "has the key 'colour'"),
]


@pytest.mark.parametrize(
    ("change", "message"), PLANS, ids=[f"{name}={value}" for c, _ in PLANS for name, value in c.items()]
)
def test_impossible_plan(run: Path, change: dict[str, Any], message: str) -> None:
    """Numbers that no option lets through are refused where the plan is read."""
    plan = json.loads((run / "environment.json").read_text())["plan"]
    with pytest.raises(InputError, match=rf"The plan in environment\.json.*{message}.*Start a new run"):
        Plan.from_dict(plan | change)


@pytest.mark.parametrize("command", ["report", "history", "baseline", "resume"])
def test_commands_say_it(run: Path, tmp_path: Path, call: Call, command: str) -> None:
    """Every command that reads the file ends with the sentence and exit code 2, or leaves the run out."""
    folder = shutil.copytree(run, tmp_path / "run")
    values = json.loads((folder / "environment.json").read_text())
    (folder / "environment.json").write_text(json.dumps(values | {"packages": {"torch": 3}, "machine": 3}))
    arguments = {
        "report": ("report", str(folder)), "history": ("history", str(folder)),
        "baseline": ("baseline", "update", "--from-run", str(folder), "--yes"),
        "resume": ("run", "--resume", str(folder)),
    }[command]  # fmt: skip
    code, _, err = call(*arguments)
    assert code == 2
    assert "environment.json, " in err
    assert "must be an object; found 3" in err or "must be a list; found 3" in err
