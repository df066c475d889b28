"""Scenes of one to three coloured shapes: drawing them, describing them, reading descriptions.

The captions are a small closed language, so every one of them can be listed, parsed and put on
one side of the line between training and test.
"""

import colorsys
import hashlib
import itertools
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image, ImageDraw

SIZE = 64
"""Side of a scene in pixels."""

COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (215, 35, 40),
    "green": (35, 160, 70),
    "blue": (40, 85, 220),
    "yellow": (240, 210, 30),
    "purple": (140, 55, 185),
    "orange": (245, 130, 25),
}
SHAPES: tuple[str, ...] = ("circle", "square", "triangle", "star", "cross")
PLACES: tuple[str, ...] = (
    "at the top left",
    "at the top",
    "at the top right",
    "at the left",
    "in the centre",
    "at the right",
    "at the bottom left",
    "at the bottom",
    "at the bottom right",
)
"""Row by row, the nine cells of a grid of three by three."""

RELATIONS: tuple[str, ...] = ("above", "below", "left of", "right of")

Fold = Literal["tune", "test"]

LOW, HIGH = 26.0, 38.0
"""Pixels at which the middle row and column of the grid begin and end."""

_REACH = 1.3
_GAP = 3.0
_RADII = {1: (9.5, 13.0), 2: (9.0, 12.5), 3: (8.0, 10.0)}
_HELD_OUT = {1: 0.4, 2: 0.2, 3: 0.2}
_SCALE = 4


@dataclass(frozen=True)
class SceneObject:
    """One shape; its centre and radius are in pixels, y grows downwards."""

    colour: str
    shape: str
    x: float
    y: float
    radius: float


@dataclass(frozen=True)
class Scene:
    """Objects that do not overlap, on a plain background (red, green, blue; 0 to 255)."""

    objects: tuple[SceneObject, ...]
    background: tuple[int, int, int]


@dataclass(frozen=True)
class WantedObject:
    """An object that a prompt asks for; `place` is one of `PLACES` or None."""

    colour: str
    shape: str
    place: str | None = None


@dataclass(frozen=True)
class Wanted:
    """What a prompt asks for; `relation` holds from the first object to the second."""

    objects: tuple[WantedObject, ...]
    relation: str | None = None


def outline(shape: str, x: float, y: float, radius: float) -> list[tuple[float, float]]:
    """Corners of a shape whose centre of mass is (x, y), in the units of `radius`."""
    if shape == "circle":
        return _ring(x, y, [radius] * 48)
    if shape == "square":
        return _ring(x, y, [radius * 1.25] * 4, turn=45)
    if shape == "triangle":
        return _ring(x, y, [radius * _REACH] * 3, turn=-90)
    if shape == "star":
        return _ring(x, y, [radius * _REACH, radius * 0.58] * 5, turn=-90)
    if shape == "cross":
        long, short = radius * 1.12, radius * 0.4
        quarter = [(short, -long), (short, -short), (long, -short)]
        return [
            (x + dx * c - dy * s, y + dx * s + dy * c)
            for c, s in ((1, 0), (0, 1), (-1, 0), (0, -1))
            for dx, dy in quarter
        ]
    raise ValueError(f"unknown shape {shape!r}; known: {', '.join(SHAPES)}")


def _ring(
    x: float, y: float, radii: Sequence[float], turn: float = 0.0
) -> list[tuple[float, float]]:
    step = 360 / len(radii)
    angles = (math.radians(turn + index * step) for index in range(len(radii)))
    return [
        (x + r * math.cos(angle), y + r * math.sin(angle))
        for r, angle in zip(radii, angles, strict=True)
    ]


def draw(scene: Scene) -> Image.Image:
    """An antialiased RGB picture of the scene, 64 x 64 pixels."""
    canvas = Image.new("RGB", (SIZE * _SCALE, SIZE * _SCALE), scene.background)
    pen = ImageDraw.Draw(canvas)
    for item in scene.objects:
        corners = outline(item.shape, item.x, item.y, item.radius)
        pen.polygon([(x * _SCALE, y * _SCALE) for x, y in corners], fill=COLOURS[item.colour])
    return canvas.reduce(_SCALE)


def sample_scene(rng: np.random.Generator, count: int) -> Scene:
    """A random scene of `count` (1 to 3) different objects at least 3 pixels apart."""
    if count not in _RADII:
        raise ValueError(f"a scene has 1 to 3 objects, not {count}")
    kinds = rng.choice(len(COLOURS) * len(SHAPES), size=count, replace=False)
    while True:
        radii = rng.uniform(*_RADII[count], size=count).tolist()
        centres = [
            rng.uniform(r * _REACH + 1.5, SIZE - r * _REACH - 1.5, size=2).tolist() for r in radii
        ]
        if _apart(radii, centres):
            break
    names = list(COLOURS)
    objects = tuple(
        SceneObject(names[kind // 5], SHAPES[kind % 5], x, y, radius)
        for kind, (x, y), radius in zip(kinds, centres, radii, strict=True)
    )
    return Scene(objects, _pale(rng))


def _apart(radii: Sequence[float], centres: Sequence[Sequence[float]]) -> bool:
    return all(
        math.dist(centres[a], centres[b]) >= _REACH * (radii[a] + radii[b]) + _GAP
        for a, b in itertools.combinations(range(len(radii)), 2)
    )


def _pale(rng: np.random.Generator) -> tuple[int, int, int]:
    hue, saturation, value = rng.uniform((0, 0.02, 0.88), (1, 0.16, 0.98))
    red, green, blue = (round(255 * part) for part in colorsys.hsv_to_rgb(hue, saturation, value))
    return red, green, blue


def place_of(x: float, y: float) -> str:
    """The cell of the grid that holds the point, one of `PLACES`."""
    column = (x >= LOW) + (x >= HIGH)
    row = (y >= LOW) + (y >= HIGH)
    return PLACES[3 * row + column]


def relations_of(first: SceneObject, second: SceneObject) -> tuple[str, ...]:
    """The relations that plainly hold: at least 10 pixels, along the longer axis; none or one."""
    dx, dy = second.x - first.x, second.y - first.y
    if max(abs(dx), abs(dy)) < 10:
        return ()
    if abs(dy) >= abs(dx):
        return ("above",) if dy > 0 else ("below",)
    return ("left of",) if dx > 0 else ("right of",)


def caption(scene: Scene, rng: np.random.Generator, detail: float = 0.5) -> str:
    """A true description: objects in random order, some with a place or a relation.

    `detail` is the share of those, where the scene allows it.
    """
    objects = [scene.objects[index] for index in rng.permutation(len(scene.objects))]
    more = rng.random() < detail
    place = place_of(objects[0].x, objects[0].y) if more and len(objects) == 1 else None
    relations = relations_of(objects[0], objects[1]) if more and len(objects) == 2 else ()
    wanted = tuple(WantedObject(item.colour, item.shape, place) for item in objects)
    return word(Wanted(wanted, relations[0] if relations else None))


def word(wanted: Wanted) -> str:
    """The prompt that asks for this, e.g. "a red circle above a blue square"."""
    names = [_name(item) for item in wanted.objects]
    if wanted.relation:
        return f" {wanted.relation} ".join(names)
    return " and ".join(part for part in (", ".join(names[:-1]), names[-1]) if part)


def _name(item: WantedObject) -> str:
    article = "an" if item.colour == "orange" else "a"
    return " ".join(filter(None, (article, item.colour, item.shape, item.place)))


_OBJECT = re.compile(rf"an? ({'|'.join(COLOURS)}) ({'|'.join(SHAPES)})(?: ({'|'.join(PLACES)}))?")
_RELATED = re.compile(rf" ({'|'.join(RELATIONS)}) ")


def parse(prompt: str) -> Wanted:
    """What the prompt asks for.

    Raises:
        ValueError: the text is no prompt of this language; the message quotes it.
    """
    text = " ".join(prompt.lower().split()).rstrip(".")
    related = _RELATED.split(text)
    if len(related) == 3:
        return Wanted((_read(related[0], prompt), _read(related[2], prompt)), related[1])
    objects = tuple(_read(part, prompt) for part in re.split(r", and |, | and ", text))
    if len(objects) > 3:
        raise ValueError(f"more than three objects in the prompt {prompt!r}")
    return Wanted(objects)


def _read(part: str, prompt: str) -> WantedObject:
    # The pattern may stop at "at the top" of "at the top left", so the whole part has to match.
    match = _OBJECT.fullmatch(part)
    if match is None:
        raise ValueError(f"not a prompt about shapes: {prompt!r} (at {part!r})")
    return WantedObject(match[1], match[2], match[3])


def canonical(wanted: Wanted) -> str:
    """One text for all wordings of the same request."""
    swapped = {"below": "above", "right of": "left of"}
    if wanted.relation in swapped:
        wanted = Wanted(wanted.objects[::-1], swapped[wanted.relation])
    if wanted.relation is None:
        wanted = Wanted(tuple(sorted(wanted.objects, key=_name)))
    return word(wanted)


def held_out(prompt: str) -> bool:
    """Whether training never sees this prompt, in any wording.

    Two fifths of the prompts for one object and a fifth of the others are held out, by a hash.
    """
    wanted = parse(prompt)
    return _fraction("held out", wanted) < _HELD_OUT[len(wanted.objects)]


def fold_of(prompt: str) -> Fold:
    """The half of the held-out prompts that this one belongs to, in any wording."""
    return "tune" if _fraction("fold", parse(prompt)) < 0.5 else "test"


def _fraction(salt: str, wanted: Wanted) -> float:
    digest = hashlib.sha256(f"{salt}: {canonical(wanted)}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def training_caption(scene: Scene, rng: np.random.Generator, detail: float = 0.5) -> str | None:
    """A caption that is not held out; None where eight attempts bring none."""
    texts = (caption(scene, rng, detail) for _ in range(8))
    return next((text for text in texts if not held_out(text)), None)


def all_wanted(count: int) -> tuple[Wanted, ...]:
    """Every request for `count` objects, each in one wording; places with one, relations with two.

    There are 300, 2175 and 4060 of them for one, two and three objects.
    """
    kinds = [WantedObject(colour, shape) for colour in COLOURS for shape in SHAPES]
    plain = [Wanted(items) for items in itertools.combinations(kinds, count)]
    if count == 1:
        plain += [
            Wanted((WantedObject(kind.colour, kind.shape, place),))
            for kind in kinds
            for place in PLACES
        ]
    if count == 2:
        plain += [
            Wanted(items, relation)
            for items in itertools.permutations(kinds, 2)
            for relation in ("above", "left of")
        ]
    return tuple(plain)


def sample_prompts(
    count: int,
    seed: int,
    objects: Sequence[int] = (1, 2, 3),
    fold: Fold | None = None,
) -> list[str]:
    """Distinct held-out prompts, evenly by number of objects.

    Half of them have a place or a relation, where there are enough without. Where one kind runs
    out the others fill up. The same arguments always give the same list.

    Raises:
        ValueError: there are fewer such prompts than `count`.
    """
    rng = np.random.default_rng(seed)
    queues = [queue for number in objects for queue in _queues(number, rng, fold)]
    if sum(map(len, queues)) < count:
        raise ValueError(f"only {sum(map(len, queues))} held-out prompts, {count} asked for")
    return _take(queues, count, len(objects), rng)


def _queues(number: int, rng: np.random.Generator, fold: Fold | None) -> list[list[str]]:
    pools: tuple[list[str], list[str]] = ([], [])
    for wanted in all_wanted(number):
        text = word(wanted)
        if held_out(text) and fold in (None, fold_of(text)):
            more = wanted.relation is not None or wanted.objects[0].place is not None
            pools[more].append(_reword(wanted, rng))
    return [[pool[index] for index in rng.permutation(len(pool))] for pool in pools]


def _reword(wanted: Wanted, rng: np.random.Generator) -> str:
    opposite = {"above": "below", "left of": "right of"}
    order = rng.permutation(len(wanted.objects))
    relation = wanted.relation
    if relation and order[0] != 0:
        relation = opposite[relation]
    return word(Wanted(tuple(wanted.objects[index] for index in order), relation))


def _take(queues: list[list[str]], count: int, kinds: int, rng: np.random.Generator) -> list[str]:
    """Deals from each number of objects in turn, plain and detailed prompts alternating."""
    pairs = [queues[2 * kind : 2 * kind + 2] for kind in range(kinds)]
    chosen: list[str] = []
    for turn in itertools.count():
        for pair in pairs:
            first = pair[turn % 2] or pair[1 - turn % 2]
            if first and len(chosen) < count:
                chosen.append(first.pop())
        if len(chosen) == count:
            break
    return [chosen[index] for index in rng.permutation(count)]
