"""The self-test: duels with made-up launches, what counts as right, what is written; one real duel of tiny steps."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from harness.commands import cli, selftest
from harness.commands.selftest import Selftest, parse_slowdowns, show
from harness.errors import InputError, WorkerFailed
from harness.results.folder import RunFolder, frame_of, read_table
from harness.results.schema import DUELS, SCHEMA_VERSION
from harness.spec.recipes import LENET5

HONEST, SLOWED = 0.0, 0.03


@pytest.fixture
def make_selftest() -> Callable[..., Selftest]:
    """Return a function that makes a self-test of two duels of the twin for each of 0 and 3 %."""

    def make(**changes: Any) -> Selftest:
        options = {
            "backend": "twin", "duels": 2, "slowdowns": (HONEST, SLOWED), "budget_s": 200.0, "threads": 1,
            "data_set": "drawn-digits", "data_dir": None,
        }  # fmt: skip
        return Selftest(**(options | changes))

    return make


@pytest.fixture
def slowed(made_up: Any) -> Any:
    """Made-up launches in which twins that are to be slower are."""
    honest = made_up._result

    def result(job: Any, speed: float) -> dict[str, Any]:
        return honest(job, speed / (1 + job.entrant.slowdown))

    made_up._result = result
    return made_up


def duels_of(**verdicts: list[str]) -> pd.DataFrame:
    """Rows of duels.csv; `honest` and `slowed` are the verdicts of twins that were not and were made slower."""
    rows = [
        {
            "schema_version": SCHEMA_VERSION, "run": f"duel-{number}", "backend": "twin", "duel": number,
            "slowdown": SLOWED if kind == "slowed" else HONEST, "rounds": 5, "duel_s": 100.0, "ratio": 1.0,
            "ratio_low": 0.99, "ratio_high": 1.01, "verdict": verdict, "covered": True,
        }
        for kind, found in verdicts.items()
        for number, verdict in enumerate(found, start=1)
    ]  # fmt: skip
    return frame_of(rows, DUELS)


@pytest.mark.parametrize(
    ("text", "expected"), [("0,3,10", (0.0, 0.03, 0.1)), ("0", (0.0,)), (" 0 , 2.5", (0.0, 0.025)), ("100", (1.0,))]
)
def test_slowdowns_are_percents(text: str, expected: tuple[float, ...]) -> None:
    """Percents from 0 up become shares."""
    assert parse_slowdowns(text) == pytest.approx(expected)


@pytest.mark.parametrize("text", ["-3", "0,-0.1", "x", "", "0,,3", "nan", "inf", "3;4", "0x3", "99999999"])
def test_what_is_no_slowdown_is_quoted(text: str) -> None:
    """Negative numbers, text, infinity: a sentence with what came in."""
    with pytest.raises(InputError, match=re.escape(f"separated by commas, got {text!r}.")):
        parse_slowdowns(text)


@pytest.mark.parametrize("text", ["3,3", "0,0", "3,3.0"])
def test_slowdown_given_twice_counts_once(text: str) -> None:
    """The same slowdown twice would be the same duel twice."""
    assert len(parse_slowdowns(text)) == 1


@pytest.mark.parametrize(("mistakes", "passed"), [(0, True), (2, True), (3, False), (20, False)])
@pytest.mark.parametrize("kind", ["honest", "slowed"])
def test_one_mistake_in_ten_is_allowed(
    make_selftest: Callable[..., Selftest],
    capsys: pytest.CaptureFixture[str],
    kind: str,
    mistakes: int,
    passed: bool,
) -> None:
    """Of 20 duels two may be wrong, three may not, of honest twins and of slowed ones alike."""
    wrong, right = ("slower", "equivalent") if kind == "honest" else ("cannot tell", "slower")
    verdicts = {kind: [wrong] * mistakes + [right] * (20 - mistakes)}

    assert show(duels_of(**verdicts), make_selftest()) is passed

    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith(kind))
    assert line.split()[-1] == ("pass" if passed else "FAIL")


@pytest.mark.parametrize(
    ("kind", "verdict", "passed"),
    [
        ("honest", "equivalent", True),
        ("honest", "cannot tell", True),
        ("honest", "faster", False),
        ("honest", "slower", False),
        ("slowed", "slower", True),
        ("slowed", "faster", False),
        ("slowed", "equivalent", False),
        ("slowed", "cannot tell", False),
    ],
)
def test_what_is_a_mistake(make_selftest: Callable[..., Selftest], kind: str, verdict: str, passed: bool) -> None:
    """An honest twin must not be called different; a slowed one must be called slower, and nothing else will do."""
    assert show(duels_of(**{kind: [verdict]}), make_selftest()) is passed


@pytest.mark.parametrize(
    ("verdict", "high", "passed"),
    [("equivalent", 0.999, True), ("equivalent", 1.0, False), ("cannot tell", 1.001, False), ("slower", 0.99, True)],
)
def test_little_slowdown_is_found_where_its_interval_leaves_out_1(
    make_selftest: Callable[..., Selftest], capsys: pytest.CaptureFixture[str], verdict: str, high: float, passed: bool
) -> None:
    """1 % is within the margin of 2 %: the verdict `equivalent` is right, and says nothing of whether it was seen."""
    duels = duels_of(slowed=[verdict]).assign(slowdown=0.01, ratio_high=high)

    assert show(duels, make_selftest()) is passed
    assert "its interval does not contain 1" in capsys.readouterr().out


def test_small_slowdowns_are_measured_as_precisely(
    slowed: Any, make_selftest: Callable[..., Selftest], tmp_path: Path
) -> None:
    """A duel ends once its interval is as narrow as the slowdown, or as 2 % where that is more."""
    selftest.run_duels(make_selftest(duels=1, slowdowns=(0.0, 0.01, 0.03)), results=tmp_path, pythons={})

    folders = sorted(path for path in next(tmp_path.iterdir()).iterdir() if path.is_dir())
    precisions = {path.name: RunFolder(path).read_environment()["plan"]["precision"] for path in folders}
    assert precisions == {"duel-01-0%": 0.02, "duel-01-1%": 0.01, "duel-01-3%": 0.02}


def test_all_slowdowns_must_be_right(make_selftest: Callable[..., Selftest]) -> None:
    """Mistakes of one slowdown are not made up for by another's duels."""
    good = {"honest": ["equivalent"] * 20, "slowed": ["slower"] * 20}

    assert show(duels_of(**good), make_selftest())
    assert not show(duels_of(**(good | {"slowed": ["slower"] * 17 + ["cannot tell"] * 3})), make_selftest())
    assert not show(duels_of(**(good | {"honest": ["equivalent"] * 17 + ["slower"] * 3})), make_selftest())


def test_table_counts_verdicts(make_selftest: Callable[..., Selftest], capsys: pytest.CaptureFixture[str]) -> None:
    """A row a slowdown: duels, each verdict, medians of rounds and width, intervals that hold the truth."""
    honest = ["equivalent"] * 5 + ["cannot tell"] * 2 + ["faster"]
    duels = duels_of(honest=honest, slowed=["slower"] * 4)
    duels.loc[duels["slowdown"] > 0, "covered"] = [True, True, False, True]
    duels.loc[duels["slowdown"] > 0, "rounds"] = [5, 6, 8, 30]

    assert not show(duels, make_selftest(duels=8))

    out = capsys.readouterr().out
    assert "twin against itself, 1 thread(s), 200 s a duel at most" in out
    rows = [line.split() for line in out.splitlines() if line.startswith(("honest", "slowed"))]
    assert rows == [
        ["honest", "8", "0", "1", "5", "2", "5", "2.0", "8", "FAIL"],
        ["slowed", "3%", "4", "4", "0", "0", "0", "7", "2.0", "3", "pass"],
    ]
    assert max(map(len, out.splitlines())) <= 80
    assert re.search(r"width *\n.* rounds +% +covered outcome *$", out, re.MULTILINE), out


def test_duels_are_fought_in_turn(
    slowed: Any, make_selftest: Callable[..., Selftest], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every slowdown once before any twice; the twin is told apart by its variant, the base is the honest entrant."""
    passed = selftest.run_duels(make_selftest(), results=tmp_path, pythons={})

    (folder,) = tmp_path.iterdir()
    duels = read_table(folder / "duels.csv", DUELS)
    assert passed
    assert list(zip(duels["duel"], duels["slowdown"])) == [(1, HONEST), (1, SLOWED), (2, HONEST), (2, SLOWED)]
    assert list(duels["verdict"]) == ["equivalent", "slower", "equivalent", "slower"]
    assert list(duels["ratio"]) == pytest.approx([1, 1 / 1.03, 1, 1 / 1.03], abs=0.005)
    assert (duels["ratio_low"] <= duels["ratio"]).all()
    assert (duels["ratio"] <= duels["ratio_high"]).all()
    assert set(duels["backend"]) == {"twin"}
    # Rounds of two launches, 10 s each: four at the least, as many as fit into the budget at the most.
    assert duels["rounds"].between(4, 6).all()
    assert list(duels["duel_s"]) == list(20.0 * duels["rounds"])
    assert sorted(set(slowed.launched)) == ["twin eager", "twin eager slowed 3%", "twin eager twin"]
    out, err = capsys.readouterr()
    assert re.search(r"^honest +2 ", out, re.MULTILINE)
    assert re.search(r"^slowed 3% +2 ", out, re.MULTILINE)
    assert "duel 2, twin slowed by 3%: slower (ratio 0.97" in err


def test_duels_are_numbered_and_looked_ahead(
    slowed: Any, make_selftest: Callable[..., Selftest], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever watches sees which duel it is of how many; once one has been fought, what is left is known."""
    monkeypatch.setenv("LENET_BENCH_CACHE", str(tmp_path / "cache"))
    seen: list[tuple[str, bool]] = []

    class Watched(selftest.Display):
        def turn_started(self, number: int, turns: int) -> None:
            super().turn_started(number, turns)
            seen.append((self._what.partition(":")[0], bool(self.outlook.words)))

    monkeypatch.setattr(selftest, "Display", Watched)
    selftest.run_duels(make_selftest(duels=1), results=tmp_path / "results", pythons={})

    assert seen[0] == ("duel 1 of 2, round 1 of 4 or more", False)
    assert seen[-1] == ("duel 2 of 2, round 4 of 4 or more", True)


def test_duel_is_a_run_of_its_own(slowed: Any, make_selftest: Callable[..., Selftest], tmp_path: Path) -> None:
    """Each duel leaves a run's folder with launches and plan: only training is timed, nothing else is measured."""
    selftest.run_duels(
        make_selftest(duels=1, slowdowns=(SLOWED,), budget_s=77.0, precision=0.03), results=tmp_path, pythons={}
    )

    (folder,) = (path for path in next(tmp_path.iterdir()).iterdir() if path.is_dir())
    run = RunFolder(folder)
    launches, plan = run.read("launches"), run.read_environment()["plan"]
    assert set(zip(launches["variant"].fillna(""), launches["slowdown"])) == {("", 0.0), ("slowed 3%", 0.03)}
    assert (plan["base"], plan["budget_s"], plan["precision"]) == ("twin eager", 77.0, 0.03)
    assert (plan["epochs"], plan["inference_sizes"]) == (0, [])
    assert slowed.peaks == []
    assert {job.kind for job in slowed.jobs} == {"measure"}


def test_slowdowns_have_folders_of_their_own(
    slowed: Any, make_selftest: Callable[..., Selftest], tmp_path: Path
) -> None:
    """Slowdowns that differ by a fraction of a percent, and one under a half, are duels of their own."""
    slowdowns = (0.0, 0.004, 0.026, 0.034)

    selftest.run_duels(make_selftest(duels=1, slowdowns=slowdowns, budget_s=1.0), results=tmp_path, pythons={})

    (folder,) = tmp_path.iterdir()
    assert list(read_table(folder / "duels.csv", DUELS)["slowdown"]) == pytest.approx(slowdowns)
    assert len([path for path in folder.iterdir() if path.is_dir()]) == 4


def test_covered_is_whether_the_truth_is_inside(
    made_up: Any, make_selftest: Callable[..., Selftest], tmp_path: Path
) -> None:
    """A twin that was to be 3 % slower and is not has an interval around 1, which does not hold 1 / 1.03."""
    assert not selftest.run_duels(make_selftest(duels=1), results=tmp_path, pythons={})

    duels = read_table(next(tmp_path.iterdir()) / "duels.csv", DUELS).set_index("slowdown")
    assert duels.loc[SLOWED, "verdict"] == "equivalent"
    assert not duels.loc[SLOWED, "covered"]
    for _, row in duels.iterrows():
        assert row["covered"] == (row["ratio_low"] <= 1 / (1 + row.name) <= row["ratio_high"])


def test_truth_is_a_share_of_time(slowed: Any, make_selftest: Callable[..., Selftest], tmp_path: Path) -> None:
    """Steps that take half as long again make a speed of 1 / 1.5, not of 0.5: that is what is to be covered."""
    assert selftest.run_duels(make_selftest(duels=1, slowdowns=(0.5,)), results=tmp_path, pythons={})

    (row,) = read_table(next(tmp_path.iterdir()) / "duels.csv", DUELS).to_dict("records")
    assert row["ratio"] == pytest.approx(1 / 1.5, abs=0.005)
    assert row["covered"]


def test_budget_that_allows_one_round_has_no_verdict(
    slowed: Any, make_selftest: Callable[..., Selftest], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One round has no interval: `cannot tell`, empty cells, and neither `nan` nor `<NA>` for people."""
    assert selftest.run_duels(make_selftest(slowdowns=(HONEST,), budget_s=1.0), results=tmp_path, pythons={})

    duels = read_table(next(tmp_path.iterdir()) / "duels.csv", DUELS)
    assert list(duels["verdict"]) == ["cannot tell"] * 2
    assert duels[["ratio_low", "ratio_high"]].isna().all(axis=None)
    assert not duels["covered"].any()
    out, err = capsys.readouterr()
    assert not re.search(r"\bnan\b|<NA>", out + err)


def test_failed_launch_ends_the_selftest(slowed: Any, make_selftest: Callable[..., Selftest], tmp_path: Path) -> None:
    """A duel without one of its sides says nothing: exit code 3, with the reason; duels before it are on disk."""
    slowed.failing = {"twin eager": 8}

    with pytest.raises(WorkerFailed, match="Duel 1 has no verdict: twin eager has had enough"):
        selftest.run_duels(make_selftest(), results=tmp_path, pythons={})

    duels = read_table(next(tmp_path.iterdir()) / "duels.csv", DUELS)
    assert list(duels["slowdown"]) == [HONEST]


@pytest.mark.parametrize(("slower", "code"), [(True, 0), (False, 1)])
def test_command_ends_with_its_outcome(
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    slower: bool,
    code: int,
) -> None:
    """`lenet-bench selftest`: exit code 0 where verdicts are right, 1 and a sentence where they are not."""
    request.getfixturevalue("slowed" if slower else "made_up")
    arguments = "selftest -b twin --duels 1 --slowdowns 3 --budget 200 --results-dir"
    monkeypatch.setattr("sys.argv", ["lenet-bench", *arguments.split(), str(tmp_path)])

    found = cli.command_line()

    out, err = capsys.readouterr()
    assert found == code
    assert re.search(r"^slowed 3% +1 ", out, re.MULTILINE)
    assert ("The self-test failed" in err) == ("give each more seconds: --budget" in err) == (code == 1)
    assert [path.name for path in tmp_path.glob("*-selftest/duels.csv")] == ["duels.csv"]


def test_self_test_that_cannot_start_leaves_nothing(
    made_up: Any, make_selftest: Callable[..., Selftest], tmp_path: Path
) -> None:
    """More threads than CPUs are refused before a folder is made, as by `run`."""
    with pytest.raises(InputError, match="--threads 9999 asks for more CPUs"):
        selftest.run_duels(make_selftest(threads=9999), results=tmp_path, pythons={})

    assert list(tmp_path.iterdir()) == []


def test_real_duel_has_a_twin_that_is_slower(
    tiny_commands: None,
    make_selftest: Callable[..., Selftest],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With real workers, small batches and one round: the slowdown reaches the worker, and the row has the ratio."""
    monkeypatch.setattr(selftest, "LENET5", replace(LENET5, batch_size=1))
    monkeypatch.setattr(selftest, "STEADY_S", 0.1)
    monkeypatch.setattr(selftest, "LEAST_ROUNDS", 1)

    selftest.run_duels(make_selftest(duels=1, slowdowns=(4.0,), budget_s=0.1), results=tmp_path, pythons={})

    (folder,) = tmp_path.iterdir()
    (row,) = read_table(folder / "duels.csv", DUELS).to_dict("records")
    assert (row["rounds"], row["verdict"]) == (1, "cannot tell")
    # A fifth; whatever else runs on the machine does not make it more than twice as much.
    assert row["ratio"] < 0.5
    assert "slowed 400%" in capsys.readouterr().out
