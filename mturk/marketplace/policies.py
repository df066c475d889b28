"""Review policies: what the marketplace itself finds in answers, and does about them.

Rules of Amazon's developer guide, "Review policies": `ScoreMyKnownAnswers/2011-09-01` looks at an
assignment as it is submitted, `SimplePlurality/2011-09-01` at a HIT as it becomes reviewable.
Scores are whole percentages.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mturk.marketplace.errors import InvalidParameters

KNOWN = "ScoreMyKnownAnswers/2011-09-01"
PLURALITY = "SimplePlurality/2011-09-01"
EXTENSION = ("ExtendMaximumAssignments", "ExtendMinimumTimeInSeconds")
NUMBERS = {
    "ApproveIfKnownAnswerScoreIsAtLeast": (0, 101),
    "RejectIfKnownAnswerScoreIsLessThan": (0, 101),
    "ExtendIfKnownAnswerScoreIsLessThan": (0, 101),
    "QuestionAgreementThreshold": (0, 101),
    "DisregardAssignmentIfKnownAnswerScoreIsLessThan": (0, 101),
    "ExtendIfHITAgreementScoreIsLessThan": (0, 101),
    "ApproveIfWorkerAgreementScoreIsAtLeast": (0, 101),
    "RejectIfWorkerAgreementScoreIsLessThan": (0, 101),
    "ExtendMaximumAssignments": (2, 25),
    "ExtendMinimumTimeInSeconds": (3600, 31_536_000),
}
PARAMETERS = {
    KNOWN: (
        "AnswerKey",
        "ApproveIfKnownAnswerScoreIsAtLeast",
        "ApproveReason",
        "RejectIfKnownAnswerScoreIsLessThan",
        "RejectReason",
        "ExtendIfKnownAnswerScoreIsLessThan",
        *EXTENSION,
    ),
    PLURALITY: (
        "QuestionIds",
        "QuestionAgreementThreshold",
        "DisregardAssignmentIfRejected",
        "DisregardAssignmentIfKnownAnswerScoreIsLessThan",
        "ExtendIfHITAgreementScoreIsLessThan",
        *EXTENSION,
        "ApproveIfWorkerAgreementScoreIsAtLeast",
        "ApproveReason",
        "RejectIfWorkerAgreementScoreIsLessThan",
        "RejectReason",
    ),
}
NEEDED = {KNOWN: "AnswerKey", PLURALITY: "QuestionIds"}
LEVELS = {"AssignmentReviewPolicy": KNOWN, "HITReviewPolicy": PLURALITY}


@dataclass(frozen=True)
class Finding:
    """A result: of a question of an assignment or HIT, or of the whole of it."""

    subject_id: str
    subject_type: str
    key: str
    value: str
    question_id: str | None = None


@dataclass(frozen=True)
class Extension:
    """How far a HIT may be extended."""

    most: int
    seconds: int


@dataclass(frozen=True)
class Verdict:
    """What a policy found and wants done."""

    findings: list[Finding]
    approve: dict[str, str] = field(default_factory=dict)
    """Reasons by assignment."""
    reject: dict[str, str] = field(default_factory=dict)
    extend: Extension | None = None


@dataclass(frozen=True)
class Policy:
    """A checked policy's parameters."""

    values: Mapping[str, Sequence[str]]
    answer_key: Mapping[str, Sequence[str]]

    def number(self, name: str) -> int | None:
        """A number, if it was given."""
        return int(self.values[name][0]) if name in self.values else None

    def text(self, name: str, default: str = "") -> str:
        """A text."""
        return self.values.get(name, [default])[0]

    @property
    def extension(self) -> Extension | None:
        """How far to extend, if it was said."""
        most, seconds = (self.number(name) for name in EXTENSION)
        return Extension(most, seconds) if most is not None and seconds is not None else None


def check_policy(member: str, policy: dict[str, Any]) -> None:
    """Refuse a policy that could not be carried out.

    Raises:
        InvalidParameters: naming the parameter and what it must be.
    """
    name = policy["PolicyName"]
    if name != LEVELS[member]:
        raise InvalidParameters(f"{member}: PolicyName {name[:60]!r} must be {LEVELS[member]}.")
    given = [parameter.get("Key", "") for parameter in policy.get("Parameters", [])]
    unknown = sorted(set(given) - set(PARAMETERS[name]))
    if unknown or len(set(given)) < len(given):
        raise InvalidParameters(
            f"{member}: parameters {', '.join(unknown) or 'given twice'}; {name} takes each of "
            f"{', '.join(PARAMETERS[name])} once."
        )
    if NEEDED[name] not in given:
        raise InvalidParameters(f"{member}: {name} needs the parameter {NEEDED[name]}.")
    for parameter in policy["Parameters"]:
        _check_parameter(member, parameter)
    extends = [key for key in given if key.startswith("ExtendIf")]
    if extends and not set(EXTENSION) <= set(given):
        raise InvalidParameters(f"{member}: {extends[0]} needs {' and '.join(EXTENSION)}.")


def read_policy(policy: dict[str, Any]) -> Policy:
    """The parameters of a policy that was checked."""
    values: dict[str, Sequence[str]] = {}
    key: dict[str, Sequence[str]] = {}
    for parameter in policy.get("Parameters", []):
        values[parameter["Key"]] = parameter.get("Values", [])
        if parameter["Key"] == "AnswerKey":
            key = {entry["Key"]: entry["Values"] for entry in parameter["MapEntries"]}
    return Policy(values, key)


def score_known_answers(policy: Policy, assignment_id: str, answers: Mapping[str, str]) -> Verdict:
    """Hold an assignment against the answers that are known."""
    right = {
        question: set(answers.get(question, "").split("|")) == set(wanted)
        for question, wanted in policy.answer_key.items()
    }
    found = percentage(sum(right.values()), len(right))
    findings = [
        Finding(assignment_id, "Assignment", "KnownAnswerCorrect", str(int(fits)), question)
        for question, fits in right.items()
    ]
    findings.append(Finding(assignment_id, "Assignment", "KnownAnswerScore", str(found)))
    approve, reject = _decide(policy, "KnownAnswer", {assignment_id: found})
    below = policy.number("ExtendIfKnownAnswerScoreIsLessThan")
    extend = policy.extension if below is not None and found < below else None
    return Verdict(findings, approve, reject, extend)


def plurality(policy: Policy, hit_id: str, answers: Mapping[str, Mapping[str, str]]) -> Verdict:
    """Compare the answers of a HIT's assignments.

    Args:
        policy: what was asked for.
        hit_id: the HIT.
        answers: by assignment, those only that count.
    """
    threshold = policy.number("QuestionAgreementThreshold")
    agreed: dict[str, str] = {}
    findings: list[Finding] = []
    questions = list(policy.values["QuestionIds"])
    for question in questions:
        given = Counter(values.get(question, "") for values in answers.values())
        if not given:
            continue
        # Of equally frequent answers the one that sorts first: the same every time.
        answer, number = min(given.items(), key=lambda item: (-item[1], item[0]))
        found = percentage(number, len(answers))
        findings.append(Finding(hit_id, "HIT", "QuestionAgreementScore", str(found), question))
        if found >= (100 if threshold is None else threshold):
            agreed[question] = answer
            findings.append(Finding(hit_id, "HIT", "AgreedAnswer", answer, question))
    total = percentage(len(agreed), len(questions))
    findings.append(Finding(hit_id, "HIT", "HITAgreementScore", str(total)))
    scores = {
        assignment: percentage(
            sum(values.get(question, "") == answer for question, answer in agreed.items()),
            len(agreed),
        )
        for assignment, values in answers.items()
    }
    findings += [
        Finding(assignment, "Assignment", "WorkerAgreementScore", str(each))
        for assignment, each in scores.items()
    ]
    approve, reject = _decide(policy, "WorkerAgreement", scores) if agreed else ({}, {})
    below = policy.number("ExtendIfHITAgreementScoreIsLessThan")
    extend = policy.extension if below is not None and total < below else None
    return Verdict(findings, approve, reject, extend)


def percentage(part: int, whole: int) -> int:
    """A whole percentage, rounded down; 0 of nothing."""
    return 100 * part // whole if whole else 0


def _decide(
    policy: Policy, kind: str, scores: Mapping[str, int]
) -> tuple[dict[str, str], dict[str, str]]:
    high = policy.number(f"ApproveIf{kind}ScoreIsAtLeast")
    low = policy.number(f"RejectIf{kind}ScoreIsLessThan")
    approve, reject = {}, {}
    for assignment, found in scores.items():
        if high is not None and found >= high:
            approve[assignment] = policy.text("ApproveReason")
        elif low is not None and found < low:
            reject[assignment] = policy.text("RejectReason", "Too few answers were right.")
    return approve, reject


def _check_parameter(member: str, parameter: dict[str, Any]) -> None:
    key, values = parameter["Key"], parameter.get("Values", [])
    if key == "AnswerKey":
        entries = parameter.get("MapEntries", [])
        if not entries or not all(entry.get("Key") and entry.get("Values") for entry in entries):
            raise InvalidParameters(
                f"{member}: AnswerKey needs MapEntries, each with a Key and Values."
            )
        return
    if not values or (key != "QuestionIds" and len(values) != 1):
        raise InvalidParameters(f"{member}: {key} needs Values, one unless it is QuestionIds.")
    if key in NUMBERS:
        low, high = NUMBERS[key]
        text = values[0]
        if not (
            text.isascii() and text.isdecimal() and len(text) < 10 and low <= int(text) <= high
        ):
            raise InvalidParameters(f"{member}: {key} = {text[:40]!r} must lie in {low} to {high}.")
    if key == "DisregardAssignmentIfRejected" and values[0].lower() not in ("true", "false"):
        raise InvalidParameters(f"{member}: {key} = {values[0][:40]!r} must be true or false.")
