"""Prompts from files: text, CSV, TSV, JSON lines, Parquet; local ones, or from the hub."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from generation.prompts.prompt import Prompt, different, prompt_of
from generation.prompts.table import PromptTable
from generation.study import StudyError, nearest

KEY = "generation.prompts"


def local_path(table: PromptTable, base: Path, source: tuple[str, str] | None = None) -> Path:
    """The file of a table on this machine, fetched from the hub where it names one.

    Args:
        table: the checked table.
        base: the folder to which its file is relative.
        source: repository and path on the hub to fall back on.

    Raises:
        StudyError: no file is named, or the hub cannot be reached.
    """
    if table.file is not None:
        path = base / table.file
        if not path.is_file():
            raise StudyError(f"{KEY}.file = {table.file!r}: {path} is missing.")
        return path
    if table.hub is not None and table.hub_file is not None:
        source = (table.hub, table.hub_file)
    if source is None:
        raise StudyError(
            f"{KEY}.file is missing: kind = {table.kind!r} needs a file, or hub and hub_file."
        )
    return _downloaded(*source, table.revision)


def _downloaded(repository: str, name: str, revision: str | None) -> Path:
    from huggingface_hub import hf_hub_download

    try:
        return Path(hf_hub_download(repository, name, repo_type="dataset", revision=revision))
    except Exception as error:  # The hub's library raises many kinds: network, rights, names.
        first = str(error).strip().splitlines()[0]
        raise StudyError(
            f"{KEY}: {name} of {repository} cannot be had from the hub: {first} "
            f"Download it elsewhere and give {KEY}.file."
        ) from None


def read_text(path: Path) -> str:
    """A text file.

    Raises:
        StudyError: it cannot be read or is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise StudyError(f"{KEY}: {path} cannot be read as UTF-8 text: {error}.") from None


def read_lines(path: Path) -> list[Prompt]:
    """A prompt a line; empty lines do not count."""
    return some(path, (prompt_of(line.strip()) for line in read_text(path).splitlines()))


def read_columns(path: Path, kind: str, column: str, category: str | None) -> list[Prompt]:
    """Prompts from a column of a table, with their categories.

    Raises:
        StudyError: the file is broken or empty, or has no such column.
    """
    readers = {"jsonl": _json_lines, "parquet": _parquet}
    rows = (
        readers[kind](path) if kind in readers else _separated(path, "\t" if kind == "tsv" else ",")
    )
    known = list(rows[0]) if rows else []
    for key, name in (("column", column), ("category_column", category)):
        if rows and name is not None and name not in known:
            raise StudyError(
                f"{KEY}.{key} = {name!r}: {path} has no such column.{nearest(name, known)}"
            )
    return some(
        path,
        (
            prompt_of(_word(row.get(column)), _word(row.get(category)) if category else "")
            for row in rows
        ),
    )


def some(path: Path, prompts: Iterable[Prompt]) -> list[Prompt]:
    """Different prompts that are not empty; an error where there is none."""
    found = different(prompt for prompt in prompts if prompt.text)
    if not found:
        raise StudyError(f"{KEY}: {path} holds no prompt.")
    return found


def _word(value: Any) -> str:
    return "" if value is None else str(value).strip()


def _separated(path: Path, delimiter: str) -> list[dict[str, Any]]:
    lines = read_text(path).splitlines(keepends=True)
    # Tab-separated prompt sets do not quote: a lone quotation mark there is part of the prompt.
    try:
        if delimiter == "\t":
            return list(csv.DictReader(lines, delimiter=delimiter, quoting=csv.QUOTE_NONE))
        return list(csv.DictReader(lines, delimiter=delimiter))
    except csv.Error as error:
        raise StudyError(f"{KEY}: {path} is not a table: {error}.") from None


def _json_lines(path: Path) -> list[dict[str, Any]]:
    rows = []
    for number, line in enumerate(read_text(path).splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise StudyError(f"{KEY}: {path}, line {number}: not JSON: {error}.") from None
        if not isinstance(row, dict):
            raise StudyError(f"{KEY}: {path}, line {number}: not an object with named values.")
        rows.append(row)
    return rows


def _parquet(path: Path) -> list[dict[str, Any]]:
    import pyarrow.parquet
    from pyarrow.lib import ArrowException

    try:
        rows: list[dict[str, Any]] = pyarrow.parquet.read_table(path).to_pylist()
    except (ArrowException, OSError) as error:
        raise StudyError(f"{KEY}: {path} is not a Parquet file: {error}.") from None
    return rows
