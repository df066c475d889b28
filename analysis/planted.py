"""Votes of simulated workers: the truth that was planted, and how far the estimates lie from it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analysis.intervals import Share
from analysis.rates import PreferenceRate, Rate
from generation.study import UserError

FILE = "truth.json"


class TruthError(UserError):
    """`truth.json` cannot be read."""


@dataclass(frozen=True)
class PlantedShare:
    """What the simulation planted for a pair of methods, the first of which wins."""

    question: str
    methods: tuple[str, str]
    win: float
    tie: float
    loss: float
    among: tuple[str, ...]
    """All methods that were shown together."""


@dataclass(frozen=True)
class Truth:
    """A simulation: who voted, and what was planted."""

    note: str
    careful: int
    careless: int
    shares: tuple[PlantedShare, ...]


@dataclass(frozen=True)
class Check:
    """One estimate beside the truth."""

    question: str
    what: str
    planted: float
    estimate: float
    inside: bool | None
    """Whether the interval holds the truth; None where there is no interval."""

    @property
    def difference(self) -> float:
        """Estimate less truth."""
        return self.estimate - self.planted


def read_truth(folder: Path) -> Truth | None:
    """The planted truth of a study's folder; None where people voted and there is none.

    Raises:
        TruthError: the file exists and cannot be read. A report must never take simulated votes
            for people's.
    """
    path = folder / FILE
    if not path.exists():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        kinds = [str(worker["kind"]) for worker in content["workers"]]
        return Truth(
            note=str(content["note"]),
            careful=kinds.count("careful"),
            careless=kinds.count("careless"),
            shares=tuple(_planted(entry) for entry in content["truth"]),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TruthError(
            f"{path}: not a planted truth ({error!r}). Run `clearwinner rehearse` again; if people "
            "voted in this study, remove the file."
        ) from None


def checks(truth: Truth, rates: Sequence[Rate]) -> tuple[Check, ...]:
    """Every estimate for which a truth was planted, beside it."""
    found: list[Check] = []
    for rate in rates:
        if isinstance(rate, PreferenceRate):
            pair = (rate.method_a, rate.method_b)
            planted = _shares(truth, rate.question, pair)
            if planted:
                score = planted[pair[0]] + planted["none"] / 2
                what = f"score of {pair[0]} over {pair[1]}"
                found.append(_check(rate.question, what, score, rate.score))
        else:
            planted = _shares(truth, rate.question, rate.methods)
            for label, share in zip((*rate.methods, "none"), rate.shares, strict=True):
                if label in planted:
                    what = "share of no clear winner" if label == "none" else f"share of {label}"
                    found.append(_check(rate.question, what, planted[label], share))
    return tuple(found)


def _planted(entry: dict[str, Any]) -> PlantedShare:
    first, second = entry["methods"]
    return PlantedShare(
        question=str(entry["question"]),
        methods=(str(first), str(second)),
        win=float(entry["win"]),
        tie=float(entry["tie"]),
        loss=float(entry["loss"]),
        among=tuple(entry.get("among", (first, second))),
    )


def _shares(truth: Truth, question: str, methods: Sequence[str]) -> dict[str, float]:
    """Planted share of each method that met, and of none, whatever the order they are in."""
    shares: dict[str, float] = {}
    for entry in truth.shares:
        if entry.question == question and set(entry.among) == set(methods):
            shares |= {entry.methods[0]: entry.win, entry.methods[1]: entry.loss, "none": entry.tie}
    return shares


def _check(question: str, what: str, planted: float, share: Share) -> Check:
    ends = share.interval
    inside = None if ends is None else ends.low <= planted <= ends.high
    return Check(question, what, planted, share.value, inside)
