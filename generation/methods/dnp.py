"""Diffusion-negative prompting: sample what fits the prompt least, word it, steer away from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from generation.sampling import Conditions, Denoise, Stepper, predict


@dataclass(frozen=True)
class Dns:
    """Diffusion-negative sampling: `e = e0 + s (e0 − ep)`, or with the prompts swapped.

    The swapped form is the empty prompt with the prompt as its negative one,
    `e = ep + s (e0 − ep)`: the negated form at s − 1. Cost: 2 network evaluations a step.
    """

    scale: float
    form: Literal["negated", "swap"] = "negated"

    def combine(self, e0: Tensor, ep: Tensor) -> Tensor:
        """The negated prediction from those for the null prompt and the prompt."""
        return (e0 if self.form == "negated" else ep) + self.scale * (e0 - ep)

    def __call__(
        self, denoise: Denoise, stepper: Stepper, x: Tensor, index: int, conditions: Conditions
    ) -> Tensor:
        """The negated prediction at grid point `index`; x and the result are (B, C, h, w)."""
        return self.combine(
            *predict(denoise, stepper, x, index, conditions.null, conditions.prompt)
        )


@dataclass(frozen=True)
class Dnp:
    """`e = en + s (ep − en)`, with en the prediction for the caption of the negative image.

    The caption n* is found beforehand (`Dns` from the image's own starting noise with the same
    s, decoded and captioned) and stays the same for all steps. The form `two_scale` is
    `e = e0 + s (ep − e0) − s_neg (en − e0)`, s_neg = s unless it is given; with s_neg = s − 1 it
    is the form `replace`. Cost: 2 network evaluations a step here (`two_scale`: 3) and 2 a step
    for the negative image.
    """

    scale: float
    form: Literal["replace", "two_scale"] = "replace"
    s_neg: float | None = None
    dns: Literal["negated", "swap"] = "negated"

    @property
    def negative(self) -> Dns:
        """The chain that draws the negative image."""
        return Dns(self.scale, self.dns)

    def combine(self, e0: Tensor | None, ep: Tensor, en: Tensor) -> Tensor:
        """The guided prediction; e0 is needed by the form `two_scale` alone."""
        if self.form == "replace" or e0 is None:
            return en + self.scale * (ep - en)
        s_neg = self.scale if self.s_neg is None else self.s_neg
        return e0 + self.scale * (ep - e0) - s_neg * (en - e0)

    def __call__(
        self, denoise: Denoise, stepper: Stepper, x: Tensor, index: int, conditions: Conditions
    ) -> Tensor:
        """The guided prediction at grid point `index`; x and the result are (B, C, h, w).

        Raises:
            ValueError: the conditions hold no negative prompt.
        """
        if conditions.negative is None:
            raise ValueError("DNP needs the encoded caption of the negative image")
        prompt, negative = conditions.prompt, conditions.negative
        if self.form == "replace":
            ep, en = predict(denoise, stepper, x, index, prompt, negative)
            return self.combine(None, ep, en)
        e0, ep, en = predict(denoise, stepper, x, index, conditions.null, prompt, negative)
        return self.combine(e0, ep, en)
