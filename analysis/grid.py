"""A table of text that goes to the page, the terminal and LaTeX alike."""

from __future__ import annotations

from dataclasses import dataclass

from rich.box import SIMPLE_HEAD
from rich.table import Table


@dataclass(frozen=True)
class Grid:
    """A table of text."""

    label: str
    head: tuple[str, ...]
    body: tuple[tuple[str, ...], ...]
    names: int = 2
    """The first so many columns are names; the rest are numbers."""


def terminal(grid: Grid) -> Table:
    """For `rich`."""
    table = Table(title=grid.label, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for number, name in enumerate(grid.head):
        is_name = number < grid.names
        table.add_column(name, overflow="fold", justify="left" if is_name else "right")
    for row in grid.body:
        table.add_row(*(cell.replace(" [", "\n[") for cell in row))
    return table


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
