"""What the report says about a rate, in words that claim no more than the votes show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from analysis.findings import Findings
from analysis.rates import Rate, ThreeWayRate, claims
from analysis.settings import ReportTable
from analysis.tables import limits, percent


def headlines(
    rates: Sequence[Rate], *, titles: Mapping[str, str], level: float, simulated: bool
) -> tuple[str, ...]:
    """A headline for each rate."""
    voters = "simulated workers" if simulated else "workers"
    return tuple(
        headline(rate, title=titles[rate.question], level=level, voters=voters) for rate in rates
    )


def methods_text(found: Findings, table: ReportTable) -> str:
    """A paragraph for a paper's section on methods, ready to adapt."""
    votes = sum(rate.basis.votes for rate in found.rates)
    comparisons = sum({rate.methods: rate.basis.comparisons for rate in found.rates}.values())
    unit = found.rates[0].basis.unit
    counted = len(found.workers) - len(found.excluded)
    model = {"davidson": "Davidson's", "rao-kupper": "Rao and Kupper's"}[table.ties]
    return " ".join(
        [
            f"{counted} workers gave {votes:,} votes on {comparisons:,} comparisons, with no clear "
            "winner as a choice.",
            f"{len(found.excluded)} workers whose votes met the exclusion rules fixed in the study "
            f"file were left out ({found.excluded_votes:,} votes)." if found.excluded
            else "No worker was excluded.",
            "The score of a method is its share of votes plus half the share of no clear winner, "
            "averaged over comparisons.",
            f"Its {percent(table.level)} interval is a t interval with a variance clustered two "
            f"ways, by {unit} and by worker, and min(G, W) − 1 degrees of freedom, where G and W "
            "are the numbers of clusters; shares have Wilson intervals with the effective number "
            "of votes that this variance implies.",
            "P values are two-sided, of the same t statistic, adjusted by Holm's method for the "
            f"{len(list(claims(found.rates)))} claims of the study.",
            f"Methods were ranked by {model} extension of the Bradley–Terry model to ties, with an "
            "effect of the place and standard errors clustered the same way.",
            "Agreement is Krippendorff's nominal alpha with the methods as labels; its interval "
            f"resamples {unit}s ({table.resamples:,} times).",
        ]
    )  # fmt: skip


def headline(rate: Rate, *, title: str, level: float, voters: str) -> str:
    """One or two sentences for a rate.

    Args:
        rate: of one question.
        title: the question, as workers read it.
        level: confidence level of the interval.
        voters: who voted: "workers" or "simulated workers".
    """
    basis = rate.basis
    comparisons = "1 comparison" if basis.comparisons == 1 else f"{basis.comparisons} comparisons"
    rests = f"{basis.votes} votes of {basis.workers} {voters} on {comparisons}"
    if isinstance(rate, ThreeWayRate):
        return _three_way(rate, title, rests)
    score, interval = rate.score.value, rate.score.interval
    ties = f"{percent(rate.tie.value)} of votes saw no clear winner"
    if interval is None:
        return (
            f"{title}: {rate.method_a} scores {percent(score, 1)} against {rate.method_b}; "
            f"no interval can be given ({rate.no_interval}). {ties} ({rests})."
        )
    if interval.low <= 0.5 <= interval.high:
        return (
            f"{title}: the votes do not tell {rate.method_a} and {rate.method_b} apart. "
            f"{rate.method_a} scores {percent(score, 1)}, and its {percent(level)} interval, "
            f"{limits(interval)} %, includes 50 %. {ties} ({rests})."
        )
    better, worse, low, high = rate.method_a, rate.method_b, interval.low, interval.high
    if score < 0.5:
        better, worse = worse, better
        score, low, high = 1 - score, 1 - high, 1 - low
    return (
        f"{title}: {voters} preferred {better} to {worse}. {better} scores {percent(score, 1)} "
        f"({percent(level)} interval {100 * low:.1f}–{100 * high:.1f} %). {ties} ({rests})."
    )


def _three_way(rate: ThreeWayRate, title: str, rests: str) -> str:
    parts = [
        f"{name} {percent(share.value, 1)} [{limits(share.interval)}]"
        for name, share in zip((*rate.methods, "no clear winner"), rate.shares, strict=True)
    ]
    return f"{title}: shares of votes were {', '.join(parts)} ({rests})."
