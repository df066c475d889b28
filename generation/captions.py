"""Captions of images by BLIP-2, for diffusion-negative prompting."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from generation.models import ModelError
from generation.plan import Generation
from generation.sampling import Blocks
from generation.shapes import WEIGHTS

MAX_TOKENS = 30


@dataclass(frozen=True)
class Captioner:
    """BLIP-2, asked without a prompt."""

    processor: Any
    model: Any
    blocks: Blocks
    """How many images are worded at once."""

    def caption(self, images: Sequence[Image.Image]) -> list[str]:
        """One caption an image; greedy, so the same image always gets the same words."""
        rows = self.blocks.size(len(images))
        captions: list[str] = []
        for start in range(0, len(images), rows):
            some = list(images[start : start + rows])
            # Filled up, so that a batch's size does not change how sums are rounded.
            filled = some + some[-1:] * (rows - len(some))
            captions += self._captions(filled)[: len(some)]
        return captions

    @torch.inference_mode()
    def _captions(self, images: list[Image.Image]) -> list[str]:
        inputs = self.processor(images=images, return_tensors="pt")
        inputs = inputs.to(self.model.device, self.model.dtype)
        config = self.model.config
        # A small language model has few positions, and the image's queries come first.
        room = config.text_config.max_position_embeddings - config.num_query_tokens - 1
        tokens = self.model.generate(
            **inputs, max_new_tokens=min(MAX_TOKENS, room), do_sample=False
        )
        texts = self.processor.batch_decode(tokens, skip_special_tokens=True)
        return [text.strip() for text in texts]


def load_captioner(
    table: Generation, device: torch.device, dtype: torch.dtype, *, blocks: Blocks
) -> Captioner:
    """Load the captioner of `[generation]`; the built-in model has its own.

    Raises:
        ModelError: it is absent.
    """
    from transformers import AutoProcessor, Blip2ForConditionalGeneration

    source = str(WEIGHTS / "captioner") if table.model == "shapes" else table.captioner
    local = table.model == "shapes" or Path(source).is_dir()
    try:
        revision = None if local else table.captioner_revision
        processor = AutoProcessor.from_pretrained(source, revision=revision, local_files_only=local)
        model = Blip2ForConditionalGeneration.from_pretrained(
            source,
            revision=revision,
            dtype=dtype,
            use_safetensors=True,
            local_files_only=local,
        )
    except (OSError, ValueError) as error:
        first = str(error).strip().splitlines()[0]
        raise ModelError(
            f"the captioner {source!r} cannot be loaded: {first} DNP needs it: give "
            "generation.captioner a folder or a hub id that this machine can reach."
        ) from error
    return Captioner(processor, model.to(device).eval(), blocks)
