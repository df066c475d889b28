"""Figures of images: grids of methods with their prompts, strips of negative images over time."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from generation.jobs import is_current
from generation.manifest import ManifestRow, read_manifest
from generation.options import DnpOptions
from generation.plan import Generation, drawn_with, settled
from generation.study import StudyFile, UserError

INCHES = 1.6
"""Side of one image on paper."""


class FigureError(UserError):
    """A figure cannot be drawn."""


@dataclass(frozen=True)
class Strip:
    """Negative images of one method's chain, at some of its steps."""

    method: str
    steps: list[int]
    images: list[Image.Image]


def method_grid(file: StudyFile, out: Path, *, number: int = 6, seed: int | None = None) -> Path:
    """Draw prompts downwards and methods across, each prompt under its row, as PNG and PDF.

    Args:
        file: the study file; its images must be there.
        out: a folder.
        number: how many prompts, the first ones of the manifest.
        seed: whose images; the study's first seed when not given.

    Returns:
        The PNG. The PDF lies beside it.

    Raises:
        FigureError: no prompt has images of every method.
    """
    base = file.path.parent
    table = settled(file.table("generation", Generation), base)
    methods, seed = list(table.methods), table.seeds[0] if seed is None else seed
    rows: dict[str, dict[str, ManifestRow]] = {}
    for row in read_manifest(file.study.place):
        if row.seed == seed and is_current(row, table):
            rows.setdefault(row.prompt, {})[row.method] = row
    whole = [prompt for prompt, there in rows.items() if len(there) == len(methods)][:number]
    if not whole:
        raise FigureError(
            f"{file.path}: no prompt has images of every method with seed {seed}. "
            f"Run `clearwinner generate {file.path}` first."
        )
    folder = file.study.place
    cells = [
        [_opened(folder / rows[prompt][method].path) for method in methods] for prompt in whole
    ]
    return _save(_lattice(cells, methods, whole), out / "methods")


def negative_strips(
    file: StudyFile,
    out: Path,
    prompt: str,
    *,
    methods: Sequence[str],
    at: Sequence[int],
    scale: float = 2.5,
    seed: int = 0,
) -> Path:
    """Draw the diffusion-negative image of z_t at several steps t, a row a method.

    This is the published study's Figure 2: a whole diffusion-negative chain from the latent that
    a method has reached at step t, decoded.

    Args:
        file: the study file.
        out: a folder.
        prompt: the prompt.
        methods: names of methods in the study file; those that need a captioner are refused.
        at: steps, 0 for the starting noise.
        scale: of the diffusion-negative chains, the same for all rows.
        seed: of the starting noise.

    Raises:
        FigureError: for a method or a step that is not there.
        UserError: for settings or weights.
    """
    from generation.run import look, open_studio

    work = look(file)
    for name in methods:
        _check_strip(work.table, name, at)
    studio = open_studio(work)
    strips = [
        negative_strip(studio, name, prompt, at=at, scale=scale, seed=seed) for name in methods
    ]
    figure = _lattice(
        [strip.images for strip in strips],
        [f"t = {step}" for step in at],
        [prompt if index == len(strips) - 1 else "" for index in range(len(strips))],
        side=list(methods),
    )
    return _save(figure, out / "negatives")


def negative_strip(
    studio: Any, name: str, prompt: str, *, at: Sequence[int], scale: float = 2.5, seed: int = 0
) -> Strip:
    """The diffusion-negative images of one method's chain.

    Args:
        studio: a `generation.studio.Studio`.
        name: the method's name in the study file.
        prompt: the prompt.
        at: steps of the main chain.
        scale: of the diffusion-negative chains.
        seed: of the starting noise.
    """
    import torch

    from generation.methods import Dns
    from generation.sampling import Conditions, Denoise, Stepper, sample, starting_noise

    options = drawn_with(studio.table)[name]
    guide, model = studio.guide(options), studio.model
    dns = Dns(scale)
    latents: dict[int, Any] = {}

    def watched(
        denoise: Denoise, stepper: Stepper, x: Any, index: int, conditions: Conditions
    ) -> Any:
        if index in at:
            chain, z = stepper.chain(index), x
            for point in range(len(chain)):
                z = chain.chain_step(dns(denoise, chain, z, point, conditions), point, z)
            latents[index] = z
        return guide(denoise, stepper, x, index, conditions)

    with torch.inference_mode():
        noise = starting_noise([seed], model.latent_shape, model.device, model.dtype)
        conditions = Conditions(model.null(1), model.encode([prompt]))
        sample(model.network(), watched, studio.stepper(), noise, conditions)
        images = model.decode(torch.cat([latents[step] for step in at]))
    return Strip(name, list(at), images)


def _check_strip(table: Generation, name: str, at: Sequence[int]) -> None:
    options = table.methods.get(name)
    if options is None:
        raise FigureError(f"no method {name!r} in the study: {', '.join(table.methods)}.")
    if isinstance(options, DnpOptions):
        raise FigureError(f"{name!r} words its negative image: take CFG or ANSWER.")
    for step in at:
        if not 0 <= step < table.steps:
            raise FigureError(f"step {step}: steps go from 0 to {table.steps - 1}.")


def _opened(path: Path) -> Image.Image:
    with Image.open(path) as image:
        return image.convert("RGB")


def _lattice(
    cells: Sequence[Sequence[Image.Image]],
    heads: Sequence[str],
    captions: Sequence[str],
    side: Sequence[str] | None = None,
) -> Any:
    """Images in rows, heads above, a caption under each row, and words beside it."""
    from matplotlib.figure import Figure

    across, down = len(heads), len(cells)
    figure = Figure(figsize=(INCHES * across, (INCHES + 0.35) * down + 0.3), layout="constrained")
    bands = figure.subfigures(down, 1, squeeze=False)[:, 0]
    for number, (band, row) in enumerate(zip(bands, cells, strict=True)):
        axes = band.subplots(1, across, squeeze=False)[0]
        for column, (axis, image) in enumerate(zip(axes, row, strict=True)):
            axis.imshow(image, interpolation="none")
            axis.set_xticks([])
            axis.set_yticks([])
            axis.spines[:].set_visible(False)
            if number == 0:
                axis.set_title(heads[column], fontsize=9)
            if side is not None and column == 0:
                axis.set_ylabel(side[number], fontsize=9)
        if captions[number]:
            words = textwrap.fill(captions[number], width=max(24, 22 * across))
            band.supxlabel(words, fontsize=8, style="italic")
    return figure


def _save(figure: Any, stem: Path) -> Path:
    stem.parent.mkdir(parents=True, exist_ok=True)
    for suffix in (".png", ".pdf"):
        figure.savefig(stem.with_suffix(suffix), dpi=200)
    return stem.with_suffix(".png")
