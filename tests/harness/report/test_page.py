"""The report's page, without a browser: what it shows, what it refuses, and that every text in it is text."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from harness.errors import InputError
from harness.report import page
from harness.report.export import find_browser, parse_formats
from harness.report.facts import versions
from harness.report.reading import read_report
from harness.results.folder import RunFolder, read_table, write_table
from harness.results.schema import LAUNCHES
from tests.harness.report_helpers import Call, Parsed, caller, change
from tests.harness.synthetic_run import write_run

ROOT = Path(__file__).parents[3]
EVIL = "</script><script>alert(1)</script>"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of six entrants, with all that a report can show."""
    folder = tmp_path_factory.mktemp("results") / "all"
    return write_run(folder, entrants=3, rounds=5, epochs=3, seeds=3, until=0.983, threads=(1, 2), spread=0.01)


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Return a function that calls the command line in this process."""
    return caller(monkeypatch, capsys)


def render(path: Path) -> Parsed:
    return Parsed(page.render(read_report(path)))


def test_page_has_the_results(run: Path) -> None:
    """Name, warnings, fastest first, intervals, verdicts, and a section for each thing that was measured."""
    summary = RunFolder(run).read("summary")
    parsed = render(run)

    fastest = summary.iloc[0]
    assert fastest["backend"] == "tensorflow"
    assert "LeNet-5 on MNIST: training speed of 3 frameworks On the CPU, float32, batches of 64." in parsed.words
    speed = f"{fastest['train_images_per_s']:,.0f}"
    assert f"TensorFlow (graph, 2 threads) trains fastest, {speed} images/s;" in parsed.words
    table = parsed.words[parsed.words.index("framework (mode)") :]
    order = [table.index(f" {value:,.0f} ") for value in summary["train_images_per_s"]]
    assert order == sorted(order)
    for verdict in summary["verdict"].dropna():
        assert verdict in parsed.words
    assert "HAS NOT ENDED" not in parsed.words
    drawn = {"throughput", "ratios", "rounds", "accuracy-epochs", "loss-epochs", "accuracy-seconds",
             "time-to-target", "launch", "latency", "inference", "scaling-threads", "memory"}  # fmt: skip
    assert (
        set(parsed.data["figures"])
        == drawn
        == {each["data-figure"] for each in parsed.of("div") if "data-figure" in each}
    )
    for section in ("verification", "machine", "again"):
        assert section in {each.get("id") for each in parsed.of("section")}


def test_page_says_what_held_launches_back(tmp_path: Path) -> None:
    """A quota, and other runs on the machine, stand above all figures."""
    folder = write_run(tmp_path / "run", entrants=2, rounds=4)
    assert "CPU QUOTA" not in render(folder).words

    def hold(frame: pd.DataFrame) -> None:
        frame["cpu_quota"], frame["throttled_share"], frame["other_runs"] = 0.25, 0.99, 1

    change(folder / "launches.csv", hold)

    words = render(folder).words
    assert "CPU QUOTA: the cgroup of 8 of 8 launches allows 0.25 CPUs; throttled in 99% of its periods" in words
    assert "NOT ALONE" in words


def test_page_says_which_ratios_are_not_paired(tmp_path: Path) -> None:
    """Where a run went on anew, its old entrants and its new ones share no round."""
    folder = write_run(tmp_path / "run", entrants=2, rounds=8)
    assert "are not paired with it" not in render(folder).words
    for table in ("launches", "blocks", "inference", "latency", "epochs"):
        path = folder / f"{table}.csv"
        if path.exists():
            rows = pd.read_csv(path, dtype="string", keep_default_na=False)
            first = rows["backend"] == rows["backend"].iloc[0]
            write_table(path, rows[first == (rows["round"].astype(int) <= 4)])

    assert "Entrants that share no round with the base are not paired with it" in render(folder).words


@pytest.mark.parametrize(
    ("epochs", "told"),
    [(0, "2 entrants, 3 rounds, 6 launches."), (1, "2 entrants, 3 rounds, 6 launches, 4 trainings from 2 seeds.")],
)
def test_trainings_are_no_rounds(tmp_path: Path, epochs: int, told: str) -> None:
    """They follow all that is timed, and are told apart from it."""
    folder = write_run(tmp_path / "run", entrants=2, rounds=3, epochs=epochs, seeds=2)

    assert told in render(folder).words


def test_versions_have_their_own_interpreters(tmp_path: Path) -> None:
    """Two versions of one framework are two rows, each with the Python that ran it."""
    folder = write_run(tmp_path / "run", entrants=2, rounds=4)
    paths = {"torch==2.12.1": "/old/python", "torch==2.13.0": "/new/python", "tensorflow": "/tf/python"}
    environment = RunFolder(folder).read_environment() | {"interpreters": paths}
    RunFolder(folder).write_environment(environment)

    def ask(frame: pd.DataFrame) -> None:
        odd = frame["round"].astype(int) % 2 == 1
        frame.loc[frame["backend"] == "torch", "framework_version"] = np.where(odd, "2.12.1", "2.13.0")[
            frame["backend"] == "torch"
        ]
        frame.loc[frame["backend"] == "torch", "variant"] = frame["framework_version"]

    change(folder / "launches.csv", ask)
    rows = [[cell.text for cell in row.cells] for row in versions(read_report(folder)).rows]

    assert {(row[1], row[-1]) for row in rows} == {
        ("2.12.1", "/old/python"), ("2.13.0", "/new/python"), ("2.21.0", "/tf/python"),
    }  # fmt: skip


def test_page_asks_for_nothing(run: Path) -> None:
    """No address in it but anchors and data, and a policy that forbids requests and runs these scripts alone."""
    parsed = render(run)

    for _, attributes in parsed.tags:
        for name in ("src", "href", "action", "srcset", "data"):
            assert attributes.get(name, "#").startswith(("#", "data:"))
    policy = next(each["content"] for each in parsed.of("meta") if each.get("http-equiv") == "Content-Security-Policy")
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert "connect-src" not in rules
    assert rules["img-src"] == "data: blob:"
    digests = [base64.b64encode(hashlib.sha256(each.encode()).digest()).decode() for each in parsed.scripts[1:]]
    assert rules["script-src"].split() == [f"'sha256-{digest}'" for digest in digests]
    assert len(digests) == 2
    assert "@import" not in (ROOT / "harness/report/style.css").read_text()
    assert "url(" not in (ROOT / "harness/report/style.css").read_text()


def test_names_are_text(tmp_path: Path) -> None:
    """Names with HTML in them, in tables, labels, options and JSON, are shown and do nothing."""
    folder = write_run(tmp_path / "run", entrants=2, rounds=4, epochs=1)

    def edit(frame: pd.DataFrame) -> None:
        frame["run"] = EVIL
        frame["variant"] = '"><img src=x onerror=alert(2)>'

    for name in ("launches", "epochs", "inference"):
        change(folder / f"{name}.csv", edit)
    change(folder / "launches.csv", lambda frame: frame.__setitem__("compiler", EVIL))
    environment = RunFolder(folder).read_environment()
    environment["machine"] |= {"<b>host</b>": EVIL}
    environment["packages"] = {"torch": [EVIL]}
    RunFolder(folder).write_environment(environment)

    clean, parsed = render(write_run(tmp_path / "clean", entrants=2, rounds=4, epochs=1)), render(folder)

    assert len(parsed.of("script")) == len(clean.of("script")) == 3
    assert not parsed.of("img")
    assert not parsed.of("b")
    assert parsed.words.count(EVIL) >= 4
    assert "<img src=x" in parsed.data["entrants"][0]["label"]
    # Plotly takes some tags for its own.
    assert all(
        "&lt;img" in label for label in parsed.data["figures"]["throughput"]["layout"]["meta"]["labels"].values()
    )


@pytest.mark.parametrize("text", ["</script>", "<!--<script>", "a & b", "\u2028"])
def test_json_stands_in_a_script(text: str) -> None:
    """It has none of the characters that would end the element, and is read as what it was."""
    dumped = page.as_json({"name": text})

    assert not set(dumped) & {"<", ">", "&", "\u2028"}
    assert json.loads(dumped) == {"name": text}


@pytest.mark.parametrize(
    ("options", "sentences"),
    [
        ({"entrants": 1, "rounds": 1, "epochs": 0},
         ["give --rounds 5", "name several with --backend", "give --epochs 5", "give --until 98.5",
          "give --batch-size 32,64,256", "give --threads 1,2"]),
        ({"entrants": 2, "rounds": 4, "epochs": 1, "seeds": 1}, ["give --seeds 5"]),
        ({"entrants": 2, "rounds": 2, "epochs": 2, "seeds": 2, "timing": False},
         ["`lenet-bench run` times", "it has accuracies alone", "run of `lenet-bench gate`"]),
    ],
)  # fmt: skip
def test_what_is_not_there_is_said(tmp_path: Path, options: dict[str, Any], sentences: list[str]) -> None:
    """A section without data has a sentence that says why, and how to get it."""
    parsed = render(write_run(tmp_path / "run", **options))

    for sentence in sentences:
        assert sentence in parsed.words


def test_run_that_has_not_ended(tmp_path: Path, call: Call) -> None:
    """The report is of the launches that there are and says so, on the page and on the terminal."""
    folder = write_run(tmp_path / "run", entrants=2, rounds=4, ended=False)

    code, out, _ = call("report", folder)

    assert code == 0
    assert "has not ended: the report is of the 6 launches" in out
    words = Parsed((folder / "report.html").read_text()).words
    assert "THIS RUN HAS NOT ENDED: made from the 6 launches" in words
    assert "--resume" in words


def test_resumed_run_has_not_ended(tmp_path: Path) -> None:
    """An old summary.csv beside new launches does not pass for the end."""
    folder = write_run(tmp_path / "run", entrants=2, rounds=4)
    longer = write_run(tmp_path / "other" / "run", entrants=2, rounds=5)
    (folder / "launches.csv").write_bytes((longer / "launches.csv").read_bytes())

    assert not read_report(folder).ended
    assert read_report(longer).ended


def test_failed_unverified_unsteady(tmp_path: Path) -> None:
    """What must be known before any figure is read stands above them; an entrant that failed is in the table."""
    folder = write_run(tmp_path / "run", entrants=3, rounds=4, epochs=0)

    def edit(frame: pd.DataFrame) -> None:
        frame["verified"] = "False"
        frame.loc[frame.index[:5], "steady"] = "False"
        frame.loc[frame["backend"] == "jax", ["status", "error", "train_images_per_s"]] = [
            "failed",
            "out of <memory>",
            "",
        ]

    change(folder / "launches.csv", edit)
    parsed = render(folder)

    assert "4 launches failed" in parsed.words
    assert "out of <memory>" in parsed.words
    assert "NOT VERIFIED" in parsed.words
    assert "never became steady" in parsed.words
    assert [entrant["verdict"] for entrant in parsed.data["entrants"]] == ["base", "slower", "not timed"]
    assert re.search(r"JAX \(jit\) . . . . failed", parsed.words.replace("–", "."))  # noqa: RUF001


def test_output(tmp_path: Path, run: Path, call: Call) -> None:
    """Written where it is wanted, over an older report, over nothing else; and not into a folder that is not there."""
    target, foreign = tmp_path / "of.html", tmp_path / "thesis.html"
    foreign.write_text("<!doctype html><title>My thesis</title>")

    assert call("report", run, "--output", target)[0] == 0
    first = target.read_bytes()
    assert call("report", run, "--output", target) == (0, f"Wrote {target}", "")
    assert target.read_bytes() == first
    code, _, err = call("report", run, "--output", foreign)
    assert (code, foreign.read_text()) == (2, "<!doctype html><title>My thesis</title>")
    assert "is not a report of lenet-bench; it was left alone" in err
    assert call("report", run, "--output", tmp_path)[0] == 2
    assert call("report", run, "--output", tmp_path / "nowhere" / "a.html")[0] == 2


def test_base(run: Path, call: Call, tmp_path: Path) -> None:
    """Another base, and a sentence for one that is not there."""
    assert call("report", run, "--output", tmp_path / "a.html", "--base", "jax jit 2t")[0] == 0
    assert "Compared with JAX (jit, 2 threads): TensorFlow" in Parsed((tmp_path / "a.html").read_text()).words
    code, _, err = call("report", run, "--output", tmp_path / "b.html", "--base", "jaxx")
    assert code == 2
    assert "There is no base 'jaxx'" in err
    assert not (tmp_path / "b.html").exists()


@pytest.mark.parametrize(
    ("path", "message"),
    [("/nowhere/chromium", "which is no program"), ("", "none was found.*apt-get install chromium")],
)
def test_figures_need_a_browser(monkeypatch: pytest.MonkeyPatch, path: str, message: str) -> None:
    """Without one a sentence says what to install, or what to set."""
    monkeypatch.setenv("BROWSER_PATH", path)
    monkeypatch.setenv("PATH", "/nowhere")

    with pytest.raises(InputError, match=message):
        find_browser()


def test_figures_need_kaleido_and_a_known_format(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both are known before anything is written."""
    assert parse_formats("svg, png,svg") == ["svg", "png"]
    with pytest.raises(InputError, match=r"no format of figures 'gif'.*pdf, png, svg"):
        parse_formats("svg,gif")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"lenet-bench\[figures\]"):
        find_browser()


def test_no_browser_no_report(run: Path, tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was asked for together is refused together."""
    monkeypatch.setenv("BROWSER_PATH", "/nowhere/chromium")

    code, _, err = call("report", run, "--output", tmp_path / "a.html", "--figures", tmp_path / "figures")

    assert code == 2
    assert "/nowhere/chromium" in err
    assert list(tmp_path.iterdir()) == []


def test_large_run_is_small(tmp_path: Path, session_environment: dict[str, str]) -> None:
    """30 entrants and 20 rounds: a page under 6 MB, made with under 500 MB of memory."""
    folder = write_run(tmp_path / "run", entrants=30, rounds=20, epochs=5)

    # VmHWM is of the program that runs; ru_maxrss also of the one that was forked for it, which is this one.
    code = (
        "import re, sys; from pathlib import Path; from harness.commands.cli import app\n"
        "app(sys.argv[1:], standalone_mode=False)\n"
        "print(re.search(r'VmHWM:\\s+(\\d+) kB', Path('/proc/self/status').read_text()).group(1))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "report", str(folder)], env=session_environment, capture_output=True, text=True,
        check=True,
    )  # fmt: skip

    assert (folder / "report.html").stat().st_size < 6_000_000
    assert int(done.stdout.split()[-1]) * 1024 < 500_000_000


def test_what_cannot_be_seen_is_shown(tmp_path: Path) -> None:
    """Marks that turn the direction of text, and escapes, in names and errors: nowhere in the page but as escapes."""
    folder = write_run(tmp_path / "run", entrants=2, rounds=4)
    path = folder / "launches.csv"
    rows = read_table(path, LAUNCHES)
    hostile = "a\u202eb\u2066\x1b[31m\ufeff"
    rows["run"] = hostile
    rows["variant"] = rows["variant"].fillna("") + hostile
    rows.loc[0, ["status", "error"]] = ["failed", f"no: {hostile}"]
    write_table(path, rows)

    written = page.render(read_report(folder))

    ours, _, _ = written.partition("<script")
    for each in ("\u202e", "\u2066", "\x1b", "\ufeff"):
        assert each not in ours
    assert r"a\u202eb\u2066\x1b[31m\ufeff" in ours
    # In a script's data the backslash is one more time escaped.
    assert r"a\\u202eb" in written
