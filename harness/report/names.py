"""Frameworks, networks, data sets and entrants as people write them; on the command line they are in small letters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from harness.worker import catalogue, facts

NETWORKS = {"lenet5": "LeNet-5", "lenet-paddle": "LeNet (PaddlePaddle's)", "lenet-gluon": "LeNet (Gluon's)",
            "lenet-cifar": "LeNet (for CIFAR-10)", "lenet-d2l": "LeNet (d2l.ai's)", "lenet-linear": "LeNet (linear)",
            "convnet-tf1": "ConvNet (TensorFlow 1's)", "lenet5-1998": "LeNet-5 (of 1998)"}  # fmt: skip
DATA_SETS = {"mnist": "MNIST", "fashion-mnist": "Fashion-MNIST", "cifar-10": "CIFAR-10",
             "drawn-digits": "drawn digits"}  # fmt: skip
DEVICES = {"cpu": "CPU", "gpu": "GPU"}
# What an entrant's name says behind the mode, where entrants of a run differ in it.
DETAILS = {"network": "{}", "threads": "{} threads", "batch_size": "batches of {}", "replicas": "{} replicas",
           "feed": "fed from the {}", "device": "{}", "dtype": "{}", "environment": "{}"}  # fmt: skip


def framework(backend: str) -> str:
    """`PyTorch` for `torch`, as its facts have it (TITLE); a backend that is not here has the name that it has."""
    return str(facts.get(backend, "TITLE", backend)) if backend in catalogue.names() else backend


def value(column: str, found: str) -> str:
    """A cell of launches.csv as people write it."""
    if column == "backend":
        return framework(found)
    known = {"network": NETWORKS, "data_set": DATA_SETS, "device": DEVICES}
    return known.get(column, {}).get(found, found)


def counted(number: int, word: str, several: str = "") -> str:
    """`1 round`, `5 rounds`, `12,000 rounds`; `2 launches` has its plural given."""
    return f"{number:,} {word if number == 1 else several or f'{word}s'}"


def entrants(fields: Sequence[Mapping[str, str]]) -> list[str]:
    """The name of each entrant of a run: framework and mode, and of the rest what entrants differ in.

    `PyTorch (eager)`, `JAX 0.10.2 (jit, 2 threads, batches of 256)`. The version stands there where framework and
    everything else are the same in another entrant.

    Args:
        fields: of each entrant, its key as text (`harness.analysis.comparison.KEY`).
    """
    differ = [name for name in DETAILS if len({each[name] for each in fields}) > 1]
    names = [_entrant(each, differ, "") for each in fields]
    return [
        _entrant(each, differ, each["framework_version"]) if names.count(name) > 1 else name
        for each, name in zip(fields, names)
    ]


def _entrant(fields: Mapping[str, str], differ: list[str], version: str) -> str:
    variant = fields["variant"]
    if variant and variant.partition("+")[0] == fields["framework_version"].partition("+")[0]:
        version, variant = variant, ""
    details = [_detail(name, fields[name]) for name in differ]
    inside = ", ".join(part for part in (fields["mode"], *details, variant) if part)
    named = f"{framework(fields['backend'])} {version}".strip()
    return f"{named} ({inside})" if inside else named


def _detail(name: str, found: str) -> str:
    if name == "threads" and found in ("0", "1"):
        return "1 thread" if found == "1" else "its own number of threads"
    if name == "replicas" and found == "1":
        return "one model"
    return DETAILS[name].format(value(name, found)) if found else ""


def in_sentences(fields: Sequence[Mapping[str, str]], names: Sequence[str]) -> list[str]:
    """The names without `(eager)` and the like, where nothing else of that framework was run."""
    backends = [each["backend"] for each in fields]
    return [
        framework(each["backend"])
        if backends.count(each["backend"]) == 1 and each["mode"] == _plain(each["backend"])
        and name == f"{framework(each['backend'])} ({each['mode']})" else name
        for each, name in zip(fields, names)
    ]  # fmt: skip


def _plain(backend: str) -> str | None:
    """How a framework runs for whoever asks for nothing else (PLAIN), if that is known: sentences leave it out."""
    return facts.get(backend, "PLAIN", None) if backend in catalogue.names() else None


def joined(parts: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join(part for part in (", ".join(parts[:-1]), *parts[-1:]) if part)
