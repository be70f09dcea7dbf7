"""What is installed, as lines and as a digest: checkouts that are edited are told apart by the state of their files."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from harness.worker import packages
from harness.worker.packages import packages_digest

ROOT = Path(__file__).parents[3]


def install(site: Path, name: str, version: str, origin: dict[str, object] | None = None) -> None:
    """What pip leaves of a package that matters here."""
    folder = site / f"{name}-{version}.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    if origin is not None:
        (folder / "direct_url.json").write_text(json.dumps(origin))


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only place where packages are looked for."""
    monkeypatch.setattr(sys, "path", [str(tmp_path / "site")])
    return tmp_path / "site"


def test_lines_are_those_of_pip_freeze(site: Path) -> None:
    """Sorted, in lower case, with hyphens; the digest is of the lines."""
    install(site, "Flax_Nn", "0.1")
    install(site, "alpha", "2.0", {"url": "https://example.org/alpha.whl", "archive_info": {}})

    digest, lines = packages_digest()

    assert lines == ["alpha==2.0", "flax-nn==0.1"]
    assert digest == hashlib.sha256(b"alpha==2.0\nflax-nn==0.1").hexdigest()


def test_checkout_has_its_state_behind_its_version(site: Path, tmp_path: Path) -> None:
    """One byte more in a file that can be imported, and it is another package; notes and hidden files do not count."""
    checkout = tmp_path / "check out"
    (checkout / "jax").mkdir(parents=True)
    (checkout / ".git").mkdir()
    (checkout / "jax" / "core.py").write_text("one")
    install(site, "jax", "0.1", {"url": checkout.as_uri(), "dir_info": {"editable": True}})

    (before,) = packages_digest()[1]
    (checkout / "README.md").write_text("a note")
    (checkout / ".git" / "hook.py").write_text("hidden")
    (same,) = packages_digest()[1]
    (checkout / "jax" / "core.py").write_text("two!")
    (after,) = packages_digest()[1]

    assert before.startswith("jax==0.1+files.")
    assert before == same != after


def test_ours_is_known_by_other_digests(site: Path, tmp_path: Path) -> None:
    """The harness's own checkout holds results, which change."""
    install(site, "lenet-bench", "0.1", {"url": tmp_path.as_uri(), "dir_info": {"editable": True}})

    assert packages_digest()[1] == ["lenet-bench==0.1"]


@pytest.mark.parametrize("text", ["", "[]", "{", '{"dir_info": {"editable": true}}', '{"url": 3, "dir_info": 4}'])
def test_records_that_cannot_be_read_are_those_of_a_package(site: Path, text: str) -> None:
    """An old or a broken direct_url.json is no reason to fail."""
    install(site, "alpha", "2.0")
    (site / "alpha-2.0.dist-info" / "direct_url.json").write_text(text)

    assert packages_digest()[1] == ["alpha==2.0"]


def test_module_prints_what_a_worker_tells() -> None:
    """Run as a file, it says the digest of the environment that it runs in."""
    command = [sys.executable, "-P", str(packages.__file__)]

    said = subprocess.run(
        command, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=True
    )

    digest, lines = packages_digest()
    assert json.loads(said.stdout) == {"sha256": digest, "packages": lines, "python": platform.python_version()}
