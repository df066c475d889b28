"""The sampling loop. A sampler is a plain function that takes a denoiser."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor


@dataclass(frozen=True)
class Condition:
    """Encoded prompts of a batch: what the network is told."""

    hidden: Tensor
    """(B, L, D)"""
    pooled: Tensor | None = None
    """(B, P); SDXL wants it too."""

    @classmethod
    def joined(cls, conditions: Sequence[Condition]) -> Condition:
        """Several, one below the other."""
        pooled = [condition.pooled for condition in conditions if condition.pooled is not None]
        hidden = torch.cat([condition.hidden for condition in conditions])
        return cls(hidden, torch.cat(pooled) if pooled else None)

    def rows(self, index: Tensor) -> Condition:
        """Some rows of it."""
        return Condition(self.hidden[index], None if self.pooled is None else self.pooled[index])

    def __len__(self) -> int:
        return len(self.hidden)


class Denoise(Protocol):
    """The network: its prediction for a latent x (B, C, h, w) at a timestep, same shape."""

    def __call__(self, x: Tensor, t: Tensor, condition: Condition) -> Tensor:
        """Noise, velocity or flow, whatever the model was trained to predict."""


@dataclass(frozen=True)
class Conditions:
    """What a batch of images is drawn for."""

    null: Condition
    prompt: Condition
    negative: Condition | None = None
    word: Callable[[Tensor], Condition] | None = None
    """Words the latents (B, C, h, w) of finished images and encodes the words; for CNP."""


class Guide(Protocol):
    """A guidance method: how the network's predictions at a step become one."""

    def __call__(
        self, denoise: Denoise, stepper: Stepper, x: Tensor, index: int, conditions: Conditions
    ) -> Tensor:
        """The prediction to step with, (B, C, h, w)."""


@dataclass
class Stepper:
    """A diffusers scheduler on its grid of timesteps; the network's calls are named by index."""

    scheduler: Any
    timesteps: Tensor
    """On the CPU, where the scheduler computes its coefficients: asking an accelerator for one
    would make every step wait for it."""
    told: Tensor
    """The same where the network is."""
    fresh: Any
    """The scheduler before its first step: where chains begin."""

    @classmethod
    def on_grid(cls, scheduler: Any, steps: int, device: torch.device) -> Stepper:
        """A scheduler of its own, set to call the network `steps` times.

        PNDM calls the network once more than its number of steps, so it is set to one fewer.
        """
        scheduler = scheduler.from_config(scheduler.config)
        extra = 1 if type(scheduler).__name__ == "PNDMScheduler" else 0
        scheduler.set_timesteps(steps - extra)
        fresh = copy.deepcopy(scheduler)
        _begin(scheduler, 0)
        return cls(scheduler, scheduler.timesteps, scheduler.timesteps.to(device), fresh)

    def chain(self, index: int) -> Stepper:
        """A stepper of its own from the grid point of call `index` on, which is its index 0.

        It begins without the main scheduler's history (that is of another direction) and leaves
        the main scheduler as it is. Its grid has each point once.
        """
        scheduler = copy.deepcopy(self.fresh)
        _begin(scheduler, index)
        rest, told = self.timesteps[index:], self.told[index:]
        if hasattr(scheduler, "ets"):
            # PNDM's grid has its second point twice.
            once = [n for n in range(len(rest)) if n == 0 or rest[n] != rest[n - 1]]
            rest, told = rest[once], told[once]
        return Stepper(scheduler, rest, told, self.fresh)

    def __len__(self) -> int:
        return len(self.timesteps)

    @property
    def noise_scale(self) -> float:
        """What standard normal noise is multiplied by to begin with."""
        return float(getattr(self.scheduler, "init_noise_sigma", 1.0))

    def model_input(self, x: Tensor, index: int) -> Tensor:
        """The latent as the network wants it at a grid point."""
        if not hasattr(self.scheduler, "scale_model_input"):
            return x
        scaled: Tensor = self.scheduler.scale_model_input(x, self.timesteps[index])
        return scaled

    def step(self, prediction: Tensor, index: int, x: Tensor) -> Tensor:
        """From grid point `index` to the next one."""
        moved: Tensor = self.scheduler.step(
            prediction, self.timesteps[index], x, return_dict=False
        )[0]
        return moved

    def chain_step(self, prediction: Tensor, index: int, x: Tensor) -> Tensor:
        """A step on a chain's grid.

        PNDM takes its second call for a repetition of the first step. A chain's grid repeats
        nothing: its second step is of second order at once.
        """
        moved = self.step(prediction, index, x)
        if index == 0 and hasattr(self.scheduler, "ets"):
            self.scheduler.counter = 2
        return moved


def _begin(scheduler: Any, index: int) -> None:
    """Tell a scheduler where it begins, where it would else search its grid."""
    if hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(index)


@dataclass
class Counted:
    """A denoiser that counts network evaluations: one for each image and conditioning."""

    denoise: Denoise
    evaluations: int = field(default=0)

    def __call__(self, x: Tensor, t: Tensor, condition: Condition) -> Tensor:
        """Call the network and count the batch."""
        self.evaluations += x.shape[0]
        return self.denoise(x, t, condition)


@dataclass(frozen=True)
class InBlocks:
    """A denoiser that calls the network with always the same number of rows; see `Blocks`."""

    denoise: Denoise
    blocks: Blocks

    def __call__(self, x: Tensor, t: Tensor, condition: Condition) -> Tensor:
        """Call the network block by block."""
        return self.blocks.apply(
            lambda index: self.denoise(x[index], t, condition.rows(index)), len(x)
        )


@dataclass(frozen=True)
class Blocks:
    """How many rows go through a network at once.

    Numerical libraries choose their kernels by a call's size, and sums round differently in
    each. With `rows`, calls are always of that size, so that an image's bits depend on its own
    rows alone; without, all rows there are go through in one call.
    """

    rows: int | None = None

    def size(self, number: int) -> int:
        """Rows of a call where `number` are wanted."""
        return self.rows or number

    def apply(self, function: Callable[[Tensor], Tensor], number: int) -> Tensor:
        """Apply a function to row indices block by block; the last one repeats its last row."""
        size, made = self.size(number), []
        for start in range(0, number, size):
            index = torch.arange(start, start + size).clamp(max=number - 1)
            made.append(function(index)[: number - start])
        return made[0] if len(made) == 1 else torch.cat(made)


def predict(
    denoise: Denoise, stepper: Stepper, x: Tensor, index: int, *conditions: Condition
) -> tuple[Tensor, ...]:
    """Predictions for several conditionings of the same latent, in one call of the network."""
    scaled = stepper.model_input(x, index)
    batch = torch.cat([scaled] * len(conditions))
    together = denoise(batch, stepper.told[index], Condition.joined(conditions))
    return tuple(torch.chunk(together, len(conditions)))


def sample(
    denoise: Denoise, guide: Guide, stepper: Stepper, noise: Tensor, conditions: Conditions
) -> Tensor:
    """Draw latents from standard normal starting noise; both are (B, C, h, w)."""
    x: Tensor = noise * stepper.noise_scale
    for index in range(len(stepper)):
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
