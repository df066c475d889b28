"""`generate`: makes the images of a study that are missing."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from generation.captions import Captioner, load_captioner
from generation.jobs import Job, missing_images, wanted_images
from generation.manifest import ManifestRow, append, store_image
from generation.methods import METHODS, Dnp
from generation.models import TextToImage, load_model
from generation.origin import git_commit, versions
from generation.plan import Generation, MethodOptions
from generation.prompts import read_prompts
from generation.sampling import Conditions, Counted, Stepper, sample, starting_noise
from generation.study import StudyFile, UserError

Progress = Callable[[int, int], None]


class GenerationError(UserError):
    """Images cannot be made now."""


@dataclass(frozen=True)
class Generated:
    """What a run did."""

    made: int
    kept: int
    seconds: float


@dataclass(frozen=True)
class Drawn:
    """A batch of images with what it took."""

    images: list[Image.Image]
    negative_prompts: list[str | None]
    evaluations: int
    seconds: float


@dataclass
class Studio:
    """Everything that draws: the model, and the captioner once a method needs it."""

    table: Generation
    model: TextToImage
    captioner: Captioner | None = None

    @torch.inference_mode()
    def draw(self, prompts: Sequence[str], seeds: Sequence[int], options: MethodOptions) -> Drawn:
        """Draw one image for each prompt and seed with one method."""
        began = time.perf_counter()
        guide: Any = METHODS[options.kind](**options.model_dump(exclude={"kind"}))
        model = self.model
        denoise = Counted(model.denoise)
        noise = starting_noise(seeds, model.latent_shape, model.device, model.dtype)
        null, prompt = model.encode([""] * len(prompts)), model.encode(prompts)
        words: list[str] | None = None
        conditions = Conditions(null, prompt)
        if isinstance(guide, Dnp):
            latents = sample(denoise, guide.negative, self._stepper(), noise, conditions)
            words = self._captioner().caption(model.decode(latents))
            conditions = Conditions(null, prompt, model.encode(words))
        latents = sample(denoise, guide, self._stepper(), noise, conditions)
        images = model.decode(latents)
        negatives: list[str | None] = list(words) if words is not None else [None] * len(prompts)
        evaluations = denoise.evaluations // len(prompts)
        return Drawn(images, negatives, evaluations, time.perf_counter() - began)

    def _stepper(self) -> Stepper:
        scheduler = self.model.scheduler(self.table.scheduler)
        return Stepper.on_grid(scheduler, self.table.steps, self.model.device)

    def _captioner(self) -> Captioner:
        if self.captioner is None:
            self.captioner = load_captioner(self.table, self.model.device, self.model.dtype)
        return self.captioner


def generate(file: StudyFile, *, progress: Progress | None = None) -> Generated:
    """Make every image of a study that is missing; killed anywhere, the next run goes on.

    An image is missing when the manifest has no row for its prompt, seed and method that was
    made with today's settings (options, model, steps, scheduler, dtype), or when its file is
    gone. A row made with other settings stays in the file and is replaced by the new one.

    Args:
        file: the study file.
        progress: called with (images there, images wanted) after each batch.

    Raises:
        UserError: for settings, prompts or weights, and when another run works on the study.
    """
    began = time.perf_counter()
    study, table = file.study, file.table("generation", Generation)
    prompts = read_prompts(table.prompts, study.seed, base=file.path.parent)
    folder = study.place
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder):
        jobs = wanted_images(table, prompts)
        missing = missing_images(table, prompts, folder)
        done = len(jobs) - len(missing)
        if progress:
            progress(done, len(jobs))
        if missing:
            studio = Studio(table, load_model(table, base=file.path.parent))
            for batch in _batches(missing, table.batch):
                _make(file.study.name, studio, batch, folder)
                done += len(batch)
                if progress:
                    progress(done, len(jobs))
    return Generated(len(missing), len(jobs) - len(missing), time.perf_counter() - began)


def _batches(jobs: Sequence[Job], size: int) -> Iterator[Sequence[Job]]:
    """Neighbouring jobs of one method, at most `size` of them."""
    for method in dict.fromkeys(job.method for job in jobs):
        same = [job for job in jobs if job.method == method]
        for start in range(0, len(same), size):
            yield same[start : start + size]


def _make(study: str, studio: Studio, batch: Sequence[Job], folder: Path) -> None:
    """Draw a batch and store it: each image first, then its row."""
    table, model = studio.table, studio.model
    options = table.methods[batch[0].method]
    drawn = studio.draw([job.prompt.text for job in batch], [job.seed for job in batch], options)
    for job, image, negative in zip(batch, drawn.images, drawn.negative_prompts, strict=True):
        sha256, path = store_image(folder, image)
        row = ManifestRow(
            study=study,
            prompt_id=job.prompt.id,
            prompt=job.prompt.text,
            category=job.prompt.category,
            seed=job.seed,
            method=job.method,
            options=options.model_dump(),
            negative_prompt=negative,
            model=model.name,
            revision=model.revision,
            scheduler=table.scheduler,
            steps=table.steps,
            dtype=table.dtype,
            device=str(model.device),
            width=image.width,
            height=image.height,
            sha256=sha256,
            path=path,
            created_at=datetime.now(UTC).isoformat(timespec="seconds"),
            evaluations=drawn.evaluations,
            seconds=round(drawn.seconds / len(batch), 4),
            versions=versions(),
            git_commit=git_commit(),
        )
        append(folder, row)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the study's lock; the system gives it back when the process ends, however it ends."""
    with (folder / ".generate.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise GenerationError(
                f"another `generate` is at work in {folder}. Wait for it, or stop it."
            ) from None
        yield
