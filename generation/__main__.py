"""`accelerate launch -m generation study.toml`: one process of several that make images."""

from __future__ import annotations

import argparse
import sys

from generation.processes import Processes
from generation.run import generate
from generation.study import UserError, read_study_file


def main() -> int:
    """Make this process's share of what is missing."""
    parser = argparse.ArgumentParser(prog="generation", description=__doc__)
    parser.add_argument("study", help="the study file")
    path = parser.parse_args().study
    processes = Processes.launched()
    where = f"process {processes.index + 1} of {processes.number}"

    def tell(text: str) -> None:
        sys.stderr.write(f"{where}: {text}\n")

    try:
        made = generate(
            read_study_file(path),
            progress=lambda done, total: tell(f"{done} of {total} images"),
            tell=tell,
            processes=processes,
        )
    except UserError as error:
        tell(f"Error: {error}")
        return 2
    tell(f"{made.made} images made, {made.kept} were there.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
