"""Fuzz one reader in this process: `python -m tests.fuzz.one READER FOLDER [options of libFuzzer]`.

FOLDER has the inputs to begin from, and gets those that reach new code. What is found is written where libFuzzer's
-artifact_prefix says, and ends the process.
"""

from __future__ import annotations

import sys

import atheris


def main() -> None:
    """Fuzz; does not return."""
    name, folder, options = sys.argv[1], sys.argv[2], sys.argv[3:]
    with atheris.instrument_imports(include=["harness"]):
        from tests.fuzz import targets

    def one(content: bytes) -> None:
        targets.check(name, content)

    atheris.Setup([sys.argv[0], *options, folder], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
