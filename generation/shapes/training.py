"""The loop that all stages share: timed, seeded, averaged, and able to go on after a kill."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch import Tensor, nn

Loss = Callable[[np.random.Generator, torch.Generator], Tensor]
"""Draws a batch with the two generators and returns its mean loss, a scalar."""


CONSOLE = Console()
"""Where stages report."""


@dataclass(frozen=True)
class Plan:
    """How a stage trains.

    `seconds` is time spent in steps, over all runs; the learning rate warms up over
    `warmup` steps and falls along a cosine to a fiftieth at the end of that time. Weights are
    averaged with `decay`; a checkpoint is written every `save_every` seconds.
    """

    name: str
    seconds: float
    seed: int
    warmup: int = 100
    decay: float = 0.998
    save_every: float = 60.0


def fit(
    plan: Plan,
    modules: Mapping[str, nn.Module],
    groups: Sequence[dict[str, Any]],
    loss_of: Loss,
    folder: Path,
) -> int:
    """Trains the modules in place, ends with their averaged weights and returns the steps made.

    `groups` are AdamW's parameter groups with their rates. Progress lies in
    `folder/<name>.pt`; a further call with the same arguments goes on from there. Batches are
    seeded by step, so a run differs from another only by how many steps fit into its time.
    """
    folder.mkdir(parents=True, exist_ok=True)
    optimizer = torch.optim.AdamW(groups, weight_decay=0.01, betas=(0.9, 0.98), fused=True)
    rates = [group["lr"] for group in optimizer.param_groups]
    state = _State(modules, optimizer, folder / f"{plan.name}.pt")
    with _bar() as bar:
        task = bar.add_task(plan.name, total=plan.seconds, note="")
        while state.elapsed < plan.seconds:
            began = time.perf_counter()
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = rate * _rate(plan, state.steps, state.elapsed / plan.seconds)
            state.step(loss_of(*_generators(plan.seed, state.steps)), plan.decay)
            state.elapsed += time.perf_counter() - began
            note = f"step {state.steps}, loss {state.loss:.4f}"
            bar.update(task, completed=state.elapsed, note=note)
            if state.elapsed - state.saved >= plan.save_every:
                state.save()
                bar.console.print(f"{plan.name}: {state.elapsed:.0f} s, {note}")
        state.save()
    state.take_average()
    return state.steps


class _State:
    """What a checkpoint holds: weights, their average, the optimizer, steps and seconds."""

    def __init__(
        self, modules: Mapping[str, nn.Module], optimizer: torch.optim.Optimizer, path: Path
    ) -> None:
        self.modules, self.optimizer, self.path = modules, optimizer, path
        self.steps, self.elapsed, self.saved, self.loss = 0, 0.0, 0.0, math.nan
        self.weights = [p for module in modules.values() for p in module.parameters()]
        self.average = [p.detach().clone() for p in self.weights]
        if path.exists():
            self._load()

    def step(self, loss: Tensor, decay: float) -> None:
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.weights, 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.steps += 1
        with torch.no_grad():
            keep = min(decay, (1 + self.steps) / (10 + self.steps))
            torch._foreach_lerp_(self.average, [p.detach() for p in self.weights], 1 - keep)
        value = loss.item()
        if not math.isfinite(value):
            raise FloatingPointError(f"the loss became {value} at step {self.steps}")
        self.loss = value if math.isnan(self.loss) else 0.98 * self.loss + 0.02 * value

    def save(self) -> None:
        content = {
            "modules": {name: module.state_dict() for name, module in self.modules.items()},
            "average": self.average,
            "optimizer": self.optimizer.state_dict(),
            "numbers": (self.steps, self.elapsed, self.loss),
        }
        part = self.path.with_suffix(".part")
        torch.save(content, part)
        part.replace(self.path)
        self.saved = self.elapsed

    def _load(self) -> None:
        content = torch.load(self.path, weights_only=True)
        for name, module in self.modules.items():
            module.load_state_dict(content["modules"][name])
        self.average = content["average"]
        self.optimizer.load_state_dict(content["optimizer"])
        self.steps, self.elapsed, self.loss = content["numbers"]
        self.saved = self.elapsed

    def take_average(self) -> None:
        with torch.no_grad():
            for weight, average in zip(self.weights, self.average, strict=True):
                weight.copy_(average)


def load_average(modules: Mapping[str, nn.Module], path: Path) -> int:
    """Puts the averaged weights of a checkpoint into the modules; returns its steps."""
    content = torch.load(path, weights_only=True)
    weights = [p for module in modules.values() for p in module.parameters()]
    with torch.no_grad():
        for weight, average in zip(weights, content["average"], strict=True):
            weight.copy_(average)
    steps: int = content["numbers"][0]
    return steps


def _rate(plan: Plan, step: int, progress: float) -> float:
    cosine = 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))
    return min(1.0, (step + 1) / plan.warmup) * cosine


def _generators(seed: int, step: int) -> tuple[np.random.Generator, torch.Generator]:
    rng = np.random.default_rng((seed, step))
    return rng, torch.Generator().manual_seed(int(rng.integers(2**62)))


def _bar() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
        console=CONSOLE,
    )
