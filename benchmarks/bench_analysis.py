"""The whole report on a million votes, and each estimator beside a peer on the same votes.

    PYTHONPATH=. python benchmarks/bench_analysis.py [--votes 1000000] [--peers FOLDER]

The report runs as a user runs it, in a process of its own: reading the CSV, every table, figures
and page. The peers (crowd-kit 1.4.2 with scikit-learn, evalica 0.4.2) are no dependencies of this
project: install them with `pip install --target FOLDER crowd-kit evalica`; statsmodels is one of
the tests'. Each row is timed in this process on the votes of one question: of one pair, or, for
strengths, of all three. Ours begin at the frame of votes and count them, the peers at columns or
codes that are ready; the largest difference of the results stands beside them.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import statsmodels.api as sm
from rich.console import Console
from rich.table import Table

from analysis.agreement import krippendorff_alpha
from analysis.dawid_skene import dawid_skene
from analysis.intervals import two_way_interval
from analysis.ranking import Cell, fit, rank
from analysis.rates import WORTH
from analysis.settings import VoteFile
from analysis.tally import Tallies, tallies, tally
from analysis.vote_file import read_vote_file
from benchmarks.million_votes import METHODS, QUESTIONS, million_votes, write_study

ROOT = Path(__file__).resolve().parent.parent
RESAMPLES = 20
STEPS = 20
Row = tuple[str, float, float, float]
"""Name, seconds of ours, seconds of the peer, largest difference."""


def main() -> None:
    """Time the report, then the estimators, and print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--votes", type=int, default=1_000_000)
    parser.add_argument("--peers", type=Path, help="Where pip put crowd-kit and evalica.")
    options = parser.parse_args()
    if options.peers:
        sys.path.append(str(options.peers))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        study = write_study(folder, million_votes(options.votes))
        seconds, gigabytes = whole_report(study)
        frame = read_vote_file(VoteFile(file="votes.csv"), "million", base=folder).frame
    console = Console()
    console.print(
        f"Whole report on {len(frame):,} votes: {seconds:.1f} s (goal 15), "
        f"{gigabytes:.2f} GB at most (goal 2)."
    )
    groups = tuple(tallies(frame))
    rows = [two_way(groups)]
    if options.peers:
        rows += [alpha(frame, groups), skill(frame, groups), *strengths(frame, groups)]
    table = Table("Estimator, peer", "Ours, s", "Peer, s", "Peer / ours", "Difference")
    for title, ours, peer, difference in rows:
        table.add_row(
            title,
            f"{ours:.3f}",
            f"{peer:.3f}",
            f"{peer / ours:.1f}",
            "—" if np.isnan(difference) else f"{difference:.1e}",
        )
    console.print(table)


def whole_report(study: Path) -> tuple[float, float]:
    """Seconds of wall time and gigabytes of the largest resident set of the script."""
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, str(ROOT / "analysis" / "report.py"), str(study)],
        check=True, stdout=subprocess.DEVNULL, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    seconds = time.perf_counter() - began
    return seconds, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 / 1e9


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds, and what came out."""
    began = time.perf_counter()
    found = work()
    return time.perf_counter() - began, found


def two_way(groups: Tallies) -> Row:
    """The score's clustered variance, one pair, beside statsmodels' least squares."""
    of, values = groups[0][1].of, WORTH[groups[0][1].choices]

    def ours() -> float:
        found = two_way_interval(values, of.comparisons, of.clusters, of.workers, level=0.95)
        return float(np.sqrt(found.variance))

    def peer() -> float:
        keys = np.column_stack([of.comparisons, of.workers])
        model = sm.OLS(values, np.ones(len(values)))
        fitted = model.fit(cov_type="cluster", cov_kwds={"groups": keys})
        return float(fitted.bse[0])

    ours()
    (fast, one), (slow, other) = timed(ours), timed(peer)
    # statsmodels gives all three sums the factor of the votes: equal where votes are many.
    return "two-way clusters, statsmodels", fast, slow, abs(one - other)


def answers(groups: Tallies) -> pd.DataFrame:
    """The votes of one question and pair as crowd-kit takes them."""
    tally = groups[0][1]
    return pd.DataFrame(
        {"task": tally.of.comparisons, "worker": tally.of.workers, "label": tally.choices}
    )


def alpha(frame: pd.DataFrame, groups: Tallies) -> Row:
    """Krippendorff's alpha beside crowd-kit's."""
    from crowdkit.metrics.data import alpha_krippendorff

    (group, first), table = groups[0], answers(groups)
    fast, (one, _) = timed(
        lambda: krippendorff_alpha(tally(frame, first.rows, group.methods).counts)
    )
    slow, other = timed(lambda: alpha_krippendorff(table))
    return "alpha, crowd-kit", fast, slow, abs(float(one or 0) - float(other))


def skill(frame: pd.DataFrame, groups: Tallies) -> Row:
    """Dawid and Skene's model after equally many steps, beside crowd-kit's."""
    from crowdkit.aggregation import DawidSkene

    (group, first), table = groups[0], answers(groups)

    def ours() -> np.ndarray:
        found = tally(frame, first.rows, group.methods)
        of = found.of
        fitted = dawid_skene(of.comparisons, of.workers, found.choices, count=3, steps=STEPS)
        return np.asarray(fitted.probabilities)

    fast, one = timed(ours)
    # Its own test of convergence stops it after a step or two: it has to take them all.
    slow, other = timed(lambda: DawidSkene(n_iter=STEPS, tol=-np.inf).fit_predict_proba(table))
    difference = np.abs(one - other.sort_index()[[0, 1, 2]].to_numpy()).max()
    return f"Dawid–Skene, {STEPS} steps, crowd-kit", fast, slow, float(difference)


def strengths(frame: pd.DataFrame, groups: Tallies) -> list[Row]:
    """Davidson's strengths of one question beside evalica's fit, then with a bootstrap."""
    import evalica

    names = list(METHODS)
    own = [pair for pair in groups if pair[0].question == QUESTIONS[0]]
    xs = np.concatenate([np.full(len(t.choices), g.methods[0]) for g, t in own])
    ys = np.concatenate([np.full(len(t.choices), g.methods[1]) for g, t in own])
    choices = np.concatenate([t.choices for _, t in own])
    kinds = [evalica.Winner.X, evalica.Winner.Y, evalica.Winner.Draw]
    winners = [kinds[choice] for choice in choices]

    def ours() -> np.ndarray:
        cells = [
            Cell((names.index(g.methods[0]), names.index(g.methods[1])),
                 tally(frame, t.rows, g.methods).counts.sum(axis=0).astype(np.float64))
            for g, t in own
        ]  # fmt: skip
        worth = np.exp(np.r_[0.0, fit(cells, len(names)).values[: len(names) - 1]])
        return np.asarray(worth / worth.sum())

    def peer() -> np.ndarray:
        found = evalica.newman(xs, ys, winners, tolerance=1e-10, limit=10_000)
        worth = found.scores.reindex(names).to_numpy()
        return np.asarray(worth / worth.sum())

    ours()
    (fast, one), (slow, other) = timed(ours), timed(peer)

    def resampled() -> Any:
        return evalica.bootstrap(
            evalica.newman, xs, ys, winners, n_resamples=RESAMPLES,
            bootstrap_method="percentile", random_state=0,
        )  # fmt: skip

    robust, _ = timed(lambda: rank(frame, QUESTIONS[0], level=0.95))
    again, _ = timed(resampled)
    return [
        ("Davidson, evalica (Newman)", fast, slow, float(np.abs(one - other).max())),
        (f"with errors, evalica with {RESAMPLES} resamples", robust, again, float("nan")),
    ]


if __name__ == "__main__":
    main()
