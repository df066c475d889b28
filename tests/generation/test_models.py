"""Models of both families: our sampler against diffusers' pipelines, loading, options, batches."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from generation.manifest import as_png
from generation.methods import Cfg, Dnp
from generation.models import TextToImage, load_model
from generation.options import AnswerOptions, CfgOptions, CnpOptions, DnpOptions
from generation.plan import Compute, Generation
from generation.prompts import PromptTable
from generation.sampling import Blocks, Conditions, sample, starting_noise
from generation.studio import Studio
from generation.study import UserError
from tests.generation.tiny import save_sdxl, save_stable_diffusion

STEPS = 8
SCHEDULERS = ("ddim", "euler", "dpmpp_2m", "pndm", "unipc")
PROMPTS = ["a red circle", "a blue square and a green star"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    base = tmp_path_factory.mktemp("models")
    return {
        "shapes": "shapes",
        "sd": str(save_stable_diffusion(base / "sd")),
        "sd-v": str(save_stable_diffusion(base / "sd-v", prediction="v_prediction")),
        "sdxl": str(save_sdxl(base / "sdxl")),
    }


def table(model: str, **more: Any) -> Generation:
    prompts = PromptTable(kind="scenes", count=1)
    methods = {"m": CfgOptions(kind="cfg")}
    return Generation(model=model, prompts=prompts, methods=methods, **({"steps": STEPS} | more))


def noise_of(model: TextToImage, number: int) -> Tensor:
    return starting_noise(range(number), model.latent_shape, model.device, model.dtype)


def theirs(model: TextToImage, scheduler: str, scale: float, **more: Any) -> Tensor:
    """diffusers' own pipeline around the same parts."""
    parts = dict(model.pipeline.components) | {"scheduler": model.scheduler(scheduler)}
    if not model.is_xl:
        more["guidance_rescale"] = 0.0
        parts["requires_safety_checker"] = False
    pipeline = type(model.pipeline)(**parts)
    pipeline.set_progress_bar_config(disable=True)
    # T counts calls of the network; PNDM makes one call more than its number of steps.
    latents: Tensor = pipeline(
        PROMPTS,
        num_inference_steps=STEPS - (scheduler == "pndm"),
        guidance_scale=scale,
        latents=noise_of(model, 2),
        output_type="latent",
        **more,
    ).images
    return latents


def ours(model: TextToImage, scheduler: str, guide: Any, conditions: Conditions) -> Tensor:
    stepper = Studio(model.table.model_copy(update={"scheduler": scheduler}), model).stepper()
    with torch.inference_mode():
        return sample(model.network(), guide, stepper, noise_of(model, 2), conditions)


def distance(a: Tensor, b: Tensor) -> float:
    return float((a - b).norm() / b.norm())


@pytest.mark.parametrize("scheduler", SCHEDULERS)
@pytest.mark.parametrize("name", ["shapes", "sd", "sd-v", "sdxl"])
def test_our_cfg_is_diffusers_cfg(folders: dict[str, str], name: str, scheduler: str) -> None:
    model = load_model(table(folders[name]), base=Path())
    conditions = Conditions(model.null(2), model.encode(PROMPTS))
    assert model.null_rule == ("zeros" if name == "sdxl" else "empty")
    mine = ours(model, scheduler, Cfg(4.0), conditions)
    reference = theirs(model, scheduler, 4.0)
    assert distance(mine, reference) <= 1e-5
    assert distance(mine, theirs(model, scheduler, 3.0)) > 1e-3


@pytest.mark.parametrize("name", ["sd", "sdxl"])
def test_our_dnp_is_diffusers_with_a_negative_prompt(folders: dict[str, str], name: str) -> None:
    model = load_model(table(folders[name]), base=Path())
    said = ["a yellow cross", "a purple star"]
    conditions = Conditions(model.null(2), model.encode(PROMPTS), model.encode(said))
    mine = ours(model, "ddim", Dnp(4.0), conditions)
    assert distance(mine, theirs(model, "ddim", 4.0, negative_prompt=said)) <= 1e-5


def test_the_null_embedding_is_an_option(folders: dict[str, str]) -> None:
    model = load_model(table(folders["sdxl"], null="empty"), base=Path())
    conditions = Conditions(model.null(2), model.encode(PROMPTS))
    mine = ours(model, "euler", Cfg(4.0), conditions)
    assert distance(mine, theirs(model, "euler", 4.0, negative_prompt=["", ""])) <= 1e-5
    assert distance(mine, theirs(model, "euler", 4.0)) > 1e-4
    zeros = load_model(table(folders["sd"], null="zeros"), base=Path()).null(3)
    assert not zeros.hidden.any()
    assert len(zeros) == 3


def test_an_image_has_the_size_that_is_asked_for(folders: dict[str, str]) -> None:
    for name in ("sd", "sdxl"):
        model = load_model(table(folders[name], height=48, width=24), base=Path())
        drawn = Studio(model.table, model).draw(PROMPTS, [0, 1], CfgOptions(kind="cfg"))
        assert [image.size for image in drawn.images] == [(24, 48)] * 2


METHODS = [
    CfgOptions(kind="cfg", scale=3.0),
    DnpOptions(kind="dnp", scale=1.5),
    CnpOptions(kind="cnp", scale=1.5),
    AnswerOptions(kind="answer", scale=2.5, k=2),
    AnswerOptions(kind="answer", scale=2.5, k=2, source="uncond", normalise="channel"),
]


@pytest.fixture
def threads() -> Iterator[Callable[[int], None]]:
    """Sets the number of threads, and back at the end."""
    given = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(given)


@pytest.mark.slow
@pytest.mark.parametrize("options", METHODS, ids=lambda options: f"{options.kind}")
def test_bytes_do_not_depend_on_the_batch(options: Any, threads: Callable[[int], None]) -> None:
    """Alone, in twos, all together in another order, with fewer threads: the same bytes."""
    prompts = [f"a {c} {s}" for c in ("red", "blue") for s in ("star", "cross")]
    prompts.append("a green circle and a red square")
    order = list(range(len(prompts)))
    settings = table("shapes", steps=3)
    studio = Studio(settings, load_model(settings, base=Path()))

    def hashes(order: list[int], size: int) -> dict[int, str]:
        made: dict[int, str] = {}
        for start in range(0, len(order), size):
            some = order[start : start + size]
            drawn = studio.draw([prompts[i] for i in some], [40 + i for i in some], options)
            made |= {i: as_png(image)[0] for i, image in zip(some, drawn.images, strict=True)}
        return made

    alone = hashes(order, 1)
    assert len(set(alone.values())) == len(prompts)
    assert hashes(order, 2) == alone
    # Split among processes, each has fewer threads; three do not divide a batch evenly.
    for number in (1, 2, 3):
        threads(number)
        assert hashes(order[::-1], 5) == alone, f"{number} threads"


@given(number=st.integers(1, 70), rows=st.sampled_from([None, 2, 8, 32]))
def test_blocks_are_of_one_size_and_lose_no_row(number: int, rows: int | None) -> None:
    sizes: list[int] = []

    def function(index: torch.Tensor) -> torch.Tensor:
        sizes.append(len(index))
        return index * 10

    made = Blocks(rows).apply(function, number)
    assert made.tolist() == [10 * n for n in range(number)]
    assert set(sizes) == {rows or number}


def test_sdxl_in_bfloat16_draws(folders: dict[str, str]) -> None:
    model = load_model(table(folders["sdxl"], dtype="bfloat16"), base=Path())
    assert model.pipeline.unet.dtype == torch.bfloat16
    drawn = Studio(model.table, model).draw(PROMPTS, [0, 1], AnswerOptions(kind="answer", k=2))
    assert len({hashlib.sha256(image.tobytes()).hexdigest() for image in drawn.images}) == 2


@pytest.mark.parametrize(
    "compute",
    [
        Compute(attention="eager"),
        Compute(attention="sliced"),
        Compute(vae_slicing=True, vae_tiling=True),
        Compute(rows=8),
    ],
    ids=["eager", "sliced", "vae", "rows"],
)
def test_memory_options_draw_the_same_picture(folders: dict[str, str], compute: Compute) -> None:
    plain = load_model(table(folders["sd"]), base=Path())
    other = load_model(table(folders["sd"], compute=compute), base=Path())
    a, b = (
        Studio(m.table, m).draw(PROMPTS, [0, 1], CfgOptions(kind="cfg")).images
        for m in (plain, other)
    )
    for one, two in zip(a, b, strict=True):
        first, second = (
            torch.tensor(list(image.tobytes()), dtype=torch.int) for image in (one, two)
        )
        assert int((first - second).abs().max()) <= 1


def test_offloading_without_an_accelerator_is_refused(folders: dict[str, str]) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has an accelerator")
    with pytest.raises(UserError, match=r"compute\.offload"):
        load_model(table(folders["sd"], compute=Compute(offload="model")), base=Path())


def test_other_families_and_pickled_weights_are_refused(
    folders: dict[str, str], tmp_path: Path
) -> None:
    import json
    import shutil

    other = tmp_path / "other"
    shutil.copytree(folders["sd"], other)
    index = json.loads((other / "model_index.json").read_text())
    (other / "model_index.json").write_text(
        json.dumps(index | {"_class_name": "FluxPipeline"}), encoding="utf-8"
    )
    with pytest.raises(UserError, match="FluxPipeline"):
        load_model(table(str(other)), base=Path())
    pickled = tmp_path / "pickled"
    shutil.copytree(folders["sd"], pickled)
    unet = pickled / "unet" / "diffusion_pytorch_model.safetensors"
    unet.rename(unet.with_suffix(".bin"))
    with pytest.raises(UserError, match="cannot be loaded"):
        load_model(table(str(pickled)), base=Path())
