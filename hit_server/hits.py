"""The table `[hits]`: which methods meet and what workers read: the published wording."""

from __future__ import annotations

from itertools import combinations
from typing import Any

from pydantic import Field, field_validator

from generation.plan import spread_scales
from generation.study import StudyError, StudyFile, Table, nearest

INTRODUCTION = (
    "Please read the following instructions carefully. In this task, you will be given a "
    "description and {images}. Your job is to evaluate the images based on two criteria."
)
REMINDER = (
    "IMPORTANT: if {both} images are correct or there is not a huge difference between them, "
    "pick no clear winner"
)


class Question(Table):
    """One multiple-choice question."""

    key: str = Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")
    """Names the question in votes and reports."""
    title: str = Field(min_length=1)
    text: str = Field(min_length=1)


QUESTIONS = [
    Question(
        key="correctness",
        title="Correctness",
        text=(
            "How well does the image match the given description? For each image, ask yourself: "
            "Do you see all of the objects? Are all objects' details correct? Are there any "
            "details on objects that should not be there? Choose the image that best matches the "
            "description. If they are equally good or bad, choose no clear winner."
        ),
    ),
    Question(
        key="appeal",
        title="Visual Appeal",
        text=(
            "Which image looks overall better or more natural? For evaluating visual appeal, "
            "simply decide which image looks better or natural to you whether or not it aligns "
            "with the description."
        ),
    ),
]


class Hits(Table):
    """`[hits]`."""

    comparisons: list[list[str]] = Field(default=[])
    """Two or three method names each; every pair of methods when not given."""
    pairs: int | None = Field(default=None, ge=1)
    """How many prompt-seed pairs are judged, drawn from the study's seed; all when not given."""
    most_per_worker: int | None = Field(default=None, ge=1)
    """Comparisons that one worker may judge; as many as there are when not given."""
    title: str = Field(default="Compare images made from a description", max_length=128)
    description: str = Field(
        default="Look at two or three images and say which matches a description and looks better.",
        max_length=2000,
    )
    keywords: str = Field(default="image, compare, survey, quick", max_length=1000)
    introduction: str = INTRODUCTION
    """`{images}` stands for "2 images" or "3 images"."""
    reminder: str = REMINDER
    """`{both}` stands for "both" or "all"."""
    questions: list[Question] = Field(default=QUESTIONS, min_length=1, max_length=6)

    @field_validator("comparisons")
    @classmethod
    def _two_or_three(cls, groups: list[list[str]]) -> list[list[str]]:
        for group in groups:
            if len(group) not in (2, 3) or len(set(group)) != len(group):
                raise ValueError(f"{group} must name two or three different methods.")
        if len({frozenset(group) for group in groups}) != len(groups):
            raise ValueError("the same methods are named twice.")
        return groups

    @field_validator("questions")
    @classmethod
    def _different_keys(cls, questions: list[Question]) -> list[Question]:
        if len({question.key for question in questions}) != len(questions):
            raise ValueError("two questions have the same key.")
        return questions


def checked_hits(file: StudyFile) -> Hits:
    """The table `[hits]` with its comparisons checked against the study's methods.

    Raises:
        StudyError: naming file, key, value and the nearest method.
    """
    hits = file.table("hits", Hits)
    generation: dict[str, Any] = file.tables.get("generation", {})
    methods = list(spread_scales(generation.get("methods", {})))
    for group in hits.comparisons:
        for name in group:
            if name not in methods:
                raise StudyError(
                    f"{file.path}: hits.comparisons = {group}: no method {name!r}."
                    f"{nearest(name, methods)}"
                )
    if hits.comparisons:
        return hits
    if len(methods) < 2:
        raise StudyError(f"{file.path}: hits.comparisons: a study compares at least two methods.")
    pairs = [list(pair) for pair in combinations(methods, 2)]
    return hits.model_copy(update={"comparisons": pairs})
