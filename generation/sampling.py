"""The sampling loop. A sampler is a plain function that takes a denoiser."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor


class Denoise(Protocol):
    """The network: predicted noise for a latent x (B, C, h, w) at a timestep, same shape."""

    def __call__(self, x: Tensor, t: Tensor, condition: Tensor) -> Tensor:
        """Condition is (B, L, D)."""


@dataclass(frozen=True)
class Conditions:
    """Encoded prompts of a batch, each (B, L, D)."""

    null: Tensor
    prompt: Tensor
    negative: Tensor | None = None


class Guide(Protocol):
    """A guidance method: how the network's predictions at a step become one."""

    def __call__(
        self, denoise: Denoise, stepper: Stepper, x: Tensor, index: int, conditions: Conditions
    ) -> Tensor:
        """The prediction to step with, (B, C, h, w)."""


@dataclass
class Stepper:
    """A diffusers scheduler on its grid of timesteps; grid points are named by their index."""

    scheduler: Any
    timesteps: Tensor

    @classmethod
    def on_grid(cls, scheduler: Any, steps: int, device: torch.device) -> Stepper:
        """A scheduler of its own, set to a number of steps."""
        scheduler = scheduler.from_config(scheduler.config)
        scheduler.set_timesteps(steps, device=device)
        return cls(scheduler, scheduler.timesteps)

    def fork(self) -> Stepper:
        """A copy whose steps leave this one's state as it is; it can start at any grid point."""
        scheduler = copy.deepcopy(self.scheduler)
        if hasattr(scheduler, "_step_index"):
            scheduler._step_index = None
        return Stepper(scheduler, self.timesteps)

    def model_input(self, x: Tensor, index: int) -> Tensor:
        """The latent as the network wants it at a grid point."""
        scaled: Tensor = self.scheduler.scale_model_input(x, self.timesteps[index])
        return scaled

    def step(self, prediction: Tensor, index: int, x: Tensor) -> Tensor:
        """From grid point `index` to the next one."""
        moved: Tensor = self.scheduler.step(
            prediction, self.timesteps[index], x, return_dict=False
        )[0]
        return moved


@dataclass
class Counted:
    """A denoiser that counts network evaluations: one for each image and conditioning."""

    denoise: Denoise
    evaluations: int = field(default=0)

    def __call__(self, x: Tensor, t: Tensor, condition: Tensor) -> Tensor:
        """Call the network and count the batch."""
        self.evaluations += x.shape[0]
        return self.denoise(x, t, condition)


def predict(
    denoise: Denoise, stepper: Stepper, x: Tensor, index: int, *conditions: Tensor
) -> tuple[Tensor, ...]:
    """Predictions for several conditionings of the same latent, in one call of the network."""
    scaled = stepper.model_input(x, index)
    batch = torch.cat([scaled] * len(conditions))
    together: Tensor = denoise(batch, stepper.timesteps[index], torch.cat(conditions))
    return tuple(torch.chunk(together, len(conditions)))


def sample(
    denoise: Denoise, guide: Guide, stepper: Stepper, noise: Tensor, conditions: Conditions
) -> Tensor:
    """Draw latents from standard normal starting noise; both are (B, C, h, w)."""
    x: Tensor = noise * stepper.scheduler.init_noise_sigma
    for index in range(len(stepper.timesteps)):
        x = stepper.step(guide(denoise, stepper, x, index, conditions), index, x)
    return x


def starting_noise(
    seeds: Sequence[int], shape: tuple[int, int, int], device: torch.device, dtype: torch.dtype
) -> Tensor:
    """Standard normal noise (B, *shape), each image's from its own seed alone.

    Drawn on the CPU, as diffusers does with a CPU generator: the same on every device, for
    every method and in every batch.
    """
    drawn = [
        torch.randn((1, *shape), generator=torch.Generator("cpu").manual_seed(seed), dtype=dtype)
        for seed in seeds
    ]
    return torch.cat(drawn).to(device)
