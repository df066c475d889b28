"""Automatic scores of images: their win rates, and how well they predict people's votes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from analysis.claims import holm, sign_p_value
from analysis.intervals import Floats, Share, clustered_share
from analysis.resampling import percentile_interval
from analysis.settings import ScoresFile
from analysis.tally import Tally, tallies
from analysis.votes import VotesError, read_table
from generation.manifest import ManifestRow
from generation.study import nearest

KEYS = ("prompt_id", "seed", "method")
SHA256 = "sha256"
HALF = 0.5


@dataclass(frozen=True)
class ScoreRate:
    """How often one method's image has the better score, same prompt and seed."""

    metric: str
    method_a: str
    method_b: str
    wins: int
    ties: int
    losses: int
    win_rate: Share
    """Wins and half the ties; Wilson, by prompt."""
    difference: float
    """Mean score of the first method less the second's; positive is better."""
    t: float | None
    """Paired t test on the prompts' mean differences; None where nothing varies."""
    holm: float | None
    """`t` adjusted by Holm's method over all metrics and pairs."""
    wilcoxon: float | None
    """Wilcoxon's signed-rank test on the same differences."""
    sign: float | None
    """Sign test on the same differences."""


@dataclass(frozen=True)
class Prediction:
    """How well a metric says what people voted."""

    metric: str
    question: str
    method_a: str
    method_b: str
    comparisons: int
    """With both images scored."""
    decided: int
    """Of these, those whose votes have a majority."""
    accuracy: Share | None
    """Share of the decided comparisons whose majority the metric names; its ties count half."""
    correlation: Share | None
    """Spearman's, of the difference of scores and the lead in votes; None where one is constant.
    Its interval resamples comparisons (prompts, where they have several)."""


@dataclass(frozen=True)
class Scores:
    """Everything about automatic scores."""

    rates: tuple[ScoreRate, ...]
    predictions: tuple[Prediction, ...]
    without_score: int
    """Comparisons with votes of which an image has no score."""


def read_scores(table: ScoresFile, rows: Sequence[ManifestRow], *, base: Path) -> pd.DataFrame:
    """A row an image: prompt_id, seed, method, and a column for each metric, larger is better.

    Args:
        table: which columns are metrics, and of which less is better.
        rows: the manifest, to find images that the file names by their sha256.
        base: the folder to which the file is relative.

    Raises:
        VotesError: a column is missing, a score is no finite number, or an image comes twice.
    """
    path = base / table.file
    found = read_table(path)
    if SHA256 in found.columns and not set(KEYS) <= set(found.columns):
        found = _named(found, rows, path)
    for name in (*KEYS, *table.metrics, *table.lower_is_better):
        if name not in found.columns:
            known = nearest(name, list(found.columns))
            raise VotesError(f"{path}: no column {name!r}.{known}")
    metrics = table.metrics or [
        name for name in found.columns if name not in (*KEYS, SHA256, "prompt", "category")
    ]
    if not metrics:
        raise VotesError(f"{path}: no column holds a score; the keys are {', '.join(KEYS)}.")
    scores = found[[*KEYS, *metrics]].copy()
    for name in ("prompt_id", "method"):
        scores[name] = scores[name].astype("string")
    scores["seed"] = _numbers(scores["seed"], "seed", path)
    for name in metrics:
        values = _numbers(scores[name], name, path)
        scores[name] = -values if name in table.lower_is_better else values
    again = scores[scores.duplicated(list(KEYS))]
    if len(again):
        first = again.iloc[0]
        raise VotesError(
            f"{path}, row {again.index[0] + 2}: prompt {first['prompt_id']!r}, seed "
            f"{first['seed']:.0f}, method {first['method']!r} comes twice."
        )
    return scores


def analyse_scores(
    scores: pd.DataFrame, votes: pd.DataFrame, *, level: float, resamples: int, seed: int
) -> Scores:
    """Win rates of each metric, and how each predicts the votes.

    Args:
        scores: as `read_scores` gives them.
        votes: that count; may be empty.
        level: confidence level.
        resamples: bootstrap resamples of the correlation.
        seed: of the bootstrap.
    """
    metrics = [name for name in scores.columns if name not in KEYS]
    order = list(scores["method"].unique())
    wide = {
        name: scores.pivot(index=["prompt_id", "seed"], columns="method", values=name)[order]
        for name in metrics
    }
    rates = _adjusted([rate for name in metrics for rate in _rates(name, wide[name], level)])
    rng = np.random.default_rng([seed, 47])
    predictions, missing = [], 0
    for group, tally in tallies(votes) if len(votes) else ():
        if len(group.methods) != 2:
            continue
        first, second = group.methods
        for name in metrics:
            differences = _of_comparisons(wide[name], first, second, votes, tally)
            missing += int(np.isnan(differences).sum()) if name == metrics[0] else 0
            found = _predict(differences, tally, level, resamples, rng)
            predictions.append(Prediction(name, group.question, first, second, *found))
    return Scores(tuple(rates), tuple(predictions), missing)


def _named(found: pd.DataFrame, rows: Sequence[ManifestRow], path: Path) -> pd.DataFrame:
    """Images that are named by sha256 under the manifest's names."""
    known = pd.DataFrame(
        [(row.sha256, row.prompt_id, row.seed, row.method) for row in rows],
        columns=[SHA256, *KEYS],
    )
    unknown = ~found[SHA256].isin(known[SHA256])
    if unknown.any():
        row = int(np.argmax(unknown))
        raise VotesError(
            f"{path}, row {row + 2}: sha256 {found[SHA256].iloc[row][:20]!r} is not in the "
            "manifest."
        )
    return found.drop(columns=[key for key in KEYS if key in found]).merge(known, on=SHA256)


def _numbers(values: pd.Series[str], name: str, path: Path) -> pd.Series[float]:
    numbers = pd.to_numeric(values, errors="coerce").astype("float64")
    wrong = ~np.isfinite(numbers.to_numpy())
    if wrong.any():
        row = int(np.argmax(wrong))
        raise VotesError(
            f"{path}, row {row + 2}: {name} = {str(values.iloc[row])[:40]!r} is no finite number."
        )
    return numbers


def _rates(metric: str, wide: pd.DataFrame, level: float) -> Iterator[ScoreRate]:
    for first, second in combinations(wide.columns, 2):
        both = (wide[first] - wide[second]).dropna()
        if len(both) == 0:
            continue
        difference = both.to_numpy(dtype=np.float64)
        prompts = pd.factorize(both.index.get_level_values("prompt_id"))[0]
        means = np.bincount(prompts, weights=difference) / np.bincount(prompts)
        varies = len(means) > 1 and float(np.ptp(means)) > 0
        yield ScoreRate(
            metric=metric,
            method_a=str(first),
            method_b=str(second),
            wins=int((difference > 0).sum()),
            ties=int((difference == 0).sum()),
            losses=int((difference < 0).sum()),
            win_rate=clustered_share((np.sign(difference) + 1) * HALF, prompts, level=level),
            difference=float(difference.mean()),
            t=float(stats.ttest_1samp(means, 0).pvalue) if varies else None,
            holm=None,
            wilcoxon=float(stats.wilcoxon(means).pvalue) if varies else None,
            sign=sign_p_value(int((means > 0).sum()), int((means < 0).sum())),
        )


def _adjusted(rates: Sequence[ScoreRate]) -> list[ScoreRate]:
    tested = [rate.t for rate in rates if rate.t is not None]
    adjusted = iter(holm(tested))
    return [rate if rate.t is None else replace(rate, holm=next(adjusted)) for rate in rates]


def _of_comparisons(
    wide: pd.DataFrame, first: str, second: str, votes: pd.DataFrame, tally: Tally
) -> Floats:
    """Difference of scores of each comparison, NaN where an image has none."""
    if first not in wide.columns or second not in wide.columns:
        return np.full(len(tally.counts), np.nan)
    place = np.zeros(len(tally.counts), dtype=np.intp)
    place[tally.of.comparisons] = tally.rows
    shown = votes.iloc[place]
    keys = pd.MultiIndex.from_arrays([shown["prompt_id"], shown["seed"].astype("float64")])
    both = (wide[first] - wide[second]).reindex(keys)
    return both.to_numpy(dtype=np.float64)


def _predict(
    differences: Floats, tally: Tally, level: float, resamples: int, rng: np.random.Generator
) -> tuple[int, int, Share | None, Share | None]:
    scored = ~np.isnan(differences)
    lead = ((tally.counts[:, 0] - tally.counts[:, 1]) / tally.counts.sum(axis=1))[scored]
    difference, clusters = differences[scored], tally.cluster_of_comparison[scored]
    decided = lead != 0
    accuracy = None
    if decided.any():
        right = (np.sign(difference) * np.sign(lead) + 1) * HALF
        accuracy = clustered_share(right[decided], clusters[decided], level=level)
    correlation = _correlation(difference, lead)
    share = None
    if correlation is not None:
        drawn = _resampled(difference, lead, clusters, resamples, rng)
        share = Share(correlation, percentile_interval(drawn, level=level))
    return int(scored.sum()), int(decided.sum()), accuracy, share


def _correlation(one: Floats, other: Floats) -> float | None:
    if len(one) < 3 or np.ptp(one) == 0 or np.ptp(other) == 0:
        return None
    return float(stats.spearmanr(one, other).statistic)


def _resampled(
    one: Floats,
    other: Floats,
    clusters: NDArray[np.intp],
    resamples: int,
    rng: np.random.Generator,
) -> Floats:
    """Spearman's correlation of resamples of clusters; NaN where one side is constant."""
    order = np.argsort(clusters, kind="stable")
    members = np.split(order, np.flatnonzero(np.diff(clusters[order])) + 1)
    drawn = np.full(resamples, np.nan)
    for number in range(resamples):
        clusters_drawn = rng.integers(len(members), size=len(members))
        chosen = np.concatenate([members[each] for each in clusters_drawn])
        value = _correlation(one[chosen], other[chosen])
        drawn[number] = np.nan if value is None else value
    return drawn
