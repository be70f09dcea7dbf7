"""Where data sets come from: each place in turn, every content verified, nothing replaced in silence."""

from __future__ import annotations

import gzip
import hashlib
import lzma
import os
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from harness.data import sources
from harness.data.sources import DATASETS, FILES, describe_datasets, load_dataset
from harness.errors import InputError
from tests.harness.data.helpers import same_arrays, silent

REAL = os.environ.get("LENET_BENCH_DATA", "")
needs_mnist = pytest.mark.skipif(
    not REAL, reason="needs real MNIST and Fashion-MNIST: set LENET_BENCH_DATA to a folder with both"
)


@pytest.fixture(autouse=True)
def cache(empty_cache: Path) -> Path:
    """Give each test an empty cache and mirrors that refuse at once."""
    return empty_cache


def content(seed: int) -> list[bytes]:
    """Return the four raw contents of a small data set."""
    raw = np.random.Philox(key=seed).random_raw
    made = []
    for count in (20, 10):
        made.append(struct.pack(">IIII", 0x803, count, 28, 28) + raw(count * 98).tobytes())
        made.append(struct.pack(">II", 0x801, count) + bytes(int(value) % 10 for value in raw(count)))
    return made


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with small data sets under the real names, which the table of digests knows."""
    for seed, name in enumerate(("mnist", "fashion-mnist")):
        (tmp_path / "small" / name).mkdir(parents=True)
        for file, raw in zip(FILES, content(seed)):
            (tmp_path / "small" / name / f"{file}.gz").write_bytes(gzip.compress(raw))
        digests = tuple(hashlib.sha256(raw).hexdigest() for raw in content(seed))
        monkeypatch.setitem(sources.SHA256, name, digests)
    return tmp_path / "small"


@pytest.fixture
def mirror(small: Path, serve_folder: Callable[[Path], list[str]]) -> list[str]:
    """Serve the small data sets from this machine, and return the list of paths that were fetched."""
    return serve_folder(small)


# --- real data ----------------------------------------------------------------------------------------------


@needs_mnist
@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_real_data_set(name: str) -> None:
    """The real files load with the right shapes, dtypes and known content."""
    loaded = load_dataset(name, data_dir=Path(REAL), notify=silent)
    assert (loaded.train_images.shape, loaded.train_images.dtype) == ((60_000, 1, 28, 28), np.uint8)
    assert (loaded.test_images.shape, loaded.test_images.dtype) == ((10_000, 1, 28, 28), np.uint8)
    assert (loaded.train_labels.shape, loaded.train_labels.dtype) == ((60_000,), np.int32)
    assert (loaded.test_labels.shape, loaded.test_labels.dtype) == ((10_000,), np.int32)
    first = {"mnist": [5, 0, 4, 1, 9], "fashion-mnist": [9, 0, 0, 3, 0]}[name]
    assert loaded.train_labels[:5].tolist() == first
    assert (
        loaded.sha256
        == {
            "mnist": "ca679089cd9dd461d7b26e36e51216fc71f9271f8082e09656a7c1d29a50483b",
            "fashion-mnist": "697249e9d1e87d6b2c6a738e828c890264cffecccb13840d472e3585751a5582",
        }[name]
    )


@needs_mnist
def test_one_changed_bit_in_real_data_is_found(tmp_path: Path) -> None:
    """A copy of MNIST with one label changed is refused with both digests."""
    copy = shutil.copytree(Path(REAL) / "mnist", tmp_path / "mnist")
    labels = copy / f"{FILES[1]}.gz"
    raw = bytearray(gzip.decompress(labels.read_bytes()))
    raw[-1] ^= 1
    labels.chmod(0o644)
    labels.write_bytes(gzip.compress(bytes(raw)))
    with pytest.raises(InputError) as refused:
        load_dataset("mnist", data_dir=tmp_path)
    for part in (str(labels), sources.SHA256["mnist"][1], hashlib.sha256(raw).hexdigest(), "expected", "found"):
        assert part in str(refused.value)


# --- places and their order ---------------------------------------------------------------------------------


def test_layouts_give_the_same_data(small: Path, tmp_path: Path) -> None:
    """Subfolder or files directly, gzipped or plain: the same arrays and the same digest."""
    packed = load_dataset("mnist", data_dir=small, notify=silent)
    (tmp_path / "plain").mkdir()
    for file in FILES:
        raw = gzip.decompress((small / "mnist" / f"{file}.gz").read_bytes())
        (tmp_path / "plain" / file).write_bytes(raw)
    for folder in (small / "mnist", tmp_path / "plain"):
        other = load_dataset("mnist", data_dir=folder, notify=silent)
        assert same_arrays(packed, other)
        assert other.sha256 == packed.sha256
        assert str(folder) in other.source
    expected = np.frombuffer(content(0)[0][16:], np.uint8).reshape(20, 1, 28, 28)
    np.testing.assert_array_equal(packed.train_images, expected)
    np.testing.assert_array_equal(packed.test_labels, np.frombuffer(content(0)[3][8:], np.uint8))


LAYOUTS: dict[str, Callable[[str], str]] = {
    "torchvision": lambda file: f"MNIST/raw/{file}.gz",
    "raw": lambda file: f"raw/{file}.gz",
    "dots": lambda file: f"{file.replace('-idx', '.idx')}.gz",
    "dots in folders of their name": lambda file: f"{file.replace('-idx', '.idx')}/{file.replace('-idx', '.idx')}",
    "xz": lambda file: f"mnist/{file}.xz",
}


@pytest.mark.parametrize("name_of", LAYOUTS.values(), ids=LAYOUTS.keys())
def test_layouts_of_others_are_found(small: Path, tmp_path: Path, name_of: Callable[[str], str]) -> None:
    """Names and folders that other programs and sites give these files, and another packing."""
    for file in FILES:
        raw = gzip.decompress((small / "mnist" / f"{file}.gz").read_bytes())
        path = tmp_path / "theirs" / name_of(file)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes({".gz": gzip.compress, ".xz": lzma.compress}.get(path.suffix, bytes)(raw))
    found = load_dataset("mnist", data_dir=tmp_path / "theirs", notify=silent)
    assert same_arrays(found, load_dataset("mnist", data_dir=small, notify=silent))
    with pytest.raises(InputError, match="'fashion-mnist' cannot be had"):
        load_dataset("fashion-mnist", data_dir=tmp_path / "theirs", offline=True)


def test_what_is_not_taken_is_named(tmp_path: Path) -> None:
    """Other forms of the same data are seen, named, and not opened; of very many, a few."""
    names = ["mnist.npz", "train.csv", "train-00000.parquet", "cifar-10-python.tar.gz", "cifar-10-batches-py"]
    for name in [*names, *(f"z{number}.csv" for number in range(99))]:
        (tmp_path / name).touch()
    with pytest.raises(InputError) as refused:
        load_dataset("mnist", data_dir=tmp_path, offline=True)
    for name in names:
        assert f"Seen and not taken: {tmp_path / name} (" in str(refused.value)
    assert str(refused.value).count("Seen and not taken") == len(names)


def test_home_is_expanded(small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`~` in the variable, and in what the command line hands on; one of nobody's is a sentence."""
    monkeypatch.setenv("HOME", str(small.parent))
    monkeypatch.setenv("LENET_BENCH_DATA", "~/small")
    for folder in (None, Path("~/small")):
        assert load_dataset("mnist", data_dir=folder, notify=silent).source == f"folder {small / 'mnist'}"
    monkeypatch.setenv("LENET_BENCH_DATA", "~nobody-of-this-name/data")
    with pytest.raises(InputError, match="LENET_BENCH_DATA names '~nobody-of-this-name/data'"):
        load_dataset("mnist", data_dir=Path("~nobody-of-this-name/data"))


def test_argument_before_environment_before_cache(small, cache, tmp_path, monkeypatch) -> None:
    """The folder passed wins over LENET_BENCH_DATA, which wins over the cache."""
    shutil.copytree(small, cache)
    shutil.copytree(small, tmp_path / "by variable")
    assert load_dataset("mnist", notify=silent).source == f"cache {cache / 'mnist'}"
    monkeypatch.setenv("LENET_BENCH_DATA", str(tmp_path / "by variable"))
    assert load_dataset(notify=silent).source == f"folder {tmp_path / 'by variable' / 'mnist'}"
    assert load_dataset(data_dir=small, notify=silent).source == f"folder {small / 'mnist'}"


def test_loose_files_of_another_data_set_are_not_taken(small: Path, cache: Path) -> None:
    """Files that lie directly in the folder belong to the data set of their content: the names are alike."""
    loose = small / "loose"
    shutil.copytree(small / "fashion-mnist", loose)
    shutil.copytree(small / "mnist", cache / "mnist")
    assert load_dataset("fashion-mnist", data_dir=loose).source == f"folder {loose}"
    assert load_dataset("mnist", data_dir=loose).source == f"cache {cache / 'mnist'}"


def test_folder_that_does_not_exist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that is not there is an error, whoever named it and whatever is asked for."""
    with pytest.raises(InputError, match=r"--data-dir names .*nowhere"):
        load_dataset(data_dir=tmp_path / "nowhere")
    monkeypatch.setenv("LENET_BENCH_DATA", str(tmp_path / "nowhere"))
    for call in (load_dataset, describe_datasets):
        with pytest.raises(InputError, match=r"LENET_BENCH_DATA names .*nowhere"):
            call()


@pytest.mark.parametrize("where", ["folder", "cache"])
@pytest.mark.parametrize("name", [None, "mnist"])
def test_broken_file_is_never_passed_over(small, cache, mirror, where: str, name: str | None) -> None:
    """A broken file ends it, by name or not, although a mirror has a good one and digits could be drawn."""
    folder = shutil.copytree(small, cache) if where == "cache" else shutil.copytree(small, cache / "given")
    broken = folder / "mnist" / f"{FILES[2]}.gz"
    broken.write_bytes(broken.read_bytes()[:-20])
    with pytest.raises(InputError, match="complete gzip or xz stream") as refused:
        load_dataset(name, data_dir=None if where == "cache" else folder)
    assert str(broken) in str(refused.value)
    assert mirror == []


def test_swapped_data_sets_are_recognised(small: Path) -> None:
    """Fashion-MNIST's files in a folder called mnist are refused with whose they are."""
    shutil.rmtree(small / "mnist")
    shutil.copytree(small / "fashion-mnist", small / "mnist")
    with pytest.raises(InputError, match="a file of fashion-mnist"):
        load_dataset("mnist", data_dir=small)


def test_incomplete_folder(small: Path) -> None:
    """A given folder that lacks one of the four files is refused with the missing name."""
    (small / "mnist" / f"{FILES[3]}.gz").unlink()
    with pytest.raises(InputError, match=f"found 3, without {FILES[3]}"):
        load_dataset(data_dir=small)


def test_unknown_name() -> None:
    """A name that is not in the list is refused with the list and the nearest one."""
    with pytest.raises(InputError, match=r"no data set 'minst'.*drawn-digits, fashion-mnist, mnist.*'mnist'"):
        load_dataset("minst")
    assert set(DATASETS) == {"mnist", "fashion-mnist", "cifar-10", "drawn-digits"}


# --- downloads ----------------------------------------------------------------------------------------------


def test_download_then_cache(small: Path, cache: Path, mirror: list[str]) -> None:
    """What is nowhere is downloaded, four files, and comes from the cache the next time."""
    said: list[str] = []
    first = load_dataset("mnist", notify=said.append)
    assert first.source.startswith("downloaded from http://127.0.0.1:")
    assert mirror == [f"/mnist/{file}.gz" for file in FILES]
    # Where the machine is busy, a line says in between what is being downloaded.
    assert sum(text.startswith("Downloaded ") for text in said) == 4
    again = load_dataset("mnist", notify=silent)
    assert again.source == f"cache {cache / 'mnist'}"
    assert same_arrays(first, again)
    assert len(mirror) == 4


def test_interrupted_download_goes_on(small: Path, cache: Path, mirror: list[str]) -> None:
    """Only what the cache lacks is downloaded."""
    (cache / "mnist").mkdir(parents=True)
    shutil.copy(small / "mnist" / f"{FILES[0]}.gz", cache / "mnist")
    load_dataset("mnist", notify=lambda text: None)
    assert mirror == [f"/mnist/{file}.gz" for file in FILES[1:]]


def test_wrong_content_is_not_cached(small: Path, cache: Path, mirror: list[str]) -> None:
    """A mirror's good IDX file with other content is refused, nothing of it stays, no other file is tried."""
    shutil.copy(small / "fashion-mnist" / f"{FILES[0]}.gz", small / "mnist")
    with pytest.raises(InputError, match=f"expected the {FILES[0]} of mnist .*found .*fashion-mnist"):
        load_dataset("mnist")
    assert mirror == [f"/mnist/{FILES[0]}.gz"]
    assert [path.name for path in (cache / "mnist").iterdir() if path.name != ".download.lock"] == []


@pytest.mark.parametrize("by_variable", [True, False])
def test_offline_asks_no_mirror(mirror, monkeypatch, by_variable: bool) -> None:
    """Offline, by argument or variable, means that no mirror is asked, and the error says how to get it."""
    if by_variable:
        monkeypatch.setenv("LENET_BENCH_OFFLINE", "1")
    with pytest.raises(InputError) as refused:
        load_dataset("fashion-mnist", offline=not by_variable)
    for part in (
        "'fashion-mnist'",
        "switched off",
        "LENET_BENCH_DATA",
        *FILES,
        *sources.mirrors_of("fashion-mnist"),
    ):
        assert part in str(refused.value)
    assert mirror == []
    monkeypatch.setenv("LENET_BENCH_OFFLINE", "0")
    assert load_dataset("fashion-mnist", notify=lambda text: None).name == "fashion-mnist"


# --- the list -----------------------------------------------------------------------------------------------


def test_describe_reads_no_network(small: Path, cache: Path, mirror: list[str], few_drawn: list[str]) -> None:
    """The list says what is where and how large, and neither downloads nor draws anything."""
    shutil.copytree(small / "mnist", cache / "mnist")
    mnist, fashion, cifar, drawn = describe_datasets()
    assert (mnist.name, mnist.present, mnist.place) == ("mnist", True, str(cache / "mnist"))
    assert mnist.size_bytes == sum(path.stat().st_size for path in (cache / "mnist").iterdir())
    assert (fashion.name, fashion.present, fashion.size_bytes) == ("fashion-mnist", False, 0)
    assert fashion.place.startswith("download from http://127.0.0.1:")
    assert (cifar.name, cifar.present, cifar.train, cifar.test) == ("cifar-10", False, 50_000, 10_000)
    assert cifar.place.endswith("/cifar-10/")
    assert (drawn.name, drawn.present, drawn.train, drawn.test) == ("drawn-digits", True, 60_000, 10_000)
    by_folder = describe_datasets(small)[1]
    assert (by_folder.present, by_folder.place) == (True, str(small / "fashion-mnist"))
    assert mirror == few_drawn == []
