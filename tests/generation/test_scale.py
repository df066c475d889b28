"""Generating at scale: several processes, S3, too little memory, a full disk, own methods."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
import torch
from moto.server import ThreadedMotoServer

from generation.estimate import estimate
from generation.manifest import read_manifest
from generation.models import TextToImage
from generation.processes import Processes
from generation.run import GenerationError, generate
from generation.stores import Bucket, StoreError
from generation.study import StudyFile, UserError, read_study_file
from hit_server.database import open_database, session_factory
from hit_server.hosting import host_images
from hit_server.registering import register_study
from tests.conftest import scratch_study

STUDY = """
[study]
name = "scaled"
title = "Scaled"
seed = 5
folder = "{folder}/run"
[generation]
steps = {steps}
batch = 4
seeds = {seeds}
{more}
[generation.compute]
rows = 8
[generation.prompts]
kind = "text"
file = "prompts.txt"
[generation.methods.plain]
kind = "cfg"
scale = 3.0
{methods}
"""
ROOT = Path(__file__).parents[2]


def study(
    folder: Path, *, steps: int = 2, seeds: int = 3, more: str = "", methods: str = ""
) -> StudyFile:
    folder.mkdir(exist_ok=True)
    (folder / "prompts.txt").write_text("a red circle\na blue star\na green cross\n")
    text = STUDY.format(
        folder=folder, steps=steps, seeds=[*range(seeds)], more=more, methods=methods
    )
    (folder / "study.toml").write_text(text, encoding="utf-8")
    return read_study_file(folder / "study.toml")


def hashes(file: StudyFile) -> dict[Any, str]:
    return {row.scene: row.sha256 for row in read_manifest(file.study.place)}


@pytest.mark.slow
def test_two_processes_share_the_work_and_make_what_one_makes(tmp_path: Path) -> None:
    one, two = study(tmp_path / "one"), study(tmp_path / "two")
    generate(one)
    # What `accelerate launch` starts on several accelerators; on CPUs it starts one process only.
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", "2", "-m", "generation", str(two.path)]
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
    }
    first = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)
    assert first.returncode == 0, first.stderr
    lines = [path.read_text().splitlines() for path in two.study.place.glob("manifest*.jsonl")]
    assert sorted(len(rows) for rows in lines) == [4, 5]
    assert "process 2 of 2" in first.stderr
    # One thread here and two there: the same pictures, though sums may round differently.
    assert hashes(two).keys() == hashes(one).keys()
    assert generate(two).made == 0


def test_shares_are_disjoint_and_complete() -> None:
    jobs = list(range(23))
    for number in (1, 2, 5, 30):
        shares = [Processes(i, number, i == 0, lambda: None).share(jobs) for i in range(number)]
        assert Counter(job for share in shares for job in share) == Counter(jobs)
        assert max(map(len, shares)) - min(map(len, shares)) <= 1


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, number = server.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{number}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    client = boto3.client("s3")
    client.create_bucket(Bucket="pictures")
    yield client
    server.stop()


def test_images_in_s3_are_the_same_and_come_home(tmp_path: Path, s3: Any) -> None:
    there = study(tmp_path / "s3", more='store = "s3://pictures/a/study"')
    here = study(tmp_path / "here")
    generate(here)
    assert generate(there).made == 9
    assert hashes(there) == hashes(here)
    for row in read_manifest(there.study.place):
        assert (there.study.place / row.path).is_file()
    keys = [entry["Key"] for entry in s3.list_objects_v2(Bucket="pictures")["Contents"]]
    assert len([key for key in keys if key.startswith("a/study/images/")]) == 9
    assert generate(there).made == 0
    # Another machine, with an empty folder: nothing is drawn again, all comes home.
    elsewhere = study(tmp_path / "elsewhere", more='store = "s3://pictures/a/study"')
    assert generate(elsewhere).made == 0
    assert hashes(elsewhere) == hashes(here)
    # An image that is lost in the bucket is drawn again.
    lost = next(key for key in keys if "/images/" in key)
    s3.delete_object(Bucket="pictures", Key=lost)
    assert generate(there).made == 1


def test_a_studys_images_are_hosted_in_s3(tmp_path: Path, s3: Any) -> None:
    """Under their random names, of one size, to be kept by browsers; again adds nothing."""
    file = scratch_study(tmp_path, scenes=2)
    engine = open_database(f"sqlite:///{tmp_path}/records.sqlite3")
    with session_factory(engine)() as session:
        folder = file.study.place
        record = register_study(session, file, read_manifest(folder), folder)
        assert host_images(session, record, "s3://pictures/hosted") == 4
        assert host_images(session, record, "s3://pictures/hosted") == 0
    engine.dispose()
    found = s3.list_objects_v2(Bucket="pictures", Prefix="hosted/")["Contents"]
    assert len({entry["Size"] for entry in found}) == 1
    head = s3.head_object(Bucket="pictures", Key=found[0]["Key"])
    assert (head["ContentType"], head["CacheControl"]) == (
        "image/png",
        "max-age=31536000, immutable",
    )


def test_a_row_in_s3_is_written_after_its_images(tmp_path: Path, s3: Any) -> None:
    file = study(tmp_path / "s3", more='store = "s3://pictures/b"')
    bucket = Bucket.at("s3://pictures/b")
    written: list[str] = []
    real = Bucket._write

    def watched(self: Bucket, key: str, content: bytes) -> None:
        if len(written) == 5:
            raise StoreError("the line is cut")
        written.append(key)
        real(self, key, content)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Bucket, "_write", watched)
        with pytest.raises(StoreError, match="cut"):
            generate(file)
    assert [key.split("/")[0] for key in written] == ["images"] * 4 + ["manifest"]
    assert len(bucket.rows()) == 4
    assert generate(file).made == 5


def test_a_bucket_that_is_not_there_is_named(tmp_path: Path, s3: Any) -> None:
    with pytest.raises(UserError, match="s3://nowhere"):
        generate(study(tmp_path, more='store = "s3://nowhere/x"'))


def test_too_little_memory_halves_the_batch_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, plain = study(tmp_path / "less"), study(tmp_path / "plain")
    generate(plain)
    monkeypatch.setattr(TextToImage, "denoise", limited(TextToImage.denoise, images=2))
    said: list[str] = []
    assert generate(file, tell=said.append).made == 9
    assert said[0] == "Out of memory with 4 images: going on with 2 at a time."
    assert hashes(file) == hashes(plain)


def test_memory_for_no_image_at_all_is_an_error_with_remedies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TextToImage, "denoise", limited(TextToImage.denoise, images=0))
    with pytest.raises(GenerationError, match="offload"):
        generate(study(tmp_path), tell=lambda text: None)


def limited(real: Any, *, images: int) -> Any:
    """A network that lacks memory for the noise of more than so many different images."""

    def denoise(self: TextToImage, x: torch.Tensor, t: torch.Tensor, condition: Any) -> Any:
        if len({row.numpy().tobytes() for row in x}) > images:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")
        return real(self, x, t, condition)

    return denoise


@pytest.mark.slow
@pytest.mark.slow
def test_a_full_disk_leaves_no_half_image_and_no_wrong_row(tmp_path: Path) -> None:
    """Files may grow to a size that any image has room in, and the manifest not for long."""
    file, limit = study(tmp_path, seeds=24), 64 * 64 * 3 + 1000
    code = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "from clearwinner.cli import main;"
        "import generation.writer, generation.run;"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}));"
        f"sys.argv = ['clearwinner', 'generate', {str(file.path)!r}]; main()"
    )
    command = [sys.executable, "-c", code]
    full = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=300)
    assert full.returncode == 2, full.stderr
    assert "cannot store images" in full.stderr
    assert "Traceback" not in full.stderr
    there = read_manifest(file.study.place)
    assert 1 <= len(there) < 72
    assert not list((file.study.place / "images").glob("*.part"))
    assert generate(file).made == 72 - len(there)
    assert len(read_manifest(file.study.place)) == 72


@pytest.mark.slow
def test_ctrl_c_stores_what_was_drawn(tmp_path: Path) -> None:
    file = study(tmp_path, steps=41)
    # Programs that a shell starts in the background are told to ignore Ctrl-C.
    code = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler);"
        "from clearwinner.cli import main;"
        f"sys.argv = ['clearwinner', 'generate', {str(file.path)!r}]; main()"
    )
    command = [sys.executable, "-c", code]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    manifest = file.study.place / "manifest.jsonl"
    deadline = time.monotonic() + 120
    while not manifest.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "Traceback" not in errors
    there = read_manifest(file.study.place)
    assert len(there) >= 4
    assert generate(file).made == 9 - len(there)


def test_a_dry_run_tells_the_cost_and_stores_nothing(tmp_path: Path) -> None:
    methods = '[generation.methods.answer]\nkind = "answer"\nk = 1'
    file = study(tmp_path, steps=10, methods=methods)
    told = {method.method: method for method in estimate(file).methods}
    assert (told["plain"].images, told["plain"].evaluations) == (9, 180)
    assert told["answer"].evaluations == 9 * 30
    assert all((method.seconds or 0) > 0 for method in told.values())
    assert not read_manifest(file.study.place)
    generate(file)
    assert estimate(file).methods == []


OWN = '''
"""Guidance on the second half of the steps only."""
from dataclasses import dataclass
from generation.methods import Cfg
from generation.sampling import predict

@dataclass(frozen=True)
class LateCfg:
    scale: float = 3.0

    def __call__(self, denoise, stepper, x, index, conditions):
        if index < len(stepper) // 2:
            return predict(denoise, stepper, x, index, conditions.prompt)[0]
        return Cfg(self.scale)(denoise, stepper, x, index, conditions)
'''
LATE = '[generation.methods.late]\nkind = "file"\nfile = "late.py"\noptions = { scale = 2.0 }'


def test_a_method_of_ones_own_is_one_file(tmp_path: Path) -> None:
    (tmp_path / "late.py").write_text(OWN)
    file = study(tmp_path, steps=4, methods=LATE)
    assert generate(file).made == 18
    late = [row for row in read_manifest(file.study.place) if row.method == "late"]
    assert {row.evaluations for row in late} == {6}
    assert {row.options["options"]["scale"] for row in late} == {2.0}
    assert generate(file).made == 0
    (tmp_path / "late.py").write_text(OWN + "# another version\n")
    assert generate(file).made == 9


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (OWN.replace("scale: float = 3.0", "strength: float = 3.0"), "strength"),
        ("import nothing_there", "cannot be imported"),
        ("x = 1", "must define one dataclass"),
    ],
)
def test_what_is_wrong_with_ones_own_method_is_said(
    tmp_path: Path, content: str, expected: str
) -> None:
    (tmp_path / "late.py").write_text(content)
    with pytest.raises(UserError, match=expected):
        generate(study(tmp_path, methods=LATE))
    (tmp_path / "late.py").unlink()
    with pytest.raises(UserError, match=r"methods\.late\.file"):
        generate(study(tmp_path, methods=LATE))
