"""Complete negative prompting: the upper bound that ANSWER avoids."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from generation.methods.dnp import Dnp
from generation.sampling import Conditions, Denoise, Stepper, predict


@dataclass(frozen=True)
class Cnp(Dnp):
    """DNP whose negative prompt is found anew at every step.

    From the current z_t a whole diffusion-negative chain down to the image, which is decoded,
    captioned, and serves this one step. The chain's first pair is the main step's own. Cost:
    2 evaluations for each grid point left, one for the negative prompt, and a caption, a step.
    """

    def __call__(
        self, denoise: Denoise, stepper: Stepper, x: Tensor, index: int, conditions: Conditions
    ) -> Tensor:
        """The guided prediction at grid point `index`; x and the result are (B, C, h, w).

        Raises:
            ValueError: the conditions cannot word an image.
        """
        if conditions.word is None:
            raise ValueError("CNP needs a captioner")
        e0, ep = predict(denoise, stepper, x, index, conditions.null, conditions.prompt)
        chain, dns = stepper.chain(index), self.negative
        z = chain.chain_step(dns.combine(e0, ep), 0, x)
        for point in range(1, len(chain)):
            z = chain.chain_step(dns(denoise, chain, z, point, conditions), point, z)
        (en,) = predict(denoise, stepper, x, index, conditions.word(z))
        return self.combine(e0, ep, en)
