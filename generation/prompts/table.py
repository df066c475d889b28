"""The table `[generation.prompts]`: where prompts come from and how many are taken."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from generation.study import Table

FILES = ("text", "csv", "tsv", "jsonl", "parquet")
Kind = Literal[
    "scenes",
    "text",
    "csv",
    "tsv",
    "jsonl",
    "parquet",
    "imagenet",
    "attend_and_excite",
    "drawbench",
    "parti",
    "pick_a_pic",
]


class PromptTable(Table):
    """`[generation.prompts]`."""

    kind: Kind
    count: int | None = Field(default=None, ge=1)
    """How many; all when not given. Needed for scenes."""
    file: str | None = None
    """A path, relative to the study file."""
    hub: str | None = Field(default=None, pattern=r"^[\w.-]+/[\w.-]+$")
    """A dataset repository on the Hugging Face hub, instead of a file."""
    hub_file: str | None = None
    """Path of the file in that repository."""
    revision: str | None = None
    """Of the repository: commit, branch or tag."""
    column: str | None = None
    """The column that holds the prompts; "Prompt" when not given, or the published set's own."""
    category_column: str | None = None
    """The column that holds categories."""
    exclude: list[str] | None = None
    """Categories left out; DrawBench leaves out misspellings and rare words by default."""
    stratify: bool | None = None
    """Share `count` equally between categories; the default for Attend-and-Excite and Parti."""
    sample: bool | None = None
    """Draw `count` prompts at random, from the study's seed, instead of taking the first ones;
    the default for the published sets."""
    synonyms: Literal["first", "all"] = "first"
    """Of ImageNet's class names, such as "tench, Tinca tinca"."""
    template: str = "{}"
    """Around ImageNet's class names, such as "a photo of a {}"."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if "{}" not in self.template:
            raise ValueError('template must hold {}, such as "a photo of a {}".')
        if self.file is not None and self.hub is not None:
            raise ValueError("file and hub are both given: take one.")
        if self.hub_file is not None and self.hub is None:
            raise ValueError("hub_file needs hub, the repository that holds it.")
        if self.hub is not None and self.hub_file is None:
            raise ValueError("hub needs hub_file, the path of the file in the repository.")
        return self

    @property
    def published(self) -> bool:
        """Whether it is one of the published sets."""
        return self.kind != "scenes" and self.kind not in FILES
