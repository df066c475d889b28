"""What each worker's votes look like, and who is flagged by the study's rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from analysis.claims import holm
from analysis.controls import REPEAT
from analysis.settings import Flags
from analysis.tally import Tallies, Tally
from analysis.votes import JOIN


@dataclass(frozen=True)
class Worker:
    """One worker's votes, all questions together."""

    worker: str
    """Keyed hash."""
    votes: int
    comparisons: int
    median_ms: float | None
    """Milliseconds from shown to answered; None where not measured."""
    agreement: float | None
    """Chance that another worker's vote on the same comparison and question is the same."""
    accuracy: float | None
    """Dawid and Skene's: how the worker's labels go with everybody's."""
    ties: float
    """Share of votes without a clear winner."""
    left: float | None
    """Share of the decided votes on two images that went to the left one."""
    left_p: float | None
    """Binomial test of an even share, Holm's correction over workers."""
    longest_run: int
    """Most decided votes in a row for the same place."""
    checks: int
    """Answers to check comparisons whose right answer is known."""
    checks_failed: int
    repeats: int
    """Answers to a comparison that was shown again, sides swapped."""
    repeats_alike: int
    flags: tuple[str, ...]
    """Why the worker is flagged; empty when not."""


def workers(
    frame: pd.DataFrame,
    groups: Tallies,
    answers: pd.DataFrame,
    flags: Flags,
) -> tuple[Worker, ...]:
    """A row for each worker, those with most votes first.

    Args:
        frame: votes that count.
        groups: their tallies.
        answers: to checks and repeats, as `controls.controls` gives them.
        flags: the study's rules.
    """
    codes, names = pd.factorize(frame["worker"])
    # Summed in each tally: a million votes need no frame of their own.
    table = pd.concat([_sums(tally) for _, tally in groups]).groupby(level=0, sort=False).sum()
    judged = pd.DataFrame({"worker": codes, "comparison": pd.factorize(frame["comparison"])[0]})
    table["comparisons"] = _by_name(judged.drop_duplicates().groupby("worker").size(), names)
    medians = frame["milliseconds"].astype("Float64").groupby(codes).median()
    table["median_ms"] = _by_name(medians, names)
    table["run"] = _by_name(_longest_runs(frame, codes), names)
    repeats = answers["kind"] == REPEAT
    known, alike = _by_worker(answers[~repeats]), _by_worker(answers[repeats])
    p_values = _left_p(table)
    table = table.sort_values("votes", ascending=False, kind="stable")
    return tuple(
        _worker(str(name), row, known, alike, p_values, flags) for name, row in table.iterrows()
    )


def flagged(found: Sequence[Worker]) -> list[str]:
    """Those who are flagged."""
    return [each.worker for each in found if each.flags]


def workers_frame(found: Sequence[Worker]) -> pd.DataFrame:
    """A row a worker, for `workers.csv`; their flags joined."""
    rows = [asdict(each) | {"flags": "; ".join(each.flags)} for each in found]
    return pd.DataFrame(rows)


def _sums(tally: Tally) -> pd.DataFrame:
    """By worker: votes, how many others voted, how many alike, places, and the accuracy."""
    counts, of = tally.counts, tally.of
    place, size = tally.chosen_places, tally.places.shape[1]
    of_vote = {
        "votes": np.ones(len(place)),
        "others": counts.sum(axis=1)[of.comparisons] - 1,
        "alike": counts[of.comparisons, tally.choices] - 1,
        "tie": tally.choices == size,
        "left": (place == 0) & (size == 2),
        "sided": (place < size) & (size == 2),
        "right": tally.skill.accuracy[of.workers],
    }
    return pd.DataFrame(
        {name: np.bincount(of.workers, weights=values) for name, values in of_vote.items()},
        index=tally.people,
    )


def _by_name(values: pd.Series[Any], names: pd.Index[Any]) -> pd.Series[Any]:
    """A value a worker, by name in place of the code."""
    return pd.Series(values.array, index=names[values.index])


def _longest_runs(frame: pd.DataFrame, codes: NDArray[np.intp]) -> pd.Series[int]:
    """Longest run of decided votes for the same place, by worker's code, in order of time."""
    decided = np.flatnonzero((frame["choice"] != "none").to_numpy())
    # Votes without a time come last, in the order of the frame.
    times = frame["submitted_at"].to_numpy(dtype="datetime64[us]", na_value=np.datetime64("NaT"))
    decided = decided[np.lexsort((times[decided], codes[decided]))]
    longest = pd.Series(0, index=range(int(codes.max()) + 1))
    if len(decided) == 0:
        return longest
    place, worker = _place_of_choice(frame[["places", "choice"]].iloc[decided]), codes[decided]
    starts = np.r_[True, (np.diff(worker) != 0) | (np.diff(place) != 0)]
    lengths = np.bincount(np.cumsum(starts) - 1)
    longest.update(pd.Series(lengths).groupby(worker[starts]).max())
    return longest


def _place_of_choice(votes: pd.DataFrame) -> NDArray[np.intp]:
    code, kinds = pd.factorize(votes["places"] + "\n" + votes["choice"])
    known = [order.split(JOIN).index(choice) for order, choice in (k.split("\n") for k in kinds)]
    return np.asarray(np.array(known, dtype=np.intp)[code] if known else code, dtype=np.intp)


def _left_p(table: pd.DataFrame) -> dict[str, float]:
    own = table[table["sided"] > 0]
    raw = [
        float(stats.binomtest(int(left), int(sided)).pvalue)
        for left, sided in zip(own["left"], own["sided"], strict=True)
    ]
    return dict(zip(map(str, own.index), holm(raw), strict=True))


def _by_worker(answers: pd.DataFrame) -> dict[str, tuple[int, int]]:
    """How many answers each worker gave, and how many were right."""
    grouped = answers.groupby("worker")["right"].agg(["size", "sum"])
    return {str(name): (int(row["size"]), int(row["sum"])) for name, row in grouped.iterrows()}


def _worker(
    name: str,
    row: pd.Series[float],
    known: dict[str, tuple[int, int]],
    alike: dict[str, tuple[int, int]],
    p_values: dict[str, float],
    flags: Flags,
) -> Worker:
    checks, passed = known.get(name, (0, 0))
    repeats, same = alike.get(name, (0, 0))
    sided, left_p = int(row["sided"]), p_values.get(name)
    votes, median = int(row["votes"]), row["median_ms"]
    found = Worker(
        worker=name,
        votes=votes,
        comparisons=int(row["comparisons"]),
        median_ms=None if pd.isna(median) else float(median),
        agreement=float(row["alike"] / row["others"]) if row["others"] else None,
        accuracy=float(row["right"] / votes),
        ties=float(row["tie"] / votes),
        left=float(row["left"] / sided) if sided else None,
        left_p=left_p,
        longest_run=int(row["run"]),
        checks=checks,
        checks_failed=checks - passed,
        repeats=repeats,
        repeats_alike=same,
        flags=(),
    )
    return replace(found, flags=_flags(found, flags))


def _flags(worker: Worker, rules: Flags) -> tuple[str, ...]:
    """Rules that a worker breaks; agreement with others is never one of them."""
    found = []
    if worker.checks >= rules.least_checks and (
        worker.checks_failed > rules.failed_checks * worker.checks
    ):
        found.append(f"failed {worker.checks_failed} of {worker.checks} checks")
    if worker.left_p is not None and worker.left_p < rules.one_sided_p:
        found.append(f"chose the left image in {100 * (worker.left or 0):.0f} % of decided votes")
    if worker.median_ms is not None and worker.median_ms < 1000 * rules.median_seconds:
        found.append(f"median of {worker.median_ms / 1000:.1f} s an answer")
    if worker.longest_run >= rules.longest_run:
        found.append(f"{worker.longest_run} decided votes in a row for the same place")
    return tuple(found)
