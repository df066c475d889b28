"""Which prompts of a set a study takes: seeded, stratified, the same on every machine."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from generation.prompts.files import KEY
from generation.prompts.prompt import Prompt
from generation.study import StudyError, nearest


def without(prompts: Sequence[Prompt], categories: Sequence[str]) -> list[Prompt]:
    """The prompts that are of none of these categories.

    Raises:
        StudyError: a category does not exist, or nothing is left.
    """
    known = list(dict.fromkeys(prompt.category for prompt in prompts))
    for category in categories:
        if category not in known:
            raise StudyError(
                f"{KEY}.exclude: no category {category!r} in the set.{nearest(category, known)}"
            )
    left = [prompt for prompt in prompts if prompt.category not in categories]
    if not left:
        raise StudyError(f"{KEY}.exclude: nothing is left without {', '.join(categories)}.")
    return left


def drawn_at_random(prompts: Sequence[Prompt], count: int, seed: int) -> list[Prompt]:
    """`count` prompts, in the set's own order.

    They are those whose hash with the seed is smallest, so that a larger count adds to a smaller
    one, and no library's generator decides.
    """
    chosen = sorted(prompts, key=lambda prompt: _rank(prompt, seed))[:count]
    there = {prompt.id for prompt in chosen}
    return [prompt for prompt in prompts if prompt.id in there]


def drawn_equally(prompts: Sequence[Prompt], count: int, seed: int) -> list[Prompt]:
    """`count` prompts, as evenly from the categories as they allow, in the set's own order."""
    strata: dict[str, list[Prompt]] = {}
    for prompt in prompts:
        strata.setdefault(prompt.category, []).append(prompt)
    # Who gives one more than others is drawn too, not decided by the order of the file.
    order = sorted(strata, key=lambda name: _hash(f"{seed}:{name}"))
    shares = equal_shares({name: len(strata[name]) for name in order}, count)
    chosen = {
        prompt.id
        for name, members in strata.items()
        for prompt in drawn_at_random(members, shares[name], seed)
    }
    return [prompt for prompt in prompts if prompt.id in chosen]


def equal_shares(sizes: dict[str, int], count: int) -> dict[str, int]:
    """How many each category gives: equal shares, and what a small one lacks from the others.

    Raises:
        ValueError: there are fewer than `count` in all.
    """
    if count > sum(sizes.values()):
        raise ValueError(f"{count} of {sum(sizes.values())}")
    shares, left, open_ = dict.fromkeys(sizes, 0), count, [name for name in sizes if sizes[name]]
    while left:
        each = max(1, left // len(open_))
        for name in list(open_):
            given = min(each, sizes[name] - shares[name], left)
            shares[name] += given
            left -= given
            if shares[name] == sizes[name]:
                open_.remove(name)
    return shares


def _rank(prompt: Prompt, seed: int) -> str:
    return _hash(f"{seed}:{prompt.id}")


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
