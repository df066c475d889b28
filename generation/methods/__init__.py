"""Guidance methods: one small frozen dataclass a paper, called with the denoiser.

`z_t` of the papers is `x`, the grid `t_0 > t_1 > …` is `Stepper.timesteps`, `s` is `scale`.
"""

from generation.methods.answer import Answer
from generation.methods.cfg import Cfg
from generation.methods.cnp import Cnp
from generation.methods.dnp import Dnp, Dns

METHODS = {"cfg": Cfg, "dnp": Dnp, "cnp": Cnp, "answer": Answer}

__all__ = ["METHODS", "Answer", "Cfg", "Cnp", "Dnp", "Dns"]
