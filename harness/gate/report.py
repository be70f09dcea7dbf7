"""The gate's verdicts for machines that show them: Markdown for GitHub, JUnit XML for everything else."""

from __future__ import annotations

import contextlib
import datetime
import os
import re
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from xml.etree import ElementTree

from harness.errors import InputError, LenetBenchError
from harness.files import write_text_atomically
from harness.gate.verdicts import CANNOT_TELL, FAILED, NO_RESULT, PASSED, Verdict, worst
from harness.runs.privacy import hide
from harness.tables.markdown import plain

MARKS = {PASSED: "✅ passed", CANNOT_TELL: "⚠️ cannot tell", NO_RESULT: "❌ no result", FAILED: "❌ **FAILED**"}
SUITES = "lenet-bench gate"
# Characters that XML 1.0 does not have (https://www.w3.org/TR/xml/#charsets).
NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def check_reports(*paths: Path | None) -> None:
    """Refuse a report that could not be written after all that has been measured for it.

    Raises:
        InputError: there is no such folder, or it or the file may not be written.
    """
    for path in paths:
        if path is None:
            continue
        if not path.parent.is_dir() or path.is_dir():
            raise InputError(f"Cannot write {path}: {'a folder' if path.is_dir() else 'no such folder'}.")
        if not os.access(path if path.exists() else path.parent, os.W_OK):
            raise InputError(f"Cannot write {path}: it may not be written to. Give another file.")


def forget_reports(arguments: Sequence[str]) -> None:
    """Remove the JUnit report of an earlier gate, before anything can go wrong with this one.

    Args:
        arguments: of the command line, not yet understood: what is wrong with them must not leave an old report either.
    """
    if arguments[:1] != ["gate"] or "--help" in arguments:
        return
    pairs = zip(arguments, [*arguments[1:], ""])
    for path in (b if a == "--junit" else a.removeprefix("--junit=") for a, b in pairs if a.startswith("--junit")):
        # Nobody else's file.
        with contextlib.suppress(OSError, ValueError):
            if SUITES.encode() in Path(path).read_bytes()[:200]:
                Path(path).unlink()


@contextlib.contextmanager
def telling(summary: Path | None, junit: Path | None) -> Iterator[None]:
    """Where what is within cannot be done, the reports say so."""
    start = time.monotonic()
    try:
        yield
    except BaseException as error:
        words = "Interrupted." if isinstance(error, KeyboardInterrupt) else f"{type(error).__name__}: {error}"
        verdicts = [Verdict("gate", "gate", NO_RESULT, "the gate could not be run", words)]
        with contextlib.suppress(LenetBenchError):
            if summary:
                append_markdown(summary, verdicts, [])
            if junit:
                write_junit(junit, verdicts, [], strict=False, seconds=time.monotonic() - start)
        raise


def markdown(verdicts: Sequence[Verdict], notes: Sequence[str]) -> str:
    """GitHub-flavoured Markdown: a heading with the worst verdict, a row a backend and kind, the notes."""
    rows = [
        f"| {MARKS[each.status]} | {plain(each.backend)} | {plain(hide(each.words))} | {plain(hide(each.details))} |"
        for each in verdicts
    ]
    table = ["| verdict | backend | measured | |", "| --- | --- | --- | --- |", *rows]
    listed = [f"- {plain(hide(note))}" for note in notes]
    return "\n".join([f"## lenet-bench gate: {MARKS[worst(verdicts)]}", "", *table, "", *listed, ""])


def append_markdown(path: Path, verdicts: Sequence[Verdict], notes: Sequence[str]) -> None:
    """Add the Markdown to the end of a file, as GitHub's own steps do with $GITHUB_STEP_SUMMARY.

    Raises:
        InputError: it cannot be written.
    """
    try:
        with path.open("a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(markdown(verdicts, notes) + "\n")
    except OSError as error:
        raise InputError(f"Cannot write {path}: {error.strerror}.") from None


def junit(verdicts: Sequence[Verdict], notes: Sequence[str], *, strict: bool, seconds: float) -> str:
    """JUnit XML: one suite, a case a backend and kind; `cannot tell` is skipped, with --strict a failure.

    Elements and attributes are those of https://github.com/jenkinsci/xunit-plugin (junit-10.xsd), in its order.

    Args:
        seconds: that the whole gate took.
    """
    statuses = [FAILED if strict and each.status == CANNOT_TELL else each.status for each in verdicts]
    counts = {
        "tests": str(len(verdicts)), "failures": str(statuses.count(FAILED)), "errors": str(statuses.count(NO_RESULT)),
        "time": f"{seconds:.3f}",
    }  # fmt: skip
    root = ElementTree.Element("testsuites", {"name": SUITES} | counts)
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S")
    more = {"skipped": str(statuses.count(CANNOT_TELL)), "timestamp": now}
    suite = ElementTree.SubElement(root, "testsuite", {"name": "gate"} | counts | more)
    tags = {FAILED: "failure", NO_RESULT: "error", CANNOT_TELL: "skipped"}
    for each, status in zip(verdicts, statuses):
        case = ElementTree.SubElement(
            suite, "testcase", {"classname": f"gate.{_xml(each.kind)}", "name": _xml(each.backend)}
        )
        if status in tags:
            told = {"message": _xml(each.words)} | ({} if status == CANNOT_TELL else {"type": status.replace(" ", "-")})
            ElementTree.SubElement(case, tags[status], told).text = _xml(each.details)
        else:
            ElementTree.SubElement(case, "system-out").text = _xml(f"{each.words}\n{each.details}")
    ElementTree.SubElement(suite, "system-out").text = _xml("\n".join(notes))
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=False)


def write_junit(path: Path, verdicts: Sequence[Verdict], notes: Sequence[str], *, strict: bool, seconds: float) -> None:
    """Write the JUnit XML, in the place of an older one.

    Raises:
        InputError: it cannot be written.
    """
    text = junit(verdicts, notes, strict=strict, seconds=seconds)
    write_text_atomically(path, f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n')


def _xml(text: str) -> str:
    # These reports lie on servers: what a worker said of folders and hosts is not for them.
    return NOT_XML.sub("\ufffd", hide(text))
