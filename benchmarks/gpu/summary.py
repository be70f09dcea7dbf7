"""trial.json and trial.md: what all stages found, written anew after each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.gpu.stages import STAGES
from benchmarks.gpu.trial import Cell, read_json, write_json

LOG_LINES = 15


def write_summary(out: Path, *, device: str) -> None:
    """Collect every stage's outcome and findings from its folder; write both files."""
    found: dict[str, Any] = {}
    for name, stage in STAGES.items():
        outcome = read_json(out / name / "outcome.json")
        if outcome:
            found[name] = {"title": stage.title, **outcome, **read_json(out / name / "stage.json")}
    write_json(out / "trial.json", {"device": device, "stages": found})
    (out / "trial.md").write_text(_page(out, found, device), encoding="utf-8")


def _page(out: Path, found: dict[str, Any], device: str) -> str:
    lines = ["# Trial of a GPU" if device == "gpu" else "# Rehearsal on a CPU: figures of a card are made up", ""]
    rows = [[name, each["status"], round(each["seconds"], 1), each["limit_s"]] for name, each in found.items()]
    lines += _table(["stage", "outcome", "seconds", "limit"], rows)
    for name, each in found.items():
        lines += ["", f"## {name}: {each['title']}", ""]
        lines += [f"- **{sentence}**" for sentence in each.get("problems", [])]
        lines += [f"- {sentence}" for sentence in each.get("notes", [])]
        for table in each.get("tables", []):
            lines += ["", f"**{table['title']}**", "", *_table(table["header"], table["rows"])]
        if each["status"] in ("failed", "cut off"):
            lines += ["", "End of its log:", "", "```text", *_log_end(out / name / "log.txt"), "```"]
    return "\n".join(lines) + "\n"


def _table(header: list[str], rows: list[list[Cell]]) -> list[str]:
    lines = [header, ["---"] * len(header), *([_cell(cell) for cell in row] for row in rows)]
    return [f"| {' | '.join(line)} |" for line in lines]


def _cell(value: Cell) -> str:
    """Numbers with four digits that count, thousands apart; a bar would end the cell."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else str(value).replace("|", "/").replace("\n", " ")


def _log_end(log: Path) -> list[str]:
    if not log.exists():
        return []
    return log.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_LINES:]
