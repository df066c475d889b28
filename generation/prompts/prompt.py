"""A prompt."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Prompt:
    """A prompt, an id that depends on its text alone, a category and the things it names."""

    id: str
    text: str
    category: str = ""
    """Empty for none."""
    entities: tuple[str, ...] = ()
    """For Attend-and-Excite: "a horse", "a red car"."""


def prompt_of(text: str, category: str = "", entities: tuple[str, ...] = ()) -> Prompt:
    """A prompt with the id of its text."""
    return Prompt(_id(text), text, category, entities)


def different(prompts: Iterable[Prompt]) -> list[Prompt]:
    """Each prompt once: a text that comes again is the same prompt."""
    found: dict[str, Prompt] = {}
    for prompt in prompts:
        found.setdefault(prompt.id, prompt)
    return list(found.values())


def of_class(text: str, number: int, *, repeated: bool) -> Prompt:
    """A class name; where two classes have the same name the number tells them apart."""
    return Prompt(_id(f"{number}: {text}" if repeated else text), text, f"class {number}")


def _id(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
