"""What a backend may declare of its own kernels is no larger than what a kernel can be excused with."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from harness.errors import InputError
from harness.proof import kept, proving
from harness.proof.outcome import Subject
from harness.proof.rounding import KINDS, LARGEST, check_declared, largest
from harness.spec.precision import PRECISIONS
from harness.spec.recipes import LENET5
from harness.worker import catalogue


def test_every_kind_has_a_largest_size_in_every_precision() -> None:
    """Near the rounding of the numbers that are off; a rate for Adam may be float32's, whatever the precision."""
    sizes = {(kind, dtype): largest(kind, dtype) for kind in KINDS for dtype in PRECISIONS}

    assert set(LARGEST) == set(KINDS)
    assert sizes["log_softmax", "float32"] == pytest.approx(7.6e-6, rel=0.01)
    assert sizes["log_softmax", "bfloat16"] == sizes["log_softmax", "float32"]
    assert sizes["log_softmax", "float64"] == pytest.approx(1.4e-14, rel=0.02)
    assert {sizes["adam_rate", dtype] for dtype in PRECISIONS} == {2.0**-23}


@pytest.mark.parametrize("name", [*catalogue.FRAMEWORKS, "numpy", "numba"])
def test_what_our_backends_declare_is_allowed(name: str) -> None:
    """MXNet's two are; the others declare nothing."""
    declared = getattr(catalogue.facts(name), "INEXACT", {})

    check_declared(name, declared)
    assert bool(declared) == (name == "mxnet")


@pytest.mark.parametrize(
    ("declared", "words"),
    [
        ({"float32": {"log_softmax": 1e-4}}, r"for float32, that the log-softmax .* 1\.0e-04\. At most 7\.6e-06 may"),
        ({"float64": {"log_softmax": 4e-6}}, r"for float64, .* 4\.0e-06\. At most 1\.4e-14 may"),
        ({"float64": {"adam_rate": 1e-3}}, r"Adam's corrected learning rate .* 1\.0e-03 .* At most 1\.2e-07 may"),
        ({"float32": {"log_softmax": math.inf}}, "At most"),
        ({"float32": {"log_softmax": math.nan}}, "At most"),
        ({"float32": {"log_softmax": -1e-6}}, "more than 0"),
        ({"float32": {"logsoftmax": 1e-6}}, "no kind of error for INEXACT 'logsoftmax'.* Did you mean 'log_softmax'"),
        ({"float23": {"log_softmax": 1e-6}}, "no precision for INEXACT 'float23'.* Did you mean 'float32'"),
    ],
    ids=str,
)
def test_more_is_refused(declared: Any, words: str) -> None:
    """The sentence says what came in and what is allowed."""
    with pytest.raises(InputError, match=words):
        check_declared("mine", declared)


def test_refused_before_any_work(mutants: Path, make_entrant: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """`verify` of a backend that declares too much ends before anything is posed or launched."""
    monkeypatch.setattr(catalogue.facts("twin"), "INEXACT", {"float32": {"log_softmax": 0.5}}, raising=False)
    monkeypatch.setattr(kept, "pose", lambda *_, **__: pytest.fail("posed"))
    subject = Subject(make_entrant("twin"), LENET5)

    with pytest.raises(InputError, match="The backend 'twin' declares in INEXACT, for float32"):
        next(proving.verify([subject], data_set="", data_dir=None, seed=0, pythons={}, timeout_s=9))
