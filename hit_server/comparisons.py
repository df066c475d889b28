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
