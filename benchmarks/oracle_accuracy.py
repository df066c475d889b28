"""How often each method draws exactly what is asked for, by the oracle of the built-in model.

    python benchmarks/oracle_accuracy.py --fold tune --prompts 60     # to choose scales
    python benchmarks/oracle_accuracy.py --fold both --prompts 300    # to report

Both folds are of prompts that training never saw; no study uses the fold "tune". Every setting
draws the same prompts from the same noise. Wilson's 95 % intervals stand beside, so that nobody
takes noise for a difference. Beside ANSWER stands CFG at the scale that it is matched to.
"""

from __future__ import annotations

import argparse

from rich.console import Console
from rich.table import Table

from generation.models import load_model
from generation.options import (
    AnswerOptions,
    CfgOptions,
    DnpOptions,
    MethodOptions,
    matched_scale,
    network_evaluations,
)
from generation.plan import Generation
from generation.prompts import PromptTable
from generation.shapes import WEIGHTS
from generation.shapes.evaluate import wilson
from generation.shapes.oracle import judge
from generation.shapes.scenes import Fold, sample_prompts
from generation.studio import Studio

SEED = 4242
BATCH = 32
STEPS = 41


def settings() -> dict[str, MethodOptions]:
    """CFG, DNP, ANSWER in both readings, and CFG at the scales that ANSWER is matched to."""
    found: dict[str, MethodOptions] = {}
    for scale in (2.5, 4.0, 6.0):
        found[f"cfg {scale:g}"] = CfgOptions(kind="cfg", scale=scale)
    for scale in (1.5, 2.5):
        found[f"dnp {scale:g}"] = DnpOptions(kind="dnp", scale=scale)
    for name, scale, combine in (
        ("answer R1", 1.5, "replace"),
        ("answer R1", 2.5, "replace"),
        ("answer R2", 2.5, "two_term"),
    ):
        answer = AnswerOptions.model_validate(
            {"kind": "answer", "scale": scale, "s_neg": 1.0, "combine": combine}
        )
        found[f"{name} {scale:g}, s_neg 1"] = answer
        matched = matched_scale(answer) or 0.0
        same = f"cfg {matched:g}"
        if same not in found:
            found[f"{same} (matched to {name} {scale:g})"] = CfgOptions(kind="cfg", scale=matched)
    return found


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
    """Print a row for each setting as it is measured, and the table at the end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prompts", type=int, default=60)
    parser.add_argument("--fold", choices=["tune", "test", "both"], default="tune")
    options = parser.parse_args()
    fold: Fold | None = None if options.fold == "both" else options.fold
    prompts = sample_prompts(options.prompts, SEED, objects=(1, 2), fold=fold)
    methods = {"m": CfgOptions(kind="cfg")}
    table = Generation(prompts=PromptTable(kind="scenes", count=1), methods=methods)
    studio = Studio(table, load_model(table, base=WEIGHTS))
    rows = Table("method", "evaluations", "exactly right", "share", "95 %")
    for name, method in settings().items():
        hits = right(studio, prompts, method)
        low, high = wilson(hits, len(prompts))
        shown = f"{hits}/{len(prompts)}"
        Console(stderr=True).print(name, shown)
        cost = str(network_evaluations(method, STEPS))
        rows.add_row(name, cost, shown, f"{hits / len(prompts):.2f}", f"{low:.2f}–{high:.2f}")
    Console().print(rows)


if __name__ == "__main__":
    main()
