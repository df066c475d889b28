"""Our sampler against diffusers' pipeline, and what each method costs, in one run.

    python benchmarks/bench_sampling.py [--images 32] [--rounds 3] [--table cfg methods]

Peers alternate within each round, so that a busy machine slows both; medians are printed. The
first table has images a second of CFG: ours and the pipeline's, batched over prompts, and the
pipeline's one prompt a call. The second has the wall time of each method over CFG's, beside the
ratio of their network evaluations; above 1 in the last column is overhead.

On a CPU our calls of the network have a fixed number of rows, for the sake of equal bytes: 32
images fill them, also where a method asks for one conditioning only.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from generation.models import TextToImage, load_model
from generation.options import (
    AnswerOptions,
    CfgOptions,
    CnpOptions,
    DnpOptions,
    MethodOptions,
    network_evaluations,
)
from generation.plan import Compute, Generation
from generation.prompts import PromptTable
from generation.sampling import starting_noise
from generation.shapes.scenes import sample_prompts
from generation.studio import Studio

STEPS = 41
SCALE = 4.0
METHODS: dict[str, MethodOptions] = {
    "cfg": CfgOptions(kind="cfg", scale=SCALE),
    "dnp": DnpOptions(kind="dnp", scale=1.5),
    "cnp, 8 steps": CnpOptions(kind="cnp", scale=1.5),
    "answer": AnswerOptions(kind="answer", scale=2.5, s_neg=1.0),
    "answer, guided_last": AnswerOptions(kind="answer", scale=2.5, s_neg=1.0, source="guided_last"),
    "answer, uncond": AnswerOptions(kind="answer", scale=2.5, s_neg=1.0, source="uncond"),
}


def timed(work: Callable[[], object]) -> float:
    """Seconds of wall time."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    began = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - began


def side_by_side(works: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each piece of work in each round, after one round that does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for number in range(rounds + 1):
        for name, work in works.items():
            taken = timed(work)
            if number:
                seconds[name].append(taken)
    return seconds


def theirs(model: TextToImage, prompts: list[str], seeds: list[int]) -> None:
    """Diffusers' pipeline, as its users call it."""
    noise = starting_noise(seeds, model.latent_shape, model.device, model.dtype)
    model.pipeline(prompts, num_inference_steps=STEPS, guidance_scale=SCALE, latents=noise)


def one_by_one(work: Callable[[list[str], list[int]], Any], prompts: list[str]) -> None:
    """A call for each prompt."""
    for seed, prompt in enumerate(prompts):
        work([prompt], [seed])


def table_of(model: str, steps: int, rows: int | None, dtype: str = "float32") -> Generation:
    """Settings of one benchmark."""
    return Generation.model_validate(
        {
            "model": model,
            "steps": steps,
            "dtype": dtype,
            "prompts": PromptTable(kind="scenes", count=1),
            "compute": Compute(rows=rows),
            "methods": {"cfg": CfgOptions(kind="cfg")},
        }
    )


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="shapes")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--images", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    tables = ("cfg", "methods")
    parser.add_argument("--table", nargs="+", choices=tables, default=list(tables))
    options = parser.parse_args()
    model = load_model(table_of(options.model, STEPS, None, options.dtype), base=Path())
    model.pipeline.set_progress_bar_config(disable=True)
    model.pipeline.scheduler = model.scheduler("ddim")
    studio = Studio(model.table, model)
    prompts = sample_prompts(options.images, 1, fold="tune")
    seeds = list(range(options.images))
    if "cfg" in options.table:
        against_diffusers(studio, prompts, seeds, options.rounds)
    if "methods" in options.table:
        each_method(studio, prompts, seeds, options.rounds)


def against_diffusers(studio: Studio, prompts: list[str], seeds: list[int], rounds: int) -> None:
    """CFG, ours and the pipeline's."""
    model, cfg = studio.model, METHODS["cfg"]

    def ours(some: list[str], numbers: list[int]) -> None:
        studio.draw(some, numbers, cfg)

    def pipeline(some: list[str], numbers: list[int]) -> None:
        theirs(model, some, numbers)

    seconds = side_by_side(
        {
            "diffusers, batched": lambda: pipeline(prompts, seeds),
            "ours, batched": lambda: ours(prompts, seeds),
            "diffusers, one prompt a call": lambda: one_by_one(pipeline, prompts),
        },
        rounds,
    )
    rows = Table("CFG", "images/s", "against diffusers batched", "against diffusers one a call")
    peers = [seconds["diffusers, batched"], seconds["diffusers, one prompt a call"]]
    for name, taken in seconds.items():
        ratios = [
            statistics.median(b / a for a, b in zip(taken, peer, strict=True)) for peer in peers
        ]
        speed = len(prompts) / statistics.median(taken)
        rows.add_row(name, f"{speed:.2f}", *(f"{ratio:.2f} ×" for ratio in ratios))
    Console().print(rows)


def each_method(studio: Studio, prompts: list[str], seeds: list[int], rounds: int) -> None:
    """Wall time over CFG's, against the ratio of evaluations."""

    def work(name: str) -> Callable[[], object]:
        short = Studio(studio.table.model_copy(update={"steps": 8}), studio.model)
        short.captioner = studio.captioner
        chosen = short if name.endswith("8 steps") else studio
        return lambda: chosen.draw(prompts, seeds, METHODS[name])

    seconds = side_by_side({name: work(name) for name in METHODS}, rounds)
    rows = Table("method", "seconds an image", "time / CFG's", "evaluations / CFG's", "overhead")
    base = network_evaluations(METHODS["cfg"], STEPS) or 1
    for name, taken in seconds.items():
        steps = 8 if name.endswith("8 steps") else STEPS
        cost = (network_evaluations(METHODS[name], steps) or 0) / base
        times = [a / b for a, b in zip(taken, seconds["cfg"], strict=True)]
        ratio = statistics.median(times)
        each = statistics.median(taken) / len(prompts)
        rows.add_row(name, f"{each:.3f}", f"{ratio:.2f}", f"{cost:.2f}", f"{ratio / cost:.3f}")
    Console().print(rows)


if __name__ == "__main__":
    main()
