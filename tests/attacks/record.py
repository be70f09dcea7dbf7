"""What came of the attacks: kept in found.csv, a row an attack and a framework, and written as docs/attacks.md."""

from __future__ import annotations

import csv
import datetime
from collections import Counter
from pathlib import Path

from tests.attacks.trial import EVERYWHERE, KINDS, ROOT, Trial

FOUND = Path(__file__).parent / "found.csv"
PAGE = ROOT / "docs" / "attacks.md"
COLUMNS = ("kind", "attack", "framework", "outcome", "by", "since", "tried")
OUTCOMES = {True: "refused", False: "passed"}
Row = dict[str, str]

HEAD = """# Attacks

After reading this page you know which wrong and which cheating backends lenet-bench catches, by what, and which it does
not catch.

An *attack* is a wrong backend around a real framework, kept in `tests/attacks`. *Mistakes* are those that honest people
make. They are tried through `lenet-bench verify`. *Cheats* are right when they are verified, and wrong while they are
timed. They are tried through `lenet-bench run`.

`nox -s attacks` tries all attacks (`nox -s attacks -- -b torch -k clipped` tries some), and `-- --write` writes this
page. CI tries a few (`tests/harness/proof/test_attacks.py`).

- *Caught by* is the first quantity of `verify` that is off ([Verification](verification.md)), or the error of the
  launch. It is of the first framework in which the attack was tried.
- *Since*: from this day on, all frameworks in which the attack is tried refuse it.
- **pass**, in bold, counts attacks that pass and should not.
"""


def summary(trials: list[Trial]) -> str:
    """How many were tried and caught, and which were not."""
    lines = []
    for framework in dict.fromkeys(trial.framework for trial in trials):
        for kind in dict.fromkeys(trial.kind for trial in trials):
            mine = [trial for trial in trials if (trial.framework, trial.kind) == (framework, kind)]
            counts = Counter(trial.refused for trial in mine)
            lines.append(f"{framework} {kind}: {len(mine)} tried, {counts[True]} refused, {counts[False]} passed")
    for trial in trials:
        if not trial.as_expected:
            lines.append(f"NOT AS EXPECTED: {trial.framework} {trial.kind} {trial.name}: {trial.by}")
    return "\n".join(lines)


def read() -> dict[tuple[str, str, str], Row]:
    """Rows by kind, attack and framework."""
    if not FOUND.exists():
        return {}
    with FOUND.open(newline="", encoding="utf-8") as file:
        return {(row["kind"], row["attack"], row["framework"]): row for row in csv.DictReader(file)}


def write(trials: list[Trial]) -> None:
    """Put these in the place of what was known of the same attacks, and write the page."""
    rows = read()
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    for trial in trials:
        if trial.refused is None:
            continue
        key = (trial.kind, trial.name, trial.framework)
        outcome, before = OUTCOMES[trial.refused], rows.get(key, {})
        since = before["since"] if before.get("outcome") == outcome else today
        values = (*key, outcome, trial.by, since, today)
        rows[key] = dict(zip(COLUMNS, values, strict=True))
    known = [row for (kind, name, _), row in sorted(rows.items()) if name in KINDS.get(kind, {})]
    with FOUND.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(known)
    PAGE.write_text(page(known), encoding="utf-8")


def page(rows: list[Row]) -> str:
    """docs/attacks.md."""
    parts = [HEAD, *_counts(rows)]
    for kind, attacks in KINDS.items():
        parts += [
            f"\n## {kind.capitalize()}\n",
            "| attack | a backend that … | caught by | since |",
            "| --- | --- | --- | --- |",
        ]
        for name, attack in attacks.items():
            mine = {row["framework"]: row for row in rows if (row["kind"], row["attack"]) == (kind, name)}
            parts.append(f"| `{name}` | {attack.text} | {_caught(attack, mine)} | {_since(mine)} |")
    return "\n".join(parts) + "\n"


def _counts(rows: list[Row]) -> list[str]:
    """How many were tried in each framework, and what came of them."""
    lines = ["| | tried | refused | pass, as they may | **pass** |", "| --- | --- | --- | --- | --- |"]
    for kind, attacks in KINDS.items():
        for framework in EVERYWHERE:
            mine = [row for row in rows if (row["kind"], row["framework"]) == (kind, framework)]
            refused = sum(row["outcome"] == "refused" for row in mine)
            may = sum(row["outcome"] != "refused" and attacks[row["attack"]].expected == "passes" for row in mine)
            if mine:
                pairs = f"{len(mine)} | {refused} | {may} | {len(mine) - refused - may}"
                lines.append(f"| {framework}, {kind} | {pairs} |")
    return lines


def _caught(attack: object, mine: dict[str, Row]) -> str:
    """What caught it where it was tried, or why it passes."""
    if not mine:
        return "not tried yet"
    order = [name for name in EVERYWHERE if name in mine]
    passed = [name for name in order if mine[name]["outcome"] != "refused"]
    if passed and attack.expected == "passes":  # type: ignore[attr-defined]
        return f"passes: {attack.reason}"  # type: ignore[attr-defined]
    refused = [name for name in order if name not in passed]
    text = _short(mine[refused[0]]["by"]) if refused else ""
    if passed:
        meant = attack.caught_by  # type: ignore[attr-defined]
        text += f" **passed in {', '.join(passed)}**" + (f"; meant to be caught by {meant}" if meant else "")
    return text.strip()


def _since(mine: dict[str, Row]) -> str:
    refused = [row["since"] for row in mine.values() if row["outcome"] == "refused"]
    return max(refused) if refused and len(refused) == len(mine) else "-"


def _short(text: str) -> str:
    """The first sentence, fit for a cell."""
    return text.partition(". ")[0].replace("|", "/").strip().rstrip(".")
