"""The manifest: one row an image, which carries the image's whole origin.

`manifest.jsonl` grows by one line an image, written after the image itself is in place. Of
several processes each has a file of its own, `manifest-1.jsonl` and so on. A line that a crash
tore is dropped on reading and cut off before the next one is written. A later row for the same
prompt, seed and method replaces an earlier one.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import tempfile
from dataclasses import MISSING, Field, asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from PIL import Image

from generation.study import UserError

FILE = "manifest.jsonl"


class ManifestError(UserError):
    """The manifest cannot be read."""


@dataclass(frozen=True)
class ManifestRow:
    """An image and all that made it."""

    study: str
    prompt_id: str
    prompt: str
    category: str
    seed: int
    method: str
    """The method's name in the study file."""
    options: dict[str, Any]
    """All options of the method, its kind included."""
    negative_prompt: str | None
    model: str
    revision: str
    scheduler: str
    steps: int
    dtype: str
    device: str
    width: int
    height: int
    sha256: str
    path: str
    """Relative to the study's folder."""
    created_at: str
    """ISO 8601, UTC."""
    evaluations: int
    """Network evaluations of this image."""
    seconds: float
    """Share of its batch's wall time."""
    versions: dict[str, str]
    git_commit: str
    entities: list[str] = field(default_factory=list)
    """The things that the prompt names, where its set tells them apart."""
    revision_asked: str | None = None
    null_embedding: str = "empty"
    """"empty" or "zeros"."""
    captioner: str | None = None
    """Which captioner worded the negative image, and its revision."""
    compute: dict[str, Any] = field(default_factory=dict)
    """How the machine did the work: rows a network call, attention, offloading."""

    @property
    def scene(self) -> tuple[str, int, str]:
        """What this is an image of: prompt, seed and method."""
        return (self.prompt_id, self.seed, self.method)


def read_manifest(folder: Path) -> list[ManifestRow]:
    """The rows of a study's manifest, the latest for each prompt, seed and method.

    Raises:
        ManifestError: a line other than a torn last one is not a manifest row.
    """
    rows: dict[tuple[str, int, str], ManifestRow] = {}
    several = [row for path in manifest_files(folder) for row in _rows_of(path)]
    for row in sorted(several, key=lambda row: row.created_at):
        rows[row.scene] = row
    return list(rows.values())


def manifest_files(folder: Path) -> list[Path]:
    """The manifest's files, one for each process that ever worked."""
    return sorted(folder.glob("manifest*.jsonl"))


def parse_rows(content: bytes, name: str) -> list[ManifestRow]:
    """Rows from lines of JSON; what follows the last newline was never finished.

    Raises:
        ManifestError: a line is not a manifest row.
    """
    known = {field.name for field in fields(ManifestRow)}
    needed = {field.name for field in fields(ManifestRow) if _is_needed(field)}
    rows = []
    for number, line in enumerate(content.split(b"\n")[:-1], 1):
        try:
            values = json.loads(line)
            if not needed <= values.keys():
                raise KeyError
            rows.append(ManifestRow(**{key: values[key] for key in known & values.keys()}))
        except (ValueError, KeyError, TypeError, AttributeError):
            raise ManifestError(
                f"{name}, line {number}: not a manifest row. Remove the line: "
                "its image is made again by the next `clearwinner generate`."
            ) from None
    return rows


def _is_needed(field: Field[Any]) -> bool:
    return field.default is MISSING and field.default_factory is MISSING


def _rows_of(path: Path) -> list[ManifestRow]:
    return parse_rows(path.read_bytes(), str(path))


def as_line(row: ManifestRow) -> bytes:
    """A row as a line of JSON."""
    return json.dumps(asdict(row), ensure_ascii=False).encode() + b"\n"


def append(folder: Path, row: ManifestRow, process: int = 0) -> None:
    """Add a row to a process's file and force it to the disk."""
    path = folder / (FILE if process == 0 else f"manifest-{process}.jsonl")
    with path.open("ab") as file:
        _cut_torn_line(path)
        file.seek(0, os.SEEK_END)
        file.write(as_line(row))
        file.flush()
        os.fsync(file.fileno())


def as_png(image: Image.Image) -> tuple[str, bytes]:
    """An image as PNG without metadata, and the sha256 of its bytes."""
    buffer = io.BytesIO()
    bare = Image.frombytes("RGB", image.size, image.convert("RGB").tobytes())
    bare.save(buffer, format="PNG")
    content = buffer.getvalue()
    return hashlib.sha256(content).hexdigest(), content


def image_path(digest: str) -> str:
    """Where an image lies, relative to the study's folder: under the hash of its bytes."""
    return f"images/{digest}.png"


def store_bytes(folder: Path, path: str, content: bytes) -> None:
    """Store a file. It is whole or absent, never half."""
    target = folder / path
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        _write_atomically(target, content)


def _write_atomically(target: Path, content: bytes) -> None:
    handle, name = tempfile.mkstemp(dir=target.parent, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(target)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            Path(name).unlink()
        raise


def _cut_torn_line(path: Path) -> None:
    with path.open("rb") as file:
        if file.seek(0, os.SEEK_END) == 0:
            return
        file.seek(-1, os.SEEK_END)
        if file.read(1) == b"\n":
            return
    os.truncate(path, path.read_bytes().rfind(b"\n") + 1)
