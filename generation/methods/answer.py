"""ANSWER: adaptive negative sampling without external resources (Desai and Vasconcelos 2025).

The paper's outer equation was not at hand when this was written. Both readings are options:
`replace` (R1, the default) and `two_term` (R2); so are the other choices its text leaves open.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from generation.options import AnswerOptions, Schedule, chain_lengths
from generation.sampling import Conditions, Denoise, Stepper, predict


@dataclass(frozen=True)
class Answer:
    """At each active step a short diffusion-negative chain gives the negative prediction.

    From z⁻ = z_t, K_t steps down the same grid with `e0 + s_dns (e0 − ep)`; then e⁻ by `source`,
    its mean and standard deviation matched to the reference's, is e_neg. Then R1
    `e = e_neg + s (ep − e_neg)`, or R2 `e = e0 + s (ep − e0) − s_neg (e_neg − e0)`. With K_t = 0,
    e_neg = e0, which is CFG. Cost: 2 + 2 K_t network evaluations a step (source `guided_last`
    2 K_t, `uncond` 1 + 2 K_t).
    """

    scale: float
    k: int = 5
    s_neg: float = 2.5
    s_dns: float | None = None
    schedule: Schedule | Sequence[int] = "first_half"
    combine: Literal["replace", "two_term"] = "replace"
    source: Literal["guided", "guided_last", "uncond"] = "guided"
    normalise: Literal["sample", "channel", "none"] = "sample"
    reference: Literal["e0", "ep"] = "e0"

    def __call__(
        self, denoise: Denoise, stepper: Stepper, x: Tensor, index: int, conditions: Conditions
    ) -> Tensor:
        """The guided prediction at grid point `index`; x and the result are (B, C, h, w)."""
        e0, ep = predict(denoise, stepper, x, index, conditions.null, conditions.prompt)
        if (length := self._length(stepper, index)) == 0:
            return e0 + self.scale * (ep - e0)
        negative = self._negative(denoise, stepper.chain(index), x, (e0, ep), length, conditions)
        e_neg = match_statistics(negative, e0 if self.reference == "e0" else ep, self.normalise)
        if self.combine == "replace":
            return e_neg + self.scale * (ep - e_neg)
        return e0 + self.scale * (ep - e0) - self.s_neg * (e_neg - e0)

    def _length(self, stepper: Stepper, index: int) -> int:
        schedule = self.schedule if isinstance(self.schedule, str) else list(self.schedule)
        options = AnswerOptions(kind="answer", k=self.k, schedule=schedule)
        pndm = hasattr(stepper.scheduler, "ets")
        return chain_lengths(options, len(stepper), "pndm" if pndm else "ddim")[index]

    def _negative(
        self,
        denoise: Denoise,
        chain: Stepper,
        z: Tensor,
        pair: tuple[Tensor, ...],
        length: int,
        conditions: Conditions,
    ) -> Tensor:
        """e⁻: the chain from z with the pair (e0, ep) that is known there already."""
        null, prompt = conditions.null, conditions.prompt
        for point in range(length):
            if point:
                pair = predict(denoise, chain, z, point, null, prompt)
            negative = self._negated(*pair)
            if point == length - 1 and self.source == "guided_last":
                return negative
            z = chain.chain_step(negative, point, z)
        if self.source == "uncond":
            return predict(denoise, chain, z, length, null)[0]
        return self._negated(*predict(denoise, chain, z, length, null, prompt))

    def _negated(self, e0: Tensor, ep: Tensor) -> Tensor:
        return e0 + (self.s_neg if self.s_dns is None else self.s_dns) * (e0 - ep)


def match_statistics(
    values: Tensor, reference: Tensor, over: Literal["sample", "channel", "none"] = "sample"
) -> Tensor:
    """Give each sample (B, C, h, w), or each of its channels, its reference's mean and deviation.

    The statistics are taken in float32: in bfloat16 they would lose most of their digits. They
    are taken sample by sample, so that they do not depend on the batch to the last bit.
    """
    if over == "none":
        return values
    axes = (0, 1, 2) if over == "sample" else (1, 2)
    v, r = values.float(), reference.float()

    def each(statistic: str, of: Tensor) -> Tensor:
        return torch.stack([getattr(one, statistic)(axes, keepdim=True) for one in of])

    standard = (v - each("mean", v)) / each("std", v)
    matched = standard * each("std", r) + each("mean", r)
    return matched.to(values.dtype)
