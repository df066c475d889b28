"""Trains the built-in model: `python -m generation.shapes.train`, one stage after another.

Every stage keeps what it made in the work folder, so a killed run goes on where it stopped and a
finished stage is not done again. The last step writes all parts, in half precision, to `--out`.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import Tensor
from transformers import CLIPTextModel, CLIPTokenizer

from generation.shapes import WEIGHTS
from generation.shapes.autoencoder import encode, fidelity, fold_scale, train_autoencoder
from generation.shapes.autoencoder import make_autoencoder as untrained_autoencoder
from generation.shapes.captioner import (
    exact_share,
    load_captioner,
    make_captioner,
    make_processor,
    save_captioner,
    train_captioner,
)
from generation.shapes.dataset import make_pixels, make_scenes
from generation.shapes.denoiser import make_denoiser, make_scheduler, train_denoiser
from generation.shapes.export import BUDGET, assemble, save_half, size_of
from generation.shapes.scenes import Scene, draw
from generation.shapes.text import make_text_encoder, make_tokenizer, pretrain
from generation.shapes.training import CONSOLE, Plan

SHARES = {"autoencoder": 0.09, "text": 0.035, "denoiser": 0.725, "captioner": 0.15}
"""How the minutes are divided between the stages."""


@dataclass(frozen=True)
class Run:
    """One training run: minutes of optimisation in all, seed, scenes, and where it keeps its work.

    `save_every` is the number of seconds between checkpoints.
    """

    minutes: float
    seed: int
    scenes: int
    work: Path
    save_every: float = 60.0

    def plan(self, stage: str, warmup: int = 100) -> Plan:
        """The stage's share of the time."""
        seconds = 60 * self.minutes * SHARES[stage]
        return Plan(stage, seconds, self.seed, warmup, save_every=self.save_every)

    def done(self, stage: str) -> Path | None:
        """The folder of a finished stage."""
        folder = self.work / stage
        return folder if folder.exists() else None


def autoencoder_stage(run: Run, pixels: Tensor) -> AutoencoderKL:
    """The autoencoder, its latents of unit variance."""
    if folder := run.done("autoencoder"):
        return AutoencoderKL.from_pretrained(folder)
    torch.manual_seed(run.seed)
    model = untrained_autoencoder()
    steps = train_autoencoder(model, pixels, run.plan("autoencoder"), run.work)
    fold_scale(model, pixels[:2000])
    CONSOLE.print(f"autoencoder: {steps} steps, {fidelity(model.eval(), pixels[-256:]):.1f} dB")
    model.save_pretrained(run.work / "autoencoder")
    return model


def text_stage(run: Run, tokenizer: CLIPTokenizer) -> CLIPTextModel:
    """The text encoder, pre-trained on captions alone."""
    if folder := run.done("text"):
        return CLIPTextModel.from_pretrained(folder)
    torch.manual_seed(run.seed + 1)
    model = make_text_encoder(tokenizer)
    steps = pretrain(model, tokenizer, run.plan("text"), run.work)
    CONSOLE.print(f"text encoder: {steps} steps")
    model.save_pretrained(run.work / "text")
    return model


def latents_stage(run: Run, autoencoder: AutoencoderKL, pixels: Tensor) -> Tensor:
    """The latents of all scenes, in half precision, kept in one file."""
    path = run.work / "latents.pt"
    if not path.exists():
        part = path.with_suffix(".part")
        torch.save(encode(autoencoder.eval(), pixels).half(), part)
        part.replace(path)
    latents: Tensor = torch.load(path, weights_only=True)
    return latents


def denoiser_stage(
    run: Run,
    text: CLIPTextModel,
    tokenizer: CLIPTokenizer,
    data: tuple[Tensor, Sequence[Scene]],
) -> UNet2DConditionModel:
    """The denoiser, trained on latents and scenes."""
    if folder := run.done("denoiser"):
        return UNet2DConditionModel.from_pretrained(folder)
    torch.manual_seed(run.seed + 2)
    model = make_denoiser()
    plan = run.plan("denoiser", warmup=200)
    steps = train_denoiser(model, text.eval(), tokenizer, data, plan, run.work)
    CONSOLE.print(f"denoiser: {steps} steps")
    model.save_pretrained(run.work / "denoiser")
    return model


def captioner_stage(run: Run, data: tuple[Tensor, Sequence[Scene]]) -> Path:
    """The folder of the captioner, trained on pixels and scenes."""
    folder = run.work / "captioner"
    if run.done("captioner"):
        return folder
    torch.manual_seed(run.seed + 3)
    processor = make_processor()
    model = make_captioner(processor)
    steps = train_captioner(model, processor, data, run.plan("captioner"), run.work)
    save_captioner(model.eval(), processor, folder)
    share = captioner_share(folder, run.seed)
    CONSOLE.print(f"captioner: {steps} steps, {share:.3f} of 500 new scenes described exactly")
    return folder


def captioner_share(folder: Path, seed: int = 0, number: int = 500) -> float:
    """The share of new scenes that a saved captioner describes exactly."""
    scenes = make_scenes(number, seed + 1_000_000)
    return exact_share(*load_captioner(folder), scenes, [draw(scene) for scene in scenes])


def train(run: Run, out: Path) -> None:
    """All stages, then the finished folder.

    Raises:
        RuntimeError: the parts together are larger than 16 MB.
    """
    run.work.mkdir(parents=True, exist_ok=True)
    scenes = make_scenes(run.scenes, run.seed)
    pixels = make_pixels(scenes)
    autoencoder = autoencoder_stage(run, pixels)
    tokenizer = make_tokenizer()
    text = text_stage(run, tokenizer)
    latents = latents_stage(run, autoencoder, pixels)
    denoiser = denoiser_stage(run, text, tokenizer, (latents, scenes))
    captioner = captioner_stage(run, (pixels, scenes))
    pipeline = assemble(autoencoder, text, tokenizer, denoiser, make_scheduler())
    save_half(pipeline, captioner, out)
    if size_of(out) > BUDGET:
        raise RuntimeError(f"{out} takes {size_of(out)} bytes, more than {BUDGET}")
    CONSOLE.print(f"{out}: {size_of(out) / 1e6:.1f} MB")


def main(arguments: Sequence[str] | None = None) -> None:
    """Reads the command line and trains."""
    parser = argparse.ArgumentParser(prog="generation.shapes.train", description=__doc__)
    parser.add_argument("--minutes", type=float, default=75.0, help="of optimisation in all (75)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--scenes", type=int, default=50_000, help="scenes to train on (50000)")
    parser.add_argument("--threads", type=int, default=2, help="of the processor (2)")
    parser.add_argument("--out", type=Path, default=WEIGHTS, help="folder of the finished model")
    parser.add_argument("--work", type=Path, default=Path(".work/shapes"), help="unfinished work")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    train(Run(options.minutes, options.seed, options.scenes, options.work), options.out)


if __name__ == "__main__":
    main()
