"""Figures of preference rates, by matplotlib without a display."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from analysis.intervals import Share
from analysis.ranking import Ranking, Strength
from analysis.rates import PreferenceRate, Rate, ThreeWayRate
from analysis.tables import limits

WIN, LOSS, THIRD, TIE = "#0072B2", "#E69F00", "#009E73", "#C4C4C4"
"""Okabe and Ito's colours, told apart with every kind of colour vision; grey for ties."""
ON = {WIN: "white", LOSS: "black", THIRD: "black", TIE: "black"}
INK = "#1a1b1c"
"""Stands for the colour of text; in the page it becomes the reader's own."""
STYLE: Any = {
    "font.family": "sans-serif",
    "font.size": 9,
    "svg.fonttype": "path",
    "svg.hashsalt": "clearwinner",
    "text.color": INK,
    "axes.edgecolor": INK,
    "xtick.color": INK,
}
WIDTH, ROW, TITLE = 4.4, 0.78, 0.34
"""Inches: of the figure, of one rate, and of a question's title."""
LINE = 0.24
"""Inches of one method in the ranking."""


def rates_figure(rates: Sequence[Rate], *, level: float, titles: Mapping[str, str]) -> Figure:
    """Shares of votes as stacked bars, question by question; under each pair its score.

    Args:
        rates: at least one.
        level: confidence level of the intervals, for the legend.
        titles: of the questions.
    """
    questions = list(dict.fromkeys(rate.question for rate in rates))
    ordered = [[rate for rate in rates if rate.question == name] for name in questions]
    height = sum(TITLE + ROW * len(group) for group in ordered) + 0.75
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, height))
        FigureCanvasAgg(figure)
        axes = figure.add_axes((0.03, 0.66 / height, 0.94, 1 - 0.68 / height))
        bottom = 0.0
        for name, group in zip(questions, ordered, strict=True):
            axes.text(
                0, bottom + 0.22, _plain(titles[name]), fontsize=11, fontweight="bold", va="center"
            )
            bottom += TITLE
            for rate in group:
                _draw(axes, rate, bottom)
                bottom += ROW
        _dress(axes, bottom, level)
    return figure


def ranking_figure(rankings: Sequence[Ranking], titles: Mapping[str, str]) -> Figure:
    """Log-worths of all methods with their intervals, question by question, the strongest first.

    Args:
        rankings: at least one.
        titles: of the questions.
    """
    rows = sum(len(ranking.strengths) for ranking in rankings)
    height = TITLE * len(rankings) + LINE * rows + 0.6
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, height))
        FigureCanvasAgg(figure)
        axes = figure.add_axes((0.42, 0.5 / height, 0.55, 1 - 0.52 / height))
        bottom = 0.0
        for ranking in rankings:
            _left_of(axes, bottom + 0.2, titles[ranking.question], fontsize=11, fontweight="bold")
            bottom += TITLE
            for each in ranking.strengths:
                _strength(axes, each, bottom + LINE / 2)
                bottom += LINE
        axes.set_ylim(bottom, 0)
        axes.set_yticks([])
        axes.axvline(0, color=INK, linewidth=0.8, linestyle=(0, (2, 2)))
        axes.spines[["left", "right", "top"]].set_visible(False)
        axes.set_xlabel("log-worth; 0 is the mean method", fontsize=8, color=INK, loc="left")
    return figure


def svg(figure: Figure) -> str:
    """The figure as SVG that stands inside HTML: text in the page's colour, no fixed size."""
    buffer = io.StringIO()
    with mpl.rc_context(STYLE):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :].replace(INK, "currentColor")
    text = re.sub(r'\s(width|height)="[\d.]+pt"', "", text, count=2)
    return re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)


def save(figure: Figure, folder: Path, name: str = "figure") -> list[Path]:
    """Write a figure as SVG, PDF and PNG into a folder."""
    paths = [folder / f"{name}.{kind}" for kind in ("svg", "pdf", "png")]
    with mpl.rc_context(STYLE):
        for path in paths:
            when = {"PDF": "CreationDate", "SVG": "Date"}.get(path.suffix[1:].upper())
            metadata = {when: None} if when else None
            figure.savefig(path, dpi=200, facecolor="white", metadata=metadata)
    return paths


def _draw(axes: Axes, rate: Rate, top: float) -> None:
    if isinstance(rate, PreferenceRate):
        _names(axes, top, [(0, "left", rate.method_a), (1, "right", rate.method_b)])
        _bar(axes, top, [(rate.win, WIN), (rate.tie, TIE), (rate.loss, LOSS)])
        _score(axes, rate, top + 0.50)
    else:
        _draw_three(axes, rate, top)


def _draw_three(axes: Axes, rate: ThreeWayRate, top: float) -> None:
    colours = (WIN, THIRD, LOSS, TIE)
    for place, name in enumerate(rate.methods):
        axes.barh(top + 0.08, 0.02, 0.12, left=place / 3, color=colours[place])
        axes.text(place / 3 + 0.03, top + 0.08, _plain(name), va="center")
    _bar(axes, top, list(zip(rate.shares, colours, strict=True)))


def _names(axes: Axes, top: float, names: Sequence[tuple[float, str, str]]) -> None:
    for x, side, name in names:
        axes.text(x, top + 0.08, _plain(name), ha=side, va="center")


def _strength(axes: Axes, each: Strength, y: float) -> None:
    if each.interval:
        ends = [each.interval.low, each.interval.high]
        axes.plot(ends, [y, y], color=INK, linewidth=1.6, solid_capstyle="butt")
    axes.plot([each.log_worth], [y], marker="o", markersize=4.5, color=INK)
    _left_of(axes, y, each.method, fontsize=8)


def _left_of(axes: Axes, y: float, text: str, **style: Any) -> None:
    """Text left of the axes: x in parts of their width, y in inches."""
    where = axes.get_yaxis_transform()
    axes.text(-0.74, y, _plain(text), transform=where, ha="left", va="center", **style)


def _plain(name: str) -> str:
    # a dollar sign in a name must not start mathematics
    return name.replace("$", r"\$")


def _bar(axes: Axes, top: float, parts: Sequence[tuple[Share, str]]) -> None:
    left = 0.0
    for share, colour in parts:
        axes.barh(top + 0.29, share.value, 0.24, left=left, color=colour)
        if share.value >= 0.05:
            middle = left + share.value / 2
            text = f"{100 * share.value:.0f}"
            axes.text(middle, top + 0.29, text, ha="center", va="center", color=ON[colour])
        left += share.value


def _score(axes: Axes, rate: PreferenceRate, y: float) -> None:
    score = rate.score.value
    axes.plot([0.5, 0.5], [y - 0.09, y + 0.1], color=INK, linewidth=0.8, linestyle=(0, (2, 2)))
    low = high = score
    if rate.score.interval:
        low, high = rate.score.interval.low, rate.score.interval.high
        axes.plot([low, high], [y, y], color=INK, linewidth=1.6, solid_capstyle="butt")
    axes.plot([score], [y], marker="o", markersize=5, color=INK)
    text = f"{100 * score:.1f} [{limits(rate.score.interval)}]"
    if high < 0.72:
        axes.text(high + 0.015, y, text, va="center", fontsize=8)
    elif low > 0.28:
        axes.text(low - 0.015, y, text, va="center", ha="right", fontsize=8)
    else:
        # No room on either side of a wide interval.
        axes.text(0.5, y + 0.15, text, va="center", ha="center", fontsize=8)


def _dress(axes: Axes, bottom: float, level: float) -> None:
    axes.set_xlim(0, 1)
    axes.set_ylim(bottom, 0)
    axes.set_yticks([])
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "25", "50", "75", "100 %"])
    for side in ("left", "right", "top"):
        axes.spines[side].set_visible(False)
    axes.get_xticklabels()[0].set_horizontalalignment("left")
    axes.get_xticklabels()[-1].set_horizontalalignment("right")
    axes.set_xlabel(
        f"Bars: share of votes, grey = no clear winner.\n"
        f"Dot and line: score of the left method, {100 * level:g} % interval.",
        fontsize=8,
        color=INK,
        loc="left",
    )
