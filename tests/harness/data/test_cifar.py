"""CIFAR-10: folders and archives give the same data, and broken or hostile ones are refused with a sentence."""

from __future__ import annotations

import gzip
import hashlib
import lzma
import os
import re
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from harness.commands.cli import command_line
from harness.data import archive, cifar
from harness.data.cifar import ARCHIVES, FILES, FOLDER, Cifar10
from harness.data.idx import NEXT
from harness.data.sources import Dataset, describe_datasets, how_to_get, load_dataset
from harness.errors import InputError
from harness.runs import preparation

Serve = Callable[[Path], list[str]]
BASELINE_PATH = Path(__file__).parents[3] / "results" / "baselines" / "accuracy.csv"
REAL = os.environ.get("LENET_BENCH_DATA", "")
needs_cifar = pytest.mark.skipif(
    not REAL or len(Cifar10().held(Path(REAL) / "cifar-10")) < len(FILES),
    reason="needs real CIFAR-10: set LENET_BENCH_DATA to a folder that holds cifar-10/",
)
RECORDS = 4  # of each small file


def content(seed: int) -> bytes:
    """Return a small file of the official form."""
    raw = np.random.Philox(key=seed).random_raw
    return b"".join(bytes([int(label) % 10]) + raw(3072 // 8).tobytes() for label in raw(RECORDS))


CONTENTS = {file: content(seed) for seed, file in enumerate(FILES)}
FIRST, SIZE = f"{FOLDER}/{FILES[0]}", len(CONTENTS[FILES[0]])


@pytest.fixture(autouse=True)
def cache(empty_cache: Path) -> Path:
    """Give each test an empty cache and mirrors that refuse at once."""
    return empty_cache


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make the small files the ones that everybody has, and return a new folder `cifar-10`."""
    monkeypatch.setattr(cifar, "RECORDS", RECORDS)
    monkeypatch.setattr(cifar, "SHA256", tuple(hashlib.sha256(raw).hexdigest() for raw in CONTENTS.values()))
    (tmp_path / "data" / "cifar-10").mkdir(parents=True)
    return tmp_path / "data" / "cifar-10"


def silent(text: str) -> None:
    # Where the machine is busy a download takes so long that it is spoken of.
    assert text.startswith("Downloading"), f"nothing was to be said, but: {text}"


def member(name: str, size: int = 0, kind: bytes = tarfile.REGTYPE, **facts: str) -> tarfile.TarInfo:
    """Return what a header says; `facts` go into an extended header."""
    made = tarfile.TarInfo(name)
    made.size, made.type, made.pax_headers = size, kind, facts
    made.linkname = "/etc/passwd" if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE) else ""
    return made


def packed(info: tarfile.TarInfo, raw: bytes = b"", form: int = tarfile.GNU_FORMAT) -> bytes:
    """Return a member as it stands in an archive: header, content, zeros."""
    return info.tobuf(form) + raw + bytes(-len(raw) % archive.BLOCK)


def tar(*members: bytes) -> bytes:
    return b"".join(members) + bytes(2 * archive.BLOCK)


def files(folder: str = f"{FOLDER}/", form: int = tarfile.GNU_FORMAT, **facts: str) -> list[bytes]:
    """Return the six small files as members."""
    return [packed(member(folder + name, len(raw), **facts), raw, form) for name, raw in CONTENTS.items()]


README = packed(member(f"{FOLDER}/readme.html", 88), b"<html>" + bytes(82))
GOOD = tar(packed(member(FOLDER, kind=tarfile.DIRTYPE)), README, *files())


def expected(names: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Return images and labels as the format's description has them: planes of 1,024 bytes after each label."""
    raw = b"".join(CONTENTS[name] for name in names)
    starts = range(0, len(raw), 3073)
    planes = [[raw[at + 1 + 1024 * plane :][:1024] for plane in range(3)] for at in starts]
    images = [[np.frombuffer(plane, np.uint8).reshape(32, 32) for plane in image] for image in planes]
    return np.array(images), np.array([raw[at] for at in starts], np.int32)


def assert_right(loaded: Dataset) -> None:
    """Hold a loaded small data set against its files' bytes."""
    for names, images, labels in (
        (FILES[:5], loaded.train_images, loaded.train_labels),
        (FILES[5:], loaded.test_images, loaded.test_labels),
    ):
        right = expected(names)
        np.testing.assert_array_equal(images, right[0], strict=True)
        np.testing.assert_array_equal(labels, right[1], strict=True)
    digests = "\n".join(hashlib.sha256(raw).hexdigest() for raw in CONTENTS.values())
    assert (loaded.name, loaded.classes) == ("cifar-10", 10)
    assert loaded.sha256 == hashlib.sha256(digests.encode()).hexdigest()


# --- good ones ----------------------------------------------------------------------------------------------


@needs_cifar
def test_real_data_set() -> None:
    """The real data set has its shapes, its first labels, its class sizes and its channels in the order R, G, B."""
    loaded = load_dataset("cifar-10", data_dir=Path(REAL), notify=silent)
    assert (loaded.train_images.shape, loaded.train_images.dtype) == ((50_000, 3, 32, 32), np.uint8)
    assert (loaded.test_images.shape, loaded.test_images.dtype) == ((10_000, 3, 32, 32), np.uint8)
    assert (loaded.train_labels.dtype, loaded.test_labels.dtype) == (np.int32, np.int32)
    assert (loaded.train_labels[:5].tolist(), loaded.test_labels[:5].tolist()) == ([6, 9, 9, 4, 1], [3, 8, 8, 0, 6])
    assert np.bincount(loaded.train_labels).tolist() == [5_000] * 10
    assert np.bincount(loaded.test_labels).tolist() == [1_000] * 10
    # The means that are usually subtracted from its images: 0.4914, 0.4822, 0.4465.
    means = [loaded.train_images[:, channel].mean() / 255 for channel in range(3)]
    np.testing.assert_allclose(means, [0.4914, 0.4822, 0.4465], atol=1e-4)


@pytest.mark.parametrize(("name", "pack"), [*zip(ARCHIVES, (gzip.compress, lzma.compress, bytes))], ids=ARCHIVES)
@pytest.mark.parametrize("own", [True, False], ids=["own folder", "given folder"])
def test_archives(small: Path, name: str, pack: Callable[[bytes], bytes], own: bool) -> None:
    """Gzipped, xz or plain, in a folder `cifar-10` or directly in the one given: the same data, nothing unpacked."""
    place = small if own else small.parent
    (place / name).write_bytes(pack(GOOD))
    loaded = load_dataset("cifar-10", data_dir=small.parent, notify=silent)
    assert_right(loaded)
    assert loaded.source == f"folder {place}"
    assert [path for path in small.parent.rglob("*") if path.is_file()] == [place / name]


@pytest.mark.parametrize("folder", [FOLDER, ""])
def test_unpacked_files(small: Path, folder: str) -> None:
    """The six files, in the archive's folder or without it, are read before an archive is."""
    (small / folder).mkdir(exist_ok=True)
    for name, raw in CONTENTS.items():
        (small / folder / name).write_bytes(raw)
    (small / ARCHIVES[0]).write_bytes(b"not looked at")
    assert_right(load_dataset("cifar-10", data_dir=small.parent, notify=silent))
    assert_right(load_dataset("cifar-10", data_dir=small, notify=silent))


HEADER_OF_NEXT = packed(member(f"PaxHeaders.7/{FILES[0]}", 13, tarfile.XHDTYPE), b"13 mtime=1.5\n")
UNUSUAL = {
    "without folder": tar(*files("")),
    "dot": tar(*files("./")),
    "long path": tar(*files(f"{'p' * 120}/", tarfile.USTAR_FORMAT)),
    "extended headers": tar(*files(form=tarfile.PAX_FORMAT, mtime="1.5")),
    "extended header under a file's name": tar(HEADER_OF_NEXT, *files()),
    "link of another name": tar(packed(member("latest", 999, tarfile.LNKTYPE)), *files()),  # a link has no content
    "other files": tar(README, *files(), README, packed(member("last", 2**21), bytes(2**21))),
    "content after the end": GOOD + b"junk",
    "another order": tar(*reversed(files())),
}


@pytest.mark.parametrize("raw", UNUSUAL.values(), ids=UNUSUAL.keys())
def test_archives_packed_by_others(small: Path, raw: bytes) -> None:
    """An archive that somebody packed anew gives the same data: its files' content counts, not how it is packed."""
    (small / ARCHIVES[2]).write_bytes(raw)
    assert_right(load_dataset("cifar-10", data_dir=small.parent, notify=silent))


def test_argument_before_environment_before_cache(
    small: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder passed wins over LENET_BENCH_DATA, which wins over the cache."""
    for folder in (small, cache / "cifar-10", tmp_path / "by variable"):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ARCHIVES[1]).write_bytes(lzma.compress(GOOD))
    assert load_dataset("cifar-10", notify=silent).source == f"cache {cache / 'cifar-10'}"
    monkeypatch.setenv("LENET_BENCH_DATA", str(tmp_path / "by variable"))
    assert load_dataset("cifar-10", notify=silent).source == f"folder {tmp_path / 'by variable'}"
    assert load_dataset("cifar-10", data_dir=small.parent, notify=silent).source == f"folder {small}"


def test_describe(small: Path) -> None:
    """The list says where it is and how large, packed and unpacked, without looking into it."""
    (small / ARCHIVES[1]).write_bytes(b"12345")
    row = describe_datasets(small.parent)[2]
    assert (row.name, row.present, row.place, row.size_bytes) == ("cifar-10", True, str(small), 5)
    for name in FILES:
        (small / name).write_bytes(b"123")
    assert describe_datasets(small.parent)[2].size_bytes == 18


# --- broken and hostile ones --------------------------------------------------------------------------------


def instead(info: tarfile.TarInfo, raw: bytes = b"") -> bytes:
    """Return an archive with another member in the place of the first file."""
    return tar(packed(info, raw), *files()[1:])


def beside(name: str, size: int = 0) -> bytes:
    """Return an archive with one more header before the files."""
    return tar(packed(member(name, size)), *files())


PACKED, XZ = gzip.compress(GOOD), lzma.compress(GOOD)
JUNK = gzip.compress(packed(member("junk", 2**20), bytes(2**20)))
AT_MOST = f"at most {archive.MAX_CONTENT:,} bytes"
HOSTILE = {
    "truncated gzip": (PACKED[:-999], ["complete archive", f"after {len(PACKED) - 999:,} bytes"]),
    "truncated xz": (XZ[:-999], ["complete archive"]),
    "truncated tar": (GOOD[:-9999], ["complete archive"]),
    "no end": (GOOD[: -2 * archive.BLOCK], ["complete archive"]),
    "corrupt gzip": (PACKED[:12] + b"\xff" * 8 + PACKED[20:], ["corrupt"]),
    "corrupt xz": (XZ[:8] + bytes(4) + XZ[12:], ["corrupt"]),
    "web page": (b"<!DOCTYPE html>" * 99, ["a tar archive", "no header"]),
    "empty": (b"", ["complete archive", "after 0 bytes"]),
    "nothing in it": (tar(), ["6 files", "without data_batch_1.bin, data_batch_2.bin"]),
    "one missing": (tar(*files()[:-1]), ["without test_batch.bin"]),
    "one twice": (tar(*files(), files()[2]), ["data_batch_3.bin", "twice"]),
    "one twice, in two folders": (tar(*files(), *files("other/")), ["other/data_batch_1.bin", "twice"]),
    "path that climbs": (beside("../../data_batch_1.bin"), ["'../../data_batch_1.bin'", "leads out"]),
    "path that climbs later": (beside("a/../../b"), ["'a/../../b'", "leads out"]),
    "long path that climbs": (tar(*files(f"../{'p' * 120}/", tarfile.USTAR_FORMAT)), ["/data_batch_1.bin'", "out"]),
    "absolute path": (beside("/etc/passwd"), ["'/etc/passwd'", "leads out"]),
    "escape sequence": (beside("/\x1b[31mred"), [r"'/\x1b[31mred'", "leads out"]),
    "symbolic link": (instead(member(FIRST, kind=tarfile.SYMTYPE)), [FIRST, "a symbolic link"]),
    "hard link": (instead(member(FIRST, kind=tarfile.LNKTYPE)), [FIRST, "a hard link"]),
    "device": (instead(member(FIRST, kind=tarfile.BLKTYPE)), [FIRST, "a device"]),
    "pipe": (instead(member(FIRST, kind=tarfile.FIFOTYPE)), [FIRST, "a pipe"]),
    "folder": (instead(member(FIRST, kind=tarfile.DIRTYPE)), [FIRST, "a folder"]),
    "sparse file": (instead(member(FIRST, SIZE, kind=tarfile.GNUTYPE_SPARSE)), [FIRST, "the type 'S'"]),
    "too short": (instead(member(FIRST, 9), b"too short"), [FIRST, f"{SIZE:,} bytes", "found 9"]),
    "huge": (instead(member(FIRST, 2**40)), [FIRST, f"{SIZE:,} bytes", "found 1,099,511,627,776"]),
    "huge, of another name": (beside("readme.html", 2**40), [AT_MOST]),
    "huge extended header": (tar(packed(member("x", 2**32, tarfile.XHDTYPE)), *files()), [AT_MOST]),
    "negative size": (beside("readme.html", -archive.BLOCK), ["no header"]),
    "broken header": (b"?" + GOOD[1:], ["no header"]),
    "unpacks without end": (JUNK * 300, [AT_MOST]),
    "headers without end": (gzip.compress(packed(member("a")) * 2000), ["at most 1,000 files"]),
    "streams without end": (gzip.compress(b"") * 9_999 + PACKED, ["more than 4,096 streams"]),
}


def refused(path: Path, call: Callable[[], object]) -> str:
    """Return the message of a refusal, one sentence that names the file, what was wrong and what to do."""
    with pytest.raises(InputError) as caught:
        call()
    message = str(caught.value)
    assert message.startswith(f"{path}: expected ")
    assert "; found" in message
    assert message.endswith(NEXT)
    assert "\n" not in message
    assert caught.value.exit_code == 2
    return message


@pytest.mark.parametrize(("raw", "said"), HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_archive_is_refused(small: Path, tmp_path: Path, raw: bytes, said: list[str]) -> None:
    """A broken or hostile archive is refused with a sentence, whatever its name, and nothing is written."""
    path = small / ARCHIVES[0]
    path.write_bytes(raw)
    message = refused(path, lambda: load_dataset("cifar-10", data_dir=small.parent, notify=silent))
    for part in said:
        assert part in message
    assert [each for each in tmp_path.rglob("*") if not each.is_dir()] == [path]


@pytest.mark.parametrize("raw", [raw for raw, _ in HOSTILE.values()], ids=HOSTILE.keys())
def test_hostile_download_is_not_cached(small: Path, cache: Path, serve_folder: Serve, raw: bytes) -> None:
    """A mirror's broken or hostile archive is refused, and nothing of it stays."""
    (small / ARCHIVES[0]).write_bytes(raw)
    fetched = serve_folder(small.parent)
    with pytest.raises(InputError, match=r"'cifar-10' cannot be had[\s\S]*refused what it sent: expected .*; found"):
        load_dataset("cifar-10", notify=silent)
    assert fetched == [f"/cifar-10/{ARCHIVES[0]}"]
    assert [path.name for path in cache.rglob("*") if path.is_file()] in ([], [".download.lock"])


@pytest.mark.parametrize("packs", [True, False], ids=["archive", "folder"])
def test_wrong_content(small: Path, packs: bool) -> None:
    """One changed bit is refused with the file's name and both digests, in an archive and in a folder."""
    wrong = bytearray(CONTENTS[FILES[4]])
    wrong[-1] ^= 1
    for name, raw in (CONTENTS | {FILES[4]: bytes(wrong)}).items():
        (small / name).write_bytes(raw)
    path = small / FILES[4]
    if packs:
        members = [packed(member(name, SIZE), (small / name).read_bytes()) for name in FILES]
        small.joinpath(FILES[0]).unlink()
        path = small / ARCHIVES[2]
        path.write_bytes(tar(*members))
    message = refused(path, lambda: load_dataset("cifar-10", data_dir=small.parent, notify=silent))
    for part in (FILES[4], hashlib.sha256(wrong).hexdigest(), cifar.SHA256[4]):
        assert part in message


def test_label_that_is_no_class(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A label of 10 is refused with its place, even where the digest is the expected one."""
    wrong = bytearray(CONTENTS[FILES[1]])
    wrong[2 * 3073] = 10
    digests = list(cifar.SHA256)
    digests[1] = hashlib.sha256(wrong).hexdigest()
    monkeypatch.setattr(cifar, "SHA256", tuple(digests))
    for name, raw in (CONTENTS | {FILES[1]: bytes(wrong)}).items():
        (small / name).write_bytes(raw)
    message = refused(small / FILES[1], lambda: load_dataset("cifar-10", data_dir=small.parent, notify=silent))
    assert f"labels from 0 to 9 in {FILES[1]}; found 10 in record 2" in message


def test_broken_folder(small: Path) -> None:
    """Five of six files, or one of another size, are refused with what is missing or with both sizes."""
    for name, raw in CONTENTS.items():
        (small / name).write_bytes(raw)
    (small / FILES[-1]).write_bytes(CONTENTS[FILES[-1]] + b"!")
    message = refused(small / FILES[-1], lambda: load_dataset("cifar-10", data_dir=small.parent, notify=silent))
    assert f"{SIZE:,} bytes; found {SIZE + 1:,}" in message
    (small / FILES[-1]).unlink()
    found = f"{re.escape(str(small))}: expected the 6 files of cifar-10; found 5, without {FILES[-1]}"
    with pytest.raises(InputError, match=found):
        load_dataset("cifar-10", data_dir=small.parent, notify=silent)


@pytest.mark.parametrize(("make", "said"), [(os.mkfifo, "pipe"), (lambda path: path.symlink_to("no"), "No such file")])
@pytest.mark.parametrize("name", [ARCHIVES[1], FILES[-1]])
def test_what_is_no_file(small: Path, name: str, make: Callable[[Path], None], said: str) -> None:
    """A pipe (which must not be waited on) and a link to nowhere are refused, as an archive and as a file."""
    if name in FILES:
        for other in FILES[:-1]:
            (small / other).write_bytes(CONTENTS[other])
    make(small / name)
    assert said in refused(small / name, lambda: load_dataset("cifar-10", data_dir=small.parent, notify=silent))


# --- downloads, and the command line ------------------------------------------------------------------------


def test_download_then_cache(small: Path, cache: Path, serve_folder: Serve) -> None:
    """What is nowhere is downloaded, one archive, and comes from the cache the next time."""
    (small / ARCHIVES[0]).write_bytes(PACKED)
    fetched, said = serve_folder(small.parent), list[str]()
    first = load_dataset("cifar-10", notify=said.append)
    assert_right(first)
    assert first.source.startswith("downloaded from http://127.0.0.1:")
    assert len(said) == 1
    again = load_dataset("cifar-10", notify=silent)
    assert_right(again)
    assert again.source == f"cache {cache / 'cifar-10'}"
    assert fetched == [f"/cifar-10/{ARCHIVES[0]}"]
    assert sorted(path.name for path in (cache / "cifar-10").iterdir()) == [".download.lock", ARCHIVES[0]]


def test_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The advice names the folder, each archive, the files and the address, and an absent data set ends with it."""
    monkeypatch.delenv("LENET_BENCH_MIRRORS")
    advice = how_to_get("cifar-10")
    for part in ("DIR/cifar-10/", *ARCHIVES, FOLDER, *FILES, "https://www.cs.toronto.edu/~kriz/"):
        assert part in advice
    with pytest.raises(InputError, match="'cifar-10' cannot be had") as absent:
        load_dataset("cifar-10", offline=True)
    assert str(absent.value).endswith(advice)


def test_command_refuses_a_broken_archive(cli: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    """`data --get` ends with exit code 2 and the sentence; `data` lists what is there without looking into it."""
    (tmp_path / ARCHIVES[0]).write_bytes(PACKED)
    code, out, err = cli("data", "--get", "cifar-10", "--data-dir", str(tmp_path))
    assert (code, out) == (2, "")
    assert f"expected {FIRST!r} to have 30,730,000 bytes; found {SIZE:,}. {NEXT}" in " ".join(err.split())
    assert "Traceback" not in err
    code, out, _ = cli("data", "--data-dir", ".")  # where it runs: a short path is not folded
    assert code == 0
    assert ["cifar-10", "50,000", "10,000", "yes", "."] in [line.split() for line in out.splitlines()]


@pytest.mark.parametrize("command", ["run", "verify", "gate", "selftest"])
def test_images_that_do_not_fit(
    small: Path, mutants: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    """A network for one channel refuses CIFAR-10 with exit code 2, both shapes and what to choose."""
    (small / ARCHIVES[0]).write_bytes(PACKED)
    loaded = load_dataset("cifar-10", data_dir=small.parent)
    monkeypatch.setattr(preparation, "load", lambda *_: loaded)
    monkeypatch.chdir(small)
    options = ["--baseline", str(BASELINE_PATH)] if command == "gate" else []
    monkeypatch.setattr(sys, "argv", ["lenet-bench", command, "-b", "numpy", "--data-set", "cifar-10", *options])
    code = command_line()
    said = " ".join(capsys.readouterr().err.split())
    assert code == 2
    for part in ("lenet5 takes images of 1x32x32", "those of cifar-10 are 3x32x32", "--data-set or --network"):
        assert part in said
