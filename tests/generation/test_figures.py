"""Figures: that they are drawn from the study's own images, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from generation.figures import FigureError, method_grid, negative_strips
from generation.methods import Dns
from generation.run import generate, look, open_studio
from generation.sampling import Conditions, sample, starting_noise
from generation.study import StudyFile, read_study_file

STUDY = """
[study]
name = "figures"
title = "Figures"
seed = 5
folder = "{folder}/run"
[generation]
steps = 6
[generation.prompts]
kind = "scenes"
count = 3
[generation.methods.cfg]
kind = "cfg"
scale = 3.0
[generation.methods.answer]
kind = "answer"
scale = 2.0
k = 2
"""


@pytest.fixture
def file(tmp_path: Path) -> StudyFile:
    (tmp_path / "study.toml").write_text(STUDY.format(folder=tmp_path), encoding="utf-8")
    return read_study_file(tmp_path / "study.toml")


def test_a_grid_of_the_methods(file: StudyFile, tmp_path: Path) -> None:
    with pytest.raises(FigureError, match="clearwinner generate"):
        method_grid(file, tmp_path / "out")
    generate(file)
    png = method_grid(file, tmp_path / "out", number=2)
    assert png.with_suffix(".pdf").read_bytes().startswith(b"%PDF")
    with Image.open(png) as image:
        two = image.height
    with Image.open(method_grid(file, tmp_path / "out", number=3)) as image:
        assert image.height > two


def test_a_strip_begins_with_the_whole_negative_image(file: StudyFile, tmp_path: Path) -> None:
    from generation.figures import negative_strip

    studio, prompt = open_studio(look(file)), "a red circle and a blue square"
    strips = [
        negative_strip(studio, name, prompt, at=[0, 2, 5], scale=2.0) for name in ("cfg", "answer")
    ]
    model = studio.model
    noise = starting_noise([0], model.latent_shape, model.device, model.dtype)
    conditions = Conditions(model.null(1), model.encode([prompt]))
    with torch.inference_mode():
        latents = sample(model.network(), Dns(2.0), studio.stepper(), noise, conditions)
        whole = np.asarray(model.decode(latents)[0], dtype=int)
    for strip in strips:
        assert strip.steps == [0, 2, 5]
        assert np.abs(np.asarray(strip.images[0], dtype=int) - whole).max() <= 1
        assert np.abs(np.asarray(strip.images[2], dtype=int) - whole).max() > 1
    png = negative_strips(file, tmp_path / "out", prompt, methods=["cfg", "answer"], at=[0, 5])
    assert png.exists()
    assert png.with_suffix(".pdf").exists()


def test_what_cannot_be_drawn_is_said(file: StudyFile, tmp_path: Path) -> None:
    with pytest.raises(FigureError, match="no method 'other'"):
        negative_strips(file, tmp_path, "a star", methods=["other"], at=[0])
    with pytest.raises(FigureError, match="step 6"):
        negative_strips(file, tmp_path, "a star", methods=["cfg"], at=[6])
