"""Text-to-image models: Stable Diffusion's family and the built-in shapes model."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from generation.plan import Generation
from generation.shapes import WEIGHTS
from generation.study import StudyError, UserError


class ModelError(UserError):
    """A model cannot be loaded."""


@dataclass(frozen=True)
class TextToImage:
    """A loaded latent diffusion model."""

    name: str
    revision: str
    pipeline: Any
    """diffusers' StableDiffusionPipeline: its parts are used, its loop is not."""
    device: torch.device
    dtype: torch.dtype

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of a latent."""
        unet = self.pipeline.unet.config
        return (unet.in_channels, unet.sample_size, unet.sample_size)

    def scheduler(self, name: str) -> Any:
        """A scheduler by its name in the study file, with this model's noise schedule."""
        from diffusers import DDIMScheduler, EulerDiscreteScheduler

        classes = {"ddim": DDIMScheduler, "euler": EulerDiscreteScheduler}
        return classes[name].from_config(self.pipeline.scheduler.config)

    def encode(self, prompts: Sequence[str]) -> Tensor:
        """Encode prompts, as (B, L, D)."""
        encoded: Tensor = self.pipeline.encode_prompt(list(prompts), self.device, 1, False)[0]
        return encoded

    def denoise(self, x: Tensor, t: Tensor, condition: Tensor) -> Tensor:
        """Predicted noise for latents (B, C, h, w)."""
        predicted: Tensor = self.pipeline.unet(
            x, t, encoder_hidden_states=condition, return_dict=False
        )[0]
        return predicted

    def decode(self, latents: Tensor) -> list[Image.Image]:
        """Images of latents (B, C, h, w)."""
        vae = self.pipeline.vae
        pixels = vae.decode(latents / vae.config.scaling_factor, return_dict=False)[0]
        images: list[Image.Image] = self.pipeline.image_processor.postprocess(pixels)
        return images


def load_model(table: Generation, *, base: Path) -> TextToImage:
    """Load the model that `[generation]` names.

    Args:
        table: the checked table.
        base: the folder to which a model's folder is relative.

    Raises:
        ModelError: weights are absent, or of a family that is not supported.
        StudyError: a revision is given where there are none.
    """
    source = str(WEIGHTS) if table.model == "shapes" else _source(table.model, base)
    local = Path(source).is_dir()
    if table.model == "shapes" and not (WEIGHTS / "model_index.json").exists():
        raise ModelError(
            f"the built-in model's weights are absent: {WEIGHTS} has no model_index.json. "
            "Check the checkout, or train them: python -m generation.shapes.train"
        )
    if local and table.revision is not None:
        raise StudyError(
            f"generation.revision = {table.revision!r}: {table.model!r} is a folder and has none."
        )
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    dtype: torch.dtype = getattr(torch, table.dtype)
    pipeline = _load_pipeline(source, table, dtype, local=local).to(device)
    revision = _content_revision(Path(source)) if local else table.revision or "main"
    return TextToImage(table.model, revision, pipeline, device, dtype)


def _source(model: str, base: Path) -> str:
    folder = base / model
    return str(folder) if folder.is_dir() else model


def _load_pipeline(source: str, table: Generation, dtype: torch.dtype, *, local: bool) -> Any:
    import diffusers
    import transformers

    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    diffusers.utils.logging.disable_progress_bar()
    diffusers.utils.logging.set_verbosity_error()
    try:
        config = diffusers.DiffusionPipeline.load_config(source, revision=table.revision)
        family = config.get("_class_name")
        if family != "StableDiffusionPipeline":
            raise ModelError(
                f"generation.model = {table.model!r} is a {family}; "
                "so far only Stable Diffusion v1 and v2 (StableDiffusionPipeline) can be run."
            )
        return diffusers.StableDiffusionPipeline.from_pretrained(
            source,
            revision=table.revision,
            dtype=dtype,
            use_safetensors=True,
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
            local_files_only=local,
        )
    except (OSError, ValueError) as error:
        first = str(error).strip().splitlines()[0]
        raise ModelError(
            f"generation.model = {table.model!r} cannot be loaded: {first} "
            'Give a folder in the layout of diffusers, a reachable hub id, or "shapes".'
        ) from error


def _content_revision(folder: Path) -> str:
    """A local folder's revision: a hash of the network's weights."""
    digest = hashlib.sha256()
    for path in sorted((folder / "unet").glob("*.safetensors")):
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return f"sha256:{digest.hexdigest()[:16]}"
