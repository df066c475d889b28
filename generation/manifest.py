"""The manifest: one row an image, which carries the image's whole origin.

`manifest.jsonl` grows by one line an image, written after the image itself is in place. A line
that a crash tore is dropped on reading and cut off before the next one is written. A later row
for the same prompt, seed and method replaces an earlier one.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import tempfile
from dataclasses import asdict, dataclass, fields
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

    @property
    def scene(self) -> tuple[str, int, str]:
        """What this is an image of: prompt, seed and method."""
        return (self.prompt_id, self.seed, self.method)


def read_manifest(folder: Path) -> list[ManifestRow]:
    """The rows of a study's manifest, the latest for each prompt, seed and method.

    Raises:
        ManifestError: a line other than a torn last one is not a manifest row.
    """
    path = folder / FILE
    if not path.exists():
        return []
    lines = path.read_bytes().split(b"\n")
    torn = lines.pop()
    del torn  # what follows the last newline was never finished
    known = {field.name for field in fields(ManifestRow)}
    rows: dict[tuple[str, int, str], ManifestRow] = {}
    for number, line in enumerate(lines, 1):
        try:
            values = json.loads(line)
            row = ManifestRow(**{key: values[key] for key in known})
        except (ValueError, KeyError, TypeError):
            raise ManifestError(
                f"{path}, line {number}: not a manifest row. Remove the line: "
                "its image is made again by the next `clearwinner generate`."
            ) from None
        rows[row.scene] = row
    return list(rows.values())


def append(folder: Path, row: ManifestRow) -> None:
    """Add a row and force it to the disk."""
    path = folder / FILE
    with path.open("ab") as file:
        _cut_torn_line(path)
        file.seek(0, os.SEEK_END)
        file.write(json.dumps(asdict(row), ensure_ascii=False).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def store_image(folder: Path, image: Image.Image) -> tuple[str, str]:
    """Store an image as PNG without metadata under the hash of its bytes.

    Returns:
        sha256 and the path relative to the folder. The file is whole or absent, never half.
    """
    buffer = io.BytesIO()
    bare = Image.frombytes("RGB", image.size, image.convert("RGB").tobytes())
    bare.save(buffer, format="PNG")
    content = buffer.getvalue()
    digest = hashlib.sha256(content).hexdigest()
    target = folder / "images" / f"{digest}.png"
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        _write_atomically(target, content)
    return digest, str(target.relative_to(folder))


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
