"""Operations on workers: blocks and messages."""

from __future__ import annotations

from sqlalchemy import func, select

from mturk.marketplace import rules
from mturk.marketplace.errors import ApiError
from mturk.marketplace.operations.call import Call, Values
from mturk.marketplace.records import HitType, MarketAssignment, MarketHit, Worker, WorkerBlock

MOST_BLOCKS = 100_000


def create_worker_block(call: Call) -> Values:
    """Keep a worker from this requester's HITs; blocking twice keeps the newer reason."""
    worker = call.worker()
    block = _block(call, worker)
    if block is not None:
        block.reason = call.values["Reason"]
        return {}
    own = WorkerBlock.requester_id == call.requester.id
    if (call.session.scalar(select(func.count()).where(own)) or 0) >= MOST_BLOCKS:
        raise ApiError(f"At most {MOST_BLOCKS} workers can be blocked.", "AWS.ParameterOutOfRange")
    call.session.add(
        WorkerBlock(
            requester_id=call.requester.id,
            worker_record_id=worker.id,
            reason=call.values["Reason"],
        )
    )
    return {}


def delete_worker_block(call: Call) -> Values:
    """Let a worker in again; nothing happens to one who was not blocked."""
    block = _block(call, call.worker())
    if block is not None:
        call.session.delete(block)
    return {}


def list_worker_blocks(call: Call) -> Values:
    """Whom this requester blocked."""
    statement = select(WorkerBlock).where(WorkerBlock.requester_id == call.requester.id)
    return call.page(
        statement,
        WorkerBlock,
        "WorkerBlocks",
        lambda block: {"WorkerId": block.worker.worker_id, "Reason": block.reason},
    )


def notify_workers(call: Call) -> Values:
    """Write to workers whose work this requester has reviewed; the others are named."""
    failures: list[Values] = []
    message = (call.values["Subject"], call.values["MessageText"])
    for worker_id in dict.fromkeys(call.values["WorkerIds"]):
        worker = call.session.scalar(select(Worker).where(Worker.worker_id == worker_id))
        if worker is None or not _worked_for(call, worker):
            failures.append(
                {
                    "NotifyWorkersFailureCode": "HardFailure",
                    "NotifyWorkersFailureMessage": (
                        f"You have not approved or rejected work of worker {worker_id}, or there "
                        "is no such worker."
                    ),
                    "WorkerId": worker_id,
                }
            )
            continue
        rules.tell_worker(call.session, worker, call.requester.name, message, call.now)
    return {"NotifyWorkersFailureStatuses": failures}


def _worked_for(call: Call, worker: Worker) -> bool:
    reviewed = (
        select(MarketAssignment.id)
        .join(MarketHit)
        .join(HitType)
        .where(
            HitType.requester_id == call.requester.id,
            MarketAssignment.worker_record_id == worker.id,
            MarketAssignment.status.in_(("Approved", "Rejected")),
        )
    )
    return call.session.scalar(reviewed.limit(1)) is not None


def _block(call: Call, worker: Worker) -> WorkerBlock | None:
    return call.session.scalar(
        select(WorkerBlock).where(
            WorkerBlock.requester_id == call.requester.id,
            WorkerBlock.worker_record_id == worker.id,
        )
    )
