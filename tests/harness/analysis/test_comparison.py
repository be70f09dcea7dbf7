"""How entrants stand: the base, the family of comparisons, pairs by round."""

from __future__ import annotations

import itertools
import math
import re
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from harness.analysis.comparison import Comparison, are_paired, compare_entrants, label_of, paired_spread
from harness.analysis.labels import find
from harness.analysis.simultaneous import critical
from harness.analysis.statistics import unpaired_ratio
from harness.errors import InputError
from harness.results.folder import frame_of
from harness.results.schema import LAUNCHES

# Paired log ratios of five rounds with mean 0 and standard deviation 1 (n - 1).
SPREAD = [1.0, -1.0, 0.0, 1.0, -1.0]


def rows_of(
    backend: str, speeds: list[float], *, run: str = "r", rounds: list[int] | None = None, **changes: Any
) -> list[dict[str, Any]]:
    """Launches of one entrant, one a round."""
    rounds = rounds or list(range(1, len(speeds) + 1))
    fields = {"run": run, "backend": backend, "mode": "eager", "status": "ok", "threads": 1} | changes
    return [fields | {"round": number, "train_images_per_s": speed} for number, speed in zip(rounds, speeds)]


def stand(*groups: list[dict[str, Any]], base: str = "") -> list[Comparison]:
    return compare_entrants(frame_of([row for group in groups for row in group], LAUNCHES), base=base)


def spread(center: float, sd: float) -> list[float]:
    """Five speeds, of geometric mean `center`, whose logarithms have this standard deviation."""
    return [center * math.exp(sd * each) for each in SPREAD]


def test_fastest_is_the_base_unless_one_is_named() -> None:
    """Fastest first; ratios are to the fastest, or to the one that was named, which has neither ratio nor verdict."""
    groups = [rows_of("jax", [500.0] * 5), rows_of("torch", [1000.0] * 5), rows_of("paddle", [250.0] * 5)]

    fastest, named = stand(*groups), stand(*groups, base="jax eager")

    assert [each.label for each in fastest] == [each.label for each in named]
    assert [each.label for each in fastest] == ["torch eager", "jax eager", "paddle eager"]
    assert [each.ratio and each.ratio.estimate for each in fastest] == [None, pytest.approx(0.5), pytest.approx(0.25)]
    assert [each.ratio and each.ratio.estimate for each in named] == [pytest.approx(2.0), None, pytest.approx(0.5)]
    assert [each.verdict for each in fastest] == ["", "slower", "slower"]
    assert [each.verdict for each in named] == ["faster", "", "slower"]
    assert [each.speed.estimate for each in named] == pytest.approx([1000.0, 500.0, 250.0])


LABELS = ["torch compiled", "torch eager", "torch eager twin", "jax jit", "jaxlike eager"]


@pytest.mark.parametrize(
    ("base", "place"),
    [("torch compiled", 0), ("torch eager", 1), ("torch eager twin", 2), ("jax jit", 3), ("jax", 3), ("jaxlike", 4)],
)
def test_base_is_found_by_its_label_or_a_beginning(base: str, place: int) -> None:
    """A whole label is that entrant, also where another's begins with it; else as many whole words as are enough."""
    assert find(base, LABELS) == place


@pytest.mark.parametrize(
    "base", ["torch", "tensorflow", "eager", "jit", "torch eag", "torch eager twin x", "TORCH eager"]
)
def test_base_that_is_none_or_several_lists_the_labels(base: str) -> None:
    """A base that nobody has, or that several have: what came in, and every label."""
    with pytest.raises(InputError) as caught:
        find(base, LABELS)

    assert repr(base) in str(caught.value)
    assert all(label in str(caught.value) for label in LABELS)


def test_base_that_two_runs_have_is_ambiguous() -> None:
    """One label that two entrants bear names neither: the faster one is not chosen in silence."""
    both = [rows_of("torch", [1000.0] * 5, run="a"), rows_of("torch", [900.0] * 5, run="b")]

    with pytest.raises(InputError, match="torch eager"):
        stand(*both, base="torch eager")


@pytest.mark.parametrize("entrants", [2, 3, 5])
@pytest.mark.parametrize("base", ["", "b1"], ids=["fastest", "named"])
def test_family_of_comparisons_shares_five_percent(entrants: int, base: str) -> None:
    """All ratios hold together with 95 %: of all pairs where the base is the fastest, else of the others with it.

    By hand: log ratios of mean m and standard deviation s, in n rounds, give m +- q s / sqrt(n); q is Student's for two
    entrants, and for more that of `simultaneous.critical`, s moderated by the mean variance of all pairs.
    """
    groups = [rows_of(f"b{number}", spread(1000.0 / 2**number, 0.01 * number)) for number in range(entrants)]

    found = stand(*groups, base=base)

    variances = [(0.01 * (a - b)) ** 2 for a, b in itertools.combinations(range(entrants), 2)]
    factor = float(stats.t.ppf(0.975, df=4)) if entrants == 2 else critical(entrants, 5, not base)
    place = 1 if base else 0
    for number, each in enumerate(found):
        if number == place:
            assert each.ratio is None
            continue
        own = (0.01 * (number - place)) ** 2
        variance = own if entrants == 2 else (4 * own + 2 * np.mean(variances)) / 6
        half = factor * math.sqrt(variance / 5)
        center = 2.0 ** (place - number)
        assert each.ratio is not None
        assert each.ratio.estimate == pytest.approx(center)
        assert each.ratio.low == pytest.approx(center * math.exp(-half))
        assert each.ratio.high == pytest.approx(center * math.exp(half))


def test_entrants_that_share_no_rounds_have_bonferronis_intervals() -> None:
    """Of two runs, nothing is paired: each ratio is Welch's, all wide enough for their number."""
    a, b = (rows_of(name, spread(1000.0, 0.01)) for name in ("a", "b"))
    c = [row | {"run": "another"} for row in rows_of("c", spread(900.0, 0.01))]

    found = stand(a, b, c, base="a")

    (wide,) = (each.ratio for each in found if each.label.startswith("c "))
    speeds = [np.array(spread(1000.0, 0.01)), np.array(spread(900.0, 0.01))]
    alone = unpaired_ratio(speeds[1], speeds[0], level=0.975)
    assert wide is not None
    assert (wide.low, wide.high) == pytest.approx((alone.low, alone.high))


def test_own_speeds_have_their_own_95_percent() -> None:
    """The interval of an entrant's speed is no comparison: it stays at 95 %, however many entrants there are."""
    found = stand(*(rows_of(f"b{number}", spread(1000.0 - number, 0.03)) for number in range(5)))

    half = float(stats.t.ppf(0.975, df=4)) * 0.03 / math.sqrt(5)
    assert found[4].speed.estimate == pytest.approx(996)
    assert found[4].speed.low == pytest.approx(996 * math.exp(-half))
    assert found[4].speed.high == pytest.approx(996 * math.exp(half))


def test_verdict_is_of_the_family() -> None:
    """The same two entrants: slower by themselves, and not to be told among five."""
    # Log ratio -0.062, and 0.045 of spread: half the interval is 0.056 for two, 0.065 for four against a named base,
    # and 0.07 for ten pairs.
    fast, slow = rows_of("fast", [1000.0] * 5), rows_of("slow", spread(940.0, 0.045))
    others = [rows_of(f"other{number}", spread(100.0 + number, 0.03 * (number - 1))) for number in range(3)]

    def verdict(found: list[Comparison]) -> str:
        return next(each.verdict for each in found if each.label == "slow eager")

    assert verdict(stand(fast, slow)) == "slower"
    assert verdict(stand(fast, slow, *others)) == "cannot tell"


def test_ratio_is_paired_by_round() -> None:
    """A drift that both entrants share leaves a paired ratio exact, however wide their own intervals are."""
    drift = [1.0, 2.0, 0.5, 4.0, 1.5]
    torch = rows_of("torch", [1000 * each for each in drift])
    jax = rows_of("jax", [500 * each for each in reversed(drift)], rounds=[5, 4, 3, 2, 1])

    _, found = stand(torch, jax)

    assert found.ratio is not None
    assert [found.ratio.low, found.ratio.estimate, found.ratio.high] == pytest.approx([0.5, 0.5, 0.5])
    assert found.ratio.count == 5
    assert found.verdict == "slower"
    assert found.speed.high > 2 * found.speed.estimate


def test_only_shared_rounds_are_paired() -> None:
    """A launch without a partner in its round does not enter the ratio, but its own speed; four pairs are needed."""
    torch = rows_of("torch", [1000.0, 1000.0, 1000.0, 1000.0, 1000.0, 9000.0])
    three, four = (rows_of("jax", [500.0] * len(rounds), rounds=rounds) for rounds in ([2, 3, 5], [1, 2, 3, 5]))

    (first, unsure), (_, sure) = stand(torch, three), stand(torch, four)

    assert first.speed.count == 6
    assert unsure.ratio is not None
    assert sure.ratio is not None
    assert [unsure.ratio.estimate, sure.ratio.estimate] == pytest.approx([0.5, 0.5])
    assert [unsure.verdict, sure.verdict] == ["cannot tell", "slower"]


def test_no_shared_round_is_as_another_run() -> None:
    """Entrants of two parts of a run, which never met in a round, are compared as those of two runs: not paired."""
    mine, others = [1010.0, 990.0, 1000.0, 1005.0], [500.0, 510.0, 495.0, 505.0]
    _, apart = stand(rows_of("torch", mine), rows_of("jax", others, rounds=[5, 6, 7, 8]))
    _, runs = stand(rows_of("torch", mine), rows_of("jax", others, run="other"))
    _, paired = stand(rows_of("torch", mine), rows_of("jax", others))

    assert apart.ratio == runs.ratio != paired.ratio
    assert not are_paired(apart.launches, stand(rows_of("torch", mine))[0].launches)


def test_runs_are_not_paired_with_each_other() -> None:
    """Rounds of different runs have nothing in common: Welch's interval, though the numbers of the rounds agree.

    By hand: variances of the means 0.01^2 / 5 and 0.03^2 / 5, Satterthwaite's degrees of freedom, three pairs.
    """
    fast, slow = rows_of("torch", spread(1000.0, 0.01), run="a"), rows_of("torch", spread(900.0, 0.03), run="b")

    _, found, _ = stand(fast, slow, rows_of("jax", spread(100.0, 0.02), run="b"))

    a, b = 0.01**2 / 5, 0.03**2 / 5
    freedom = (a + b) ** 2 / (a**2 / 4 + b**2 / 4)
    half = float(stats.t.ppf(1 - 0.05 / 3 / 2, freedom)) * math.sqrt(a + b)
    assert found.ratio is not None
    assert found.ratio.estimate == pytest.approx(0.9)
    assert found.ratio.low == pytest.approx(0.9 * math.exp(-half))
    assert found.ratio.high == pytest.approx(0.9 * math.exp(half))


def test_failed_and_untimed_launches_are_passed_over() -> None:
    """Rows that failed, or that only trained, do not count as launches; nothing but such rows is no table."""
    good = rows_of("torch", [1000.0] * 4)
    bad = rows_of("torch", [1.0], rounds=[5], status="failed")
    bad += [row | {"train_images_per_s": None} for row in rows_of("jax", [1.0] * 4)]

    (found,) = stand(bad, good)

    assert found.launches["round"].tolist() == [1, 2, 3, 4]
    assert found.speed.estimate == pytest.approx(1000)
    assert stand(bad) == []
    assert stand(bad, base="torch") == []


@pytest.mark.parametrize(
    ("column", "values"),
    [("threads", [1, None]), ("mode", ["eager", "jit"]), ("variant", [None, "twin"]), ("slowdown", [0.0, 0.03]),
     ("batch_size", [64, 128]), ("framework_version", ["1.0", "1.1"]), ("run", ["a", "b"])],
)  # fmt: skip
def test_what_changes_the_speed_makes_another_entrant(column: str, values: list[Any]) -> None:
    """The same backend with one thing changed that can change its speed is another row."""
    one, other = ([row | {column: value} for row in rows_of("torch", [900.0] * 4)] for value in values)

    assert [len(each.launches) for each in stand(one, other)] == [4, 4]


def test_label_has_the_variant() -> None:
    """The label is the entrant's own: backend, mode, and the variant where there is one."""
    frame = frame_of([*rows_of("torch", [1.0]), *rows_of("torch", [1.0], variant="twin")], LAUNCHES)

    assert label_of(frame[:1]) == "torch eager"
    assert label_of(frame[1:]) == "torch eager twin"
    assert re.fullmatch(r"[a-z ]+", label_of(frame.assign(variant=pd.array(["", ""], dtype="string"))))


def test_spread_of_pairs_has_no_drift() -> None:
    """What both sides share, round by round, is not in it; one round and two runs have none."""
    drift = [1.0, 2.0, 3.0, 4.0, 5.0]
    base = frame_of(rows_of("torch", [1000 * d for d in drift]), LAUNCHES)
    other = frame_of(rows_of("jax", [d * speed for d, speed in zip(drift, spread(500, 0.02))]), LAUNCHES)

    assert paired_spread(other, base) == pytest.approx(0.02)
    assert paired_spread(other.head(1), base) is None
    assert paired_spread(other.assign(run="other"), base) is None


def test_turns_are_pairs() -> None:
    """A neighbour that slows some turns of both sides, or one turn of one, leaves the round's ratio as it is."""
    steady, disturbed = "100 100 100 100 100", "100 250 250 180 400"
    twice = [rows_of(name, [speed] * 5, batch_size=64) for name, speed in (("torch", 1000.0), ("jax", 500.0))]
    rows = [
        [row | {"turn_step_us": steady if number % 2 else disturbed} for number, row in enumerate(twice[0])],
        [row | {"turn_step_us": steady if number % 2 else "80 200 200 144 100"} for number, row in enumerate(twice[1])],
    ]

    jax = next(each for each in stand(*rows, base="torch") if each.label == "jax eager")

    # By turns: 1 in steady rounds, 1.25 in disturbed ones, whatever the medians of the launches say.
    assert jax.ratio is not None
    assert jax.ratio.estimate == pytest.approx(1.25 ** (3 / 5))


def test_disturbed_turns_are_left_out_on_both_sides() -> None:
    """Turns in which one side lost its CPU are no pairs; where too few others are left, all count."""
    ours, theirs = "100 100 100 100 100 900 900 900", "200 200 200 200 200 200 200 200"

    def ratio(disturbed: str | None, their_own: str | None) -> float:
        rows = [
            [
                row | {"turn_step_us": turns, "disturbed_turns": cell, "batch_size": 64}
                for row in rows_of(name, [1.0] * 4)
            ]
            for name, turns, cell in (("torch", ours, disturbed), ("jax", theirs, their_own))
        ]
        jax = next(each for each in stand(*rows, base="torch") if each.label == "jax eager")
        assert jax.ratio is not None
        return jax.ratio.estimate

    assert ratio("6 7 8", "6 7 8") == pytest.approx(0.5)
    assert ratio("6 7", "8") == pytest.approx(0.5)
    assert ratio("1 2 3 4", "1 2 3 4") == pytest.approx(0.5), "all of them"
    assert ratio("1 2 3", "none") == pytest.approx(4.5)
    assert ratio("none", None) == pytest.approx(0.5)


def test_other_numbers_of_turns_are_no_pairs() -> None:
    """Launches that took different numbers of turns, or none, are compared by their medians."""
    ours = [row | {"turn_step_us": "100 100"} for row in rows_of("torch", [1000.0] * 5)]
    theirs = [row | {"turn_step_us": "100 100 100"} for row in rows_of("jax", [500.0] * 5)]

    found = {each.label: each for each in stand(ours, theirs, base="torch")}

    assert found["jax eager"].ratio is not None
    assert found["jax eager"].ratio.estimate == pytest.approx(0.5)
