"""Votes that say little get an honest answer or a clear error, never NaN."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

import pandas as pd
import pytest

from analysis import grids, tables
from analysis.findings import Findings, find
from analysis.settings import ReportTable
from analysis.votes import without_rejected

FrameOf = Callable[..., pd.DataFrame]
TABLE = ReportTable(resamples=100, margin=0.05)
WORKERS = range(5)
CASES = {
    "one vote": [("c1", "w1", "cfg")],
    "one tie": [("c1", "w1", "none")],
    "one comparison": [("c1", f"w{w}", "cfg" if w else "dnp") for w in WORKERS],
    "one worker": [(f"c{n}", "w1", "cfg" if n % 3 else "none") for n in range(20)],
    "a worker with a thousand votes": [
        *[(f"c{n}", "w1", "cfg" if n % 3 else "dnp") for n in range(1000)],
        *[(f"c{n}", "w2", "dnp") for n in range(5)],
    ],
    "all ties": [(f"c{n}", f"w{w}", "none") for n in range(6) for w in WORKERS],
    "all for one method": [(f"c{n}", f"w{w}", "cfg") for n in range(6) for w in WORKERS],
    "every comparison alike": [
        (f"c{n}", f"w{w}", ("cfg", "dnp", "none", "cfg", "dnp")[w])
        for n in range(6)
        for w in WORKERS
    ],
    "nobody twice": [(f"c{n}", f"w{n}", "cfg" if n % 2 else "dnp") for n in range(9)],
}


def numbers(value: Any) -> Iterator[float]:
    if isinstance(value, dict):
        for each in value.values():
            yield from numbers(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from numbers(each)
    elif isinstance(value, float):
        yield value


def cells(found: Findings) -> str:
    titles = {"correctness": "Correctness"}
    every = [
        grids.ranking_grid(found.rankings, titles),
        grids.checks_grid(found.rates, titles),
        grids.tests_grid(found.rates, titles, margin=0.05),
        grids.implied_grid(tables.triples(found.rates), titles),
        grids.parts_grid(found, titles),
        grids.position_grid(found.position, titles),
        grids.sensitivity_grid(found.sensitivity, titles),
        grids.agreement_grid(found.agreement, titles),
        grids.workers_grid(found.workers),
    ]
    return " ".join(cell for grid in every for row in grid.body for cell in row)


@pytest.mark.parametrize("methods", ["cfg|dnp", "cfg|dnp|answer"])
@pytest.mark.parametrize("name", list(CASES))
def test_no_number_is_nan_and_shares_are_shares(frame_of: FrameOf, name: str, methods: str) -> None:
    found = find(without_rejected(frame_of(CASES[name], methods)), TABLE, seed=0)
    assert all(math.isfinite(number) for number in numbers(asdict(found)))
    json.dumps(asdict(found), allow_nan=False)
    text = cells(found).lower()
    assert "nan" not in text.split() and "inf" not in text.split()
    for rate in tables.pairs(found.rates):
        assert rate.win.value + rate.tie.value + rate.loss.value == pytest.approx(1)
        if rate.score.interval:
            assert 0 <= rate.score.interval.low <= rate.score.value <= rate.score.interval.high <= 1
        else:
            assert rate.no_interval, "it must say why"


def test_one_comparison_or_one_worker_give_no_interval_and_say_why(frame_of: FrameOf) -> None:
    for name in ("one comparison", "one worker", "one vote"):
        found = find(without_rejected(frame_of(CASES[name])), TABLE, seed=0)
        (rate,) = tables.pairs(found.rates)
        assert rate.score.interval is None and rate.tests.holm is None
        assert rate.no_interval


def test_a_worker_with_a_thousand_votes_makes_the_interval_wide(frame_of: FrameOf) -> None:
    found = find(without_rejected(frame_of(CASES["a worker with a thousand votes"])), TABLE, seed=0)
    (rate,) = tables.pairs(found.rates)
    interval, naive = rate.score.interval, rate.score_naive
    assert interval is not None and naive is not None
    assert interval.high - interval.low > 5 * (naive.high - naive.low), "two workers are not many"


def test_a_method_that_met_nobody_is_named(frame_of: FrameOf) -> None:
    one = frame_of(
        [(f"c{n}", f"w{w}", "cfg" if n % 2 else "dnp") for n in range(6) for w in WORKERS]
    )
    other = frame_of(
        [(f"d{n}", f"w{w}", "old" if n % 2 else "new") for n in range(6) for w in WORKERS],
        "new|old",
    )
    both = pd.concat([one, other], ignore_index=True)
    found = find(without_rejected(both), TABLE, seed=0)
    assert found.rankings == ()
    (why,) = found.unranked
    assert all(name in why.reason for name in ("cfg", "new"))
    assert len(found.rates) == 2
