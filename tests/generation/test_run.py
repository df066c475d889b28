"""Generating: what is missing is made, crashes lose nothing, and every image tells its origin."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from generation.manifest import FILE, ManifestError, read_manifest
from generation.run import generate
from generation.study import StudyFile, UserError, read_study_file

STUDY = """
[study]
name = "tiny"
title = "Tiny"
seed = 5
folder = "{folder}/run"
[generation]
steps = {steps}
batch = {batch}
seeds = [0, 1]
[generation.compute]
rows = 4
[generation.prompts]
kind = "text"
file = "prompts.txt"
[generation.methods.plain]
kind = "cfg"
scale = {scale}
[generation.methods.answer]
kind = "answer"
scale = 2.0
k = 1
{more}
"""
DNP = '[generation.methods.dnp]\nkind = "dnp"\nscale = 1.5'


def study(
    folder: Path, *, steps: int = 2, batch: int = 2, scale: float = 3.0, more: str = ""
) -> StudyFile:
    folder.mkdir(exist_ok=True)
    (folder / "prompts.txt").write_text("a red circle\na blue star\n\n", encoding="utf-8")
    text = STUDY.format(folder=folder, steps=steps, batch=batch, scale=scale, more=more)
    (folder / "study.toml").write_text(text, encoding="utf-8")
    return read_study_file(folder / "study.toml")


def test_images_carry_their_origin_and_a_second_run_makes_nothing(tmp_path: Path) -> None:
    file = study(tmp_path, more=DNP)
    seen: list[tuple[int, int]] = []
    first = generate(file, progress=lambda done, total: seen.append((done, total)))
    assert (first.made, first.kept) == (12, 0)
    assert seen[0] == (0, 12)
    assert seen[-1] == (12, 12)
    again = generate(file)
    assert (again.made, again.kept) == (0, 12)
    rows = {row.scene: row for row in read_manifest(file.study.place)}
    assert len(rows) == 12
    for row in rows.values():
        path = file.study.place / row.path
        with Image.open(path) as image:
            assert image.info == {}
            assert image.size == (row.width, row.height) == (64, 64)
        assert path.stem == row.sha256
        assert row.versions["torch"]
        assert (row.negative_prompt is not None) == (row.method == "dnp")
        assert row.evaluations == {"plain": 4, "answer": 6, "dnp": 8}[row.method]


def test_bytes_do_not_depend_on_the_batch(tmp_path: Path) -> None:
    made = []
    for name, batch in (("one", 1), ("three", 3)):
        file = study(tmp_path / name, batch=batch, steps=4)
        generate(file)
        made.append({row.scene: row.sha256 for row in read_manifest(file.study.place)})
    assert made[0] == made[1]


def test_new_settings_make_their_images_anew_and_only_those(tmp_path: Path) -> None:
    generate(study(tmp_path))
    made = generate(study(tmp_path, scale=4.0))
    assert (made.made, made.kept) == (4, 4)
    rows = read_manifest(tmp_path / "run")
    assert len(rows) == 8
    assert {row.options["scale"] for row in rows if row.method == "plain"} == {4.0}


def test_a_lost_image_is_made_again(tmp_path: Path) -> None:
    file = study(tmp_path)
    generate(file)
    next((tmp_path / "run" / "images").iterdir()).unlink()
    assert generate(file).made == 1


def test_a_torn_last_line_is_dropped_and_mended(tmp_path: Path) -> None:
    file = study(tmp_path)
    generate(file)
    manifest = tmp_path / "run" / FILE
    content = manifest.read_bytes()
    manifest.write_bytes(content[:-40])
    assert len(read_manifest(tmp_path / "run")) == 7
    assert generate(file).made == 1
    assert len(read_manifest(tmp_path / "run")) == 8
    manifest.write_bytes(b"nonsense\n" + content)
    with pytest.raises(ManifestError, match="line 1"):
        read_manifest(tmp_path / "run")


@pytest.mark.slow
def test_killed_for_real_it_goes_on(tmp_path: Path) -> None:
    file = study(tmp_path, steps=30, batch=1)
    command = [sys.executable, "-m", "clearwinner.cli", "generate", str(file.path)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    manifest = tmp_path / "run" / FILE
    deadline = time.monotonic() + 120
    while not (manifest.exists() and manifest.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.02)
    with pytest.raises(UserError, match="another `generate`"):
        generate(file)
    process.send_signal(signal.SIGKILL)
    process.wait()
    there = len(read_manifest(tmp_path / "run"))
    assert 1 <= there < 8
    rest = generate(file)
    assert (rest.made, rest.kept) == (8 - there, there)
    assert len(manifest.read_text(encoding="utf-8").splitlines()) == 8
    assert not list((tmp_path / "run" / "images").glob("*.part"))


def test_missing_weights_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Without a network the library tries again for a while.
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    file = study(tmp_path)
    text = file.path.read_text(encoding="utf-8")
    file.path.write_text(
        text.replace("[generation]", '[generation]\nmodel = "no/such-model"', 1), encoding="utf-8"
    )
    with pytest.raises(UserError, match="no/such-model"):
        generate(read_study_file(file.path))
