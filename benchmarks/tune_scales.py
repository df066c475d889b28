"""Chooses the guidance scales of `studies/rehearsal.toml` on prompts of their own.

    python benchmarks/tune_scales.py --prompts 40

Draws scenes of the "tune" fold, which no study and no accuracy table uses, with several
settings of each method, and counts how many the oracle finds exactly right. Wilson's 95 %
intervals stand beside, so that nobody takes noise for a difference.
"""

from __future__ import annotations

import argparse

from rich.console import Console
from rich.table import Table
from statsmodels.stats.proportion import proportion_confint

from generation.models import load_model
from generation.options import AnswerOptions, CfgOptions, DnpOptions, MethodOptions
from generation.plan import Generation
from generation.prompts import PromptTable
from generation.shapes import WEIGHTS
from generation.shapes.oracle import judge
from generation.shapes.scenes import sample_prompts
from generation.studio import Studio

SEED = 4242
BATCH = 20
SETTINGS: list[MethodOptions] = [
    *(CfgOptions(kind="cfg", scale=scale) for scale in (2.5, 4.0, 6.0)),
    *(DnpOptions(kind="dnp", scale=scale) for scale in (1.5, 2.5, 4.0)),
    *(
        AnswerOptions(kind="answer", scale=scale, s_neg=s_neg)
        for scale, s_neg in ((1.5, 1.0), (2.5, 1.0), (4.0, 0.5))
    ),
]


def right(studio: Studio, prompts: list[str], options: MethodOptions) -> int:
    """How many prompts are drawn exactly right."""
    count = 0
    for start in range(0, len(prompts), BATCH):
        batch = prompts[start : start + BATCH]
        seeds = list(range(SEED + start, SEED + start + len(batch)))
        images = studio.draw(batch, seeds, options).images
        count += sum(judge(i, p).exact for i, p in zip(images, batch, strict=True))
    return count


def main() -> None:
    """Print a row for each setting as it is measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prompts", type=int, default=40)
    count = parser.parse_args().prompts
    prompts = sample_prompts(count, SEED, objects=(1, 2), fold="tune")
    table = Generation(prompts=PromptTable(kind="scenes", count=count), methods={"m": SETTINGS[0]})
    studio = Studio(table, load_model(table, base=WEIGHTS))
    rows = Table("method", "options", "right", "share", "95 %")
    for options in SETTINGS:
        hits = right(studio, prompts, options)
        low, high = proportion_confint(hits, count, method="wilson")
        shown = options.model_dump(include={"scale", "s_neg"})
        rows.add_row(
            options.kind,
            str(shown),
            f"{hits}/{count}",
            f"{hits / count:.2f}",
            f"{low:.2f}–{high:.2f}",
        )
        Console(stderr=True).print(options.kind, shown, hits, count)
    Console().print(rows)


if __name__ == "__main__":
    main()
