"""The table `[generation]`: which images a study makes.

Light imports only: the plan of a study is worked out on machines without torch.
"""

from __future__ import annotations

import hashlib
import math
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from generation.options import (
    AskedMethod,
    CfgOptions,
    CostMatched,
    FileOptions,
    MethodOptions,
    ScaleMatched,
    Scheduler,
    matched_scale,
    network_evaluations,
)
from generation.prompts.table import PromptTable
from generation.study import StudyError, Table, nearest


def _power_of_two(number: int) -> int:
    if number & (number - 1):
        raise ValueError("is not a power of two, such as 8, 16 or 32")
    return number


class Compute(Table):
    """`[generation.compute]`: how a machine does the work; the images mean the same."""

    offload: Literal["none", "model", "sequential"] = "none"
    """Keep parts that rest in the computer's memory: for cards of 16 GB and less."""
    vae_slicing: bool = False
    """Decode one image after another."""
    vae_tiling: bool = False
    """Decode large images in tiles; their seams may differ a little."""
    attention: Literal["sdpa", "eager", "sliced", "xformers"] = "sdpa"
    """How attention is computed."""
    compile: bool = False
    """Compile the network with torch.compile: slow to begin, then faster."""
    rows: Annotated[int, Field(ge=2), AfterValidator(_power_of_two)] | None = None
    """Rows of every call of the network (each image has one for each conditioning): always the
    same number, so that an image's bits do not depend on the batch; a power of two, which
    threads divide evenly. When not given, an accelerator gets the whole batch in one call, and
    a CPU 8192 latent pixels: 32 rows of the built-in model, 2 of Stable Diffusion."""


class Generation(Table):
    """`[generation]`."""

    model: str = "shapes"
    """"shapes" for the built-in model, a folder in diffusers' layout, or a hub id."""
    revision: str | None = None
    """Of a hub id: the commit, branch or tag."""
    captioner: str = "Salesforce/blip2-opt-2.7b"
    """Folder or hub id of BLIP-2 for DNP; the built-in model has its own."""
    captioner_revision: str | None = None
    """Of a captioner's hub id."""
    null: Literal["auto", "empty", "zeros"] = "auto"
    """The null embedding that CFG, DNS and ANSWER share: the encoding of "" or zeros. "auto" is
    the model's own rule: zeros where its configuration says so (SDXL), else the encoding."""
    steps: int = Field(default=41, ge=1, le=1000)
    """T: calls of the network for each conditioning."""
    scheduler: Scheduler = "ddim"
    dtype: Literal["float32", "float16", "bfloat16"] = "float32"
    height: int | None = Field(default=None, ge=8, multiple_of=8)
    """Pixels; the model's own size when not given."""
    width: int | None = Field(default=None, ge=8, multiple_of=8)
    """Pixels; the model's own size when not given."""
    seeds: list[int] = Field(default=[0], min_length=1)
    batch: int = Field(default=8, ge=1)
    compute: Compute = Compute()
    store: str | None = Field(default=None, pattern=r"^s3://[^/]+(/.*)?$")
    """`s3://bucket/prefix` keeps images and manifest there; the study's folder has a copy."""
    prompts: PromptTable
    methods: dict[str, AskedMethod] = Field(min_length=1)
    """Methods by the name that the rest of the study calls them."""

    @field_validator("seeds")
    @classmethod
    def _different_seeds(cls, seeds: list[int]) -> list[int]:
        if len(set(seeds)) != len(seeds) or min(seeds) < 0:
            raise ValueError("seeds must differ and be at least 0.")
        return seeds

    @field_validator("methods", mode="before")
    @classmethod
    def _spread(cls, methods: Any) -> Any:
        return spread_scales(methods)

    @field_validator("methods")
    @classmethod
    def _good_names(cls, methods: dict[str, Any]) -> dict[str, Any]:
        for name in methods:
            if (
                name == "none"
                or not name.replace("-", "").replace("_", "").replace(".", "").isalnum()
            ):
                raise ValueError(
                    f"{name!r} cannot name a method: use letters, digits, -, _ and .; "
                    'not "none", which means no clear winner.'
                )
        return methods

    @model_validator(mode="after")
    def _fitting(self) -> Generation:
        if self.scheduler == "pndm" and self.steps < 3:
            raise ValueError(f"steps = {self.steps}: the scheduler pndm needs at least 3.")
        for name, options in self.methods.items():
            lengths = getattr(options, "schedule", None)
            if isinstance(lengths, list) and len(lengths) != self.steps:
                raise ValueError(
                    f"methods.{name}.schedule lists {len(lengths)} lengths; "
                    f"give one for each of the {self.steps} steps."
                )
        return self


def spread_scales(methods: Any) -> Any:
    """Replace a method whose `scale` is a list by one method a scale, named `name-scale`.

    A baseline that is matched to such a method is spread with it. Anything that is not a table
    of methods is returned as it is, for the checks to refuse.
    """
    if not isinstance(methods, dict):
        return methods
    scales = {
        name: options["scale"]
        for name, options in methods.items()
        if isinstance(options, dict) and isinstance(options.get("scale"), list)
    }
    spread: dict[str, Any] = {}
    for name, options in methods.items():
        to = options.get("to") if isinstance(options, dict) else None
        if name in scales:
            spread |= {f"{name}-{s}": options | {"scale": s} for s in scales[name]}
        elif isinstance(to, str) and to in scales:
            spread |= {f"{name}-{s}": options | {"to": f"{to}-{s}"} for s in scales[to]}
        else:
            spread[name] = options
    return spread


def settled(table: Generation, base: Path) -> Generation:
    """The table with matched baselines worked out and the files of own methods looked at.

    Args:
        table: the checked table.
        base: the folder to which files are relative.

    Raises:
        StudyError: a baseline is matched to what it cannot be, or a file is missing.
    """
    methods = {name: _settle(table, name, base) for name in table.methods}
    return table.model_copy(update={"methods": methods})


def drawn_with(table: Generation) -> dict[str, MethodOptions]:
    """The methods of a settled table."""
    methods: dict[str, Any] = table.methods
    return methods


def _settle(table: Generation, name: str, base: Path) -> MethodOptions:
    options = table.methods[name]
    if isinstance(options, FileOptions):
        return _looked_at(options, name, base)
    if not isinstance(options, ScaleMatched | CostMatched):
        return options
    key = f"generation.methods.{name}.to = {options.to!r}"
    target = table.methods.get(options.to)
    if target is None:
        raise StudyError(f"{key}: no such method.{nearest(options.to, list(table.methods))}")
    if isinstance(target, ScaleMatched | CostMatched):
        raise StudyError(f"{key}: that is a matched baseline itself. Name the method it matches.")
    scale = matched_scale(target)
    if isinstance(options, ScaleMatched):
        if scale is None:
            raise StudyError(f"{key}: only ANSWER and CFG have a matched scale, not {target.kind}.")
        return CfgOptions(kind="cfg", scale=round(scale, 6))
    evaluations = network_evaluations(target, table.steps, table.scheduler)
    if isinstance(target, FileOptions) or evaluations is None:
        raise StudyError(f"{key}: the cost of a method of one's own is not known beforehand.")
    steps = math.ceil(evaluations / 2)
    if steps > 1000:
        raise StudyError(
            f"{key}: {evaluations} evaluations are {steps} steps of CFG; at most 1000 exist."
        )
    return CfgOptions(kind="cfg", scale=target.scale, steps=steps)


def _looked_at(options: FileOptions, name: str, base: Path) -> FileOptions:
    path = base / options.file
    try:
        content = path.read_bytes()
    except OSError as error:
        raise StudyError(
            f"generation.methods.{name}.file = {options.file!r}: {path} cannot be read: "
            f"{error.strerror}. The path is relative to the study file."
        ) from None
    return options.model_copy(update={"sha256": hashlib.sha256(content).hexdigest()})
