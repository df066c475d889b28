"""How many comparisons and votes a study needs, by simulation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from scipy import stats

from analysis.claims import score_p_value
from analysis.figures import INK, LOSS, STYLE, THIRD, WIN
from analysis.grid import Grid
from analysis.intervals import Share, two_way_interval, wilson
from analysis.rates import WORTH
from analysis.simulate import Crowd, lead_for, simulate, threshold
from analysis.tables import percent, with_limits
from generation.study import UserError

SIZES = (10, 20, 30, 50, 75, 100, 150, 200, 300, 500)
MARKS = ("o", "s", "^", "D")


class PowerError(UserError):
    """What is asked for cannot be simulated."""


@dataclass(frozen=True)
class Power:
    """Chance that a study of one size finds the difference."""

    comparisons: int
    votes: int
    """On each comparison."""
    found: Share
    """Share of simulated studies with p below alpha and the right method ahead; Wilson, 95 %."""
    half_width: float
    """Mean half-width of the interval of the score."""


@dataclass(frozen=True)
class PowerStudy:
    """What was simulated, and what it takes."""

    crowd: Crowd
    score: float
    alpha: float
    goal: float
    studies: int
    powers: tuple[Power, ...]
    needed: dict[int, int | None]
    """Comparisons by votes a comparison; None where the largest size does not reach the goal."""


def power(
    crowd: Mapping[str, Any],
    *,
    score: float,
    votes: Sequence[int] = (5, 10, 20),
    sizes: Sequence[int] = SIZES,
    goal: float = 0.8,
    alpha: float = 0.05,
    studies: int = 400,
    seed: int = 0,
) -> PowerStudy:
    """Simulate studies of each size and count those that find the difference.

    Args:
        crowd: workers, ties and spreads, as `Crowd` names them; its lead is set so that the
            score is `score`.
        score: expected score of the better method, careless workers included.
        votes: on a comparison.
        sizes: comparisons.
        goal: chance wanted.
        alpha: two-sided level of the test.
        studies: simulated for each size.
        seed: of every draw.

    Raises:
        PowerError: a number that cannot be simulated.
    """
    _check(score, goal, alpha, studies)
    try:
        largest = Crowd(comparisons=max(sizes), votes=max(votes), **crowd)
        drawn = replace(largest, lead=lead_for(largest, score))
    except ValueError as error:
        raise PowerError(str(error)) from None
    h = threshold(drawn)
    found = [
        _power(replace(drawn, comparisons=size, votes=each), h, alpha, studies, seed)
        for each in votes
        for size in sizes
    ]
    needed = {each: _needed([one for one in found if one.votes == each], goal) for each in votes}
    return PowerStudy(drawn, score, alpha, goal, studies, tuple(found), needed)


def power_grid(study: PowerStudy) -> Grid:
    """Chances by size."""
    return Grid(
        f"Chance to find a score of {percent(study.score, 1)}",
        ("Comparisons", "Votes a comparison", "Votes in all", "Chance % [95 %]",
         "Half-width of the interval, points"),
        tuple(
            (str(each.comparisons), str(each.votes), f"{each.comparisons * each.votes:,}",
             with_limits(each.found), f"{100 * each.half_width:.1f}")
            for each in study.powers
        ),
        names=0,
    )  # fmt: skip


def power_figure(study: PowerStudy) -> Figure:
    """Chance over comparisons, a line for each number of votes."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(4.4, 3.2), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        for number, each in enumerate(study.needed):
            own = [one for one in study.powers if one.votes == each]
            axes.plot(
                [one.comparisons for one in own],
                [100 * one.found.value for one in own],
                marker=MARKS[number % len(MARKS)],
                color=(WIN, LOSS, THIRD, INK)[number % 4],
                label=f"{each} votes a comparison",
            )
        axes.axhline(100 * study.goal, color=INK, linewidth=0.8, linestyle=(0, (2, 2)))
        axes.set_xscale("log")
        ticks = sorted({one.comparisons for one in study.powers})
        axes.set_xticks(ticks, [str(tick) for tick in ticks])
        axes.minorticks_off()
        axes.set_ylim(0, 102)
        axes.set_xlabel("comparisons")
        axes.set_ylabel(f"chance to find {100 * study.score:.1f} %, in %")
        axes.legend(frameon=False, fontsize=8)
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def _check(score: float, goal: float, alpha: float, studies: int) -> None:
    if not 0.5 < score < 1:
        raise PowerError(f"score = {score} must lie between 0.5 and 1: of the better method.")
    for name, value in (("power", goal), ("alpha", alpha)):
        if not 0 < value < 1:
            raise PowerError(f"{name} = {value} must lie between 0 and 1.")
    if studies < 1:
        raise PowerError(f"studies = {studies} must be at least 1.")


def _power(crowd: Crowd, h: float, alpha: float, studies: int, seed: int) -> Power:
    hits, widths = 0, []
    for number in range(studies):
        rng = np.random.default_rng([seed, crowd.comparisons, crowd.votes, number])
        drawn = simulate(crowd, rng, h=h)
        of = drawn.of
        mean = two_way_interval(
            WORTH[drawn.choices], of.comparisons, of.clusters, of.workers, level=1 - alpha
        )
        p = score_p_value(mean.mean, mean.variance, of.smallest - 1)
        hits += p is not None and p < alpha and mean.mean > 0.5
        if mean.interval:
            widths.append((mean.interval.high - mean.interval.low) / 2)
    share = hits / studies
    interval = wilson(share, studies, float(stats.norm.ppf(0.975)), "Wilson")
    width = float(np.mean(widths)) if widths else 0.5
    return Power(crowd.comparisons, crowd.votes, Share(share, interval), width)


def _needed(powers: Sequence[Power], goal: float) -> int | None:
    """Comparisons at which the chance reaches the goal, between the sizes simulated."""
    sizes = np.array([each.comparisons for each in powers], dtype=np.float64)
    # A larger study finds no less: what falls is chance.
    chances = np.maximum.accumulate([each.found.value for each in powers])
    reached = np.flatnonzero(chances >= goal)
    if len(reached) == 0:
        return None
    first = int(reached[0])
    if first == 0:
        return int(sizes[0])
    low, high = chances[first - 1], chances[first]
    part = (goal - low) / (high - low)
    logs = np.log(sizes)
    return int(np.ceil(np.exp(logs[first - 1] + part * (logs[first] - logs[first - 1]))))
