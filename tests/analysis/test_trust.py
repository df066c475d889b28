"""Position, workers, Dawid and Skene's model, and the headline under other choices."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analysis.controls import controls, summary
from analysis.dawid_skene import dawid_skene
from analysis.findings import find
from analysis.position import position_bias
from analysis.sensitivity import sensitivity
from analysis.settings import Flags, ReportTable
from analysis.simulate import Crowd, SimulatedVotes, simulate
from analysis.tally import tallies
from analysis.votes import CountedVotes, without_rejected
from analysis.workers import Worker, flagged, workers

FrameOf = Callable[..., pd.DataFrame]


def framed(frame_of: FrameOf, votes: SimulatedVotes) -> pd.DataFrame:
    labels = np.array(["cfg", "dnp", "none"])[votes.choices]
    rows = zip(votes.of.comparisons, votes.of.workers, labels, strict=True)
    frame = frame_of([(f"c{one}", f"w{who}", str(label)) for one, who, label in rows])
    frame["places"] = pd.array(np.where(votes.first_left, "cfg|dnp", "dnp|cfg"), dtype="string")
    return frame


def told(frame: pd.DataFrame, checks: pd.DataFrame | None = None, **flags: float) -> list[Worker]:
    none = frame.iloc[:0] if checks is None else checks
    rules = Flags(**flags)  # type: ignore[arg-type]
    answers = controls(none, frame, "correctness")
    return list(workers(frame, tuple(tallies(frame)), answers, rules))


def test_a_planted_bias_for_the_left_is_found_and_taken_out(frame_of: FrameOf) -> None:
    crowd = Crowd(comparisons=300, lead=0.5, left=0.8)
    rng = np.random.default_rng(0)
    (biased,) = position_bias(framed(frame_of, simulate(crowd, rng)), level=0.95)
    (fair,) = position_bias(framed(frame_of, simulate(replace(crowd, left=0.0), rng)), level=0.95)
    assert biased.bias is not None and biased.bias.interval is not None
    assert biased.bias.interval.low > 0.15
    assert biased.shares[0].value > 0.6
    assert fair.bias is not None and fair.bias.interval is not None
    assert fair.bias.interval.low < 0 < fair.bias.interval.high
    assert biased.left == (1500, 3000)
    assert biased.placement_p == 1.0


def test_the_two_sides_by_hand(frame_of: FrameOf) -> None:
    frame = frame_of(
        [("c1", "a", "cfg"), ("c1", "b", "dnp"), ("c2", "a", "cfg"), ("c2", "b", "none")]
    )
    frame["places"] = pd.array(["cfg|dnp", "dnp|cfg", "cfg|dnp", "dnp|cfg"], dtype="string")
    (found,) = position_bias(frame, level=0.95)
    assert found.bias is not None
    assert found.bias.value == pytest.approx(1.0 - 0.25)
    assert found.adjusted == pytest.approx((1.0 + 0.25) / 2)


def test_dawid_and_skene_tell_workers_who_guess() -> None:
    rng = np.random.default_rng(3)
    truth = rng.integers(0, 3, 400)
    skill = np.array([0.9, 0.85, 0.8, 0.8, 0.75, 0.7, 1 / 3, 1 / 3])
    tasks = np.repeat(np.arange(400), len(skill))
    people = np.tile(np.arange(len(skill)), 400)
    right = rng.random(len(tasks)) < skill[people]
    labels = np.where(right, truth[tasks], (truth[tasks] + rng.integers(1, 3, len(tasks))) % 3)
    guessing = people >= 6
    labels[guessing] = rng.integers(0, 3, guessing.sum())
    found = dawid_skene(tasks, people, labels, count=3)
    assert found.converged
    assert found.accuracy == pytest.approx(skill, abs=0.06)
    assert (found.probabilities.argmax(axis=1) == truth).mean() > 0.97
    assert found.confusion.sum(axis=1) == pytest.approx(np.ones((8, 3)))


def test_a_worker_by_hand(frame_of: FrameOf) -> None:
    frame = frame_of(
        [
            ("c1", "a", "cfg"), ("c1", "b", "cfg"), ("c1", "c", "dnp"),
            ("c2", "a", "none"), ("c2", "b", "none"), ("c2", "c", "dnp"),
        ]
    )  # fmt: skip
    frame["milliseconds"] = pd.array([1000, 2000, None, 3000, 4000, None], dtype="Int64")
    by_name = {each.worker: each for each in told(frame)}
    assert by_name["a"].agreement == pytest.approx(0.5)
    assert by_name["c"].agreement == 0.0
    assert by_name["a"].ties == 0.5
    assert (by_name["a"].median_ms, by_name["c"].median_ms) == (2000, None)
    assert (by_name["a"].left, by_name["c"].left) == (1.0, 0.0)
    assert by_name["c"].longest_run == 2
    assert flagged(list(by_name.values())) == []


def test_flags_follow_the_rules_of_the_study(frame_of: FrameOf) -> None:
    rng = np.random.default_rng(5)
    votes = [
        (f"c{number}", name, "cfg" if name == "left" else str(rng.choice(["cfg", "dnp"])))
        for number in range(60)
        for name in ("left", "fair", "asleep")
    ]
    frame = frame_of(votes)
    checks = frame_of(
        [(f"k{n}", who, "none" if who != "asleep" else "cfg") for n in range(4)
         for who in ("left", "fair", "asleep")]
    )  # fmt: skip
    checks["check"] = pd.array(["same"] * len(checks), dtype="string")
    found = {each.worker: each for each in told(frame, checks)}
    assert found["fair"].flags == ()
    assert found["asleep"].flags == ("failed 4 of 4 checks",)
    assert len(found["left"].flags) == 2, "one-sided, and a long run"
    assert (found["fair"].checks, found["fair"].checks_failed) == (4, 0)
    lax = {each.worker: each for each in told(frame, checks, failed_checks=1.0, longest_run=1000)}
    assert lax["asleep"].flags == ()


def test_repeats_count_as_alike_whatever_the_side(frame_of: FrameOf) -> None:
    frame = frame_of([("c1", "a", "cfg"), ("c2", "a", "dnp"), ("c1", "b", "none")])
    again = frame_of([("c1", "a", "cfg"), ("c2", "a", "cfg")])
    again["check"] = pd.array(["repeat"] * 2, dtype="string")
    again["places"] = pd.array(["dnp|cfg"] * 2, dtype="string")
    found = {each.worker: each for each in told(frame, again)}
    assert (found["a"].repeats, found["a"].repeats_alike) == (2, 1)
    assert found["b"].repeats == 0


def test_controls_of_all_workers_by_hand(frame_of: FrameOf) -> None:
    frame = frame_of([("c1", "a", "cfg"), ("c2", "a", "dnp"), ("c1", "b", "none")])
    kinds = [
        ("repeat", "c1", "a", "cfg", "dnp|cfg"),
        ("repeat", "c2", "a", "cfg", "cfg|dnp"),
        ("repeat", "c1", "b", "none", "dnp|cfg"),
        ("repeat", "c2", "b", "cfg", "dnp|cfg"),  # never judged before: says nothing
        ("same", "c1", "a", "none", "cfg|cfg#copy"),
        ("same", "c2", "b", "cfg", "cfg|cfg#copy"),
        ("distractor", "c1", "a", "cfg", "cfg|#distractor"),
        ("distractor", "c2", "b", "none", "cfg|#distractor"),
    ]
    checks = frame_of([(comparison, who, choice) for _, comparison, who, choice, _ in kinds])
    checks["check"] = pd.array([kind[0] for kind in kinds], dtype="string")
    checks["places"] = pd.array([kind[4] for kind in kinds], dtype="string")
    found = {each.kind: each for each in summary(controls(checks, frame, "correctness"), level=0.9)}
    assert found["repeat"].right.value == pytest.approx(2 / 3)
    assert (found["repeat"].answers, found["repeat"].workers) == (3, 2)
    assert found["same"].right.value == found["distractor"].right.value == 0.5
    assert found["same"].right.interval is not None
    other = {each.kind: each for each in summary(controls(checks, frame, "appeal"), level=0.9)}
    assert "distractor" not in other, "no answer to another question is known to be right"
    assert summary(controls(checks.iloc[:0], frame, "correctness"), level=0.9) == ()


def test_without_flagged_workers_the_score_is_that_of_the_rest(frame_of: FrameOf) -> None:
    votes = [(f"c{n}", f"w{w}", "cfg") for n in range(12) for w in range(3)]
    votes += [(f"c{n}", "bot", "dnp") for n in range(12)]
    votes[0] = ("c0", "w0", "none")
    frame = frame_of(votes)
    groups = tuple(tallies(frame))

    def without(*flagged: str) -> tuple[Any, ...]:
        return tuple(tallies(frame[~frame["worker"].isin(flagged)]))

    (found,) = sensitivity(groups, without("bot"), level=0.95)
    assert found.everybody.value == pytest.approx((35 + 0.5) / 48)
    assert found.unflagged is not None
    assert found.unflagged.value == pytest.approx(35.5 / 36)
    assert found.weighted.value > found.everybody.value
    (alone,) = sensitivity(groups, without("w0", "w1", "w2", "bot"), level=0.95)
    assert alone.unflagged is None


def test_excluding_leaves_votes_out_of_every_number(frame_of: FrameOf) -> None:
    votes = [
        (f"c{n}", f"w{w}", "cfg" if (n + w) % 3 else "dnp") for n in range(40) for w in range(4)
    ]
    votes += [(f"c{n}", "bot", "dnp") for n in range(40)]
    counted: CountedVotes = without_rejected(frame_of(votes))
    table = ReportTable(resamples=100, flags=Flags(longest_run=30), exclude_flagged=True)
    found = find(counted, table, seed=0)
    assert found.excluded == ("bot",)
    assert found.excluded_votes == 40
    assert {rate.basis.votes for rate in found.rates} == {160}
    assert len(found.workers) == 5
    assert [each.comparisons for each in found.agreement] == [40]
