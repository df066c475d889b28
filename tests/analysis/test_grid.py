"""Tables of text in the terminal: nothing is lost, whatever the width."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from analysis.grid import Grid, latex, terminal

WORD = st.text("abcdefgh", min_size=1, max_size=9)
CELL = st.lists(WORD, min_size=1, max_size=3).map(" ".join)


def printed(grid: Grid, width: int) -> str:
    console = Console(record=True, width=width, file=io.StringIO())
    console.print(terminal(grid, width))
    return console.export_text()


@given(st.lists(st.lists(CELL, min_size=4, max_size=4), min_size=1, max_size=5))
def test_words_are_whole_where_they_have_room(rows: list[list[str]]) -> None:
    grid = Grid("Words", ("one", "two", "three", "four"), tuple(map(tuple, rows)))  # type: ignore[arg-type]
    lines = printed(grid, 60).splitlines()
    assert all(len(line) <= 60 for line in lines)
    shown = " ".join(lines).split()
    for row in rows:
        for cell in row:
            assert all(word in shown for word in cell.split())


@pytest.mark.parametrize("width", [45, 80, 200])
def test_no_number_is_cut_off(width: int) -> None:
    body = (("correctness", "cfg vs answer", "51.2 [45.2–57.3]", "1,234,567"),)
    lines = printed(Grid("Rates", ("Question", "Methods", "Score %", "Votes"), body), width)
    left = "".join(lines.split())
    for part in ("51.2", "[45.2–57.3]", "1,234,567", "answer"):
        assert part in left


def test_an_empty_table_is_one() -> None:
    assert "Nothing" in printed(Grid("Nothing", ("a", "b"), ()), 80)


def test_latex_escapes_every_cell() -> None:
    text = latex(Grid("Rates", ("Score %",), (("a_b & c – 5 % #1",),), names=1))
    assert r"a\_b \& c -- 5 \% \#1 \\" in text
    assert r"\toprule" in text and r"\begin{tabular}{l}" in text
