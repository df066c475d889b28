"""Reading the prompts that a study asks for."""

from __future__ import annotations

from pathlib import Path

from generation.prompts.choice import drawn_at_random, drawn_equally, without
from generation.prompts.files import KEY, local_path, read_columns, read_lines
from generation.prompts.prompt import Prompt, different, prompt_of
from generation.prompts.sets import SETS
from generation.prompts.table import PromptTable
from generation.study import StudyError

STRATIFIED = ("attend_and_excite", "parti")
LEFT_OUT = {"drawbench": ["Misspellings", "Rare Words"]}


def read_prompts(table: PromptTable, seed: int, *, base: Path) -> list[Prompt]:
    """Read the prompts that a study asks for.

    Args:
        table: the checked `[generation.prompts]`.
        seed: the study's seed, from which scenes and samples are drawn.
        base: the folder to which the table's file is relative.

    Raises:
        StudyError: a file is missing, broken or empty, a column, category or number not there.
    """
    if table.kind == "scenes":
        return _scenes(table, seed)
    prompts = _all(table, seed, base)
    excluded = LEFT_OUT.get(table.kind, []) if table.exclude is None else table.exclude
    if excluded:
        prompts = without(prompts, excluded)
    return _chosen(table, prompts, seed)


def _all(table: PromptTable, seed: int, base: Path) -> list[Prompt]:
    if table.published:
        return SETS[table.kind](table, seed, base)
    path = local_path(table, base)
    if table.kind == "text":
        return read_lines(path)
    return read_columns(path, table.kind, table.column or "Prompt", table.category_column)


def _chosen(table: PromptTable, prompts: list[Prompt], seed: int) -> list[Prompt]:
    if table.count is None:
        return prompts
    if table.count > len(prompts):
        raise StudyError(f"{KEY}.count = {table.count}: the set holds only {len(prompts)} prompts.")
    stratify = table.kind in STRATIFIED if table.stratify is None else table.stratify
    if stratify:
        if not any(prompt.category for prompt in prompts):
            raise StudyError(
                f"{KEY}.stratify: the prompts have no categories: give category_column."
            )
        return drawn_equally(prompts, table.count, seed)
    if table.published if table.sample is None else table.sample:
        return drawn_at_random(prompts, table.count, seed)
    return prompts[: table.count]


def _scenes(table: PromptTable, seed: int) -> list[Prompt]:
    from generation.shapes.scenes import parse, sample_prompts

    if table.count is None:
        raise StudyError(f"{KEY}.count is missing: say how many scenes to draw.")
    try:
        texts = sample_prompts(table.count, seed, fold="test")
    except ValueError as error:
        raise StudyError(f"{KEY}.count = {table.count}: {error}.") from None
    words = {1: "one object", 2: "two objects", 3: "three objects"}
    return different(prompt_of(text, words[len(parse(text).objects)]) for text in texts)
