"""What simulated workers see in an image: two numbers, from its pixels alone.

Correctness comes from the oracle of the built-in model, visual appeal from plain image
statistics. Neither knows which method drew the image.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from generation.shapes.oracle import judge


@dataclass(frozen=True)
class Impression:
    """How an image strikes a worker who looks closely; higher is better."""

    correctness: float
    appeal: float

    def of(self, question: str) -> float:
        """The number that answers a question; one that is not known counts as correctness."""
        return self.appeal if question == "appeal" else self.correctness


def look(image: Image.Image, prompt: str) -> Impression:
    """Form an impression of one RGB image."""
    return Impression(correctness=judge(image, prompt).score, appeal=appeal(image))


def appeal(image: Image.Image) -> float:
    """Crisp edges, lively colour, a calm background: a number of about 0 to 1.

    Edge strength is the 95th percentile of the luminance gradient, colour the mean saturation
    of the most colourful fifth, and calm is one minus the spread of the most frequent half.
    """
    pixels: NDArray[np.float64] = np.asarray(image.convert("RGB"), dtype=np.float64) / 255.0
    luminance = pixels @ np.array([0.299, 0.587, 0.114])
    rows, columns = np.gradient(luminance)
    edges = float(np.percentile(np.hypot(rows, columns), 95))
    saturation = pixels.max(axis=2) - pixels.min(axis=2)
    colour = float(np.sort(saturation.ravel())[-saturation.size // 5 :].mean())
    background = np.abs(luminance - np.median(luminance))
    calm = 1.0 - float(np.sort(background.ravel())[: background.size // 2].mean()) * 10.0
    return 0.4 * min(edges / 0.25, 1.0) + 0.4 * colour + 0.2 * max(calm, 0.0)


@dataclass
class Eyes:
    """Remembers impressions by the bytes of the image, so that each is formed once."""

    seen: dict[str, Impression] = field(default_factory=dict)

    def impression(self, content: bytes, prompt: str) -> Impression:
        """The impression that an image file makes for a prompt."""
        key = hashlib.sha256(content + prompt.encode()).hexdigest()
        if key not in self.seen:
            self.seen[key] = look(Image.open(io.BytesIO(content)).convert("RGB"), prompt)
        return self.seen[key]


def fingerprint(images: Mapping[str, bytes]) -> str:
    """A name for a set of images that does not depend on their order."""
    return "-".join(sorted(hashlib.sha256(content).hexdigest() for content in images.values()))
