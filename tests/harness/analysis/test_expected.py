"""How long a plan will take: the medians of earlier launches, least and most."""

from __future__ import annotations

from pathlib import Path

from harness.analysis.expected import Earlier, expect, read_earlier
from harness.results.folder import RunFolder

PLAN = {"rounds": 3, "most_rounds": 3, "budget_s": 0.0, "epochs": 0, "seeds": 1}


def test_medians_of_the_label_or_of_its_backend() -> None:
    """What neither is known of is named, and not counted in."""
    earlier = Earlier({"torch eager": [1, 2, 9], "torch": [1, 2, 9, 4], "jax": [5]}, {"torch eager": [10]})

    assert expect(earlier, ["torch eager", "jax jit"], **PLAN).least_s == 3 * (2 + 5)
    assert expect(earlier, ["torch compiled"], **PLAN).least_s == 3 * 3
    found = expect(earlier, ["torch eager", "mxnet hybrid"], **PLAN | {"epochs": 2, "seeds": 3})
    assert (found.least_s, found.unknown) == (3 * 2 + 2 * 3 * 10, ("mxnet hybrid",))


def test_at_most_the_budget_where_rounds_are_added() -> None:
    """Not for one alone, nor for one beside the limit: there nothing is waited for."""
    earlier, more = Earlier({"torch": [10], "jax": [10], "numba": [10]}), PLAN | {"most_rounds": 1000, "budget_s": 90.0}

    assert expect(earlier, ["torch eager", "jax jit"], **more).most_s == 90
    assert expect(earlier, ["torch eager", "jax jit"], **more | {"budget_s": 40.0}).most_s == 60
    assert expect(earlier, ["torch eager", "jax jit"], **more | {"budget_s": 0.0}).most_s == 20_000
    assert expect(earlier, ["torch eager"], **more).most_s == 30
    assert expect(earlier, ["torch eager", "numba grid"], **more).most_s == 60


def test_launches_of_this_machine_alone(finished_run: Path) -> None:
    """Timed ones, and those that trained, each by its epochs; a folder that is no run is passed over."""
    launches = RunFolder(finished_run).read("launches")
    (finished_run.parent / "nothing").mkdir(exist_ok=True)

    found = read_earlier(finished_run.parent, launches["machine_sha256"].iloc[0])

    timed = launches[launches["train_images_per_s"].notna() & (launches["backend"] == "twin")]
    assert set(timed["launch_s"]) <= set(found.timed["twin eager b8"])
    assert found.epochs["twin eager b8"]
    assert read_earlier(finished_run.parent, "f" * 64).timed == {}
