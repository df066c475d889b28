"""Which images meet, and who sees which side: pure, seeded, balanced."""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import permutations

from generation.manifest import ManifestRow

Scene = tuple[str, int]


def scenes(rows: Iterable[ManifestRow]) -> dict[Scene, dict[str, ManifestRow]]:
    """Rows by prompt and seed, then by method."""
    found: dict[Scene, dict[str, ManifestRow]] = {}
    for row in rows:
        found.setdefault((row.prompt_id, row.seed), {})[row.method] = row
    return found


def judged(
    found: dict[Scene, dict[str, ManifestRow]],
    number: int | None,
    *,
    seed: int,
    already: Iterable[Scene] = (),
) -> dict[Scene, dict[str, ManifestRow]]:
    """The prompt-seed pairs that a study has judged, where it generates more than it asks about.

    Pairs that are judged already come first. Then different prompts before further seeds of the
    same prompt, in an order that the study's seed decides.

    Args:
        found: all pairs.
        number: how many; all when None.
        seed: the study's.
        already: pairs of which a comparison exists.
    """
    if number is None:
        return found

    def rank(scene: Scene) -> str:
        return hashlib.sha256(f"{seed}\x1f{scene[0]}\x1f{scene[1]}".encode()).hexdigest()

    of_prompt: Counter[str] = Counter()
    turns: list[tuple[bool, int, str, Scene]] = []
    before = set(already)
    for scene in sorted(found, key=rank):
        turns.append((scene not in before, of_prompt[scene[0]], rank(scene), scene))
        of_prompt[scene[0]] += 1
    return {scene: found[scene] for *_, scene in sorted(turns)[:number]}


def comparison_key(scene: Scene, methods: Sequence[str]) -> str:
    """A name for a comparison that stays the same however often a study is registered."""
    text = "\x1f".join([scene[0], str(scene[1]), *sorted(methods)])
    return hashlib.sha256(text.encode()).hexdigest()


def draw_order(
    methods: Sequence[str], used: Iterable[Sequence[str]], *, seed: int, about: str
) -> list[str]:
    """The order in which the next worker sees the methods, first place first.

    Orders that were used least come first, so that after each full round every order was used
    alike; among them one is drawn.

    Args:
        methods: that meet.
        used: the orders given out so far.
        seed: the study's.
        about: what the order is for; the same seed and `about` draw alike.
    """
    counts = Counter(tuple(order) for order in used)
    orders = list(permutations(methods))
    least = min(counts[order] for order in orders)
    candidates = [order for order in orders if counts[order] == least]
    return list(random.Random(f"{seed}|{about}").choice(candidates))
