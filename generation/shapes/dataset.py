"""The training data: scenes made from a seed, as objects and as pixels."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from generation.shapes.scenes import SIZE, Scene, draw, sample_scene

COUNTS = (0.27, 0.45, 0.28)
"""Share of scenes with one, two and three objects."""


def make_scenes(number: int, seed: int) -> list[Scene]:
    """`number` random scenes; the same seed always gives the same ones."""
    rng = np.random.default_rng((seed, 1))
    counts = rng.choice((1, 2, 3), size=number, p=COUNTS)
    return [sample_scene(rng, int(count)) for count in counts]


def make_pixels(scenes: Sequence[Scene]) -> Tensor:
    """The scenes drawn: bytes of shape (number, 3, 64, 64)."""
    pixels = np.empty((len(scenes), SIZE, SIZE, 3), np.uint8)
    for index, scene in enumerate(scenes):
        pixels[index] = np.asarray(draw(scene))
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous()


def to_unit(pixels: Tensor) -> Tensor:
    """Bytes 0 to 255 as float32 from -1 to 1."""
    return pixels.float() / 127.5 - 1
