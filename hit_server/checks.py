"""Checks: comparisons with a known answer, and repeats, that measure a worker's attention.

Three kinds: `same` shows one image twice, and no clear winner is right; `distractor` shows the
image beside one that was made for another prompt, which must not win; `repeat` shows a comparison
that the worker has judged with its places turned round, and measures self-agreement. Workers are
never told which comparison is a check, nor how they did.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from hit_server.drawn import Drawn
from hit_server.known import KnownComparison
from hit_server.reading import NONE
from hit_server.records import Comparison, ImageRecord, Placement, ShownImage
from hit_server.registering import new_name
from hit_server.tasks import Arrival

COPY = "#copy"
DISTRACTOR = "#distractor"
DISTANCE = 2
"""A repeat comes at least so many comparisons after what it repeats."""


def check_for(
    session: Session,
    arrival: Arrival,
    comparison: KnownComparison,
    page: Sequence[Drawn],
    rng: random.Random,
) -> Drawn:
    """Draw a check that goes with a comparison of a worker's page.

    A repeat needs something judged before, and a distractor another prompt: where there is none,
    the same image twice stands in.

    Args:
        session: of the study's database.
        arrival: the worker's assignment.
        comparison: that it is drawn with, one of the page's.
        page: the votes of this assignment.
        rng: seeded by the study.
    """
    kind = rng.choice(list(arrival.task.hits.checks.kinds))
    turn, vote = next(
        (turn, each) for turn, each in enumerate(page) if each.comparison_id == comparison.id
    )
    if kind == "repeat":
        before = [(each.comparison_id, each.methods) for each in page]
        earlier = [*_judged_before(session, arrival), *before[: max(0, turn + 1 - DISTANCE)]]
        if earlier:
            chosen, methods = rng.choice(earlier)
            return _check(chosen, "repeat", methods[::-1])
    method = rng.choice(vote.methods)
    if kind == "distractor":
        other = _other_prompt(session, arrival.task.study_id, comparison.prompt_id, method, rng)
        if other is not None:
            _shown(session, comparison.id, DISTRACTOR, other)
            names = [method, DISTRACTOR]
            rng.shuffle(names)
            return _check(comparison.id, "distractor", names)
    image = session.scalars(
        select(ShownImage.image_id).where(
            ShownImage.comparison_id == comparison.id, ShownImage.name == method
        )
    ).one()
    _shown(session, comparison.id, method + COPY, image)
    names = [method, method + COPY]
    rng.shuffle(names)
    return _check(comparison.id, "same", names)


def passed(kind: str, question: str, choice: str, *, check_question: str) -> bool | None:
    """Whether an answer to a check was right; None where no answer is known to be.

    Args:
        kind: vote, same, distractor or repeat.
        question: that was answered.
        choice: name of the image chosen, or "none".
        check_question: key of the question that a distractor must lose.
    """
    if kind == "same":
        return choice == NONE
    if kind == "distractor" and question == check_question:
        return choice not in (DISTRACTOR, NONE)
    return None


def _judged_before(session: Session, arrival: Arrival) -> list[tuple[int, list[str]]]:
    """What the worker judged in earlier assignments, without the most recent; as it was shown."""
    found = session.execute(
        select(Placement.comparison_id, Placement.methods)
        .join(Comparison)
        .where(
            Comparison.study_id == arrival.task.study_id,
            Placement.worker_id == arrival.worker_id,
            Placement.assignment_id != arrival.assignment_id,
            Placement.kind == "vote",
            Placement.released_at.is_(None),
        )
        .order_by(Placement.id)
    ).all()
    return [(row.comparison_id, row.methods) for row in found[: -(DISTANCE - 1)]]


def _other_prompt(
    session: Session, study_id: int, prompt_id: str, method: str, rng: random.Random
) -> int | None:
    """An image of the same method for another prompt."""
    others = session.scalars(
        select(ImageRecord.id)
        .where(
            ImageRecord.study_id == study_id,
            ImageRecord.method == method,
            ImageRecord.prompt_id != prompt_id,
        )
        .order_by(ImageRecord.id)
    ).all()
    return rng.choice(others) if others else None


def _shown(session: Session, comparison_id: int, name: str, image_id: int) -> None:
    """Give an image a name in a comparison, once."""
    there = session.scalar(
        select(ShownImage.id).where(
            ShownImage.comparison_id == comparison_id, ShownImage.name == name
        )
    )
    if there is None:
        session.add(
            ShownImage(
                public_id=new_name(), comparison_id=comparison_id, image_id=image_id, name=name
            )
        )


def _check(comparison_id: int, kind: str, names: Sequence[str]) -> Drawn:
    return Drawn(None, comparison_id, 0, kind, None, list(names), [])
