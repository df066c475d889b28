"""Example comparisons for the report: the most one-sided, the most split, the most tied."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from analysis.votes import JOIN, NONE
from generation.manifest import ManifestRow

KINDS = {
    "one-sided": "Most one-sided",
    "split": "Most split",
    "tied": "Most often without a clear winner",
}
LARGEST = 512
"""Pixels: larger images are made smaller, so that the page can be sent by mail."""


MOST_GROUPS = 20
"""Sets of methods that examples are shown of: a page has to stay readable."""


@dataclass(frozen=True)
class VoteCount:
    """The votes on one comparison and question."""

    question: str
    votes: tuple[int, ...]
    """For each method in the study's order, then for no clear winner."""


@dataclass(frozen=True)
class Example:
    """A comparison as the report shows it."""

    kind: str
    question: str
    """The question by whose votes it was chosen."""
    comparison: str
    prompt: str
    seed: int
    methods: tuple[str, ...]
    images: tuple[str, ...]
    """Data URIs in the order of methods; empty where the image is not there any more."""
    counts: tuple[VoteCount, ...]


def choose_examples(
    frame: pd.DataFrame, rows: Sequence[ManifestRow], folder: Path, *, each: int
) -> tuple[Example, ...]:
    """Choose comparisons for the first `MOST_GROUPS` sets of methods; none is shown twice.

    Args:
        frame: votes that count.
        rows: the study's manifest, which knows where the images are.
        folder: the study's folder.
        each: how many of each kind.
    """
    paths = {row.scene: folder / row.path for row in rows}
    examples: list[Example] = []
    for methods in frame["methods"].unique()[:MOST_GROUPS]:
        votes = frame[frame["methods"] == methods]
        names = tuple(methods.split(JOIN))
        counts = _counts(votes, (*names, NONE))
        for kind, comparison, question in _chosen(counts, each):
            of = votes[votes["comparison"] == comparison]
            tallies = counts[counts.index.get_level_values("comparison") == comparison]
            examples.append(
                _example(kind, question, of, names, tallies.droplevel("comparison"), paths)
            )
    return tuple(examples)


def _counts(votes: pd.DataFrame, labels: tuple[str, ...]) -> pd.DataFrame:
    """Votes for each label, by comparison and question, sorted."""
    comparison, comparisons = pd.factorize(votes["comparison"], sort=True)
    question, questions = pd.factorize(votes["question"], sort=True)
    choice, known = pd.factorize(votes["choice"])
    label = np.array([labels.index(each) for each in known])[choice]
    cell = (comparison * len(questions) + question) * len(labels) + label
    size = len(comparisons) * len(questions)
    counts = np.bincount(cell, minlength=size * len(labels)).reshape(size, len(labels))
    index = pd.MultiIndex.from_product([comparisons, questions], names=["comparison", "question"])
    asked = counts.sum(axis=1) > 0
    return pd.DataFrame(counts[asked], index=index[asked], columns=list(labels))


def _chosen(counts: pd.DataFrame, each: int) -> list[tuple[str, str, str]]:
    """Kind, comparison and question of what to show, from `(comparison, question)` counts."""
    ordered = counts.drop(columns=NONE).to_numpy(copy=True)
    ordered.sort(axis=1)
    first, second = ordered[:, -1], ordered[:, -2]
    votes = counts.sum(axis=1).to_numpy()
    strength = {
        "one-sided": (first - second) / votes,
        "split": second / votes,
        "tied": counts[NONE].to_numpy() / votes,
    }
    used: set[str] = set()
    chosen: list[tuple[str, str, str]] = []
    for kind in KINDS:
        values = pd.Series(strength[kind], index=counts.index)
        values = values[values > 0].sort_values(ascending=False, kind="stable")
        taken = 0
        for comparison, question in values.index:
            if taken == each:
                break
            if comparison not in used:
                used.add(comparison)
                chosen.append((kind, str(comparison), str(question)))
                taken += 1
    return chosen


def _example(
    kind: str,
    question: str,
    votes: pd.DataFrame,
    methods: tuple[str, ...],
    counts: pd.DataFrame,
    paths: Mapping[tuple[str, int, str], Path],
) -> Example:
    one = votes.iloc[0]
    scene = (str(one["prompt_id"]), int(one["seed"]))
    tallies = counts.loc[[name for name in votes["question"].unique() if name in counts.index]]
    return Example(
        kind=kind,
        question=question,
        comparison=str(one["comparison"]),
        prompt=str(one["prompt"]),
        seed=scene[1],
        methods=methods,
        images=tuple(_data_uri(paths.get((*scene, name))) for name in methods),
        counts=tuple(
            VoteCount(str(name), tuple(int(count) for count in row))
            for name, row in zip(tallies.index, tallies.to_numpy(), strict=True)
        ),
    )


def _data_uri(path: Path | None) -> str:
    if path is None or not path.exists():
        return ""
    content, kind = path.read_bytes(), "png"
    with Image.open(io.BytesIO(content)) as image:
        if max(image.size) > LARGEST:
            smaller = image.convert("RGB")
            smaller.thumbnail((LARGEST, LARGEST))
            buffer = io.BytesIO()
            smaller.save(buffer, format="WEBP", quality=88)
            content, kind = buffer.getvalue(), "webp"
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
