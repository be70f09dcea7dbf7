"""Draw the embedded data set: ten handwritten-like digits made of strokes, the same bytes on every machine.

A digit is a handful of strokes through control points. Each glyph is bent into a pool of hands (jittered
control points), and each hand becomes a field of distances to the nearest stroke. One image is such a field,
sampled at coordinates that were rotated, scaled, sheared, warped and shifted, and cut at the pen's thickness.

Bit-reproducible on purpose: randomness is raw Philox output only (NumPy promises raw streams, not the methods
of `Generator`), and arithmetic is + - * / sqrt floor and comparisons only, one IEEE-exact ufunc at a time. No
sin, exp, matmul or sum: their last bits differ between NumPy versions and processors.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

SIZE = 28
CLASSES = 10
TRAIN_COUNT = 60_000
TEST_COUNT = 10_000

# SHA-256 of the four arrays of the full set, in this order: images and labels to train on, then to test on.
CONTENT_SHA256 = (
    "073c02af28ece6add899b4bb753228f72dc72c19a66dd86d1a0ff723b1e2baa1",
    "416a2e67aa0b82d0176aec4471e3ce225d87b953ff1ef10e059806dfc163b8bd",
    "6c9ebd0f4ecdf2f666b859d1d2ccb86e1bd46a3051530c5c547b33ad40aed434",
    "1a50d4f5fb3189deb41cc6cfa10905b6678d6097d6cdc54270300f58bd9cbacf",
)

_SEED = 0x1E4E7  # any constant will do, but changing it changes every byte
_HANDS = 40  # jittered copies of each glyph
_JITTER = 7.0  # how far a control point may move, in glyph units (a glyph is about 100 high)
_STEPS = 6  # straight pieces per spline span
_GRID = 72  # the distance field has _GRID x _GRID nodes ...
_REACH = 0.75  # ... over [-_REACH, _REACH] in both axes, the glyph itself lying within [-0.5, 0.5]
_CHUNK = 1000  # images rendered at once; the bytes do not depend on it
_PARAMETERS = 22  # random numbers per image, besides the grain

# One row per way of writing a digit: the digit and its strokes, each a smooth curve through "x,y" points, y
# down. A stroke that ends where it begins is a closed loop. A corner is the end of one stroke on another.
_GLYPHS: tuple[tuple[int, tuple[str, ...]], ...] = (
    (0, ("38,2 60,16 66,48 58,82 34,98 12,84 5,52 14,18 38,2",)),
    (0, ("50,10 34,2 14,18 6,52 14,86 36,98 58,82 64,48 54,16 38,6",)),
    (1, ("38,1 35,50 32,99",)),
    (1, ("16,24 27,15 38,3", "38,3 37,50 36,98")),
    (1, ("18,24 29,15 38,3", "38,3 38,50 37,96", "16,97 37,96 58,96")),
    (2, ("8,26 16,9 36,2 55,12 56,32 42,56 24,77 8,95", "8,95 36,93 66,95")),
    (2, ("10,22 24,5 46,5 56,24 46,54 26,84 10,94 6,84 18,78 42,92 68,90",)),
    (3, ("10,14 28,2 51,8 54,28 41,42 24,47", "24,47 47,51 60,70 50,91 28,98 6,87")),
    (3, ("10,6 34,5 57,4", "57,4 43,22 28,42", "28,42 50,48 60,70 48,92 26,98 6,88")),
    (4, ("50,3 29,32 6,65", "6,65 36,65 70,63", "50,3 49,50 47,98")),
    (4, ("16,4 11,30 8,54", "8,54 34,56 62,50", "60,6 56,52 50,98")),
    (4, ("16,4 9,34 18,52 40,50 57,36", "60,4 57,50 53,98")),
    (5, ("60,5 40,5 20,7", "20,7 17,25 13,45", "13,45 34,38 55,50 58,72 45,92 24,98 5,88")),
    (5, ("16,10 15,28 12,44", "12,44 34,40 52,54 54,76 40,95 20,98 4,90", "16,10 38,8 64,3")),
    (6, ("50,3 28,20 12,50 10,78 26,97 48,92 58,74 46,57 28,58 13,74",)),
    (6, ("36,1 18,30 9,62 13,88 32,98 52,88 54,68 38,60 20,68 12,82",)),
    (7, ("8,8 36,7 64,5", "64,5 45,48 30,98")),
    (7, ("8,9 36,8 64,5", "64,5 45,48 30,98", "22,53 40,50 60,49")),
    (7, ("8,24 11,8 34,11 60,6", "60,6 48,40 40,98")),
    (8, ("54,14 36,2 17,12 18,32 36,48 55,66 56,87 34,98 12,87 14,66 36,48 53,32 54,14",)),
    (8, ("35,2 52,10 53,32 36,45 18,33 18,12 35,2", "36,45 57,58 59,84 35,98 12,84 14,58 36,45")),
    (9, ("57,22 42,3 20,8 10,30 22,48 42,44 57,22", "58,8 56,50 50,98")),
    (9, ("56,24 42,4 20,8 11,30 22,47 43,42 56,22 57,50 50,82 32,98 12,90",)),
)


@dataclass(frozen=True)
class DrawnDigits:
    """One half of the data set: `images` uint8 (n, 1, 28, 28), ink is 255; `labels` uint8 (n,), 0 to 9."""

    images: np.ndarray
    labels: np.ndarray


def draw_train(count: int = TRAIN_COUNT) -> DrawnDigits:
    """Draw the training half (60,000 images); a smaller `count` gives a data set of its own, not a part."""
    return _draw(count, half=0)


def draw_test(count: int = TEST_COUNT) -> DrawnDigits:
    """Draw the test half (10,000 images), written by other hands than the training half."""
    return _draw(count, half=1)


def content_digest(array: np.ndarray) -> str:
    """Return the SHA-256, in hex, of the bytes of a uint8 array in C order."""
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def _draw(count: int, *, half: int) -> DrawnDigits:
    """Draw `count` labelled digits of one half (0 train, 1 test); class sizes differ by one image at most."""
    fields, digits = _hands(half)
    labels = _labels(count, half)
    uniform = _uniform(_stream(half, 2), count * _PARAMETERS).reshape(count, _PARAMETERS)
    shape = _pick_fields(digits, labels, uniform[:, 0])
    grain = _stream(half, 3)
    images = np.empty((count, SIZE * SIZE), dtype=np.uint8)
    for start in range(0, count, _CHUNK):
        part = slice(start, min(start + _CHUNK, count))
        noise = _grain(grain, part.stop - part.start)
        images[part] = _render(fields, shape[part], uniform[part].astype(np.float32), noise)
    return DrawnDigits(images=images.reshape(count, 1, SIZE, SIZE), labels=labels)


# --- randomness ---------------------------------------------------------------------------------------------


def _stream(half: int, purpose: int) -> np.random.Philox:
    """Return the raw stream of one purpose (0 hands, 1 order, 2 parameters, 3 grain) of one half."""
    return np.random.Philox(key=np.array([_SEED, 16 * half + purpose], dtype=np.uint64))


def _uniform(stream: np.random.Philox, count: int) -> np.ndarray:
    """Return `count` float64 in [0, 1): the top 53 bits of each raw integer, scaled, which is exact."""
    raw = np.asarray(stream.random_raw(count), dtype=np.uint64)
    return (raw >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _grain(stream: np.random.Philox, count: int) -> np.ndarray:
    """Return noise for `count` images, float32 (count, 784) in [-1, 1], eight pixels per raw integer."""
    raw = np.asarray(stream.random_raw(count * SIZE * SIZE // 8), dtype="<u8")
    noise = raw.view(np.uint8).reshape(count, SIZE * SIZE).astype(np.float32)
    noise *= np.float32(2.0 / 255.0)
    noise -= np.float32(1.0)
    return noise


def _labels(count: int, half: int) -> np.ndarray:
    """Return uint8 (count,): 0 to 9 in turn, then shuffled by a stable sort of raw integers."""
    order = np.argsort(np.asarray(_stream(half, 1).random_raw(count), dtype=np.uint64), kind="stable")
    return (np.arange(count) % CLASSES).astype(np.uint8)[order]


def _pick_fields(digits: np.ndarray, labels: np.ndarray, uniform: np.ndarray) -> np.ndarray:
    """Pick one hand of the right digit per image: int64 (count,), an index into the fields."""
    picked = np.empty(len(labels), dtype=np.int64)
    for digit in range(CLASSES):
        of_digit = np.flatnonzero(digits == digit)
        mine = labels == digit
        picked[mine] = of_digit[np.floor(uniform[mine] * len(of_digit)).astype(np.int64)]
    return picked


# --- glyphs to distance fields ------------------------------------------------------------------------------


def _hands(half: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the distance fields of every hand, float32 (hands, grid, grid), and the digit of each, int64."""
    stream = _stream(half, 0)
    fields, digits = [], []
    for digit, strokes in _GLYPHS:
        jittered = [_jitter(stroke, stream) for stroke in strokes]
        starts, ends = _segments([_spline(points) for points in jittered])
        fields.append(_distance_fields(starts, ends))
        digits.extend([digit] * _HANDS)
    return np.concatenate(fields), np.array(digits)


def _jitter(stroke: str, stream: np.random.Philox) -> np.ndarray:
    """Return one stroke in every hand: float64 (hands, points, 2), points moved, loops still closed."""
    points = np.array([[float(number) for number in point.split(",")] for point in stroke.split()])
    moves = (_uniform(stream, _HANDS * points.size).reshape(_HANDS, *points.shape) * 2.0 - 1.0) * _JITTER
    if (points[0] == points[-1]).all():
        moves[:, -1] = moves[:, 0]
    return points + moves


def _spline(points: np.ndarray) -> np.ndarray:
    """Run a Catmull-Rom curve through (hands, points, 2); returns (hands, more points, 2)."""
    closed = bool((points[:, 0] == points[:, -1]).all())
    before = points[:, -2:-1] if closed else points[:, :1]
    after = points[:, 1:2] if closed else points[:, -1:]
    p = np.concatenate([before, points, after], axis=1)
    a, b, c, d = p[:, :-3], p[:, 1:-2], p[:, 2:-1], p[:, 3:]
    pieces = []
    for step in range(_STEPS):
        t = step / _STEPS
        cubic = (b - c) * 3.0 + d - a
        square = a * 2.0 - b * 5.0 + c * 4.0 - d
        pieces.append(b + ((cubic * t + square) * t + (c - a)) * (t * 0.5))
    curve = np.stack(pieces, axis=2).reshape(len(points), -1, 2)
    return np.concatenate([curve, points[:, -1:]], axis=1)


def _segments(curves: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Cut curves into straight segments, centred and scaled so that the longer side of each hand is 1."""
    starts = np.concatenate([curve[:, :-1] for curve in curves], axis=1)
    ends = np.concatenate([curve[:, 1:] for curve in curves], axis=1)
    both = np.concatenate([starts, ends], axis=1)
    low, high = both.min(axis=1, keepdims=True), both.max(axis=1, keepdims=True)
    centre = (low + high) * 0.5
    longer = (high - low).max(axis=2, keepdims=True)
    return (starts - centre) / longer, (ends - centre) / longer


def _distance_fields(starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Return each grid node's distance to the nearest segment: float32 (hands, grid, grid), rows are y."""
    axis = (np.arange(_GRID) * (2.0 * _REACH / (_GRID - 1)) - _REACH).astype(np.float32)
    x, y = axis[None, None, :], axis[None, :, None]
    begin, way = starts.astype(np.float32), (ends - starts).astype(np.float32)
    length2 = way[:, :, 0] * way[:, :, 0] + way[:, :, 1] * way[:, :, 1]
    length2 = np.maximum(length2, np.float32(1e-12))
    nearest = np.full((len(starts), _GRID, _GRID), 9.0, dtype=np.float32)
    for segment in range(starts.shape[1]):
        bx, by = begin[:, segment, 0, None, None], begin[:, segment, 1, None, None]
        wx, wy = way[:, segment, 0, None, None], way[:, segment, 1, None, None]
        dx, dy = x - bx, y - by
        along = (dx * wx + dy * wy) / length2[:, segment, None, None]
        along = np.minimum(np.maximum(along, np.float32(0)), np.float32(1))
        away_x, away_y = dx - along * wx, dy - along * wy
        np.minimum(nearest, away_x * away_x + away_y * away_y, out=nearest)
    return np.sqrt(nearest)


# --- fields to images ---------------------------------------------------------------------------------------


def _render(fields: np.ndarray, shape: np.ndarray, uniform: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Draw one image per row of `uniform` (float32 (n, _PARAMETERS)) from field `shape`; uint8 (n, 784)."""
    draw = _columns(uniform)
    next(draw)  # column 0 picked the field
    scale_x = 20.0 * (0.82 + 0.34 * _bell(draw))
    scale_y = 20.0 * (0.92 + 0.24 * _bell(draw))
    x, y = _coordinates(draw, scale_x, scale_y)
    distance = _sample(fields, shape, x, y)
    distance *= (scale_x + scale_y) * 0.5  # from glyph heights to pixels
    distance += noise * (0.1 + 0.4 * next(draw))
    radius = 1.35 + 0.85 * _bell(draw)
    soft = 0.9 + 0.8 * next(draw)
    ink = (radius + soft * 0.5 - distance) / soft
    ink = np.minimum(np.maximum(ink, np.float32(0)), np.float32(1))
    ink *= 215.0 + 40.0 * next(draw)
    return np.floor(ink + np.float32(0.5)).astype(np.uint8)


def _columns(uniform: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the random numbers one column (n, 1) at a time, so that each is used once."""
    for column in range(uniform.shape[1]):
        yield uniform[:, column, None]


def _bell(draw: Iterator[np.ndarray]) -> np.ndarray:
    """Return (n, 1) in (-1, 1), most of it near 0: two uniform numbers added, a triangular distribution."""
    return next(draw) + next(draw) - np.float32(1)


def _coordinates(draw: Iterator[np.ndarray], scale_x: np.ndarray, scale_y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return where each pixel lies in the glyph, x and y, float32 (n, 784): shift, turn, shear and warp."""
    pixel = np.arange(SIZE * SIZE)
    right = (pixel % SIZE).astype(np.float32) - np.float32(SIZE / 2 - 0.5) - 2.2 * _bell(draw)
    down = (pixel // SIZE).astype(np.float32) - np.float32(SIZE / 2 - 0.5) - 2.2 * _bell(draw)
    half_tangent = 0.24 * _bell(draw)  # tan(angle / 2): a rational rotation needs no sine
    squared = half_tangent * half_tangent
    cosine, sine = (1 - squared) / (1 + squared), 2 * half_tangent / (1 + squared)
    x = (cosine * right + sine * down) / scale_x
    y = (cosine * down - sine * right) / scale_y
    x += (0.08 + 0.45 * _bell(draw)) * y  # people slant to the right
    bend_x, bend_y = 0.6 * _bell(draw), 0.5 * _bell(draw)
    x, y = x + bend_x * (y * y - np.float32(0.1)), y + bend_y * x * y
    return x, y


def _sample(fields: np.ndarray, shape: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Interpolate field `shape[i]` at x[i], y[i] bilinearly; outside the grid, its border counts."""
    per_unit, last = np.float32((_GRID - 1) / (2 * _REACH)), np.float32(_GRID - 1.001)
    column = np.minimum(np.maximum((x + np.float32(_REACH)) * per_unit, np.float32(0)), last)
    row = np.minimum(np.maximum((y + np.float32(_REACH)) * per_unit, np.float32(0)), last)
    left, top = np.floor(column), np.floor(row)
    column -= left
    row -= top
    index = (top * np.float32(_GRID) + left).astype(np.int32)
    index += (shape[:, None] * (_GRID * _GRID)).astype(np.int32)
    flat = fields.reshape(-1)
    upper = flat[index]
    upper += (flat[index + 1] - upper) * column
    index += _GRID
    lower = flat[index]
    lower += (flat[index + 1] - lower) * column
    lower -= upper
    lower *= row
    upper += lower
    return upper
