"""The table `[hits]`: which methods meet and what workers read: the published wording."""

from __future__ import annotations

import json
from functools import lru_cache
from itertools import combinations
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

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


IMAGE_TYPES = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg"}


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


def hits_of_record(table: dict[str, Any]) -> Hits:
    """The table `[hits]` as a study's record keeps it; checked once, as it rarely changes."""
    return hits_of_text(json.dumps(table, sort_keys=True))


@lru_cache(maxsize=64)
def hits_of_text(text: str) -> Hits:
    """The table as the database holds it, in JSON."""
    return Hits.model_validate_json(text)


class Example(Table):
    """An example that the instructions show, with its answer."""

    prompt: str = Field(min_length=1)
    images: list[str] = Field(min_length=2, max_length=3)
    """Files, PNG or JPEG, from the study file's folder."""
    answer: str = Field(min_length=1)
    """What is to be chosen, and why."""


class Checks(Table):
    """`[hits.checks]`: comparisons that measure attention. Workers are never told."""

    share: float = Field(default=0.0, ge=0, le=0.5)
    """Checks added for each comparison: 0.1 adds one to every tenth."""
    kinds: list[Literal["same", "distractor", "repeat"]] = Field(
        default=["same", "distractor", "repeat"], min_length=1
    )
    """The same image twice; an image of another prompt beside the right one; a comparison that
    the worker has judged, with its sides swapped."""
    question: str | None = None
    """Key of the question that a distractor must lose; the first one when not given."""


class Hits(Table):
    """`[hits]`."""

    comparisons: list[list[str]] = Field(default=[])
    """Two or three method names each; every pair of methods when not given."""
    pairs: int | None = Field(default=None, ge=1)
    """How many prompt-seed pairs are judged, drawn from the study's seed; all when not given."""
    most_per_worker: int | None = Field(default=None, ge=1)
    """HITs that one worker may do; as many as there are when not given."""
    question: Literal["external", "html"] = "external"
    """external: our server's page in the crowd's frame. html: the whole page in the HIT, its
    images on a host of yours; places then follow from the assignment, without a server."""
    per_hit: int = Field(default=1, ge=1, le=50)
    """Comparisons on one HIT's page."""
    question_order: Literal["fixed", "random"] = "fixed"
    """Random: drawn for each worker's comparison, and recorded."""
    min_seconds: float = Field(default=0.0, ge=0, le=60)
    """Answers that come sooner after the images are shown are not taken; the page says so."""
    checks: Checks = Checks()
    examples: list[Example] = Field(default=[], max_length=6)
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

    @model_validator(mode="after")
    def _question_of_checks(self) -> Hits:
        keys = [question.key for question in self.questions]
        if self.question == "html":
            for name, used in (
                ("checks.share", self.checks.share > 0),
                ("question_order", self.question_order == "random"),
                ("most_per_worker", self.most_per_worker is not None),
            ):
                if used:
                    raise ValueError(f'{name} needs a server: question = "external".')
        if self.checks.question is not None and self.checks.question not in keys:
            known = nearest(self.checks.question, keys)
            raise ValueError(f"checks.question = {self.checks.question!r}: no such key.{known}")
        return self

    @property
    def check_question(self) -> str:
        """Key of the question that a distractor must lose."""
        return self.checks.question or self.questions[0].key


def _with_files(file: StudyFile, hits: Hits) -> Hits:
    """The examples' images as absolute paths.

    Raises:
        StudyError: one is not there.
    """
    examples = []
    for example in hits.examples:
        paths = [(file.path.parent / name).resolve() for name in example.images]
        for path in paths:
            if not path.is_file():
                raise StudyError(f"{file.path}: hits.examples: there is no file {path}.")
            if path.suffix.lower() not in IMAGE_TYPES:
                raise StudyError(
                    f"{file.path}: hits.examples: {path.name} is not one of "
                    f"{', '.join(IMAGE_TYPES)}."
                )
        examples.append(example.model_copy(update={"images": [str(path) for path in paths]}))
    return hits.model_copy(update={"examples": examples})


def checked_hits(file: StudyFile) -> Hits:
    """The table `[hits]` with its comparisons checked against the study's methods.

    Raises:
        StudyError: naming file, key, value and the nearest method.
    """
    hits = _with_files(file, file.table("hits", Hits))
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
