"""How simulated workers vote, and what share of votes that plants.

Davidson's model of choice with ties (Davidson 1970), with an advantage for the first place
(Davidson and Beaver 1977): for the images shown in places 1..n with impressions `u`,

    weight of image i   w_i = exp(sharpness * u_i + bias * [i is in the first place])
    weight of no winner w_0 = nu * (w_1 ... w_n)^(1/n)

and each choice is drawn with probability w / sum(w). A careless worker looks at nothing:
sharpness 0 and a strong bias.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Literal

import numpy as np
from numpy.typing import NDArray

NONE = "none"
TIE = 0.9
"""nu of the model: two images that look alike are called a tie in 0.9 of 2.9 cases."""


@dataclass(frozen=True)
class SimulatedWorker:
    """One simulated worker: a program, never a person."""

    name: str
    kind: Literal["careful", "careless"]
    sharpness: float
    """How strongly the impression decides; per unit of impression."""
    bias: float
    """Log advantage of the first place."""

    def probabilities(self, impressions: Sequence[float]) -> NDArray[np.float64]:
        """Chances of each place, first to last, then of no clear winner; they sum to 1."""
        logits = self.sharpness * np.asarray(impressions, dtype=np.float64)
        logits[0] += self.bias
        logits = np.append(logits, np.log(TIE) + logits.mean())
        weights = np.exp(logits - logits.max())
        return np.asarray(weights / weights.sum(), dtype=np.float64)

    def vote(self, impressions: Sequence[float], *, seed: int, about: str) -> str:
        """The place chosen, counted from 1, or "none".

        Args:
            impressions: of the images in the places they are shown.
            seed: the study's seed.
            about: what is voted on (images and question). The same worker always votes alike
                on the same thing, so a rehearsal that was interrupted goes on as if it was not.
        """
        text = f"{seed}|{self.name}|{about}"
        rng = np.random.default_rng(list(hashlib.sha256(text.encode()).digest()))
        chances = self.probabilities(impressions)
        choice = int(rng.choice(len(chances), p=chances))
        return NONE if choice == len(impressions) else str(choice + 1)


def hire(count: int, *, seed: int, careless: float = 0.1) -> list[SimulatedWorker]:
    """Make up a crowd: mostly careful workers of differing sharpness, and a few careless ones."""
    rng = np.random.default_rng([seed, 0x776F726B])
    n_careless = round(count * careless)
    workers = []
    for index in range(count):
        if index < n_careless:
            workers.append(SimulatedWorker(f"Simulated {index + 1:02d}", "careless", 0.0, 1.2))
            continue
        sharpness = float(5.0 * np.exp(rng.normal(0.0, 0.35)))
        bias = float(rng.normal(0.15, 0.1))
        workers.append(SimulatedWorker(f"Simulated {index + 1:02d}", "careful", sharpness, bias))
    return workers


def planted_shares(
    workers: Sequence[SimulatedWorker], impressions: Sequence[float]
) -> NDArray[np.float64]:
    """Expected shares of votes: each image in the given order, then no clear winner.

    Every worker counts alike and every order of the places is as likely as another, which is
    what balanced placement makes true.
    """
    n = len(impressions)
    total = np.zeros(n + 1)
    orders = list(permutations(range(n)))
    for worker in workers:
        for order in orders:
            chances = worker.probabilities([impressions[i] for i in order])
            total[list(order)] += chances[:n]
            total[n] += chances[n]
    return total / (len(workers) * len(orders))
