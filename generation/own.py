"""A guidance method of one's own, read from a Python file beside the study file."""

from __future__ import annotations

import dataclasses
import importlib.util
from pathlib import Path
from typing import Any

from generation.options import FileOptions
from generation.study import StudyError


def own_method(options: FileOptions, base: Path) -> Any:
    """The guidance method that a file defines, with its options.

    The file defines one frozen dataclass that can be called like `generation.sampling.Guide`;
    what it imports does not count. Running a study runs this file.

    Raises:
        StudyError: the file cannot be imported, defines none or several, or takes other options.
    """
    path = base / options.file
    module = _imported(path)
    found = [
        thing
        for thing in vars(module).values()
        if dataclasses.is_dataclass(thing)
        and isinstance(thing, type)
        and thing.__module__ == module.__name__
        and "__call__" in vars(thing)
    ]
    if len(found) != 1:
        names = ", ".join(thing.__name__ for thing in found) or "none"
        raise StudyError(
            f"{path}: must define one dataclass with __call__, a guidance method; it has {names}."
        )
    try:
        return found[0](**options.options)
    except TypeError as error:
        known = ", ".join(field.name for field in dataclasses.fields(found[0]))
        raise StudyError(f"{path}: {error}. Options of {found[0].__name__}: {known}.") from None


def _imported(path: Path) -> Any:
    import sys

    name = f"own_method_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise StudyError(f"{path}: not a Python file.")
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look their module up by name.
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise StudyError(f"{path}: cannot be imported: {type(error).__name__}: {error}") from error
    return module
