"""The drawn digits: the same bytes everywhere, every class present, and something to learn from."""

from __future__ import annotations

import functools
import hashlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from harness.data import drawn_digits
from harness.data.contact_sheet import contact_sheet
from harness.data.drawn_digits import DrawnDigits, content_digest, draw_test, draw_train
from harness.errors import InputError
from harness.worker.batches import PARTS

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module", autouse=True)
def hands_once() -> Iterator[None]:
    """The hands of a half, most of the time of a small draw, are made once: they are the same for any number."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(drawn_digits, "_hands", functools.cache(drawn_digits._hands))
        yield


@pytest.fixture(scope="module")
def full(drawn_cache: Path) -> tuple[DrawnDigits, DrawnDigits]:
    """Both halves, as they were drawn for this session."""
    arrays = {part: np.load(drawn_cache / "drawn-digits" / f"{part.replace('_', '-')}.npy") for part in PARTS}
    train, test = (DrawnDigits(arrays[f"{half}_images"], arrays[f"{half}_labels"]) for half in ("train", "test"))
    return train, test


def test_small_draw_has_the_bytes_it_always_had() -> None:
    """A small draw of each half has the digests that NumPy 1.23.5 and 2.4.6 gave."""
    train, test = draw_train(200), draw_test(100)
    assert [content_digest(array) for array in (train.images, train.labels, test.images, test.labels)] == [
        "8e896b877d6e7a1671246449f1a226a16003ad0d86c7c14ad2682ef7cec23838",
        "029a114851c7577ad2093d3e1a812e81a06582a7265afbec84ffe200e4727894",
        "dc35ac8d25751a7922b76cec5fb37cb49432088d122c1d1168b4fb3bb98bfdae",
        "ccd160d83bab540e573bb2b7d7fcc847fdb4ef87dc7be2de43a131840e36f437",
    ]


def test_full_set_has_the_bytes_it_always_had(full) -> None:
    """The 60,000 + 10,000 have the digests that the cache is checked against, which are what they were."""
    arrays = [array for half in full for array in (half.images, half.labels)]
    assert tuple(content_digest(array) for array in arrays) == drawn_digits.CONTENT_SHA256
    assert hashlib.sha256("".join(drawn_digits.CONTENT_SHA256).encode()).hexdigest() == (
        "1e89801df0e29b896f1bb30eece6dddb45eede70cb06f6f6a66260aa62edd515"
    )


def test_bytes_do_not_depend_on_the_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    """How many images are rendered at once is a matter of speed only."""
    whole = draw_train(50).images
    monkeypatch.setattr(drawn_digits, "_CHUNK", 7)
    np.testing.assert_array_equal(draw_train(50).images, whole, strict=True)


def test_shapes_and_classes(full) -> None:
    """Images and labels have the declared shapes and dtypes, and each class is there equally often."""
    for half, count in zip(full, (60_000, 10_000), strict=True):
        assert (half.images.shape, half.images.dtype) == ((count, 1, 28, 28), np.uint8)
        assert (half.labels.shape, half.labels.dtype) == ((count,), np.uint8)
        np.testing.assert_array_equal(np.bincount(half.labels), np.full(10, count // 10))


def test_looks_like_mnist_in_the_large(full) -> None:
    """Ink, its spread and the empty border are about MNIST's (mean 33 of 255, 19 % of pixels inked)."""
    images = full[0].images
    assert 25 < images.mean() < 40
    assert 0.15 < (images > 0).mean() < 0.25
    assert images.max(axis=(1, 2, 3)).min() > 150, "each image has ink"
    corners = images[:, 0][:, [0, 0, 27, 27], [0, 27, 0, 27]]
    assert (corners > 0).mean() < 0.001


def test_halves_share_no_image(full) -> None:
    """No test image is a training image, and no two training images are the same."""
    train, test = ({image.tobytes() for image in half.images} for half in full)
    assert len(train) == 60_000
    assert not train & test


def test_labels_belong_to_images(full) -> None:
    """The nearest class mean is right far more often than chance, and wrong often enough to leave work."""
    train, test = full
    means = np.stack([train.images[train.labels == digit].mean(axis=0).ravel() for digit in range(10)])
    pixels = test.images.reshape(len(test.images), -1).astype(np.float64)
    distance = (means**2).sum(axis=1) - 2 * pixels @ means.T
    accuracy = (distance.argmin(axis=1) == test.labels).mean()
    assert 0.5 < accuracy < 0.95


def test_imports_with_numpy_only() -> None:
    """Drawing needs nothing but NumPy and the standard library, as the smallest environments have no more."""
    program = (
        "import sys\n"
        "for name in ('pandas', 'rich', 'pooch', 'requests', 'platformdirs', 'filelock', 'PIL'):\n"
        "    sys.modules[name] = None\n"
        "from harness.data.drawn_digits import draw_train\n"
        "print(draw_train(3).images.shape)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "(3, 1, 28, 28)\n"


def test_contact_sheet_shows_one_class_per_row(tmp_path: Path) -> None:
    """The picture has the asked-for size, and each row shows the first images of its class, enlarged."""
    digits = draw_test(200)
    contact_sheet(tmp_path / "a.png", images=digits.images, labels=digits.labels, columns=5, rows=3, scale=2)
    with Image.open(tmp_path / "a.png") as picture:
        pixels = np.asarray(picture)
    assert pixels.shape == (3 * 56, 5 * 56)
    second_two = digits.images[np.flatnonzero(digits.labels == 2)[1], 0]
    np.testing.assert_array_equal(pixels[2 * 56 : 3 * 56 : 2, 56 : 2 * 56 : 2], second_two)


def test_contact_sheet_refuses_what_does_not_belong_together(tmp_path: Path) -> None:
    """Images and labels of different lengths are refused, and nothing is written."""
    digits = draw_test(20)
    with pytest.raises(InputError, match=r"20 uint8 images, 19 labels"):
        contact_sheet(tmp_path / "a.png", images=digits.images, labels=digits.labels[1:])
    assert not list(tmp_path.iterdir())
