"""What is said to be left: from this run, else from an earlier one, else nothing; calm, and in round numbers."""

from __future__ import annotations

import json
import random
from itertools import pairwise
from pathlib import Path

import pytest

from harness.runs import durations
from harness.runs.outlook import Outlook, Piece, words


class Clock:
    """A clock that goes on when it is told to."""

    now = 50.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_nothing_is_said_where_nothing_is_known(clock: Clock) -> None:
    """Neither of pieces that are like none before, nor where no work was named."""
    outlook = Outlook(clock=clock)
    assert outlook.words == ""
    outlook.expect([Piece("round", "b")])
    outlook.begin(Piece("round", "a"))
    clock.now += 5
    assert outlook.words == ""


def test_earlier_run_is_asked_first_and_then_this_one_too(clock: Clock) -> None:
    """What a piece took the last time, then the mean with those of this run; what this run tells of it is better than
    an earlier run, and one of its kind is better than nothing."""
    a, b = Piece("round", "a"), Piece("round", "b")
    outlook = Outlook({"round a": 40.0}, clock=clock)
    outlook.expect([a, a])
    assert outlook.left_s() == 80
    outlook.begin(a)
    clock.now += 10
    assert outlook.left_s() == 70
    clock.now += 10
    outlook.begin(a)
    assert outlook.left_s() == 30
    outlook.expect([b, Piece("round", "c", guess_s=100.0)])
    assert outlook.left_s() == 150
    assert outlook.took == {"round a": 20.0}


def test_piece_that_takes_longer_counts_no_more(clock: Clock) -> None:
    """It is what is behind it that is left then, and nothing is ever less than nothing."""
    outlook = Outlook({"round a": 10.0, "round b": 30.0}, clock=clock)
    outlook.expect([Piece("round", "b")])
    outlook.begin(Piece("round", "a"))
    clock.now += 60
    assert outlook.left_s() == 30
    outlook.begin(Piece("round", "b"))
    clock.now += 60
    assert outlook.left_s() == 0


def test_piece_that_is_late_is_not_nearly_done(clock: Clock) -> None:
    """`nearly done` for half a minute is not true: that it takes longer is said, and that there may be more."""
    outlook = Outlook({"round a": 10.0, "round b": 40.0}, clock=clock)
    outlook.begin(Piece("round", "a"))
    clock.now += 14
    assert outlook.words == "nearly done"
    clock.now += 2
    assert outlook.words == "it takes longer than expected"
    outlook.expect([Piece("round", "b")])
    assert outlook.words == "about 40 s or more left"
    outlook.begin(Piece("round", "b"))
    clock.now += 5
    assert outlook.words == "about 35 s left"


def test_piece_that_was_begun_is_to_come_no_more(clock: Clock) -> None:
    """One of the same name, and not both of two."""
    outlook = Outlook({"x": 10.0}, clock=clock)
    outlook.expect([Piece("x"), Piece("x")])
    outlook.begin(Piece("x"))
    assert outlook.left_s() == 20


@pytest.mark.parametrize("seed", range(10))
def test_number_counts_down_and_does_not_jump(clock: Clock, seed: int) -> None:
    """Twenty rounds whose times spread by a tenth: what is said hardly ever rises, and by little."""
    draw, piece = random.Random(seed), Piece("round")
    outlook = Outlook({"round": 30.0}, clock=clock)
    outlook.expect([piece] * 20)
    said = []
    for _ in range(20):
        outlook.begin(piece)
        for _ in range(round(draw.gauss(30, 3))):
            said.append(outlook.left_s())
            clock.now += 1
    rises = [after - before for before, after in pairwise(said) if after > before]
    assert len(rises) <= 4
    assert max(rises, default=0.0) < 36
    assert said[-1] < 15


def test_guess_that_was_far_off_is_mended(clock: Clock) -> None:
    """Where rounds take twice as long as the last time, that is seen after the first of them, and known after more."""
    piece = Piece("round")
    outlook = Outlook({"round": 30.0}, clock=clock)
    outlook.expect([piece] * 4)
    outlook.begin(piece)
    assert outlook.left_s() == 120
    clock.now += 60
    outlook.begin(piece)
    assert outlook.left_s() == 135
    clock.now += 60
    outlook.begin(piece)
    assert outlook.left_s() == 100


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (None, ""), (0.0, "nearly done"), (3.0, "about 5 s left"), (41.0, "about 40 s left"), (57.4, "about 55 s left"),
        (58.0, "about 60 s left"), (94.0, "about 90 s left"), (116.0, "about 2 min left"), (605.0, "about 10 min left"),
        (3580.0, "about 1 h left"), (5400.0, "about 1 h 30 min left"), (2 * 86400.0, "about 48 h left"),
    ],
)  # fmt: skip
def test_words_are_as_exact_as_a_guess(seconds: float | None, said: str) -> None:
    assert words(seconds) == said


def test_more_may_come() -> None:
    """Where nobody knows yet how many rounds there will be."""
    assert words(40.0, or_more=True) == "about 40 s or more left"
    assert words(0.0, or_more=True) == "about 5 s or more left"


def test_durations_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last time counts, others stay, the newest ones stay longest."""
    monkeypatch.setenv("LENET_BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(durations, "MOST_KEPT", 3)
    assert durations.read() == {}
    durations.keep({})
    assert not durations.path().exists()
    durations.keep({"a": 1.26, "b": 2.0, "c": float("nan")})
    durations.keep({"a": 3.0, "d": 4.0, "e": 5.0})
    assert durations.read() == {"a": 3.0, "d": 4.0, "e": 5.0}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[1]",
        b"{",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"a": "b", "c": null, "d": true, "e": -1, "f": 1e999}',
    ],
)
def test_file_that_says_nothing_of_use_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.setenv("LENET_BENCH_CACHE", str(tmp_path))
    durations.path().write_bytes(content)
    assert durations.read() == {}
    durations.keep({"a": 1.0})
    assert json.loads(durations.path().read_text()) == {"a": 1.0}


def test_cache_that_cannot_be_written_costs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LENET_BENCH_CACHE", str(tmp_path / "file" / "cache"))
    durations.keep({"a": 1.0})
    assert durations.read() == {}
