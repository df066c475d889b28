"""The worker site through plain HTTP: what is refused, and that nothing is recorded then."""

from typing import Any

import httpx

from tests.mturk.conftest import Market, NewHit


def test_only_invited_people_come_in(market: Market) -> None:
    assert httpx.get(f"{market.url}/worker/").status_code == 401
    assert httpx.get(f"{market.url}/worker/sign-in/forged").status_code == 404
    path = market.marketplace.invite("Ada")
    with market.marketplace.engine.connect() as connection:
        stored = str(connection.exec_driver_sql("SELECT * FROM workers").all())
    assert path.rpartition("/")[2] not in stored
    # A link that is looked at signs nobody in, and a new link ends the old one.
    http = httpx.Client(base_url=market.url)
    assert "Welcome, Ada" in http.get(path).text
    assert http.get("/worker/").status_code == 401
    market.marketplace.invite("Ada")
    assert httpx.get(market.url + path).status_code == 404


def test_another_sites_form_does_nothing(market: Market, client: Any, new_hit: NewHit) -> None:
    hit_id = new_hit()
    ada = market.worker()
    for headers in (
        {"Origin": "https://evil.example"},
        {"Sec-Fetch-Site": "cross-site", "Origin": market.url},
    ):
        answer = ada.http.post(f"/worker/hits/{hit_id}/accept", headers=headers)
        assert answer.status_code == 403
    assert client.get_hit(HITId=hit_id)["HIT"]["NumberOfAssignmentsPending"] == 0


def test_returned_work_is_free_again_and_cannot_be_submitted(
    market: Market, client: Any, new_hit: NewHit
) -> None:
    hit_id = new_hit()
    ada = market.worker()
    assignment_id = ada.frame(hit_id)["assignmentId"]
    assert "Continue" in ada.http.get("/worker/").text
    assert ada.http.post(f"/worker/assignments/{assignment_id}/return").status_code == 302
    assert client.get_hit(HITId=hit_id)["HIT"]["NumberOfAssignmentsAvailable"] == 3
    late = ada.http.post("/mturk/externalSubmit", data={"assignmentId": assignment_id, "a": "1"})
    assert late.status_code == 400
    assert client.list_assignments_for_hit(HITId=hit_id)["Assignments"] == []


def test_submissions_need_an_open_assignment_and_an_answer(
    market: Market, client: Any, new_hit: NewHit
) -> None:
    hit_id = new_hit()
    ada = market.worker()
    assignment_id = ada.frame(hit_id)["assignmentId"]
    submit = f"{market.url}/mturk/externalSubmit"
    for fields in (
        {"assignmentId": assignment_id},
        {"assignmentId": "3FORGED", "a": "1"},
        {"a": "1"},
    ):
        assert httpx.post(submit, data=fields).status_code == 400
    assert httpx.post(submit, data={"assignmentId": assignment_id, "a": "1"}).status_code == 200
    assert httpx.post(submit, data={"assignmentId": assignment_id, "a": "2"}).status_code == 400
    found = client.list_assignments_for_hit(HITId=hit_id)["Assignments"]
    assert len(found) == 1
    assert "<FreeText>1</FreeText>" in found[0]["Answer"]
    assert ada.accept(hit_id).status_code == 409


def test_another_workers_assignment_is_not_there(market: Market, new_hit: NewHit) -> None:
    assignment_id = market.worker("Ada").frame(new_hit())["assignmentId"]
    ben = market.worker("Ben").http
    assert ben.get(f"/worker/assignments/{assignment_id}").status_code == 404
    assert ben.post(f"/worker/assignments/{assignment_id}/return").status_code == 404


def test_a_preview_names_no_worker(market: Market, new_hit: NewHit) -> None:
    page = market.worker().http.get(f"/worker/hits/{new_hit()}").text
    assert "assignmentId=ASSIGNMENT_ID_NOT_AVAILABLE" in page
    assert "x=1&amp;y=2&amp;" in page
    assert "workerId" not in page


def test_an_html_question_gets_an_origin_of_its_own(market: Market, new_hit: NewHit) -> None:
    schema = "http://mechanicalturk.amazonaws.com/AWSMechanicalTurkDataSchemas/2011-11-11/HTMLQuestion.xsd"
    question = (
        f'<HTMLQuestion xmlns="{schema}"><HTMLContent><![CDATA[<p>Hello</p>]]></HTMLContent>'
        "<FrameHeight>300</FrameHeight></HTMLQuestion>"
    )
    hit_id = new_hit(Question=question)
    page = market.worker().http.get(f"/task/{hit_id}")
    assert page.text == "<p>Hello</p>"
    assert "allow-same-origin" not in page.headers["Content-Security-Policy"]
    assert page.headers["Content-Security-Policy"].startswith("sandbox")
