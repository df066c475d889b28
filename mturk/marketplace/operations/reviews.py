"""What review policies found and did."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from mturk.marketplace.operations.call import Call, Values
from mturk.marketplace.records import ReviewAction, ReviewResult


def list_review_policy_results(call: Call) -> Values:
    """Results and actions of a HIT's policies, page by page over both levels together."""
    hit, values = call.hit(), call.values
    levels = values.get("PolicyLevels") or ["Assignment", "HIT"]
    kinds: list[tuple[Any, str, Any]] = []
    # Both are given when neither is asked for by name.
    named = "RetrieveActions" in values or "RetrieveResults" in values
    if values.get("RetrieveResults", not named):
        kinds.append((ReviewResult, "ReviewResults", _result_shape))
    if values.get("RetrieveActions", not named):
        kinds.append((ReviewAction, "ReviewActions", _action_shape))
    found: list[Values] = []
    for record, member, shape in kinds:
        rows = call.session.scalars(
            select(record)
            .where(record.hit_record_id == hit.id, record.level.in_(levels))
            .order_by(record.id)
        )
        found += [{"level": row.level, "member": member, "shape": shape(row)} for row in rows]
    some, more = call.page_of(found)
    answer: Values = {"HITId": hit.hit_id}
    for level, policy in (("Assignment", hit.assignment_policy), ("HIT", hit.hit_policy)):
        if policy is None or level not in levels:
            continue
        answer[f"{level}ReviewPolicy"] = policy
        answer[f"{level}ReviewReport"] = {
            member: [
                item["shape"]
                for item in some
                if item["level"] == level and item["member"] == member
            ]
            for member in ("ReviewResults", "ReviewActions")
        }
    if "NextToken" in more:
        answer["NextToken"] = more["NextToken"]
    return answer


def _result_shape(row: ReviewResult) -> Values:
    shape = {
        "ActionId": row.action_id,
        "SubjectId": row.subject_id,
        "SubjectType": row.subject_type,
        "Key": row.key,
        "Value": row.value,
    }
    return shape | ({"QuestionId": row.question_id} if row.question_id else {})


def _action_shape(row: ReviewAction) -> Values:
    shape: Values = {
        "ActionId": row.action_id,
        "ActionName": row.name,
        "TargetId": row.target_id,
        "TargetType": row.target_type,
        "Status": "Succeeded" if row.succeeded else "Failed",
        "CompleteTime": row.completed_at.timestamp(),
        "Result": row.result,
    }
    return shape if row.succeeded else shape | {"ErrorCode": row.result}
