"""Question XML for CreateHIT: pure text."""

from __future__ import annotations

from xml.sax.saxutils import escape

from generation.study import UserError

EXTERNAL_SCHEMA = "http://mechanicalturk.amazonaws.com/AWSMechanicalTurkDataSchemas/2006-07-14/ExternalQuestion.xsd"

HTML_SCHEMA = (
    "http://mechanicalturk.amazonaws.com/AWSMechanicalTurkDataSchemas/2011-11-11/HTMLQuestion.xsd"
)
MAX_BYTES = 65_535
"""Of a Question, by the API's reference."""


def html_question(page: str, frame_height: int = 0) -> str:
    """An HTMLQuestion: the whole page in the HIT.

    Raises:
        UserError: the page is longer than the API takes.
    """
    content = page.replace("]]>", "]]]]><![CDATA[>")
    question = (
        f'<HTMLQuestion xmlns="{HTML_SCHEMA}">'
        f"<HTMLContent><![CDATA[{content}]]></HTMLContent>"
        f"<FrameHeight>{frame_height}</FrameHeight>"
        "</HTMLQuestion>"
    )
    size = len(question.encode())
    if size > MAX_BYTES:
        raise UserError(
            f"a HIT's page has {size:,} bytes, and an HTMLQuestion may have {MAX_BYTES:,}. Lower "
            "hits.per_hit or shorten the instructions."
        )
    return question


def external_question(url: str, frame_height: int = 0) -> str:
    """An ExternalQuestion: a page of ours in the worker's frame; height 0 fills the window."""
    return (
        f'<ExternalQuestion xmlns="{EXTERNAL_SCHEMA}">'
        f"<ExternalURL>{escape(url)}</ExternalURL>"
        f"<FrameHeight>{frame_height}</FrameHeight>"
        "</ExternalQuestion>"
    )
