"""Answers to a QuestionForm, held against what it asks for."""

from __future__ import annotations

import re
from collections.abc import Mapping

from mturk.marketplace.forms import Form, FormQuestion


def violations(form: Form, fields: Mapping[str, str]) -> list[str]:
    """What is wrong with answers to a form, in words for the worker."""
    found = []
    for question in form.questions:
        given = fields.get(question.identifier, "")
        said = question.name or question.identifier
        if not given:
            if question.required:
                found.append(f"{said}: please answer.")
        elif question.kind == "selection":
            found += _wrong_selection(question, said, given.split("|"))
        else:
            found += _wrong_text(question, said, given)
    return found


def _wrong_selection(question: FormQuestion, said: str, chosen: list[str]) -> list[str]:
    known = {selection.identifier for selection in question.selections}
    if not set(chosen) <= known:
        return [f"{said}: choose one of the answers."]
    if not question.fewest <= len(chosen) <= question.most:
        return [f"{said}: choose {question.fewest} to {question.most} answers."]
    return []


def _wrong_text(question: FormQuestion, said: str, text: str) -> list[str]:
    if len(text) < question.shortest:
        return [f"{said}: at least {question.shortest} characters."]
    if question.longest is not None and len(text) > question.longest:
        return [f"{said}: at most {question.longest} characters."]
    if question.numeric:
        if not re.fullmatch(r"-?\d{1,18}(\.\d{1,18})?", text):
            return [f"{said}: a number, please."]
        number = float(text)
        low = question.lowest is not None and number < question.lowest
        high = question.highest is not None and number > question.highest
        if low or high:
            return [f"{said}: between {question.lowest} and {question.highest}, please."]
    return []
