"""The pages of the documentation's site that are made from the code and from other files of the repository.

Made at every build, so that they cannot be out of date; tools/site_hooks.py hands them to MkDocs. This module needs no
MkDocs, so that the tests of the harness can read the pages.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from harness.commands.cli import whole_tool
from harness.spec import published
from harness.spec.networks import NETWORKS
from harness.spec.recipes import RECIPES

ROOT = Path(__file__).resolve().parent.parent
# Files of the repository that are pages of the site.
PAGES = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
# Where other files that pages link to go.
REPOSITORY = "repository"
LINK = re.compile(r"(?<=\])\(([^()\s]+)\)")
# What looks like a link in there is none.
CODE = re.compile(r"(^```.*?^```|`[^`\n]*`)", re.MULTILINE | re.DOTALL)
# Every tenth epoch of a training longer than this.
LONG = 20
COMMANDS_INTRO = """# Commands

After reading this page you know every option of every command. `lenet-bench COMMAND --help` says the same: the page is
made from the command line itself. [Commands at a glance](at-a-glance.md) has the commands that people use most, and
the exit codes.
"""
PUBLISHED_INTRO = f"""# Published figures beside ours

After reading this page you can say how close five frameworks come to the accuracies and losses that tutorials print.

The five source documents describe LeNets. Three of their trainings can be repeated, and for two of these the
documents print figures. `lenet-bench reproduce RECIPE` repeats a training, with the same initialiser, optimizer, loss
and batches in every framework. This page is made at build time from `harness/spec/published.py` and
[results/documents.csv]({REPOSITORY}/results/documents.csv) (float32, one thread).

The documents also print seconds an epoch (folk 17.87 to 23.81, gluon 21.50), but they do not name the machine. Our
times were taken with other jobs on the machine. So times are not compared. [Recipes](recipes.md#published-and-measured)
explains the differences in the tables.
"""


def of_repository(file: str) -> str:
    """A Markdown file at the repository's root, one of `PAGES`."""
    return relinked((ROOT / file).read_text(encoding="utf-8"), file)


def relinked(text: str, source: str) -> str:
    """A Markdown file with its links as they must be in the site.

    Args:
        source: its path in the repository, against which its links are read.
    """
    page = _page_of(source)

    def replace(found: re.Match[str]) -> str:
        target, mark, anchor = found[1].partition("#")
        if not target or ":" in target:
            return found[0]
        path = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
        return f"({posixpath.relpath(_page_of(path), posixpath.dirname(page) or '.')}{mark}{anchor})"

    # Behind every text comes the code that it was split at. The text of a link may be code; its target follows.
    parts = CODE.split(text)
    parts[::2] = [LINK.sub(replace, part) for part in parts[::2]]
    return "".join(parts)


def _page_of(path: str) -> str:
    if path in PAGES:
        return PAGES[path]
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    if path.endswith(".py"):
        path += ".md"
    return f"{REPOSITORY}/{path}"


def repository_files(texts: dict[str, str]) -> dict[str, str]:
    """The repository's files that pages link to: page of the site -> file.

    Args:
        texts: page -> its text, already relinked.
    """
    found = {}
    for page, text in texts.items():
        for target in LINK.findall(text):
            path = posixpath.normpath(posixpath.join(posixpath.dirname(page), target.partition("#")[0]))
            if path.startswith(f"{REPOSITORY}/"):
                found[path] = path.removeprefix(f"{REPOSITORY}/").removesuffix(".md")
    return {page: file for page, file in found.items() if (ROOT / file).is_file()}


def source_page(file: str) -> str:
    """A Python file as a page."""
    return f"# {file}\n\n```python\n{(ROOT / file).read_text(encoding='utf-8')}```\n"


def commands() -> str:
    """Each command with its words, arguments, options, defaults and examples, from the command line itself."""
    parts = [COMMANDS_INTRO]
    commands_of = dict(every_command(whole_tool()))
    rows = [
        f"| [`{name}`](#{name.replace(' ', '-')}) | {_first(command.help)} |" for name, command in commands_of.items()
    ]
    parts.append("\n".join(["| command | |", "| --- | --- |", *rows]) + "\n")
    for name, command in commands_of.items():
        parts.append("\n".join(_command(name, command)))
    return "\n".join(parts)


def every_command(group: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Commands with their names, and those of groups with the group's before: `baseline update`."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from every_command(command, f"{prefix}{name} ")
        else:
            yield f"{prefix}{name}", command


def _first(help_text: str | None) -> str:
    """The first sentence of a help text."""
    return re.split(r"(?<=\.)\s|: ", " ".join((help_text or "").split()))[0].rstrip(".")


def _command(name: str, command: Any) -> Iterator[str]:
    yield f"## {name}\n"
    words, _, examples = (command.help or "").partition("Examples:")
    arguments = [each for each in command.params if each.param_type_name == "argument"]
    shown = "".join(f" {_metavar(each)}" for each in arguments)
    yield f"```sh\nlenet-bench {name}{shown} [OPTIONS]\n```\n"
    yield words.strip() + "\n"
    options = [each for each in command.params if each.param_type_name == "option" and each.name != "help"]
    if arguments:
        rows = [f"| `{_metavar(each)}` | {_cell(each.help)} |" for each in arguments]
        yield "\n".join(["| argument | meaning |", "| --- | --- |", *rows]) + "\n"
    if options:
        rows = [_option(each) for each in options]
        yield "\n".join(["| option | default | meaning |", "| --- | --- | --- |", *rows]) + "\n"
    lines = re.findall(r"^\s*- `(.+)`", examples, re.MULTILINE)
    if lines:
        yield "```sh\n" + "\n".join(lines) + "\n```\n"
    if name == "history":
        yield "Columns of `--format csv` and `json`: [result files](results.md#lenet-bench-history-format-csv).\n"


def _metavar(argument: Any) -> str:
    return str(argument.metavar or argument.name.upper())


def _option(option: Any) -> str:
    names = ", ".join(f"`{each}`" for each in (*option.opts, *option.secondary_opts))
    value = "" if option.is_flag else f" `{option.metavar or option.opts[0].lstrip('-').upper()}`"
    # Where the code works a default out, the help says it in brackets.
    text, _, said = (option.help or "").partition("[default: ")
    known = "" if option.is_flag or option.default in (None, "") else f"`{option.default}`"
    default = said.rstrip("] ") if said else known
    if option.required:
        default = "must be given"
    return f"| {names}{value} | {_cell(default)} | {_cell(text)} |"


def _cell(text: Any) -> str:
    return " ".join(str(text or "").split()).replace("|", "\\|").replace("<", "&lt;")


def published_figures() -> str:
    """What the source documents print, beside results/documents.csv."""
    rows = pd.read_csv(ROOT / "results" / "documents.csv")
    parts = [PUBLISHED_INTRO, "## Networks\n", _networks()]
    for recipe in published.FIGURES:
        mine = rows[rows["recipe"] == recipe]
        parts.append(f"## {recipe}\n")
        parts.append(_about(recipe, mine))
        for measured, printed, title, form in (
            ("train_accuracy", "published_train_accuracy", "Training accuracy, %", "percent"),
            ("train_loss", "published_loss", "Mean training loss", "loss"),
            ("test_accuracy", "published_test_accuracy", "Test accuracy, %", "percent"),
        ):
            if mine[measured].notna().any():
                parts.append(f"{title}:\n\n{_epochs(mine, measured, printed, form)}\n")
    return "\n".join(parts)


def _networks() -> str:
    lines = ["| network | parameters | input | from |", "| --- | --- | --- | --- |"]
    for network in NETWORKS.values():
        shape = " x ".join(map(str, network.input_shape))
        lines.append(f"| `{network.name}` | {network.parameters:,} | {shape} | {_cell(network.source)} |")
    return "\n".join(lines) + "\n"


def _about(recipe: str, rows: pd.DataFrame) -> str:
    found, first = RECIPES[recipe], rows.iloc[0]
    versions = rows.drop_duplicates("backend").sort_values("backend")
    names = ", ".join(f"{row['backend']} {row['framework_version']}" for _, row in versions.iterrows())
    figures = published.FIGURES[recipe]
    printed = "prints no figures" if not figures else f"used {published.FRAMEWORKS[recipe]}"
    return (
        f"`{found.network}` on {found.data_set}, batch {found.batch_size}; the document {printed}. "
        f"Measured with {names}; {first['machine']}; seed {first['seed']}.\n"
    )


def _epochs(rows: pd.DataFrame, measured: str, printed: str, form: str) -> str:
    table = rows.pivot_table(index="epoch", columns="backend", values=measured)
    known = rows.groupby("epoch")[printed].first()
    shown = [epoch for epoch in table.index if len(table) <= LONG or epoch == 1 or epoch % 10 == 0]
    lines = [f"| epoch | published | {' | '.join(table.columns)} |", "| --: " * (2 + len(table.columns)) + "|"]
    for epoch in shown:
        cells = [_figure(value, form) for value in (known[epoch], *table.loc[epoch])]
        lines.append(f"| {epoch} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _figure(value: float, form: str) -> str:
    if pd.isna(value):
        return "-"
    return f"{value * 100:.2f}" if form == "percent" else f"{value:.5f}"


def made() -> dict[str, str]:
    """All pages that no file under docs/ holds: page -> its text."""
    return {
        **{page: of_repository(file) for file, page in PAGES.items()},
        "commands.md": commands(),
        "published.md": published_figures(),
    }


def written() -> dict[str, str]:
    """The pages under docs/, relinked: page -> its text."""
    folder = ROOT / "docs"
    files = sorted(folder.rglob("*.md"))
    names = [file.relative_to(folder).as_posix().replace(os.sep, "/") for file in files]
    return {
        name: relinked(file.read_text(encoding="utf-8"), f"docs/{name}")
        for name, file in zip(names, files, strict=True)
    }
