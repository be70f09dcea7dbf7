"""The documentation's site: pages made from the code, links, and the built site in a browser."""

from __future__ import annotations

import functools
import http.server
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from harness.commands.cli import whole_tool
from harness.spec import published
from tools import site_links, site_pages

ROOT = Path(__file__).resolve().parents[3]
CHROMIUM = Path("/usr/bin/chromium")
# Pages that are open at a time.
TABS = 6
COMMANDS = dict(site_pages.every_command(whole_tool()))


@pytest.mark.parametrize("name", COMMANDS)
def test_reference_has_every_option(name: str) -> None:
    """Each command has a section with its first sentence, every argument and option, and its examples."""
    section = re.split(rf"^## {name}$", site_pages.commands(), flags=re.MULTILINE)[1].split("\n## ")[0]
    command = COMMANDS[name]

    assert command.help.splitlines()[0] in section
    options = [option for each in command.params if each.param_type_name == "option" for option in each.opts]
    assert [each for each in options if each != "--help" and f"`{each}`" not in section] == []
    arguments = [each for each in command.params if each.param_type_name == "argument"]
    assert all(f"`{each.metavar or each.name.upper()}`" in section for each in arguments)
    examples = re.findall(r"^\s*- `(lenet-bench .+)`", command.help, re.MULTILINE)
    assert examples
    assert all(f"\n{example}\n" in section for example in examples)


def test_reference_has_defaults() -> None:
    """Those that options have, and those that the code works out, which the help has in brackets."""
    text = site_pages.commands()

    assert re.search(r"\| `--preset`.* \| `standard` \| quick, standard or thorough", text)
    assert re.search(r"\| `--seed` `N` \| `0` \|", text)
    assert re.search(r"\| `--budget` `S` \| the preset's, 600 \| Begin no round that would end later\. \|", text)
    assert re.search(r"\| `--backend`, `-b`.* \| must be given \|", text)


def test_published_figures_are_those_of_the_table() -> None:
    """Every figure on the page comes from results/documents.csv or harness/spec/published.py, rounded right."""
    page = site_pages.published_figures()
    rows = pd.read_csv(ROOT / "results" / "documents.csv")

    section = page.split("## folk")[1].split("\n## ")[0]
    accuracies, losses = section.split("Training accuracy, %:")[1].split("Mean training loss:")
    found = rows[(rows["recipe"] == "folk") & (rows["epoch"] == 10)].set_index("backend")
    columns = [cell.strip() for cell in accuracies.strip().splitlines()[0].strip("|").split("|")]
    assert columns == ["epoch", "published", "jax", "mxnet", "paddle", "tensorflow", "torch"]
    wanted = [f"{found.loc[name, 'train_accuracy'] * 100:.2f}" for name in columns[2:]]
    assert f"| 10 | 98.75 | {' | '.join(wanted)} |" in accuracies
    assert f"| 10 | 0.03946 | {found.loc['jax', 'train_loss']:.5f} |" in losses
    gluon = page.split("## gluon")[1].split("\n## ")[0]
    last = rows[(rows["recipe"] == "gluon") & (rows["epoch"] == 100)].set_index("backend")["test_accuracy"]
    assert f"| 100 | 91.12 | {last['mxnet'] * 100:.2f} | {last['torch'] * 100:.2f} |" in gluon
    assert all(f"## {recipe}\n" in page for recipe in published.FIGURES)


def test_links_into_the_repository_become_pages() -> None:
    """From docs/ and from the root: to pages, to files; anchors stay, other sites' links are left alone."""
    text = "[a](../README.md#data) [b](launches.md#x) [c](../harness/protocol.py) [d](https://x.y/z.md) [e](#own)"
    assert site_pages.relinked(text, "docs/method.md") == (
        "[a](index.md#data) [b](launches.md#x) [c](repository/harness/protocol.py.md) [d](https://x.y/z.md) [e](#own)"
    )
    text = "![a](docs/drawn-digits.png) [b](docs/method.md) [c](CONTRIBUTING.md) [d](results/documents.csv)"
    assert site_pages.relinked(text, "README.md") == (
        "![a](drawn-digits.png) [b](method.md) [c](contributing.md) [d](repository/results/documents.csv)"
    )


def test_code_is_left_as_it_is() -> None:
    """What looks like a link within code stays; a link whose text is code is a link."""
    text = "`f[0](x.md)` [`a`](launches.md)\n```python\ny = f[1](z.md)\n```\n[b](../README.md)\n"

    assert site_pages.relinked(text, "docs/method.md") == text.replace("../README.md", "index.md")


def test_links_of_all_pages_lead_somewhere() -> None:
    """Every link of every page is to a page, to a file of docs/, or to a file of the repository."""
    pages = site_pages.made() | site_pages.written()
    there = {*pages, *site_pages.repository_files(pages)}
    there |= {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*")}

    for page, text in pages.items():
        for target in site_pages.LINK.findall(re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)):
            if ":" not in target and not target.startswith("#"):
                assert target.partition("#")[0] in there, (page, target)


def test_tables_in_verdicts_are_of_runs_that_other_pages_have() -> None:
    """Rows that docs/verdicts.md explains are those of docs/measured.md; one more ratio is docs/frameworks.md's."""
    verdicts, measured, frameworks = (
        (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8") for name in ("verdicts", "measured", "frameworks")
    )
    first, second = (block.split("```")[0] for block in verdicts.split("```text\n")[1:])

    rows = [line for line in first.splitlines() if ".." in line]
    assert len(rows) == 4
    assert set(first.splitlines()) <= set(measured.splitlines())
    found = re.findall(r"(\d\.\d{3}) (\d\.\d{3}\.\.\d\.\d{3})", second)
    assert len(found) == 1
    assert f"| {found[0][0]} | {found[0][1]} |" in frameworks


def test_external_links(tmp_path: Path) -> None:
    """A link that is gone is named with its page; one that refuses robots is not gone; without a network, a reason."""
    (tmp_path / "a.html").write_text('<a href="https://x/1#p">1</a> <a href="b.html">b</a> <a href="https://x/2">2</a>')
    (tmp_path / "b.html").write_text('<a href="https://x/1">1</a> <link href="https://x/3">')
    found = site_links.links(tmp_path)
    assert found == {"https://x/1": ["a.html", "b.html"], "https://x/2": ["a.html"]}

    lines, code = site_links.check(found, lambda url: 404 if url.endswith("1") else 403)
    assert (lines[0], code) == ("404  https://x/1  in a.html, b.html", 1)
    assert lines[-1] == "2 links to others, 1 gone or silent."
    assert site_links.check(found, lambda url: 403)[1] == 0
    assert site_links.check(found, lambda url: 200) == (["2 links to others, 0 gone or silent."], 0)
    lines, code = site_links.check(found, lambda url: "ConnectionError")
    assert code == 0
    assert lines[0].startswith("SKIPPED: none of 2 links answers (ConnectionError)")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built strictly by the environment of `nox -s docs`."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    python = Path(os.environ.get("LENET_BENCH_DOCS_PYTHON", ROOT / ".nox" / version / "docs" / "bin" / "python"))
    if not python.exists():
        pytest.skip(f"{python} is not there: nox -s docs makes it")
    folder = tmp_path_factory.mktemp("site")
    command = [str(python), "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(
        command,
        cwd=ROOT,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT), "NO_MKDOCS_2_WARNING": "1"},
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    """Of a server that has the site."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(site))) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_pages_in_a_browser(site: Path, address: str) -> None:
    """No page is wider than a phone, asks others for anything or has an error; search finds; dark is one click away."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed here")
    if not CHROMIUM.exists():
        pytest.skip(f"{CHROMIUM} is not there: apt-get install chromium")
    trouble: list[str] = []
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        phone = browser.new_context(viewport={"width": 375, "height": 800}, color_scheme="light")
        phone.on("console", lambda message: trouble.append(message.text) if message.type == "error" else None)
        phone.on("weberror", lambda error: trouble.append(str(error.error)))
        phone.on("request", lambda request: None if request.url.startswith(address) else trouble.append(request.url))
        files = [file for file in sorted(site.glob("*.html")) if file.name != "404.html"]
        # Until a page is idle takes half a second at the least: several are, at a time.
        for first in range(0, len(files), TABS):
            opened = [(phone.new_page(), file) for file in files[first : first + TABS]]
            for page, file in opened:
                page.goto(f"{address}/{file.name}", wait_until="commit")
            for page, file in opened:
                page.wait_for_load_state("networkidle")
                wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
                if wide > 0:
                    trouble.append(f"{file.name} is {wide} pixels wider than a phone")
                page.close()
        page = phone.new_page()
        page.set_viewport_size({"width": 1280, "height": 900})
        page.goto(f"{address}/index.html")
        before = page.evaluate("getComputedStyle(document.body).backgroundColor")
        page.get_by_title("Dark", exact=True).click()
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") != before
        page.get_by_role("textbox", name="Search").click()
        page.keyboard.type("cannot tell", delay=20)
        page.locator(".md-search-result__link[href*='verdicts.html']").first.wait_for()
        browser.close()

    assert trouble == []
