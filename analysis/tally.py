"""Votes of one question and set of methods as arrays: what every estimator starts from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.dawid_skene import DawidSkene, dawid_skene
from analysis.intervals import Clusters, Floats
from analysis.resampling import resampled_shares
from analysis.votes import JOIN, NONE, VotesError


@dataclass(frozen=True)
class Basis:
    """What a rate rests on."""

    votes: int
    comparisons: int
    workers: int
    unit: str
    """What is resampled: "comparison", or "prompt" where prompts have several seeds."""
    units: int


@dataclass(frozen=True)
class Group:
    """What a rate is about: a question, methods that met, and which prompts."""

    question: str
    methods: tuple[str, ...]
    part: str = ""
    """"category" or "prompt_set" where it is only some prompts."""
    value: str = ""
    """Which category or prompt set."""


@dataclass(frozen=True)
class Tally:
    """Votes of one question and set of methods, as arrays."""

    labels: tuple[str, ...]
    choices: NDArray[np.intp]
    of: Clusters
    places: NDArray[np.intp]
    """`(votes, methods)`: which method stood in each place."""
    counts: NDArray[np.int64]
    """`(comparisons, labels)`."""
    basis: Basis
    names: pd.Index = field(repr=False)
    """Public ids of the comparisons, by code."""
    people: pd.Index = field(repr=False)
    """Hashes of the workers, by code."""
    rows: NDArray[np.intp] = field(repr=False)
    """Where each vote stands in the frame."""

    @property
    def cluster_of_comparison(self) -> NDArray[np.intp]:
        """The cluster of each comparison: itself, or its prompt where prompts have several."""
        first = np.zeros(len(self.counts), dtype=np.intp)
        first[self.of.comparisons] = self.of.clusters
        return first

    @property
    def shares(self) -> Floats:
        """Share of each label in each comparison, `(comparisons, labels)`."""
        return np.asarray(self.counts / self.counts.sum(axis=1, keepdims=True), dtype=np.float64)

    @cached_property
    def chosen_places(self) -> NDArray[np.intp]:
        """Place of each vote's choice, from 0; the number of methods for no clear winner."""
        size = self.places.shape[1]
        place = np.argmax(self.places == self.choices[:, None], axis=1)
        return np.asarray(np.where(self.choices == size, size, place), dtype=np.intp)

    @cached_property
    def skill(self) -> DawidSkene:
        """Dawid and Skene's model of these votes, fitted once."""
        of = self.of
        return dawid_skene(of.comparisons, of.workers, self.choices, count=len(self.labels))

    def resampled(self, resamples: int, rng: np.random.Generator) -> Floats:
        """Mean shares of the labels in resamples of clusters, `(resamples, labels)`."""
        first, units = self.cluster_of_comparison, self.basis.units
        sums = np.zeros((units, len(self.labels)))
        np.add.at(sums, first, self.shares)
        counts = np.bincount(first, minlength=units).astype(np.float64)
        return resampled_shares(sums, counts, resamples=resamples, rng=rng)


Tallies = Sequence[tuple[Group, Tally]]
"""Of every question and set of methods: made once, they serve every estimator."""


def tallies(votes: pd.DataFrame | Tallies, part: str = "") -> Iterator[tuple[Group, Tally]]:
    """Votes of every question and set of methods that met, in order of appearance.

    Args:
        votes: that count, as `votes.without_rejected` gives them; or their tallies, made before.
        part: a column, "category" or "prompt_set", whose values are counted apart.
    """
    if not isinstance(votes, pd.DataFrame):
        yield from votes
        return
    keys = ["question", "methods", *([part] if part else [])]
    groups: dict[Any, Any] = votes.groupby(keys, sort=False).indices
    for (question, methods, *value), rows in groups.items():
        group = Group(str(question), tuple(str(methods).split(JOIN)), part, *map(str, value))
        yield group, tally(votes, np.sort(np.asarray(rows, dtype=np.intp)), group.methods)


def tally(frame: pd.DataFrame, rows: NDArray[np.intp], methods: tuple[str, ...]) -> Tally:
    """Count votes.

    Args:
        frame: of votes.
        rows: those that are counted, all of them on the same methods.
        methods: that met.

    Raises:
        VotesError: a choice is none of the methods and not "none".
    """
    votes, labels = frame.iloc[rows], (*methods, NONE)
    comparisons, names = pd.factorize(votes["comparison"])
    prompts = pd.factorize(votes["prompt_id"])[0]
    workers, people = pd.factorize(votes["worker"])
    choices = _codes(votes["choice"], labels)
    if (choices < 0).any():
        unknown = votes["choice"].iloc[int(np.argmin(choices))]
        raise VotesError(f"unknown choice {unknown!r}. Known: {', '.join(labels)}.")
    counts = np.bincount(comparisons * len(labels) + choices, minlength=len(names) * len(labels))
    counts = counts.reshape(len(names), len(labels)).astype(np.int64)
    of = Clusters.of(comparisons, prompts, workers)
    basis = Basis(
        votes=len(votes),
        comparisons=len(counts),
        workers=len(people),
        unit="comparison" if of.clusters is comparisons else "prompt",
        units=int(of.clusters.max()) + 1,
    )
    places = _places(votes["places"], methods)
    return Tally(
        labels, choices, of, places, counts, basis, pd.Index(names), pd.Index(people), rows
    )


def _codes(values: pd.Series[str], labels: tuple[str, ...]) -> NDArray[np.intp]:
    codes, found = pd.factorize(values)
    known = np.array([labels.index(name) if name in labels else -1 for name in found])
    return np.asarray(known[codes], dtype=np.intp)


def _places(values: pd.Series[str], methods: tuple[str, ...]) -> NDArray[np.intp]:
    codes, found = pd.factorize(values)
    orders = np.array([[methods.index(name) for name in order.split(JOIN)] for order in found])
    return np.asarray(orders[codes], dtype=np.intp)
