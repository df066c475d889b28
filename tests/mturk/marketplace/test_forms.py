"""QuestionForm and AnswerKey: what is read, refused, rendered and scored."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mturk.answers import decode_answers
from mturk.marketplace.answer_keys import check_test, score
from mturk.marketplace.errors import InvalidParameters
from mturk.marketplace.form_answers import violations
from mturk.marketplace.forms import read_form
from tests.mturk.conftest import Market, NewHit
from tests.mturk.marketplace.forms import ANSWER_KEY, QUESTION_FORM, SCHEMAS


def test_a_question_form_is_rendered_answered_and_collected(
    market: Market, client: Any, new_hit: NewHit
) -> None:
    hit_id = new_hit(Question=QUESTION_FORM)
    ada = market.worker()
    preview = ada.http.get(f"/worker/hits/{hit_id}").text
    assert "How many corners" in preview
    assert "<fieldset disabled" in preview
    assert "<b>Look</b> closely." in preview
    task = ada.accept(hit_id).headers["Location"]
    missing = ada.http.post(task, data={"word": "a star & <more>"})
    assert missing.status_code == 422
    assert "Corners: please answer." in missing.text
    assert "a star &amp; &lt;more&gt;" in missing.text
    done = ada.http.post(task, data={"corners": "four", "word": "a star", "stray": "1"})
    assert done.status_code == 200
    (found,) = client.list_assignments_for_hit(HITId=hit_id)["Assignments"]
    assert decode_answers(found["Answer"]) == {"corners": "four", "word": "a star"}
    assert ada.http.post(task, data={"corners": "four", "word": "x"}).status_code == 404


@pytest.mark.parametrize(
    ("part", "instead"),
    [
        ("<QuestionIdentifier>word</QuestionIdentifier>", ""),
        (
            "<QuestionIdentifier>word</QuestionIdentifier>",
            "<QuestionIdentifier>corners</QuestionIdentifier>",
        ),
        ("<b>Look</b>", "<script>alert(1)</script>"),
        ("<b>Look</b>", '<a href="javascript:alert(1)">x</a>'),
        ("<b>Look</b>", '<img src="http://x.example/i.png" onerror="x()"/>'),
        ("<b>Look</b>", "<b>Look"),
        ("FreeTextAnswer", "FileUploadAnswer"),
        ('minLength="1"', 'minLength="one"'),
        ("<SelectionIdentifier>four", "<SelectionIdentifier>three"),
        ("<Overview>", "<Overview><Flash/>"),
        ("</QuestionForm>", ""),
        ("QuestionForm", "OtherForm"),
    ],
)
def test_forms_that_could_not_be_shown_are_refused(part: str, instead: str) -> None:
    assert part in QUESTION_FORM
    with pytest.raises(InvalidParameters):
        read_form(QUESTION_FORM.replace(part, instead))


def test_entities_are_not_followed() -> None:
    bomb = '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY f SYSTEM "file:///etc/passwd">]>'
    text = QUESTION_FORM.replace("<QuestionForm", f"{bomb}<QuestionForm", 1)
    form = read_form(text.replace("Name a shape.", "&f;"))
    assert "root" not in str(form)


def test_answers_are_held_against_the_form() -> None:
    form = read_form(QUESTION_FORM)
    assert violations(form, {"corners": "four", "word": "star"}) == []
    assert violations(form, {"corners": "five", "word": "star"})
    assert violations(form, {"corners": "three|four", "word": "star"})
    assert violations(form, {"corners": "four", "word": "x" * 21})
    assert len(violations(form, {})) == 2


def mapped(mapping: str) -> str:
    start, end = ANSWER_KEY.index("<PercentageMapping>"), ANSWER_KEY.index("</Qualification")
    return ANSWER_KEY[:start] + mapping + ANSWER_KEY[end:]


RANGES = """<RangeMapping>
  <SummedScoreRange><InclusiveLowerBound>0</InclusiveLowerBound>
    <InclusiveUpperBound>4</InclusiveUpperBound><QualificationValue>1</QualificationValue></SummedScoreRange>
  <SummedScoreRange><InclusiveLowerBound>5</InclusiveLowerBound>
    <InclusiveUpperBound>9</InclusiveUpperBound><QualificationValue>2</QualificationValue></SummedScoreRange>
  <OutOfRangeQualificationValue>9</OutOfRangeQualificationValue>
</RangeMapping>"""
SCALE = "<ScaleMapping><SummedScoreMultiplier>1.5</SummedScoreMultiplier></ScaleMapping>"


@pytest.mark.parametrize(
    ("key", "right", "wrong"), [(ANSWER_KEY, 100, 0), (mapped(RANGES), 2, 1), (mapped(SCALE), 7, 0)]
)
def test_scores_are_mapped(key: str, right: int, wrong: int) -> None:
    check_test(QUESTION_FORM, key)
    assert score(key, {"corners": "four"}) == right
    assert score(key, {"corners": "three"}) == wrong
    assert score(key, {}) == wrong


@given(
    st.lists(
        st.tuples(st.integers(-50, 50), st.integers(-50, 50), st.booleans()), min_size=1, max_size=6
    )
)
def test_without_a_mapping_the_score_is_the_sum(rows: list[tuple[int, int, bool]]) -> None:
    questions, fields, expected = "", {}, 0
    for number, (gained, default, right) in enumerate(rows):
        questions += (
            f"<Question><QuestionIdentifier>q{number}</QuestionIdentifier><AnswerOption>"
            f"<SelectionIdentifier>a</SelectionIdentifier><SelectionIdentifier>b"
            f"</SelectionIdentifier><AnswerScore>{gained}</AnswerScore></AnswerOption>"
            f"<DefaultScore>{default}</DefaultScore></Question>"
        )
        fields[f"q{number}"] = "b|a" if right else "a"
        expected += gained if right else default
    key = f'<AnswerKey xmlns="{SCHEMAS}/2005-10-01/AnswerKey.xsd">{questions}</AnswerKey>'
    assert score(key, fields) == expected
