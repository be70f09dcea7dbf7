"""What `lenet-bench install` is asked for: a version of a framework, or where else than from an index it comes from."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from harness.errors import InputError
from harness.runs.wheels import VERSION
from harness.worker.versions import DIGITS

FORMS = "NAME@git+URL, NAME@path.whl or NAME@path/to/checkout"
GIT_S = 60.0


@dataclass(frozen=True)
class Asked:
    """One argument of `lenet-bench install`.

    Attributes:
        version: empty for the pinned one.
        source: what pip is given in place of a version: `git+URL`, the absolute path of a wheel or of a checkout.
    """

    name: str
    version: str = ""
    source: str = ""

    @property
    def commit(self) -> str:
        """Of a checkout: its commit, and whether files differ from that; empty where it is none of git's."""
        if not os.path.isdir(self.source):
            return ""
        try:
            commit = _git("-C", self.source, "rev-parse", "HEAD").strip()[:DIGITS]
            changed = _git("-C", self.source, "status", "--porcelain", "--untracked-files=no").strip()
        except (OSError, subprocess.SubprocessError):
            return ""
        return f"{commit}.dirty" if changed else commit


def parse(argument: str) -> list[Asked]:
    """Read `torch`, `torch,jax`, `torch==2.12.1` or `torch@SOURCE`; whether there are such backends is not asked.

    Raises:
        InputError: what should be a version or a source is none, or a repository does not answer.
    """
    name, at, source = argument.partition("@")
    if re.match(r"\s*all\s*(==|@)", argument):
        raise InputError(f"{argument}: a version or a build is one framework's. Name it in place of all.")
    if at:
        return [Asked(name.strip(), source=_checked(argument, source.strip()))]
    name, equals, version = argument.partition("==")
    if equals:
        if not VERSION.fullmatch(version):
            raise InputError(f"A version such as 2.13.0 is wanted behind {name}==, got {version!r}.")
        return [Asked(name.strip(), version=version)]
    return [Asked(each.strip()) for each in argument.split(",")]


def _checked(argument: str, source: str) -> str:
    if source.startswith("git+"):
        _check_answers(source)
        return source
    path = Path(source).expanduser().absolute()
    if source.endswith(".whl") and path.is_file():
        return str(path)
    if path.is_dir() and any((path / name).is_file() for name in ("pyproject.toml", "setup.py")):
        return str(path)
    if path.is_dir():
        raise InputError(f"{argument}: {path} can not be installed: no pyproject.toml or setup.py is in it.")
    raise InputError(f"{argument}: there is no such wheel or checkout. Give {FORMS}.")


def _check_answers(source: str) -> None:
    """Ask a repository for its branches, so that a wrong address is told before anything is made."""
    # As pip reads it: what is behind the last @ of the path, slashes and all, is a branch, a tag or a commit.
    address = re.sub(r"(//[^/]*/.*)@[^@]*$", r"\1", source.removeprefix("git+").partition("#")[0])
    if not shutil.which("git"):
        raise InputError(f"{source} needs git, which is not on the PATH. Install it, or give a wheel.")
    try:
        _git("ls-remote", "--heads", "--", address)
    except subprocess.TimeoutExpired:
        raise InputError(f"{address} did not answer within {GIT_S:g} s. Is the address right, and reachable?") from None
    except subprocess.CalledProcessError as error:
        # Behind the first line stands advice.
        words = (error.stderr.strip().splitlines() or ["git gave no reason"])[0].removeprefix("fatal: ")
        raise InputError(f"{address} does not answer: {words}. Is the address right, and reachable?") from None


def _git(*arguments: str) -> str:
    # Nobody is there to type a password.
    environment = os.environ | {"GIT_TERMINAL_PROMPT": "0"}
    done = subprocess.run(
        ["git", *arguments], capture_output=True, text=True, timeout=GIT_S, check=True, env=environment,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    return done.stdout
