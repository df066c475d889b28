"""Equal sizes on the wire: a file's length must not tell which method made an image."""

from __future__ import annotations

import struct
import zlib

_END = b"IEND"
_CHUNK = b"paDd"
"""An ancillary, private chunk, safe to copy: decoders skip it (PNG specification, 5.4)."""
OVERHEAD = 12
"""Bytes of a chunk besides its content."""
_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def padded(png: bytes, size: int) -> bytes:
    """A PNG of exactly `size` bytes that shows the same image.

    Args:
        png: the file.
        size: bytes wanted: at least `OVERHEAD` more than the file has, or its own size.

    Raises:
        ValueError: it is no PNG, or is too large for the size.
    """
    missing = size - len(png)
    if missing == 0:
        return png
    end = png.rfind(_END) - 4
    if not png.startswith(_SIGNATURE) or end < 0:
        raise ValueError("not a PNG file")
    if missing < OVERHEAD:
        raise ValueError(f"a PNG of {len(png)} bytes cannot be padded to {size}")
    body = _CHUNK + bytes(missing - OVERHEAD)
    chunk = struct.pack(">I", missing - OVERHEAD) + body + struct.pack(">I", zlib.crc32(body))
    return png[:end] + chunk + png[end:]
