"""What the report says about a rate, in words that claim no more than the votes show."""

from __future__ import annotations

from analysis.rates import Rate, ThreeWayRate
from analysis.tables import limits, percent


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
