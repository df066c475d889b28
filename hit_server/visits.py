"""Who is visiting: the query parameters of the crowd's frame become a checked `Visit`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

NOT_AVAILABLE = "ASSIGNMENT_ID_NOT_AVAILABLE"
_ID = re.compile(r"[A-Z0-9]{1,64}")


class BadVisit(ValueError):
    """The parameters are not what a crowd's frame sends; the message is shown to the visitor."""


@dataclass(frozen=True)
class Visit:
    """A worker in front of a page, or a preview without one."""

    preview: bool
    assignment_id: str = ""
    worker_id: str = ""
    hit_id: str = ""
    submit_url: str = ""


def read_visit(query: Mapping[str, str], sites: Sequence[str]) -> Visit:
    """Check the frame's parameters.

    Args:
        query: of the page's address.
        sites: the origins that may take a submission. `turkSubmitTo` comes from the address,
            so anything else would let a stranger's link send answers to a stranger's server.

    Raises:
        BadVisit: a parameter is missing, malformed, or names an unknown site.
    """
    assignment_id = query.get("assignmentId", NOT_AVAILABLE)
    if assignment_id == NOT_AVAILABLE:
        return Visit(preview=True)
    for name in ("assignmentId", "workerId", "hitId"):
        value = query.get(name)
        if not value:
            raise BadVisit(f"The address lacks {name}. Open the task from the marketplace.")
        if not _ID.fullmatch(value):
            raise BadVisit(f"{name} in the address is not one that a marketplace gives.")
    submit_to = query.get("turkSubmitTo", "").rstrip("/")
    if submit_to not in sites:
        raise BadVisit("turkSubmitTo in the address is not a marketplace that this study uses.")
    return Visit(
        preview=False,
        assignment_id=assignment_id,
        worker_id=query["workerId"],
        hit_id=query["hitId"],
        submit_url=f"{submit_to}/mturk/externalSubmit",
    )
