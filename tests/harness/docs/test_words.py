"""The words of the documentation: short README, a glossary with every column, pages that say what they are good for."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.runs.plan import PRESETS
from harness.spec.networks import NETWORKS
from harness.worker.job import FORMS
from tools import site_pages

ROOT = Path(__file__).resolve().parents[3]
README = (ROOT / "README.md").read_text(encoding="utf-8")
MEASURED = (ROOT / "docs" / "measured.md").read_text(encoding="utf-8")
GLOSSARY = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
# Those that a reader of the tables must look up; each stands in the list or in a table.
TERMS = (
    "steady", "host", "device", "entrant", "launch", "round", "turn", "block", "base", "verdict", "break-even",
    "speeds cv %", "paired", "of peak", "+import MiB", "gate", "baseline", "certificate", "audit", "twin", "backend",
    "mode", "run", "feed", "recipe", "reference", "mutant",
)  # fmt: skip
# Where headers are given to a table: the function's name, and which of its arguments hold them.
MAKERS = {"make_columns": (1, 2, 3), "add_column": (0,), "Table": (0, 1, 2, 3, 4, 5)}
PAGES = site_pages.made() | site_pages.written()
# The README begins with what it is, the changelog with its form.
BEGIN_OTHERWISE = {"index.md", "changelog.md"}


def test_readme_is_short() -> None:
    """At most 120 lines; within the first 60 are the figure, the table and both commands."""
    lines = README.splitlines()
    first = "\n".join(lines[:60])

    assert len(lines) <= 120
    assert "docs/figures/throughput.svg" in first
    assert first.count("\npython3.11 -m venv ") == 2
    assert "fastest" in first


def test_readme_shows_figures_of_the_run_in_measured() -> None:
    """Speeds, first steps and accuracies are those of the run's tables; shares are ratios to the fastest."""
    training, start, _, machine = (part.split("\n```")[0] for part in MEASURED.split("```text\n")[1:5])
    rows = re.findall(r"^\| \w+ `([a-z]+)` \| ([^|]+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", README, re.MULTILINE)
    # The first line is the limit's, which is no framework.
    best = float(re.findall(r"([\d.]+) [\d.]+\.\.[\d.]+ faster", training)[1])
    shares = dict(re.findall(r"^\w+ +(\w+) .* (\d+)% ", training, re.MULTILINE))
    limit = re.findall(r"`(\w+)`(?: reaches)? (\d+) %", README)

    assert len(rows) == 8
    assert len(limit) == 5
    assert all(shares[mode] == percent for mode, percent in limit)
    limits = next(line for line in training.splitlines() if line.startswith("numba"))
    assert f"train at {limits.split()[2]} images/s" in README
    for mode, speed, share, first, accuracy in rows:
        line = next(line for line in training.splitlines() if line.split()[1:2] == [mode])
        assert f" {speed} " in line
        assert f" {first} ±" in next(line for line in start.splitlines() if line.split()[1:2] == [mode])
        assert f" {accuracy} " in next(line for line in machine.splitlines() if line.split()[1:2] == [mode])
        ratio = float(re.findall(r"(?<= )(\d\.\d{3}) ", line)[0])
        assert share == ("fastest" if ratio == best else f"{ratio / best * 100:.0f} %")
    assert f"{best:.2f} times as fast as PyTorch" in README


def test_presets_are_those_of_the_code() -> None:
    """docs/at-a-glance.md has a row for each, with its figures but for --steady-s, which is the same in all."""
    page = (ROOT / "docs" / "at-a-glance.md").read_text(encoding="utf-8")

    for name, preset in PRESETS.items():
        figures = f"{preset.rounds} | {preset.precision:.0%} | {preset.budget_s:,.0f} | {preset.epochs}"
        assert f"| `{name}` | {figures.replace('%', ' %')} |" in page
    assert len({preset.steady_s for preset in PRESETS.values()}) == 1


def headers() -> Iterator[str]:
    """Every header that a command's table has, from the code: constants where columns are made, and lists of them."""
    for path in sorted((ROOT / "harness").rglob("*.py")):
        if path.parts[-2] in ("report", "runs"):
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and _name(node.func) in MAKERS:
                places = MAKERS[_name(node.func)]
                yield from _texts(argument for number, argument in enumerate(node.args) if number in places)
            elif isinstance(node, ast.For) and _name(node.target) == "header" and isinstance(node.iter, ast.Tuple):
                yield from _texts([node.iter])
            elif (
                isinstance(node, ast.Assign)
                and _name(node.targets[0]) == "headers"
                and "as_markdown" not in {f.name for f in ast.walk(tree) if _has(f, node)}
            ):
                yield from _texts([node.value])


def _has(function: ast.AST, node: ast.AST) -> bool:
    return isinstance(function, ast.FunctionDef) and any(each is node for each in ast.walk(function))


def _name(node: ast.AST) -> str:
    return getattr(node, "id", getattr(node, "attr", ""))


def _texts(nodes: object) -> Iterator[str]:
    for node in nodes:  # type: ignore[attr-defined]
        for each in ast.walk(node):
            if isinstance(each, ast.Constant) and isinstance(each.value, str) and each.value.strip():
                yield each.value


def test_glossary_has_every_header_that_tables_print() -> None:
    """Found in the code, so that a new column cannot be forgotten."""
    explained = set(re.findall(r"`([^`]+)`", "\n".join(re.findall(r"^\|(.+?)\| ", GLOSSARY, re.MULTILINE))))
    printed = {header.replace("\n", " ") for header in headers()} - {"{}", "-", "batch ", " images/s"}

    assert {"images/s", "+import MiB", "speeds cv %", "test acc %", "of peak", "epochs", "covered"} <= printed
    assert {header for header in printed if header not in explained} == set()
    # Headers that are made of numbers.
    assert {"1t", "b64", "threads 1", "batch 64", "batch 64 images/s", "w 100"} <= explained
    assert set(FORMS.values()) == {"{}t", "b{}", "{}r"}
    assert NETWORKS


@pytest.mark.parametrize("term", TERMS)
def test_glossary_has_the_term(term: str) -> None:
    """With a sentence that ends."""
    found = re.search(rf"^\| (?:<a [^>]+></a>)?`?{re.escape(term)}`? \| (.+) \|$", GLOSSARY, re.MULTILINE)

    assert found
    assert re.search(r"[.:]( |$)", found[1])


@pytest.mark.parametrize("page", sorted(set(PAGES) - BEGIN_OTHERWISE))
def test_page_begins_with_what_you_can_do_after_reading_it(page: str) -> None:
    """In the first paragraph below the title."""
    title, _, text = PAGES[page].partition("\n\n")

    assert title.startswith("# ")
    assert text.startswith("After reading this page you ")


def test_anchors_of_links_are_there() -> None:
    """A link to a heading or a term leads to one, in every page."""
    there = {page: set(re.findall(r'<a id="([^"]+)"', text)) | _headings(text) for page, text in PAGES.items()}
    for page, text in PAGES.items():
        for target in site_pages.LINK.findall(re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)):
            path, mark, anchor = target.partition("#")
            if mark and ":" not in target and (path or page) in PAGES:
                assert anchor in there[path or page], (page, target)


def _headings(text: str) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[\s-]+", "-", re.sub(r"[^\w\s-]", "", title.lower()).strip()) for title in titles}
