"""Prompts, seeds and methods become images and a manifest."""
