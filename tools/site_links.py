"""Ask every page of the web that the built site links to whether it is still there: python tools/site_links.py site

Exit code 1 where one is gone; 0 and a sentence where there is no network. Pages that answer that they want no robots
are listed and count as there.
"""

from __future__ import annotations

import html.parser
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import requests

TIMEOUT_S = 20
GONE = (404, 410)
AT_ONCE = 8
AGENT = "Mozilla/5.0 (lenet-bench, link check of its documentation)"


class _Links(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        target = dict(attrs).get("href") or ""
        if tag == "a" and target.startswith(("http://", "https://")):
            self.found.append(target.partition("#")[0])


def links(site: Path) -> dict[str, list[str]]:
    """Link to others -> the pages that have it."""
    found: dict[str, list[str]] = {}
    for page in sorted(site.rglob("*.html")):
        parser = _Links()
        parser.feed(page.read_text(encoding="utf-8"))
        for target in dict.fromkeys(parser.found):
            found.setdefault(target, []).append(page.relative_to(site).as_posix())
    return found


def answer(url: str) -> int | str:
    """The status that a page answers with, or why there is none."""
    try:
        with requests.get(url, timeout=TIMEOUT_S, headers={"User-Agent": AGENT}, stream=True) as response:
            return response.status_code
    except requests.RequestException as error:
        return type(error).__name__


def check(found: dict[str, list[str]], ask: Callable[[str], int | str] = answer) -> tuple[list[str], int]:
    """Ask for all of them.

    Returns:
        lines to print, and the exit code.
    """
    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = dict(zip(found, pool.map(ask, found), strict=True))
    if answers and all(isinstance(each, str) for each in answers.values()):
        reasons = ", ".join(sorted(set(map(str, answers.values()))))
        return [
            f"SKIPPED: none of {len(found)} links answers ({reasons}): no network here. Nothing is known of them."
        ], 0
    lines = [f"{status}  {url}  in {', '.join(found[url])}" for url, status in answers.items() if status != 200]
    gone = [url for url, status in answers.items() if status in GONE or isinstance(status, str)]
    return [*lines, f"{len(found)} links to others, {len(gone)} gone or silent."], int(bool(gone))


def main(arguments: Iterable[str]) -> int:
    """Check the site in a folder."""
    (folder,) = arguments
    found = links(Path(folder))
    if not found:
        print(f"{folder} has no page with a link to others. Build it first: nox -s docs")
        return 1
    lines, code = check(found)
    print("\n".join(lines))
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
