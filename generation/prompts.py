"""Prompt sets: where prompts come from, as a list of `Prompt`."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from generation.plan import PromptTable
from generation.study import StudyError, nearest


@dataclass(frozen=True)
class Prompt:
    """A prompt, an id that depends on its text alone, and a category ("" for none)."""

    id: str
    text: str
    category: str = ""


def read_prompts(table: PromptTable, seed: int, *, base: Path) -> list[Prompt]:
    """Read the prompts that a study asks for.

    Args:
        table: the checked `[generation.prompts]`.
        seed: the study's seed, from which scenes are drawn.
        base: the folder to which the table's file is relative.

    Raises:
        StudyError: the file is missing or empty, a column is not there, a prompt is repeated.
    """
    if table.kind == "scenes":
        return _scenes(table, seed)
    if table.file is None:
        raise StudyError(f"generation.prompts.file is missing: kind = {table.kind!r} needs one.")
    path = base / table.file
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise StudyError(f"generation.prompts.file = {table.file!r}: {path} is missing.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise StudyError(f"generation.prompts.file: {path} cannot be read: {error}.") from None
    if table.kind == "text":
        pairs = [(line.strip(), "") for line in text.splitlines()]
    else:
        pairs = _columns(table, path, text)
    prompts = _numbered((text, category) for text, category in pairs if text)
    if not prompts:
        raise StudyError(f"generation.prompts.file: {path} holds no prompt.")
    if table.count is not None and table.count > len(prompts):
        raise StudyError(
            f"generation.prompts.count = {table.count}: {path} holds only {len(prompts)} prompts."
        )
    return prompts[: table.count]


def _scenes(table: PromptTable, seed: int) -> list[Prompt]:
    from generation.shapes.scenes import parse, sample_prompts

    if table.count is None:
        raise StudyError("generation.prompts.count is missing: say how many scenes to draw.")
    try:
        texts = sample_prompts(table.count, seed, fold="test")
    except ValueError as error:
        raise StudyError(f"generation.prompts.count = {table.count}: {error}.") from None
    words = {1: "one object", 2: "two objects", 3: "three objects"}
    return _numbered((text, words[len(parse(text).objects)]) for text in texts)


def _columns(table: PromptTable, path: Path, text: str) -> list[tuple[str, str]]:
    delimiter = "\t" if table.kind == "tsv" else ","
    # Tab-separated prompt sets do not quote: a lone quotation mark there is part of the prompt.
    lines = text.splitlines(keepends=True)
    if table.kind == "tsv":
        reader = csv.DictReader(lines, delimiter=delimiter, quoting=csv.QUOTE_NONE)
    else:
        reader = csv.DictReader(lines, delimiter=delimiter)
    known = list(reader.fieldnames or [])
    for key, column in (("column", table.column), ("category_column", table.category_column)):
        if column is not None and column not in known:
            raise StudyError(
                f"generation.prompts.{key} = {column!r}: {path} has no such column."
                f"{nearest(column, known)}"
            )
    category = table.category_column
    return [
        ((row[table.column] or "").strip(), (row[category] or "").strip() if category else "")
        for row in reader
    ]


def _numbered(pairs: Iterable[tuple[str, str]]) -> list[Prompt]:
    """Give each different text its id; a text that comes again is the same prompt."""
    prompts: dict[str, Prompt] = {}
    for text, category in pairs:
        key = hashlib.sha256(text.encode()).hexdigest()[:16]
        prompts.setdefault(key, Prompt(key, text, category))
    return list(prompts.values())
