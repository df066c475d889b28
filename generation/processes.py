"""The processes that share a study's work, as `accelerate launch` starts them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

Item = TypeVar("Item")


@dataclass(frozen=True)
class Processes:
    """This process among all."""

    index: int
    number: int
    first_here: bool
    """Whether it is the first one on its machine."""
    wait: Callable[[], None]
    """Returns when every process has come here."""

    @classmethod
    def alone(cls) -> Processes:
        """One process."""
        return cls(0, 1, True, lambda: None)

    @classmethod
    def launched(cls) -> Processes:
        """What `accelerate launch` or `torchrun` says; alone without them."""
        import torch
        from accelerate import PartialState

        # Without the word, accelerate takes processes on CPUs for strangers to each other.
        state = PartialState(cpu=not torch.accelerator.is_available())
        return cls(
            state.process_index,
            state.num_processes,
            state.is_local_main_process,
            state.wait_for_everyone,
        )

    def share(self, items: Sequence[Item]) -> list[Item]:
        """This process's share: no two processes get the same item, and together they get all."""
        return list(items[self.index :: self.number])
