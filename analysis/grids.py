"""Findings as grids of text: the same grid goes to the page, the terminal and LaTeX."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from analysis.agreement import Agreement
from analysis.controls import Control
from analysis.findings import Findings
from analysis.grid import Grid
from analysis.intervals import Interval, Share
from analysis.position import PositionBias
from analysis.ranking import Ranking
from analysis.rates import Rate, ThreeWayRate
from analysis.scores import Prediction, ScoreRate
from analysis.sensitivity import Sensitivity
from analysis.tables import (
    alpha_text,
    coefficient,
    limits,
    p_text,
    pairs,
    times_text,
    triples,
    with_limits,
)
from analysis.workers import Worker

SHOWN_WORKERS = 30
VERSUS = "{} vs {}"
DASH = "—"
CONTROLS = {
    "same": "one image twice",
    "distractor": "beside another prompt’s image",
    "repeat": "shown again, answered as before",
}
Titles = Mapping[str, str]
"""Of the questions."""


def ranking_grid(rankings: Sequence[Ranking], titles: Titles) -> Grid:
    """All methods on one scale."""
    return Grid(
        "Ranking",
        ("Question", "Method", "Worth", "Log-worth [interval]", "Left place adds", "Votes"),
        tuple(
            (
                titles[ranking.question],
                strength.method,
                f"{strength.worth:.3f}",
                signed(strength.log_worth, strength.interval),
                DASH
                if ranking.place is None
                else signed(ranking.place, ranking.place_interval)
                if strength is ranking.strengths[0]
                else "",
                f"{ranking.votes:,}" if strength is ranking.strengths[0] else "",
            )
            for ranking in rankings
            for strength in ranking.strengths
        ),
    )


def checks_grid(rates: Sequence[Rate], titles: Titles) -> Grid:
    """How sure: effective votes, and the checks of the headline interval."""
    return Grid(
        "Checks of the intervals",
        ("Question", "Methods", "Times preferred", "Score % [interval]", "Effective votes",
         "Bootstrap", "Pigeonhole", "Naive (too narrow)"),
        tuple(
            (
                titles[rate.question],
                VERSUS.format(*rate.methods),
                times_text(rate.times),
                with_limits(rate.score),
                DASH if rate.effective_votes is None else f"{rate.effective_votes:,.0f}",
                limits(rate.score_resampled),
                limits(rate.score_pigeonhole),
                limits(rate.score_naive),
            )
            for rate in pairs(rates)
        ),
    )  # fmt: skip


def tests_grid(rates: Sequence[Rate], titles: Titles, *, margin: float | None) -> Grid:
    """P values of every claim."""
    extra = ("Equivalent, TOST",) if margin is not None else ()
    body = []
    for rate in pairs(rates):
        tests = rate.tests
        found = [tests.t, tests.holm, tests.benjamini_hochberg, tests.sign, tests.permutation]
        found += [tests.equivalence] if margin is not None else []
        body.append((titles[rate.question], VERSUS.format(*rate.methods), *map(p_text, found)))
    for three in triples(rates):
        for pair in three.pairs:
            found = [pair.t, pair.holm, pair.benjamini_hochberg]
            name = f"{VERSUS.format(pair.method_a, pair.method_b)}, of three"
            rest = ("",) * (2 + len(extra))
            body.append((titles[three.question], name, *map(p_text, found), *rest))
    return Grid(
        "Tests",
        ("Question", "Methods", "p, t", "p, Holm", "p, BH", "p, sign", "p, permutation", *extra),
        tuple(body),
    )


def implied_grid(rates: Sequence[ThreeWayRate], titles: Titles) -> Grid:
    """Pairs that three-image comparisons imply."""
    return Grid(
        "Pairs implied by three images",
        ("Question", "Methods", "Difference of shares, points", "First of votes for either %",
         "p, Holm"),
        tuple(
            (
                titles[rate.question],
                VERSUS.format(pair.method_a, pair.method_b),
                points(pair.difference),
                with_limits(pair.decided_win) if pair.decided_win else DASH,
                p_text(pair.holm),
            )
            for rate in rates
            for pair in rate.pairs
        ),
    )  # fmt: skip


def parts_grid(found: Findings, titles: Titles) -> Grid:
    """Rates of each prompt set and category: scores of pairs, shares of three."""
    body = [
        (
            titles[rate.question], VERSUS.format(*rate.methods), rate.value or "(none)",
            *(f"{100 * share.value:.1f}" for share in (rate.win, rate.tie, rate.loss)),
            with_limits(rate.score), p_text(rate.tests.holm), f"{rate.basis.comparisons:,}",
            f"{rate.basis.votes:,}",
        )
        for rate in pairs(found.parts)
    ]  # fmt: skip
    body += [
        (
            titles[three.question], f"{name}, of three", three.value or "(none)",
            f"{100 * share.value:.1f}", f"{100 * three.shares[-1].value:.1f}", "", "", "",
            f"{three.basis.comparisons:,}", f"{three.basis.votes:,}",
        )
        for three in triples(found.parts)
        for name, share in zip(three.methods, three.shares, strict=False)
    ]  # fmt: skip
    return Grid(
        "Prompt sets and categories",
        ("Question", "Methods", "Prompts", "Win %", "No winner %", "Loss %", "Score % [interval]",
         "p, Holm", "Comparisons", "Votes"),
        tuple(body),
        names=3,
    )  # fmt: skip


def position_grid(found: Sequence[PositionBias], titles: Titles) -> Grid:
    """What a place adds."""
    return Grid(
        "Position bias",
        ("Question", "Methods", "Decided votes by place, from the left %",
         "Score on the left less on the right, points", "Score, sides alike %",
         "First method stood first", "p of placement"),
        tuple(
            (
                titles[each.question],
                " | ".join(each.methods),
                " : ".join(f"{100 * share.value:.1f}" for share in each.shares) or DASH,
                points(each.bias) if each.bias else DASH,
                DASH if each.adjusted is None else f"{100 * each.adjusted:.1f}",
                f"{each.left[0]:,} of {each.left[1]:,}",
                p_text(each.placement_p),
            )
            for each in found
        ),
    )  # fmt: skip


def sensitivity_grid(found: Sequence[Sensitivity], titles: Titles) -> Grid:
    """The headline under other choices of workers."""
    return Grid(
        "The score under other choices",
        ("Question", "Methods", "All workers %", "Without flagged workers %",
         "Weighted by Dawid–Skene accuracy %"),
        tuple(
            (
                titles[each.question],
                VERSUS.format(*each.methods),
                with_limits(each.everybody),
                with_limits(each.unflagged) if each.unflagged else "nobody is left",
                with_limits(each.weighted),
            )
            for each in found
        ),
    )  # fmt: skip


def agreement_grid(found: Sequence[Agreement], titles: Titles) -> Grid:
    """How far workers agree."""
    return Grid(
        "Agreement of workers",
        ("Question", "Methods", "Nominal alpha", "Ordinal alpha", "Fleiss’ kappa", "Alike %",
         "Comparisons"),
        tuple(
            (
                titles[each.question],
                " | ".join(each.methods),
                alpha_text(each),
                coefficient(each.ordinal) if each.ordinal else DASH,
                coefficient(each.kappa) if each.kappa else DASH,
                with_limits(each.raw) if each.raw else DASH,
                f"{each.comparisons:,}",
            )
            for each in found
        ),
    )  # fmt: skip


def controls_grid(found: Sequence[Control], titles: Titles) -> Grid:
    """Checks and repeats, all workers together."""
    return Grid(
        "Checks and repeats",
        ("Question", "Control", "Right %", "Answers", "Workers"),
        tuple(
            (
                titles[each.question],
                CONTROLS[each.kind],
                with_limits(each.right),
                f"{each.answers:,}",
                f"{each.workers:,}",
            )
            for each in found
        ),
    )


def scores_grid(found: Sequence[ScoreRate]) -> Grid:
    """Win rates of automatic scores."""
    return Grid(
        "Automatic scores",
        ("Metric", "Methods", "Won : even : lost", "Win rate % [interval]", "Mean difference",
         "p, t", "p, Holm", "p, Wilcoxon", "p, sign"),
        tuple(
            (
                each.metric,
                VERSUS.format(each.method_a, each.method_b),
                f"{each.wins}:{each.ties}:{each.losses}",
                with_limits(each.win_rate),
                f"{each.difference:+.4g}",
                *map(p_text, (each.t, each.holm, each.wilcoxon, each.sign)),
            )
            for each in found
        ),
    )  # fmt: skip


def predictions_grid(found: Sequence[Prediction], titles: Titles) -> Grid:
    """How well scores predict votes."""
    return Grid(
        "Do the scores predict the votes?",
        ("Metric", "Question", "Methods", "Right on decided comparisons % [interval]",
         "Decided", "Spearman’s correlation [interval]"),
        tuple(
            (
                each.metric,
                titles[each.question],
                VERSUS.format(each.method_a, each.method_b),
                with_limits(each.accuracy) if each.accuracy else DASH,
                f"{each.decided} of {each.comparisons}",
                coefficient(each.correlation) if each.correlation else DASH,
            )
            for each in found
        ),
        names=3,
    )  # fmt: skip


def workers_grid(found: Sequence[Worker]) -> Grid:
    """Workers, flagged ones first; at most `SHOWN_WORKERS`."""
    shown = sorted(found, key=lambda each: not each.flags)[:SHOWN_WORKERS]
    return Grid(
        "Workers",
        ("Worker", "Flags", "Votes", "Median, s", "Agrees with others %", "Dawid–Skene accuracy %",
         "No clear winner %", "Left, of decided %", "Longest run", "Checks failed",
         "Repeats alike"),
        tuple(
            (
                each.worker[:8],
                "; ".join(each.flags) or DASH,
                f"{each.votes:,}",
                DASH if each.median_ms is None else f"{each.median_ms / 1000:.1f}",
                *map(_percent, (each.agreement, each.accuracy, each.ties, each.left)),
                str(each.longest_run),
                f"{each.checks_failed} of {each.checks}" if each.checks else DASH,
                f"{each.repeats_alike} of {each.repeats}" if each.repeats else DASH,
            )
            for each in shown
        ),
    )  # fmt: skip


def signed(value: float, interval: Interval | None) -> str:
    """A value on the log scale and its limits."""
    shown = f" [{interval.low:+.3f} to {interval.high:+.3f}]" if interval else ""
    return f"{value:+.3f}{shown}"


def points(share: Share) -> str:
    """A difference in percentage points and its limits."""
    interval = share.interval
    ends = f" [{100 * interval.low:+.1f} to {100 * interval.high:+.1f}]" if interval else ""
    return f"{100 * share.value:+.1f}{ends}"


def _percent(value: float | None) -> str:
    return DASH if value is None else f"{100 * value:.0f}"
