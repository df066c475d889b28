"""The committed captioner, used as transformers documents BLIP-2."""

import pytest
from transformers import Blip2ForConditionalGeneration, Blip2Processor

from generation.shapes import WEIGHTS
from generation.shapes.captioner import describe, exact_share, load_captioner, plain_caption
from generation.shapes.dataset import make_scenes
from generation.shapes.scenes import Scene, SceneObject, draw

FLOOR = 0.7
"""Well under the share in the model card."""


def test_objects_are_named_from_left_to_right() -> None:
    objects = (
        SceneObject("blue", "square", 48.0, 20.0, 10.0),
        SceneObject("red", "circle", 14.0, 40.0, 10.0),
    )
    assert plain_caption(Scene(objects, (240, 240, 240))) == "a red circle and a blue square"


def test_the_documented_calls_work() -> None:
    processor = Blip2Processor.from_pretrained(WEIGHTS / "captioner")
    model = Blip2ForConditionalGeneration.from_pretrained(WEIGHTS / "captioner")
    image = draw(make_scenes(1, 5)[0])
    inputs = processor(images=image, return_tensors="pt")
    assert inputs["pixel_values"].shape == (1, 3, 64, 64)
    (text,) = processor.batch_decode(model.generate(**inputs), skip_special_tokens=True)
    assert text.startswith("a")


@pytest.mark.slow
def test_scenes_are_described() -> None:
    scenes = make_scenes(100, 4321)
    model, processor = load_captioner(WEIGHTS / "captioner")
    images = [draw(scene) for scene in scenes]
    assert exact_share(model, processor, scenes, images) >= FLOOR
    assert len(describe(model, processor, images[:3])) == 3
