"""The table `[generation]`: which images a study makes.

Light imports only: the plan of a study is worked out on machines without torch.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from generation.study import Table


class CfgOptions(Table):
    """Classifier-free guidance."""

    kind: Literal["cfg"]
    scale: float = Field(default=7.5, ge=0)
    """s: the guidance scale."""


class DnpOptions(Table):
    """Diffusion-negative prompting."""

    kind: Literal["dnp"]
    scale: float = Field(default=7.5, ge=0)
    """s: of the generation and of the diffusion-negative chain."""


class AnswerOptions(Table):
    """Adaptive negative sampling without external resources."""

    kind: Literal["answer"]
    scale: float = Field(default=7.5, ge=0)
    """s: the guidance scale."""
    k: int = Field(default=5, ge=0)
    """K: diffusion-negative steps at each active main step, at most."""
    s_neg: float = Field(default=2.5, ge=0)
    """Scale of the diffusion-negative steps (and of the negative term in `two_term`)."""
    schedule: Literal["first_half", "constant"] = "first_half"
    """At which main steps the chain runs."""
    combine: Literal["replace", "two_term"] = "replace"
    """Reading of the outer equation: R1 or R2."""


MethodOptions = Annotated[CfgOptions | DnpOptions | AnswerOptions, Field(discriminator="kind")]


class PromptTable(Table):
    """`[generation.prompts]`: where prompts come from."""

    kind: Literal["scenes", "text", "csv", "tsv"]
    count: int | None = Field(default=None, ge=1)
    """How many; all of a file when not given. Needed for scenes."""
    file: str | None = None
    """For text, csv and tsv: a path, relative to the study file."""
    column: str = "Prompt"
    """For csv and tsv: the column that holds the prompts."""
    category_column: str | None = None
    """For csv and tsv: the column that holds categories."""


class Generation(Table):
    """`[generation]`."""

    model: str = "shapes"
    """"shapes" for the built-in model, a folder in diffusers' layout, or a hub id."""
    revision: str | None = None
    """Of a hub id: the commit, branch or tag."""
    captioner: str = "Salesforce/blip2-opt-2.7b"
    """Folder or hub id of BLIP-2 for DNP; the built-in model has its own."""
    steps: int = Field(default=41, ge=1, le=1000)
    scheduler: Literal["ddim", "euler"] = "ddim"
    dtype: Literal["float32", "float16", "bfloat16"] = "float32"
    seeds: list[int] = Field(default=[0], min_length=1)
    batch: int = Field(default=8, ge=1)
    prompts: PromptTable
    methods: dict[str, MethodOptions] = Field(min_length=1)
    """Methods by the name that the rest of the study calls them."""

    @field_validator("seeds")
    @classmethod
    def _different_seeds(cls, seeds: list[int]) -> list[int]:
        if len(set(seeds)) != len(seeds) or min(seeds) < 0:
            raise ValueError("seeds must differ and be at least 0.")
        return seeds

    @field_validator("methods")
    @classmethod
    def _good_names(cls, methods: dict[str, Any]) -> dict[str, Any]:
        for name in methods:
            if name == "none" or not name.replace("-", "").replace("_", "").isalnum():
                raise ValueError(
                    f"{name!r} cannot name a method: use letters, digits, - and _; "
                    'not "none", which means no clear winner.'
                )
        return methods


def network_evaluations(options: MethodOptions, steps: int) -> int:
    """Network evaluations that one image costs; one for each image and conditioning.

    CFG takes the null prompt and the prompt at every step. DNP adds a whole chain. ANSWER adds
    one pair for each diffusion-negative step, the first of which shares the main step's pair.
    """
    if isinstance(options, DnpOptions):
        return 4 * steps
    if isinstance(options, AnswerOptions):
        return 2 * steps + 2 * sum(chain_lengths(options.k, options.schedule, steps))
    return 2 * steps


def chain_lengths(k: int, schedule: str, steps: int) -> list[int]:
    """K_t for each main step: K while active, never more than the steps left."""
    active = math.ceil(steps / 2) if schedule == "first_half" else steps
    return [min(k, steps - 1 - index) if index < active else 0 for index in range(steps)]
