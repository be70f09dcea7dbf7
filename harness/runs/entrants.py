"""From options to entrants: what is asked for, checked against what each backend has."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from harness.analysis.labels import LIMIT
from harness.errors import InputError, unknown
from harness.runs.wheels import VERSION
from harness.spec.recipes import LENET5
from harness.worker import catalogue
from harness.worker.job import Entrant

FEEDS = ("host", "device")
ENVIRONMENTS = ("controlled", "native")


def parse_backends(values: list[str]) -> list[str]:
    """Read `--backend torch --backend jax`, `--backend torch,jax` and `--backend all` (the five frameworks)."""
    found: list[str] = []
    for value in ",".join(values).split(","):
        for name in catalogue.FRAMEWORKS if value == "all" else (value.strip(),):
            catalogue.facts(name)
            if name not in found:
                found.append(name)
    return found


def parse_versions(values: Sequence[str], backends: list[str]) -> dict[str, tuple[str, ...]]:
    """Read `--framework-version jax=0.10.1,0.10.2`, or the versions alone where there is one backend.

    Raises:
        InputError: a backend that is not among `backends`, none where there are several, or what is no version.
    """
    found: dict[str, tuple[str, ...]] = {}
    for value in values:
        backend, equals, text = value.rpartition("=")
        if not equals and len(backends) > 1:
            raise InputError(
                f"--framework-version {value!r}: of which backend? Say {backends[0]}={value}; there are "
                f"{', '.join(backends)}."
            )
        backend = backend or backends[0]
        if backend not in backends:
            raise unknown(f"backend among those of --backend for --framework-version {value}", backend, backends)
        wanted = tuple(dict.fromkeys(part.strip() for part in text.split(",")))
        for version in wanted:
            if not VERSION.fullmatch(version):
                raise InputError(f"--framework-version takes versions such as 2.13.0, got {version!r}.")
        found[backend] = (*found.get(backend, ()), *(each for each in wanted if each not in found.get(backend, ())))
    return found


def precision_of(dtype: str, *, tf32: bool) -> str:
    """Read --dtype and --tf32 together.

    Raises:
        InputError: another precision than float32 cannot be multiplied in TF32.
    """
    if tf32 and dtype not in ("float32", "tf32"):
        raise InputError(f"--tf32 is for float32, got --dtype {dtype}.")
    return "tf32" if tf32 else dtype


def make_entrant(backend: str, *, mode: str | None, environment: str, threads: int, **fields: Any) -> Entrant:
    """Make an entrant from options, checked against what the backend has.

    Raises:
        InputError: a mode, precision or device that it does not have; the message lists those it has.
    """
    facts = catalogue.facts(backend)
    device, dtype = fields["device"], fields["dtype"]
    if device not in facts.DEVICES:
        raise unknown(f"device of {backend}", device, facts.DEVICES)
    modes, dtypes = catalogue.modes(backend, device), catalogue.dtypes(backend, device)
    mode = mode or next(iter(modes))
    for value, kind, known, elsewhere in (
        (mode, f"mode of {backend}", modes, facts.MODES),
        (dtype, f"precision of {backend}", dtypes, facts.DTYPES),
        (fields["feed"], "feed", FEEDS, ()),
        (environment, "environment", ENVIRONMENTS, ()),
    ):
        if value not in known and value in elsewhere:
            raise InputError(f"The {kind} {value!r} needs --device gpu. On the CPU there are: {', '.join(known)}.")
        if value not in known:
            raise unknown(kind, value, known)
    refusal = catalogue.refusal(backend, mode, dtype)
    if refusal:
        raise InputError(f"{backend} is not run with --mode {mode} --dtype {dtype}: {refusal}.")
    threads = 0 if environment == "native" else threads
    most = catalogue.most_threads(backend)
    if most is not None and threads > most:
        raise InputError(f"{backend} computes with {_counted(most)} at the most, got --threads {threads}.")
    _check_replicas(backend, mode, device, **{name: fields.get(name, 1) for name in ("replicas", "batch_size")})
    return Entrant(backend=backend, mode=mode, environment=environment, threads=threads, **fields)


def _check_replicas(backend: str, mode: str, device: str, *, replicas: int, batch_size: int) -> None:
    """Refuse replicas that a backend or a mode does not have, and a batch that they cannot share out."""
    if replicas == 1:
        return
    known = catalogue.replicas(backend)
    if not known:
        others = ", ".join(name for name in catalogue.names() if catalogue.replicas(name))
        raise InputError(f"{backend} has no replicas here, got --replicas {replicas}. These have: {others}.")
    if mode not in known:
        raise InputError(
            f"{backend} has no replicas in the mode {mode!r}, got --replicas {replicas}. Give --mode "
            f"{' or '.join(known)}."
        )
    rest = batch_size % replicas
    if rest:
        near = " or ".join(str(each) for each in (batch_size - rest, batch_size - rest + replicas) if each)
        raise InputError(
            f"A batch of {batch_size} images cannot be shared out to {replicas} replicas alike. Give --batch-size "
            f"{near}: it is that of all replicas together."
        )


def make_entrants(
    backends: list[str],
    *,
    modes: str | None = None,
    feeds: Sequence[str] = ("host",),
    threads: Sequence[int] = (1,),
    batch_sizes: Sequence[int] = (LENET5.batch_size,),
    replicas: Sequence[int] = (1,),
    versions: Mapping[str, Sequence[str]] = MappingProxyType({}),
    environment: str = "controlled",
    **fields: Any,
) -> list[Entrant]:
    """Every backend in each of the modes, with each feed, number of threads, batch size and number of replicas.

    Args:
        modes: names separated by commas, of which each of several backends gets those that it has; `torch:eager` is
            for one of them alone; `all`; None for each backend's default.
        versions: of the framework, by backend; of those that are not here, whichever is installed.
        fields: as `make_entrant`.

    Raises:
        InputError: a mode that none of the backends has, a backend that has none of them, or as `make_entrant`.
    """
    asked = [mode.strip() for mode in modes.split(",")] if modes else []
    known = {backend: list(catalogue.modes(backend, fields["device"])) for backend in backends}
    anywhere = list(dict.fromkeys(itertools.chain(*known.values())))
    for mode in asked:
        backend, colon, name = mode.rpartition(":")
        if colon and backend not in backends:
            raise unknown(f"backend among those of --backend for --mode {mode}", backend, backends)
        if name not in [*anywhere, "all"] and len(backends) > 1:
            raise unknown("mode", name, [*anywhere, "all"])
    return list(
        dict.fromkeys(
            make_entrant(
                backend,
                mode=mode,
                feed=feed,
                threads=count,
                batch_size=size,
                replicas=copies,
                environment=environment,
                version=version,
                variant=version,
                **fields,
            )
            for backend in backends
            for mode in _modes_of(backend, asked, known[backend], alone=len(backends) == 1, dtype=fields["dtype"])
            for version, feed, count, size, copies in itertools.product(
                versions.get(backend, ("",)), feeds, threads, batch_sizes, replicas
            )
            if copies == 1
            or "all" not in asked
            or not catalogue.replicas(backend)
            or mode in catalogue.replicas(backend)
        )
    )


def limit_entrants(*, threads: Sequence[int], **options: Any) -> list[Entrant]:
    """The limit beside the frameworks, in its default mode; of several numbers of threads, with those that it has.

    Raises:
        InputError: as `make_entrants`; it says that the limit is meant.
    """
    most = catalogue.most_threads(LIMIT)
    possible = [count for count in threads if most is None or count <= most]
    try:
        return make_entrants([LIMIT], threads=possible or threads, **options)
    except InputError as error:
        raise InputError(f"--limit: {error}") from None


def _counted(threads: int) -> str:
    return "one thread" if threads == 1 else f"{threads} threads"


def _modes_of(backend: str, asked: list[str], known: list[str], *, alone: bool, dtype: str) -> Sequence[str | None]:
    """Those of the modes asked for that this backend gets; names that it does not know are left to `make_entrant`."""
    if not asked:
        return (None,)
    mine = [mode.removeprefix(f"{backend}:") for mode in asked if ":" not in mode or mode.startswith(f"{backend}:")]
    if "all" in mine:
        return [mode for mode in known if not catalogue.refusal(backend, mode, dtype)]
    # What another backend has is no mistake, as long as this one has something to run.
    return mine if alone else [mode for mode in mine if mode in known] or mine[:1] or asked[:1]
