"""Who may work: the qualification requirements of a HIT."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mturk.crowd import Crowd

if TYPE_CHECKING:
    from mypy_boto3_mturk.type_defs import LocaleTypeDef, QualificationRequirementTypeDef

MASTERS_SANDBOX = "2ARFPLSP75KLA8M8DH1HTEQVJT3SY6"
MASTERS_PRODUCTION = "2F1QJWKUDD8XADTFD2Q0G6UTO95ALH"
APPROVED_PERCENT = "000000000000000000L0"
APPROVED_HITS = "00000000000000000040"
LOCALE = "00000000000000000071"
ADULT = "00000000000000000060"


def requirements(
    crowd: Crowd, *, sandbox: bool, excluded: str | None = None
) -> list[QualificationRequirementTypeDef]:
    """The requirements that `[crowd]` asks for; Masters have another id in the sandbox.

    Args:
        crowd: the table.
        sandbox: whether the endpoint is Amazon's sandbox.
        excluded: a qualification type whose holders are kept out.
    """
    wanted: list[QualificationRequirementTypeDef] = []
    if crowd.masters:
        masters = MASTERS_SANDBOX if sandbox else MASTERS_PRODUCTION
        wanted.append({"QualificationTypeId": masters, "Comparator": "Exists"})
    if crowd.approval_above is not None:
        wanted.append(
            {
                "QualificationTypeId": APPROVED_PERCENT,
                "Comparator": "GreaterThan",
                "IntegerValues": [crowd.approval_above],
            }
        )
    if crowd.approved_hits_min is not None:
        wanted.append(
            {
                "QualificationTypeId": APPROVED_HITS,
                "Comparator": "GreaterThanOrEqualTo",
                "IntegerValues": [crowd.approved_hits_min],
            }
        )
    if crowd.locales:
        values: list[LocaleTypeDef] = [{"Country": country} for country in crowd.locales]
        located: QualificationRequirementTypeDef = {
            "QualificationTypeId": LOCALE,
            "Comparator": "In",
            "LocaleValues": values,
        }
        wanted.append(located)
    for requirement in wanted:
        requirement["ActionsGuarded"] = "Accept"
    if excluded is not None:
        # Who did enough need not even see the HITs any more.
        wanted.append(
            {
                "QualificationTypeId": excluded,
                "Comparator": "DoesNotExist",
                "ActionsGuarded": "DiscoverPreviewAndAccept",
            }
        )
    return wanted
