"""Options of the guidance methods, as the study file gives them, and what an image costs.

Light imports only: the plan of a study is worked out on machines without torch. The papers'
symbols: `s` is `scale`, `K` is `k`, `s_neg` and `s_dns` keep their names.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import Field

from generation.study import Table

Scheduler = Literal["ddim", "euler", "dpmpp_2m", "pndm", "unipc"]
Schedule = Literal["first_half", "constant", "linear"]


class CfgOptions(Table):
    """Classifier-free guidance."""

    kind: Literal["cfg"]
    scale: float = Field(default=7.5, ge=0)
    """s: the guidance scale."""
    steps: int | None = Field(default=None, ge=1, le=1000)
    """Steps of its own; the study's when not given."""


class DnpOptions(Table):
    """Diffusion-negative prompting."""

    kind: Literal["dnp"]
    scale: float = Field(default=7.5, ge=0)
    """s: of the generation and of the diffusion-negative chain."""
    form: Literal["replace", "two_scale"] = "replace"
    """`e = en + s (ep − en)`, or `e = e0 + s (ep − e0) − s_neg (en − e0)`."""
    s_neg: float | None = Field(default=None, ge=0)
    """Of the form `two_scale`; the same as `scale` when not given."""
    dns: Literal["negated", "swap"] = "negated"
    """The chain: `e0 + s (e0 − ep)`, or the prompts swapped: `ep + s (e0 − ep)`."""


class CnpOptions(DnpOptions):
    """Complete negative prompting: DNP whose negative prompt is found anew at every step."""

    kind: Literal["cnp"]  # type: ignore[assignment]


class AnswerOptions(Table):
    """Adaptive negative sampling without external resources."""

    kind: Literal["answer"]
    scale: float = Field(default=7.5, ge=0)
    """s: the guidance scale."""
    k: int = Field(default=5, ge=0)
    """K: diffusion-negative steps at each active main step, at most."""
    s_neg: float = Field(default=2.5, ge=0)
    """Scale of the diffusion-negative steps (and of the negative term in `two_term`)."""
    s_dns: float | None = Field(default=None, ge=0)
    """Scale of the diffusion-negative steps alone; `s_neg` when not given."""
    schedule: Schedule | list[Annotated[int, Field(ge=0)]] = "first_half"
    """K_t: k in the first half of the steps, at all, falling linearly to 0, or a list of them."""
    combine: Literal["replace", "two_term"] = "replace"
    """Reading of the outer equation: R1 or R2."""
    source: Literal["guided", "guided_last", "uncond"] = "guided"
    """What e⁻ is: the diffusion-negative prediction where the chain ended, the last iteration's
    own (one pair of evaluations fewer), or the null prediction where the chain ended."""
    normalise: Literal["sample", "channel", "none"] = "sample"
    """Over what e⁻ is given the reference's mean and standard deviation."""
    reference: Literal["e0", "ep"] = "e0"
    """The prediction at z_t whose statistics are taken."""


class ScaleMatched(Table):
    """A baseline: CFG at the scale that another method would have without its chain.

    ANSWER without advance and normalisation is CFG at `s + (s − 1) s_neg` (R1) or
    `s + s_neg s_dns` (R2).
    """

    kind: Literal["cfg_scale_matched"]
    to: str
    """The method of this study that it is matched to."""


class CostMatched(Table):
    """A baseline: CFG with as many network evaluations as another method, through more steps."""

    kind: Literal["cfg_cost_matched"]
    to: str
    """The method of this study that it is matched to."""


class FileOptions(Table):
    """A guidance method of one's own, in a Python file beside the study file."""

    kind: Literal["file"]
    file: str
    """Path relative to the study file. It defines one frozen dataclass, a guidance method."""
    options: dict[str, Any] = Field(default_factory=dict)
    """The dataclass's fields."""
    sha256: str | None = None
    """Filled in when the file is read: another content is another method."""


MethodOptions = CfgOptions | DnpOptions | CnpOptions | AnswerOptions | FileOptions
"""What can draw."""

AskedMethod = Annotated[
    CfgOptions | DnpOptions | CnpOptions | AnswerOptions | ScaleMatched | CostMatched | FileOptions,
    Field(discriminator="kind"),
]
"""What a study file can ask for."""


def own_steps(options: MethodOptions, steps: int) -> int:
    """The number of main steps a method makes in a study of `steps`."""
    own: int | None = getattr(options, "steps", None)
    return steps if own is None else own


def chain_room(steps: int, scheduler: Scheduler = "ddim") -> list[int]:
    """How many further grid points a chain can reach from each of the main steps.

    PNDM calls the network twice at its second grid point, so from the first two calls on there
    is one point fewer than calls.
    """
    shorter = 2 if scheduler == "pndm" else 0
    return [steps - 1 - index - (index < shorter) for index in range(steps)]


def chain_lengths(options: AnswerOptions, steps: int, scheduler: Scheduler = "ddim") -> list[int]:
    """K_t for each main step, never more than the grid points left."""
    wished = _wished_lengths(options, steps)
    return [min(k, room) for k, room in zip(wished, chain_room(steps, scheduler), strict=True)]


def _wished_lengths(options: AnswerOptions, steps: int) -> list[int]:
    k = options.k
    if isinstance(options.schedule, list):
        given = options.schedule[:steps]
        return given + [0] * (steps - len(given))
    if options.schedule == "constant":
        return [k] * steps
    if options.schedule == "linear":
        return [round(k * (1 - index / max(1, steps - 1))) for index in range(steps)]
    return [k if index < math.ceil(steps / 2) else 0 for index in range(steps)]


def network_evaluations(
    options: MethodOptions, steps: int, scheduler: Scheduler = "ddim"
) -> int | None:
    """Network evaluations that one image costs; one for each image and conditioning.

    CFG takes the null prompt and the prompt at every step. DNP adds a whole chain, and its form
    `two_scale` a third conditioning. CNP runs the rest of the grid at every step; its chain's
    first pair serves the main step too, which adds only the negative prompt. ANSWER adds one
    pair for each diffusion-negative step, the first of which is the main step's own pair.

    Returns:
        The number, or None for a method of one's own, which only drawing can tell.
    """
    steps = own_steps(options, steps)
    if isinstance(options, CnpOptions):
        return sum(2 * (room + 1) + 1 for room in chain_room(steps, scheduler))
    if isinstance(options, DnpOptions):
        return (5 if options.form == "two_scale" else 4) * steps
    if isinstance(options, AnswerOptions):
        saved = {"guided": 0, "guided_last": 2, "uncond": 1}[options.source]
        lengths = chain_lengths(options, steps, scheduler)
        return 2 * steps + sum(2 * length - saved for length in lengths if length)
    if isinstance(options, FileOptions):
        return None
    return 2 * steps


def matched_scale(options: MethodOptions) -> float | None:
    """The scale of CFG to which a method falls back without its chain; None where none is."""
    if isinstance(options, CfgOptions):
        return options.scale
    if isinstance(options, AnswerOptions):
        s_dns = options.s_neg if options.s_dns is None else options.s_dns
        if options.combine == "replace":
            return options.scale + (options.scale - 1) * s_dns
        return options.scale + options.s_neg * s_dns
    return None
