"""The requester API: a table from operation name to function.

A function takes a `Call` and gives the answer's members.
"""

from __future__ import annotations

from collections.abc import Callable

from mturk.marketplace.operations import (
    assignments,
    hits,
    money,
    notifications,
    qualifications,
    reviews,
    workers,
)
from mturk.marketplace.operations.call import Call, Values

__all__ = ["OPERATIONS", "Call", "Values"]

OPERATIONS: dict[str, Callable[[Call], Values]] = {
    "AcceptQualificationRequest": qualifications.accept_request,
    "ApproveAssignment": assignments.approve_assignment,
    "AssociateQualificationWithWorker": qualifications.associate_qualification,
    "CreateAdditionalAssignmentsForHIT": hits.create_additional_assignments,
    "CreateHIT": hits.create_hit,
    "CreateHITType": hits.create_hit_type,
    "CreateHITWithHITType": hits.create_hit_with_hit_type,
    "CreateQualificationType": qualifications.create_qualification_type,
    "CreateWorkerBlock": workers.create_worker_block,
    "DeleteHIT": hits.delete_hit,
    "DeleteQualificationType": qualifications.delete_qualification_type,
    "DeleteWorkerBlock": workers.delete_worker_block,
    "DisassociateQualificationFromWorker": qualifications.disassociate_qualification,
    "GetAccountBalance": money.get_account_balance,
    "GetAssignment": assignments.get_assignment,
    "GetFileUploadURL": assignments.get_file_upload_url,
    "GetHIT": hits.get_hit,
    "GetQualificationScore": qualifications.get_qualification_score,
    "GetQualificationType": qualifications.get_qualification_type,
    "ListAssignmentsForHIT": assignments.list_assignments,
    "ListBonusPayments": money.list_bonus_payments,
    "ListHITs": hits.list_hits,
    "ListHITsForQualificationType": qualifications.list_hits_for_qualification_type,
    "ListQualificationRequests": qualifications.list_requests,
    "ListQualificationTypes": qualifications.list_qualification_types,
    "ListReviewPolicyResultsForHIT": reviews.list_review_policy_results,
    "ListReviewableHITs": hits.list_reviewable_hits,
    "ListWorkerBlocks": workers.list_worker_blocks,
    "ListWorkersWithQualificationType": qualifications.list_workers,
    "NotifyWorkers": workers.notify_workers,
    "RejectAssignment": assignments.reject_assignment,
    "RejectQualificationRequest": qualifications.reject_request,
    "SendBonus": money.send_bonus,
    "SendTestEventNotification": notifications.send_test_event,
    "UpdateExpirationForHIT": hits.update_expiration,
    "UpdateHITReviewStatus": hits.update_hit_review_status,
    "UpdateHITTypeOfHIT": hits.update_hit_type_of_hit,
    "UpdateNotificationSettings": notifications.update_notification_settings,
    "UpdateQualificationType": qualifications.update_qualification_type,
}
