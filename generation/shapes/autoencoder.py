"""The autoencoder between scenes of 64 x 64 x 3 and latents of 16 x 16 x 4."""

from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor
from torch.nn import functional

from generation.shapes.dataset import to_unit
from generation.shapes.training import Plan, fit


def make_autoencoder(channels: tuple[int, ...] = (16, 32, 64)) -> AutoencoderKL:
    """An untrained `AutoencoderKL` that halves each side twice."""
    return AutoencoderKL(
        sample_size=64,
        block_out_channels=channels,
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=8,
        scaling_factor=1.0,
        mid_block_add_attention=False,
    )


def train_autoencoder(
    model: AutoencoderKL, pixels: Tensor, plan: Plan, folder: Path, batch: int = 16
) -> int:
    """Trains on bytes of shape (number, 3, 64, 64); returns the steps made."""

    def loss_of(rng: np.random.Generator, noise: torch.Generator) -> Tensor:
        picked = torch.from_numpy(rng.integers(len(pixels), size=batch))
        return _loss(model, to_unit(pixels[picked]), noise)

    rate = {"params": list(model.parameters()), "lr": 2.5e-3}
    return fit(plan, {"autoencoder": model}, [rate], loss_of, folder)


def _loss(model: AutoencoderKL, images: Tensor, noise: torch.Generator) -> Tensor:
    """L1 and squared error, a little divergence, and squared error of 8 x 8 means.

    The last term keeps the hue of pale backgrounds, which single pixels hardly reward.
    """
    posterior = model.encode(images).latent_dist
    drawn = model.decode(posterior.sample(noise)).sample
    coarse = functional.mse_loss(functional.avg_pool2d(drawn, 8), functional.avg_pool2d(images, 8))
    total: Tensor = (
        functional.l1_loss(drawn, images)
        + 2 * functional.mse_loss(drawn, images)
        + 2 * coarse
        + 1e-5 * posterior.kl().mean() / 64
    )
    return total


@torch.no_grad()
def encode(model: AutoencoderKL, pixels: Tensor, batch: int = 64) -> Tensor:
    """Mean latents of shape (number, 4, 16, 16) of bytes of shape (number, 3, 64, 64)."""
    parts = (model.encode(to_unit(part)).latent_dist.mean for part in torch.split(pixels, batch))
    return torch.cat(list(parts))


@torch.no_grad()
def fold_scale(model: AutoencoderKL, pixels: Tensor) -> None:
    """Changes the weights so that latents have mean 0 and variance 1 in every channel.

    A pipeline then needs no scaling factor: the last layer of the encoder and the first of the
    decoder take it up.
    """
    latents = encode(model, pixels)
    mean, scale = latents.mean((0, 2, 3)), latents.std((0, 2, 3))
    quant, unquant = model.quant_conv, model.post_quant_conv
    quant.weight[:4] /= scale[:, None, None, None]
    quant.bias[:4] = (quant.bias[:4] - mean) / scale
    quant.bias[4:] -= 2 * scale.log()
    unquant.bias += unquant.weight[:, :, 0, 0] @ mean
    unquant.weight *= scale[None, :, None, None]


@torch.no_grad()
def fidelity(model: AutoencoderKL, pixels: Tensor) -> float:
    """Peak signal-to-noise ratio, in dB, of a round trip."""
    latents = torch.split(encode(model, pixels), 64)
    drawn = torch.cat([model.decode(part).sample for part in latents])
    error = functional.mse_loss(drawn.clamp(-1, 1), to_unit(pixels)).item()
    return float(10 * np.log10(4 / error))
