"""The one command that trains everything, at a scale of seconds."""

from pathlib import Path

import numpy as np
import pytest
import torch

from generation.shapes import train
from generation.shapes.autoencoder import encode, fold_scale, make_autoencoder
from generation.shapes.captioner import caption_ids, make_processor, plain_caption
from generation.shapes.dataset import make_pixels, make_scenes, to_unit
from generation.shapes.evaluate import accuracies, as_markdown, load, sample, wilson
from generation.shapes.export import BUDGET, size_of
from generation.shapes.scenes import COLOURS, SHAPES, all_wanted, word
from generation.shapes.text import make_tokenizer, token_ids
from generation.shapes.training import Plan, fit


def test_scenes_are_seeded_and_mixed() -> None:
    scenes = make_scenes(200, 3)
    assert scenes == make_scenes(200, 3)
    assert {len(scene.objects) for scene in scenes} == {1, 2, 3}
    pixels = make_pixels(scenes[:4])
    assert pixels.shape == (4, 3, 64, 64)
    assert to_unit(pixels).abs().max() <= 1


def test_every_word_is_one_token() -> None:
    tokenizer = make_tokenizer()
    words = [*COLOURS, *SHAPES, "above", "below", "centre", ",", "and", "a", "an"]
    assert all(len(tokenizer(text).input_ids) == 3 for text in words)
    longest = max(len(tokenizer(word(wanted)).input_ids) for wanted in all_wanted(3)[:50])
    assert longest <= tokenizer.model_max_length == 24
    ids = token_ids(tokenizer, ["", "a red circle"])
    assert ids.shape == (2, 24)
    assert ids[0, 2:].eq(tokenizer.pad_token_id).all()
    assert len({tokenizer.pad_token_id, tokenizer.bos_token_id, tokenizer.eos_token_id}) == 3


def test_captions_of_the_captioner_come_back_as_text() -> None:
    processor = make_processor()
    texts = [plain_caption(scene) for scene in make_scenes(12, 0)]
    ids = caption_ids(processor, texts)
    assert processor.batch_decode(ids, skip_special_tokens=True) == texts


def test_folding_leaves_the_round_trip_and_scales_the_latents() -> None:
    torch.manual_seed(0)
    model = make_autoencoder((8, 8, 8)).eval()
    pixels = make_pixels(make_scenes(32, 0))
    with torch.no_grad():
        before = model.decode(encode(model, pixels)).sample
        fold_scale(model, pixels)
        latents = encode(model, pixels)
        assert latents.mean((0, 2, 3)).abs().max() < 1e-3
        assert latents.std((0, 2, 3)).sub(1).abs().max() < 1e-3
        assert torch.allclose(model.decode(latents).sample, before, atol=1e-4)


def steps_of(folder: Path, seconds: float, weight: torch.nn.Linear) -> int:
    def loss_of(rng: np.random.Generator, noise: torch.Generator) -> torch.Tensor:
        inputs = torch.randn(16, 4, generator=noise)
        return (weight(inputs) - inputs.sum(1, keepdim=True)).square().mean()

    groups = [{"params": list(weight.parameters()), "lr": 0.05}]
    plan = Plan("line", seconds, seed=0, warmup=5, decay=0.9, save_every=0.1)
    return fit(plan, {"weight": weight}, groups, loss_of, folder)


def test_training_learns_and_goes_on_where_it_stopped(tmp_path: Path) -> None:
    first = steps_of(tmp_path, 0.4, torch.nn.Linear(4, 1))
    torch.manual_seed(0)
    weight = torch.nn.Linear(4, 1)
    before = weight.weight.detach().sub(1).norm()
    assert steps_of(tmp_path, 0.8, weight) > first
    assert weight.weight.sub(1).norm() < before
    assert steps_of(tmp_path, 0.8, weight) == steps_of(tmp_path, 0.5, weight)


def test_going_on_does_not_lower_the_rate_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps_of(tmp_path, 0.3, torch.nn.Linear(4, 1))
    rates: list[float] = []
    step = torch.optim.AdamW.step

    def recording(self: torch.optim.AdamW) -> None:
        rates.append(self.param_groups[0]["lr"])
        step(self)

    monkeypatch.setattr(torch.optim.AdamW, "step", recording)
    steps_of(tmp_path, 0.6, torch.nn.Linear(4, 1))
    assert 0.015 < max(rates) < 0.035


def test_a_loss_that_is_no_number_stops(tmp_path: Path) -> None:
    weight = torch.nn.Linear(4, 1)
    torch.nn.init.constant_(weight.bias, float("nan"))
    with pytest.raises(FloatingPointError, match="step 1"):
        steps_of(tmp_path, 1.0, weight)


def test_wilson_intervals() -> None:
    assert wilson(0, 10) == pytest.approx((0, 0.2775), abs=1e-3)
    assert wilson(10, 10) == pytest.approx((0.7225, 1), abs=1e-3)
    assert wilson(50, 100) == pytest.approx((0.4038, 0.5962), abs=1e-3)


def test_the_table_counts_by_kind_of_prompt() -> None:
    prompts = [
        "a red circle",
        "a red circle at the top",
        "a red star and a blue star",
        "a red star, a blue star and a green star",
    ]
    table = accuracies(2.0, prompts, [True, False, True, False])
    assert {row.group: (row.right, row.images) for row in table} == {
        "one object": (1, 2),
        "two": (1, 1),
        "three": (0, 1),
        "one or two": (2, 3),
        "one or two, plain": (2, 2),
        "one, with a place": (0, 1),
    }
    lines = as_markdown(table).splitlines()
    assert lines[0].startswith("| guidance scale | one object (2 images) |")
    assert lines[2].startswith("| 2 | 0.50 (")


@pytest.mark.slow
def test_the_command_trains_all_parts_and_can_be_run_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, work = tmp_path / "weights", tmp_path / "work"
    options = ["--minutes", "0.04", "--scenes", "60", "--threads", "1"]
    options += ["--out", str(out), "--work", str(work)]
    train.main(options)
    assert "denoiser: " in capsys.readouterr().out
    assert size_of(out) < BUDGET
    pipeline = load(out)
    (image,) = sample(pipeline, ["a red circle"], scale=2.0)
    assert image.size == (64, 64)

    before = (out / "unet/diffusion_pytorch_model.safetensors").read_bytes()
    (out / "unet/diffusion_pytorch_model.safetensors").unlink()
    train.main(options)
    assert (out / "unet/diffusion_pytorch_model.safetensors").read_bytes() == before
