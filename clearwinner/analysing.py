"""The commands that analyse: report, export, power."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from generation.study import UserError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STUDY = click.argument("study", type=click.Path(path_type=Path))


@click.command()
@STUDY
def report(study: Path) -> None:
    """Turn the votes into tables, figures and one HTML page."""
    from analysis.report import run

    run(study)


@click.command()
@STUDY
@click.option("--folder", type=click.Path(path_type=Path), help="A new one [NAME-votes].")
@click.option("--images", is_flag=True, help="Copy the images too.")
def export(study: Path, folder: Path | None, images: bool) -> None:
    """Write votes, placements and manifest as a data set, workers only as hashes."""
    from analysis.export import export as write
    from analysis.source import study_database
    from generation.study import read_study_file

    file = read_study_file(study)
    target = folder or Path(f"{file.study.name}-votes")
    done = write(file, target, study_database(file.study.place), images=images)
    click.echo(
        f"{done.votes:,} votes, {done.placements:,} placements, {done.images:,} images: "
        f"{done.folder}. Read its README.md, and add a licence."
    )


@click.command()
@click.option("--score", default=0.55, show_default=True, help="Of the better method; 0.5 is even.")
@click.option("--votes", default="5,10,20", show_default=True, help="On each comparison.")
@click.option("--comparisons", help="Sizes of a study, with commas between.")
@click.option("--workers", default=40, show_default=True)
@click.option("--ties", default=0.24, show_default=True, help="Share with no clear winner.")
@click.option("--prompt-spread", default=1.0, show_default=True, help="SD, log-odds.")
@click.option("--worker-spread", default=0.3, show_default=True, help="SD, log-odds.")
@click.option("--careless", default=0.05, show_default=True, help="Share that choose by chance.")
@click.option("--power", "goal", default=0.8, show_default=True, help="Chance wanted.")
@click.option("--alpha", default=0.05, show_default=True, help="Two-sided level of the test.")
@click.option("--studies", default=400, show_default=True, help="Simulated for each size.")
@click.option("--seed", default=0, show_default=True)
@click.option("--plot", type=click.Path(path_type=Path), help="PDF, SVG or PNG.")
def power(
    votes: str,
    comparisons: str | None,
    plot: Path | None,
    goal: float,
    score: float,
    **options: Any,
) -> None:
    """How many comparisons and votes find a difference, by simulation."""
    from rich.console import Console

    from analysis.grid import terminal
    from analysis.power import SIZES, power_figure, power_grid
    from analysis.power import power as simulated

    study = {name: options.pop(name) for name in ("alpha", "studies", "seed")}
    found = simulated(
        options, score=score, goal=goal, votes=_numbers("votes", votes),
        sizes=_numbers("comparisons", comparisons) if comparisons else SIZES, **study,
    )  # fmt: skip
    console = Console()
    console.print(terminal(power_grid(found), console.width))
    for each, needed in found.needed.items():
        shown = f"about {needed} comparisons" if needed else "more comparisons than simulated"
        click.echo(f"{each} votes a comparison: {shown} for a chance of {100 * goal:.0f} %.")
    if plot:
        save_plot(power_figure(found), plot)


def save_plot(figure: Figure, path: Path) -> None:
    """Write a figure where the user asked.

    Raises:
        UserError: the kind of file is not known, or it cannot be written.
    """
    try:
        figure.savefig(path, dpi=200, facecolor="white")
    except (OSError, ValueError) as error:
        raise UserError(f"--plot {path}: {error}") from None
    click.echo(f"The plot: {path}")


def _numbers(name: str, text: str) -> list[int]:
    try:
        numbers = sorted({int(part) for part in text.split(",")})
    except ValueError:
        numbers = []
    if not numbers or numbers[0] < 1:
        raise UserError(f"--{name} {text!r}: write whole numbers with commas between.")
    return numbers
