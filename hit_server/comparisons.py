"""Which images meet, and who sees which side: pure, seeded, balanced."""

from __future__ import annotations

import hashlib
import math
import random
from collections import Counter
from collections.abc import Iterable, Sequence

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


def slot_order(
    methods: Sequence[str], slot: int, *, wanted: int, turn: int, seed: int, about: str
) -> list[str]:
    """The order in which a comparison's vote number `slot` sees the methods, first place first.

    Votes go by blocks in which every order appears once, shuffled. What is left when the number
    of votes wanted is no multiple of the number of orders is taken in turn from the study's
    comparisons of the same methods, so that it evens out over the study. Three images: a rest of
    three orders or more holds the three rotations of one order, so that no method is in a place
    more than once more often than another.

    Args:
        methods: that meet.
        slot: of the vote, from 0; those beyond `wanted` begin further blocks.
        wanted: votes that the comparison shall get.
        turn: which comparison of these methods it is, from 0.
        seed: the study's.
        about: names the comparison; the same seed and `about` draw alike.
    """
    number = math.factorial(len(methods))
    rest = wanted % number
    if wanted - rest <= slot < wanted:
        block, place = "rest", slot - (wanted - rest)
        orders = _in_turn(methods, turn)[:rest]
    else:
        before = slot if slot < wanted else slot - rest
        block, place = str(before // number), before % number
        orders = _in_turn(methods, 0)
    random.Random(f"{seed}|{about}|{block}").shuffle(orders)
    return list(orders[place])


def _in_turn(methods: Sequence[str], turn: int) -> list[tuple[str, ...]]:
    """Every order once: rotations of the one kind, then of the other, beginning by the turn."""
    forward = tuple(methods)
    kinds = [_rotations(forward)]
    if len(methods) > 2:
        kinds.append(_rotations(forward[::-1]))
    first, start = turn % len(kinds), turn // len(kinds) % len(methods)
    return [
        order for kind in kinds[first:] + kinds[:first] for order in kind[start:] + kind[:start]
    ]


def _rotations(order: tuple[str, ...]) -> list[tuple[str, ...]]:
    return [order[number:] + order[:number] for number in range(len(order))]
