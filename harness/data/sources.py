"""Find the data sets: in a folder given, in the user's cache, on public mirrors, or drawn here.

Whatever the source, the content is verified: a data set that is not byte for byte the one that everybody has
is refused, never quietly replaced. The one stand-in there is, the drawn digits, announces itself.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from harness.data import drawn_digits
from harness.data.cifar import Cifar10
from harness.data.download import Unreachable, mirrors_of
from harness.data.file_set import FileSet
from harness.data.idx_sets import FILES as FILES  # also to be had from here
from harness.data.idx_sets import SHA256, IdxSet
from harness.data.other_forms import not_taken
from harness.errors import InputError, unknown
from harness.files import user_folder

DRAWN = "drawn-digits"
DEFAULT = "mnist"
_FILE_SETS: tuple[FileSet, ...] = (*(IdxSet(name) for name in SHA256), Cifar10())
DATASETS = (*(each.name for each in _FILE_SETS), DRAWN)
_CACHED_ARRAYS = ("train-images.npy", "train-labels.npy", "test-images.npy", "test-labels.npy")


@dataclass(frozen=True)
class Dataset:
    """A data set in memory; its arrays may be read-only."""

    name: str  # one of DATASETS
    source: str  # one phrase for people: where it came from
    train_images: np.ndarray  # uint8 (n, c, h, w): (n, 1, 28, 28), or (n, 3, 32, 32) of cifar-10
    train_labels: np.ndarray  # int32 (n,)
    test_images: np.ndarray  # uint8 (m, c, h, w)
    test_labels: np.ndarray  # int32 (m,)
    sha256: str  # of the content digests (hex, one per line) of its files, in their order
    classes: int = 10


@dataclass(frozen=True)
class DatasetRow:
    """What the `data` command shows of one data set."""

    name: str
    place: str  # where it is, or where it would come from
    present: bool  # complete on this machine; the content is verified when it is loaded, not here
    train: int  # images
    test: int  # images
    size_bytes: int  # on this disk, as stored there; 0 where it isn't


class _Absent(InputError):
    """The data set is in none of the places that were to be looked at."""


def _to_stderr(text: str) -> None:
    print(text, file=sys.stderr)


def load_dataset(
    name: str | None = None,
    *,
    data_dir: Path | None = None,
    offline: bool = False,
    notify: Callable[[str], None] = _to_stderr,
) -> Dataset:
    """Load a data set from `data_dir`, else the cache, else the mirrors, and verify its content.

    Args:
        name: one of `DATASETS`; None means MNIST, or the drawn digits where MNIST cannot be had.
        data_dir: holds `<name>/` folders, or a data set's own files, packed or plain; None means the
            environment variable LENET_BENCH_DATA, if it is set.
        offline: never download; the environment variable LENET_BENCH_OFFLINE=1 means the same.
        notify: told, in text for people, what is downloaded, drawn or done instead.

    Raises:
        InputError: unknown name, no such folder, a broken, incomplete or wrong data set in a folder that was
            looked at, or a data set that was asked for by name and cannot be had.
    """
    if name is not None and name not in DATASETS:
        raise unknown("data set", name, DATASETS)
    given = _given_folder(data_dir)
    if name == DRAWN:
        return _drawn(notify)
    wanted = name or DEFAULT
    try:
        return _from_files(_file_set(wanted), given, offline or _offline_by_environment(), notify)
    except _Absent as error:
        if name is not None:
            raise InputError(f"The data set {name!r} cannot be had. {error}\n{how_to_get(name)}") from error
        notify(_stand_in_text(error))
    return _drawn(notify)


def how_to_get(name: str) -> str:
    """Say how to get a data set of files: the layout of its folder, the variable to set, the addresses."""
    needed, *things = _file_set(name).layout
    files = "".join(f"\n  {thing}" for thing in things)
    addresses = "".join(f"\n  {mirror}" for mirror in mirrors_of(name))
    return (
        f"To get it, put {needed} into DIR/{name}/ and pass --data-dir DIR or set "
        f"LENET_BENCH_DATA=DIR:{files}\n"
        "It is downloaded by itself where one of these can be reached (LENET_BENCH_MIRRORS replaces "
        f"them, HTTPS_PROXY is obeyed, LENET_BENCH_OFFLINE must be unset):{addresses}"
    )


def describe_datasets(data_dir: Path | None = None) -> list[DatasetRow]:
    """Return one row per data set, in the order of `DATASETS`, without verifying or downloading anything.

    Raises:
        InputError: `data_dir` (or LENET_BENCH_DATA) is no folder.
    """
    given = _given_folder(data_dir)
    rows = []
    for each in _FILE_SETS:
        for folder, _ in _places(each.name, given):
            held = each.held(folder)
            if len(held) == len(each.files):
                size = sum(path.stat().st_size for path in set(held.values()) if path.exists())
                rows.append(DatasetRow(each.name, str(folder), True, *each.counts, size))
                break
        else:
            rows.append(DatasetRow(each.name, f"download from {mirrors_of(each.name)[0]}", False, *each.counts, 0))
    paths = [cache_folder() / DRAWN / file for file in _CACHED_ARRAYS]
    cached = all(path.is_file() for path in paths)
    size = sum(path.stat().st_size for path in paths) if cached else 0
    place = str(cache_folder() / DRAWN) if cached else "drawn by lenet-bench when needed"
    counts = (drawn_digits.TRAIN_COUNT, drawn_digits.TEST_COUNT)
    return [*rows, DatasetRow(DRAWN, place, True, *counts, size)]


# --- places -------------------------------------------------------------------------------------------------


def _given_folder(data_dir: Path | None) -> Path | None:
    """Return the folder that the caller or LENET_BENCH_DATA names, which must exist, or None."""
    named = os.environ.get("LENET_BENCH_DATA", "")
    if data_dir is None and not named:
        return None
    # The command line hands the variable on as if it were the option.
    by = "LENET_BENCH_DATA" if data_dir is None or str(data_dir) == named else "--data-dir"
    try:
        folder = (Path(named) if data_dir is None else data_dir).expanduser()
    except RuntimeError as error:
        raise InputError(f"{by} names {str(data_dir or named)!r}: {error} Write the folder out.") from None
    if not os.path.isdir(folder) or not os.access(folder, os.R_OK | os.X_OK):
        raise InputError(
            f"{by} names {str(folder)!r}, which is not a folder that can be read. Name the folder that holds "
            "mnist/ or the files of a data set, or leave it out."
        )
    return folder


def _offline_by_environment() -> bool:
    return os.environ.get("LENET_BENCH_OFFLINE", "").strip().lower() not in ("", "0", "false", "no")


def cache_folder() -> Path:
    """Return the cache folder, which need not exist."""
    own = os.environ.get("LENET_BENCH_CACHE", "")
    if own:
        return Path(own).expanduser()
    return user_folder("cache")


def _places(name: str, given: Path | None) -> list[tuple[Path, str]]:
    """Return the folders to look into, in order, each with the phrase that names it to people."""
    places = [] if given is None else [(given / name, f"folder {given / name}"), (given, f"folder {given}")]
    return [*places, (cache_folder() / name, f"cache {cache_folder() / name}")]


# --- data sets of files -------------------------------------------------------------------------------------


def _file_set(name: str) -> FileSet:
    return next(each for each in _FILE_SETS if each.name == name)


def _from_files(files: FileSet, given: Path | None, offline: bool, notify: Callable[[str], None]) -> Dataset:
    """Load from the first place that has the data set, downloading into the cache if none has."""
    cache = cache_folder() / files.name
    looked, seen = [], []
    for folder, phrase in _places(files.name, given):
        held = files.held(folder)
        if len(held) == len(files.files):
            return _read(files, held, phrase)
        if held and folder != cache:
            missing = ", ".join(file for file in files.files if file not in held)
            raise InputError(
                f"{folder}: expected the {len(files.files)} files of {files.name}; found {len(held)}, without "
                f"{missing}. Add what is missing, or name another folder."
            )
        looked.append(f"{phrase}{f' (only {len(held)} of {len(files.files)} files)' if held else ''}")
        seen += not_taken(folder)
    absent = (
        f"It is not in the {', nor in the '.join(looked)}{''.join(f'. Seen and not taken: {each}' for each in seen)}"
    )
    if offline:
        raise _Absent(f"{absent}; downloading is switched off.")
    try:
        source = files.download(cache, notify)
    except Unreachable as error:
        raise _Absent(f"{absent}; downloading it failed. {error}") from error
    return _read(files, files.held(cache), source)


def _read(files: FileSet, held: dict[str, Path], source: str) -> Dataset:
    """Read and verify the files of one place."""
    return _dataset(files.name, source, *files.read(held))


def _dataset(name: str, source: str, arrays: list[np.ndarray], digests: tuple[str, ...]) -> Dataset:
    """Bring four arrays (images (n, c, h, w), labels (n,)) into the form of `Dataset`."""
    train_images, train_labels, test_images, test_labels = arrays
    return Dataset(
        name=name,
        source=source,
        train_images=train_images,
        train_labels=train_labels.astype(np.int32),
        test_images=test_images,
        test_labels=test_labels.astype(np.int32),
        sha256=hashlib.sha256("\n".join(digests).encode()).hexdigest(),
    )


# --- drawn digits -------------------------------------------------------------------------------------------


def _stand_in_text(error: InputError) -> str:
    """Say loudly that MNIST was not to be had, why, and how to get it."""
    bar = "!" * 78
    return (
        f"{bar}\nTHIS IS NOT MNIST. Training on {DRAWN!r}, digits drawn by lenet-bench itself,\n"
        f"because no data set was asked for by name and MNIST could not be had.\n"
        f"Why: {error}\n{how_to_get(DEFAULT)}\n"
        f"Accuracies on {DRAWN!r} say nothing about MNIST; every row is labelled.\n{bar}"
    )


def _drawn(notify: Callable[[str], None]) -> Dataset:
    """Load the drawn digits from the cache, or draw and cache them."""
    folder = cache_folder() / DRAWN
    arrays = _cached_arrays(folder)
    source = f"drawn by lenet-bench, cache {folder}"
    if arrays is None:
        notify("Drawing 70,000 digits, which takes a few seconds.")
        train, test = drawn_digits.draw_train(), drawn_digits.draw_test()
        arrays = [train.images, train.labels, test.images, test.labels]
        _cache_arrays(folder, arrays, notify)
        source = "drawn by lenet-bench"
    digests = tuple(drawn_digits.content_digest(array) for array in arrays)
    if digests != drawn_digits.CONTENT_SHA256:
        notify(
            f"The digits drawn here have the digests {digests} instead of {drawn_digits.CONTENT_SHA256}: "
            f"this NumPy ({np.__version__}) computes differently. Do not compare with other machines."
        )
    return _dataset(DRAWN, source, arrays, digests)


def _cached_arrays(folder: Path) -> list[np.ndarray] | None:
    """Return the four cached arrays, or None where they are missing or not what drawing them would give."""
    arrays = []
    for file, digest in zip(_CACHED_ARRAYS, drawn_digits.CONTENT_SHA256):
        try:
            array = np.load(folder / file, allow_pickle=False)
        except (OSError, ValueError, EOFError, MemoryError):
            return None
        if not isinstance(array, np.ndarray) or array.dtype != np.uint8:
            return None
        if drawn_digits.content_digest(array) != digest:
            return None
        arrays.append(array)
    return arrays


def _cache_arrays(folder: Path, arrays: list[np.ndarray], notify: Callable[[str], None]) -> None:
    """Keep four arrays for the next time; a cache that cannot be written costs that time, nothing else."""
    for file, array in zip(_CACHED_ARRAYS, arrays):
        part = folder / f".{file}.{os.getpid()}.part"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with part.open("wb") as stream:
                np.save(stream, array, allow_pickle=False)
            os.replace(part, folder / file)
        except OSError as error:
            notify(f"Could not cache the drawn digits in {folder}: {error.strerror or error}. Going on.")
            return
        finally:
            if os.path.lexists(part):
                part.unlink()
