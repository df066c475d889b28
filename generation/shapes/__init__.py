"""The built-in model: scenes of coloured shapes, an oracle that reads them, training, weights.

Importing this package imports neither torch nor diffusers.
"""

from pathlib import Path

WEIGHTS: Path = Path(__file__).parent / "weights"
"""A folder in diffusers' layout; the captioner lies in its subfolder ``captioner``."""
