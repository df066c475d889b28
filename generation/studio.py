"""Drawing: the model, the captioner and the methods of a study, put to work on a batch."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from generation.captions import Captioner, load_captioner
from generation.methods import METHODS, Cnp, Dnp
from generation.models import TextToImage
from generation.options import FileOptions, MethodOptions, own_steps
from generation.own import own_method
from generation.plan import Generation
from generation.sampling import Condition, Conditions, Counted, Stepper, sample, starting_noise


@dataclass(frozen=True)
class Drawn:
    """A batch of images with what it took."""

    images: list[Image.Image]
    negative_prompts: list[str | None]
    """The caption of DNP, or CNP's, one a step with a line each."""
    evaluations: int
    seconds: float


@contextmanager
def even_threads() -> Iterator[None]:
    """Compute with a power of two threads, the most there are.

    Blocks have a power of two rows. Another number of threads would cut through an image, and
    its sums would round differently by its place in the block.
    """
    given = torch.get_num_threads()
    even = 1 << (given.bit_length() - 1)
    if even == given:
        yield
        return
    torch.set_num_threads(even)
    try:
        yield
    finally:
        torch.set_num_threads(given)


@dataclass
class Studio:
    """Everything that draws: the model, and the captioner once a method needs it."""

    table: Generation
    model: TextToImage
    base: Path = Path()
    """The folder to which files are relative."""
    captioner: Captioner | None = None
    _guides: dict[str, Any] = field(default_factory=dict)

    @torch.inference_mode()
    @even_threads()
    def draw(self, prompts: Sequence[str], seeds: Sequence[int], options: MethodOptions) -> Drawn:
        """Draw one image for each prompt and seed with one method."""
        began = time.perf_counter()
        guide, model = self.guide(options), self.model
        denoise = model.network()
        noise = starting_noise(seeds, model.latent_shape, model.device, model.dtype)
        words: list[list[str]] = []
        conditions = Conditions(
            model.null(len(prompts)), model.encode(prompts), word=self._worder(words)
        )
        steps = own_steps(options, self.table.steps)
        if isinstance(guide, Dnp) and not isinstance(guide, Cnp):
            conditions = self._with_negative(denoise, guide, noise, conditions, steps)
        latents = sample(denoise, guide, self.stepper(steps), noise, conditions)
        images = model.decode(latents)
        worded: list[str | None] = ["\n".join(said) for said in zip(*words, strict=True)]
        negatives = worded or [None] * len(prompts)
        evaluations = denoise.evaluations // len(prompts)
        return Drawn(images, negatives, evaluations, time.perf_counter() - began)

    def guide(self, options: MethodOptions) -> Any:
        """The guidance method of some options."""
        key = options.model_dump_json()
        if key not in self._guides:
            if isinstance(options, FileOptions):
                self._guides[key] = own_method(options, self.base)
            else:
                fields = options.model_dump(exclude={"kind", "steps"})
                self._guides[key] = METHODS[options.kind](**fields)
        return self._guides[key]

    def stepper(self, steps: int | None = None) -> Stepper:
        """A scheduler at its start."""
        scheduler = self.model.scheduler(self.table.scheduler)
        return Stepper.on_grid(scheduler, steps or self.table.steps, self.model.device)

    def _with_negative(
        self, denoise: Counted, guide: Dnp, noise: Tensor, conditions: Conditions, steps: int
    ) -> Conditions:
        """DNP's conditions: the negative image is drawn, worded and encoded."""
        latents = sample(denoise, guide.negative, self.stepper(steps), noise, conditions)
        assert conditions.word is not None
        return Conditions(conditions.null, conditions.prompt, conditions.word(latents))

    def _worder(self, words: list[list[str]]) -> Any:
        """Words finished latents, keeps the words and encodes them."""

        def word(latents: Tensor) -> Condition:
            said = self._captioner().caption(self.model.decode(latents))
            words.append(said)
            return self.model.encode(said)

        return word

    def _captioner(self) -> Captioner:
        if self.captioner is None:
            self.captioner = load_captioner(
                self.table, self.model.device, self.model.dtype, blocks=self.model.image_blocks
            )
        return self.captioner
