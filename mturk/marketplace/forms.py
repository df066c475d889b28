"""QuestionForm: the XML of questions that the worker site itself renders.

Amazon's schema: QuestionForm 2017-11-06, and the older 2005-10-01.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlsplit

from lxml import etree

from mturk.marketplace.errors import InvalidParameters

MAX_BYTES = 65_535
BLOCKS = ("Title", "Text", "List", "Binary", "FormattedContent")
FORMATTED = (
    "a b big blockquote br center cite code col colgroup dd del dl dt em font h1 h2 h3 h4 h5 h6 hr "
    "i img ins li ol p pre q small strong sub sup table tbody td tfoot th thead tr u ul"
)
"""Elements of formatted content, with a space between them."""
ATTRIBUTES = frozenset({"href", "src", "alt", "title", "width", "height", "align", "colspan"})
Kind = Literal["free_text", "selection"]


@dataclass(frozen=True)
class Block:
    """A piece of content: a title, a text, a list, an image, or formatted HTML."""

    kind: str
    text: str = ""
    items: tuple[str, ...] = ()
    url: str = ""


@dataclass(frozen=True)
class Selection:
    """One of the answers to choose from."""

    identifier: str
    label: str
    image: str = ""


@dataclass(frozen=True)
class FormQuestion:
    """A question with its answer's form."""

    identifier: str
    name: str
    required: bool
    content: tuple[Block, ...]
    kind: Kind
    style: str = ""
    selections: tuple[Selection, ...] = ()
    fewest: int = 1
    most: int = 1
    default: str = ""
    longest: int | None = None
    shortest: int = 0
    pattern: str = ""
    """A regular expression that a free text must match; empty for any."""
    numeric: bool = False
    lowest: int | None = None
    highest: int | None = None


@dataclass(frozen=True)
class Form:
    """A QuestionForm: content and questions in their order."""

    parts: tuple[Block | FormQuestion, ...]

    @property
    def questions(self) -> list[FormQuestion]:
        """The questions alone."""
        return [part for part in self.parts if isinstance(part, FormQuestion)]


@dataclass
class _Reader:
    """Reads a form, remembering what it must not meet twice."""

    identifiers: set[str] = field(default_factory=set)

    def form(self, root: Any) -> Form:
        parts: list[Block | FormQuestion] = []
        for child in root.iterchildren(tag=etree.Element):
            name = etree.QName(child).localname
            if name in ("Overview", "QuestionContent"):
                parts += _blocks(child)
            elif name == "Question":
                parts.append(self.question(child))
            else:
                raise InvalidParameters(f"A QuestionForm has no element {name}.")
        if not any(isinstance(part, FormQuestion) for part in parts):
            raise InvalidParameters("A QuestionForm needs at least one Question.")
        return Form(tuple(parts))

    def question(self, element: Any) -> FormQuestion:
        identifier = (element.findtext("{*}QuestionIdentifier") or "").strip()
        if not identifier or identifier in self.identifiers:
            raise InvalidParameters(
                f"QuestionIdentifier {identifier[:60]!r} must be given, and once only."
            )
        self.identifiers.add(identifier)
        content, answer = element.find("{*}QuestionContent"), element.find("{*}AnswerSpecification")
        if content is None or answer is None or len(answer) != 1:
            raise InvalidParameters(
                f"Question {identifier[:60]!r} needs a QuestionContent and one kind of answer in "
                "its AnswerSpecification."
            )
        common: dict[str, Any] = {
            "identifier": identifier,
            "name": (element.findtext("{*}DisplayName") or "").strip(),
            "required": (element.findtext("{*}IsRequired") or "").strip() == "true",
            "content": tuple(_blocks(content)),
        }
        kind = etree.QName(answer[0]).localname
        if kind == "FreeTextAnswer":
            return FormQuestion(kind="free_text", **common, **_free_text(answer[0]))
        if kind == "SelectionAnswer":
            return FormQuestion(kind="selection", **common, **_selection(answer[0], identifier))
        raise InvalidParameters(
            f"Question {identifier[:60]!r}: {kind} is not offered; use FreeTextAnswer or "
            "SelectionAnswer."
        )


def parse_xml(text: str, what: str) -> Any:
    """An XML text of a stranger as a tree: no entities, no network.

    Raises:
        InvalidParameters: it is no XML, or too long.
    """
    content = text.encode()
    if len(content) > MAX_BYTES:
        raise InvalidParameters(f"{what} has {len(content)} bytes, more than {MAX_BYTES}.")
    parser = etree.XMLParser(resolve_entities=False, no_network=True, remove_comments=True)
    try:
        return etree.fromstring(content, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise InvalidParameters(f"There was an error parsing the XML of {what}: {error}") from None


def read_form(text: str) -> Form:
    """A QuestionForm.

    Raises:
        InvalidParameters: it is not one, or holds what is not offered.
    """
    root = parse_xml(text, "the QuestionForm")
    if etree.QName(root).localname != "QuestionForm":
        raise InvalidParameters(f"A {etree.QName(root).localname} is no QuestionForm.")
    return _Reader().form(root)


def _blocks(element: Any) -> list[Block]:
    blocks = []
    for child in element.iterchildren(tag=etree.Element):
        name = etree.QName(child).localname
        if name in ("Title", "Text"):
            blocks.append(Block(name, (child.text or "").strip()))
        elif name == "List":
            items = tuple((item.text or "").strip() for item in child.iterfind("{*}ListItem"))
            blocks.append(Block(name, items=items))
        elif name == "Binary":
            if (child.findtext("{*}MimeType/{*}Type") or "").strip() != "image":
                raise InvalidParameters("Of Binary content, only images are offered.")
            url = _web_address((child.findtext("{*}DataURL") or "").strip())
            blocks.append(Block(name, (child.findtext("{*}AltText") or "").strip(), url=url))
        elif name == "FormattedContent":
            blocks.append(Block(name, _clean_html(child.text or "")))
        else:
            raise InvalidParameters(f"Content {name} is not offered; use {', '.join(BLOCKS)}.")
    return blocks


def _clean_html(text: str) -> str:
    """Formatted content with the allowed elements and attributes only; it must be well-formed."""
    root = parse_xml(f"<div>{text}</div>", "FormattedContent")
    for element in root.iter(tag=etree.Element):
        if element is not root and element.tag not in FORMATTED.split():
            raise InvalidParameters(f"FormattedContent cannot hold <{str(element.tag)[:30]}>.")
        for name in list(element.attrib):
            if name not in ATTRIBUTES:
                raise InvalidParameters(f"FormattedContent cannot hold the attribute {name[:30]}.")
            if name in ("href", "src"):
                _web_address(element.attrib[name])
    cleaned: str = etree.tostring(root, encoding="unicode", method="html")
    return cleaned.removeprefix("<div>").removesuffix("</div>")


def _web_address(url: str) -> str:
    if urlsplit(url).scheme not in ("http", "https"):
        raise InvalidParameters(f"{url[:80]!r} is no web address.")
    return url


def _free_text(answer: Any) -> dict[str, Any]:
    values: dict[str, Any] = {"default": (answer.findtext("{*}DefaultText") or "").strip()}
    length = answer.find("{*}Constraints/{*}Length")
    if length is not None:
        values["shortest"] = int(_attribute(length, "minLength") or 0)
        values["longest"] = _attribute(length, "maxLength")
    numeric = answer.find("{*}Constraints/{*}IsNumeric")
    if numeric is not None:
        values |= {
            "numeric": True,
            "lowest": _attribute(numeric, "minValue"),
            "highest": _attribute(numeric, "maxValue"),
        }
    pattern = answer.find("{*}Constraints/{*}AnswerFormatRegex")
    if pattern is not None:
        # Checked by the worker's browser alone: a stranger's pattern can take for ever.
        values["pattern"] = pattern.get("regex", "")
    return values


def _selection(answer: Any, identifier: str) -> dict[str, Any]:
    found = []
    for each in answer.iterfind("{*}Selections/{*}Selection"):
        label = (each.findtext("{*}Text") or "").strip()
        picture = (each.findtext("{*}Binary/{*}DataURL") or "").strip()
        formatted = each.findtext("{*}FormattedContent")
        if formatted is not None:
            label = " ".join(parse_xml(f"<div>{formatted}</div>", "Selection").itertext()).strip()
        found.append(
            Selection(
                (each.findtext("{*}SelectionIdentifier") or "").strip(),
                label,
                _web_address(picture) if picture else "",
            )
        )
    names = [selection.identifier for selection in found]
    if not found or not all(names) or len(set(names)) < len(names):
        raise InvalidParameters(
            f"Question {identifier[:60]!r} needs Selections, each with an identifier of its own."
        )
    if any("|" in name for name in names):
        raise InvalidParameters(f"Question {identifier[:60]!r}: an identifier cannot hold '|'.")
    fewest = whole_number(answer, "MinSelectionCount", missing=1)
    return {
        "style": (answer.findtext("{*}StyleSuggestion") or "").strip(),
        "selections": tuple(found),
        "fewest": fewest,
        "most": max(fewest, whole_number(answer, "MaxSelectionCount", missing=1)),
    }


def _attribute(element: Any, name: str) -> int | None:
    value = element.get(name)
    if value is None:
        return None
    if not re.fullmatch(r"-?\d{1,9}", value):
        raise InvalidParameters(f"{name} = {value[:40]!r} must be a whole number.")
    return int(value)


def whole_number(element: Any, name: str, *, missing: int | None = None) -> int:
    """The number in a child element, or what counts where it is missing.

    Raises:
        InvalidParameters: it is no whole number.
    """
    text = element.findtext(f"{{*}}{name}")
    if text is None and missing is not None:
        return missing
    if text is None or not re.fullmatch(r"\s*-?\d{1,9}\s*", text):
        raise InvalidParameters(f"{name} = {(text or '')[:40]!r} must be a whole number.")
    return int(text)
