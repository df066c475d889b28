"""Text-to-image models: Stable Diffusion v1 and v2, SDXL, and the built-in shapes model."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from generation.plan import Generation
from generation.sampling import Blocks, Condition, Counted, InBlocks
from generation.shapes import WEIGHTS
from generation.study import StudyError, UserError

FAMILIES = ("StableDiffusionPipeline", "StableDiffusionXLPipeline")
CPU_LATENT_PIXELS = 8192
"""On a CPU, latent pixels in every call of a network when `rows` is not given: enough for small
models to compute at full speed, and one image's two conditionings for Stable Diffusion's."""


class ModelError(UserError):
    """A model cannot be loaded."""


@dataclass(frozen=True)
class TextToImage:
    """A loaded latent diffusion model."""

    name: str
    revision: str
    pipeline: Any
    """diffusers' pipeline: its parts are used, its loop is not."""
    device: torch.device
    dtype: torch.dtype
    table: Generation

    @cached_property
    def latent_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of a latent."""
        height, width = self.size
        factor = self.pipeline.vae_scale_factor
        return (self.pipeline.unet.config.in_channels, height // factor, width // factor)

    @cached_property
    def size(self) -> tuple[int, int]:
        """Height and width of an image, in pixels."""
        own = self.pipeline.unet.config.sample_size * self.pipeline.vae_scale_factor
        return (self.table.height or own, self.table.width or own)

    @property
    def is_xl(self) -> bool:
        """Whether the network wants pooled embeddings and sizes too, as SDXL does."""
        return bool(self.pipeline.unet.config.addition_embed_type == "text_time")

    @property
    def null_rule(self) -> str:
        """What the null prompt is encoded as: "empty" or "zeros"."""
        if self.table.null != "auto":
            return self.table.null
        zeros = self.is_xl and self.pipeline.config.get("force_zeros_for_empty_prompt", True)
        return "zeros" if zeros else "empty"

    @property
    def blocks(self) -> Blocks:
        """How many rows go through the network at once."""
        rows = self.table.compute.rows
        if rows is None and self.device.type == "cpu":
            _, height, width = self.latent_shape
            rows = max(2, 1 << (CPU_LATENT_PIXELS // (height * width)).bit_length() - 1)
        return Blocks(rows)

    @property
    def image_blocks(self) -> Blocks:
        """How many images are decoded or worded at once: a row each, the network has two."""
        rows = self.blocks.rows
        return Blocks(rows // 2 if rows else None)

    def scheduler(self, name: str) -> Any:
        """A scheduler by its name in the study file, with this model's noise schedule."""
        import diffusers

        config = self.pipeline.scheduler.config
        if name == "dpmpp_2m":
            return diffusers.DPMSolverMultistepScheduler.from_config(
                config, algorithm_type="dpmsolver++", solver_order=2
            )
        if name == "pndm":
            # Without the Runge-Kutta start, as Stable Diffusion's own configuration has it.
            return diffusers.PNDMScheduler.from_config(config, skip_prk_steps=True)
        if name == "ddim":
            # Its default clips to -1…1, which is meant for pixels and ruins latents.
            return diffusers.DDIMScheduler.from_config(config, clip_sample=False)
        classes = {
            "euler": diffusers.EulerDiscreteScheduler,
            "unipc": diffusers.UniPCMultistepScheduler,
        }
        return classes[name].from_config(config)

    def encode(self, prompts: Sequence[str]) -> Condition:
        """Encode prompts, each in a call of its own, so that its bits do not depend on others."""
        each = {prompt: self._encode(prompt) for prompt in dict.fromkeys(prompts)}
        return Condition.joined([each[prompt] for prompt in prompts])

    @cached_property
    def _empty(self) -> Condition:
        return self._encode("")

    def null(self, number: int) -> Condition:
        """The null prompt, a row an image."""
        empty = self._empty
        if self.null_rule == "zeros":
            pooled = empty.pooled
            empty = Condition(
                torch.zeros_like(empty.hidden), None if pooled is None else torch.zeros_like(pooled)
            )
        return Condition.joined([empty] * number)

    def _encode(self, prompt: str) -> Condition:
        arguments = {"device": self.device, "num_images_per_prompt": 1}
        if self.is_xl:
            hidden, _, pooled, _ = self.pipeline.encode_prompt(
                prompt, do_classifier_free_guidance=False, **arguments
            )
            return Condition(hidden, pooled)
        encoded = self.pipeline.encode_prompt(
            prompt, do_classifier_free_guidance=False, **arguments
        )
        return Condition(encoded[0])

    def network(self) -> Counted:
        """The network as samplers call it, counting its evaluations."""
        return Counted(InBlocks(self.denoise, self.blocks))

    def denoise(self, x: Tensor, t: Tensor, condition: Condition) -> Tensor:
        """The network's prediction for latents (B, C, h, w)."""
        predicted: Tensor = self.pipeline.unet(
            x,
            t,
            encoder_hidden_states=condition.hidden,
            added_cond_kwargs=self._added(condition),
            return_dict=False,
        )[0]
        return predicted

    def _added(self, condition: Condition) -> dict[str, Tensor] | None:
        """What SDXL is told besides: the pooled embedding; original size, corner, target size."""
        if not self.is_xl:
            return None
        sizes = torch.tensor([[*self.size, 0, 0, *self.size]], dtype=condition.hidden.dtype)
        ids = sizes.to(self.device).expand(len(condition), -1)
        return {"text_embeds": condition.pooled, "time_ids": ids}  # type: ignore[dict-item]

    def decode(self, latents: Tensor) -> list[Image.Image]:
        """Images of latents (B, C, h, w)."""
        vae = self.pipeline.vae
        scaled = unscaled(latents, vae.config).to(vae.dtype)

        def pixels(index: Tensor) -> Tensor:
            decoded: Tensor = vae.decode(scaled[index], return_dict=False)[0]
            return decoded

        together = self.image_blocks.apply(pixels, len(scaled))
        images: list[Image.Image] = self.pipeline.image_processor.postprocess(together)
        return images


def unscaled(latents: Tensor, config: Any) -> Tensor:
    """Latents as the decoder wants them; some autoencoders tell a mean and a deviation too."""
    mean, deviation = config.get("latents_mean"), config.get("latents_std")
    if mean is None or deviation is None:
        plain: Tensor = latents / config.scaling_factor
        return plain
    shape = (1, len(mean), 1, 1)
    means, deviations = (torch.tensor(each).view(shape).to(latents) for each in (mean, deviation))
    moved: Tensor = latents * deviations / config.scaling_factor + means
    return moved


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
    pipeline = _load_pipeline(source, table, dtype, local=local)
    _place(pipeline, table, device)
    revision = _content_revision(Path(source)) if local else _hub_revision(pipeline, table)
    return TextToImage(table.model, revision, pipeline, device, dtype, table)


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
        if family not in FAMILIES:
            raise ModelError(
                f"generation.model = {table.model!r} is a {family}; what can be run is Stable "
                f"Diffusion v1 and v2 and SDXL: {' or '.join(FAMILIES)}."
            )
        unsafe = {"safety_checker": None, "feature_extractor": None}
        parts: dict[str, Any] = (
            unsafe | {"requires_safety_checker": False} if family == FAMILIES[0] else {}
        )
        return getattr(diffusers, family).from_pretrained(
            source,
            revision=table.revision,
            dtype=dtype,
            use_safetensors=True,
            local_files_only=local,
            **parts,
        )
    except (OSError, ValueError) as error:
        first = str(error).strip().splitlines()[0]
        raise ModelError(
            f"generation.model = {table.model!r} cannot be loaded: {first} "
            'Give a folder in the layout of diffusers, a reachable hub id, or "shapes".'
        ) from error


def _place(pipeline: Any, table: Generation, device: torch.device) -> None:
    """Put the parts where they compute, with the memory options of `[generation.compute]`."""
    compute = table.compute
    if compute.offload != "none" and device.type == "cpu":
        raise StudyError(
            f"generation.compute.offload = {compute.offload!r}: this machine has no accelerator "
            'to offload from. Use "none".'
        )
    _attend(pipeline, compute.attention)
    if compute.vae_slicing:
        pipeline.vae.enable_slicing()
    if compute.vae_tiling:
        pipeline.vae.enable_tiling()
    if table.dtype == "float16" and pipeline.vae.config.get("force_upcast"):
        # SDXL's autoencoder overflows in half precision.
        pipeline.vae.to(torch.float32)
    if compute.offload == "model":
        pipeline.enable_model_cpu_offload()
    elif compute.offload == "sequential":
        pipeline.enable_sequential_cpu_offload()
    else:
        pipeline.to(device)
    if compute.compile:
        pipeline.unet.compile()


def _attend(pipeline: Any, how: str) -> None:
    """Choose how attention is computed; PyTorch's own fused kernels ("sdpa") are the default."""
    if how == "eager":
        from diffusers.models.attention_processor import AttnProcessor

        pipeline.unet.set_attn_processor(AttnProcessor())
    elif how == "sliced":
        pipeline.enable_attention_slicing("auto")
    elif how == "xformers":
        try:
            pipeline.enable_xformers_memory_efficient_attention()
        except (ImportError, ValueError) as error:
            raise StudyError(
                f'generation.compute.attention = "xformers": {str(error).splitlines()[0]} '
                'Install xformers on a machine with CUDA, or use "sdpa".'
            ) from None


def _content_revision(folder: Path) -> str:
    """A local folder's revision: a hash of the weights that draw."""
    digest = hashlib.sha256()
    for part in ("text_encoder", "text_encoder_2", "unet", "vae"):
        for path in sorted((folder / part).glob("*.safetensors")):
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
    return f"sha256:{digest.hexdigest()[:16]}"


def _hub_revision(pipeline: Any, table: Generation) -> str:
    """The commit that a hub id led to, where the cache tells it; else what was asked for."""
    found = str(pipeline.config.get("_name_or_path", ""))
    commit = Path(found).name
    return commit if len(commit) == 40 else table.revision or "main"
