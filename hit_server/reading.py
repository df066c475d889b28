"""Reading a form: what a worker's page sent becomes answers, checked against what was shown."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hit_server.drawn import Drawn
from hit_server.records import Placement, SavedAnswer

NONE = "none"
_VIEWPORT = re.compile(r"[1-9]\d{1,4}x[1-9]\d{1,4}")


class Unreadable(ValueError):
    """A form that no answer can be read from; the message says why."""


@dataclass(frozen=True)
class Answer:
    """One answer to one question about one comparison of a page."""

    number: int
    """The comparison's turn on the page, from 1."""
    question: str
    choice: str
    """Name of the image chosen, or "none"."""
    milliseconds: int | None
    conditions: dict[str, Any]


def read_answers(placements: Sequence[Placement], fields: Mapping[str, str]) -> list[Answer]:
    """Every answer of a submitted page; what the form lost is taken from what was saved before.

    Args:
        placements: that the page showed.
        fields: of the form.

    Raises:
        Unreadable: a comparison is another one, or an answer is missing or none of the choices.
            An unknown label is never taken for a tie.
    """
    found = []
    for placement in placements:
        _same_comparison(placement, fields)
        saved = {each.question: each for each in placement.saved}
        for question in placement.questions:
            name = f"{placement.number}.{question}"
            kept = saved.get(question)
            if kept is not None and _tells_less(fields, name, kept):
                choice = chosen(placement, question, kept.label)
                answer = Answer(
                    placement.number, question, choice, kept.milliseconds, kept.conditions
                )
            else:
                answer = read_answer(placement, question, fields)
            found.append(answer)
    return found


def read_answer(placement: Placement | Drawn, question: str, fields: Mapping[str, str]) -> Answer:
    """One answer.

    Raises:
        Unreadable: it is missing or none of the choices.
    """
    name = f"{placement.number}.{question}"
    choice = chosen(placement, question, fields.get(name))
    milliseconds = _count(fields.get(f"{name}.milliseconds"))
    return Answer(
        placement.number,
        question,
        choice,
        milliseconds,
        conditions(fields, placement.number) | {"asked": placement.questions.index(question) + 1},
    )


def chosen(placement: Placement | Drawn, question: str, label: str | None) -> str:
    """The name of the image that stood in the place chosen, or "none".

    Raises:
        Unreadable: the label is none of the choices.
    """
    choices = {str(number): name for number, name in enumerate(placement.methods, 1)}
    choices[NONE] = NONE
    if label not in choices:
        raise Unreadable(
            f"{placement.number}.{question} = {label!r} is none of {', '.join(choices)}"
        )
    return choices[label]


def conditions(fields: Mapping[str, str], number: int) -> dict[str, Any]:
    """How a comparison was looked at, as far as the page told it and it makes sense."""
    found: dict[str, Any] = {}
    for name in ("focus_losses", "zooms"):
        count = _count(fields.get(f"{number}.{name}"))
        if count is not None:
            found[name] = count
    if _VIEWPORT.fullmatch(fields.get("viewport", "")):
        found["viewport"] = fields["viewport"]
    try:
        ratio = float(fields.get("pixel_ratio", ""))
    except ValueError:
        return found
    if 0.1 <= ratio <= 16:
        found["pixel_ratio"] = round(ratio, 3)
    return found


def _tells_less(fields: Mapping[str, str], name: str, kept: SavedAnswer) -> bool:
    """Whether a form lacks an answer, or holds the same one without the time it took.

    A page that was loaded again shows what was answered before; it did not time that.
    """
    if name not in fields:
        return True
    return fields[name] == kept.label and _count(fields.get(f"{name}.milliseconds")) is None


def _same_comparison(placement: Placement, fields: Mapping[str, str]) -> None:
    told = fields.get(f"{placement.number}.comparison")
    if told is not None and told != placement.comparison.public_id:
        raise Unreadable(
            f"{placement.number}.comparison = {told!r} is not what this worker was shown"
        )


def _count(text: str | None) -> int | None:
    """A whole number as the page writes it. A longer one than nine digits is not one."""
    # Without JavaScript there is none.
    if text is None or not (text.isascii() and text.isdecimal()) or len(text) > 9:
        return None
    return int(text)
