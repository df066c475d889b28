"""One thread: with several, bursts of other work slow small networks down many times over."""

import torch

torch.set_num_threads(1)
