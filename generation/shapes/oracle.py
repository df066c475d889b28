"""Ground truth: which coloured shapes an image shows, and whether they are what a prompt wants."""

import functools
import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage

from generation.shapes.scenes import (
    COLOURS,
    HIGH,
    LOW,
    PLACES,
    SHAPES,
    SIZE,
    Wanted,
    WantedObject,
    outline,
    parse,
)

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]

_SMALLEST = 20
_LIKENESS = 0.72
_SLACK = 3.0
_RELATED = 4.0
_PATCH = 32
_UNIT_AREA = 300.0


@dataclass(frozen=True)
class Detected:
    """An object found; centre in pixels, area in square pixels.

    `shape` is "unclear" where the outline is like none of the five shapes.
    """

    colour: str
    shape: str
    x: float
    y: float
    area: float


@dataclass(frozen=True)
class Judgement:
    """How well an image meets a prompt.

    `matched` counts wanted objects that are there in the right colour, shape and place; `missing`
    is the rest of the wanted ones and `extra` the objects nobody asked for. `score` lies between
    0 and 1, is 1 exactly when `exact`, and gives half credit to half-right objects.
    """

    exact: bool
    matched: int
    missing: int
    extra: int
    relation_ok: bool
    score: float


def detect(image: Image.Image) -> tuple[Detected, ...]:
    """The objects of a 64 x 64 image, from left to right.

    A pixel belongs to an object when it is at least half way from the background to one of the
    palette's colours; objects are connected areas of one colour, of at least 20 pixels.
    """
    pixels = np.asarray(image.convert("RGB"), np.float32)
    background = _background(pixels)
    colours, share = _unmix(pixels - background, background)
    found = [
        _describe(name, part, share)
        for index, name in enumerate(COLOURS)
        for part in _parts((colours == index) & (share >= 0.5))
    ]
    return tuple(sorted(found, key=lambda item: item.x))


def _background(pixels: Floats) -> Floats:
    """The median colour of a frame two pixels wide."""
    rim = np.ones((SIZE, SIZE), bool)
    rim[2:-2, 2:-2] = False
    return np.median(pixels[rim], axis=0).astype(np.float32)


def _unmix(offset: Floats, background: Floats) -> tuple[NDArray[np.intp], Floats]:
    """For each pixel the palette colour nearest in direction, and its share (0 to about 1)."""
    rays = np.array(list(COLOURS.values()), np.float32) - background
    lengths = np.linalg.norm(rays, axis=1)
    along = offset @ (rays / lengths[:, None]).T
    colours = along.argmax(axis=2)
    nearest = np.take_along_axis(along, colours[..., None], axis=2)[..., 0]
    return colours, (nearest / lengths[colours]).astype(np.float32)


def _parts(mask: Bools) -> list[Bools]:
    labels, count = ndimage.label(mask)
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    return [labels == index for index in range(1, count + 1) if sizes[index] >= _SMALLEST]


def _describe(colour: str, part: Bools, share: Floats) -> Detected:
    """Reads shape and centre off the soft outline, up to a pixel beyond the hard one."""
    soft = np.where(ndimage.binary_dilation(part), np.clip(share, 0, 1), 0).astype(np.float32)
    soft[part] = 1.0
    area = float(part.sum())
    y, x = (float(value) for value in ndimage.center_of_mass(part))
    likeness = _likeness(_normalised(soft, x, y, area))
    best = int(likeness.argmax())
    shape = SHAPES[best] if likeness[best] >= _LIKENESS else "unclear"
    return Detected(colour, shape, x + 0.5, y + 0.5, area)


def _normalised(mask: Floats, x: float, y: float, area: float) -> Floats:
    """The mask moved and scaled so that its centre is the patch's and its area is always 300."""
    step = (area / _UNIT_AREA) ** 0.5
    middle = (_PATCH - 1) / 2
    offset = (y - middle * step, x - middle * step)
    shape = (_PATCH, _PATCH)
    scaled = ndimage.affine_transform(
        mask.astype(np.float32), (step, step), offset, output_shape=shape, order=1
    )
    return np.asarray(scaled, np.float32)


@functools.cache
def _templates() -> Floats:
    """The five shapes as soft masks of shape (5, 32, 32), normalised."""
    masks = []
    for shape in SHAPES:
        canvas = Image.new("L", (8 * SIZE, 8 * SIZE))
        corners = outline(shape, SIZE / 2, SIZE / 2, 11.0)
        ImageDraw.Draw(canvas).polygon([(8 * x, 8 * y) for x, y in corners], fill=255)
        soft = np.asarray(canvas.reduce(8), np.float32) / np.float32(255)
        y, x = ndimage.center_of_mass(soft)
        masks.append(_normalised(soft, x, y, float(soft.sum())))
    return np.stack(masks)


def _likeness(patch: Floats) -> Floats:
    """Overlap (soft intersection over union, 0 to 1) with each of the five shapes."""
    templates = _templates()
    both = np.minimum(templates, patch).sum((1, 2))
    either = np.maximum(templates, patch).sum((1, 2))
    return np.asarray(both / either, np.float32)


def judge(image: Image.Image, prompt: str) -> Judgement:
    """Holds the image against the prompt.

    Raises:
        ValueError: the prompt is not one about shapes.
    """
    wanted, found = parse(prompt), detect(image)
    pairs = _assign(wanted.objects, found)
    credits = [_credit(item, other) for item, other in pairs]
    matched = sum(credit == 1.0 for credit in credits)
    missing, extra = len(credits) - matched, max(len(found) - matched, 0)
    relation_ok = _related(wanted, [other for _, other in pairs])
    exact = missing == 0 and extra == 0 and relation_ok
    score = 1.0 if exact else _score(credits, len(found), relation_ok)
    return Judgement(exact, matched, missing, extra, relation_ok, score)


def _assign(
    wanted: Sequence[WantedObject], found: Sequence[Detected]
) -> list[tuple[WantedObject, Detected | None]]:
    """Gives each wanted object another found one, or none, for the most credit in all."""
    choices = [*found[:8], *[None] * len(wanted)]
    options = itertools.permutations(choices, len(wanted))
    best = max(options, key=lambda option: sum(map(_credit, wanted, option)))
    return list(zip(wanted, best, strict=True))


def _credit(wanted: WantedObject, found: Detected | None) -> float:
    """1 for an object as wanted; 0.3 for a right colour or shape alone, 0.6 but for its place."""
    if found is None:
        return 0.0
    right = (wanted.colour == found.colour) + (wanted.shape == found.shape)
    placed = wanted.place is None or _within(wanted.place, found)
    return 1.0 if right == 2 and placed else 0.3 * right


def _within(place: str, found: Detected) -> bool:
    """Whether the centre lies in the cell of the grid, with 3 pixels of slack."""
    row, column = divmod(PLACES.index(place), 3)
    edges = (0.0, LOW, HIGH, float(SIZE))
    return all(
        edges[cell] - _SLACK <= value <= edges[cell + 1] + _SLACK
        for cell, value in ((row, found.y), (column, found.x))
    )


def _related(wanted: Wanted, found: Sequence[Detected | None]) -> bool:
    """Whether the first object is at least 4 pixels to the wanted side of the second."""
    if wanted.relation is None:
        return True
    first, second = found[0], found[1]
    if first is None or second is None:
        return False
    dx, dy = second.x - first.x, second.y - first.y
    ahead = {"above": dy, "below": -dy, "left of": dx, "right of": -dx}[wanted.relation]
    return ahead >= _RELATED


def _score(credits: Sequence[float], found: int, relation_ok: bool) -> float:
    """Mean credit, less for a wrong relation and for more objects than wanted; below 1."""
    surplus = max(found - len(credits), 0)
    mean = sum(credits) / len(credits)
    return min(0.9, mean * (1.0 if relation_ok else 0.7) * 0.75**surplus)
