"""Review policies: known answers and plurality, with what they find and do."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from mturk.marketplace.policies import Policy, plurality, score_known_answers
from tests.mturk.conftest import Market, NewHit, hit_values


def known(**parameters: str) -> dict[str, Any]:
    key = {
        "Key": "AnswerKey",
        "MapEntries": [
            {"Key": "check", "Values": ["yes"]},
            {"Key": "both", "Values": ["a", "b"]},
        ],
    }
    return {
        "PolicyName": "ScoreMyKnownAnswers/2011-09-01",
        "Parameters": [key, *({"Key": k, "Values": [v]} for k, v in parameters.items())],
    }


def agreement(**parameters: str) -> dict[str, Any]:
    questions = {"Key": "QuestionIds", "Values": ["choice", "other"]}
    return {
        "PolicyName": "SimplePlurality/2011-09-01",
        "Parameters": [questions, *({"Key": k, "Values": [v]} for k, v in parameters.items())],
    }


def found(report: dict[str, Any], key: str) -> dict[tuple[str, str | None], str]:
    return {
        (each["SubjectId"], each.get("QuestionId")): each["Value"]
        for each in report["ReviewResults"]
        if each["Key"] == key
    }


def test_known_answers_approve_and_reject(market: Market, client: Any, new_hit: NewHit) -> None:
    policy = known(
        ApproveIfKnownAnswerScoreIsAtLeast="100",
        ApproveReason="All right",
        RejectIfKnownAnswerScoreIsLessThan="50",
        RejectReason="All wrong",
    )
    hit_id = new_hit(AssignmentReviewPolicy=policy)
    right = market.worker("Ada").submit(hit_id, check="yes", both="b|a")
    wrong = market.worker("Ben").submit(hit_id, check="no", both="a")
    half = market.worker("Cem").submit(hit_id, check="yes", both="a")
    report = client.list_review_policy_results_for_hit(HITId=hit_id, MaxResults=100)
    assert report["AssignmentReviewPolicy"]["PolicyName"].startswith("ScoreMyKnownAnswers")
    scores = found(report["AssignmentReviewReport"], "KnownAnswerScore")
    assert scores == {(right, None): "100", (wrong, None): "0", (half, None): "50"}
    each = found(report["AssignmentReviewReport"], "KnownAnswerCorrect")
    assert (each[right, "both"], each[half, "both"]) == ("1", "0")
    statuses = {
        assignment["AssignmentId"]: assignment["AssignmentStatus"]
        for assignment in client.list_assignments_for_hit(HITId=hit_id)["Assignments"]
    }
    assert statuses == {right: "Approved", wrong: "Rejected", half: "Submitted"}
    actions = report["AssignmentReviewReport"]["ReviewActions"]
    assert [a["TargetId"] for a in actions if a["ActionName"] == "reject"] == [wrong]


def test_plurality_is_found_when_a_hit_becomes_reviewable(
    market: Market, client: Any, new_hit: NewHit
) -> None:
    policy = agreement(
        QuestionAgreementThreshold="60",
        ApproveIfWorkerAgreementScoreIsAtLeast="100",
        ExtendIfHITAgreementScoreIsLessThan="100",
        ExtendMaximumAssignments="4",
        ExtendMinimumTimeInSeconds="3600",
    )
    hit_id = new_hit(HITReviewPolicy=policy)
    ids = [
        market.worker(name).submit(hit_id, choice=choice, other=other)
        for name, choice, other in (("A", "left", "1"), ("B", "left", "2"), ("C", "right", "3"))
    ]
    report = client.list_review_policy_results_for_hit(HITId=hit_id, MaxResults=100)
    results = report["HITReviewReport"]
    assert found(results, "QuestionAgreementScore")[hit_id, "choice"] == "66"
    assert found(results, "AgreedAnswer") == {(hit_id, "choice"): "left"}
    assert found(results, "HITAgreementScore") == {(hit_id, None): "50"}
    worker = found(results, "WorkerAgreementScore")
    assert [worker[one, None] for one in ids] == ["100", "100", "0"]
    # Half of the questions were agreed upon: one more worker is asked, up to four.
    hit = client.get_hit(HITId=hit_id)["HIT"]
    assert (hit["HITStatus"], hit["MaxAssignments"]) == ("Assignable", 4)
    market.worker("D").submit(hit_id, choice="left", other="2")
    assert client.get_hit(HITId=hit_id)["HIT"]["MaxAssignments"] == 4
    results, token = [], {}
    while True:
        page = client.list_review_policy_results_for_hit(HITId=hit_id, MaxResults=5, **token)
        results += page["HITReviewReport"]["ReviewResults"]
        if "NextToken" not in page:
            break
        token = {"NextToken": page["NextToken"]}
    # Two reviews: 3 + 3 workers' scores and 4 + 4 of questions and HIT, one agreed at first.
    assert len(results) == (2 + 1 + 1 + 3) + (2 + 1 + 1 + 4)


@pytest.mark.parametrize(
    "policy",
    [
        {"PolicyName": "Else/2011-09-01"},
        {"PolicyName": "ScoreMyKnownAnswers/2011-09-01"},
        known(ApproveIfKnownAnswerScoreIsAtLeast="102"),
        known(ApproveIfKnownAnswerScoreIsAtLeast="many"),
        known(ExtendIfKnownAnswerScoreIsLessThan="50"),
        known(Unheard="1"),
    ],
)
def test_policies_that_cannot_be_carried_out_are_refused(
    client: Any, policy: dict[str, Any]
) -> None:
    with pytest.raises(ClientError, match="ValidationException"):
        client.create_hit(**hit_values(AssignmentReviewPolicy=policy))
    assert client.list_hits()["HITs"] == []


answers = st.dictionaries(
    st.sampled_from(["one", "two", "three"]), st.sampled_from(["a", "b"]), max_size=3
)


@given(st.dictionaries(st.text("XYZ", min_size=1), answers, min_size=1, max_size=6))
def test_scores_are_percentages_and_full_agreement_is_a_hundred(
    given_answers: dict[str, dict[str, str]],
) -> None:
    questions = ["one", "two", "three"]
    verdict = plurality(Policy({"QuestionIds": questions}, {}), "HIT", given_answers)
    values = {(f.key, f.subject_id, f.question_id): f.value for f in verdict.findings}
    assert all(0 <= int(v) <= 100 for (key, *_), v in values.items() if key.endswith("Score"))
    same = {
        question: next(iter(given_answers.values())).get(question, "") for question in questions
    }
    everybody = dict.fromkeys(given_answers, same)
    verdict = plurality(Policy({"QuestionIds": questions}, {}), "HIT", everybody)
    scores = {f.value for f in verdict.findings if f.key.endswith("Score")}
    assert scores == {"100"}


@given(answers)
def test_a_key_of_ones_own_answers_scores_full(given_answers: dict[str, str]) -> None:
    key = {question: answer.split("|") for question, answer in given_answers.items()}
    verdict = score_known_answers(Policy({}, key), "A", given_answers)
    expected = "100" if key else "0"
    assert verdict.findings[-1].value == expected
