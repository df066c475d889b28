"""The oracle reads drawn scenes without error and catches every kind of mistake."""

from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageFilter

from generation.shapes.oracle import detect, judge
from generation.shapes.scenes import Scene, SceneObject, caption, draw, sample_scene

PALE = (236, 240, 228)


def as_drawn(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    return image


def blurred(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    return image.filter(ImageFilter.GaussianBlur(0.8))


def noisy(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    pixels = np.asarray(blurred(image, rng)) + rng.normal(0, 7, (64, 64, 3))
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


@pytest.mark.parametrize(("change", "scenes"), [(as_drawn, 1200), (blurred, 400), (noisy, 400)])
def test_drawn_scenes_are_judged_exact(
    change: Callable[[Image.Image, np.random.Generator], Image.Image], scenes: int
) -> None:
    rng = np.random.default_rng(11)
    right = 0
    for index in range(scenes):
        scene = sample_scene(rng, 1 + index % 3)
        right += judge(change(draw(scene), rng), caption(scene, rng)).exact
    assert right / scenes >= 0.99


def picture(*objects: SceneObject) -> Image.Image:
    return draw(Scene(objects, PALE))


CIRCLE = SceneObject("red", "circle", 16.0, 18.0, 11.0)
SQUARE = SceneObject("blue", "square", 46.0, 44.0, 11.0)


def test_objects_are_described() -> None:
    circle, square = detect(picture(CIRCLE, SQUARE))
    assert (circle.colour, circle.shape) == ("red", "circle")
    assert (square.colour, square.shape) == ("blue", "square")
    assert (circle.x, circle.y) == pytest.approx((16, 18), abs=0.6)
    assert circle.area == pytest.approx(np.pi * 11**2, rel=0.05)


def test_an_empty_image_shows_nothing() -> None:
    assert detect(picture()) == ()
    judgement = judge(picture(), "a red circle")
    assert not judgement.exact
    assert (judgement.missing, judgement.extra, judgement.score) == (1, 0, 0.0)


@pytest.mark.parametrize(
    ("prompt", "matched", "missing", "extra", "relation_ok"),
    [
        ("a red circle and a blue square", 2, 0, 0, True),
        ("a red circle above a blue square", 2, 0, 0, True),
        ("a blue square right of a red circle", 2, 0, 0, True),
        ("a red circle below a blue square", 2, 0, 0, False),
        ("a red circle right of a blue square", 2, 0, 0, False),
        ("a green circle and a blue square", 1, 1, 1, True),
        ("a red star and a blue square", 1, 1, 1, True),
        ("a red circle", 1, 0, 1, True),
        ("a red circle, a blue square and a green star", 2, 1, 0, True),
    ],
)
def test_mistakes_are_counted(
    prompt: str, matched: int, missing: int, extra: int, relation_ok: bool
) -> None:
    judgement = judge(picture(CIRCLE, SQUARE), prompt)
    assert (judgement.matched, judgement.missing) == (matched, missing)
    assert (judgement.extra, judgement.relation_ok) == (extra, relation_ok)
    assert judgement.exact == (missing == 0 and extra == 0 and relation_ok)
    assert (judgement.score == 1.0) == judgement.exact


@pytest.mark.parametrize(
    ("place", "exact"),
    [
        ("at the top left", True),
        ("at the top right", False),
        ("at the bottom left", False),
        ("in the centre", False),
    ],
)
def test_places_are_checked(place: str, exact: bool) -> None:
    assert judge(picture(CIRCLE), f"a red circle {place}").exact == exact


def test_better_images_score_higher() -> None:
    prompt = "a red circle above a blue square"
    other = SceneObject("green", "square", 46.0, 44.0, 11.0)
    swapped = (SceneObject("red", "circle", 16, 46, 11), SceneObject("blue", "square", 46, 16, 11))
    third = SceneObject("green", "star", 46.0, 14.0, 9.0)
    scores = [
        judge(picture(*objects), prompt).score
        for objects in ((), (CIRCLE,), (CIRCLE, other), (CIRCLE, SQUARE))
    ]
    assert scores == sorted(scores)
    assert len(set(scores)) == 4
    for worse in (swapped, (CIRCLE, SQUARE, third)):
        assert 0.3 < judge(picture(*worse), prompt).score < 1


def test_a_shape_in_two_colours_is_not_right() -> None:
    pixels = np.array(picture(CIRCLE))
    red = pixels[:, 16:, 1] < 100
    pixels[:, 16:][red] = (40, 85, 220)
    assert not judge(Image.fromarray(pixels), "a red circle").exact


def test_specks_are_overlooked_and_blobs_are_not() -> None:
    pixels = np.array(picture(CIRCLE))
    pixels[50:53, 50:53] = (215, 35, 40)
    assert judge(Image.fromarray(pixels), "a red circle").exact
    pixels[48:56, 48:56] = (215, 35, 40)
    assert judge(Image.fromarray(pixels), "a red circle").extra == 1


def test_touching_objects_of_one_colour_are_unclear() -> None:
    image = picture(
        SceneObject("red", "circle", 22, 30, 11), SceneObject("red", "star", 40, 32, 11)
    )
    (found,) = detect(image)
    assert found.shape == "unclear"


def test_other_prompts_are_refused() -> None:
    with pytest.raises(ValueError, match="a dog"):
        judge(picture(CIRCLE), "a dog")
