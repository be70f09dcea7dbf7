"""How long work may still take: guessed from what its pieces took, in this run or in an earlier one; else not said.

What is said is calm. A guess that is near to what was said before changes nothing: that goes on counting down.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from statistics import fmean

# A new guess is said where it differs from the old one by more than this share of it, and by so many seconds.
CALM_SHARE, CALM_S = 0.25, 5.0
# So few seconds are not counted any more.
NEARLY_S = 2.5


@dataclass(frozen=True)
class Piece:
    """A piece of work.

    Attributes:
        kind: pieces of a kind take about as long as each other.
        name: of all pieces of this kind that are the same work, also in other runs.
        guess_s: that follow from something which this run has timed; None for none.
    """

    kind: str
    name: str = ""
    guess_s: float | None = None

    @property
    def key(self) -> str:
        """What its seconds are kept under."""
        return f"{self.kind} {self.name}".strip()


class Outlook:
    """The pieces of some work: the one that is under way, and those to come.

    Attributes:
        took: key of a piece -> seconds that it took in this run, the last time.
    """

    def __init__(
        self, known: Mapping[str, float] | None = None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Begin.

        Args:
            known: key of a piece -> seconds that it took in an earlier run.
        """
        self.took: dict[str, float] = {}
        self._known = dict(known or {})
        self._clock = clock
        self._own: dict[str, list[float]] = {}
        self._kinds: dict[str, list[float]] = {}
        self._to_come: list[Piece] = []
        self._or_more = False
        self._later: list[Piece] = []
        self._now: Piece | None = None
        self._began = 0.0
        self._said_end: float | None = None

    def expect(self, pieces: Iterable[Piece], *, or_more: bool = False) -> None:
        """Say what is to come behind the piece that is under way.

        Args:
            or_more: whether more may come, and nobody knows yet how much.
        """
        self._to_come, self._or_more = list(pieces), or_more

    def expect_later(self, pieces: Iterable[Piece]) -> None:
        """Say what is to come behind all that `expect` says."""
        self._later = list(pieces)

    def begin(self, piece: Piece) -> None:
        """A piece begins, and the one before it has ended; if it was to come, it is so no more."""
        self.end()
        self._now, self._began = piece, self._clock()
        for number, each in enumerate(self._to_come):
            if each.key == piece.key:
                del self._to_come[number]
                break

    def end(self) -> None:
        """The piece that is under way has ended."""
        if self._now is not None:
            self.learn(self._now, self._clock() - self._began)
        self._now = None

    def learn(self, piece: Piece, seconds: float) -> None:
        """A piece took so long."""
        self.took[piece.key] = seconds
        self._own.setdefault(piece.key, []).append(seconds)
        self._kinds.setdefault(piece.kind, []).append(seconds)

    def left_s(self) -> float | None:
        """Seconds until all is done, as a calm voice says them; None where a piece is like none that is known."""
        guess = self._guess_s()
        if guess is None:
            self._said_end = None
            return None
        now = self._clock()
        said = None if self._said_end is None else self._said_end - now
        if said is None or abs(guess - said) > max(CALM_S, CALM_SHARE * said):
            said = guess
            self._said_end = now + guess
        return max(0.0, said)

    @property
    def words(self) -> str:
        """`about 40 s left`, or `about 40 s or more left`; empty where nobody knows.

        A piece that takes longer than it should is not nearly done, nor does anybody know how much of it is left.
        """
        left, is_late = self.left_s(), self._is_late()
        if left is not None and left < NEARLY_S and is_late and not self._or_more:
            return "it takes longer than expected"
        return words(left, or_more=self._or_more or is_late)

    def _is_late(self) -> bool:
        seconds = None if self._now is None else self._seconds(self._now)
        if seconds is None:
            return False
        return self._clock() - self._began - seconds > max(CALM_S, CALM_SHARE * seconds)

    def _guess_s(self) -> float | None:
        total = 0.0
        for piece in (*self._to_come, *self._later):
            seconds = self._seconds(piece)
            if seconds is None:
                return None
            total += seconds
        if self._now is None:
            return total if self._to_come or self._later else None
        seconds = self._seconds(self._now)
        return None if seconds is None else total + max(0.0, seconds - (self._clock() - self._began))

    def _seconds(self, piece: Piece) -> float | None:
        """What it may take: the mean of what the same took, now and before; without any, of those of its kind."""
        earlier = self._known.get(piece.key) if piece.guess_s is None else piece.guess_s
        # An earlier time counts as much as one of this run: a single one may have been disturbed.
        found = [*self._own.get(piece.key, []), *([] if earlier is None else [earlier])] or self._kinds.get(piece.kind)
        return fmean(found) if found else None


def words(seconds: float | None, *, or_more: bool = False) -> str:
    """`about 40 s left`, `about 3 min left`; nothing where it is not known."""
    if seconds is None:
        return ""
    if seconds < NEARLY_S and not or_more:
        return "nearly done"
    return f"about {_rounded(max(seconds, 5.0))}{' or more' * or_more} left"


def _rounded(seconds: float) -> str:
    """As exact as a guess is: 5 s, 10 s from a minute on, minutes from two on, and of hours five."""
    if seconds < 57.5:
        return f"{5 * round(seconds / 5)} s"
    if seconds < 115:
        return f"{10 * round(seconds / 10)} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(5 * round(minutes / 5), 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"
