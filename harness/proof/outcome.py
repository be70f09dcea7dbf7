"""What is verified, and what came out."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Any

from harness.proof.problem import Check
from harness.results.schema import SCHEMA_VERSION
from harness.spec.recipe import Recipe
from harness.worker.job import Entrant

Row = dict[str, Any]
# Checks beside those of quantities, which fail where there is nothing to compare, or no one thing that was verified, or
# where a mixed precision has not passed in full.
LAUNCH, CODE, TWIN = "launch", "code", "the same in full precision"


@dataclass(frozen=True)
class Subject:
    """What is to be verified: an entrant that trains by a recipe."""

    entrant: Entrant
    recipe: Recipe

    @property
    def problem(self) -> tuple[str, str, str]:
        """Subjects of one problem are given the same batches, and held against the same reference."""
        return self.entrant.network, self.recipe.name, self.entrant.dtype


@dataclass(frozen=True)
class Outcome:
    """What came out.

    Attributes:
        checks: in the order of computation.
        sentences: where it begins to differ and what that looks like; none where all passed.
        version: of the framework.
        packages_sha256: of everything that was installed beside it.
        code: digests of what was verified, as it stood before the launch (`code.digests`).
    """

    subject: Subject
    seed: int
    checks: list[Check]
    sentences: list[str]
    version: str
    packages_sha256: str
    code: dict[str, str]

    @property
    def passed(self) -> bool:
        """Whether every check did."""
        return all(check.passed for check in self.checks)

    def rows(self) -> list[Row]:
        """Rows of verification.csv."""
        entrant, now = self.subject.entrant, datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        fields = {
            name: getattr(entrant, name)
            for name in (
                "backend",
                "network",
                "mode",
                "feed",
                "device",
                "dtype",
                "threads",
                "batch_size",
                "replicas",
            )
        }
        fields |= {
            "schema_version": SCHEMA_VERSION, "framework_version": self.version, "recipe": self.subject.recipe.name,
            "packages_sha256": self.packages_sha256, "seed": self.seed, "verified_utc": now,
        }  # fmt: skip
        return [
            fields | {
                "quantity": check.quantity, "error": check.error, "tolerance": check.tolerance, "passed": check.passed,
            }
            for check in self.checks
        ]  # fmt: skip
