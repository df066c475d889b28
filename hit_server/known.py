"""What each process remembers of comparisons: only what never changes once a HIT shows them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, bindparam, select

from hit_server.records import Comparison, ImageRecord, ShownImage

MOST = 50_000
"""Comparisons that are remembered, of about two kilobytes each."""

# Plain rows: loading the records as objects takes five times as long as asking for them.
_C, _SHOWN, _I = (each.__table__.c for each in (Comparison, ShownImage, ImageRecord))
_IMAGES = (
    select(
        _SHOWN.comparison_id,
        _SHOWN.name,
        _SHOWN.public_id,
        _I.width,
        _I.height,
    )
    .join(ImageRecord.__table__, _SHOWN.image_id == _I.id)
    .where(_SHOWN.comparison_id.in_(bindparam("comparisons", expanding=True)))
)
_COLUMNS = select(
    _C.id,
    _C.public_id,
    _C.key,
    _C.prompt_id,
    _C.prompt,
    _C.methods,
    _C.turn,
)
_COMPARISONS = _COLUMNS.where(_C.id.in_(bindparam("comparisons", expanding=True)))
_OF_HIT = select(_C.id).where(_C.hit_record_id == bindparam("hit")).order_by(_C.id)


@dataclass(frozen=True, slots=True)
class KnownImage:
    """An image as a page names it."""

    public_id: str
    width: int
    height: int


Images = dict[int, dict[str, KnownImage]]
"""Images by the comparison's record and by name."""


@dataclass(frozen=True, slots=True)
class KnownComparison:
    """A comparison that a HIT shows, or may show, and its images by the names of its methods."""

    id: int
    public_id: str
    key: str
    prompt_id: str
    prompt: str
    methods: list[str]
    turn: int
    images: Mapping[str, KnownImage]


@dataclass
class Known:
    """Comparisons by their records, and the records of those that a HIT shows."""

    comparisons: dict[int, KnownComparison] = field(default_factory=dict)
    hits: dict[int, list[int]] = field(default_factory=dict)

    def of_hit(self, connection: Connection, hit_record_id: int) -> list[KnownComparison]:
        """What a HIT shows that is not pooled, in its order: written together with the HIT."""
        ids = self.hits.get(hit_record_id)
        if ids is None:
            ids = [row.id for row in connection.execute(_OF_HIT, {"hit": hit_record_id})]
            _make_room(self.hits)
            self.hits[hit_record_id] = ids
        return self.named(connection, ids)

    def named(self, connection: Connection, ids: Iterable[int]) -> list[KnownComparison]:
        """Comparisons by their records, in the order given."""
        wanted = list(ids)
        found = {each: self.comparisons.get(each) for each in wanted}
        missing = [each for each, known in found.items() if known is None]
        if missing:
            found |= _read(connection, missing)
            _make_room(self.comparisons)
            self.comparisons |= {each: known for each in missing if (known := found[each])}
        return [known for each in wanted if (known := found[each])]


def images_named(connection: Connection, comparisons: Iterable[int]) -> Images:
    """Images by the comparison's record and by name, those of its checks included."""
    found: Images = {each: {} for each in comparisons}
    for comparison_id, name, *image in connection.execute(_IMAGES, {"comparisons": list(found)}):
        found[comparison_id][name] = KnownImage(*image)
    return found


def _read(connection: Connection, ids: list[int]) -> dict[int, KnownComparison]:
    images = images_named(connection, ids)
    found = {}
    for row in connection.execute(_COMPARISONS, {"comparisons": ids}):
        # A check's image comes later, and may be one that is still replaced.
        own = {name: image for name, image in images[row.id].items() if name in row.methods}
        found[row.id] = KnownComparison(*row, images=own)
    return found


def _make_room(remembered: dict[int, Any]) -> None:
    if len(remembered) >= MOST:
        remembered.clear()
