"""Question XML for CreateHIT: pure text."""

from __future__ import annotations

from xml.sax.saxutils import escape

EXTERNAL_SCHEMA = "http://mechanicalturk.amazonaws.com/AWSMechanicalTurkDataSchemas/2006-07-14/ExternalQuestion.xsd"


def external_question(url: str, frame_height: int = 0) -> str:
    """An ExternalQuestion: a page of ours in the worker's frame; height 0 fills the window."""
    return (
        f'<ExternalQuestion xmlns="{EXTERNAL_SCHEMA}">'
        f"<ExternalURL>{escape(url)}</ExternalURL>"
        f"<FrameHeight>{frame_height}</FrameHeight>"
        "</ExternalQuestion>"
    )
