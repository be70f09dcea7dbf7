"""The gate's reports: Markdown that GitHub reads as plain words, JUnit XML of the common shape."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from harness.errors import InputError
from harness.gate.report import append_markdown, check_reports, junit, markdown, write_junit
from harness.gate.verdicts import CANNOT_TELL, FAILED, NO_RESULT, PASSED, Verdict

NASTY = 'a|b <script>alert("x")</script> `c` **d** [e](http://f) @g #1\nline\x00two & \x1b[31m'
VERDICTS = [
    Verdict("torch", "accuracy", PASSED, "accuracy 98.64 %", "Mean of 2."),
    Verdict("torch", "speed", CANNOT_TELL, "speed x 0.960", "3 more."),
    Verdict("<b>", "accuracy", FAILED, NASTY, NASTY),
    Verdict("jax", "accuracy", NO_RESULT, "accuracy not measured", "signal SIGSEGV"),
]


def test_markdown_has_a_row_a_verdict() -> None:
    """Worst verdict in the heading, a table of four columns, notes as a list."""
    lines = markdown(VERDICTS, ["a note"]).splitlines()

    assert lines[0] == "## lenet-bench gate: ❌ **FAILED**"
    rows = [line for line in lines if line.startswith("|")]
    assert len(rows) == 2 + len(VERDICTS)
    # A bar that is not escaped ends a cell, also within code.
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {5}
    assert lines[-1] == "- a note"
    assert markdown(VERDICTS[:1], []).startswith("## lenet-bench gate: ✅ passed\n")


def test_markdown_of_names_and_errors_means_nothing() -> None:
    """Whatever stands in a worker's error is shown, not carried out: no HTML, link, mention, emphasis or new row."""
    (row,) = (line for line in markdown(VERDICTS, []).splitlines() if "alert" in line)

    assert "<" not in row
    assert "&lt;script&gt;" in row.replace("\\", "")
    for mark in ("`c", "**d", "[e", "@g", "#1"):
        assert re.search(rf"(?<!\\){re.escape(mark)}", row) is None
    assert "\\@g" in row


def test_summary_is_appended(tmp_path: Path) -> None:
    """What other steps wrote stays, as on GitHub."""
    path = tmp_path / "summary.md"
    path.write_text("# before\n")

    append_markdown(path, VERDICTS, [])
    append_markdown(path, VERDICTS[:1], [])

    text = path.read_text()
    assert text.startswith("# before\n## lenet-bench gate")
    assert text.count("## lenet-bench gate") == 2


# Elements, what they may hold and their attributes (needed ones first), after junit-10.xsd of Jenkins' xunit-plugin.
SCHEMA: dict[str, tuple[set[str], set[str], set[str]]] = {
    "testsuites": ({"testsuite"}, set(), {"name", "time", "tests", "failures", "errors"}),
    "testsuite": (
        {"properties", "testcase", "system-out", "system-err"},
        {"name", "tests"},
        {"failures", "errors", "time", "skipped", "timestamp", "hostname", "id", "package"},
    ),
    "testcase": (
        {"skipped", "error", "failure", "system-out", "system-err"},
        {"name", "classname"},
        {"time", "assertions", "status"},
    ),
    "failure": (set(), set(), {"message", "type"}),
    "error": (set(), set(), {"message", "type"}),
    "skipped": (set(), set(), {"message", "type"}),
    "system-out": (set(), set(), set()),
}


def check_schema(element: ElementTree.Element) -> None:
    """Every element and attribute is one of the schema's, and none that is needed is missing."""
    children, needed, more = SCHEMA[element.tag]
    assert needed <= set(element.attrib) <= needed | more
    assert {child.tag for child in element} <= children
    for child in element:
        check_schema(child)


@pytest.mark.parametrize("strict", [False, True])
def test_junit_has_a_case_a_verdict(tmp_path: Path, strict: bool) -> None:
    """One suite; failures, errors and skipped are counted as they stand there; all text survives, but for NUL."""
    path = tmp_path / "gate.xml"
    path.write_text("old")
    write_junit(path, VERDICTS, ["a note"], strict=strict, seconds=1.5)

    root = ElementTree.parse(path).getroot()
    check_schema(root)
    (suite,) = root
    cases = suite.findall("testcase")
    assert [(case.get("classname"), case.get("name")) for case in cases] == [
        ("gate.accuracy", "torch"), ("gate.speed", "torch"), ("gate.accuracy", "<b>"), ("gate.accuracy", "jax"),
    ]  # fmt: skip
    found = [child.tag for case in cases for child in case]
    assert found == ["system-out", "failure" if strict else "skipped", "failure", "error"]
    for element in (root, suite):
        assert element.get("tests") == "4"
        assert element.get("failures") == str(found.count("failure"))
        assert element.get("errors") == str(found.count("error"))
    assert suite.get("skipped") == str(found.count("skipped"))
    assert cases[2][0].text == NASTY.replace("\x00", "\ufffd").replace("\x1b", "\ufffd")
    assert path.read_text().startswith('<?xml version="1.0" encoding="UTF-8"?>')


def test_junit_is_parsed_again_with_any_text() -> None:
    """Characters that XML does not have, lone surrogates included, do not break the file."""
    odd = "".join(map(chr, [*range(0x20), 0xD800, 0xFFFE, 0x1F600])) + "]]>"

    root = ElementTree.fromstring(junit([Verdict(odd, "speed", FAILED, odd, odd)], [odd], strict=False, seconds=0))

    assert root[0][0][0].text is not None
    assert root[0][0][0].text.endswith("\U0001f600]]>")


def test_reports_name_neither_home_nor_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """They lie on servers, and hold what workers said."""
    monkeypatch.setenv("HOME", "/srv/people/zaphod")
    monkeypatch.setattr("platform.node", lambda: "heart-of-gold")
    words = "OSError: /srv/people/zaphod/libx.so on heart-of-gold"
    verdicts = [Verdict("torch", "speed", NO_RESULT, words, words), Verdict("jax", "speed", PASSED, words, words)]

    for text in (junit(verdicts, [words], strict=False, seconds=0), markdown(verdicts, [words])):
        assert "libx.so" in text
        assert "zaphod" not in text
        assert "heart-of-gold" not in text


def test_reports_that_cannot_be_written_are_refused_first(tmp_path: Path) -> None:
    """No such folder, or a folder itself: refused with the path before anything is measured."""
    check_reports(None, tmp_path / "new.md")
    with pytest.raises(InputError, match=r"no/x\.xml: no such folder"):
        check_reports(tmp_path / "no" / "x.xml")
    with pytest.raises(InputError, match="a folder"):
        check_reports(None, tmp_path)
