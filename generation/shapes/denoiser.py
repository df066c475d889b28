"""The network that denoises latents, told what to draw by the text encoder."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from diffusers import DDIMScheduler, UNet2DConditionModel
from torch import Tensor
from torch.nn import functional
from transformers import CLIPTextModel, CLIPTokenizer

from generation.shapes.scenes import Scene, training_caption
from generation.shapes.text import WIDTH, token_ids
from generation.shapes.training import Plan, fit

DROPPED = 0.1
"""Share of captions that training replaces by the empty one, for classifier-free guidance."""


DETAILED = 0.8
"""Share of captions that name a place or a relation; positions are learnt last."""


def make_denoiser(channels: tuple[int, ...] = (32, 96, 112)) -> UNet2DConditionModel:
    """An untrained `UNet2DConditionModel` for latents of 4 x 16 x 16."""
    return UNet2DConditionModel(
        sample_size=16,
        block_out_channels=channels,
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=WIDTH,
        attention_head_dim=4,
        norm_num_groups=16,
    )


def make_scheduler() -> DDIMScheduler:
    """Stable Diffusion's own noise schedule, predicting noise."""
    return DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
        timestep_spacing="trailing",
    )


def train_denoiser(
    denoiser: UNet2DConditionModel,
    text: CLIPTextModel,
    tokenizer: CLIPTokenizer,
    data: tuple[Tensor, Sequence[Scene]],
    plan: Plan,
    folder: Path,
    batch: int = 64,
) -> int:
    """Trains on latents (number, 4, 16, 16) and their scenes; returns the steps made.

    The text encoder stays as it is: its pre-training already tells every caption apart.
    """
    latents, scenes = data
    scheduler = make_scheduler()
    weights = _weights(scheduler)

    def loss_of(rng: np.random.Generator, noise: torch.Generator) -> Tensor:
        picked = rng.integers(len(latents), size=batch)
        ids = token_ids(tokenizer, [_prompt(scenes[index], rng) for index in picked])
        clean = latents[torch.from_numpy(picked)].float()
        times = _times(batch, len(weights), noise)
        wanted = torch.randn(clean.shape, generator=noise)
        noisy = scheduler.add_noise(clean, wanted, times)
        with torch.no_grad():
            hidden = text(ids)[0]
        drawn = denoiser(noisy, times, encoder_hidden_states=hidden).sample
        error = functional.mse_loss(drawn, wanted, reduction="none").mean((1, 2, 3))
        return (weights[times] * error).mean()

    rate = {"params": list(denoiser.parameters()), "lr": 1.5e-3}
    return fit(plan, {"denoiser": denoiser}, [rate], loss_of, folder)


def _times(batch: int, number: int, noise: torch.Generator) -> Tensor:
    """Random time steps, half of them among the noisiest three tenths, evenly spread."""
    shifted = (torch.rand(1, generator=noise) + torch.arange(batch) / batch) % 1
    noisiest = 1 - 0.3 * (2 * shifted - 1)
    share = torch.where(shifted < 0.5, 2 * shifted, noisiest)
    return (share * number).long().clamp(max=number - 1)


def _weights(scheduler: DDIMScheduler) -> Tensor:
    """(1 + SNR) / SNR, at most 50, by time step, scaled to a mean of 1.

    That is the loss of velocity prediction. How many objects there are and where they lie is
    decided where noise hides all but the text, and plain noise prediction hardly rewards it there.
    """
    signal = scheduler.alphas_cumprod
    lifted: Tensor = (1 / signal).clamp(max=50.0)
    return lifted / lifted.mean()


def _prompt(scene: Scene, rng: np.random.Generator) -> str:
    """A caption that is not held out, or the empty one."""
    if rng.random() < DROPPED:
        return ""
    return training_caption(scene, rng, DETAILED) or ""
