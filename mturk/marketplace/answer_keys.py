"""AnswerKey: how a qualification test is scored. Amazon's schema AnswerKey 2005-10-01."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from lxml import etree

from mturk.marketplace.errors import InvalidParameters
from mturk.marketplace.forms import parse_xml, read_form, whole_number


def check_test(test: str, answer_key: str | None) -> None:
    """Refuse a test that cannot be taken, or a key that does not fit it.

    Raises:
        InvalidParameters: naming what is wrong.
    """
    known = {question.identifier for question in read_form(test).questions}
    if answer_key is None:
        return
    root = parse_xml(answer_key, "the AnswerKey")
    if etree.QName(root).localname != "AnswerKey":
        raise InvalidParameters(f"A {etree.QName(root).localname} is no AnswerKey.")
    for question in root.iterfind("{*}Question"):
        identifier = (question.findtext("{*}QuestionIdentifier") or "").strip()
        if identifier not in known:
            raise InvalidParameters(f"The AnswerKey's question {identifier[:60]!r} is not asked.")
        for option in question.iterfind("{*}AnswerOption"):
            whole_number(option, "AnswerScore")
        whole_number(question, "DefaultScore", missing=0)
    score(answer_key, {})


def score(answer_key: str, fields: Mapping[str, str]) -> int:
    """What an AnswerKey gives for answers: the sum of scores, or what its mapping makes of it.

    Selections of several answers are joined by "|", as answers hold them.
    """
    root = parse_xml(answer_key, "the AnswerKey")
    total = most = 0
    for question in root.iterfind("{*}Question"):
        given = set(
            fields.get((question.findtext("{*}QuestionIdentifier") or "").strip(), "").split("|")
        )
        gained = whole_number(question, "DefaultScore", missing=0)
        best = gained
        for option in question.iterfind("{*}AnswerOption"):
            wanted = {
                (each.text or "").strip() for each in option.iterfind("{*}SelectionIdentifier")
            }
            points = whole_number(option, "AnswerScore")
            best = max(best, points)
            if wanted == given:
                gained = points
        total, most = total + gained, most + best
    return _mapped(root.find("{*}QualificationValueMapping"), total, most)


def _mapped(mapping: Any, total: int, most: int) -> int:
    """The qualification's value for a sum of scores."""
    if mapping is None:
        return total
    percentage = mapping.find("{*}PercentageMapping")
    if percentage is not None:
        highest = whole_number(percentage, "MaximumSummedScore", missing=most)
        return 100 * total // highest if highest > 0 else 0
    scale = mapping.find("{*}ScaleMapping")
    if scale is not None:
        text = (scale.findtext("{*}SummedScoreMultiplier") or "1").strip()
        if not re.fullmatch(r"-?\d{1,9}(\.\d{1,9})?", text):
            raise InvalidParameters(f"SummedScoreMultiplier = {text[:40]!r} must be a number.")
        return int(total * float(text))
    ranges = mapping.find("{*}RangeMapping")
    if ranges is None:
        raise InvalidParameters(
            "A QualificationValueMapping needs a Percentage-, Scale- or RangeMapping."
        )
    for each in ranges.iterfind("{*}SummedScoreRange"):
        low, high = (
            whole_number(each, f"{end}Bound") for end in ("InclusiveLower", "InclusiveUpper")
        )
        if low <= total <= high:
            return whole_number(each, "QualificationValue")
    return whole_number(ranges, "OutOfRangeQualificationValue")
