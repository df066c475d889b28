"""Who may discover, preview and accept a HIT: its qualification requirements."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from mturk.marketplace.errors import InvalidParameters, missing
from mturk.marketplace.qualifying import BUILT_IN, value_of
from mturk.marketplace.records import HitType, QualificationType, Worker, WorkerBlock
from mturk.qualifications import (
    ADULT,
    APPROVED_HITS,
    APPROVED_PERCENT,
    LOCALE,
    MASTERS_PRODUCTION,
    MASTERS_SANDBOX,
)

Action = Literal["discover", "preview", "accept"]
GUARDS: dict[str, tuple[Action, ...]] = {
    "Accept": ("accept",),
    "PreviewAndAccept": ("preview", "accept"),
    "DiscoverPreviewAndAccept": ("discover", "preview", "accept"),
}
COMPARATORS: dict[str, Callable[[Any, list[Any]], bool]] = {
    "LessThan": lambda value, wanted: value < wanted[0],
    "LessThanOrEqualTo": lambda value, wanted: value <= wanted[0],
    "GreaterThan": lambda value, wanted: value > wanted[0],
    "GreaterThanOrEqualTo": lambda value, wanted: value >= wanted[0],
    "EqualTo": lambda value, wanted: value == wanted[0],
    "NotEqualTo": lambda value, wanted: value != wanted[0],
    "In": lambda value, wanted: value in wanted,
    "NotIn": lambda value, wanted: value not in wanted,
}
PRESENCE = ("Exists", "DoesNotExist")
EQUALITY = ("EqualTo", "NotEqualTo", "In", "NotIn")
MOST = 10
MOST_INTEGERS = 15
MOST_LOCALES = 30
COUNTRY = re.compile(r"[A-Z]{2}")
SUBDIVISION = re.compile(r"[A-Z0-9]{1,3}")


def check_requirements(session: Session, requirements: Sequence[dict[str, Any]]) -> None:
    """Refuse requirements that nobody could be held against.

    Raises:
        InvalidParameters: too many, values of the wrong kind or number.
        ApiError: a qualification type that does not exist.
    """
    if len(requirements) > MOST:
        raise InvalidParameters(f"A HIT has at most {MOST} qualification requirements.")
    for requirement in requirements:
        type_id, comparator = requirement["QualificationTypeId"], requirement["Comparator"]
        if type_id not in BUILT_IN and not _exists(session, type_id):
            raise missing("QualificationType", type_id[:64])
        integers, locales = (requirement.get(f"{kind}Values", []) for kind in ("Integer", "Locale"))
        said = f"Requirement {type_id} with {comparator}"
        if comparator in PRESENCE:
            if integers or locales:
                raise InvalidParameters(f"{said} takes no values.")
        elif type_id == LOCALE:
            _check_locales(said, comparator, integers, locales)
        elif locales or not integers:
            raise InvalidParameters(f"{said} needs IntegerValues, and no LocaleValues.")
        elif len(integers) > (MOST_INTEGERS if comparator in ("In", "NotIn") else 1):
            raise InvalidParameters(f"{said} has too many IntegerValues: {len(integers)}.")


def lacking(
    session: Session, hit_type: HitType, worker: Worker, action: Action = "accept"
) -> str | None:
    """Why a worker may not do something with a HIT; None when it may."""
    blocked = session.scalar(
        select(WorkerBlock.id).where(
            WorkerBlock.requester_id == hit_type.requester_id,
            WorkerBlock.worker_record_id == worker.id,
        )
    )
    if blocked is not None and action == "accept":
        return "its requester does not offer you work"
    for requirement in hit_type.requirements:
        if action not in guarded(requirement):
            continue
        value = value_of(session, worker, requirement["QualificationTypeId"])
        if not meets(requirement, value):
            return _reason(session, requirement)
    return None


def guarded(requirement: dict[str, Any]) -> tuple[Action, ...]:
    """The actions that a requirement guards; RequiredToPreview is the older way to say it."""
    default = "PreviewAndAccept" if requirement.get("RequiredToPreview") else "Accept"
    return GUARDS[requirement.get("ActionsGuarded", default)]


def meets(requirement: dict[str, Any], value: Any) -> bool:
    """Whether a value meets a requirement; a worker without the qualification has None.

    A locale is (country, subdivision); a wanted one without a subdivision means the country.
    """
    comparator = requirement["Comparator"]
    if comparator == "Exists":
        return value is not None
    if comparator == "DoesNotExist":
        return value is None
    if value is None:
        return False
    if requirement["QualificationTypeId"] != LOCALE:
        return COMPARATORS[comparator](value, requirement["IntegerValues"])
    country, subdivision = value
    inside = any(
        locale["Country"] == country and locale.get("Subdivision") in (None, subdivision)
        for locale in requirement["LocaleValues"]
    )
    return inside if comparator in ("EqualTo", "In") else not inside


def _exists(session: Session, type_id: str) -> bool:
    known = select(QualificationType.id).where(
        QualificationType.type_id == type_id, QualificationType.deleted.is_(False)
    )
    return session.scalar(known) is not None


def _check_locales(
    said: str, comparator: str, integers: list[int], locales: list[dict[str, str]]
) -> None:
    if comparator not in EQUALITY:
        raise InvalidParameters(f"{said}: a locale is compared by {', '.join(EQUALITY)}.")
    most = MOST_LOCALES if comparator in ("In", "NotIn") else 1
    if integers or not 1 <= len(locales) <= most:
        raise InvalidParameters(f"{said} needs 1 to {most} LocaleValues, and no IntegerValues.")
    for locale in locales:
        subdivision = locale.get("Subdivision")
        if not COUNTRY.fullmatch(locale["Country"]) or (
            subdivision is not None and not SUBDIVISION.fullmatch(subdivision)
        ):
            raise InvalidParameters(f"{said}: {locale} is no ISO 3166 code.")


def _reason(session: Session, requirement: dict[str, Any]) -> str:
    names = {
        MASTERS_SANDBOX: "it is for Masters",
        MASTERS_PRODUCTION: "it is for Masters",
        LOCALE: "it is not offered where you live",
        APPROVED_HITS: "it asks for more approved work",
        APPROVED_PERCENT: "it asks for a higher approval rate",
        ADULT: "it has adult content",
    }
    type_id = requirement["QualificationTypeId"]
    if type_id in names:
        return names[type_id]
    name = session.scalar(
        select(QualificationType.name).where(QualificationType.type_id == type_id)
    )
    return f"it asks for the qualification “{name}”"
