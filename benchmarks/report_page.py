"""How long the report of a big run takes, to be made and to be of use, on this machine. By hand, when it is idle:

    python -m benchmarks.report_page [ENTRANTS ROUNDS]

Makes up a run, 30 entrants and 20 rounds unless told otherwise; then `lenet-bench compare` and `lenet-bench report` as
processes; then opens the page in headless Chromium (BROWSER_PATH, or /usr/bin/chromium) three times.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from tests.harness.synthetic_run import write_run


def process(*arguments: str) -> str:
    """Run a command of the tool: seconds on the clock, of CPU, and its largest resident set."""
    start = time.perf_counter()
    child = subprocess.Popen([sys.executable, "-m", "harness", *arguments], stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(child.pid, 0)
    wall = time.perf_counter() - start
    if status:
        raise SystemExit(f"{' '.join(arguments)} failed.")
    return f"{wall:.2f} s ({used.ru_utime + used.ru_stime:.2f} s of CPU), {used.ru_maxrss / 1024:.0f} MiB"


def visit(browser: Browser, path: Path) -> str:
    """Open the page: seconds until DOMContentLoaded, until the first figure, and of a filter with all it redraws."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    tab = context.new_page()
    tab.goto(path.as_uri(), wait_until="domcontentloaded")
    tab.wait_for_selector("html[data-drawn]", state="attached")
    loaded = tab.evaluate("performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd")
    drawn = tab.evaluate("performance.getEntriesByName('first figure')[0].startTime")
    tab.locator(".plot").first.scroll_into_view_if_needed()
    tab.wait_for_timeout(500)  # until the browser has told the page what is in sight
    filtered = tab.evaluate("""() => {
        const start = performance.now();
        const box = document.querySelector("#filter input[type=checkbox]");
        box.click();
        return performance.now() - start;
    }""")
    context.close()
    return f"DOMContentLoaded {loaded / 1e3:.2f} s, first figure {drawn / 1e3:.2f} s, filter {filtered / 1e3:.3f} s"


def main() -> None:
    """Measure and print."""
    entrants, rounds = (int(value) for value in sys.argv[1:3]) if len(sys.argv) > 2 else (30, 20)
    with tempfile.TemporaryDirectory() as scratch:
        folder = write_run(Path(scratch) / "run", entrants=entrants, rounds=rounds, epochs=5)
        page = folder / "report.html"
        print(f"{entrants} entrants, {rounds} rounds; load of the machine {os.getloadavg()[0]:.1f}")
        print(f"compare: {process('compare', str(folder))}")
        print(f"report:  {process('report', str(folder))}, {page.stat().st_size / 1e6:.2f} MB")
        with sync_playwright() as started:
            browser = started.chromium.launch(
                executable_path=os.environ.get("BROWSER_PATH", "/usr/bin/chromium"), args=["--no-sandbox"]
            )
            for _ in range(3):
                print(f"browser: {visit(browser, page)}")
            browser.close()


if __name__ == "__main__":
    main()
