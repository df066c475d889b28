"""The guidance methods by their equations, their costs and their identities."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from generation.methods import METHODS, Answer, Cfg, Cnp, Dnp, Dns
from generation.methods.answer import match_statistics
from generation.models import load_model
from generation.options import (
    AnswerOptions,
    CfgOptions,
    CnpOptions,
    DnpOptions,
    chain_lengths,
    matched_scale,
    network_evaluations,
)
from generation.plan import Generation
from generation.prompts import PromptTable
from generation.sampling import Condition, Conditions, Counted, Guide, Stepper, sample

STEPS = 9
SCHEDULERS = ("ddim", "euler", "dpmpp_2m", "pndm", "unipc")


@pytest.fixture(scope="module")
def model() -> Any:
    table = Generation(
        prompts=PromptTable(kind="scenes", count=1),
        methods={"m": CfgOptions(kind="cfg")},
    )
    return load_model(table, base=Path())


def told(value: float) -> Condition:
    return Condition(torch.full((1, 2, 3), value))


def linear(x: Tensor, t: Tensor, condition: Condition) -> Tensor:
    """A denoiser that can be followed by hand."""
    return 0.1 * x + condition.hidden.mean(dim=(1, 2))[:, None, None, None]


def curved(x: Tensor, t: Tensor, condition: Condition) -> Tensor:
    """A denoiser whose predictions depend on everything, not linearly."""
    level = condition.hidden.mean(dim=(1, 2))[:, None, None, None]
    return torch.tanh(x / 2 + level) + level * torch.cos(x / 4) + float(t) / 4000


CONDITIONS = Conditions(told(0.0), told(1.0), told(0.5), word=lambda latents: told(0.5))


def grid(model: Any, steps: int = 41, scheduler: str = "ddim") -> Stepper:
    return Stepper.on_grid(model.scheduler(scheduler), steps, torch.device("cpu"))


def drawn(model: Any, guide: Guide, scheduler: str = "ddim", denoise: Any = curved) -> Tensor:
    noise = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(3))
    return sample(denoise, guide, grid(model, STEPS, scheduler), noise, CONDITIONS)


@pytest.mark.parametrize("scheduler", SCHEDULERS)
@pytest.mark.parametrize("combine", ["replace", "two_term"])
def test_answer_without_steps_is_cfg_to_the_last_bit(
    model: Any, scheduler: str, combine: Any
) -> None:
    cfg = drawn(model, Cfg(3.0), scheduler)
    assert torch.equal(cfg, drawn(model, Answer(3.0, k=0, combine=combine), scheduler))
    with_steps = drawn(model, Answer(3.0, k=2, combine=combine), scheduler)
    assert not torch.allclose(cfg, with_steps, atol=1e-2)


@pytest.mark.parametrize("scheduler", SCHEDULERS)
@pytest.mark.parametrize("combine", ["replace", "two_term"])
def test_answer_that_does_not_advance_is_cfg_at_the_matched_scale(
    model: Any, scheduler: str, combine: Any
) -> None:
    """One step, its own prediction, nothing normalised: s + (s − 1) s_neg, or s + s_neg s_dns."""
    options = {"k": 1, "s_neg": 1.5, "combine": combine, "schedule": "constant"}
    answer = Answer(3.0, source="guided_last", normalise="none", **options)  # type: ignore[arg-type]
    scale = matched_scale(AnswerOptions.model_validate({"kind": "answer", "scale": 3.0, **options}))
    assert scale == (3 + (3 - 1) * 1.5 if combine == "replace" else 3 + 1.5 * 1.5)
    # At the last step nothing is left to advance to, so K_t = 0 there: plain CFG at s.
    last = STEPS - 1

    def cfg(denoise: Any, stepper: Any, x: Any, index: int, conditions: Any) -> Tensor:
        return Cfg(3.0 if index == last else scale)(denoise, stepper, x, index, conditions)

    matched, ours = drawn(model, cfg, scheduler), drawn(model, answer, scheduler)
    assert float((matched - ours).norm() / matched.norm()) <= 1e-5


@given(scale=st.floats(0, 9), s_dns=st.floats(0, 4), normalise=st.sampled_from(["sample", "none"]))
def test_both_readings_agree_where_algebra_says_so(
    model: Any, scale: float, s_dns: float, normalise: Any
) -> None:
    """R2 whose negative term has the scale s − 1 is R1."""
    x, stepper = torch.linspace(-2, 2, 256).reshape(1, 4, 8, 8), grid(model)
    one = Answer(scale, k=2, s_neg=s_dns, normalise=normalise)
    two = replace(one, combine="two_term", s_neg=scale - 1, s_dns=s_dns)
    a, b = (guide(curved, stepper, x, 0, CONDITIONS) for guide in (one, two))
    assert torch.allclose(a, b, rtol=1e-3, atol=1e-3)


@given(scale=st.floats(0, 9))
def test_both_forms_of_dnp_and_dns_agree_where_algebra_says_so(model: Any, scale: float) -> None:
    x, stepper = torch.linspace(-2, 2, 256).reshape(1, 4, 8, 8), grid(model)

    def said(guide: Guide) -> Tensor:
        return guide(curved, stepper, x, 0, CONDITIONS)

    replaced, two = said(Dnp(scale)), said(Dnp(scale, form="two_scale", s_neg=scale - 1))
    assert torch.allclose(replaced, two, rtol=1e-4, atol=1e-4)
    negated, swapped = said(Dns(scale)), said(Dns(scale + 1, form="swap"))
    assert torch.allclose(negated, swapped, rtol=1e-4, atol=1e-4)
    equal = said(Dnp(scale, form="two_scale"))
    assert torch.allclose(equal, said(Dnp(scale, form="two_scale", s_neg=scale)))


COSTS = [
    (CfgOptions(kind="cfg"), 82),
    (DnpOptions(kind="dnp"), 164),
    (DnpOptions(kind="dnp", form="two_scale"), 205),
    (CnpOptions(kind="cnp"), 1763),
    (CnpOptions(kind="cnp", form="two_scale"), 1763),
    (AnswerOptions(kind="answer"), 292),
    (AnswerOptions(kind="answer", source="guided_last"), 250),
    (AnswerOptions(kind="answer", schedule="constant"), 462),
    (AnswerOptions(kind="answer", schedule="constant", source="guided_last"), 382),
    (AnswerOptions(kind="answer", source="uncond"), 271),
    (AnswerOptions(kind="answer", schedule="linear"), None),
    (AnswerOptions(kind="answer", schedule=[3] * 41), None),
    (AnswerOptions(kind="answer", k=41, schedule="constant"), None),
    (AnswerOptions(kind="answer", k=0), 82),
]


@pytest.mark.parametrize("scheduler", ["ddim", "pndm"])
@pytest.mark.parametrize(("options", "published"), COSTS)
def test_evaluations_are_the_ones_planned(
    model: Any, options: Any, published: int | None, scheduler: Any
) -> None:
    planned = network_evaluations(options, 41, scheduler)
    if published is not None and scheduler == "ddim":
        assert planned == published
    guide = METHODS[options.kind](**options.model_dump(exclude={"kind", "steps"}))
    counted = Counted(linear)
    stepper = grid(model, 41, scheduler)
    if options.kind == "dnp":
        sample(counted, guide.negative, stepper, torch.randn(1, 4, 8, 8), CONDITIONS)
        stepper = grid(model, 41, scheduler)
    sample(counted, guide, stepper, torch.randn(1, 4, 8, 8), CONDITIONS)
    assert counted.evaluations == planned


@given(
    k=st.integers(0, 60),
    steps=st.integers(1, 60),
    schedule=st.sampled_from(["first_half", "constant", "linear"]),
)
def test_a_chain_never_runs_past_the_grid(k: int, steps: int, schedule: Any) -> None:
    lengths = chain_lengths(AnswerOptions(kind="answer", k=k, schedule=schedule), steps)
    assert len(lengths) == steps
    assert all(0 <= n <= min(k, steps - 1 - i) for i, n in enumerate(lengths))


def test_the_equations_by_hand(model: Any) -> None:
    x, stepper = torch.randn(1, 4, 8, 8), grid(model)
    e0, ep, en = 0.1 * x, 0.1 * x + 1, 0.1 * x + 0.5

    def said(guide: Guide, conditions: Conditions = CONDITIONS) -> Tensor:
        return guide(linear, stepper, x, 0, conditions)

    assert torch.allclose(said(Cfg(3.0)), e0 + 3 * (ep - e0))
    assert torch.allclose(said(Dns(3.0)), e0 + 3 * (e0 - ep))
    assert torch.allclose(said(Dnp(3.0)), en + 3 * (ep - en))
    two_scale = Dnp(3.0, form="two_scale", s_neg=1.5)
    assert torch.allclose(said(two_scale), e0 + 3 * (ep - e0) - 1.5 * (en - e0))
    assert torch.allclose(said(Cnp(3.0)), en + 3 * (ep - en))
    with pytest.raises(ValueError, match="caption"):
        said(Dnp(3.0), Conditions(CONDITIONS.null, CONDITIONS.prompt))
    with pytest.raises(ValueError, match="captioner"):
        said(Cnp(3.0), Conditions(CONDITIONS.null, CONDITIONS.prompt))
    z = stepper.chain(0).chain_step(e0 + 2 * (e0 - ep), 0, x)
    one = Answer(3.0, k=1, s_neg=2.0)
    e_neg = match_statistics(0.1 * z - 2.0, e0)
    assert torch.allclose(said(one), e_neg + 3 * (ep - e_neg))
    expected = e0 + 3 * (ep - e0) - 2 * (e_neg - e0)
    assert torch.allclose(said(replace(one, combine="two_term")), expected)
    e_null = match_statistics(0.1 * z, ep, "channel")
    channel = replace(one, source="uncond", normalise="channel", reference="ep")
    assert torch.allclose(said(channel), e_null + 3 * (ep - e_null), atol=1e-5)


def test_cnp_words_the_image_at_the_end_of_a_chain_from_where_it_is(model: Any) -> None:
    """Its chain from the starting noise is a whole diffusion-negative run."""
    worded: list[Tensor] = []

    def word(latents: Tensor) -> Condition:
        worded.append(latents)
        return told(0.5)

    conditions = replace(CONDITIONS, word=word)
    noise = torch.randn(1, 4, 8, 8)
    sample(curved, Cnp(2.0), grid(model, STEPS), noise, conditions)
    whole = sample(curved, Dns(2.0), grid(model, STEPS), noise, CONDITIONS)
    assert len(worded) == STEPS
    assert torch.equal(worded[0], whole)
    assert not torch.equal(worded[1], whole)


@pytest.mark.parametrize("over", ["sample", "channel"])
def test_statistics_are_matched(over: Any) -> None:
    values, reference = torch.randn(3, 4, 8, 8) * 5 + 2, torch.randn(3, 4, 8, 8) * 0.3 - 1
    matched = match_statistics(values, reference, over)
    axes = (1, 2, 3) if over == "sample" else (2, 3)
    assert torch.allclose(matched.mean(axes), reference.mean(axes), atol=1e-5)
    assert torch.allclose(matched.std(axes), reference.std(axes), rtol=1e-4)
    half = match_statistics(values.bfloat16(), reference.bfloat16(), over)
    assert half.dtype == torch.bfloat16
    assert torch.allclose(half.float(), matched, atol=0.02)
    assert match_statistics(values, reference, "none") is values


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_chains_leave_the_main_scheduler_alone(model: Any, scheduler: str) -> None:
    """CFG drawn while chains run beside it is CFG, to the last bit."""

    def busy(denoise: Any, stepper: Any, x: Any, index: int, conditions: Any) -> Tensor:
        for guide in (Answer(3.0, k=3), Cnp(2.0)):
            guide(denoise, stepper, x, index, conditions)
        return Cfg(3.0)(denoise, stepper, x, index, conditions)

    assert torch.equal(drawn(model, Cfg(3.0), scheduler), drawn(model, busy, scheduler))


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_a_chain_from_the_first_step_is_a_run_of_its_own(model: Any, scheduler: str) -> None:
    """Beginning in the middle, it ends where the grid ends, and visits each point once."""
    stepper = grid(model, STEPS, scheduler)
    points = len(stepper.chain(0))
    assert points == (STEPS - 1 if scheduler == "pndm" else STEPS)
    for start in range(STEPS):
        chain = stepper.chain(start)
        assert len(set(chain.timesteps.tolist())) == len(chain)
        x = torch.randn(1, 4, 8, 8) * stepper.noise_scale
        for point in range(len(chain)):
            x = chain.chain_step(Cfg(1.0)(curved, chain, x, point, CONDITIONS), point, x)
        assert torch.isfinite(x).all()


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_guidance_combines_the_models_own_output(model: Any, prediction: str) -> None:
    scheduler = model.scheduler("ddim")
    scheduler = scheduler.from_config(scheduler.config, prediction_type=prediction)
    stepper = Stepper.on_grid(scheduler, STEPS, torch.device("cpu"))
    noise = torch.randn(1, 4, 8, 8)
    by_hand = noise.clone()
    scheduler.set_timesteps(STEPS)
    for t in scheduler.timesteps:
        e0, ep = curved(by_hand, t, told(0.0)), curved(by_hand, t, told(1.0))
        by_hand = scheduler.step(e0 + 3 * (ep - e0), t, by_hand).prev_sample
    ours = sample(curved, Cfg(3.0), stepper, noise, CONDITIONS)
    assert torch.allclose(ours, by_hand, atol=1e-5)


def test_flow_models_are_guided_too() -> None:
    scheduler = FlowMatchEulerDiscreteScheduler()
    noise = torch.randn(1, 4, 8, 8)
    by_hand = noise.clone()
    scheduler.set_timesteps(STEPS)
    for t in scheduler.timesteps:
        e0, ep = curved(by_hand, t, told(0.0)), curved(by_hand, t, told(1.0))
        by_hand = scheduler.step(e0 + 3 * (ep - e0), t, by_hand).prev_sample

    def run(guide: Guide) -> Tensor:
        stepper = Stepper.on_grid(FlowMatchEulerDiscreteScheduler(), STEPS, torch.device("cpu"))
        return sample(curved, guide, stepper, noise, CONDITIONS)

    assert torch.allclose(run(Cfg(3.0)), by_hand, atol=1e-5)
    assert torch.equal(run(Answer(3.0, k=0)), run(Cfg(3.0)))
    assert torch.isfinite(run(Answer(3.0))).all()
