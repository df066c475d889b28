"""Scenes, their captions, and the line between training and test."""

import itertools

import numpy as np
import pytest

from generation.shapes import scenes
from generation.shapes.scenes import (
    COLOURS,
    PLACES,
    SHAPES,
    Scene,
    SceneObject,
    Wanted,
    WantedObject,
)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_scene_has_different_objects_inside_and_apart(count: int) -> None:
    for seed in range(50):
        scene = scenes.sample_scene(rng(seed), count)
        assert len({(item.colour, item.shape) for item in scene.objects}) == count
        for item in scene.objects:
            corners = scenes.outline(item.shape, item.x, item.y, item.radius)
            assert all(0 < value < scenes.SIZE for corner in corners for value in corner)
        for one, other in itertools.combinations(scene.objects, 2):
            near = np.hypot(one.x - other.x, one.y - other.y)
            assert near > one.radius + other.radius + 3


def test_the_same_seed_draws_the_same_picture() -> None:
    first, second = (scenes.draw(scenes.sample_scene(rng(7), 3)) for _ in range(2))
    assert first.tobytes() == second.tobytes()
    assert first.size == (64, 64)
    assert first.mode == "RGB"


@pytest.mark.parametrize("count", [0, 4])
def test_no_scene_of_another_size(count: int) -> None:
    with pytest.raises(ValueError, match=str(count)):
        scenes.sample_scene(rng(), count)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_centre_of_a_shape_is_its_centre_of_mass(shape: str) -> None:
    scene = Scene((SceneObject("red", shape, 30.0, 34.0, 12.0),), (240, 240, 240))
    mask = np.asarray(scenes.draw(scene))[..., 1] < 140
    rows, columns = np.nonzero(mask)
    assert columns.mean() + 0.5 == pytest.approx(30, abs=0.6)
    assert rows.mean() + 0.5 == pytest.approx(34, abs=0.6)


def test_an_unknown_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="hexagon"):
        scenes.outline("hexagon", 0, 0, 1)


@pytest.mark.parametrize(
    ("prompt", "wanted"),
    [
        ("a red circle", Wanted((WantedObject("red", "circle"),))),
        (
            "an orange star at the top left",
            Wanted((WantedObject("orange", "star", "at the top left"),)),
        ),
        (
            "A red circle and a  blue square.",
            Wanted((WantedObject("red", "circle"), WantedObject("blue", "square"))),
        ),
        (
            "a red circle left of a blue square",
            Wanted((WantedObject("red", "circle"), WantedObject("blue", "square")), "left of"),
        ),
        (
            "a red circle, a blue square and a green star",
            Wanted(
                (
                    WantedObject("red", "circle"),
                    WantedObject("blue", "square"),
                    WantedObject("green", "star"),
                )
            ),
        ),
    ],
)
def test_prompts_are_read(prompt: str, wanted: Wanted) -> None:
    assert scenes.parse(prompt) == wanted


@pytest.mark.parametrize(
    "prompt",
    [
        "",
        "a dog",
        "a red circle at the moon",
        "a red circle and",
        "a red circle above a blue square above a green star",
        "a red star, a red cross, a blue star and a green star",
    ],
)
def test_other_texts_are_refused_by_name(prompt: str) -> None:
    with pytest.raises(ValueError, match="prompt") as error:
        scenes.parse(prompt)
    assert repr(prompt) in str(error.value)


def test_every_caption_can_be_read_and_is_true() -> None:
    for seed in range(200):
        generator = rng(seed)
        scene = scenes.sample_scene(generator, 1 + seed % 3)
        wanted = scenes.parse(scenes.caption(scene, generator))
        kinds = {(item.colour, item.shape) for item in wanted.objects}
        assert kinds == {(item.colour, item.shape) for item in scene.objects}
        if wanted.objects[0].place:
            assert (
                scenes.place_of(scene.objects[0].x, scene.objects[0].y) == wanted.objects[0].place
            )


def test_words_survive_reading() -> None:
    for count in (1, 2, 3):
        for wanted in scenes.all_wanted(count)[::17]:
            assert scenes.parse(scenes.word(wanted)) == wanted


def test_all_requests_are_counted() -> None:
    kinds = len(COLOURS) * len(SHAPES)
    assert len(scenes.all_wanted(1)) == kinds * (1 + len(PLACES))
    assert len(scenes.all_wanted(2)) == kinds * (kinds - 1) // 2 * 5
    texts = {scenes.canonical(wanted) for wanted in scenes.all_wanted(2)}
    assert len(texts) == 2175


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a red circle and a blue square", "a blue square and a red circle"),
        ("a red circle above a blue square", "a blue square below a red circle"),
        ("a red circle left of a blue square", "a blue square right of a red circle"),
        (
            "a red circle, a blue square and a green star",
            "a green star, a red circle and a blue square",
        ),
    ],
)
def test_equal_requests_fall_on_the_same_side(one: str, other: str) -> None:
    assert scenes.canonical(scenes.parse(one)) == scenes.canonical(scenes.parse(other))
    assert scenes.held_out(one) == scenes.held_out(other)
    assert scenes.fold_of(one) == scenes.fold_of(other)


@pytest.mark.parametrize(("count", "share"), [(1, 0.4), (2, 0.2), (3, 0.2)])
def test_the_share_held_out(count: int, share: float) -> None:
    texts = [scenes.word(wanted) for wanted in scenes.all_wanted(count)]
    assert np.mean([scenes.held_out(text) for text in texts]) == pytest.approx(share, abs=0.03)


def test_training_never_sees_a_held_out_caption() -> None:
    generator = rng(3)
    for index in range(500):
        scene = scenes.sample_scene(generator, 1 + index % 3)
        text = scenes.training_caption(scene, generator)
        assert text is None or not scenes.held_out(text)


def test_sampled_prompts_are_distinct_seeded_held_out_and_even() -> None:
    prompts = scenes.sample_prompts(90, seed=1)
    assert prompts == scenes.sample_prompts(90, seed=1)
    assert prompts != scenes.sample_prompts(90, seed=2)
    assert len({scenes.canonical(scenes.parse(prompt)) for prompt in prompts}) == 90
    assert all(scenes.held_out(prompt) for prompt in prompts)
    counts = [len(scenes.parse(prompt).objects) for prompt in prompts]
    assert [counts.count(number) for number in (1, 2, 3)] == [30, 30, 30]


def test_folds_are_disjoint() -> None:
    tune = scenes.sample_prompts(120, seed=0, fold="tune")
    test = scenes.sample_prompts(120, seed=0, fold="test")
    known = {scenes.canonical(scenes.parse(prompt)) for prompt in tune}
    assert not known & {scenes.canonical(scenes.parse(prompt)) for prompt in test}


def test_where_one_number_of_objects_runs_out_another_fills_up() -> None:
    prompts = scenes.sample_prompts(300, seed=0, objects=(1, 2))
    counts = [len(scenes.parse(prompt).objects) for prompt in prompts]
    assert counts.count(1) == 117
    assert counts.count(2) == 183


def test_more_prompts_than_there_are_is_an_error() -> None:
    with pytest.raises(ValueError, match="only 117"):
        scenes.sample_prompts(118, seed=0, objects=(1,))
