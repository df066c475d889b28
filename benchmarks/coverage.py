"""How often the intervals hold a planted truth: simulated studies, counted.

PYTHONPATH=. python benchmarks/coverage.py [--studies 500] [--write docs/statistics.md]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from analysis.intervals import Floats, Interval, naive_interval, two_way_interval
from analysis.rates import WORTH
from analysis.resampling import percentile_interval, pigeonhole_interval, resampled_shares
from analysis.simulate import Crowd, SimulatedVotes, simulate, threshold, true_score

LEVEL = 0.95
BEGIN, END = "<!-- coverage -->", "<!-- /coverage -->"
PUBLISHED = Crowd(comparisons=100, lead=0.3)
SETTINGS = {
    "workers differ, 5 % careless": PUBLISHED,
    "strong tastes of workers": replace(PUBLISHED, worker_spread=0.6),
    "few workers": replace(PUBLISHED, workers=15),
    "the left place favoured": replace(PUBLISHED, left=0.3),
    "a clear lead": replace(PUBLISHED, lead=1.0),
    "an overwhelming lead": replace(PUBLISHED, lead=3.0, ties=0.06, careless=0.0),
    "no difference": replace(PUBLISHED, lead=0.0),
    "many ties, a fifth careless": replace(PUBLISHED, ties=0.5, careless=0.2),
}
HEAD = ("Comparisons", "Setting", "True score", "Two-way t", "Bootstrap", "Pigeonhole", "Naive")


@dataclass(frozen=True)
class Coverage:
    """How often each kind of interval held the truth."""

    comparisons: int
    setting: str
    truth: float
    held: tuple[float, ...]


def main() -> None:
    """Count, print, and write the table into a file between its marks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=500)
    parser.add_argument("--write", type=Path)
    options = parser.parse_args()
    rows = [cover(number, name, options.studies) for number in (30, 100, 200) for name in SETTINGS]
    text = table(rows)
    sys.stdout.write(text + "\n")
    if options.write:
        before, rest = options.write.read_text(encoding="utf-8").split(BEGIN)
        after = rest.split(END)[1]
        options.write.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")


def cover(comparisons: int, setting: str, studies: int) -> Coverage:
    """Simulate studies of one kind and count."""
    crowd = replace(SETTINGS[setting], comparisons=comparisons)
    h, truth = threshold(crowd), true_score(crowd)
    held = np.zeros(len(INTERVALS))
    for number in range(studies):
        rng = np.random.default_rng([comparisons, list(SETTINGS).index(setting), number])
        votes = simulate(crowd, rng, h=h)
        for place, interval in enumerate(INTERVALS):
            found = interval(votes, rng)
            held[place] += found is not None and found.low <= truth <= found.high
    return Coverage(comparisons, setting, truth, tuple(held / studies))


def _two_way(votes: SimulatedVotes, rng: np.random.Generator) -> Interval | None:
    of, values = votes.of, WORTH[votes.choices]
    return two_way_interval(values, of.comparisons, of.clusters, of.workers, level=LEVEL).interval


def _bootstrap(votes: SimulatedVotes, rng: np.random.Generator) -> Interval | None:
    counts = np.bincount(votes.of.comparisons).astype(np.float64)
    means: Floats = np.bincount(votes.of.comparisons, weights=WORTH[votes.choices]) / counts
    drawn = resampled_shares(means[:, None], np.ones(len(means)), resamples=1000, rng=rng)
    return percentile_interval(drawn[:, 0], level=LEVEL)


def _pigeonhole(votes: SimulatedVotes, rng: np.random.Generator) -> Interval | None:
    return pigeonhole_interval(WORTH[votes.choices], votes.of, level=LEVEL, rng=rng)


def _naive(votes: SimulatedVotes, rng: np.random.Generator) -> Interval | None:
    return naive_interval(WORTH[votes.choices], level=LEVEL)


INTERVALS: tuple[Callable[[SimulatedVotes, np.random.Generator], Interval | None], ...] = (
    _two_way,
    _bootstrap,
    _pigeonhole,
    _naive,
)


def table(rows: list[Coverage]) -> str:
    """As Markdown."""
    lines = ["| " + " | ".join(HEAD) + " |", "|---|---|" + "---:|" * (len(HEAD) - 2)]
    for row in rows:
        held = [f"{100 * share:.1f} %" for share in row.held]
        held[0] = f"**{held[0]}**"
        cells = [str(row.comparisons), row.setting, f"{100 * row.truth:.1f} %", *held]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
