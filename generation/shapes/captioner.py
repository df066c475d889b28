"""A tiny BLIP-2 that names the objects of a scene, for methods that caption their own images."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from torch import Tensor, nn
from torch.nn import functional
from transformers import (
    Blip2Config,
    Blip2ForConditionalGeneration,
    Blip2Processor,
    BlipImageProcessor,
    OPTConfig,
    PreTrainedTokenizerFast,
)

from generation.shapes.dataset import to_unit
from generation.shapes.export import as_single
from generation.shapes.scenes import COLOURS, SHAPES, Scene, Wanted, WantedObject, word
from generation.shapes.training import Plan, fit

QUERIES = 8
WIDTH = 128
PATCH = 8
LENGTH = 20

_KINDS = len(COLOURS) * len(SHAPES)


def plain_caption(scene: Scene) -> str:
    """The objects from left to right, without places: what the captioner learns to say."""
    ordered = sorted(scene.objects, key=lambda item: item.x)
    return word(Wanted(tuple(WantedObject(item.colour, item.shape) for item in ordered)))


def make_processor() -> Blip2Processor:
    """Takes images of 64 x 64 as they are; every word of a caption is one token."""
    splitter = Tokenizer(models.BPE())
    splitter.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    splitter.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=4096,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=["<pad>", "</s>", "<image>"],
        show_progress=False,
    )
    names = [f"a {colour} {shape}, an {shape} and" for colour in COLOURS for shape in SHAPES]
    splitter.train_from_iterator(names, trainer)
    splitter.post_processor = processors.TemplateProcessing(
        single="</s> $A", special_tokens=[("</s>", splitter.token_to_id("</s>"))]
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=splitter,
        bos_token="</s>",
        eos_token="</s>",
        unk_token="</s>",
        pad_token="<pad>",
        model_max_length=LENGTH,
        extra_special_tokens={"image_token": "<image>"},
    )
    half = [0.5, 0.5, 0.5]
    images = BlipImageProcessor(
        size={"height": 64, "width": 64}, image_mean=half, image_std=half, resample=3
    )
    return Blip2Processor(images, tokenizer, num_query_tokens=QUERIES)


def make_captioner(processor: Blip2Processor) -> Blip2ForConditionalGeneration:
    """An untrained BLIP-2 of about 1.3 million parameters."""
    tokenizer = processor.tokenizer
    layer = {"hidden_size": WIDTH, "intermediate_size": 2 * WIDTH, "num_attention_heads": 4}
    vision = layer | {
        "num_hidden_layers": 4,
        "image_size": 64,
        "patch_size": PATCH,
        "initializer_range": 0.02,
    }
    querying = layer | {
        "num_hidden_layers": 2,
        "vocab_size": 1,
        "max_position_embeddings": QUERIES,
        "cross_attention_frequency": 1,
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
    }
    language = OPTConfig(
        vocab_size=len(tokenizer),
        hidden_size=WIDTH,
        word_embed_proj_dim=WIDTH,
        ffn_dim=2 * WIDTH,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=QUERIES + LENGTH + 4,
        dropout=0.0,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    config = Blip2Config(
        vision_config=vision,
        qformer_config=querying,
        text_config=language.to_dict(),
        num_query_tokens=QUERIES,
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
    )
    model = Blip2ForConditionalGeneration(config)
    nn.init.normal_(model.query_tokens, std=0.5)
    model.generation_config.max_new_tokens = LENGTH
    return model


class Hints(nn.Module):
    """Heads that teach single parts what to look for; thrown away after training.

    Every patch names the colour and shape of the object that covers it, and the first three
    queries name the first three objects from the left.
    """

    def __init__(self) -> None:
        super().__init__()
        self.patch_colour = nn.Linear(WIDTH, len(COLOURS) + 1)
        self.patch_shape = nn.Linear(WIDTH, len(SHAPES) + 1)
        self.slot = nn.Linear(WIDTH, _KINDS + 1)


def train_captioner(
    model: Blip2ForConditionalGeneration,
    processor: Blip2Processor,
    data: tuple[Tensor, Sequence[Scene]],
    plan: Plan,
    folder: Path,
    batch: int = 48,
) -> int:
    """Trains on bytes (number, 3, 64, 64) and their scenes; returns the steps made."""
    pixels, scenes = data
    hints = Hints()

    def loss_of(rng: np.random.Generator, noise: torch.Generator) -> Tensor:
        picked = rng.integers(len(pixels), size=batch)
        images = _soften(to_unit(pixels[torch.from_numpy(picked)]), noise)
        return _loss(model, hints, processor, images, [scenes[index] for index in picked])

    rate = {"params": [*model.parameters(), *hints.parameters()], "lr": 1e-3}
    return fit(plan, {"captioner": model, "hints": hints}, [rate], loss_of, folder)


def _soften(images: Tensor, noise: torch.Generator) -> Tensor:
    """Blurs half of the images a little and adds grain, as the denoiser's drawings have it."""
    half = len(images) // 2
    blurred = functional.avg_pool2d(images[:half], 3, 1, 1, count_include_pad=False)
    softened = torch.cat([0.5 * (images[:half] + blurred), images[half:]])
    return softened + 0.03 * torch.randn(images.shape, generator=noise)


def _loss(
    model: Blip2ForConditionalGeneration,
    hints: Hints,
    processor: Blip2Processor,
    images: Tensor,
    scenes: Sequence[Scene],
) -> Tensor:
    """Next words, and the hints."""
    ids = caption_ids(processor, [plain_caption(scene) for scene in scenes])
    labels = ids.masked_fill(ids == processor.tokenizer.pad_token_id, -100)
    labels[:, : QUERIES + 1] = -100
    drawn = model(
        pixel_values=images,
        input_ids=ids,
        attention_mask=(ids != processor.tokenizer.pad_token_id).long(),
        labels=labels,
    )
    patches = drawn.vision_outputs.last_hidden_state[:, 1:]
    queries = drawn.qformer_outputs.last_hidden_state[:, :3]
    colours, shapes, slots = _targets(scenes)
    total: Tensor = (
        drawn.loss
        + functional.cross_entropy(hints.patch_colour(patches).flatten(0, 1), colours.flatten())
        + functional.cross_entropy(hints.patch_shape(patches).flatten(0, 1), shapes.flatten())
        + functional.cross_entropy(hints.slot(queries).flatten(0, 1), slots.flatten())
    )
    return total


def caption_ids(processor: Blip2Processor, texts: Sequence[str]) -> Tensor:
    """Places for the queries, the begin mark, the caption, the end mark, padding."""
    tokenizer = processor.tokenizer
    image = [tokenizer.convert_tokens_to_ids("<image>")] * QUERIES
    rows = [image + ids + [tokenizer.eos_token_id] for ids in tokenizer(list(texts)).input_ids]
    longest = max(map(len, rows))
    pad = tokenizer.pad_token_id
    return torch.tensor([row + [pad] * (longest - len(row)) for row in rows])


def _targets(scenes: Sequence[Scene]) -> tuple[Tensor, Tensor, Tensor]:
    """Colours and shapes of patches (scenes, 64), kinds of slots (scenes, 3); the last is none."""
    colours = torch.full((len(scenes), 8, 8), len(COLOURS))
    shapes = torch.full((len(scenes), 8, 8), len(SHAPES))
    slots = torch.full((len(scenes), 3), _KINDS)
    middles = torch.arange(8) * PATCH + PATCH / 2
    for row, scene in enumerate(scenes):
        for slot, item in enumerate(sorted(scene.objects, key=lambda item: item.x)):
            colour, shape = list(COLOURS).index(item.colour), SHAPES.index(item.shape)
            far = torch.hypot(middles[None, :] - item.x, middles[:, None] - item.y)
            colours[row][far < item.radius] = colour
            shapes[row][far < item.radius] = shape
            slots[row, slot] = colour * len(SHAPES) + shape
    return colours.flatten(1), shapes.flatten(1), slots


def save_captioner(
    model: Blip2ForConditionalGeneration, processor: Blip2Processor, folder: Path
) -> None:
    """Writes both with weights of two bytes; they load in single precision by default."""
    model.half().save_pretrained(folder)
    processor.save_pretrained(folder)
    as_single(folder)


def load_captioner(folder: Path) -> tuple[Blip2ForConditionalGeneration, Blip2Processor]:
    """The model, in single precision, and its processor."""
    model = Blip2ForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
    return model.eval(), Blip2Processor.from_pretrained(folder)


@torch.no_grad()
def describe(
    model: Blip2ForConditionalGeneration, processor: Blip2Processor, images: Sequence[Image.Image]
) -> list[str]:
    """A caption for each image."""
    inputs = processor(images=list(images), return_tensors="pt")
    texts = processor.batch_decode(model.generate(**inputs), skip_special_tokens=True)
    return [text.strip() for text in texts]


def exact_share(
    model: Blip2ForConditionalGeneration,
    processor: Blip2Processor,
    scenes: Sequence[Scene],
    images: Sequence[Image.Image],
) -> float:
    """The share of scenes whose caption names every object rightly, in order, and no other."""
    texts = describe(model, processor, images)
    return sum(map(str.__eq__, texts, map(plain_caption, scenes))) / len(scenes)
