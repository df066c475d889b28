"""Review, bonuses, top-ups, closing and messages, as the command line does them."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from playwright.sync_api import Browser

from clearwinner.cli import main
from mturk.bonuses import BonusError, read_bonuses
from mturk.crowd import ReviewRules
from mturk.review import flags
from tests.conftest import scratch_study
from tests.mturk.conftest import Market
from tests.mturk.steps import Steps


@pytest.fixture
def run(steps: Steps, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs a command of the command line on the study."""
    keys = steps.market.marketplace.credentials
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", keys.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", keys.secret_key)

    def call(step: str, *arguments: str, fails: bool = False, typed: str = "") -> Result:
        steps.session.rollback()
        command = [step, str(steps.file.path), *arguments, "--endpoint", steps.market.url]
        result = CliRunner().invoke(main, command, input=typed)
        assert (result.exit_code != 0) == fails, result.output
        steps.session.expire_all()
        return result

    return call


def answered(steps: Steps, *names: str) -> list[str]:
    """Workers do every HIT; the assignments' ids."""
    return [steps.answer(name, hit) for hit in steps.hits() for name in names]


def balance(steps: Steps) -> Decimal:
    return Decimal(steps.client.get_account_balance()["AvailableBalance"])


def test_careless_work_is_pointed_at_and_nothing_is_rejected_by_itself(
    steps: Steps, run: Any
) -> None:
    steps.launch()
    first = steps.hits()[0]
    quick = steps.answer(
        "Quick", first, **{"1.appeal.milliseconds": "300", "1.correctness.milliseconds": "200"}
    )
    unread = steps.answer("Odd", first, **{"1.correctness": "7"})
    run("collect")
    page = run("review").output
    assert "0.3 s" in page
    found = flags(steps.session, steps.study, ReviewRules())
    assert {flag.assignment_id for flag in found} == {quick, unread}
    rules = ReviewRules(min_seconds=0, same_side_votes=2, same_side_share=0.5)
    sided = flags(steps.session, steps.study, rules)
    assert any("of 2 votes" in reason for flag in sided for reason in flag.reasons)
    run("review", "--reject", quick, fails=True)
    assert "2" not in run("review", "--reject", "3NOSUCH", "--reason", "x", fails=True).stdout
    run("review", "--reject", quick, "--reason", "Answered before the images were there.")
    listed = steps.client.get_assignment(AssignmentId=quick)["Assignment"]
    assert listed["AssignmentStatus"] == "Rejected"
    # Approving leaves alone what was rejected and what could not be read.
    run("approve", "--yes")
    assert steps.client.get_assignment(AssignmentId=unread)["Assignment"]["AssignmentStatus"] == (
        "Submitted"
    )
    run("review", "--reject", quick, "--reason", "again")


def test_bonuses_are_paid_once(steps: Steps, run: Any, tmp_path: Path) -> None:
    steps.launch()
    one, two, *_ = answered(steps, "Ada", "Ben")
    run("collect")
    file = tmp_path / "bonuses.csv"
    file.write_text(f"assignment_id,amount_usd,reason\n{one},0.50,fine\n{two},$0.10,fine\n")
    before = balance(steps)
    run("bonus", str(file), typed="n\n", fails=True)
    assert balance(steps) == before
    assert "2 paid" in run("bonus", str(file), "--yes").output
    assert before - balance(steps) == Decimal("0.72")
    assert "0 of 2 bonuses are unpaid" in run("bonus", str(file), "--yes").output
    file.write_text(f"assignment_id,amount_usd,reason\n{one},0.50,fine\n{one},0.50,more\n")
    assert "1 paid, 1 were before" in run("bonus", str(file), "--yes").output
    file.write_text("assignment_id,amount_usd,reason\n3NOSUCH,0.50,fine\n")
    assert "3NOSUCH" in run("bonus", str(file), "--yes", fails=True).output


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("worker,amount\n", "assignment_id"),
        ("assignment_id,amount_usd,reason\n3A,1.234,fine\n", "line 2"),
        ("assignment_id,amount_usd,reason\n3A,-1,fine\n", "-1"),
        ("assignment_id,amount_usd,reason\n3A,1,\n", "reason"),
        ("assignment_id,amount_usd,reason\n3A,1,x\n3A,1.00,x\n", "twice"),
    ],
)
def test_a_bonus_file_that_cannot_be_paid_is_refused(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "bonuses.csv"
    file.write_text(text)
    with pytest.raises(BonusError, match=said):
        read_bonuses(file)


def test_lost_votes_are_asked_for_again(steps: Steps, run: Any) -> None:
    """Two good answers and one unread; the HIT expires; two more are wanted."""
    steps.launch()
    first, *others = steps.hits()
    steps.answer("Ada", first)
    steps.answer("Ben", first)
    steps.answer("Odd", first, **{"1.correctness": "7"})
    for other in others:
        for name in ("Ada", "Ben", "Cem", "Dea"):
            steps.answer(name, other)
    run("collect")
    # One place of four is still open: nothing is lacking that is not on the way but one.
    assert "1 assignments are lacking" in run("extend", typed="n\n", fails=True).output
    assert "1 assignments asked for on 1 HITs" in run("extend", "--yes").output
    hit = steps.client.get_hit(HITId=first.hit_id)["HIT"]
    assert (hit["MaxAssignments"], hit["NumberOfAssignmentsAvailable"]) == (5, 2)
    assert "0 assignments are lacking" in run("extend", "--yes").output
    steps.client.update_expiration_for_hit(HITId=first.hit_id, ExpireAt=0)
    before = balance(steps)
    # Expired with two free places: only time is added.
    run("extend", "--yes")
    hit = steps.client.get_hit(HITId=first.hit_id)["HIT"]
    assert (hit["HITStatus"], hit["MaxAssignments"]) == ("Assignable", 5)
    assert balance(steps) == before


def test_hits_are_ended_and_deleted_when_all_is_reviewed(steps: Steps, run: Any) -> None:
    steps.launch()
    first, second, third = steps.hits()
    steps.answer("Ada", first)
    steps.market.worker("Ben").accept(second.hit_id or "")
    run("collect")
    assert "3 ended, 1 deleted, 2 kept" in run("close", "--yes").output.replace("\n", " ")
    run("approve", "--yes")
    steps.market.clock.advance(seconds=601)
    assert "0 ended, 2 deleted, 0 kept" in run("close", "--yes").output.replace("\n", " ")
    assert steps.client.list_hits()["HITs"] == []
    assert Decimal("10000") - balance(steps) == Decimal("0.13")
    assert third.hit_id


def test_a_message_reaches_each_worker_once(steps: Steps, run: Any) -> None:
    steps.launch()
    answered(steps, "Ada", "Ben")
    run("collect")
    run("approve", "--yes")
    words = ("--subject", "Thanks", "--text", "The study is over.")
    assert "2 sent, 0 had it before" in run("message", *words).output
    assert "0 sent, 2 had it before" in run("message", *words).output
    page = steps.market.worker("Ada").http.get("/worker/messages").text
    assert page.count("The study is over.") == 1
    assert "A0NOBODY" in run("message", *words, "--worker", "A0NOBODY", fails=True).output


def test_a_hit_of_nine_cannot_be_topped_up_to_ten(tmp_path: Path, market: Market) -> None:
    from mturk.launch import LaunchError
    from mturk.topup import extend

    steps = Steps(scratch_study(tmp_path, scenes=1, assignments=9), market)
    steps.launch()
    (hit,) = steps.hits()
    for number in range(9):
        steps.answer(f"W{number}", hit, **({"1.correctness": "7"} if number == 0 else {}))
    steps.collect()
    with pytest.raises(LaunchError, match="cannot be extended"):
        extend(steps.session, steps.study, steps.publisher)
    assert market.client().get_hit(HITId=hit.hit_id)["HIT"]["MaxAssignments"] == 9
    steps.session.close()
    steps.engine.dispose()


def test_workers_of_earlier_studies_and_those_who_did_enough_are_kept_out(
    tmp_path: Path, market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = market.marketplace.credentials
    for name, value in (
        ("AWS_ACCESS_KEY_ID", keys.access_key),
        ("AWS_SECRET_ACCESS_KEY", keys.secret_key),
        ("CLEARWINNER_DATABASE_URL", f"sqlite:///{tmp_path}/both.sqlite3"),
    ):
        monkeypatch.setenv(name, value)

    def run(step: str, path: Path, *more: str, fails: bool = False) -> str:
        command = [step, str(path), "--endpoint", market.url, *more]
        result = CliRunner().invoke(main, command)
        assert (result.exit_code != 0) == fails, result.output
        return result.output

    first = scratch_study(tmp_path, scenes=2)
    run("launch", first.path, "--yes")
    hits = [hit["HITId"] for hit in market.client().list_hits()["HITs"]]
    for hit in hits:
        market.worker("Ada").submit(hit)
    run("collect", first.path)
    second = tmp_path / "second.toml"
    text = first.path.read_text().replace('name = "scratch"', 'name = "second"')
    text = text.replace("[hits]", "[hits]\nmost_per_worker = 1")
    second.write_text(text.replace("[crowd]", '[crowd]\nexclude_studies = ["scratsh"]'))
    assert "scratch" in run("launch", second, "--yes", fails=True)
    second.write_text(second.read_text().replace("scratsh", "scratch"))
    run("launch", second, "--yes")
    new = [h["HITId"] for h in market.client().list_hits()["HITs"] if h["HITId"] not in hits]
    assert len(new) == 2
    assert market.worker("Ada").accept(new[0]).status_code == 409
    assert new[0] not in market.worker("Ada").http.get("/worker/").text
    market.worker("Ben").submit(new[0])
    assert market.worker("Ben").accept(new[1]).status_code == 302
    run("collect", second)
    market.clock.advance(seconds=601)
    assert market.worker("Ben").accept(new[1]).status_code == 409
    # Launching and collecting again gives nothing twice and makes nothing anew.
    run("launch", second, "--yes")
    run("collect", second)
    assert market.client().list_hits(MaxResults=100)["NumResults"] == 4
    kinds = market.client().list_qualification_types(
        MustBeRequestable=False, MustBeOwnedByCaller=True
    )
    assert kinds["NumResults"] == 1


@pytest.mark.browser
def test_a_preview_shows_a_hit_as_a_worker_sees_it(tmp_path: Path, browser: Browser) -> None:
    from clearwinner.preview import preview

    file = scratch_study(tmp_path, scenes=2)
    with preview(file) as addresses:
        page = browser.new_page()
        page.goto(addresses.sign_in)
        page.get_by_role("button", name="Sign in").click()
        page.goto(addresses.preview)
        frame = page.frame_locator("#task")
        assert frame.get_by_text("prompt 0").or_(frame.get_by_text("prompt 1")).is_visible()
        assert page.get_by_role("button", name="Accept").is_visible()
        page.goto(addresses.accepted)
        frame = page.frame_locator("#task")
        frame.get_by_role("radio", name="No clear winner").first.wait_for()
        assert page.get_by_role("button", name="Return").is_visible()
        assert not page.get_by_text("Not for you").is_visible()
        page.close()
    # Nothing is left in the study's own folder.
    assert not (file.study.place / "study.sqlite3").exists()
