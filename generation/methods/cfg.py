"""Classifier-free guidance (Ho and Salimans 2022)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from generation.sampling import Conditions, Denoise, Stepper, predict


@dataclass(frozen=True)
class Cfg:
    """`e = e0 + s (ep − e0)`, with e0 the null prediction and ep the prompt's.

    Cost: 2 network evaluations a step.
    """

    scale: float

    def __call__(
        self, denoise: Denoise, stepper: Stepper, x: Tensor, index: int, conditions: Conditions
    ) -> Tensor:
        """The guided prediction at grid point `index`; x and the result are (B, C, h, w)."""
        e0, ep = predict(denoise, stepper, x, index, conditions.null, conditions.prompt)
        return e0 + self.scale * (ep - e0)
