"""How often the model draws exactly what a prompt asks for, by number of objects and scale."""

import argparse
import json
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from diffusers import StableDiffusionPipeline
from PIL import Image
from rich.progress import track

from generation.shapes import WEIGHTS
from generation.shapes.oracle import judge
from generation.shapes.scenes import Fold, Wanted, parse, sample_prompts

STEPS = 41


@dataclass(frozen=True)
class Accuracy:
    """Exactly right images among those of one guidance scale and one group of `GROUPS`.

    `low` and `high` are the ends of Wilson's 95 % interval.
    """

    scale: float
    group: str
    right: int
    images: int
    rate: float
    low: float
    high: float


def _detailed(wanted: Wanted) -> bool:
    return wanted.relation is not None or any(item.place for item in wanted.objects)


GROUPS: dict[str, Callable[[Wanted], bool]] = {
    "one object": lambda wanted: len(wanted.objects) == 1,
    "two": lambda wanted: len(wanted.objects) == 2,
    "three": lambda wanted: len(wanted.objects) == 3,
    "one or two": lambda wanted: len(wanted.objects) < 3,
    "one or two, plain": lambda wanted: len(wanted.objects) < 3 and not _detailed(wanted),
    "one, with a place": lambda wanted: len(wanted.objects) == 1 and _detailed(wanted),
    "two, with a relation": lambda wanted: len(wanted.objects) == 2 and _detailed(wanted),
}
"""Kinds of prompts that the table tells apart."""


def load(folder: Path = WEIGHTS) -> StableDiffusionPipeline:
    """The model in single precision, silent."""
    pipeline = StableDiffusionPipeline.from_pretrained(folder, torch_dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def sample(
    pipeline: StableDiffusionPipeline,
    prompts: Sequence[str],
    scale: float,
    seed: int = 0,
    batch: int = 25,
) -> Iterator[Image.Image]:
    """One image of 64 x 64 pixels for each prompt, with DDIM; prompt n has the seed `seed + n`."""
    for start in range(0, len(prompts), batch):
        part = list(prompts[start : start + batch])
        seeds = range(seed + start, seed + start + len(part))
        noise = [torch.Generator().manual_seed(number) for number in seeds]
        yield from pipeline(
            part, guidance_scale=scale, num_inference_steps=STEPS, generator=noise
        ).images


def wilson(right: int, images: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share (Wilson 1927, JASA 22, 209)."""
    z = 1.959964
    rate, spread = right / images, z * z / images
    middle = (rate + spread / 2) / (1 + spread)
    half = z * math.sqrt(rate * (1 - rate) / images + spread / images / 4) / (1 + spread)
    return max(0.0, middle - half), min(1.0, middle + half)


def accuracies(scale: float, prompts: Sequence[str], exact: Sequence[bool]) -> list[Accuracy]:
    """Accuracy in each group that has prompts."""
    wanted = [parse(prompt) for prompt in prompts]
    table = []
    for group, belongs in GROUPS.items():
        hits = [hit for scene, hit in zip(wanted, exact, strict=True) if belongs(scene)]
        if hits:
            low, high = wilson(sum(hits), len(hits))
            rate = sum(hits) / len(hits)
            table.append(Accuracy(scale, group, sum(hits), len(hits), rate, low, high))
    return table


def evaluate(
    pipeline: StableDiffusionPipeline, prompts: Sequence[str], scales: Sequence[float], seed: int
) -> list[Accuracy]:
    """Draws every prompt once at every scale, from the same noise, and asks the oracle."""
    table: list[Accuracy] = []
    for scale in scales:
        images = sample(pipeline, prompts, scale, seed)
        drawn = track(images, f"scale {scale:g}", total=len(prompts))
        exact = [judge(image, prompt).exact for image, prompt in zip(drawn, prompts, strict=True)]
        table += accuracies(scale, prompts, exact)
    return table


def as_markdown(table: Sequence[Accuracy]) -> str:
    """Scales downwards, groups across; share exactly right with its interval."""
    groups = list(dict.fromkeys(row.group for row in table))
    cells = {
        (row.scale, row.group): f"{row.rate:.2f} ({row.low:.2f} to {row.high:.2f})" for row in table
    }
    images = {row.group: row.images for row in table}
    heads = [f"{group} ({images[group]} images)" for group in groups]
    lines = [["guidance scale", *heads], ["---:"] * (1 + len(heads))]
    for scale in dict.fromkeys(row.scale for row in table):
        lines.append([f"{scale:g}", *(cells[scale, group] for group in groups)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the table and writes it as Markdown and JSON where `--out` says."""
    parser = argparse.ArgumentParser(prog="generation.shapes.evaluate", description=__doc__)
    parser.add_argument("--weights", type=Path, default=WEIGHTS)
    parser.add_argument("--scales", type=float, nargs="+", default=[1, 1.5, 2, 2.5, 3, 4, 5])
    parser.add_argument("--prompts", type=int, default=300, help="how many prompts (300)")
    parser.add_argument("--objects", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--fold", choices=["tune", "test"], help="a half of the prompts")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="folder for accuracy.md and accuracy.json")
    options = parser.parse_args(arguments)
    fold: Fold | None = options.fold
    prompts = sample_prompts(options.prompts, options.seed, options.objects, fold)
    table = evaluate(load(options.weights), prompts, options.scales, options.seed)
    sys.stdout.write(as_markdown(table) + "\n")
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / "accuracy.md").write_text(as_markdown(table) + "\n")
        rows = json.dumps([asdict(row) for row in table], indent=1)
        (options.out / "accuracy.json").write_text(rows + "\n")


if __name__ == "__main__":
    main()
