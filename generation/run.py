"""`generate`: makes the images of a study that are missing, alone or as one of many processes."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch

from generation.jobs import Job, missing_among, wanted_images
from generation.models import load_model
from generation.plan import Generation, drawn_with, settled
from generation.processes import Processes
from generation.prompts import Prompt, read_prompts
from generation.rows import rows_of
from generation.stores import Bucket, Folder, Store
from generation.studio import Drawn, Studio
from generation.study import StudyFile, UserError
from generation.writer import Writer

Progress = Callable[[int, int], None]
Tell = Callable[[str], None]


class GenerationError(UserError):
    """Images cannot be made now."""


@dataclass(frozen=True)
class Generated:
    """What a run did: images that this process made, that were there, and wall time."""

    made: int
    kept: int
    seconds: float


@dataclass(frozen=True)
class Work:
    """A study's images: which are wanted, which are missing, and where they are kept."""

    file: StudyFile
    table: Generation
    wanted: int
    missing: list[Job]
    store: Store


def generate(
    file: StudyFile,
    *,
    progress: Progress | None = None,
    tell: Tell | None = None,
    processes: Processes | None = None,
) -> Generated:
    """Make every image of a study that is missing; killed anywhere, the next run goes on.

    An image is missing when the manifest has no row for its prompt, seed and method that was
    made with today's settings (options, model, steps, scheduler, dtype), or when its file is
    gone. A row made with other settings stays in the file and is replaced by the new one.

    Args:
        file: the study file.
        progress: called with (images there, images wanted) after each batch.
        tell: called with what a user should know, such as a batch halved for lack of memory.
        processes: the processes that share the work; this one alone when not given.

    Raises:
        UserError: for settings, prompts or weights, and when another run works on the study.
    """
    began = time.perf_counter()
    processes = processes or Processes.alone()
    folder = file.study.place
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder) if processes.first_here else nullcontext():
        work = look(file, processes.index)
        # No process may store anything before each has seen what is missing.
        processes.wait()
        share = processes.share(work.missing)
        kept = work.wanted - len(work.missing)
        if progress:
            progress(kept, kept + len(share))
        if share:
            _draw_all(work, share, kept, progress or (lambda done, total: None), tell or print)
        processes.wait()
        if isinstance(work.store, Bucket) and processes.first_here:
            work.store.bring_home(folder)
    return Generated(len(share), kept, time.perf_counter() - began)


def look(file: StudyFile, process: int = 0) -> Work:
    """What a study wants and lacks.

    Raises:
        UserError: for settings, prompts, the manifest or the store.
    """
    base = file.path.parent
    table = settled(file.table("generation", Generation), base)
    prompts: Sequence[Prompt] = read_prompts(table.prompts, file.study.seed, base=base)
    store = Bucket.at(table.store) if table.store else Folder(file.study.place, process)
    missing = missing_among(table, prompts, store.rows())
    return Work(file, table, len(wanted_images(table, prompts)), missing, store)


def open_studio(work: Work) -> Studio:
    """Load the model of a study."""
    base = work.file.path.parent
    return Studio(work.table, load_model(work.table, base=base), base)


def _draw_all(work: Work, share: Sequence[Job], done: int, progress: Progress, tell: Tell) -> None:
    """Draw batch by batch; a batch is encoded and stored while the next one is drawn."""
    studio, total = open_studio(work), done + len(share)
    with Writer(work.store.save) as writer:
        for some, drawn in draw_in_batches(studio, share, tell):
            writer.put(lambda some=some, drawn=drawn: rows_of(work.file, studio, some, drawn))  # type: ignore[misc]
            done += len(some)
            progress(done, total)


def draw_in_batches(
    studio: Studio, jobs: Sequence[Job], tell: Tell
) -> Iterator[tuple[Sequence[Job], Drawn]]:
    """Draw jobs, a batch of one method at a time.

    Where memory does not suffice, batches are halved, and stay smaller from then on.

    Raises:
        GenerationError: memory does not suffice for one image.
    """
    size = studio.table.batch
    for method in dict.fromkeys(job.method for job in jobs):
        left = [job for job in jobs if job.method == method]
        while left:
            some = left[:size]
            drawn = _drawn_or_none(studio, some)
            if drawn is None:
                size = _halved(len(some))
                tell(f"Out of memory with {len(some)} images: going on with {size} at a time.")
                continue
            yield some, drawn
            left = left[size:]


def _halved(size: int) -> int:
    if size == 1:
        raise GenerationError(
            "memory does not suffice for one image. Try generation.compute: offload = "
            '"model" or "sequential", vae_slicing, vae_tiling, attention = "sliced"; or a '
            "smaller dtype."
        )
    return (size + 1) // 2


def _drawn_or_none(studio: Studio, jobs: Sequence[Job]) -> Drawn | None:
    options = drawn_with(studio.table)[jobs[0].method]
    try:
        return studio.draw([job.prompt.text for job in jobs], [job.seed for job in jobs], options)
    except (torch.OutOfMemoryError, RuntimeError, MemoryError) as error:
        if not _is_out_of_memory(error):
            raise
    # Outside of the handler: there the traceback still holds the tensors.
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return None


def _is_out_of_memory(error: BaseException) -> bool:
    """The CPU's allocator raises a plain RuntimeError."""
    known = isinstance(error, torch.OutOfMemoryError | MemoryError)
    return known or "can't allocate memory" in str(error)


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
