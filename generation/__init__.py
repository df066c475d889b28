"""Images: prompts, seeds and methods in, pictures and a manifest out. No web, no database."""
