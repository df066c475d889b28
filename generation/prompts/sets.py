"""The prompt sets of the published study, from the files that their makers publish."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import combinations, product
from pathlib import Path
from typing import Any

from generation.prompts.files import KEY, local_path, read_columns, read_lines, read_text, some
from generation.prompts.prompt import Prompt, of_class, prompt_of
from generation.prompts.table import PromptTable
from generation.study import StudyError

CLASSES = 1000
"""Of ImageNet."""
IMAGENET_LABELS = ("huggingface/label-files", "imagenet-1k-id2label.json")
PARTI = ("nateraw/parti-prompts", "PartiPrompts.tsv")

# Attend-and-Excite's word lists (Chefer et al. 2023), in the order of their pairs.
ANIMALS = "cat dog bird bear lion horse elephant monkey frog turtle rabbit mouse".split()  # noqa: SIM905
OBJECTS = "backpack glasses crown suitcase chair balloon bow car bowl bench clock apple".split()  # noqa: SIM905
COLOURS = "red orange yellow green blue purple pink brown gray black white".split()  # noqa: SIM905
WORN = ("glasses", "crown", "bow")
"""Objects that an animal is "with", without a colour."""


def imagenet(table: PromptTable, seed: int, base: Path) -> list[Prompt]:
    """All class names of ImageNet, one prompt a class, also where two classes share a name.

    The file is a text with a name a line, or JSON by class number: names, or pairs of WordNet id
    and name.

    Raises:
        StudyError: the file is not of that kind or has not 1,000 classes.
    """
    path = local_path(table, base, IMAGENET_LABELS)
    names = _json_names(path) if path.suffix == ".json" else _lines(path)
    if len(names) != CLASSES:
        raise StudyError(f"{KEY}: {path} has {len(names)} class names; ImageNet has {CLASSES}.")
    if table.synonyms == "first":
        names = [name.split(",")[0].strip() for name in names]
    texts = [table.template.replace("{}", name.replace("_", " ")) for name in names]
    times = Counter(texts)
    return [of_class(text, n, repeated=times[text] > 1) for n, text in enumerate(texts)]


def attend_and_excite(table: PromptTable, seed: int, base: Path) -> list[Prompt]:
    """Attend-and-Excite's 276 prompts with the two things that each names.

    From their JSON file, or generated from the published word lists: every pair of 12 animals
    (66), every animal with every of 12 objects (144), every pair of objects (66), the colours
    drawn from the seed.

    Raises:
        StudyError: the file is not of that kind.
    """
    if table.file is None and table.hub is None:
        return _generated(seed)
    path = local_path(table, base)
    groups = _json(path)
    names = ("animals", "animals_objects", "objects")
    if not isinstance(groups, dict) or not all(isinstance(groups.get(n), list) for n in names):
        raise StudyError(f"{KEY}: {path} must hold lists named {', '.join(names)}.")
    return some(path, (_of_two(str(text).strip(), name) for name in names for text in groups[name]))


def drawbench(table: PromptTable, seed: int, base: Path) -> list[Prompt]:
    """DrawBench: columns Prompts or Prompt, and Category, of a CSV file."""
    path = local_path(table, base)
    column = table.column or _column_of(path, ("Prompt", "Prompts"))
    return read_columns(path, _kind(path), column, table.category_column or "Category")


def parti(table: PromptTable, seed: int, base: Path) -> list[Prompt]:
    """PartiPrompts: columns Prompt and Category of a TSV file."""
    path = local_path(table, base, PARTI)
    return read_columns(
        path, _kind(path), table.column or "Prompt", table.category_column or "Category"
    )


def pick_a_pic(table: PromptTable, seed: int, base: Path) -> list[Prompt]:
    """Pick-a-Pic's test split: a prompt a line, or the column "caption" of a table."""
    path = local_path(table, base)
    if _kind(path) == "text":
        return read_lines(path)
    return read_columns(path, _kind(path), table.column or "caption", table.category_column)


SETS: dict[str, Callable[[PromptTable, int, Path], list[Prompt]]] = {
    "imagenet": imagenet,
    "attend_and_excite": attend_and_excite,
    "drawbench": drawbench,
    "parti": parti,
    "pick_a_pic": pick_a_pic,
}


def _kind(path: Path) -> str:
    """How a file is read, by its name."""
    kinds = {".csv": "csv", ".tsv": "tsv", ".jsonl": "jsonl", ".parquet": "parquet"}
    return kinds.get(path.suffix, "text")


def _column_of(path: Path, names: tuple[str, ...]) -> str:
    """The first of these names that stands in a table's head."""
    if _kind(path) not in ("csv", "tsv"):
        return names[0]
    head = read_text(path).partition("\n")[0]
    return next((name for name in reversed(names) if name in head), names[0])


def _lines(path: Path) -> list[str]:
    return [line.strip() for line in read_text(path).splitlines() if line.strip()]


def _json(path: Path) -> Any:
    try:
        return json.loads(read_text(path))
    except ValueError as error:
        raise StudyError(f"{KEY}: {path} is not JSON: {error}.") from None


def _json_names(path: Path) -> list[str]:
    content = _json(path)
    try:
        values = (
            content
            if isinstance(content, list)
            else [content[key] for key in sorted(content, key=int)]
        )
        return [str(value[1] if isinstance(value, list) else value) for value in values]
    except (TypeError, ValueError, IndexError):
        raise StudyError(
            f'{KEY}: {path} must map class numbers to names, such as {{"0": "tench, Tinca tinca"}}.'
        ) from None


def _generated(seed: int) -> list[Prompt]:
    colours = random.Random(f"attend-and-excite:{seed}")
    prompts = [*_animals(), *_animals_with_objects(colours), *_objects(colours)]
    return [_of_two(text, category) for text, category in prompts]


def _animals() -> Iterator[tuple[str, str]]:
    for a, b in combinations(ANIMALS, 2):
        yield f"{_article(a)} and {_article(b)}", "animals"


def _animals_with_objects(colours: random.Random) -> Iterator[tuple[str, str]]:
    for animal, thing in product(ANIMALS, OBJECTS):
        if thing in WORN:
            yield f"{_article(animal)} with a {thing}", "animals_objects"
        else:
            yield f"{_article(animal)} and a {colours.choice(COLOURS)} {thing}", "animals_objects"


def _objects(colours: random.Random) -> Iterator[tuple[str, str]]:
    for a, b in combinations(OBJECTS, 2):
        # The published set writes "a orange bench" too.
        one, two = colours.choice(COLOURS), colours.choice(COLOURS)
        yield f"a {one} {a} and a {two} {b}", "objects"


def _article(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def _of_two(text: str, category: str) -> Prompt:
    """A prompt with the two things that it names."""
    for word in (" and ", " with "):
        first, found, second = text.partition(word)
        if found:
            return prompt_of(text, category, (first, second))
    return prompt_of(text, category, (text,))
