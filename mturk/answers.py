"""Answer XML, in and out: pure."""

from __future__ import annotations

from collections.abc import Mapping
from xml.sax.saxutils import escape

from lxml import etree

ANSWERS_SCHEMA = (
    "http://mechanicalturk.amazonaws.com/AWSMechanicalTurkDataSchemas/2005-10-01/"
    "QuestionFormAnswers.xsd"
)
MAX_BYTES = 1_000_000


class BadAnswer(ValueError):
    """An assignment's answer cannot be read; the message says why."""


def encode_answers(fields: Mapping[str, str]) -> str:
    """QuestionFormAnswers with one free text a field.

    Only `&`, `<` and `>` are escaped and the children keep this order: some clients read the
    text with regular expressions. Characters that XML cannot hold are left out.
    """
    answers = "".join(
        f"<Answer><QuestionIdentifier>{escape(_clean(name))}</QuestionIdentifier>"
        f"<FreeText>{escape(_clean(value))}</FreeText></Answer>"
        for name, value in fields.items()
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        f'<QuestionFormAnswers xmlns="{ANSWERS_SCHEMA}">{answers}</QuestionFormAnswers>'
    )


def decode_answers(xml: str) -> dict[str, str]:
    """Fields by name; for a selection, the identifiers that were selected, joined by "|".

    Raises:
        BadAnswer: the text is too long, not XML, or something else.
    """
    content = xml.encode()
    if len(content) > MAX_BYTES:
        raise BadAnswer(f"the answer has {len(content)} bytes, more than {MAX_BYTES}")
    # No entities, no network: an answer is a stranger's text.
    parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False)
    try:
        root = etree.fromstring(content, parser)
    except etree.XMLSyntaxError as error:
        raise BadAnswer(f"the answer is not XML: {error.msg}") from None
    if etree.QName(root).localname != "QuestionFormAnswers":
        raise BadAnswer(f"the answer is a {etree.QName(root).localname}")
    found: dict[str, str] = {}
    for answer in root.iter("{*}Answer"):
        name = answer.findtext("{*}QuestionIdentifier")
        if name is None:
            raise BadAnswer("an Answer lacks its QuestionIdentifier")
        texts = [
            child.text or ""
            for child in answer
            if etree.QName(child).localname != "QuestionIdentifier"
        ]
        found[name] = "|".join(texts)
    return found


def _clean(text: str) -> str:
    return "".join(c for c in text if c in "\t\n\r" or (c >= " " and not _forbidden(c)))


def _forbidden(character: str) -> bool:
    return "\ud800" <= character <= "\udfff" or character in "\ufffe\uffff"
