"""A table of text that goes to the page, the terminal and LaTeX alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.box import SIMPLE_HEAD
from rich.console import JustifyMethod
from rich.table import Table


@dataclass(frozen=True)
class Grid:
    """A table of text."""

    label: str
    head: tuple[str, ...]
    body: tuple[tuple[str, ...], ...]
    names: int = 2
    """The first so many columns are names; the rest are numbers."""


def terminal(grid: Grid, width: int) -> Table:
    """For `rich`: intervals stand under their values, and words are broken only in great need.

    Args:
        grid: the table.
        width: characters of a line.
    """
    table = Table(title=grid.label, title_justify="left", box=SIMPLE_HEAD, padding=0)
    table.min_width = min(width, len(grid.label))
    body = [[cell.replace(" [", "\n[") for cell in row] for row in grid.body]
    widths = _widths([list(column) for column in zip(grid.head, *body, strict=True)], width)
    for number, name in enumerate(grid.head):
        justify: JustifyMethod = "left" if number < grid.names else "right"
        table.add_column(name, overflow="fold", justify=justify, width=widths[number])
    for row in body:
        table.add_row(*row)
    return table


def _widths(columns: list[list[str]], width: int) -> Sequence[int | None]:
    """Of each column, so that all fit: the widest give way first, down to their longest word.

    None for each where that is not enough: then whatever prints them breaks words.
    """
    found = [max(len(line) for text in own for line in text.split("\n")) for own in columns]
    least = [
        max((len(word) for text in own for word in text.split()), default=1) for own in columns
    ]
    room = width - len(columns) - 1  # a character beside each column
    if sum(least) > room:
        return [None] * len(columns)
    while sum(found) > room:
        widest = max(range(len(found)), key=lambda column: found[column] - least[column])
        found[widest] -= 1
    return found


def latex(grid: Grid) -> str:
    """For LaTeX's `booktabs`, every cell escaped."""

    def line(cells: tuple[str, ...]) -> str:
        escaped = ("".join(LATEX.get(one, one) for one in cell) for cell in cells)
        return " & ".join(escaped) + r" \\"

    columns = "l" * grid.names + "r" * (len(grid.head) - grid.names)
    return "\n".join(
        [
            f"% {grid.label}",
            rf"\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            line(grid.head),
            r"\midrule",
            *map(line, grid.body),
            r"\bottomrule",
            r"\end{tabular}",
            "",
        ]
    )


LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "–": "--",
    "—": "---",
}
