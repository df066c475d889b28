"""The committed model: its size, its layout, and that it draws what it is told."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline
from safetensors import safe_open

from generation.shapes import WEIGHTS
from generation.shapes.autoencoder import encode, fidelity
from generation.shapes.dataset import make_pixels, make_scenes
from generation.shapes.evaluate import load, sample
from generation.shapes.export import BUDGET, size_of
from generation.shapes.oracle import judge
from generation.shapes.scenes import caption, sample_prompts

BEST_SCALE = 4.0
FLOOR = 0.55
"""Well under the measured share, so that the 24 prompts below hardly ever fail by chance."""


@pytest.fixture(scope="module")
def pipeline() -> StableDiffusionPipeline:
    return load()


def test_the_folder_is_small_and_in_half_precision() -> None:
    assert size_of(WEIGHTS) <= BUDGET
    files = list(WEIGHTS.rglob("*.safetensors"))
    assert len(files) == 4
    for path in files:
        with safe_open(path, "pt") as weights:
            kinds = {weights.get_slice(name).get_dtype() for name in weights.keys()}  # noqa: SIM118
        assert kinds == {"F16"}, path


def test_finding_the_folder_loads_no_torch() -> None:
    code = "import sys, generation.shapes; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_diffusers_loads_it_in_single_precision() -> None:
    pipeline = StableDiffusionPipeline.from_pretrained(WEIGHTS)
    parts = (pipeline.unet, pipeline.vae, pipeline.text_encoder)
    assert {part.dtype for part in parts} == {torch.float32}
    assert pipeline.vae_scale_factor == 4
    assert pipeline.vae.config.scaling_factor == 1
    assert pipeline.unet.config.sample_size == 16


@pytest.mark.slow
def test_prompts_with_one_or_two_objects_are_drawn(pipeline: StableDiffusionPipeline) -> None:
    prompts = sample_prompts(24, seed=7, objects=(1, 2), fold="test")
    images = sample(pipeline, prompts, BEST_SCALE, seed=100)
    right = [judge(image, prompt).exact for image, prompt in zip(images, prompts, strict=True)]
    assert np.mean(right) >= FLOOR


def test_the_same_seed_draws_the_same_image(pipeline: StableDiffusionPipeline) -> None:
    first, second = (next(sample(pipeline, ["a red circle"], 1.0, seed=3)) for _ in range(2))
    assert first.tobytes() == second.tobytes()


def test_the_oracle_reads_scenes_after_a_round_trip(pipeline: StableDiffusionPipeline) -> None:
    scenes = make_scenes(300, seed=12345)
    pixels = make_pixels(scenes)
    with torch.no_grad():
        latents = encode(pipeline.vae, pixels).split(50)
        drawn = torch.cat([pipeline.vae.decode(part).sample for part in latents])
    images = pipeline.image_processor.postprocess(drawn)
    rng = np.random.default_rng(0)
    right = [
        judge(image, caption(scene, rng)).exact for image, scene in zip(images, scenes, strict=True)
    ]
    assert np.mean(right) >= 0.99
    assert latents[0].std() == pytest.approx(1, abs=0.15)


def test_a_round_trip_is_close(pipeline: StableDiffusionPipeline) -> None:
    assert fidelity(pipeline.vae, make_pixels(make_scenes(64, seed=5))) > 29
