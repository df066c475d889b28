"""Prompt sets: where prompts come from, as a list of `Prompt`. Light imports only."""

from generation.prompts.prompt import Prompt
from generation.prompts.read import read_prompts
from generation.prompts.table import PromptTable

__all__ = ["Prompt", "PromptTable", "read_prompts"]
