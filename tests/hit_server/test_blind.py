"""Nothing that a worker's browser receives, besides what the images show, tells a method."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
import pytest
from flask.testing import FlaskClient
from numpy.typing import NDArray
from PIL import Image
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from generation.manifest import append, as_png, image_path, store_bytes
from generation.study import StudyFile
from hit_server.app import create_app
from hit_server.database import open_database, session_factory
from hit_server.records import Hit, ShownImage
from hit_server.settings import Settings
from tests.conftest import manifest_row, scratch_study
from tests.hit_server.conftest import published, registered

SITE = "http://127.0.0.1:8010"
SCENES = 150
METHODS = ("alpha", "beta")


@dataclass(frozen=True)
class Received:
    """One image as a browser receives it, and the truth that it must not tell."""

    method: str
    address: str
    markup: str
    headers: tuple[tuple[str, str], ...]
    position: int
    """Among the page's images, in the order in which they are loaded."""
    rest: bytes
    """Every chunk of the file that holds no pixels."""
    seconds: float
    """From the request to the last byte, without a network's noise."""


def noisy_study(folder: Path) -> StudyFile:
    """Files of one method are several times as large as the other's."""
    file = scratch_study(folder, scenes=0)
    for number in range(SCENES):
        for method in METHODS:
            image = Image.new("RGB", (64, 64), (number, 80, 90))
            if method == "alpha":
                image = Image.effect_noise((64, 64), 90).convert("RGB")
            sha256, content = as_png(image)
            store_bytes(file.study.place, image_path(sha256), content)
            row = manifest_row(number, method, f"prompt {number}", sha256, image_path(sha256))
            append(file.study.place, row)
    return file


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    folder = tmp_path_factory.mktemp("blind")
    engine = open_database(f"sqlite:///{folder}/records.sqlite3")
    with session_factory(engine)() as session:
        study = registered(session, noisy_study(folder))
        for number, comparison in enumerate(study.comparisons):
            published(session, study, [comparison], name=f"3H{number}")
    yield engine
    engine.dispose()


@pytest.fixture(scope="module")
def received(engine: Engine) -> list[Received]:
    """Everything that one worker receives over a whole study."""
    web = create_app(Settings(worker_sites=[SITE]), engine).test_client()
    found: list[Received] = []
    addresses = _addresses(engine)
    for public_id, hit_id in addresses:
        query = {
            "assignmentId": f"A{hit_id}",
            "workerId": "AW",
            "hitId": hit_id,
            "turkSubmitTo": SITE,
        }
        found += _images(web, web.get(f"/hit/{public_id}", query_string=query).text, engine)
    assert len(found) == 2 * SCENES
    return found


def _addresses(engine: Engine) -> list[tuple[str, str]]:
    with Session(engine) as session:
        return [(hit.public_id, hit.hit_id or "") for hit in session.scalars(select(Hit))]


def _images(web: FlaskClient, page: str, engine: Engine) -> list[Received]:
    found = []
    for position, tag in enumerate(re.findall(r"<img[^>]*>", page)):
        address = re.search(r'src="([^"]+)"', tag)
        assert address is not None
        began = perf_counter()
        answer = web.get(address[1])
        seconds = perf_counter() - began
        with Session(engine) as session:
            name = address[1].rsplit("/", 1)[1]
            method = session.scalars(
                select(ShownImage.name).where(ShownImage.public_id == name)
            ).one()
        headers = tuple(
            (key, value) for key, value in answer.headers.items() if key not in ("Date",)
        )
        markup = tag.replace(address[1], "")
        rest = _besides_pixels(answer.data)
        found.append(Received(method, address[1], markup, headers, position, rest, seconds))
    return found


def _besides_pixels(png: bytes) -> bytes:
    """The kinds of a PNG's chunks and their content, pixels and padding left out."""
    found, at = b"", 8
    while at < len(png):
        length, kind = int.from_bytes(png[at : at + 4], "big"), png[at + 4 : at + 8]
        if kind not in (b"IDAT", b"paDd"):
            found += kind + png[at + 8 : at + 8 + length]
        at += 12 + length
    return found


def accuracy(features: NDArray[np.float64], labels: NDArray[np.float64]) -> float:
    """How well a linear rule learnt on one half tells the other half, and the other way round."""
    features = (features - features.mean(0)) / (features.std(0) + 1e-9)
    features = np.hstack([features, np.ones((len(features), 1))])
    right = 0
    for learn in (0, 1):
        train = np.arange(len(labels)) % 4 // 2 == learn
        weights, *_ = np.linalg.lstsq(features[train], labels[train], rcond=None)
        right += int((np.sign(features[~train] @ weights) == labels[~train]).sum())
    return right / len(labels)


def labels_of(received: list[Received]) -> NDArray[np.float64]:
    return np.array([1.0 if each.method == "alpha" else -1.0 for each in received])


def test_everything_but_address_and_place_is_the_same_for_every_image(
    received: list[Received],
) -> None:
    assert len({each.headers for each in received}) == 1
    assert len({each.rest for each in received}) == 1
    by_place = {(each.position, each.markup) for each in received}
    assert len(by_place) == 2
    assert len({each.address for each in received}) == len(received)
    assert len({len(each.address) for each in received}) == 1


def test_a_rule_learnt_from_what_is_received_does_no_better_than_chance(
    received: list[Received], engine: Engine
) -> None:
    labels = labels_of(received)
    features = np.array(
        [
            [
                each.position,
                *[int(digit, 16) for digit in each.address.rsplit("/", 1)[1]],
                float(dict(each.headers)["Content-Length"]),
                sum(len(key) + len(value) for key, value in each.headers),
                len(each.markup),
                len(each.rest),
                np.log(each.seconds),
            ]
            for each in received
        ]
    )
    # Four standard errors of guessing pairs: of two images, the one is right when the other is.
    margin = 4 * 0.5 / np.sqrt(SCENES)
    assert abs(accuracy(features, labels) - 0.5) < margin
    assert abs(accuracy(features[:, -1:], labels) - 0.5) < margin, "how long an image takes"
    # The same rule sees the files' own sizes at once: it can tell what is there to be told.
    with Session(engine) as session:
        sizes = {
            each.public_id: Path(each.image.path).stat().st_size
            for each in session.scalars(select(ShownImage))
        }
    told = np.array([[sizes[each.address.rsplit("/", 1)[1]]] for each in received], dtype=float)
    assert accuracy(told, labels) > 0.95


def test_one_image_has_another_address_in_each_comparison(tmp_path: Path) -> None:
    engine = open_database(f"sqlite:///{tmp_path}/records.sqlite3")
    groups = '[["alpha", "beta"], ["alpha", "gamma"], ["alpha", "beta", "gamma"]]'
    with session_factory(engine)() as session:
        registered(session, scratch_study(tmp_path, scenes=1, comparisons=groups))
        shown = session.scalars(select(ShownImage)).all()
        assert len(shown) == 7
        assert len({each.image_id for each in shown}) == 3
        assert len({each.public_id for each in shown}) == 7
    engine.dispose()
