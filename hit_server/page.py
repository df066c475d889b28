"""A HIT's page as its template needs it; nothing in it tells a method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, select
from sqlalchemy.orm import Session

from hit_server.comparisons import slot_order
from hit_server.drawn import Drawn
from hit_server.hits import Example, Hits, Question, hits_of_record
from hit_server.known import Known, KnownImage, images_named
from hit_server.records import Comparison, Hit
from hit_server.tasks import Task


@dataclass(frozen=True)
class Shown:
    """An image in its place."""

    place: int
    public_id: str
    width: int
    height: int


@dataclass(frozen=True)
class Pair:
    """A comparison on the page: two images or three."""

    number: int
    public_id: str
    prompt: str
    shown: tuple[Shown, ...]
    questions: tuple[Question, ...]
    answers: Mapping[str, str]
    """Labels that were saved, by question."""


@dataclass(frozen=True)
class Page:
    """Everything that a worker reads."""

    title: str
    introduction: str
    reminder: str
    questions: tuple[Question, ...]
    examples: tuple[Example, ...]
    study_id: int
    pairs: tuple[Pair, ...]
    instructions_open: bool
    min_seconds: float


def accepted_page(
    connection: Connection, known: Known, task: Task, drawn: Sequence[Drawn], *, first: bool
) -> Page:
    """The page of a worker's assignment.

    Args:
        connection: to the study's database.
        known: what this process remembers of the database's comparisons.
        task: the HIT that the worker accepted.
        drawn: for the assignment.
        first: whether it is the worker's first HIT of the study: instructions are open then.
    """
    ids = [each.comparison_id for each in drawn]
    comparisons = {each.id: each for each in known.named(connection, ids)}
    checks = {each.comparison_id for each in drawn if each.kind != "vote"}
    of_checks = images_named(connection, checks) if checks else {}
    asked = {question.key: question for question in task.hits.questions}
    pairs = []
    for each in drawn:
        comparison = comparisons[each.comparison_id]
        images = comparison.images if each.kind == "vote" else of_checks[each.comparison_id]
        pairs.append(
            Pair(
                number=each.number,
                public_id=comparison.public_id,
                prompt=comparison.prompt,
                shown=in_places(images, each.methods),
                questions=tuple(asked[key] for key in each.questions),
                answers=each.saved,
            )
        )
    return _page(task.hits, task.study_id, pairs, instructions_open=first)


def preview_page(session: Session, hit: Hit) -> Page:
    """What a worker sees before accepting: one comparison as it will be, nothing recorded."""
    hits = hits_of_record(hit.study.hits)
    shown = list(hit.comparisons[: hits.per_hit])
    if hit.pooled:
        of_study = select(Comparison).where(Comparison.study_id == hit.study_id)
        shown = list(session.scalars(of_study.order_by(Comparison.key).limit(hits.per_hit)))
    images = images_named(session.connection(), [comparison.id for comparison in shown])
    pairs = []
    for number, comparison in enumerate(shown, 1):
        pairs.append(
            Pair(
                number=number,
                public_id=comparison.public_id,
                prompt=comparison.prompt,
                shown=in_places(images[comparison.id], preview_order(comparison)),
                questions=tuple(hits.questions),
                answers={},
            )
        )
    return _page(hits, hit.study_id, pairs, instructions_open=True)


def preview_order(comparison: Comparison) -> list[str]:
    """The methods of a comparison as nobody's page shows them.

    Drawn, too: a fixed order would tell the methods to those who only look.
    """
    return slot_order(
        comparison.methods,
        0,
        wanted=0,
        turn=0,
        seed=comparison.study.seed,
        about=f"preview|{comparison.key}",
    )


def _page(hits: Hits, study_id: int, pairs: Sequence[Pair], *, instructions_open: bool) -> Page:
    numbers = sorted({len(pair.shown) for pair in pairs})
    counted = " or ".join(str(number) for number in numbers)
    return Page(
        title=hits.title,
        introduction=hits.introduction.format(images=f"{counted} images"),
        reminder=hits.reminder.format(both="both" if numbers == [2] else "all"),
        questions=tuple(hits.questions),
        examples=tuple(hits.examples),
        study_id=study_id,
        pairs=tuple(pairs),
        instructions_open=instructions_open,
        min_seconds=hits.min_seconds,
    )


def in_places(images: Mapping[str, KnownImage], order: Sequence[str]) -> tuple[Shown, ...]:
    """Images in the order of their names, numbered from the first place."""
    found = ((number, images[name]) for number, name in enumerate(order, 1))
    return tuple(Shown(number, each.public_id, each.width, each.height) for number, each in found)
