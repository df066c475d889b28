"""Everything that the votes say, in one dataclass: rates, ranking, and whether to trust them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from analysis.agreement import Agreement, agreements
from analysis.controls import Control, controls, summary
from analysis.position import PositionBias, position_bias
from analysis.ranking import NotRanked, Ranking, rank
from analysis.rates import Rate, preference_rates
from analysis.sensitivity import Sensitivity, sensitivity
from analysis.settings import ReportTable
from analysis.tally import tallies
from analysis.votes import CountedVotes, VotesError
from analysis.workers import Worker, flagged, workers

PARTS = ("prompt_set", "category")


@dataclass(frozen=True)
class Unranked:
    """A question whose methods have no common scale."""

    question: str
    reason: str


@dataclass(frozen=True)
class Findings:
    """What the votes say of methods, and what they say of themselves."""

    rates: tuple[Rate, ...]
    parts: tuple[Rate, ...]
    """Rates of each prompt set and category, where there are two or more."""
    rankings: tuple[Ranking, ...]
    unranked: tuple[Unranked, ...]
    agreement: tuple[Agreement, ...]
    controls: tuple[Control, ...]
    """Of all workers, those who are left out too."""
    position: tuple[PositionBias, ...]
    workers: tuple[Worker, ...]
    """All of them, those who are left out too."""
    excluded: tuple[str, ...]
    """Workers whose votes were left out; empty unless the study file says so."""
    excluded_votes: int
    sensitivity: tuple[Sensitivity, ...]


def find(
    counted: CountedVotes, table: ReportTable, *, seed: int, check_question: str = ""
) -> Findings:
    """Analyse votes as the study file's `[report]` says.

    Args:
        counted: votes that count, and checks.
        table: the settings.
        seed: of all resampling.
        check_question: key of the question that a distractor must lose.

    Raises:
        VotesError: no vote is left.
    """
    everybody = counted.frame
    groups = tuple(tallies(everybody))
    answers = controls(counted.checks, everybody, check_question)
    people = workers(everybody, groups, answers, table.flags)
    flags = flagged(people)
    kept = (
        everybody[~everybody["worker"].isin(flags)].reset_index(drop=True) if flags else everybody
    )
    kept_groups = tuple(tallies(kept)) if flags else groups
    frame, counted_groups = (kept, kept_groups) if table.exclude_flagged else (everybody, groups)
    if frame.empty:
        raise VotesError(
            f"all {len(people)} workers are flagged and report.exclude_flagged = true: no vote is "
            "left. Look at report.flags."
        )
    level = table.level
    rates = preference_rates(
        counted_groups, resamples=table.resamples, level=level, seed=seed, margin=table.margin
    )
    rankings, unranked = _rankings(frame, table)
    return Findings(
        rates=rates,
        parts=tuple(_parts(frame, table, seed)),
        rankings=rankings,
        unranked=unranked,
        agreement=agreements(counted_groups, resamples=table.resamples, level=level, seed=seed),
        controls=summary(answers, level=level),
        position=position_bias(counted_groups, level=level),
        workers=people,
        excluded=tuple(flags) if table.exclude_flagged else (),
        excluded_votes=len(everybody) - len(frame),
        sensitivity=sensitivity(groups, kept_groups, level=level),
    )


def _parts(frame: pd.DataFrame, table: ReportTable, seed: int) -> Iterator[Rate]:
    for part in PARTS:
        if frame[part].nunique() > 1:
            yield from preference_rates(
                frame,
                resamples=table.resamples,
                level=table.level,
                seed=seed,
                margin=table.margin,
                part=part,
            )


def _rankings(
    frame: pd.DataFrame, table: ReportTable
) -> tuple[tuple[Ranking, ...], tuple[Unranked, ...]]:
    found, without = [], []
    for question in frame["question"].unique():
        try:
            found.append(rank(frame, str(question), level=table.level, model=table.ties))
        except NotRanked as error:
            without.append(Unranked(str(question), str(error)))
    return tuple(found), tuple(without)
