"""The planted truth: what share of votes the simulated crowd is built to cast."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from clearwinner.rehearsal.taste import Eyes
from clearwinner.rehearsal.voting import SimulatedWorker, planted_shares
from generation.manifest import ManifestRow

NOTE = (
    "Simulated workers: programs that judge correctness by the built-in model's oracle and "
    "appeal by image statistics, with noise, a liking for the first place and a few careless "
    "ones. No person voted. The shares are the ones expected over exactly these comparisons, "
    "every simulated worker counting alike."
)


def plant(
    rows: Iterable[ManifestRow],
    groups: Sequence[Sequence[str]],
    questions: Sequence[str],
    workers: Sequence[SimulatedWorker],
    *,
    folder: Path,
    seed: int,
) -> dict[str, Any]:
    """Work out the expected shares of every pair of methods that meets, for each question.

    Args:
        rows: the study's manifest.
        groups: the methods that meet, two or three names each.
        questions: keys of the questions.
        workers: the simulated crowd.
        folder: the study's folder, to which the paths of the manifest are relative.
        seed: the study's seed, kept with the result.
    """
    eyes = Eyes()
    scenes: dict[tuple[str, int], dict[str, ManifestRow]] = {}
    for row in rows:
        scenes.setdefault((row.prompt_id, row.seed), {})[row.method] = row
    truth = []
    for group in groups:
        whole = [scene for scene in scenes.values() if all(name in scene for name in group)]
        for question in questions:
            shares = [
                planted_shares(workers, _impressions(scene, group, question, eyes, folder))
                for scene in whole
            ]
            if shares:
                truth += _entries(question, group, np.mean(shares, axis=0))
    crowd = [asdict(worker) for worker in workers]
    return {"simulated": True, "seed": seed, "note": NOTE, "workers": crowd, "truth": truth}


def write_truth(truth: dict[str, Any], folder: Path) -> Path:
    """Write `truth.json` whole or not at all; returns its path."""
    path = folder / "truth.json"
    part = path.with_suffix(".part")
    part.write_text(json.dumps(truth, indent=1) + "\n", encoding="utf-8")
    part.replace(path)
    return path


def _impressions(
    scene: dict[str, ManifestRow], group: Sequence[str], question: str, eyes: Eyes, folder: Path
) -> list[float]:
    return [
        eyes.impression((folder / scene[name].path).read_bytes(), scene[name].prompt).of(question)
        for name in group
    ]


def _entries(question: str, group: Sequence[str], shares: Any) -> list[dict[str, Any]]:
    """One entry for each pair of the group; with three images the pair's shares do not sum to 1."""
    entries = []
    for i, j in combinations(range(len(group)), 2):
        win, loss, tie = float(shares[i]), float(shares[j]), float(shares[-1])
        entry: dict[str, Any] = {"question": question, "methods": [group[i], group[j]]}
        entry |= {"win": win, "tie": tie, "loss": loss}
        if len(group) == 2:
            entry["score"] = win + tie / 2
        else:
            entry["among"] = list(group)
        entries.append(entry)
    return entries
