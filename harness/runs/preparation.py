"""What is settled before a run's first launch: interpreters that are there, controls that hold, images that fit."""

from __future__ import annotations

import contextlib
from pathlib import Path

from harness.data.sources import Dataset, load_dataset
from harness.errors import InputError
from harness.runs import gpus, interpreters
from harness.runs.asked_controls import asked_controls
from harness.runs.display import Display
from harness.runs.interpreters import Interpreter
from harness.runs.plan import Plan
from harness.runs.privacy import reveal
from harness.spec.networks import get_network


def find_interpreters(plan: Plan, pythons: dict[str, str], display: Display | None = None) -> dict[str, Interpreter]:
    """The Python of each of the plan's entrants, by installation.

    Args:
        pythons: backend -> its interpreter, as --python says.
        display: that says what is done; None for one of its own.

    Raises:
        InputError: a framework is not installed, or the machine has fewer CPUs than an entrant has threads, or no GPU.
    """
    gpus.check(plan.entrants)
    for entrant in plan.entrants:
        asked_controls(entrant, Path("."))
    with contextlib.nullcontext(display) if display else Display() as shown:
        shown.doing("looking for the frameworks")
        return interpreters.find_all(plan.entrants, given=pythons)


def load(name: str, data_dir: str | None, display: Display) -> Dataset:
    """Load a data set; an empty name is the default, MNIST or the drawn digits.

    Args:
        data_dir: as it was given, or as environment.json keeps it (`harness.runs.privacy.hide_path`).
    """
    # A download shows how far it is by itself.
    with display.aside():
        return load_dataset(
            name or None,
            data_dir=Path(reveal(data_dir)) if data_dir else None,
            notify=lambda text: display.note(text, "yellow"),
        )


def load_for_network(network: str, name: str, data_dir: str | None, display: Display) -> Dataset:
    """Load a data set that a network can take; an empty name is the default.

    Raises:
        InputError: as `load_dataset` and `check_fits`.
    """
    dataset = load(name, data_dir, display)
    check_fits(dataset, network)
    return dataset


def load_for_plan(plan: Plan, display: Display) -> Dataset:
    """Load the plan's data set.

    Raises:
        InputError: as `load_for_network`, or a batch is larger than the set.
    """
    name = plan.data_set or plan.recipe.data_set_asked
    dataset = load_for_network(plan.entrants[0].network, name, plan.data_dir, display)
    _check_batch_sizes(plan, dataset)
    return dataset


def check_fits(dataset: Dataset, network: str) -> None:
    """Refuse images that a network cannot take, before a worker fails on them.

    Raises:
        InputError: images with other channels than the network's input, or larger than it.
    """
    wanted, found = get_network(network).input_shape, dataset.train_images.shape[1:]
    if found[0] != wanted[0] or found[1] > wanted[1] or found[2] > wanted[2]:
        takes, has = ("x".join(map(str, shape)) for shape in (wanted, found))
        raise InputError(
            f"The network {network} takes images of {takes} (channels, height, width), or lower and narrower; those "
            f"of {dataset.name} are {has}. Choose another --data-set or --network (`lenet-bench list`)."
        )


def _check_batch_sizes(plan: Plan, dataset: Dataset) -> None:
    count, tests = len(dataset.train_labels), len(dataset.test_labels)
    for entrant in plan.entrants:
        if entrant.batch_size > count:
            raise InputError(f"--batch-size {entrant.batch_size} is more than {dataset.name} has: {count} images.")
    if plan.timing and plan.inference_sizes and max(plan.inference_sizes) > tests:
        largest = max(plan.inference_sizes)
        raise InputError(f"--inference-sizes {largest} is more than {dataset.name} has: {tests} test images.")
