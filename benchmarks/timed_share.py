"""`python -m benchmarks.timed_share RUN`: what share of a run's wall time was timed training, round by round."""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd

from harness.errors import LenetBenchError
from harness.results.folder import RunFolder


def shares(folder: RunFolder) -> pd.DataFrame:
    """A row for each round that was timed: seconds of wall time, of timed blocks, of all blocks, and the shares.

    The wall time of a round is from the start of its first launch to that of the next round's; of the last round, the
    seconds of its launches.
    """
    launches, blocks = folder.read_counted("launches"), folder.read_counted("blocks")
    timed = launches[launches["train_images_per_s"].notna()]
    starts = pd.to_datetime(timed["started_utc"], format="ISO8601").groupby(timed["round"]).min()
    wall = starts.diff().shift(-1).dt.total_seconds().fillna(timed.groupby("round")["launch_s"].sum())
    steady = blocks[blocks["phase"] == "steady"].groupby("round")["seconds"].sum()
    found = pd.DataFrame({"wall_s": wall, "timed_s": steady, "blocks_s": blocks.groupby("round")["seconds"].sum()})
    return found.assign(timed=found["timed_s"] / found["wall_s"], blocks=found["blocks_s"] / found["wall_s"])


def main() -> None:
    """Print the table, and the shares of all rounds after the first."""
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    try:
        found = shares(RunFolder(Path(sys.argv[1])))
    except LenetBenchError as error:
        sys.exit(f"timed_share: {error}")
    print(found.round(2).to_string())
    later = found.iloc[1:].sum()
    if later["wall_s"]:
        print(
            f"After the first round: {later['timed_s'] / later['wall_s']:.0%} of the wall time was timed, "
            f"{later['blocks_s'] / later['wall_s']:.0%} was training (warm-up and the first steps of turns too)."
        )


if __name__ == "__main__":
    main()
