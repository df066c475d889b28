"""The pure parts: money, question and answer XML, requirements."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from mturk.answers import BadAnswer, decode_answers, encode_answers
from mturk.costs import assignment_fee, bonus_fee, cost
from mturk.crowd import Crowd
from mturk.qualifications import MASTERS_PRODUCTION, MASTERS_SANDBOX, requirements
from mturk.questions import external_question

rewards = st.decimals(Decimal("0.01"), 100, places=2)


def test_ten_masters_cost_45_percent_more() -> None:
    total = cost(100, 10, Decimal("1.00"), masters=True)
    assert (total.reward, total.fees, total.total) == (1000, 450, 1450)


@pytest.mark.parametrize(
    ("assignments", "masters", "fee"),
    [(9, False, "0.20"), (10, False, "0.40"), (9, True, "0.25"), (10, True, "0.45")],
)
def test_the_fee_table(assignments: int, masters: bool, fee: str) -> None:
    assert assignment_fee(Decimal(1), assignments, masters=masters) == Decimal(fee)


@given(rewards, st.integers(1, 50), st.booleans())
def test_a_fee_is_at_least_a_cent_and_never_below_its_rate(
    reward: Decimal, assignments: int, masters: bool
) -> None:
    fee = assignment_fee(reward, assignments, masters=masters)
    assert fee >= Decimal("0.01")
    assert fee >= reward * Decimal("0.20")
    assert fee <= reward * Decimal("0.45") + Decimal("0.01")
    assert bonus_fee(reward) <= fee


@given(st.dictionaries(st.text(min_size=1, max_size=20), st.text(max_size=60), max_size=5))
def test_answers_come_back_as_they_went(fields: dict[str, str]) -> None:
    def stored(text: str) -> str:
        # XML holds no control characters and reads every line end as one newline.
        kept = "".join(c for c in text if c in "\t\n\r" or (c >= " " and c not in "￾￿"))
        return kept.replace("\r\n", "\n").replace("\r", "\n")

    expected = {stored(name): stored(value) for name, value in fields.items()}
    if len(expected) == len(fields):
        assert decode_answers(encode_answers(fields)) == expected


@pytest.mark.parametrize(
    "xml", ["", "<a", "<Other/>", "<QuestionFormAnswers><Answer/></QuestionFormAnswers>"]
)
def test_what_is_no_answer_is_refused(xml: str) -> None:
    with pytest.raises(BadAnswer):
        decode_answers(xml)


def test_entities_are_not_followed() -> None:
    xml = (
        '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]><QuestionFormAnswers><Answer>'
        "<QuestionIdentifier>q</QuestionIdentifier><FreeText>&x;</FreeText></Answer>"
        "</QuestionFormAnswers>"
    )
    assert decode_answers(xml)["q"] == ""


def test_an_address_survives_its_xml() -> None:
    url = "https://example.org/hit?a=1&b=<2>"
    assert etree.fromstring(external_question(url)).findtext("{*}ExternalURL") == url


def test_masters_have_another_id_in_the_sandbox_and_95_is_not_enough() -> None:
    crowd = Crowd(locales=["US"])
    ids = [r["QualificationTypeId"] for r in requirements(crowd, sandbox=True)]
    assert ids[0] == MASTERS_SANDBOX
    wanted = requirements(crowd, sandbox=False)
    assert wanted[0]["QualificationTypeId"] == MASTERS_PRODUCTION
    assert (wanted[1]["Comparator"], wanted[1]["IntegerValues"]) == ("GreaterThan", [95])
    assert wanted[2]["LocaleValues"] == [{"Country": "US"}]
