"""Puts the trained parts into one folder in diffusers' layout, in half precision."""

import json
import shutil
from pathlib import Path

import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    StableDiffusionPipeline,
    UNet2DConditionModel,
)
from transformers import CLIPTextModel, CLIPTokenizer

BUDGET = 16_000_000
"""Most bytes that all weights together may take."""


def assemble(
    autoencoder: AutoencoderKL,
    text: CLIPTextModel,
    tokenizer: CLIPTokenizer,
    denoiser: UNet2DConditionModel,
    scheduler: DDIMScheduler,
) -> StableDiffusionPipeline:
    """A pipeline of the parts, without safety checker."""
    return StableDiffusionPipeline(
        vae=autoencoder.eval(),
        text_encoder=text.eval(),
        tokenizer=tokenizer,
        unet=denoiser.eval(),
        scheduler=scheduler,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def save_half(pipeline: StableDiffusionPipeline, captioner: Path, folder: Path) -> None:
    """Writes the pipeline, with weights of two bytes, and the captioner's folder beside it.

    They load in single precision by default. A file already in `folder`, such as the model card,
    stays.
    """
    part = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    pipeline.to(torch.float16).save_pretrained(part)
    as_single(part / "text_encoder")
    for path in part.glob("*/config.json"):
        forget_origin(path)
    shutil.copytree(captioner, part / "captioner")
    folder.mkdir(parents=True, exist_ok=True)
    for item in part.iterdir():
        target = folder / item.name
        shutil.rmtree(target, ignore_errors=True)
        item.replace(target)
    part.rmdir()


def as_single(folder: Path) -> None:
    """Lets a model of transformers load as float32 although its file holds two bytes a weight.

    Half precision is for the disk only: on most processors it is many times slower.
    """
    path = folder / "config.json"
    config = json.loads(path.read_text())
    for part in (config, *(value for value in config.values() if isinstance(value, dict))):
        part["dtype"] = "float32"
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")


def forget_origin(path: Path) -> None:
    """Removes the folder on the training machine from which a part was loaded."""
    config = json.loads(path.read_text())
    config.pop("_name_or_path", None)
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")


def size_of(folder: Path) -> int:
    """Bytes of all files in the folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
