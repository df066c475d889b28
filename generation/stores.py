"""Where images and manifest are kept: the study's folder, or S3 with a copy in the folder."""

from __future__ import annotations

import io
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from generation.manifest import (
    ManifestRow,
    append,
    as_line,
    parse_rows,
    read_manifest,
    store_bytes,
)
from generation.study import UserError

Item = TypeVar("Item")
Made = TypeVar("Made")


class StoreError(UserError):
    """Images cannot be stored or fetched."""


class Store(Protocol):
    """What generation needs of a place for images."""

    def rows(self) -> list[ManifestRow]:
        """The rows whose images are there."""

    def save(self, batch: Sequence[tuple[ManifestRow, bytes]]) -> None:
        """Store images, and then their rows. Nothing is ever there by half."""


@dataclass(frozen=True)
class Folder:
    """A folder; every process adds rows to a file of its own."""

    folder: Path
    process: int = 0

    def rows(self) -> list[ManifestRow]:
        """The rows whose images are there."""
        return [row for row in read_manifest(self.folder) if (self.folder / row.path).is_file()]

    def save(self, batch: Sequence[tuple[ManifestRow, bytes]]) -> None:
        """Store images, each followed by its row.

        Raises:
            StoreError: the disk is full or cannot be written.
        """
        try:
            for row, content in batch:
                store_bytes(self.folder, row.path, content)
                append(self.folder, row, self.process)
        except OSError as error:
            raise StoreError(
                f"{self.folder}: cannot store images: {error.strerror}. Make room or give another "
                "study.folder, and run it again: what is stored is kept."
            ) from None


@dataclass(frozen=True)
class Bucket:
    """S3, or a service that speaks its API: `images/` and, an object a batch, `manifest/`.

    Retries and multipart uploads are boto3's. Credentials, region and `AWS_ENDPOINT_URL` are
    boto3's too.
    """

    name: str
    prefix: str
    client: Any

    @classmethod
    def at(cls, address: str) -> Bucket:
        """The bucket of an address `s3://bucket/prefix`."""
        import boto3
        from botocore.config import Config

        name, _, prefix = address.removeprefix("s3://").partition("/")
        config = Config(retries={"mode": "standard", "max_attempts": 8}, max_pool_connections=32)
        prefix = prefix.strip("/")
        return cls(name, prefix + "/" if prefix else "", boto3.client("s3", config=config))

    def rows(self) -> list[ManifestRow]:
        """The rows whose images are there.

        Raises:
            StoreError: the bucket cannot be read.
        """
        images = set(self._keys("images/"))
        parts = _side_by_side(self._read, self._keys("manifest/"))
        latest: dict[tuple[str, int, str], ManifestRow] = {}
        several = [row for name, part in parts for row in parse_rows(part, name)]
        for row in sorted(several, key=lambda row: row.created_at):
            latest[row.scene] = row
        return [row for row in latest.values() if row.path in images]

    def save(self, batch: Sequence[tuple[ManifestRow, bytes]]) -> None:
        """Store images, and then their rows in one object.

        Raises:
            StoreError: the bucket cannot be written.
        """
        _side_by_side(lambda pair: self._write(pair[0].path, pair[1]), batch)
        lines = b"".join(as_line(row) for row, _ in batch)
        self._write(f"manifest/{batch[0][0].created_at}-{uuid.uuid4().hex[:12]}.jsonl", lines)

    def bring_home(self, folder: Path) -> int:
        """Copy to a study's folder what it lacks; returns the number of rows added."""
        there = {(row.scene, row.sha256): row for row in Folder(folder).rows()}
        lacking = [row for row in self.rows() if (row.scene, row.sha256) not in there]
        for start in range(0, len(lacking), 64):
            some = lacking[start : start + 64]
            contents = _side_by_side(lambda row: self._read(row.path)[1], some)
            Folder(folder).save(list(zip(some, contents, strict=True)))
        return len(lacking)

    def names(self) -> list[str]:
        """Names of everything under the prefix."""
        return self._keys("")

    def put(self, name: str, content: bytes) -> None:
        """Store one file, to be kept by browsers for ever.

        Raises:
            StoreError: the bucket cannot be written.
        """
        self._write(name, content)

    def _keys(self, under: str) -> list[str]:
        def listed() -> list[str]:
            pages = self.client.get_paginator("list_objects_v2").paginate(
                Bucket=self.name, Prefix=self.prefix + under
            )
            return [
                entry["Key"].removeprefix(self.prefix)
                for page in pages
                for entry in page.get("Contents", [])
            ]

        return self._asked(listed)

    def _read(self, key: str) -> tuple[str, bytes]:
        def got() -> bytes:
            content: bytes = self.client.get_object(Bucket=self.name, Key=self.prefix + key)[
                "Body"
            ].read()
            return content

        return key, self._asked(got)

    def _write(self, key: str, content: bytes) -> None:
        more = {"ContentType": "application/x-ndjson"}
        if key.endswith(".png"):
            # What is under a name never changes.
            more = {"ContentType": "image/png", "CacheControl": "max-age=31536000, immutable"}
        self._asked(
            lambda: self.client.upload_fileobj(
                io.BytesIO(content), self.name, self.prefix + key, ExtraArgs=more
            )
        )

    def _asked(self, ask: Callable[[], Made]) -> Made:
        from boto3.exceptions import Boto3Error
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            return ask()
        except (BotoCoreError, ClientError, Boto3Error) as error:
            raise StoreError(
                f"s3://{self.name}/{self.prefix}: {error} Check the bucket's "
                "name, the credentials and AWS_ENDPOINT_URL, and run it again: what is stored "
                "is kept."
            ) from None


def _side_by_side(function: Callable[[Item], Made], items: Sequence[Item]) -> list[Made]:
    """Results in order; requests to a far store wait for each other too long one by one."""
    with ThreadPoolExecutor(16) as pool:
        return list(pool.map(function, items))
