"""Checks and repeats: answers whose truth is known, and answers that a worker gave twice."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.intervals import Share, clustered_share
from hit_server.checks import passed

REPEAT = "repeat"


@dataclass(frozen=True)
class Control:
    """How all workers did on one kind of control, for one question."""

    question: str
    kind: str
    """"same": one image twice; "distractor": an image made for another prompt; "repeat": a
    comparison that the worker had judged, sides swapped."""
    answers: int
    workers: int
    right: Share
    """Share of right answers; of repeats, of answers as before (self-agreement). Every answer
    counts alike; Wilson's interval, clustered by worker."""


def controls(checks: pd.DataFrame, frame: pd.DataFrame, check_question: str) -> pd.DataFrame:
    """A row for each answer to a control that says something: worker, question, kind, right.

    Args:
        checks: answers to check comparisons and repeats.
        frame: votes that count; a repeat is held against the worker's own.
        check_question: key of the question that a distractor must lose.
    """
    columns = ["worker", "question", "kind", "right"]
    named = checks.rename(columns={"check": "kind"})
    known = named[named["kind"] != REPEAT]
    found = [
        passed(kind, question, choice, check_question=check_question)
        for kind, question, choice in zip(
            known["kind"], known["question"], known["choice"], strict=True
        )
    ]
    told = np.array([each is not None for each in found], dtype=bool)
    known = known[told].assign(right=[each for each in found if each is not None])
    return pd.concat([known[columns], _repeated(named, frame)[columns]], ignore_index=True)


def summary(answers: pd.DataFrame, *, level: float) -> tuple[Control, ...]:
    """How all workers did, for each question and kind.

    Args:
        answers: as `controls` gives them.
        level: confidence level.
    """
    return tuple(_summary(answers, level))


def _summary(answers: pd.DataFrame, level: float) -> Iterator[Control]:
    for (question, kind), own in answers.groupby(["question", "kind"], sort=False):
        workers = pd.factorize(own["worker"])[0]
        right = own["right"].to_numpy(dtype=np.float64)
        share = clustered_share(right, workers, level=level)
        yield Control(str(question), str(kind), len(own), int(workers.max()) + 1, share)


def _repeated(checks: pd.DataFrame, frame: pd.DataFrame) -> pd.DataFrame:
    """Repeats, and whether they were answered as before."""
    again = checks[checks["kind"] == REPEAT]
    keys = ["worker", "comparison", "question"]
    frame = frame[frame["comparison"].isin(again["comparison"])]
    both = again.merge(frame[[*keys, "choice"]], on=keys, suffixes=("", "_before"))
    return both.assign(right=(both["choice"] == both["choice_before"]).astype(bool))
