"""A million votes for benchmarks: three methods, two questions, 500 workers."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd

from analysis.simulate import Crowd, simulate, threshold

METHODS = {"cfg": 0.0, "dnp": 0.3, "answer": 0.5}
WORKERS = 500
VOTES = 10
QUESTIONS = ("correctness", "appeal")


def million_votes(votes: int, *, seed: int = 0) -> pd.DataFrame:
    """A frame of votes as a file would hold it: 10 on each comparison and question.

    Args:
        votes: about how many, all questions together.
        seed: of every draw.
    """
    pairs = list(combinations(METHODS, 2))
    each = votes // (len(QUESTIONS) * len(pairs) * VOTES)
    rng = np.random.default_rng(seed)
    parts = []
    for first, second in pairs:
        lead = METHODS[first] - METHODS[second]
        crowd = Crowd(comparisons=each, votes=VOTES, workers=WORKERS, lead=lead)
        h, state = threshold(crowd), rng.integers(2**32)
        for question in QUESTIONS:
            # The same state places the same workers on both questions; tastes differ by `skip`.
            drawn = simulate(crowd, np.random.default_rng(state), h=h)
            chosen = np.array([first, second, "none"], dtype=object)[drawn.choices]
            if question != QUESTIONS[0]:
                again = rng.random(len(chosen)) < 0.3
                chosen[again] = rng.choice([first, second, "none"], again.sum())
            places = np.where(drawn.first_left, f"{first}|{second}", f"{second}|{first}")
            name = np.char.add(f"{first}-{second}-", drawn.of.comparisons.astype(str))
            worker = np.char.add("w", drawn.of.workers.astype(str))
            parts.append(
                pd.DataFrame(
                    {
                        "comparison": name,
                        "prompt": np.char.add("prompt of ", name),
                        "question": question,
                        "places": places,
                        "choice": chosen,
                        "worker": worker,
                        "milliseconds": rng.integers(900, 9000, len(name)),
                        "submitted_at": pd.Timestamp("2026-01-01", tz="UTC")
                        + pd.to_timedelta(drawn.of.comparisons, unit="s"),
                    }
                )
            )
    return pd.concat(parts, ignore_index=True)


def write_study(folder: Path, frame: pd.DataFrame, *, kind: str = "csv") -> Path:
    """A study file whose votes lie beside it; returns its path."""
    if kind == "csv":
        frame.to_csv(folder / "votes.csv", index=False)
    else:
        frame.to_parquet(folder / "votes.parquet")
    path = folder / "study.toml"
    path.write_text(
        f'[study]\nname = "million"\ntitle = "A million votes"\nfolder = "{folder / "out"}"\n'
        f'[report.votes]\nfile = "votes.{kind}"\n'
    )
    return path
