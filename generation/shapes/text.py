"""The tokenizer and the text encoder, which learns what captions mean before it meets images."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
from torch import Tensor, nn
from torch.nn import functional
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from generation.shapes.scenes import (
    COLOURS,
    PLACES,
    RELATIONS,
    SHAPES,
    Wanted,
    WantedObject,
    parse,
    sample_scene,
    training_caption,
)
from generation.shapes.training import Plan, fit

LENGTH = 24
"""Tokens of a prompt, begin and end marks and padding included."""

WIDTH = 128


def make_tokenizer() -> CLIPTokenizer:
    """A CLIP tokenizer in which each word of a caption is one token; it has its own pad mark."""
    splitter = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    splitter.normalizer = normalizers.Lowercase()
    splitter.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=4096,
        end_of_word_suffix="</w>",
        initial_alphabet=letters,
        special_tokens=["<|startoftext|>", "<|endoftext|>", "<|pad|>"],
        show_progress=False,
    )
    splitter.train_from_iterator([" ".join(_words())] * 4, trainer)
    learned = json.loads(splitter.to_str())["model"]
    return _clip_tokenizer(learned["vocab"], learned["merges"], letters)


def _words() -> list[str]:
    phrases = [*COLOURS, *SHAPES, *PLACES, *RELATIONS, "a", "an", "and"]
    return sorted({word for phrase in phrases for word in phrase.split()})


def _clip_tokenizer(
    vocab: dict[str, int], merges: list[list[str]], letters: list[str]
) -> CLIPTokenizer:
    for letter in letters:
        vocab.setdefault(f"{letter}</w>", len(vocab))
    return CLIPTokenizer(
        vocab=vocab,
        merges=[(left, right) for left, right in merges],
        pad_token="<|pad|>",
        unk_token="<|endoftext|>",
        model_max_length=LENGTH,
    )


def make_text_encoder(tokenizer: CLIPTokenizer) -> CLIPTextModel:
    """An untrained, three layers deep `CLIPTextModel` for the tokenizer."""
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=WIDTH,
            intermediate_size=2 * WIDTH,
            num_hidden_layers=3,
            num_attention_heads=4,
            max_position_embeddings=LENGTH,
            projection_dim=WIDTH,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def token_ids(tokenizer: CLIPTokenizer, texts: Sequence[str]) -> Tensor:
    """Token numbers of shape (texts, 24), padded as diffusers' pipelines pad them."""
    options = {"padding": "max_length", "truncation": True, "max_length": LENGTH}
    ids: Tensor = tokenizer(list(texts), return_tensors="pt", **options).input_ids
    return ids


class Probe(nn.Module):
    """Reads what a caption means off the encoder's output; thrown away after pre-training.

    At the end mark: which colours with shapes, and which place or relation. At each noun: its
    colour and shape.
    """

    def __init__(self) -> None:
        super().__init__()
        self.kinds = nn.Linear(WIDTH, len(COLOURS) * len(SHAPES))
        self.place = nn.Linear(WIDTH, 1 + len(PLACES) + len(RELATIONS))
        self.noun_kind = nn.Linear(WIDTH, len(COLOURS) * len(SHAPES))


def pretrain(
    model: CLIPTextModel, tokenizer: CLIPTokenizer, plan: Plan, folder: Path, batch: int = 128
) -> int:
    """Trains the encoder to tell what captions mean; returns the steps made."""
    probe = Probe()
    nouns = torch.tensor(tokenizer.convert_tokens_to_ids([f"{shape}</w>" for shape in SHAPES]))

    def loss_of(rng: np.random.Generator, noise: torch.Generator) -> Tensor:
        texts = training_texts(batch, rng)
        ids = token_ids(tokenizer, texts)
        hidden = model(ids)[0]
        ends = hidden[ids == tokenizer.eos_token_id]
        return _meaning_loss(probe, hidden[torch.isin(ids, nouns)], ends, texts)

    rate = {"params": [*model.parameters(), *probe.parameters()], "lr": 2e-3}
    return fit(plan, {"text": model, "probe": probe}, [rate], loss_of, folder)


def training_texts(number: int, rng: np.random.Generator) -> list[str]:
    """Captions of random scenes, none of them held out."""
    texts: list[str] = []
    while len(texts) < number:
        text = training_caption(sample_scene(rng, int(rng.integers(1, 4))), rng)
        texts += [text] if text else []
    return texts


def _meaning_loss(probe: Probe, nouns: Tensor, ends: Tensor, texts: list[str]) -> Tensor:
    wanted = [parse(text) for text in texts]
    kinds = torch.zeros(len(texts), len(COLOURS) * len(SHAPES))
    for row, scene in enumerate(wanted):
        kinds[row, [_kind(item) for item in scene.objects]] = 1
    each = torch.tensor([_kind(item) for scene in wanted for item in scene.objects])
    return (
        5 * functional.binary_cross_entropy_with_logits(probe.kinds(ends), kinds)
        + functional.cross_entropy(probe.place(ends), torch.tensor([_where(s) for s in wanted]))
        + functional.cross_entropy(probe.noun_kind(nouns), each)
    )


def _kind(item: WantedObject) -> int:
    return list(COLOURS).index(item.colour) * len(SHAPES) + SHAPES.index(item.shape)


def _where(wanted: Wanted) -> int:
    names = [None, *PLACES, *RELATIONS]
    return names.index(wanted.relation or wanted.objects[0].place)
