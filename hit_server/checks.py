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

from hit_server.reading import NONE
from hit_server.records import Comparison, ImageRecord, Placement, ShownImage
from hit_server.registering import new_name

COPY = "#copy"
DISTRACTOR = "#distractor"
DISTANCE = 2
"""A repeat comes at least so many comparisons after what it repeats."""


def check_for(
    session: Session,
    vote: Placement,
    page: Sequence[Placement],
    kinds: Sequence[str],
    rng: random.Random,
) -> Placement:
    """Draw a check that goes with a comparison of a worker's page.

    Args:
        session: of the study's database.
        vote: the comparison that it is drawn with.
        page: everything that the worker judges in this assignment.
        kinds: that may be drawn. A repeat needs something judged before, and a distractor
            another prompt: where there is none, the same image twice stands in.
        rng: seeded by the study.
    """
    kind = rng.choice(list(kinds))
    if kind == "repeat":
        before = page[: max(0, page.index(vote) + 1 - DISTANCE)]
        earlier = [*_judged_before(session, vote), *before]
        if earlier:
            chosen = rng.choice(earlier)
            return _placement(vote, chosen.comparison, "repeat", chosen.methods[::-1])
    method = rng.choice(vote.methods)
    if kind == "distractor":
        other = _other_prompt(session, vote.comparison, method, rng)
        if other is not None:
            _shown(session, vote.comparison, DISTRACTOR, other.id)
            names = [method, DISTRACTOR]
            rng.shuffle(names)
            return _placement(vote, vote.comparison, "distractor", names)
    image = session.scalars(
        select(ShownImage.image_id).where(
            ShownImage.comparison_id == vote.comparison.id, ShownImage.name == method
        )
    ).one()
    _shown(session, vote.comparison, method + COPY, image)
    names = [method, method + COPY]
    rng.shuffle(names)
    return _placement(vote, vote.comparison, "same", names)


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


def _judged_before(session: Session, vote: Placement) -> list[Placement]:
    """What the worker judged in earlier assignments, without the most recent."""
    found = session.scalars(
        select(Placement)
        .join(Comparison)
        .where(
            Comparison.study_id == vote.comparison.study_id,
            Placement.worker_id == vote.worker_id,
            Placement.assignment_id != vote.assignment_id,
            Placement.kind == "vote",
            Placement.released_at.is_(None),
        )
        .order_by(Placement.id)
    ).all()
    return list(found[: -(DISTANCE - 1)])


def _other_prompt(
    session: Session, comparison: Comparison, method: str, rng: random.Random
) -> ImageRecord | None:
    """An image of the same method for another prompt."""
    others = session.scalars(
        select(ImageRecord)
        .where(
            ImageRecord.study_id == comparison.study_id,
            ImageRecord.method == method,
            ImageRecord.prompt_id != comparison.prompt_id,
        )
        .order_by(ImageRecord.id)
    ).all()
    return rng.choice(others) if others else None


def _shown(session: Session, comparison: Comparison, name: str, image_id: int) -> None:
    """Give an image a name in a comparison, once."""
    there = session.scalar(
        select(ShownImage.id).where(
            ShownImage.comparison_id == comparison.id, ShownImage.name == name
        )
    )
    if there is None:
        session.add(
            ShownImage(
                public_id=new_name(), comparison_id=comparison.id, image_id=image_id, name=name
            )
        )


def _placement(vote: Placement, comparison: Comparison, kind: str, names: list[str]) -> Placement:
    return Placement(
        comparison=comparison,
        comparison_id=comparison.id,
        hit=vote.hit,
        hit_record_id=vote.hit_record_id,
        assignment_id=vote.assignment_id,
        worker_id=vote.worker_id,
        kind=kind,
        slot=None,
        methods=list(names),
        questions=[],
        drawn_at=vote.drawn_at,
        seen_at=vote.seen_at,
        reserved_until=vote.reserved_until,
        saved=[],
    )
