"""ANSWER: adaptive negative sampling without external resources (Desai and Vasconcelos 2025).

The paper's outer equation was not at hand when this was written. Both readings are options:
`replace` (R1, the default) and `two_term` (R2).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from generation.plan import chain_lengths
from generation.sampling import Conditions, Denoise, Stepper, predict


@dataclass(frozen=True)
class Answer:
    """At each active step a short diffusion-negative chain gives the negative prediction.

    From z⁻ = z_t, K_t steps down the same grid with `e0 + s_neg (e0 − ep)`; the same prediction
    where the chain ended, its mean and standard deviation (over C, h, w) matched to e0(z_t), is
    e_neg. Then R1 `e = e_neg + s (ep − e_neg)`, or R2 `e = e0 + s (ep − e0) − s_neg (e_neg − e0)`.
    With K_t = 0, e_neg = e0, which is CFG. Cost: 2 + 2 K_t network evaluations a step.
    """

    scale: float
    k: int = 5
    s_neg: float = 2.5
    schedule: Literal["first_half", "constant"] = "first_half"
    combine: Literal["replace", "two_term"] = "replace"

    def __call__(
        self, denoise: Denoise, stepper: Stepper, x: Tensor, index: int, conditions: Conditions
    ) -> Tensor:
        """The guided prediction at grid point `index`; x and the result are (B, C, h, w)."""
        e0, ep = predict(denoise, stepper, x, index, conditions.null, conditions.prompt)
        length = chain_lengths(self.k, self.schedule, len(stepper.timesteps))[index]
        if length == 0:
            return e0 + self.scale * (ep - e0)
        # The chain's own scheduler state: the main one must not notice that it ran.
        chain = stepper.fork()
        z, negative = x, self._negated(e0, ep)
        for offset in range(length):
            z = chain.step(negative, index + offset, z)
            pair = predict(
                denoise, chain, z, index + offset + 1, conditions.null, conditions.prompt
            )
            negative = self._negated(*pair)
        e_neg = match_statistics(negative, e0)
        if self.combine == "replace":
            return e_neg + self.scale * (ep - e_neg)
        return e0 + self.scale * (ep - e0) - self.s_neg * (e_neg - e0)

    def _negated(self, e0: Tensor, ep: Tensor) -> Tensor:
        return e0 + self.s_neg * (e0 - ep)


def match_statistics(values: Tensor, reference: Tensor) -> Tensor:
    """Give each sample (B, C, h, w) the mean and standard deviation of its reference.

    The statistics are taken in float32: in bfloat16 they would lose most of their digits.
    """
    axes = tuple(range(1, values.ndim))
    v, r = values.float(), reference.float()
    standard = (v - v.mean(axes, keepdim=True)) / v.std(axes, keepdim=True)
    matched = standard * r.std(axes, keepdim=True) + r.mean(axes, keepdim=True)
    return matched.to(values.dtype)
