"""Rates as tables: flat rows, CSV, LaTeX (booktabs), and a table for the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

import pandas as pd

from analysis import grid
from analysis.agreement import Agreement
from analysis.grid import Grid
from analysis.intervals import Interval, Share
from analysis.rates import Majority, PreferenceRate, Rate, ThreeWayRate
from analysis.tally import Basis
from analysis.votes import NONE

Row = dict[str, Any]


def pairs(rates: Iterable[Rate]) -> list[PreferenceRate]:
    """The rates of comparisons of two images."""
    return [rate for rate in rates if isinstance(rate, PreferenceRate)]


def triples(rates: Iterable[Rate]) -> list[ThreeWayRate]:
    """The rates of comparisons of three images."""
    return [rate for rate in rates if isinstance(rate, ThreeWayRate)]


def rates_frame(rates: Sequence[Rate]) -> pd.DataFrame:
    """One row a rate of two methods, or a label of a three-image comparison; for `rates.csv`.

    A cell is empty where there is no interval.
    """
    rows = [_pair_row(rate) for rate in pairs(rates)]
    rows += [row for rate in triples(rates) for row in _three_way_rows(rate)]
    return pd.DataFrame(rows)


def latex(rates: Sequence[Rate]) -> str:
    """The rates as LaTeX tables for `booktabs`, every name escaped."""
    text = grid.latex(_latex_pairs(pairs(rates))) if pairs(rates) else ""
    for three in triples(rates):
        text += grid.latex(_three_way([three]))
    return text


def terminal_grids(rates: Sequence[Rate], *, level: float) -> list[Grid]:
    """For the terminal: one for the pairs, one for three-image comparisons, where there are."""
    found = []
    if pairs(rates):
        title = f"Preference rates, %, with {percent(level)} intervals"
        head = ("Question", "Methods", "Win", "Tie", "Loss", "Score", "p, Holm", "Won: even: lost",
                "Votes")  # fmt: skip
        body = tuple(_pair_cells(rate) for rate in pairs(rates))
        found.append(Grid(title, head, body))
    if triples(rates):
        found.append(_three_way(triples(rates)))
    return found


def labelled(rate: ThreeWayRate) -> list[tuple[str, int, Share]]:
    """Label, votes and share of each method and of no clear winner."""
    labels = (*rate.methods, "no clear winner")
    return list(zip(labels, rate.counts, rate.shares, strict=True))


def percent(value: float, digits: int = 0) -> str:
    """A share as per cent, with a no-break space."""
    return f"{100 * value:.{digits}f}\u00a0%"


def limits(interval: Interval | None) -> str:
    """The limits of an interval in per cent, or a dash where there is none."""
    return f"{100 * interval.low:.1f}–{100 * interval.high:.1f}" if interval else "—"


def p_text(p: float | None) -> str:
    """A p value with two digits, or a dash where there is none."""
    if p is None:
        return "—"
    return "<0.001" if p < 0.001 else f"{p:.2g}" if p < 0.1 else f"{p:.2f}"


def alpha_text(each: Agreement) -> str:
    """Alpha with its interval, or why there is none."""
    return coefficient(each.alpha) if each.alpha else each.reason


def coefficient(share: Share) -> str:
    """A coefficient of agreement and its limits."""
    interval = share.interval
    shown = f" [{interval.low:.3f} to {interval.high:.3f}]" if interval else ""
    return f"{share.value:.3f}{shown}"


def majority_text(majority: Majority) -> str:
    """Comparisons won, even and lost."""
    return f"{majority.wins}:{majority.ties}:{majority.losses}"


def times_text(share: Share | None) -> str:
    """How many times as many votes the preferred method had, and the limits."""
    if share is None:
        return "—"
    ends = f" [{share.interval.low:.2f}–{share.interval.high:.2f}]" if share.interval else ""
    return f"{share.value:.2f}{ends}"


def with_limits(share: Share) -> str:
    """A share in per cent, and its limits."""
    return f"{100 * share.value:.1f} [{limits(share.interval)}]"


def _latex_pairs(rates: Sequence[PreferenceRate]) -> Grid:
    return Grid(
        "Preference rates",
        ("Question", "Methods", "Win %", "No winner %", "Loss %", "Score % [interval]"),
        tuple(
            (
                rate.question,
                f"{rate.method_a} vs {rate.method_b}",
                *(f"{100 * share.value:.1f}" for share in (rate.win, rate.tie, rate.loss)),
                with_limits(rate.score),
            )
            for rate in rates
        ),
    )


def _three_way(rates: Sequence[ThreeWayRate]) -> Grid:
    return Grid(
        "Three images side by side",
        ("Question", "Label", "Votes", "Share % [interval]"),
        tuple(
            (rate.question, label, str(count), with_limits(share))
            for rate in rates
            for label, count, share in labelled(rate)
        ),
    )


def _pair_cells(rate: PreferenceRate) -> tuple[str, ...]:
    return (
        rate.question,
        f"{rate.method_a} vs {rate.method_b}",
        *(f"{100 * share.value:.1f}" for share in (rate.win, rate.tie, rate.loss)),
        with_limits(rate.score),
        p_text(rate.tests.holm),
        majority_text(rate.majority),
        str(rate.basis.votes),
    )


def _pair_row(rate: PreferenceRate) -> Row:
    row: Row = {
        "question": rate.question,
        "part": rate.part,
        "value": rate.value,
        "method_a": rate.method_a,
        "method_b": rate.method_b,
        "wins": rate.wins,
        "ties": rate.ties,
        "losses": rate.losses,
        **_basis(rate.basis),
    }
    for name in ("win", "tie", "loss", "score"):
        row |= _share(f"{name}_share" if name != "score" else name, getattr(rate, name))
    row["score_interval"] = rate.score.interval.method if rate.score.interval else ""
    row["no_interval"] = rate.no_interval
    row |= _interval("score_resampled", rate.score_resampled)
    row |= _interval("score_pigeonhole", rate.score_pigeonhole)
    row |= _interval("score_naive", rate.score_naive)
    row["effective_votes"] = rate.effective_votes
    row |= {f"p_{name}": p for name, p in asdict(rate.tests).items()}
    row["score_every_vote_alike"] = rate.vote_score
    row |= _share("decided_win_share", rate.decided_win)
    row |= _share("times_preferred", rate.times)
    row["majority_wins"] = rate.majority.wins
    row["majority_ties"] = rate.majority.ties
    row["majority_losses"] = rate.majority.losses
    return row | _share("majority_win_share", rate.majority.win)


def _three_way_rows(rate: ThreeWayRate) -> list[Row]:
    labels = (*rate.methods, NONE)
    return [
        {
            "question": rate.question,
            "part": rate.part,
            "value": rate.value,
            "among": "|".join(rate.methods),
            "label": label,
            "label_votes": count,
            **_basis(rate.basis),
            **_share("share", share),
        }
        for label, count, share in zip(labels, rate.counts, rate.shares, strict=True)
    ]


def _basis(basis: Basis) -> Row:
    return {"votes": basis.votes, "comparisons": basis.comparisons, "workers": basis.workers}


def _share(name: str, share: Share | None) -> Row:
    value = share.value if share else None
    return {name: value} | _interval(name, share.interval if share else None)


def _interval(name: str, interval: Interval | None) -> Row:
    return {
        f"{name}_low": interval.low if interval else None,
        f"{name}_high": interval.high if interval else None,
    }
