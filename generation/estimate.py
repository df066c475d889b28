"""What a study's missing images would take, from a short measured sample."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from generation.options import MethodOptions, network_evaluations
from generation.plan import drawn_with
from generation.run import look, open_studio
from generation.studio import Studio
from generation.study import StudyFile

SHORT, LONG = 4, 8
"""Steps of the two samples: their difference is the network's time, the rest is overhead."""


@dataclass(frozen=True)
class MethodEstimate:
    """One method's missing images."""

    method: str
    images: int
    evaluations: int | None
    """Network evaluations of them all; None where only drawing can tell."""
    seconds: float | None
    """Of one process on this machine; None where nothing is missing or evaluations are unknown."""


@dataclass(frozen=True)
class Estimate:
    """All methods; `seconds` leaves out those that could not be estimated."""

    methods: list[MethodEstimate]
    device: str

    @property
    def seconds(self) -> float:
        """Of one process on this machine, the loading of the model left out."""
        return sum(method.seconds or 0.0 for method in self.methods)


def estimate(file: StudyFile) -> Estimate:
    """Measure a short sample of each method with missing images; nothing is stored.

    Each method draws a batch through 4 and through 8 steps. Time is taken to be a constant for a
    batch (texts, decoding, captions) and a multiple of its network evaluations.

    Raises:
        UserError: for settings, prompts or weights.
    """
    work = look(file)
    missing = dict.fromkeys(work.table.methods, 0)
    for job in work.missing:
        missing[job.method] += 1
    studio = open_studio(work) if work.missing else None
    texts = [job.prompt.text for job in work.missing[: work.table.batch]]
    methods = [_estimate(studio, name, number, texts) for name, number in missing.items() if studio]
    return Estimate(methods, str(studio.model.device) if studio else "")


def _estimate(studio: Studio, name: str, number: int, texts: list[str]) -> MethodEstimate:
    table = studio.table
    options = drawn_with(table)[name]
    evaluations = network_evaluations(options, table.steps, table.scheduler)
    if not number or evaluations is None:
        return MethodEstimate(name, number, None if evaluations is None else 0, None)
    texts = texts[:number]
    _measured(studio, options, texts, SHORT)
    constant, slope = _line(*(_measured(studio, options, texts, n) for n in (SHORT, LONG)))
    each = constant / len(texts) + slope * evaluations / len(texts)
    return MethodEstimate(name, number, evaluations * number, each * number)


def _measured(
    studio: Studio, options: MethodOptions, texts: list[str], steps: int
) -> tuple[int, float]:
    """Network evaluations an image, and seconds of the batch."""
    fewer: dict[str, Any] = {"steps": steps}
    short = Studio(studio.table.model_copy(update=fewer), studio.model, studio.base)
    short.captioner = studio.captioner
    own = options.model_copy(update=fewer) if hasattr(options, "steps") else options
    drawn = short.draw(texts, list(range(len(texts))), own)
    studio.captioner = short.captioner
    return drawn.evaluations, drawn.seconds


def _line(a: tuple[int, float], b: tuple[int, float]) -> tuple[float, float]:
    """Constant and slope through two points; on a busy machine they may not rise."""
    slope = max(0.0, (b[1] - a[1]) / max(1, b[0] - a[0]))
    return max(0.0, a[1] - slope * a[0]), slope
