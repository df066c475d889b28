"""The guidance methods against diffusers' own pipeline and against their equations."""

from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import StableDiffusionPipeline
from torch import Tensor

from generation.methods import Answer, Cfg, Dnp, Dns
from generation.methods.answer import match_statistics
from generation.models import load_model
from generation.plan import (
    AnswerOptions,
    CfgOptions,
    DnpOptions,
    Generation,
    PromptTable,
    network_evaluations,
)
from generation.sampling import Conditions, Counted, Guide, Stepper, sample, starting_noise

STEPS = 9


@pytest.fixture(scope="module")
def model() -> Any:
    table = Generation(
        prompts=PromptTable(kind="scenes", count=1),
        methods={"m": CfgOptions(kind="cfg")},
    )
    return load_model(table, base=Path())


def drawn(model: Any, guide: Guide, *, scheduler: str = "ddim", prompts: list[str]) -> Tensor:
    stepper = Stepper.on_grid(model.scheduler(scheduler), STEPS, model.device)
    noise = starting_noise(range(len(prompts)), model.latent_shape, model.device, model.dtype)
    conditions = Conditions(model.encode([""] * len(prompts)), model.encode(prompts))
    with torch.inference_mode():
        return sample(model.denoise, guide, stepper, noise, conditions)


def distance(ours: Tensor, theirs: Tensor) -> float:
    return float((ours - theirs).norm() / theirs.norm())


@pytest.mark.parametrize("scheduler", ["ddim", "euler"])
def test_our_cfg_is_diffusers_cfg(model: Any, scheduler: str) -> None:
    prompts = ["a red circle", "a blue square and a green star"]
    parts = dict(model.pipeline.components) | {"scheduler": model.scheduler(scheduler)}
    pipeline = StableDiffusionPipeline(**parts, requires_safety_checker=False)
    pipeline.set_progress_bar_config(disable=True)
    theirs = pipeline(
        prompts,
        num_inference_steps=STEPS,
        guidance_scale=4.0,
        latents=starting_noise(range(2), model.latent_shape, model.device, model.dtype),
        output_type="latent",
    ).images
    ours = drawn(model, Cfg(4.0), scheduler=scheduler, prompts=prompts)
    assert distance(ours, theirs) <= 1e-5


@pytest.mark.parametrize("scheduler", ["ddim", "euler"])
@pytest.mark.parametrize("combine", ["replace", "two_term"])
def test_answer_without_steps_is_cfg_to_the_last_bit(
    model: Any, scheduler: str, combine: Any
) -> None:
    prompts = ["a yellow cross"]
    cfg = drawn(model, Cfg(3.0), scheduler=scheduler, prompts=prompts)
    answer = drawn(model, Answer(3.0, k=0, combine=combine), scheduler=scheduler, prompts=prompts)
    assert torch.equal(cfg, answer)
    with_steps = drawn(model, Answer(3.0, k=2, combine=combine), prompts=prompts)
    assert not torch.allclose(cfg, with_steps, atol=1e-2)


def linear(x: Tensor, t: Tensor, condition: Tensor) -> Tensor:
    """A denoiser that can be followed by hand."""
    return 0.1 * x + condition.mean(dim=(1, 2))[:, None, None, None]


CONDITIONS = Conditions(torch.zeros(1, 2, 3), torch.ones(1, 2, 3), torch.full((1, 2, 3), 0.5))


def grid(model: Any, steps: int = 41) -> Stepper:
    return Stepper.on_grid(model.scheduler("ddim"), steps, torch.device("cpu"))


@pytest.mark.parametrize(
    ("guide", "options"),
    [
        (Cfg(2.0), CfgOptions(kind="cfg")),
        (Answer(2.0, k=5), AnswerOptions(kind="answer", k=5)),
        (
            Answer(2.0, k=5, schedule="constant"),
            AnswerOptions(kind="answer", k=5, schedule="constant"),
        ),
        (Answer(2.0, k=0), AnswerOptions(kind="answer", k=0)),
    ],
)
def test_evaluations_are_the_ones_planned(model: Any, guide: Guide, options: Any) -> None:
    counted = Counted(linear)
    sample(counted, guide, grid(model), torch.randn(1, 4, 8, 8), CONDITIONS)
    assert counted.evaluations == network_evaluations(options, 41)


def test_evaluations_of_the_published_study() -> None:
    assert network_evaluations(CfgOptions(kind="cfg"), 41) == 82
    assert network_evaluations(DnpOptions(kind="dnp"), 41) == 164
    assert network_evaluations(AnswerOptions(kind="answer"), 41) == 292
    constant = AnswerOptions(kind="answer", schedule="constant")
    assert network_evaluations(constant, 41) == 462


def test_the_equations_by_hand(model: Any) -> None:
    x, stepper = torch.randn(1, 4, 8, 8), grid(model)
    e0, ep, en = 0.1 * x, 0.1 * x + 1, 0.1 * x + 0.5
    assert torch.allclose(Cfg(3.0)(linear, stepper, x, 0, CONDITIONS), e0 + 3 * (ep - e0))
    assert torch.allclose(Dns(3.0)(linear, stepper, x, 0, CONDITIONS), e0 + 3 * (e0 - ep))
    assert torch.allclose(Dnp(3.0)(linear, stepper, x, 0, CONDITIONS), en + 3 * (ep - en))
    with pytest.raises(ValueError, match="caption"):
        Dnp(3.0)(linear, stepper, x, 0, Conditions(CONDITIONS.null, CONDITIONS.prompt))
    one = Answer(3.0, k=1, s_neg=2.0)
    z = stepper.fork().step(e0 + 2 * (e0 - ep), 0, x)
    e_neg = match_statistics(0.1 * z - 2.0, e0)
    assert torch.allclose(one(linear, stepper, x, 0, CONDITIONS), e_neg + 3 * (ep - e_neg))
    two = Answer(3.0, k=1, s_neg=2.0, combine="two_term")
    expected = e0 + 3 * (ep - e0) - 2 * (e_neg - e0)
    assert torch.allclose(two(linear, stepper, x, 0, CONDITIONS), expected)


def test_statistics_are_matched_for_each_sample() -> None:
    values, reference = torch.randn(3, 4, 8, 8) * 5 + 2, torch.randn(3, 4, 8, 8) * 0.3 - 1
    matched = match_statistics(values, reference)
    for mine, wanted in zip(matched, reference, strict=True):
        assert float(mine.mean()) == pytest.approx(float(wanted.mean()), abs=1e-5)
        assert float(mine.std()) == pytest.approx(float(wanted.std()), rel=1e-5)


def test_a_chain_leaves_the_main_schedulers_state_alone(model: Any) -> None:
    stepper = Stepper.on_grid(model.scheduler("euler"), STEPS, torch.device("cpu"))
    x = torch.randn(1, 4, 8, 8)
    stepper.model_input(x, 0)
    before = stepper.scheduler.step_index
    Answer(3.0, k=3)(linear, stepper, x, 0, CONDITIONS)
    assert stepper.scheduler.step_index == before


def test_noise_depends_on_its_own_seed_alone() -> None:
    device = torch.device("cpu")
    many = starting_noise([3, 1, 2], (4, 8, 8), device, torch.float32)
    one = starting_noise([1], (4, 8, 8), device, torch.float32)
    assert torch.equal(many[1:2], one)
