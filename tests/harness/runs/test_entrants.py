"""From options to entrants: the product of a sweep, modes that some backends have, combinations that are refused."""

from __future__ import annotations

from typing import Any

import pytest

from harness.errors import InputError
from harness.runs.entrants import limit_entrants, make_entrants, parse_versions, precision_of
from harness.worker import catalogue
from harness.worker.job import LONG_BLOCK, block_steps


def entrants_of(backends: str, **options: Any) -> list[Any]:
    fields = {"network": "lenet5", "device": "cpu", "dtype": "float32"}
    return make_entrants(backends.split(","), **(fields | options))


def labels_of(backends: str, **options: Any) -> list[str]:
    return [entrant.label for entrant in entrants_of(backends, **options)]


def test_without_modes_each_backend_has_its_default() -> None:
    """The default is the first mode, and all else is as usual."""
    found = labels_of("torch,tensorflow,jax,mxnet,paddle")

    assert found == ["torch eager", "tensorflow graph", "jax jit", "mxnet hybrid", "paddle dynamic"]


def test_limit_stands_beside_what_it_can_compute() -> None:
    """Of a sweep over threads those that it has kernels for; refused at once where it has none of what is asked for."""
    fields: dict[str, Any] = {"network": "lenet5", "device": "cpu", "dtype": "float32", "threads": (1, 2)}

    assert [each.label for each in limit_entrants(**fields)] == ["numba kernels"]
    with pytest.raises(InputError, match=r"^--limit: numba computes with one thread at the most, got --threads 2\.$"):
        limit_entrants(**fields | {"threads": (2,)})
    with pytest.raises(InputError, match=r"^--limit: There is no precision of numba 'bfloat16'"):
        limit_entrants(**fields | {"dtype": "bfloat16"})
    with pytest.raises(InputError, match=r"^numba computes with one thread"):
        entrants_of("numba", threads=(1, 2))


def test_sweep_is_the_product() -> None:
    """Every mode with every feed, number of threads and batch size; each entrant has a label of its own."""
    found = labels_of(
        "torch", modes="eager,compiled", feeds=["host", "device"], threads=(1, 2), batch_sizes=(32, 64, 256)
    )

    assert len(found) == len(set(found)) == 2 * 2 * 2 * 3
    assert found[0] == "torch eager b32"
    assert "torch compiled 2t b256 device" in found


def test_all_is_every_mode_of_the_device() -> None:
    """`all` has what a CPU can do; a GPU has more."""
    on_cpu = labels_of("torch,paddle", modes="all")
    on_gpu = labels_of("torch,paddle", modes="all", device="gpu")

    assert on_cpu == [f"torch {mode}" for mode in catalogue.modes("torch", "cpu")] + [
        "paddle dynamic", "paddle apart", "paddle static"
    ]  # fmt: skip
    assert set(on_gpu) - {f"{label} gpu" for label in on_cpu} == {"torch cuda-graph gpu", "paddle cinn gpu"}


def test_all_leaves_out_what_a_framework_gets_wrong() -> None:
    """A mode that is refused in a precision is no entrant of `all`, and named alone it is an error with the reason."""
    assert "torch compiled float64" not in labels_of("torch", modes="all", dtype="float64")
    with pytest.raises(InputError, match=r"torch is not run with --mode compiled --dtype float64: .*wrong gradients"):
        entrants_of("torch", modes="compiled", dtype="float64")


def test_several_backends_get_those_modes_that_they_have() -> None:
    """A mode that only some have is no mistake."""
    assert labels_of("torch,tensorflow", modes="eager,epoch") == ["torch eager", "tensorflow eager", "tensorflow epoch"]


def test_a_mode_may_be_for_one_backend_alone() -> None:
    """`torch:eager` leaves the other backends their own."""
    found = labels_of("torch,tensorflow,jax", modes="torch:eager,tensorflow:epoch,graph,jit")

    assert found == ["torch eager", "tensorflow epoch", "tensorflow graph", "jax jit"]
    assert labels_of("torch,jax", modes="torch:all,jit")[-1] == "jax jit"


@pytest.mark.parametrize(
    ("backends", "options", "message"),
    [
        ("torch,jax", {"modes": "paddle:static,eager"}, r"no backend among those of --backend .*'paddle'.*jax, torch"),
        ("torch,jax", {"modes": "torch:eager"}, r"no mode of jax 'torch:eager'. There are: eager"),
        ("torch,jax", {"modes": "eagre"}, r"no mode 'eagre'.*Did you mean 'eager'"),
        ("torch,jax", {"modes": "jit"}, r"no mode of torch 'jit'. There are: "),
        ("torch", {"modes": "eager,foo"}, r"no mode of torch 'foo'"),
        ("torch", {"modes": "cuda-graph"}, r"torch 'cuda-graph' needs --device gpu\. On the CPU there are: eager"),
        ("jax", {"dtype": "tf32"}, r"precision of jax 'tf32' needs --device gpu\. On the CPU there are: float32"),
        ("paddle", {"dtype": "bfloat16"}, r"no precision of paddle 'bfloat16'. There are: float32, float64"),
        ("numpy", {"device": "gpu"}, r"no device of numpy 'gpu'"),
        ("torch", {"feeds": ["host", "disk"]}, r"no feed 'disk'"),
    ],
)  # fmt: skip
def test_what_a_backend_does_not_have_is_a_sentence(backends: str, options: dict[str, Any], message: str) -> None:
    """The sentence says what came in and what there is."""
    with pytest.raises(InputError, match=message):
        entrants_of(backends, **options)


def test_native_launches_have_no_number_of_threads() -> None:
    """Numbers of threads that nobody sets are one entrant."""
    assert labels_of("torch", threads=(1, 2), environment="native") == ["torch eager native"]


def test_tf32_is_a_precision_of_its_own() -> None:
    """--tf32 is for float32 alone."""
    assert precision_of("float32", tf32=True) == "tf32"
    assert precision_of("float64", tf32=False) == "float64"
    with pytest.raises(InputError, match=r"--tf32 is for float32, got --dtype float64"):
        precision_of("float64", tf32=True)


def test_some_modes_have_longer_blocks() -> None:
    """A program that is compiled for a block has one that is worth it; a call of Keras's fit has a cost that its users
    pay once an epoch. On a GPU all steps are short."""
    graph, epoch, fit = entrants_of("tensorflow", modes="graph,epoch,fit")
    (on_gpu,) = entrants_of("tensorflow", modes="graph", device="gpu")

    found = [catalogue.steps_of(each) for each in (graph, epoch, fit, on_gpu)]
    assert found == [block_steps(64), LONG_BLOCK, 5 * LONG_BLOCK, LONG_BLOCK]


@pytest.mark.parametrize("name", catalogue.names())
def test_facts_agree_with_each_other(name: str) -> None:
    """GPU modes, longer blocks and refusals are of modes that there are; the default runs on a CPU."""
    facts = catalogue.facts(name)

    assert set(getattr(facts, "GPU_MODES", ())) < set(facts.MODES)
    assert set(catalogue.blockwise(name)) < set(facts.MODES)
    assert all(mode in facts.MODES and dtype in facts.DTYPES for mode, dtype in getattr(facts, "REFUSED", {}))
    assert next(iter(facts.MODES)) in catalogue.modes(name, "cpu")
    assert all(len(sentence) <= 100 for sentence in facts.MODES.values()), "one line of a table"


def test_versions_are_entrants() -> None:
    """Each version of each backend that one was asked for of; their labels end with it; others have none."""
    found = entrants_of("jax,torch", versions={"jax": ("0.10.1", "0.10.2")})

    assert [each.label for each in found] == ["jax jit 0.10.1", "jax jit 0.10.2", "torch eager"]
    assert [each.installation for each in found] == ["jax==0.10.1", "jax==0.10.2", "torch"]


@pytest.mark.parametrize(
    ("values", "backends", "expected"),
    [
        (["2.12.1,2.13.0"], ["torch"], {"torch": ("2.12.1", "2.13.0")}),
        (["torch=2.12.1", "jax=0.10.1, 0.10.2"], ["torch", "jax"], {"torch": ("2.12.1",), "jax": ("0.10.1", "0.10.2")}),
        (["2.13.0,2.13.0", "2.13.0rc1,2.13.0+cpu"], ["torch"], {"torch": ("2.13.0", "2.13.0rc1", "2.13.0+cpu")}),
        ([], ["torch"], {}),
    ],
)
def test_versions_are_read(values: list[str], backends: list[str], expected: dict[str, tuple[str, ...]]) -> None:
    """With the backend's name, or without where there is one; twice the same is once."""
    assert parse_versions(values, backends) == expected


@pytest.mark.parametrize(
    ("value", "backends", "message"),
    [
        ("2.13.0", ["torch", "jax"], r"'2\.13\.0': of which backend\? Say torch=2\.13\.0; there are torch, jax"),
        ("jaxx=0.10.1", ["torch", "jax"], r"no backend among those of --backend .*'jaxx'.* Did you mean 'jax'"),
        ("latest", ["torch"], r"takes versions such as 2\.13\.0, got 'latest'"),
        ("2.13.0,", ["torch"], r"got ''"),
        ("2.13.0; rm -rf", ["torch"], r"got '2\.13\.0; rm -rf'"),
    ],
)
def test_bad_versions_are_sentences(value: str, backends: list[str], message: str) -> None:
    """What came in, and what there is."""
    with pytest.raises(InputError, match=message):
        parse_versions([value], backends)
