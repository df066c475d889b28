"""Diffusion-negative prompting: sample what fits the prompt least, word it, steer away from it."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from generation.sampling import Conditions, Denoise, Stepper, predict


@dataclass(frozen=True)
class Dns:
    """Diffusion-negative sampling, negated form: `e = e0 + s (e0 − ep)`.

    Cost: 2 network evaluations a step.
    """

    scale: float

    def __call__(
        self, denoise: Denoise, stepper: Stepper, x: Tensor, index: int, conditions: Conditions
    ) -> Tensor:
        """The negated prediction at grid point `index`; x and the result are (B, C, h, w)."""
        e0, ep = predict(denoise, stepper, x, index, conditions.null, conditions.prompt)
        return e0 + self.scale * (e0 - ep)


@dataclass(frozen=True)
class Dnp:
    """`e = en + s (ep − en)`, with en the prediction for the caption of the negative image.

    The caption n* is found beforehand (`Dns` from the image's own starting noise with the same
    s, decoded and captioned) and stays the same for all steps. Cost: 2 network evaluations a
    step here and 2 a step for the negative image.
    """

    scale: float

    @property
    def negative(self) -> Dns:
        """The chain that draws the negative image."""
        return Dns(self.scale)

    def __call__(
        self, denoise: Denoise, stepper: Stepper, x: Tensor, index: int, conditions: Conditions
    ) -> Tensor:
        """The guided prediction at grid point `index`; x and the result are (B, C, h, w).

        Raises:
            ValueError: the conditions hold no negative prompt.
        """
        if conditions.negative is None:
            raise ValueError("DNP needs the encoded caption of the negative image")
        en, ep = predict(denoise, stepper, x, index, conditions.negative, conditions.prompt)
        return en + self.scale * (ep - en)
