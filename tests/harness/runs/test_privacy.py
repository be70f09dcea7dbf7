"""What is hidden of a text that goes to a file, what stays, and what can be found again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.runs.privacy import hide, hide_all, hide_path, known_names, reveal


@pytest.fixture
def zaphod(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user with a home, a login and a host that tell."""
    monkeypatch.setenv("HOME", "/srv/people/zaphod")
    monkeypatch.setattr("getpass.getuser", lambda: "zaphod")
    monkeypatch.setattr("platform.node", lambda: "heart-of-gold.example.org")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/srv/people/zaphod/data", "~/data"),
        ("/srv/people/zaphod", "~"),
        ("in '/srv/people/zaphod': no", "in '~': no"),
        ("/srv/people/zaphod2/x", "/srv/people/zaphod2/x"),
        ("/data/zaphod/mnist", "/data/<user>/mnist"),
        ("/tmp/pytest-of-zaphod/1", "/tmp/pytest-of-<user>/1"),
        ("zaphod@heart-of-gold: refused", "<user>@<host>: refused"),
        # A login may be a word of any sentence.
        ("zaphod comes first", "zaphod comes first"),
        ("heart-of-gold said no.", "<host> said no."),
        ("[heart-of-gold.example.org:12345] MPI", "[<host>:12345] MPI"),
        ("heart-of-gold.other.net", "<host>"),
        ("my-heart-of-gold, heart-of-golden", "my-heart-of-gold, heart-of-golden"),
        ("/home/trillian/x and /Users/ford/y", "/home/<user>/x and /Users/<user>/y"),
        ("C:/home/trillian", "C:/home/<user>"),
        ("0.25 img/s of /usr/lib/python3", "0.25 img/s of /usr/lib/python3"),
        ("", ""),
    ],
)
def test_names_are_hidden_and_nothing_else(zaphod: None, text: str, expected: str) -> None:
    """Home, login in paths, host, and other people's homes."""
    assert hide(text) == expected


@pytest.mark.parametrize("path", ["/srv/people/zaphod/data", "/data/zaphod/mnist", "/data/mnist", "relative/mnist"])
def test_paths_are_found_again(zaphod: None, path: str) -> None:
    """What --resume reads is where the data are."""
    hidden = hide_path(path)

    assert "zaphod" not in hidden
    assert reveal(hidden) == path


@pytest.mark.parametrize("name", ["root", "ubuntu", "vm", "torch", "numpy"])
def test_names_that_tell_nothing_stay(zaphod: None, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """A message in which every backend's name were `<user>` could not be read."""
    monkeypatch.setattr("getpass.getuser", lambda: name)
    monkeypatch.setattr("platform.node", lambda: name)

    assert hide(f"site-packages/{name}/nn.py on {name}") == f"site-packages/{name}/nn.py on {name}"


@pytest.mark.parametrize("home", ["/", ""])
def test_a_home_that_is_everything_is_no_home(zaphod: None, monkeypatch: pytest.MonkeyPatch, home: str) -> None:
    """Containers run with HOME=/: paths stay readable."""
    monkeypatch.setenv("HOME", home)

    assert hide("/usr/lib/x.so") == "/usr/lib/x.so"


def test_a_user_without_a_name(zaphod: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Containers run as users that are in no list."""

    def nobody(*_: Any) -> Any:
        raise KeyError("getpwuid(): uid not found: 12345")

    monkeypatch.setattr("getpass.getuser", nobody)
    monkeypatch.setattr("pwd.getpwuid", nobody)

    assert hide("/srv/people/zaphod/x") == "~/x"
    assert reveal("/data/<user>") == "/data/<user>"


def test_homes_behind_links_are_hidden(zaphod: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """/home may be a link to a disk: paths come with either name."""
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "disk")
    monkeypatch.setenv("HOME", str(tmp_path / "link"))

    assert hide(f"{tmp_path}/link/a {tmp_path}/disk/b") == "~/a ~/b"


def test_values_of_any_depth_are_hidden(zaphod: None) -> None:
    """But for those that digests are of, and for what is no text."""
    values = {"a": ["/srv/people/zaphod/x", {"b": ("heart-of-gold", 3, None, True)}], "packages": ["zaphod/x==1"]}

    assert hide_all(values, but=("packages",)) == {
        "a": ["~/x", {"b": ["<host>", 3, None, True]}], "packages": ["zaphod/x==1"]
    }  # fmt: skip


def test_names_of_variables_that_anybody_may_have_made_up_are_counted() -> None:
    """Known libraries' and frameworks' documented ones stay, because they would have changed the speed."""
    known = ["KMP_AFFINITY", "LD_PRELOAD", "OMP_PROC_BIND", "TF_ENABLE_ONEDNN_OPTS", "XLA_FLAGS"]

    assert known_names(known) == known
    assert known_names([*known, "TORCH_ACME_SECRET"]) == [*known, "1 other"]
    assert known_names(["FLAGS_acme", "TF_ZAPHOD_TOKEN"]) == ["2 others"]
    assert known_names([]) == []
