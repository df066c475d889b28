"""The study file: one TOML document whose tables each belong to one package.

This module knows the file, its errors and the table `[study]`. Every package
checks its own table with a pydantic model that derives from `Table`. Nothing
heavy is imported here: the hit server and the analysis read study files too.
"""

from __future__ import annotations

import difflib
import hashlib
import tomllib
from dataclasses import dataclass
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

TABLES = ("study", "generation", "hits", "crowd", "report")


class UserError(Exception):
    """Something the user can mend: its message says what, which value and what to do.

    The command line prints it without a traceback and exits with 2.
    """


class StudyError(UserError):
    """The study file is missing, broken or asks for something that does not exist."""


class Table(BaseModel):
    """A table of the study file: frozen, and a key that it does not know is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Study(Table):
    """`[study]`: what every step needs to know."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")
    """Short name: lower-case letters, digits and hyphens; names the study's folder."""
    title: str = Field(min_length=1, max_length=128)
    """What the study is called in the report."""
    seed: int = Field(default=0, ge=0)
    """The number from which every random choice of the study is drawn."""
    folder: Path | None = None
    """Where everything the study makes is kept; `runs/<name>` when not given."""

    @property
    def place(self) -> Path:
        """The study's folder, relative to the working directory unless absolute."""
        return self.folder if self.folder is not None else Path("runs") / self.name


TableT = TypeVar("TableT", bound=BaseModel)


@dataclass(frozen=True)
class StudyFile:
    """A study file as read: its tables unchecked, its path, and the sha256 of its bytes."""

    path: Path
    tables: dict[str, Any]
    digest: str

    def table(self, name: str, model: type[TableT]) -> TableT:
        """Check one table with its package's model.

        Raises:
            StudyError: naming file, key, value and the nearest right name.
        """
        try:
            return model.model_validate(self.tables.get(name, {}))
        except ValidationError as error:
            lines = [self._explain(name, model, detail) for detail in error.errors()]
            raise StudyError("\n".join(lines)) from None

    @property
    def study(self) -> Study:
        """The checked table `[study]`."""
        return self.table("study", Study)

    @property
    def prompt_set(self) -> str:
        """The `kind` of the study's prompts, empty when not given; unchecked."""
        prompts = self.tables.get("generation", {}).get("prompts", {})
        return str(prompts.get("kind", "")) if isinstance(prompts, dict) else ""

    def _explain(self, name: str, model: type[BaseModel], detail: ErrorDetails) -> str:
        path, known = _walk(model, detail["loc"])
        key = ".".join([name, *path])
        if detail["type"] == "extra_forbidden":
            return f"{self.path}: unknown key {key}.{nearest(path[-1], known)}"
        if detail["type"] == "missing":
            return f"{self.path}: {key} is missing: add it."
        if detail["type"] == "union_tag_invalid":
            context = detail["ctx"]
            tags = [tag.strip("' ") for tag in context["expected_tags"].split(",")]
            return (
                f"{self.path}: {key}.kind = {context['tag']!r}: there is no such kind."
                f"{nearest(context['tag'], tags)}"
            )
        if detail["type"] == "union_tag_not_found":
            return f"{self.path}: {key}.kind is missing: add it."
        message = detail["msg"].removeprefix("Value error, ")
        return f"{self.path}: {key} = {_shown(detail['input'])}: {message}"


def read_study_file(path: str | Path) -> StudyFile:
    """Read a study file and check that only known tables stand in it.

    Raises:
        StudyError: when it is missing, not TOML, or holds an unknown table.
    """
    path = Path(path)
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise StudyError(f"{path}: no such study file. Check the path.") from None
    except OSError as error:
        raise StudyError(f"{path}: cannot be read: {error.strerror}.") from None
    try:
        tables = tomllib.loads(content.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise StudyError(f"{path}: not valid TOML: {error}.") from None
    for name in tables:
        if name not in TABLES:
            raise StudyError(f"{path}: unknown table [{name}].{nearest(name, TABLES)}")
    return StudyFile(path=path, tables=tables, digest=hashlib.sha256(content).hexdigest())


def nearest(name: str, known: tuple[str, ...] | list[str]) -> str:
    """A half sentence, beginning with a space, that offers the nearest known name and lists all."""
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    offer = f" Did you mean {close[0]!r}?" if close else ""
    return f"{offer} Known: {', '.join(known)}."


def _walk(model: type[BaseModel], location: tuple[int | str, ...]) -> tuple[list[str], list[str]]:
    """A place in the file as its keys, and the keys that are allowed beside the last one.

    pydantic puts the tag of a union into an error's place; no such key stands in the file.
    """
    current: Any = model
    path: list[str] = []
    known: list[str] = []
    for part in location:
        if get_origin(current) is Annotated:
            current = get_args(current)[0]
        if isinstance(current, type) and issubclass(current, BaseModel):
            known = list(current.model_fields)
            field = current.model_fields.get(str(part))
            current = field.annotation if field else None
        elif get_origin(current) in (Union, UnionType):
            current = _tagged(get_args(current), str(part))
            continue
        else:
            current = (get_args(current) or (None,))[-1]
        path.append(str(part))
    return path, known


def _tagged(choices: tuple[Any, ...], tag: str) -> Any:
    """The model of a union whose `kind` is a tag."""
    for choice in choices:
        fields = getattr(choice, "model_fields", {})
        if "kind" in fields and tag in get_args(fields["kind"].annotation):
            return choice
    return None


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
