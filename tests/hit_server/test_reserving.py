"""Who judges what, in which places: exactly balanced, also when workers return or abandon."""

import random
import threading
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from hit_server.checks import passed
from hit_server.comparisons import slot_order
from hit_server.database import open_database, open_engine, session_factory
from hit_server.records import Comparison, Hit, Placement, Record, StudyRecord, Vote, now
from hit_server.reserving import NothingLeft, NotYours, placements_of, reserve
from hit_server.saving import leave
from tests.conftest import scratch_study
from tests.hit_server.conftest import give, published, registered

GROUPS = [["a", "b"], ["a", "b", "c"]]


def orders(methods: list[str], wanted: int, *, turn: int, seed: int, about: str) -> list[Any]:
    return [
        tuple(slot_order(methods, slot, wanted=wanted, turn=turn, seed=seed, about=about))
        for slot in range(wanted)
    ]


@given(
    methods=st.sampled_from(GROUPS),
    wanted=st.integers(1, 40),
    turn=st.integers(0, 99),
    seed=st.integers(0, 2**31),
    about=st.text(max_size=8),
)
def test_orders_of_a_comparison_are_as_even_as_can_be(
    methods: list[str], wanted: int, turn: int, seed: int, about: str
) -> None:
    drawn = orders(methods, wanted, turn=turn, seed=seed, about=about)
    assert drawn == orders(methods, wanted, turn=turn, seed=seed, about=about)
    counts = Counter(drawn).values()
    every = 2 if len(methods) == 2 else 6
    # No order more than once more often than another, those never drawn included.
    assert max(counts) - (min(counts) if len(counts) == every else 0) <= 1
    for place in range(len(methods)):
        at = Counter(order[place] for order in drawn)
        assert max(at.values()) - min(at[method] for method in methods) <= 1


@given(methods=st.sampled_from(GROUPS), wanted=st.integers(1, 20), seed=st.integers(0, 2**31))
def test_over_a_study_every_place_is_balanced(methods: list[str], wanted: int, seed: int) -> None:
    every = 2 if len(methods) == 2 else 6
    drawn = [
        order
        for turn in range(every)
        for order in orders(methods, wanted, turn=turn, seed=seed, about=str(turn))
    ]
    assert set(Counter(drawn).values()) == {wanted}


def test_ten_votes_are_five_and_five_and_not_in_a_row() -> None:
    for about in range(50):
        drawn = orders(["a", "b"], 10, turn=about, seed=1, about=str(about))
        assert Counter(drawn) == {("a", "b"): 5, ("b", "a"): 5}
    first = Counter(orders(["a", "b"], 10, turn=n, seed=1, about=str(n))[0] for n in range(400))
    assert 160 < first["a", "b"] < 240


def test_a_placement_is_drawn_once(engine: Engine, tmp_path: Path) -> None:
    with session_factory(engine)() as session:
        study = registered(session, scratch_study(tmp_path))
        hit = published(session, study, study.comparisons[:1])
        (first,) = reserve(session, hit, "A0", "W0", at=now())
        (again,) = reserve(session, hit, "A0", "W0", at=now())
        assert (first.slot, first.methods) == (again.slot, again.methods)
        assert session.scalar(select(func.count(Placement.id))) == 1
        assert placements_of(session, "A0", "W1") == []
        drawn = [tuple(first.methods)] + [
            tuple(reserve(session, hit, f"A{n}", f"W{n}", at=now())[0].methods)
            for n in range(1, 10)
        ]
        assert Counter(drawn) == {("alpha", "beta"): 5, ("beta", "alpha"): 5}


def at_once(number: int, arrive: Callable[[int], None]) -> list[BaseException]:
    gate, failures = threading.Barrier(number), []

    def run(index: int) -> None:
        try:
            gate.wait()
            arrive(index)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(index,)) for index in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return failures


def test_workers_who_come_at_once_are_placed_in_balance(engine: Engine, tmp_path: Path) -> None:
    factory = session_factory(engine)
    with factory() as session:
        study = registered(session, scratch_study(tmp_path))
        hit_id = published(session, study, study.comparisons[:1]).id

    def arrive(index: int) -> None:
        with factory() as session:
            reserve(session, session.get_one(Hit, hit_id), f"A{index}", f"W{index}", at=now())

    assert at_once(10, arrive) == []
    with factory() as session:
        drawn = [tuple(order) for order in session.scalars(select(Placement.methods))]
        assert sorted(session.scalars(select(Comparison.reserved))) == [0, 0, 10]
    assert Counter(drawn) == {("alpha", "beta"): 5, ("beta", "alpha"): 5}


def test_pooled_places_give_a_worker_every_comparison_once(engine: Engine, tmp_path: Path) -> None:
    """Two tabs of one worker, and many workers at once: no comparison twice, none too often."""
    factory = session_factory(engine)
    with factory() as session:
        study = registered(session, scratch_study(tmp_path, scenes=3), wanted=4)
        hits = [published(session, study, [], name=f"3H{n}", assignments=6).id for n in range(2)]

    def arrive(index: int) -> None:
        # Four workers, each in three tabs.
        with factory() as session:
            hit = session.get_one(Hit, hits[index % 2])
            reserve(session, hit, f"A{index}", f"W{index % 4}", at=now())

    assert at_once(12, arrive) == []
    with factory() as session:
        shown = session.scalars(select(Placement)).all()
        held = [each for each in shown if each.released_at is None]
        assert len({(each.worker_id, each.comparison_id) for each in held}) == len(held)
        assert max(Counter(each.comparison_id for each in held).values()) <= 4
        assert set(session.scalars(select(Comparison.reserved))) == set(
            Counter(each.comparison_id for each in held).values()
        )


def test_a_worker_who_judged_everything_is_told(tmp_path: Path) -> None:
    engine = open_database(f"sqlite:///{tmp_path}/records.sqlite3")
    with session_factory(engine)() as session:
        study = registered(session, scratch_study(tmp_path, scenes=2), wanted=3)
        hits = [published(session, study, [], name=f"3H{n}", assignments=2) for n in range(3)]
        for number, hit in enumerate(hits[:2]):
            reserve(session, hit, f"A{number}", "W", at=now())
        with pytest.raises(NothingLeft, match="return this HIT"):
            reserve(session, hits[2], "A2", "W", at=now())
    engine.dispose()


def test_another_workers_submitted_assignment_is_refused(tmp_path: Path) -> None:
    engine = open_database(f"sqlite:///{tmp_path}/records.sqlite3")
    with session_factory(engine)() as session:
        study = registered(session, scratch_study(tmp_path))
        hit = published(session, study, study.comparisons[:1])
        (placement,) = reserve(session, hit, "A0", "W0", at=now())
        # Returned, and given to the next worker under the same id: the place is the same.
        (taken,) = reserve(session, hit, "A0", "W1", at=now())
        assert taken.slot == placement.slot == 0
        give(session, [taken])
        with pytest.raises(NotYours):
            reserve(session, hit, "A0", "W2", at=now())
    engine.dispose()


def test_who_judges_the_same_again_after_time_ran_out_counts_once(tmp_path: Path) -> None:
    engine = open_database(f"sqlite:///{tmp_path}/records.sqlite3")
    with session_factory(engine)() as session:
        study = registered(session, scratch_study(tmp_path, scenes=1), wanted=1)
        hits = [published(session, study, [], name=f"3H{n}", assignments=1) for n in range(2)]
        first = reserve(session, hits[0], "A0", "W", at=now() - timedelta(hours=2))
        again = reserve(session, hits[1], "A1", "W", at=now())
        assert again[0].comparison_id == first[0].comparison_id
        assert give(session, first)
        assert give(session, again)
        votes = session.scalars(select(Vote)).all()
        assert sorted(vote.question for vote in votes) == ["appeal", "correctness"]
        assert {vote.assignment.assignment_id for vote in votes} == {"A0"}
    engine.dispose()


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**31), pooled=st.booleans(), three=st.booleans())
def test_places_stay_balanced_when_workers_return_and_abandon(
    tmp_path_factory: pytest.TempPathFactory, seed: int, pooled: bool, three: bool
) -> None:
    """The crowd sends as many as there are places; those who leave are replaced in their place.

    Some pages say that they were closed; those that do not are abandoned, and their time is over
    before another worker comes. What was submitted in the end is balanced exactly.
    """
    rng = random.Random(seed)
    folder = tmp_path_factory.mktemp("balance")
    groups = '[["alpha", "beta", "gamma"]]' if three else '[["alpha", "beta"]]'
    engine = open_engine(f"sqlite:///{folder}/records.sqlite3")
    Record.metadata.create_all(engine)
    with session_factory(engine)() as session:
        file = scratch_study(folder, scenes=2, comparisons=groups)
        study = registered(session, file, wanted=10)
        if pooled:
            sizes = [9, 9, 2]
            hits = [published(session, study, [], name=f"3H{n}") for n in range(3)]
        else:
            sizes = [10, 10]
            hits = [
                published(session, study, [comparison], name=f"3H{n}")
                for n, comparison in enumerate(study.comparisons)
            ]
        _crowd(session, rng, list(zip(hits, sizes, strict=True)))
        votes = session.scalars(select(Vote).where(Vote.question == "appeal")).all()
        assert len(votes) == 20
        for comparison in study.comparisons:
            shown = [tuple(vote.places) for vote in votes if vote.comparison_id == comparison.id]
            assert len(shown) == 10
            assert max(Counter(shown).values()) == (2 if three else 5)
            who = [v.assignment.worker_id for v in votes if v.comparison_id == comparison.id]
            assert len(set(who)) == 10
    engine.dispose()


def _crowd(session: Session, rng: random.Random, places: list[tuple[Hit, int]]) -> None:
    """Workers come to every HIT until its places are submitted; a third of them leave."""
    at, number = now() - timedelta(days=9), 0
    waiting = [(hit, place) for hit, size in places for place in range(size)]
    rng.shuffle(waiting)
    working: list[tuple[Hit, int, list[Placement]]] = []
    while waiting or working:
        at += timedelta(seconds=rng.randint(1, 3))
        if waiting and (not working or rng.random() < 0.6):
            hit, place = waiting.pop()
            number += 1
            page = reserve(session, hit, f"A{number}", f"W{number}", at=at)
            working.append((hit, place, page))
            continue
        hit, place, page = working.pop(rng.randrange(len(working)))
        if rng.random() < 0.33:
            if rng.random() < 0.5:
                shown = placements_of(session, page[0].assignment_id, page[0].worker_id)
                leave(session, shown, at=at)
            else:
                # Its time runs out; whose time would run out before is done before.
                at = max(at, page[0].reserved_until + timedelta(minutes=6))
                for other in [each for each in working if each[2][0].reserved_until < at]:
                    give(session, other[2])
                    working.remove(other)
            waiting.append((hit, place))
        else:
            give(session, page)


def test_checks_come_at_their_share_and_know_their_answer(tmp_path: Path) -> None:
    engine = open_database(f"sqlite:///{tmp_path}/records.sqlite3")
    with session_factory(engine)() as session:
        file = scratch_study(tmp_path, scenes=40)
        study = registered(session, file)
        study.hits = study.hits | {"checks": {"share": 0.2}, "question_order": "random"}
        for number, comparison in enumerate(study.comparisons):
            hit = published(session, study, [comparison], name=f"3H{number}")
            for worker in range(10):
                reserve(session, hit, f"A{number}{worker}", f"W{worker}", at=now())
        shown = session.scalars(select(Placement)).all()
        checks = [each for each in shown if each.kind != "vote"]
        assert 50 < len(checks) < 110
        assert {each.kind for each in checks} == {"same", "distractor", "repeat"}
        votes = {(e.worker_id, e.comparison_id): e for e in shown if e.kind == "vote"}
        for each in checks:
            if each.kind == "repeat":
                original = votes[each.worker_id, each.comparison_id]
                assert each.methods == original.methods[::-1]
                assert each.assignment_id != original.assignment_id
            assert each.slot is None
        asked = Counter(each.questions[0] for each in shown)
        assert min(asked.values()) > 100
        # Checks take nobody's place.
        assert set(session.scalars(select(Comparison.reserved))) == {10}
    engine.dispose()


def test_a_repeat_on_the_same_page_comes_after_others(tmp_path: Path) -> None:
    engine = open_database(f"sqlite:///{tmp_path}/records.sqlite3")
    with session_factory(engine)() as session:
        study = registered(session, scratch_study(tmp_path, scenes=8))
        study.hits = study.hits | {
            "checks": {"share": 0.5, "kinds": ["repeat"]},
            "per_hit": 8,
        }
        hit = published(session, study, study.comparisons)
        repeats = 0
        for worker in range(10):
            page = reserve(session, hit, f"A{worker}", f"W{worker}", at=now())
            assert [each.number for each in page] == list(range(1, len(page) + 1))
            first = {e.comparison_id: e.number for e in page if e.kind == "vote"}
            for each in page:
                if each.kind == "repeat":
                    repeats += 1
                    assert each.number - first[each.comparison_id] >= 2
            assert all(a.number < b.number for a, b in pairwise(page))
        assert repeats > 10
    engine.dispose()


@pytest.mark.parametrize(
    ("kind", "question", "choice", "right"),
    [
        ("same", "appeal", "none", True),
        ("same", "correctness", "alpha", False),
        ("same", "correctness", "alpha#copy", False),
        ("distractor", "correctness", "alpha", True),
        ("distractor", "correctness", "#distractor", False),
        ("distractor", "correctness", "none", False),
        ("distractor", "appeal", "#distractor", None),
        ("repeat", "correctness", "alpha", None),
        ("vote", "correctness", "alpha", None),
    ],
)
def test_what_is_right_in_a_check(
    kind: str, question: str, choice: str, right: bool | None
) -> None:
    assert passed(kind, question, choice, check_question="correctness") is right


def test_a_study_record_holds_the_votes_wanted(tmp_path: Path) -> None:
    engine = open_database(f"sqlite:///{tmp_path}/records.sqlite3")
    with session_factory(engine)() as session:
        registered(session, scratch_study(tmp_path), wanted=7)
        assert session.scalars(select(StudyRecord.votes_wanted)).one() == 7
    engine.dispose()
